//! Access logs: whatever is done to a chain's files, verifying ends, and a whole chain is only reported
//! for the events that were written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;
use uuid::Uuid;
use wardgate::audit::{
    AccessEvent, Action, Actor, ActorKind, AuditConfig, AuditLog, AuditPlace, ChainReport, Outcome,
    Target, verify,
};
use wardgate::base::{Clock, Generation, ManualClock, TenantId, Timestamp};
use wardgate::keyring::{HeldKeys, KekLocation, Keyring, KeyringConfig, MemoryKeys, VerifyingKey};

use crate::{damage, edits, holds};

const EVENTS: u64 = 20;

struct World {
    _folder: TempDir,
    place: AuditPlace,
    key: VerifyingKey,
    tenant: TenantId,
    chain: PathBuf,
    checkpoints: PathBuf,
}

fn event(tenant: TenantId, n: u64) -> AccessEvent {
    AccessEvent {
        tenant,
        request: Uuid::from_u128(n.into()),
        actor: Actor {
            kind: ActorKind::User,
            issuer: Some("https://sso.example/realms/hospitals".to_owned()),
            subject: "8d7c".to_owned(),
            azp: Some("ehr".to_owned()),
            sid: None,
            token_id_hash: Some("5f3a".to_owned()),
            roles: vec!["fhir-read".to_owned()],
        },
        action: Action::Read,
        resource_type: Some("Patient".into()),
        target: Target::One(format!("{n}")),
        outcome: Outcome::Success,
        status: 200,
        generation: Generation(3),
        purpose: None,
    }
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tenant = TenantId::from_uuid(Uuid::from_bytes([7; 16]));
        let config = AuditConfig::new(folder.path().join("audit"), "gw-1".to_owned());
        let place = config.place();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let key = runtime.block_on(async {
            let clock: Arc<dyn Clock> =
                Arc::new(ManualClock::at(Timestamp::from_secs(1_700_000_000)));
            let held = KekLocation::Source(Arc::new(HeldKeys::ephemeral().unwrap()));
            let store = Arc::<MemoryKeys>::default();
            let ring =
                Keyring::init(KeyringConfig::new(held), store, Arc::clone(&clock)).await.unwrap();
            let log = AuditLog::open(config, ring.clone(), clock).await.unwrap();
            for n in 1..=EVENTS {
                log.append(event(tenant, n)).await.unwrap();
            }
            log.close().await;
            ring.checkpoint_key().verifying_key()
        });
        let folder_of = place.dir.join(tenant.to_string()).join("gw-1");
        let chain = folder_of.join("000001.log");
        let checkpoints = place.checkpoint_dir.join(tenant.to_string()).join("gw-1.log");
        Self { _folder: folder, place, key, tenant, chain, checkpoints }
    }

    fn report(&self) -> Vec<ChainReport> {
        verify(&self.place, self.tenant, &self.key).unwrap()
    }

    /// Whether somebody who asks is told that all is well.
    fn is_whole(&self) -> bool {
        let reports = self.report();
        reports.len() == 1
            && reports.iter().all(|report| {
                report.tamper.is_none() && !report.unfinished && report.events == EVENTS
            })
    }
}

#[test]
fn no_damage_goes_unseen_or_stops_the_verifier() {
    const PIECES: &[&str] = &[
        "\n",
        "\r\n",
        "{}",
        "{\"n\":1}",
        "\"status\":200",
        "\u{0}",
        "clinician",
        "000001",
        "}\n{",
    ];
    let world = World::new();
    assert!(world.is_whole(), "{:?}", world.report());
    let read = |path: &Path| std::fs::read(path).unwrap();
    let (chain, checkpoints) = (read(&world.chain), read(&world.checkpoints));
    let some = || proptest::collection::vec(edits(PIECES), 0..5);
    holds(&(some(), some()), |(of_chain, of_checkpoints)| {
        let changed = |bytes: &[u8], edits: &[crate::Edit]| {
            let mut bytes = bytes.to_vec();
            damage(&mut bytes, edits);
            bytes
        };
        let now = (changed(&chain, &of_chain), changed(&checkpoints, &of_checkpoints));
        std::fs::write(&world.chain, &now.0).unwrap();
        std::fs::write(&world.checkpoints, &now.1).unwrap();
        prop_assert!(!world.is_whole() || now.0 == chain, "{:?}", world.report());
        // Checkpoints may be cut off unseen, as the documentation says; what is left of them vouches for
        // nothing that was not signed.
        for vouched in world.report().iter().filter_map(|report| report.vouched) {
            let signed =
                |line: &[u8]| now.1.split_inclusive(|byte| *byte == b'\n').any(|l| l == line);
            let known = checkpoints.split_inclusive(|byte| *byte == b'\n').any(signed);
            prop_assert!(known, "{:?}", vouched);
        }
        Ok(())
    });
    std::fs::write(&world.chain, chain).unwrap();
    std::fs::write(&world.checkpoints, checkpoints).unwrap();
    assert!(world.is_whole(), "the damage was the tests' own");
}

#[test]
fn any_bytes_are_read_to_their_end() {
    let world = World::new();
    let bytes = || proptest::collection::vec(any::<u8>(), 0..2000);
    holds(&(bytes(), bytes()), |(chain, checkpoints)| {
        std::fs::write(&world.chain, chain).unwrap();
        std::fs::write(&world.checkpoints, checkpoints).unwrap();
        prop_assert!(!world.is_whole());
        Ok(())
    });
}
