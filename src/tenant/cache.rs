//! A cache whose values carry a configuration generation, so that an acknowledged change can never be
//! answered from an older value, also when it lands in the middle of a load.
//!
//! For each tenant a *floor* is kept: the highest generation anyone has announced. A value below the
//! floor is never served and never committed. Announcing raises the floor and drops the value under the
//! same lock under which loads commit, so there is no moment in between.
//!
//! A registry restored from a backup begins another *history*: its generations are lower, and mean other
//! things. Then everything is forgotten, floors included, and what was being loaded is not committed.

use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::Instant;

use crate::base::{Generation, TenantId};

/// Where a tenant stands in the registry, as far as this gateway knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// The highest generation announced or seen.
    pub(super) floor: Generation,
    /// How often the registry was found restored from a backup.
    pub(super) history: u64,
}

/// A value that knows the generation it was loaded at.
pub(super) trait Versioned: Send + Sync + 'static {
    fn generation(&self) -> Generation;
}

/// Why a value could not be had. Shared by all who waited for the same load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoadFault {
    /// There is no such tenant.
    Unknown,
    /// What is stored of it does not read.
    Damaged,
    /// The registry cannot answer, and no value young enough is held.
    Unavailable,
}

type Load<V> = Shared<BoxFuture<'static, Result<Arc<V>, LoadFault>>>;

struct Entry<V> {
    value: Arc<V>,
    loaded: Instant,
}

struct State<V> {
    /// Rises when the registry was restored from a backup.
    history: u64,
    floors: HashMap<TenantId, Generation>,
    entries: HashMap<TenantId, Entry<V>>,
    /// Loads under way, by the floor they began under: a change during a load starts another one
    /// instead of joining it.
    loads: HashMap<Under, Load<V>>,
}

/// What a load began under: a tenant's floor, in one history.
type Under = (TenantId, Generation, u64);

/// The cache; cheap to clone.
pub(super) struct GenerationCache<V> {
    state: Arc<Mutex<State<V>>>,
    fresh: Duration,
    stale: Duration,
    capacity: usize,
}

impl<V> Clone for GenerationCache<V> {
    fn clone(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
            fresh: self.fresh,
            stale: self.stale,
            capacity: self.capacity,
        }
    }
}

/// How often a load is begun again because a change overtook it. Each round needs a further change, so
/// reaching this means somebody writes without pause.
const ROUNDS: usize = 8;

impl<V: Versioned> GenerationCache<V> {
    /// Values are reloaded after `fresh`, and served up to `stale` while the registry is away. Holds
    /// about `capacity` values; the ones loaded longest ago go first.
    pub(super) fn new(fresh: Duration, stale: Duration, capacity: usize) -> Self {
        let (floors, entries, loads) = (HashMap::new(), HashMap::new(), HashMap::new());
        let state = State { history: 0, floors, entries, loads };
        Self { state: Arc::new(Mutex::new(state)), fresh, stale, capacity }
    }

    fn lock(&self) -> MutexGuard<'_, State<V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes every value older than `generation` unusable, now. Gives back whether that was news.
    pub(super) fn announce(&self, tenant: TenantId, generation: Generation) -> bool {
        let mut state = self.lock();
        let floor = state.floors.entry(tenant).or_default();
        if *floor >= generation {
            return false;
        }
        *floor = generation;
        if state.entries.get(&tenant).is_some_and(|e| e.value.generation() < generation) {
            state.entries.remove(&tenant);
        }
        true
    }

    /// Forgets everything, floors included: the registry was restored from a backup. What is being
    /// loaded at this moment is neither committed nor given to anybody.
    pub(super) fn restart(&self) {
        let mut state = self.lock();
        state.history += 1;
        state.floors.clear();
        state.entries.clear();
        state.loads.clear();
    }

    /// Where the tenant stands: what was read under another standing may be out of date.
    pub(super) fn standing(&self, tenant: TenantId) -> Standing {
        let state = self.lock();
        let floor = state.floors.get(&tenant).copied().unwrap_or_default();
        Standing { floor, history: state.history }
    }

    /// The highest generation announced or seen.
    pub(super) fn floor(&self, tenant: TenantId) -> Generation {
        self.lock().floors.get(&tenant).copied().unwrap_or_default()
    }

    /// The value in the cache, however old, if it is not below the floor.
    pub(super) fn peek(&self, tenant: TenantId) -> Option<Arc<V>> {
        self.lock().entries.get(&tenant).map(|e| Arc::clone(&e.value))
    }

    /// The tenant's value, loaded if need be. The load runs in a task of its own, once for all who
    /// wait, and goes on when a waiter gives up.
    pub(super) async fn get<F, L>(&self, tenant: TenantId, load: L) -> Result<Arc<V>, LoadFault>
    where
        L: Fn() -> F,
        F: Future<Output = Result<V, LoadFault>> + Send + 'static,
    {
        for _ in 0..ROUNDS {
            let (pending, history) = {
                let mut state = self.lock();
                let now = Instant::now();
                if let Some(entry) = state.entries.get(&tenant)
                    && now.duration_since(entry.loaded) < self.fresh
                {
                    return Ok(Arc::clone(&entry.value));
                }
                let floor = state.floors.get(&tenant).copied().unwrap_or_default();
                let under = (tenant, floor, state.history);
                let begun = state.loads.entry(under).or_insert_with(|| self.begin(under, load()));
                (begun.clone(), under.2)
            };
            let loaded = pending.await;
            let now = self.standing(tenant);
            match loaded {
                _ if now.history != history => {}
                Ok(value) if value.generation() >= now.floor => return Ok(value),
                Ok(_) => {}
                Err(LoadFault::Unavailable) => return self.stale(tenant),
                Err(fault) => return Err(fault),
            }
        }
        Err(LoadFault::Unavailable)
    }

    /// What may still be served while the registry is away.
    fn stale(&self, tenant: TenantId) -> Result<Arc<V>, LoadFault> {
        let state = self.lock();
        let entry = state.entries.get(&tenant).ok_or(LoadFault::Unavailable)?;
        let age = Instant::now().duration_since(entry.loaded);
        if age < self.stale { Ok(Arc::clone(&entry.value)) } else { Err(LoadFault::Unavailable) }
    }

    fn begin<F>(&self, under: Under, load: F) -> Load<V>
    where
        F: Future<Output = Result<V, LoadFault>> + Send + 'static,
    {
        let cache = self.clone();
        let task = tokio::spawn(async move {
            // A load that panicked is a load that did not answer, and is over like any other.
            let loaded = AssertUnwindSafe(load).catch_unwind().await;
            cache.commit(under, loaded.unwrap_or(Err(LoadFault::Unavailable)))
        });
        // Only the end of the whole program keeps it from its own end.
        task.map(|ended| ended.unwrap_or(Err(LoadFault::Unavailable))).boxed().shared()
    }

    fn commit(&self, under: Under, loaded: Result<V, LoadFault>) -> Result<Arc<V>, LoadFault> {
        let mut state = self.lock();
        let (tenant, _, history) = under;
        if state.history != history {
            return loaded.map(Arc::new);
        }
        state.loads.remove(&under);
        match loaded {
            Ok(value) => {
                let value = Arc::new(value);
                let floor = state.floors.entry(tenant).or_default();
                if value.generation() >= *floor {
                    *floor = value.generation();
                    if state.entries.len() >= self.capacity {
                        evict_oldest(&mut state.entries);
                    }
                    let entry = Entry { value: Arc::clone(&value), loaded: Instant::now() };
                    state.entries.insert(tenant, entry);
                }
                Ok(value)
            }
            Err(fault) => {
                if fault != LoadFault::Unavailable {
                    state.entries.remove(&tenant);
                }
                Err(fault)
            }
        }
    }
}

fn evict_oldest<V>(entries: &mut HashMap<TenantId, Entry<V>>) {
    let oldest = entries.iter().min_by_key(|(_, e)| e.loaded).map(|(tenant, _)| *tenant);
    if let Some(oldest) = oldest {
        entries.remove(&oldest);
    }
}

#[cfg(test)]
mod tests;
