use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::DataKeyId;
use super::sealed::SealingKey;
use crate::base::TenantId;

/// Unwrapped data keys, each for a fixed time after it was unwrapped and not a use longer.
pub(super) struct KeyCache {
    ttl: Duration,
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: HashMap<DataKeyId, Entry>,
    /// Counts forgettings; a key fetched before the latest one does not enter.
    forgettings: u64,
}

struct Entry {
    key: Arc<SealingKey>,
    until: Instant,
}

/// When a fetch began, as the cache counts.
#[derive(Clone, Copy)]
pub(super) struct Begun(u64);

impl KeyCache {
    pub(super) fn new(ttl: Duration, capacity: usize) -> Self {
        Self { ttl, capacity: capacity.max(1), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, id: DataKeyId) -> Result<Arc<SealingKey>, Begun> {
        let mut state = self.state();
        match state.entries.get(&id) {
            Some(entry) if entry.until > Instant::now() => return Ok(Arc::clone(&entry.key)),
            Some(_) => drop(state.entries.remove(&id)),
            None => {}
        }
        Err(Begun(state.forgettings))
    }

    pub(super) fn put(&self, begun: Begun, key: &Arc<SealingKey>) {
        let mut state = self.state();
        if state.forgettings != begun.0 {
            return;
        }
        let now = Instant::now();
        if state.entries.len() >= self.capacity {
            state.entries.retain(|_, entry| entry.until > now);
        }
        if state.entries.len() >= self.capacity
            && let Some(oldest) = oldest(&state.entries)
        {
            state.entries.remove(&oldest);
        }
        state.entries.insert(key.id, Entry { key: Arc::clone(key), until: now + self.ttl });
    }

    pub(super) fn forget(&self, which: impl Fn(DataKeyId, TenantId) -> bool) {
        let mut state = self.state();
        state.forgettings += 1;
        state.entries.retain(|id, entry| !which(*id, entry.key.tenant));
    }

    /// Drops what has had its time, for when nobody asks.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        self.state().entries.retain(|_, entry| entry.until > now);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.state().entries.len()
    }
}

fn oldest(entries: &HashMap<DataKeyId, Entry>) -> Option<DataKeyId> {
    entries.iter().min_by_key(|(_, entry)| entry.until).map(|(id, _)| *id)
}
