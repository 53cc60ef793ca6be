//! Sealed records: they open at their place and nowhere else, and unchanged or not at all.

use std::sync::Arc;

use proptest::prelude::*;
use tokio::runtime::Runtime;
use uuid::Uuid;
use wardgate::base::{
    Clock, ConnectionRecord, ConnectionRevision, Engine, ManualClock, SecretText, ServerRecord,
    TenantId, Timestamp, TlsPolicy, TlsSettings,
};
use wardgate::keyring::{
    DataKeyId, HeldKeys, KekLocation, Keyring, KeyringConfig, MemoryKeys, SealPlace, Sealed,
};

use crate::{damage, edits, holds};

struct World {
    runtime: Runtime,
    ring: Keyring,
    keys: [DataKeyId; 2],
}

fn tenant(n: u8) -> TenantId {
    TenantId::from_uuid(Uuid::from_bytes([n; 16]))
}

fn place(owner: u8, record: u8, revision: u64) -> SealPlace {
    SealPlace {
        purpose: "tenant-connection",
        table: "connections",
        column: "sealed",
        record_id: Uuid::from_bytes([record; 16]),
        tenant: tenant(owner),
        revision: ConnectionRevision(revision),
    }
}

fn record(user: String, password: String) -> ConnectionRecord {
    ConnectionRecord::Server(ServerRecord {
        engine: Engine::Postgres,
        host: "db.hospital.example".to_owned(),
        port: 5432,
        database: "emr".to_owned(),
        user,
        password: SecretText::new(password),
        tls: TlsSettings { policy: TlsPolicy::VerifyFull, server_name: None, ca_pem: None },
    })
}

impl World {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_secs(1_700_000_000)));
        let held = KekLocation::Source(Arc::new(HeldKeys::ephemeral().unwrap()));
        let (ring, keys) = runtime.block_on(async {
            let store = Arc::<MemoryKeys>::default();
            let ring = Keyring::init(KeyringConfig::new(held), store, clock).await.unwrap();
            let one = ring.create_data_key(tenant(1)).await.unwrap();
            let other = ring.create_data_key(tenant(2)).await.unwrap();
            (ring, [one, other])
        });
        Self { runtime, ring, keys }
    }

    fn seal(&self, place: &SealPlace, record: &ConnectionRecord) -> Sealed {
        let key = self.keys[usize::from(place.tenant == tenant(2))];
        self.runtime.block_on(self.ring.seal(place, key, record)).unwrap()
    }

    fn open(&self, place: &SealPlace, text: String) -> Option<ConnectionRecord> {
        self.runtime.block_on(self.ring.open(place, &Sealed::from_stored(text))).ok()
    }
}

#[test]
fn it_opens_where_it_was_sealed_and_nowhere_else() {
    let world = World::new();
    let places = || (1_u8..3, 1_u8..4, 1_u64..4);
    let words = ("[^\\p{C}]{1,30}", "[^\\p{C}]{1,60}");
    holds(&(places(), places(), words), |(home, there, (user, password))| {
        let at = |(owner, record, revision)| place(owner, record, revision);
        let record = record(user, password);
        let sealed = world.seal(&at(home), &record);
        let opened = world.open(&at(there), sealed.as_str().to_owned());
        prop_assert_eq!(opened.is_some(), home == there);
        if let Some(opened) = opened {
            prop_assert_eq!(opened.to_plaintext(), record.to_plaintext());
        }
        Ok(())
    });
}

#[test]
fn a_changed_text_does_not_open() {
    const PIECES: &[&str] = &["sealed:v1:", "sealed:v2:", "=", "==", "AAAA", "_", "-", "\n", " "];
    let world = World::new();
    let home = place(1, 1, 1);
    let sealed = world.seal(&home, &record("u".to_owned(), "p".to_owned()));
    let other = world.seal(&place(1, 1, 2), &record("u".to_owned(), "p".to_owned()));
    let inputs = (any::<bool>(), any::<usize>(), proptest::collection::vec(edits(PIECES), 1..5));
    holds(&inputs, |(splice, at, edits)| {
        let mut bytes = sealed.as_str().as_bytes().to_vec();
        if splice {
            // The head of one with the tail of another of the same tenant and key.
            let at = at % bytes.len();
            bytes.truncate(at);
            bytes.extend(other.as_str().as_bytes().get(at..).unwrap_or_default());
        } else {
            damage(&mut bytes, &edits);
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let same = text == sealed.as_str();
        prop_assert_eq!(world.open(&home, text).is_some(), same);
        Ok(())
    });
}

#[test]
fn any_text_is_refused() {
    let world = World::new();
    let home = place(1, 1, 1);
    holds(&("(sealed:v1:)?", "[A-Za-z0-9_-]{0,400}"), |(prefix, text)| {
        prop_assert!(world.open(&home, prefix + &text).is_none());
        Ok(())
    });
    holds(&proptest::collection::vec(any::<u8>(), 0..200), |bytes| {
        // What is no record is refused also when somebody managed to seal it.
        let _record_or_refused = ConnectionRecord::from_plaintext(&bytes);
        Ok(())
    });
}
