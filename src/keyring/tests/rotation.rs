//! Rotation, broken off at every operation.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::support::{Breaking, clock, kek, keyring, password, place, record, tenant};
use crate::base::Timestamp;
use crate::keyring::ring::PLATFORM_KEY;
use crate::keyring::{
    DataKeyId, FileKeys, KekLocation, KeyFault, KeySource as _, Keyring, KeyringConfig, MemoryKeys,
    Purpose, Sealed, WrappedKeys, WrappedKeysFuture,
};

struct Hospital {
    keys: Arc<MemoryKeys>,
    config: KeyringConfig,
    seals: Vec<(u8, Sealed)>,
    _dir: tempfile::TempDir,
}

async fn hospitals(count: u8) -> Hospital {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kek");
    FileKeys::create(&path, kek("first")).unwrap();
    let (keys, config) =
        (Arc::<MemoryKeys>::default(), KeyringConfig::new(KekLocation::File(path)));
    let ring = Keyring::init(config.clone(), keys.clone(), clock()).await.unwrap();
    let mut seals = Vec::new();
    for n in 1..=count {
        let key = ring.create_data_key(tenant(n)).await.unwrap();
        let sealed = ring.seal(&place(tenant(n)), key, &record(&format!("pw{n}"))).await.unwrap();
        seals.push((n, sealed));
    }
    Hospital { keys, config, seals, _dir: dir }
}

impl Hospital {
    async fn restart(&self) -> Keyring {
        Keyring::start(self.config.clone(), self.keys.clone(), clock()).await.unwrap()
    }

    async fn all_readable(&self, ring: &Keyring) {
        for (n, sealed) in &self.seals {
            let opened = ring.open(&place(tenant(*n)), sealed).await.unwrap();
            assert_eq!(password(&opened), format!("pw{n}"));
        }
    }
}

fn counts(pairs: &[(&str, u64)]) -> BTreeMap<crate::keyring::KekId, u64> {
    pairs.iter().map(|(id, count)| (kek(id), *count)).collect()
}

#[tokio::test]
async fn a_new_kek_rewraps_every_key_and_touches_no_record() {
    let all = hospitals(9).await;
    let ring = all.restart().await;
    let tag = ring.derive(Purpose::PageCursor, tenant(1)).sign(b"x");
    let public = ring.checkpoint_key().verifying_key();
    assert_eq!(ring.kek_references().await.unwrap(), counts(&[("first", 10)]));
    assert!(ring.drop_kek(kek("first")).await.is_err(), "current");

    let mut told = Vec::new();
    let done = ring.rotate_kek(kek("second"), |at| told.push(at.clone())).await.unwrap();
    assert_eq!((done.seen, done.rewrapped, done.current, done.raced), (10, 10, 0, 0));
    assert!(done.unreadable.is_empty() && told == [done]);
    assert_eq!(ring.kek_references().await.unwrap(), counts(&[("first", 0), ("second", 10)]));

    let again = ring.rotate_kek(kek("second"), |_| ()).await.unwrap();
    assert_eq!((again.rewrapped, again.current), (0, 10), "repeating it does nothing");
    ring.drop_kek(kek("first")).await.unwrap();
    let ring = all.restart().await;
    all.all_readable(&ring).await;
    assert_eq!(ring.derive(Purpose::PageCursor, tenant(1)).sign(b"x"), tag);
    assert_eq!(ring.checkpoint_key().verifying_key(), public);
}

#[tokio::test]
async fn a_rotation_killed_at_any_operation_loses_nothing_and_finishes() {
    for after in [false, true] {
        for operation in 1.. {
            let all = hospitals(4).await;
            // Starting takes a get and two pages; then the rotation's own operations.
            let breaking = Breaking::at(&all.keys, 3 + operation, after);
            let ring = Keyring::start(all.config.clone(), breaking, clock()).await.unwrap();
            let killed = ring.rotate_kek(kek("second"), |_| ()).await;
            drop(ring);

            let ring = all.restart().await;
            all.all_readable(&ring).await;
            let references = ring.kek_references().await.unwrap();
            if references[&kek("first")] > 0 {
                let dropped = ring.drop_kek(kek("first")).await;
                assert!(matches!(dropped, Err(KeyFault::KekInUse { .. } | KeyFault::Source(_))));
            }
            ring.rotate_kek(kek("second"), |_| ()).await.unwrap();
            ring.drop_kek(kek("first")).await.unwrap();
            all.all_readable(&all.restart().await).await;
            if killed.is_ok() {
                assert!(operation > 7, "two pages and five keys are seven operations");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_rotation_killed_in_the_key_file_finishes() {
    // Between making the key, making it current and the first rewrap.
    for made in 1..=2 {
        let all = hospitals(2).await;
        let KekLocation::File(path) = &all.config.location else { panic!("a file") };
        let source = FileKeys::open(path).unwrap();
        source.add(kek("second")).await.unwrap();
        if made == 2 {
            source.set_current(kek("second")).await.unwrap();
        }
        let ring = all.restart().await;
        all.all_readable(&ring).await;
        ring.rotate_kek(kek("second"), |_| ()).await.unwrap();
        ring.drop_kek(kek("first")).await.unwrap();
        all.all_readable(&all.restart().await).await;
    }
}

#[tokio::test]
async fn two_rotations_at_once_and_seals_meanwhile_lose_nothing() {
    let mut all = hospitals(40).await;
    let (a, b, c) = (all.restart().await, all.restart().await, all.restart().await);
    let seals = async {
        let mut seals = Vec::new();
        for n in 100..=120 {
            let key = c.create_data_key(tenant(n)).await.unwrap();
            let record = record(&format!("pw{n}"));
            seals.push((n, c.seal(&place(tenant(n)), key, &record).await.unwrap()));
        }
        seals
    };
    let rotate = a.rotate_kek(kek("second"), |_| ());
    let (first, more) = tokio::join!(rotate, seals);
    first.unwrap();
    let (first, second) = tokio::join!(a.rewrap_all(|_| ()), b.rewrap_all(|_| ()));
    assert!(first.unwrap().unreadable.is_empty() && second.unwrap().unreadable.is_empty());
    all.seals.extend(more);
    a.drop_kek(kek("first")).await.unwrap();
    all.all_readable(&all.restart().await).await;
    all.all_readable(&c).await;
}

/// Somebody else changes the row between reading and replacing it.
struct Racing(Arc<MemoryKeys>, DataKeyId);

impl WrappedKeys for Racing {
    fn get(&self, id: DataKeyId) -> WrappedKeysFuture<'_, Option<crate::keyring::WrappedKey>> {
        self.0.get(id)
    }
    fn newest(
        &self,
        tenant: crate::base::TenantId,
    ) -> WrappedKeysFuture<'_, Option<crate::keyring::WrappedKey>> {
        self.0.newest(tenant)
    }
    fn insert(&self, key: crate::keyring::WrappedKey) -> WrappedKeysFuture<'_, ()> {
        self.0.insert(key)
    }
    fn rewrap(
        &self,
        from: crate::keyring::KekId,
        to: crate::keyring::WrappedKey,
    ) -> WrappedKeysFuture<'_, bool> {
        Box::pin(async move {
            if to.id == self.1 {
                self.0.destroy(to.id).await?;
            }
            self.0.rewrap(from, to).await
        })
    }
    fn list(
        &self,
        after: Option<DataKeyId>,
        limit: u32,
    ) -> WrappedKeysFuture<'_, Vec<crate::keyring::WrappedKey>> {
        self.0.list(after, limit)
    }
    fn destroy(&self, id: DataKeyId) -> WrappedKeysFuture<'_, bool> {
        self.0.destroy(id)
    }
}

#[tokio::test]
async fn a_key_destroyed_during_rotation_does_not_come_back() {
    let all = hospitals(3).await;
    let gone = all.seals[1].1.data_key_id().unwrap();
    let keys = Arc::new(Racing(all.keys.clone(), gone));
    let ring = Keyring::start(all.config.clone(), keys, clock()).await.unwrap();
    let done = ring.rotate_kek(kek("second"), |_| ()).await.unwrap();
    assert_eq!((done.rewrapped, done.raced), (3, 1));
    assert!(all.keys.get(gone).await.unwrap().is_none());
}

#[tokio::test]
async fn an_unreadable_key_is_named_and_stops_neither_the_others_nor_holds_back() {
    let all = hospitals(3).await;
    let broken = all.seals[0].1.data_key_id().unwrap();
    let ring = all.restart().await;
    let mut row = all.keys.get(broken).await.unwrap().unwrap();
    row.wrapped[20] ^= 1;
    all.keys.overwrite(row);
    let done = ring.rotate_kek(kek("second"), |_| ()).await.unwrap();
    assert_eq!((done.rewrapped, done.unreadable), (3, vec![broken]));
    let dropped = ring.drop_kek(kek("first")).await;
    assert!(matches!(dropped, Err(KeyFault::KekInUse { references: 1, .. })));
}

#[tokio::test]
async fn a_data_key_is_rotated_by_resealing() {
    let ring = keyring(&Arc::default()).await;
    let home = place(tenant(1));
    let old = ring.create_data_key(tenant(1)).await.unwrap();
    let sealed = ring.seal(&home, old, &record("hunter2")).await.unwrap();
    let new = ring.create_data_key(tenant(1)).await.unwrap();
    let resealed = ring.reseal(&home, &sealed, new).await.unwrap();
    assert_eq!(resealed.data_key_id(), Some(new));
    assert!(ring.open(&home, &sealed).await.is_ok(), "readers accept both meanwhile");
    assert!(ring.destroy_data_key(old).await.unwrap());
    assert!(!ring.destroy_data_key(old).await.unwrap());
    assert!(matches!(ring.open(&home, &sealed).await, Err(KeyFault::DoesNotOpen)));
    assert_eq!(password(&ring.open(&home, &resealed).await.unwrap()), "hunter2");
    let foreign = ring.create_data_key(tenant(2)).await.unwrap();
    assert!(ring.reseal(&home, &resealed, foreign).await.is_err());
    assert!(ring.destroy_data_key(PLATFORM_KEY).await.is_err());
}

#[tokio::test]
async fn destroying_a_tenants_keys_spares_the_others() {
    let all = hospitals(5).await;
    let ring = all.restart().await;
    ring.create_data_key(tenant(3)).await.unwrap();
    all.all_readable(&ring).await;
    assert_eq!(ring.destroy_tenant_keys(tenant(3)).await.unwrap().len(), 2);
    assert!(ring.destroy_tenant_keys(tenant(3)).await.unwrap().is_empty());
    for (n, sealed) in &all.seals {
        assert_eq!(ring.open(&place(tenant(*n)), sealed).await.is_ok(), *n != 3, "{n}");
    }
    assert_eq!(ring.newest_data_key(tenant(3)).await.unwrap(), None);
    assert!(ring.newest_data_key(tenant(4)).await.unwrap().is_some());
}
