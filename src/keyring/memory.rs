use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{DataKeyId, KekId, WrappedKey, WrappedKeys, WrappedKeysFuture, WrappedKeysUnavailable};
use crate::base::TenantId;

/// Wrapped keys in memory, gone with the process; for tests.
#[derive(Debug, Default)]
pub struct MemoryKeys(Mutex<BTreeMap<DataKeyId, WrappedKey>>);

impl MemoryKeys {
    fn keys(&self) -> MutexGuard<'_, BTreeMap<DataKeyId, WrappedKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a key in as it is, over any with its id: what whoever can write the store could do.
    pub fn overwrite(&self, key: WrappedKey) {
        self.keys().insert(key.id, key);
    }
}

fn done<'a, T: Send + 'a>(value: T) -> WrappedKeysFuture<'a, T> {
    Box::pin(std::future::ready(Ok(value)))
}

impl WrappedKeys for MemoryKeys {
    fn get(&self, id: DataKeyId) -> WrappedKeysFuture<'_, Option<WrappedKey>> {
        done(self.keys().get(&id).cloned())
    }

    fn newest(&self, tenant: TenantId) -> WrappedKeysFuture<'_, Option<WrappedKey>> {
        let keys = self.keys();
        let of_tenant = keys.values().filter(|key| key.tenant == tenant);
        done(of_tenant.max_by_key(|key| (key.created_at, key.id)).cloned())
    }

    fn insert(&self, key: WrappedKey) -> WrappedKeysFuture<'_, ()> {
        let mut keys = self.keys();
        if keys.contains_key(&key.id) {
            let taken = WrappedKeysUnavailable("a key with that id exists".to_owned());
            return Box::pin(std::future::ready(Err(taken)));
        }
        keys.insert(key.id, key);
        done(())
    }

    fn rewrap(&self, from: KekId, to: WrappedKey) -> WrappedKeysFuture<'_, bool> {
        let mut keys = self.keys();
        let Some(held) = keys.get_mut(&to.id).filter(|held| held.kek == from) else {
            return done(false);
        };
        held.kek = to.kek;
        held.wrapped = to.wrapped;
        done(true)
    }

    fn list(&self, after: Option<DataKeyId>, limit: u32) -> WrappedKeysFuture<'_, Vec<WrappedKey>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let keys = self.keys();
        done(keys.range((from, Bound::Unbounded)).take(limit).map(|(_, key)| key.clone()).collect())
    }

    fn destroy(&self, id: DataKeyId) -> WrappedKeysFuture<'_, bool> {
        done(self.keys().remove(&id).is_some())
    }
}
