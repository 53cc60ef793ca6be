//! What the tests of this room share.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use uuid::Uuid;

use crate::audit::disk::{Disk, Sick};
use crate::audit::{
    AccessEvent, Action, Actor, ActorKind, AuditConfig, AuditFault, AuditLog, AuditPlace,
    ChainReport, Export, Outcome, Target, verify,
};
use crate::base::{Clock, Generation, ManualClock, TenantId, Timestamp};
use crate::keyring::{HeldKeys, KekLocation, Keyring, KeyringConfig, MemoryKeys, VerifyingKey};

pub(super) const START: Timestamp = Timestamp::from_secs(1_700_000_000);

pub(super) fn tenant(n: u8) -> TenantId {
    TenantId::from_uuid(Uuid::from_bytes([n; 16]))
}

pub(super) fn event(n: u8, request: u128) -> AccessEvent {
    AccessEvent {
        tenant: tenant(n),
        request: Uuid::from_u128(request),
        actor: Actor {
            kind: ActorKind::User,
            issuer: Some("https://sso.example/realms/hospitals".to_owned()),
            subject: "8d7c".to_owned(),
            azp: Some("ehr".to_owned()),
            sid: Some("s-1".to_owned()),
            token_id_hash: Some("5f3a".to_owned()),
            roles: vec!["clinician".to_owned()],
        },
        action: Action::Read,
        resource_type: Some("Patient".into()),
        target: Target::One("MRN-12345".to_owned()),
        outcome: Outcome::Success,
        status: 200,
        generation: Generation(3),
        purpose: Some("TREAT".to_owned()),
    }
}

/// A folder with a log in it, and everything to open it again.
pub(super) struct Bench {
    pub(super) dir: tempfile::TempDir,
    pub(super) keyring: Keyring,
    pub(super) clock: Arc<ManualClock>,
    pub(super) config: AuditConfig,
}

impl Bench {
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(START));
        let held = KekLocation::Source(Arc::new(HeldKeys::ephemeral().unwrap()));
        let keys = Arc::<MemoryKeys>::default();
        let ring = Keyring::init(KeyringConfig::new(held), keys, clock.clone()).await.unwrap();
        let mut config = AuditConfig::new(dir.path().join("audit"), "gw-1".to_owned());
        config.append_timeout = Duration::from_mins(1);
        Self { dir, keyring: ring, clock, config }
    }

    pub(super) async fn open(&self) -> AuditLog {
        self.try_open(Disk::default()).await.unwrap()
    }

    pub(super) async fn try_open(&self, disk: Disk) -> Result<AuditLog, AuditFault> {
        let clock: Arc<dyn Clock> = self.clock.clone();
        AuditLog::open_on(disk, self.config.clone(), self.keyring.clone(), clock).await
    }

    /// Opens, appends so many events of a tenant, closes.
    pub(super) async fn write(&self, owner: u8, requests: std::ops::Range<u128>) {
        let log = self.open().await;
        for request in requests {
            log.append(event(owner, request)).await.unwrap();
        }
        log.close().await;
    }

    /// Copies the log as it lies on disk at this moment, as a power cut would leave it.
    pub(super) fn crash(&self) -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(&self.config.dir, &copy.path().join("audit"));
        copy
    }

    /// What a restart after a crash at this moment finds.
    pub(super) fn crashed(&self) -> Self {
        let dir = self.crash();
        let mut config = self.config.clone();
        config.dir = dir.path().join("audit");
        Self { dir, config, keyring: self.keyring.clone(), clock: self.clock.clone() }
    }

    pub(super) fn key(&self) -> VerifyingKey {
        self.keyring.checkpoint_key().verifying_key()
    }

    pub(super) fn place(&self) -> AuditPlace {
        self.config.place()
    }

    pub(super) fn reports(&self, owner: u8) -> Vec<ChainReport> {
        verify(&self.place(), tenant(owner), &self.key()).unwrap()
    }

    /// The one chain's report, which must be whole.
    pub(super) fn whole(&self, owner: u8) -> ChainReport {
        let mut reports = self.reports(owner);
        assert_eq!(reports.len(), 1, "{reports:?}");
        let report = reports.remove(0);
        assert_eq!(report.tamper, None, "{report:?}");
        assert!(!report.unfinished, "{report:?}");
        report
    }

    /// The requests in a tenant's log, in order, and the actions of notes among them.
    pub(super) fn requests(&self, owner: u8) -> (Vec<u128>, Vec<String>) {
        let (from, to) = (Timestamp::from_millis(0), Timestamp::from_millis(i64::MAX));
        let (mut requests, mut notes) = (Vec::new(), Vec::new());
        for line in Export::open(&self.place(), tenant(owner), from, to).unwrap() {
            let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            let action = line["action"].as_str().unwrap();
            if action.starts_with("audit.") {
                notes.push(action.to_owned());
            } else {
                let request: Uuid = line["request"].as_str().unwrap().parse().unwrap();
                requests.push(request.as_u128());
            }
        }
        (requests, notes)
    }

    pub(super) fn segment(&self, owner: u8, segment: u32) -> PathBuf {
        let folder = self.config.dir.join(tenant(owner).to_string()).join("gw-1");
        folder.join(format!("{segment:06}.log"))
    }

    pub(super) fn lines(&self, owner: u8, segment: u32) -> Vec<String> {
        let text = fs::read_to_string(self.segment(owner, segment)).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    pub(super) fn put_lines(&self, owner: u8, segment: u32, lines: &[String]) {
        fs::write(self.segment(owner, segment), lines.join("\n") + "\n").unwrap();
    }

    pub(super) fn checkpoints(&self, owner: u8) -> PathBuf {
        self.place().checkpoint_dir.join(tenant(owner).to_string()).join("gw-1.log")
    }

    pub(super) fn spool(&self) -> PathBuf {
        self.config.dir.join("spool").join("gw-1")
    }
}

/// A disk with plenty of room, to be made worse.
pub(super) fn sick() -> (Disk, Arc<Sick>) {
    let sick = Arc::new(Sick::default());
    sick.spool_left.store(u64::MAX / 2, Ordering::SeqCst);
    sick.chains_left.store(u64::MAX / 2, Ordering::SeqCst);
    (Disk { sick: Some(sick.clone()) }, sick)
}

/// Waits until `done` says so, giving way meanwhile.
pub(super) async fn until(mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waiting).await.unwrap();
}

pub(super) fn newlines(bytes: &[u8]) -> u64 {
    bytes.split(|byte| *byte == b'\n').skip(1).map(|_| 1).sum()
}

pub(super) fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
