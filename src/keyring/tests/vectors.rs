//! The checked-in vectors: written here from fixed keys and nonces, checked here and by
//! `tests/vectors/check_sealed_record.py`, which shares nothing with this code.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::support::{KEK_TEXT, clock, environment, kek, password, record};
use crate::base::{ConnectionRevision, TenantId, Timestamp};
use crate::keyring::derive::Root;
use crate::keyring::keyfile::KekSet;
use crate::keyring::material::KeyBytes;
use crate::keyring::ring::{PLATFORM, PLATFORM_KEY};
use crate::keyring::sealed::SealingKey;
use crate::keyring::source::{self, WrapBinding};
use crate::keyring::{
    DataKeyId, KeyFault, Keyring, MemoryKeys, Purpose, SealPlace, Sealed, WrappedKey,
};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/sealed-record-v1.json");
const PASSWORDS: [&str; 3] = ["hunter2", "", "pässwörd \"quoted\" \\ 長い"];

#[derive(Serialize, Deserialize)]
struct Vectors {
    format: String,
    kek_file: String,
    data_keys: Vec<KeyVector>,
    records: Vec<RecordVector>,
    derived: Vec<DerivedVector>,
    checkpoint_public_key: String,
}

#[derive(Serialize, Deserialize)]
struct KeyVector {
    id: Uuid,
    tenant: Uuid,
    kek: String,
    key: String,
    nonce: String,
    wrapped: String,
}

#[derive(Serialize, Deserialize)]
struct RecordVector {
    purpose: String,
    table: String,
    column: String,
    record_id: Uuid,
    tenant: Uuid,
    revision: u64,
    data_key: Uuid,
    nonce: String,
    plaintext: String,
    sealed: String,
}

#[derive(Serialize, Deserialize)]
struct DerivedVector {
    purpose: String,
    tenant: Uuid,
    key: String,
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks_exact(2);
    digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

fn place(record_id: u128, tenant: TenantId, revision: u64) -> SealPlace {
    SealPlace {
        purpose: "tenant-connection",
        table: "tenant",
        column: "connection",
        record_id: Uuid::from_u128(record_id),
        tenant,
        revision: ConnectionRevision(revision),
    }
}

fn generate() -> Vectors {
    let keks = KekSet::parse(KEK_TEXT).map_err(|fault| fault.to_string()).unwrap();
    let hospital = TenantId::from_uuid(Uuid::from_u128(0x1111_2222_3333_4444_8555_6666_7777_8888));
    let hospital_key = DataKeyId(Uuid::from_u128(0x9999_aaaa_bbbb_4ccc_8ddd_eeee_ffff_0000));
    let platform = KeyBytes::copied_from(&[0xa5; 32]).unwrap();
    let data_key = KeyBytes::copied_from(&(169..=200).rev().collect::<Vec<u8>>());
    let data_key = data_key.unwrap();
    let mut data_keys = Vec::new();
    for (id, tenant, kek_id, key, nonce) in [
        (PLATFORM_KEY, PLATFORM, "new", &platform, [1; 12]),
        (hospital_key, hospital, "old", &data_key, [2; 12]),
    ] {
        let (kek_id, binding) = (kek(kek_id), WrapBinding { id, tenant });
        let under = keks.get(&kek_id).unwrap();
        let wrapped = source::wrap_with_nonce(&kek_id, under, binding, key, nonce).unwrap();
        data_keys.push(KeyVector {
            id: id.0,
            tenant: *tenant.as_uuid(),
            kek: kek_id.0,
            key: hex(key.expose()),
            nonce: hex(&nonce),
            wrapped: hex(&wrapped),
        });
    }
    let sealing = SealingKey::derive(hospital_key, hospital, &data_key);
    let numbers = [(0_u8, 0), (1, 1), (2, u64::MAX)];
    let records = PASSWORDS.iter().zip(numbers).map(|(word, (at, revision))| {
        let place = place(0xf000 + u128::from(at), hospital, revision);
        let (plaintext, nonce) = (record(word).to_plaintext(), [0x10 + at; 12]);
        let sealed = sealing.seal(&place, nonce, &plaintext).unwrap();
        RecordVector {
            purpose: place.purpose.to_owned(),
            table: place.table.to_owned(),
            column: place.column.to_owned(),
            record_id: place.record_id,
            tenant: *hospital.as_uuid(),
            revision,
            data_key: hospital_key.0,
            nonce: hex(&nonce),
            plaintext: String::from_utf8(plaintext.to_vec()).unwrap(),
            sealed: sealed.as_str().to_owned(),
        }
    });
    let records = records.collect();
    let root = Root::of(&platform);
    let purposes = [
        ("page-cursor", Purpose::PageCursor),
        ("audit-identifier", Purpose::AuditIdentifier),
        ("audit-checkpoint", Purpose::AuditCheckpoint),
    ];
    let derived = purposes.iter().flat_map(|(word, purpose)| {
        [PLATFORM, hospital].map(|tenant| DerivedVector {
            purpose: (*word).to_owned(),
            tenant: *tenant.as_uuid(),
            key: hex(root.derive(*purpose, tenant).expose()),
        })
    });
    let derived = derived.collect();
    let seed = root.derive(Purpose::AuditCheckpoint, PLATFORM);
    let signing = crate::keyring::SigningKey::from_seed(&seed).unwrap();
    Vectors {
        format: "wardgate sealed record v1".to_owned(),
        kek_file: KEK_TEXT.to_owned(),
        data_keys,
        records,
        derived,
        checkpoint_public_key: signing.verifying_key().to_string(),
    }
}

#[test]
fn the_checked_in_vectors_are_what_this_code_makes() {
    let made = serde_json::to_string_pretty(&generate()).unwrap() + "\n";
    // For a new version of the form only.
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(PATH, &made).unwrap();
    }
    assert_eq!(std::fs::read_to_string(PATH).unwrap(), made);
}

/// Opens vectors through the public face only: key text, wrapped keys, seals.
async fn open_all(text: &str) -> usize {
    let vectors: Vectors = serde_json::from_str(text).unwrap();
    let keys = Arc::<MemoryKeys>::default();
    for key in &vectors.data_keys {
        keys.overwrite(WrappedKey {
            id: DataKeyId(key.id),
            tenant: TenantId::from_uuid(key.tenant),
            kek: kek(&key.kek),
            wrapped: unhex(&key.wrapped),
            created_at: Timestamp::from_millis(0),
        });
    }
    let ring = Keyring::start(environment(&vectors.kek_file), keys, clock()).await.unwrap();
    for vector in &vectors.records {
        let home = SealPlace {
            record_id: vector.record_id,
            ..place(0, TenantId::from_uuid(vector.tenant), vector.revision)
        };
        let sealed = Sealed::from_stored(vector.sealed.clone());
        let opened = ring.open(&home, &sealed).await.unwrap();
        assert_eq!(opened.to_plaintext()[..], *vector.plaintext.as_bytes());
        assert!(PASSWORDS.contains(&password(&opened).as_str()));
        let elsewhere = SealPlace { record_id: Uuid::nil(), ..home };
        assert!(matches!(ring.open(&elsewhere, &sealed).await, Err(KeyFault::DoesNotOpen)));
    }
    assert_eq!(ring.checkpoint_key().verifying_key().to_string(), vectors.checkpoint_public_key);
    vectors.records.len()
}

#[tokio::test]
async fn the_vectors_open_also_those_that_python_sealed() {
    for path in [PATH.to_owned(), PATH.replace(".json", "-python.json")] {
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(open_all(&text).await, 3);
    }
}
