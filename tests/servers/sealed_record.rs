//! Seals made by the independent Python implementation open here. Needs `python3` with its
//! `cryptography` package, or another Python named by `WARDGATE_TEST_PYTHON`, as `tests/run` does; the
//! checked-in vectors need neither.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde::Deserialize;
use uuid::Uuid;
use wardgate::base::{ConnectionRevision, SecretText, SystemClock, TenantId, Timestamp};
use wardgate::keyring::{
    DataKeyId, KekId, KekLocation, Keyring, KeyringConfig, MemoryKeys, SealPlace, Sealed,
    WrappedKey,
};

#[derive(Deserialize)]
struct Vectors {
    kek_file: String,
    data_keys: Vec<KeyVector>,
    records: Vec<RecordVector>,
    checkpoint_public_key: String,
}

#[derive(Deserialize)]
struct KeyVector {
    id: Uuid,
    tenant: Uuid,
    kek: String,
    wrapped: String,
}

#[derive(Deserialize)]
struct RecordVector {
    record_id: Uuid,
    tenant: Uuid,
    revision: u64,
    plaintext: String,
    sealed: String,
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks_exact(2);
    pairs.map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

#[expect(clippy::disallowed_methods, reason = "tests are told by environment what they run on")]
fn python() -> String {
    std::env::var("WARDGATE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

#[tokio::test]
async fn what_python_seals_opens() {
    let dir = tempfile::tempdir().unwrap();
    let made = dir.path().join("made.json");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/check_sealed_record.py");
    let run = Command::new(python()).arg(script).arg("--seal").arg(&made).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains(" passed, 0 failed"), "{said}{run:?}");

    let vectors: Vectors = serde_json::from_slice(&std::fs::read(&made).unwrap()).unwrap();
    let keys = Arc::<MemoryKeys>::default();
    for key in vectors.data_keys {
        keys.overwrite(WrappedKey {
            id: DataKeyId(key.id),
            tenant: TenantId::from_uuid(key.tenant),
            kek: KekId(key.kek),
            wrapped: unhex(&key.wrapped),
            created_at: Timestamp::from_millis(0),
        });
    }
    let location = KekLocation::Environment(SecretText::new(vectors.kek_file));
    let clock = Arc::new(SystemClock);
    let ring = Keyring::start(KeyringConfig::new(location), keys, clock).await.unwrap();
    assert_eq!(vectors.records.len(), 3);
    for record in vectors.records {
        let place = SealPlace {
            purpose: "tenant-connection",
            table: "tenant",
            column: "connection",
            record_id: record.record_id,
            tenant: TenantId::from_uuid(record.tenant),
            revision: ConnectionRevision(record.revision),
        };
        let opened = ring.open(&place, &Sealed::from_stored(record.sealed)).await.unwrap();
        assert_eq!(opened.to_plaintext()[..], *record.plaintext.as_bytes());
    }
    assert_eq!(ring.checkpoint_key().verifying_key().to_string(), vectors.checkpoint_public_key);
}
