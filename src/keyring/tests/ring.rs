use std::sync::Arc;
use std::time::Duration;

use super::support::{Breaking, KEK_TEXT, clock, environment, kek, keyring, place, record, tenant};
use crate::base::{Fault as _, FaultKind};
use crate::keyring::ring::{PLATFORM, PLATFORM_KEY};
use crate::keyring::{
    HeldKeys, KekLocation, KeyFault, Keyring, KeyringConfig, MemoryKeys, Purpose, VerifyingKey,
    WrappedKeys as _,
};

const OTHER: &str = "wardgate-kek-file v1\n\
    old QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8=\n\
    new YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn8= current\n";
const NEW_ONLY: &str = "wardgate-kek-file v1\n\
    new ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8= current\n";
const OLD_ONLY: &str = "wardgate-kek-file v1\n\
    old AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= current\n";

async fn start(text: &str, keys: &Arc<MemoryKeys>) -> Result<Keyring, KeyFault> {
    Keyring::start(environment(text), keys.clone(), clock()).await
}

#[tokio::test]
async fn a_keyring_that_does_not_fit_does_not_start() {
    let keys = Arc::<MemoryKeys>::default();
    let empty = start(KEK_TEXT, &keys).await.err().unwrap();
    assert!(matches!(empty, KeyFault::NotInitialised), "{empty}");
    assert!(empty.to_string().contains("keys init"));

    let ring = keyring(&keys).await;
    assert!(start(KEK_TEXT, &keys).await.is_ok());
    assert!(start(NEW_ONLY, &keys).await.is_ok(), "`old` wraps nothing");
    let wrong = start(OTHER, &keys).await.err().unwrap();
    assert!(matches!(wrong, KeyFault::KekWrong { .. }), "{wrong}");
    let missing = start(OLD_ONLY, &keys).await.err().unwrap();
    assert!(matches!(missing, KeyFault::KekMissing { .. }), "{missing}");
    assert!(missing.to_string().contains("keys.kek_file"), "{missing}");

    // A key-encryption key that only a tenant's key needs is missed at start too.
    let key = ring.create_data_key(tenant(1)).await.unwrap();
    let mut row = keys.get(key).await.unwrap().unwrap();
    row.kek = kek("gone");
    keys.overwrite(row.clone());
    assert!(matches!(start(KEK_TEXT, &keys).await, Err(KeyFault::KekMissing { .. })));

    keys.destroy(PLATFORM_KEY).await.unwrap();
    assert!(matches!(start(KEK_TEXT, &keys).await, Err(KeyFault::PlatformKeyLost)));
    let init = Keyring::init(environment(KEK_TEXT), keys.clone(), clock()).await;
    assert!(matches!(init, Err(KeyFault::PlatformKeyLost)), "init repairs nothing");
}

#[tokio::test]
async fn two_gateways_that_start_at_once_agree_on_the_platform_key() {
    let keys = Arc::<MemoryKeys>::default();
    let (a, b) = tokio::join!(keyring(&keys), keyring(&keys));
    let tags = [&a, &b].map(|ring| ring.derive(Purpose::PageCursor, tenant(1)).sign(b"x"));
    assert_eq!(tags[0], tags[1]);
    // The one that finds the store empty and then taken.
    let late = Keyring::init(environment(KEK_TEXT), Breaking::at(&keys, 99, false), clock());
    assert_eq!(late.await.unwrap().derive(Purpose::PageCursor, tenant(1)).sign(b"x"), tags[0]);
}

#[tokio::test]
async fn init_writes_a_key_file_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kek");
    let (keys, config) =
        (Arc::<MemoryKeys>::default(), KeyringConfig::new(KekLocation::File(path.clone())));
    let start = Keyring::start(config.clone(), keys.clone(), clock()).await;
    assert!(start.is_err() && !path.exists(), "starting makes nothing");
    Keyring::init(config.clone(), keys.clone(), clock()).await.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("\nkek-2023-11-14 "), "the first key is named after the day");
    Keyring::init(config.clone(), keys.clone(), clock()).await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    std::fs::remove_file(&path).unwrap();
    assert!(Keyring::init(config, keys, clock()).await.is_err(), "its keys are still in use");
    assert!(!path.exists());
}

#[tokio::test]
async fn an_unwrapped_key_stays_its_time_and_use_does_not_prolong_it() {
    for (ttl, bridged) in [(Duration::from_mins(5), true), (Duration::ZERO, false)] {
        let keys = Arc::<MemoryKeys>::default();
        let config = KeyringConfig { cache_ttl: ttl, ..environment(KEK_TEXT) };
        let ring = Keyring::init(config, keys.clone(), clock()).await.unwrap();
        let key = ring.create_data_key(tenant(1)).await.unwrap();
        let sealed = ring.seal(&place(tenant(1)), key, &record("x")).await.unwrap();
        keys.destroy(key).await.unwrap();
        assert_eq!(ring.open(&place(tenant(1)), &sealed).await.is_ok(), bridged);
    }
    let keys = Arc::<MemoryKeys>::default();
    let config = KeyringConfig { cache_ttl: Duration::from_millis(50), ..environment(KEK_TEXT) };
    let ring = Keyring::init(config, keys.clone(), clock()).await.unwrap();
    let key = ring.create_data_key(tenant(1)).await.unwrap();
    let sealed = ring.seal(&place(tenant(1)), key, &record("x")).await.unwrap();
    keys.destroy(key).await.unwrap();
    let used_until_it_ends = async {
        while ring.open(&place(tenant(1)), &sealed).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), used_until_it_ends).await.unwrap();
}

#[tokio::test]
async fn memory_is_swept_without_anybody_asking() {
    for (ttl, left) in [(Duration::from_mins(5), 2), (Duration::ZERO, 0)] {
        let config = KeyringConfig { cache_ttl: ttl, ..environment(KEK_TEXT) };
        let ring = Keyring::init(config, Arc::<MemoryKeys>::default(), clock()).await.unwrap();
        for n in 1..=3 {
            let key = ring.create_data_key(tenant(n)).await.unwrap();
            ring.seal(&place(tenant(n)), key, &record("x")).await.unwrap();
        }
        assert_eq!(ring.0.cache.len(), 3);
        ring.forget(tenant(2));
        assert_eq!(ring.0.cache.len(), 2);
        let stop = tokio_util::sync::CancellationToken::new();
        let upkeep = tokio::spawn(ring.clone().run_maintenance(stop.clone()));
        let swept = async {
            while ring.0.cache.len() != left {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), swept).await.unwrap();
        stop.cancel();
        upkeep.await.unwrap();
    }
}

#[tokio::test]
async fn the_cache_is_bounded_and_forgets_what_is_being_fetched() {
    let keys = Arc::<MemoryKeys>::default();
    let config = KeyringConfig { cache_capacity: 2, ..environment(KEK_TEXT) };
    let ring = Keyring::init(config, keys, clock()).await.unwrap();
    for n in 1..=5 {
        let key = ring.create_data_key(tenant(n)).await.unwrap();
        let sealed = ring.seal(&place(tenant(n)), key, &record("x")).await.unwrap();
        assert!(ring.open(&place(tenant(n)), &sealed).await.is_ok());
        assert!(ring.0.cache.len() <= 2);
    }
    let key = ring.create_data_key(tenant(6)).await.unwrap();
    let fetched = ring.sealing_key(key).await.ok().unwrap();
    ring.forget(tenant(6));
    let Err(begun) = ring.0.cache.get(key) else { panic!("forgotten") };
    ring.forget(tenant(6));
    ring.0.cache.put(begun, &fetched);
    assert!(ring.0.cache.get(key).is_err(), "a fetch from before does not bring it back");
}

#[tokio::test]
async fn a_data_key_seals_only_so_often() {
    let config = KeyringConfig { seals_per_key: 3, ..environment(KEK_TEXT) };
    let ring = Keyring::init(config, Arc::<MemoryKeys>::default(), clock()).await.unwrap();
    let key = ring.create_data_key(tenant(1)).await.unwrap();
    for _ in 0..3 {
        ring.seal(&place(tenant(1)), key, &record("x")).await.unwrap();
        ring.forget(tenant(1));
    }
    let fourth = ring.seal(&place(tenant(1)), key, &record("x")).await;
    assert!(matches!(fourth, Err(KeyFault::Exhausted(_))));
    let limit = Keyring::init(environment(KEK_TEXT), Arc::<MemoryKeys>::default(), clock()).await;
    assert_eq!(limit.unwrap().0.seals_per_key, 1 << 31);
}

#[tokio::test]
async fn derived_keys_differ_by_purpose_tenant_and_installation() {
    let ring = keyring(&Arc::default()).await;
    let other = keyring(&Arc::default()).await;
    let mut tags = Vec::new();
    for ring in [&ring, &other] {
        for purpose in [Purpose::PageCursor, Purpose::AuditIdentifier] {
            for owner in [PLATFORM, tenant(1), tenant(2)] {
                tags.push(ring.derive(purpose, owner).sign(b"message"));
            }
        }
    }
    let distinct: std::collections::HashSet<_> = tags.iter().collect();
    assert_eq!(distinct.len(), tags.len());

    let mac = ring.derive(Purpose::PageCursor, tenant(1));
    let tag = mac.sign(b"message");
    assert!(mac.verify(b"message", &tag));
    assert!(!mac.verify(b"messagf", &tag) && !mac.verify(b"message", &tag[..31]));
    assert!(!mac.verify(b"message", &[]));

    let signed = ring.checkpoint_key().sign(b"root");
    let public: VerifyingKey = ring.checkpoint_key().verifying_key().to_string().parse().unwrap();
    assert!(public.verify(b"root", &signed) && !public.verify(b"roof", &signed));
    assert!(!other.checkpoint_key().verifying_key().verify(b"root", &signed));
    assert!("ed25519:AAAA".parse::<VerifyingKey>().is_err());
}

#[tokio::test]
async fn a_store_that_is_away_is_not_called_tampering() {
    let keys = Arc::<MemoryKeys>::default();
    let ring = keyring(&keys).await;
    let key = ring.create_data_key(tenant(1)).await.unwrap();
    let sealed = ring.seal(&place(tenant(1)), key, &record("x")).await.unwrap();
    let config = KeyringConfig::new(KekLocation::Environment(crate::base::SecretText::new(
        KEK_TEXT.to_owned(),
    )));
    // get, then two pages: start takes three operations, the fourth breaks.
    let away = Keyring::start(config, Breaking::at(&keys, 4, false), clock()).await.unwrap();
    let fault = away.open(&place(tenant(1)), &sealed).await.err().unwrap();
    assert_eq!(fault.kind(), FaultKind::Unavailable);
    assert_eq!(fault.retry_after_secs(), Some(5));
}

#[tokio::test]
async fn ephemeral_keys_serve_tests() {
    let source = KekLocation::Source(Arc::new(HeldKeys::ephemeral().unwrap()));
    let config = KeyringConfig::new(source);
    let ring = Keyring::init(config, Arc::<MemoryKeys>::default(), clock()).await.unwrap();
    assert!(ring.create_data_key(tenant(1)).await.is_ok());
    assert!(ring.rotate_kek(kek("next"), |_| ()).await.is_err(), "it has nowhere to keep one");
}
