//! A process killed while it writes.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use uuid::Uuid;

use super::support::event;
use crate::audit::{AuditConfig, AuditLog, Export, verify};
use crate::base::{SecretText, SystemClock, TenantId, Timestamp};
use crate::keyring::{
    DataKeyId, KekId, KekLocation, Keyring, KeyringConfig, MemoryKeys, WrappedKey,
};

const TENANTS: u8 = 5;
/// In the folder where the child may write.
const MARK: &str = "killed-soon";

/// The same keys in every process: those of the checked-in vectors.
async fn keyring() -> Keyring {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/sealed-record-v1.json");
    let vectors: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (platform, text) =
        (&vectors["data_keys"][0], |value: &serde_json::Value| value.as_str().unwrap().to_owned());
    let digits = text(&platform["wrapped"]);
    let pairs = (0..digits.len()).step_by(2).map(|at| &digits[at..at + 2]);
    let keys = Arc::<MemoryKeys>::default();
    keys.overwrite(WrappedKey {
        id: DataKeyId(text(&platform["id"]).parse().unwrap()),
        tenant: TenantId::from_uuid(text(&platform["tenant"]).parse().unwrap()),
        kek: KekId(text(&platform["kek"])),
        wrapped: pairs.map(|two| u8::from_str_radix(two, 16).unwrap()).collect(),
        created_at: Timestamp::from_millis(0),
    });
    let location = KekLocation::Environment(SecretText::new(text(&vectors["kek_file"])));
    Keyring::start(KeyringConfig::new(location), keys, Arc::new(SystemClock)).await.unwrap()
}

async fn open(dir: PathBuf) -> AuditLog {
    let mut config = AuditConfig::new(dir, "gw-1".to_owned());
    // Everything turns over many times before the end.
    config.segment_bytes = 20_000;
    config.spool_bytes = 10_000;
    config.checkpoint_events = 20;
    AuditLog::open(config, keyring().await, Arc::new(SystemClock)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    // The process that the test below kills. Run with all the others it has nothing to do.
    if !Path::new(MARK).exists() {
        return;
    }
    let log = open(std::env::current_dir().unwrap().join("audit")).await;
    let writers = (0..16_u8).map(|writer| {
        let log = log.clone();
        tokio::spawn(async move {
            for at in 0_u8.. {
                let request = Uuid::new_v4();
                let owner = writer.wrapping_add(at) % TENANTS;
                log.append(event(owner, request.as_u128())).await.unwrap();
                // The answer that the event was promised before.
                println!("answered {request}");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

#[tokio::test]
async fn nothing_answered_is_lost_when_the_process_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(MARK), "").unwrap();
    let mut answered = HashSet::new();
    for round in 1..=8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "audit::tests::kill::child", "--nocapture"])
            .current_dir(dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let (before, mut line) = (answered.len(), String::new());
        while said.read_line(&mut line).unwrap() > 0 {
            // A line the kill broke off has no newline, and its answer did not arrive.
            let whole = line.strip_suffix('\n').and_then(|line| line.rsplit_once("answered "));
            if let Some((_, request)) = whole {
                let request: Uuid = request.parse().unwrap();
                assert!(answered.insert(request.as_u128()));
            }
            if answered.len() == before + 100 * round {
                child.kill().unwrap();
            }
            line.clear();
        }
        assert!(!child.wait().unwrap().success());
        assert!(answered.len() >= before + 100 * round, "killed while it was writing");
    }

    let log = open(dir.path().join("audit")).await;
    log.close().await;
    let (mut recorded, key) = (Vec::new(), keyring().await.checkpoint_key().verifying_key());
    for owner in 0..TENANTS {
        let owner = super::support::tenant(owner);
        for report in verify(&log.place(), owner, &key).unwrap() {
            assert_eq!((report.tamper, report.unfinished), (None, false), "{report:?}");
        }
        let (from, to) = (Timestamp::from_millis(0), Timestamp::from_millis(i64::MAX));
        for line in Export::open(&log.place(), owner, from, to).unwrap() {
            let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            let request: Uuid = line["request"].as_str().unwrap().parse().unwrap();
            if !request.is_nil() {
                recorded.push(request.as_u128());
            }
        }
    }
    let distinct: HashSet<u128> = recorded.iter().copied().collect();
    assert_eq!(distinct.len(), recorded.len(), "each once");
    assert_eq!(answered.difference(&distinct).count(), 0, "all that was answered");
}
