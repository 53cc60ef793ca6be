//! The matrix of changed and moved seals: all refused, with one answer.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::support::{keyring, password, place, record, tenant};
use crate::base::{ConnectionRevision, Fault as _, FaultKind};
use crate::keyring::sealed::{HEADER_LEN, PREFIX};
use crate::keyring::{
    DataKeyId, KekId, KeyFault, Keyring, MemoryKeys, SealPlace, Sealed, WrappedKeys as _,
};

async fn refused(ring: &Keyring, place: &SealPlace, text: String) {
    let shown = format!("{text:.20}… of {}", text.len());
    let fault = ring.open(place, &Sealed::from_stored(text)).await.err();
    assert!(matches!(fault, Some(KeyFault::DoesNotOpen)), "{shown}: {fault:?}");
    assert_eq!(fault.map(|fault| fault.kind()), Some(FaultKind::Integrity));
}

#[tokio::test]
async fn opens_where_it_was_sealed() {
    let ring = keyring(&Arc::default()).await;
    let key = ring.create_data_key(tenant(1)).await.unwrap();
    let sealed = ring.seal(&place(tenant(1)), key, &record("hunter2")).await.unwrap();
    assert!(sealed.as_str().starts_with(PREFIX));
    assert_eq!(sealed.data_key_id(), Some(key));
    assert_eq!(format!("{sealed:?}"), "Sealed(***)");
    let opened = ring.open(&place(tenant(1)), &sealed).await.unwrap();
    assert_eq!(password(&opened), "hunter2");
    let again = ring.seal(&place(tenant(1)), key, &record("hunter2")).await.unwrap();
    assert_ne!(again, sealed, "every seal has its own nonce");
}

#[tokio::test]
async fn every_flipped_bit_is_refused() {
    let ring = keyring(&Arc::default()).await;
    let (home, key) = (place(tenant(1)), ring.create_data_key(tenant(1)).await.unwrap());
    let sealed = ring.seal(&home, key, &record("hunter2")).await.unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(&sealed.as_str()[PREFIX.len()..]).unwrap();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&changed));
            refused(&ring, &home, text).await;
        }
    }
}

#[tokio::test]
async fn every_changed_character_and_length_is_refused() {
    let ring = keyring(&Arc::default()).await;
    let (home, key) = (place(tenant(1)), ring.create_data_key(tenant(1)).await.unwrap());
    let sealed = ring.seal(&home, key, &record("hunter2")).await.unwrap();
    let text = sealed.as_str();
    for at in 0..text.len() {
        refused(&ring, &home, text[..at].to_owned()).await;
        for other in ["A", "=", "+", "é"] {
            if &text[at..=at] != other {
                let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
                refused(&ring, &home, changed).await;
            }
        }
    }
    for tail in ["A", "AAAA", "=", "==", "\n", " "] {
        refused(&ring, &home, format!("{text}{tail}")).await;
    }
    let bytes = URL_SAFE_NO_PAD.decode(&text[PREFIX.len()..]).unwrap();
    for len in 0..bytes.len() {
        let cut = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&bytes[..len]));
        refused(&ring, &home, cut).await;
    }
    let plain = r#"{"engine":"sqlite","file":"a.db"}"#;
    refused(&ring, &home, plain.to_owned()).await;
    refused(&ring, &home, format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(plain))).await;
    refused(&ring, &home, format!("{PREFIX}{}", "A".repeat(1 << 20))).await;
}

#[tokio::test]
async fn a_seal_opens_at_its_own_place_only() {
    let keys = Arc::<MemoryKeys>::default();
    let ring = keyring(&keys).await;
    let home = place(tenant(1));
    let key = ring.create_data_key(tenant(1)).await.unwrap();
    ring.create_data_key(tenant(2)).await.unwrap();
    let sealed = ring.seal(&home, key, &record("hunter2")).await.unwrap();
    let moved = [
        SealPlace { tenant: tenant(2), ..home },
        SealPlace { purpose: "tenant-connectio", ..home },
        SealPlace { table: "tenants", ..home },
        SealPlace { column: "connection_old", ..home },
        // The lengths are bound too: the same letters, cut elsewhere.
        SealPlace { table: "tenantc", column: "onnection", ..home },
        SealPlace { purpose: "", table: "tenant-connectiontenant", ..home },
        SealPlace { record_id: Uuid::nil(), ..home },
        SealPlace { revision: ConnectionRevision(6), ..home },
        SealPlace { revision: ConnectionRevision(8), ..home },
        SealPlace { revision: ConnectionRevision(7 << 8), ..home },
    ];
    for elsewhere in moved {
        refused(&ring, &elsewhere, sealed.as_str().to_owned()).await;
    }
    assert!(ring.open(&home, &sealed).await.is_ok());
}

#[tokio::test]
async fn another_key_does_not_open_it() {
    let keys = Arc::<MemoryKeys>::default();
    let ring = keyring(&keys).await;
    let home = place(tenant(1));
    let first = ring.create_data_key(tenant(1)).await.unwrap();
    let second = ring.create_data_key(tenant(1)).await.unwrap();
    let foreign = ring.create_data_key(tenant(2)).await.unwrap();
    let sealed = ring.seal(&home, first, &record("hunter2")).await.unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(&sealed.as_str()[PREFIX.len()..]).unwrap();
    for other in [second, foreign, DataKeyId(Uuid::from_bytes([9; 16]))] {
        let mut changed = bytes.clone();
        changed[18..34].copy_from_slice(other.0.as_bytes());
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&changed));
        refused(&ring, &home, text).await;
    }
    assert_eq!(HEADER_LEN, 78);
}

#[tokio::test]
async fn a_changed_key_store_opens_nothing() {
    let keys = Arc::<MemoryKeys>::default();
    let ring = keyring(&keys).await;
    let key = ring.create_data_key(tenant(1)).await.unwrap();
    let foreign = ring.create_data_key(tenant(2)).await.unwrap();
    let home = place(tenant(1));
    let sealed = ring.seal(&home, key, &record("hunter2")).await.unwrap();
    let (mine, hers) =
        (keys.get(key).await.unwrap().unwrap(), keys.get(foreign).await.unwrap().unwrap());

    let mut rows = vec![
        // Another tenant's wrapped key under this id, with and without her name.
        (mine.id, hers.tenant, mine.kek.clone(), hers.wrapped.clone()),
        (mine.id, mine.tenant, mine.kek.clone(), hers.wrapped.clone()),
        (mine.id, hers.tenant, mine.kek.clone(), mine.wrapped.clone()),
        (mine.id, mine.tenant, KekId("old".to_owned()), mine.wrapped.clone()),
        (mine.id, mine.tenant, KekId("absent".to_owned()), mine.wrapped.clone()),
    ];
    for at in 0..mine.wrapped.len() {
        let mut changed = mine.wrapped.clone();
        changed[at] ^= 1;
        rows.push((mine.id, mine.tenant, mine.kek.clone(), changed));
        rows.push((mine.id, mine.tenant, mine.kek.clone(), mine.wrapped[..at].to_vec()));
    }
    for (id, owner, kek, wrapped) in rows {
        let mut row = mine.clone();
        (row.id, row.tenant, row.kek, row.wrapped) = (id, owner, kek, wrapped);
        keys.overwrite(row);
        ring.forget(tenant(1));
        ring.forget(tenant(2));
        refused(&ring, &home, sealed.as_str().to_owned()).await;
    }
    keys.overwrite(mine);
    assert!(ring.open(&home, &sealed).await.is_ok(), "the row as it was opens again");
}

#[tokio::test]
async fn sealing_is_refused_under_a_key_that_is_not_the_tenants() {
    let ring = keyring(&Arc::default()).await;
    let foreign = ring.create_data_key(tenant(2)).await.unwrap();
    let home = place(tenant(1));
    let sealed = ring.seal(&home, foreign, &record("x")).await;
    assert!(matches!(sealed, Err(KeyFault::ForeignKey(_))));
    let absent = ring.seal(&home, DataKeyId(Uuid::nil()), &record("x")).await;
    assert!(matches!(absent, Err(KeyFault::NoSuchKey(_))));
    let own = ring.create_data_key(tenant(1)).await.unwrap();
    let large = ring.seal(&home, own, &record(&"x".repeat(129 * 1024))).await;
    assert!(matches!(large, Err(KeyFault::TooLarge)));
    assert!(ring.create_data_key(crate::keyring::ring::PLATFORM).await.is_err());
}

/// Where a test's log lines go.
#[derive(Clone, Default)]
struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_refusal_is_an_integrity_event_without_secrets() {
    let lines = Lines::default();
    let sink = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || sink.clone())
        .finish();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let sealed = tracing::subscriber::with_default(subscriber, || {
        runtime.block_on(async {
            let ring = keyring(&Arc::default()).await;
            let key = ring.create_data_key(tenant(1)).await.unwrap();
            let sealed = ring.seal(&place(tenant(1)), key, &record("hunter2")).await.unwrap();
            ring.open(&place(tenant(1)), &sealed).await.unwrap();
            ring.open(&place(tenant(2)), &sealed).await.unwrap_err();
            sealed
        })
    });
    let said = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let events: Vec<_> = said.lines().filter(|line| line.contains("wardgate::integrity")).collect();
    assert_eq!(events.len(), 1, "{said}");
    for part in ["ERROR", "key_foreign", &tenant(2).to_string(), "sealed_record_does_not_open"] {
        assert!(events[0].contains(part), "{part}: {said}");
    }
    for secret in ["hunter2", "reader", "db.hospital.example", &sealed.as_str()[10..30], "AAECAwQF"]
    {
        assert!(!said.contains(secret), "{said}");
    }
}
