//! A cache whose values carry a configuration generation, so that an acknowledged change can never be
//! answered from an older value, also when it lands in the middle of a load.
//!
//! For each tenant a *floor* is kept: the highest generation anyone has announced. A value below the
//! floor is never served and never committed. Announcing raises the floor and drops the value under the
//! same lock under which loads commit, so there is no moment in between.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::Instant;

use crate::base::{Generation, TenantId};

/// A value that knows the generation it was loaded at.
pub(super) trait Versioned: Send + Sync + 'static {
    fn generation(&self) -> Generation;
}

/// Why a value could not be had. Shared by all who waited for the same load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoadFault {
    /// There is no such tenant.
    Unknown,
    /// The registry cannot answer, and no value young enough is held.
    Unavailable,
}

type Load<V> = Shared<BoxFuture<'static, Result<Arc<V>, LoadFault>>>;

struct Entry<V> {
    value: Arc<V>,
    loaded: Instant,
}

struct State<V> {
    floors: HashMap<TenantId, Generation>,
    entries: HashMap<TenantId, Entry<V>>,
    /// Loads under way, by the floor they began under: a change during a load starts another one
    /// instead of joining it.
    loads: HashMap<(TenantId, Generation), Load<V>>,
}

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
        let state =
            State { floors: HashMap::new(), entries: HashMap::new(), loads: HashMap::new() };
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
            let pending = {
                let mut state = self.lock();
                let now = Instant::now();
                if let Some(entry) = state.entries.get(&tenant)
                    && now.duration_since(entry.loaded) < self.fresh
                {
                    return Ok(Arc::clone(&entry.value));
                }
                let floor = state.floors.get(&tenant).copied().unwrap_or_default();
                state
                    .loads
                    .entry((tenant, floor))
                    .or_insert_with(|| self.begin(tenant, floor, load()))
                    .clone()
            };
            let loaded = pending.await;
            match loaded {
                Ok(value) if value.generation() >= self.floor(tenant) => return Ok(value),
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

    fn begin<F>(&self, tenant: TenantId, floor: Generation, load: F) -> Load<V>
    where
        F: Future<Output = Result<V, LoadFault>> + Send + 'static,
    {
        let cache = self.clone();
        let task = tokio::spawn(async move {
            let loaded = load.await;
            cache.commit(tenant, floor, loaded)
        });
        // A load that panicked is a load that did not answer.
        task.map(|ended| ended.unwrap_or(Err(LoadFault::Unavailable))).boxed().shared()
    }

    fn commit(
        &self,
        tenant: TenantId,
        began_under: Generation,
        loaded: Result<V, LoadFault>,
    ) -> Result<Arc<V>, LoadFault> {
        let mut state = self.lock();
        state.loads.remove(&(tenant, began_under));
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
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::sync::Barrier;

    use super::*;

    impl Versioned for u64 {
        fn generation(&self) -> Generation {
            Generation(*self)
        }
    }

    const FRESH: Duration = Duration::from_mins(5);
    const STALE: Duration = Duration::from_hours(24);

    fn cache() -> GenerationCache<u64> {
        GenerationCache::new(FRESH, STALE, 100)
    }

    #[tokio::test]
    async fn a_change_in_the_middle_of_a_load_is_never_lost() {
        for _ in 0..1000 {
            let cache = cache();
            let tenant = TenantId::random();
            let stored = Arc::new(AtomicU64::new(1));
            let barrier = Arc::new(Barrier::new(2));
            let first = Arc::new(AtomicU64::new(0));
            let load = {
                let (stored, barrier, first) = (stored.clone(), barrier.clone(), first.clone());
                move || {
                    let (stored, barrier, first) = (stored.clone(), barrier.clone(), first.clone());
                    async move {
                        let seen = stored.load(Ordering::SeqCst);
                        if first.fetch_add(1, Ordering::SeqCst) == 0 {
                            barrier.wait().await; // the old row has been read …
                            barrier.wait().await; // … and the change is acknowledged
                        }
                        Ok(seen)
                    }
                }
            };
            let reader = {
                let (cache, load) = (cache.clone(), load.clone());
                tokio::spawn(async move { cache.get(tenant, load).await })
            };
            barrier.wait().await;
            stored.store(2, Ordering::SeqCst);
            cache.announce(tenant, Generation(2));
            barrier.wait().await;
            assert_eq!(*reader.await.unwrap().unwrap(), 2);
            assert_eq!(*cache.get(tenant, load).await.unwrap(), 2);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_readers_share_one_load_and_a_leaving_reader_does_not_stop_it() {
        let cache = cache();
        let tenant = TenantId::random();
        let loads = Arc::new(AtomicU64::new(0));
        let load = {
            let loads = loads.clone();
            move || {
                let loads = loads.clone();
                async move {
                    loads.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    Ok(7)
                }
            }
        };
        let impatient = tokio::time::timeout(Duration::from_millis(10), cache.get(tenant, &load));
        assert!(impatient.await.is_err());
        let readers = (0..50).map(|_| cache.get(tenant, &load));
        for got in futures_util::future::join_all(readers).await {
            assert_eq!(*got.unwrap(), 7);
        }
        assert_eq!(loads.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_bridged_until_the_limit_and_never_past_a_seen_change() {
        let cache = cache();
        let (calm, changed) = (TenantId::random(), TenantId::random());
        let away = || async { Err::<u64, _>(LoadFault::Unavailable) };
        for tenant in [calm, changed] {
            cache.get(tenant, || async { Ok(1) }).await.unwrap();
        }
        tokio::time::advance(FRESH + Duration::from_secs(1)).await;
        assert_eq!(*cache.get(calm, away).await.unwrap(), 1);
        cache.announce(changed, Generation(2));
        assert_eq!(cache.get(changed, away).await, Err(LoadFault::Unavailable));
        tokio::time::advance(STALE).await;
        assert_eq!(cache.get(calm, away).await, Err(LoadFault::Unavailable));
    }

    #[tokio::test]
    async fn an_unknown_tenant_is_forgotten() {
        let cache = cache();
        let tenant = TenantId::random();
        cache.get(tenant, || async { Ok(1) }).await.unwrap();
        cache.announce(tenant, Generation(2));
        let gone = cache.get(tenant, || async { Err(LoadFault::Unknown) }).await;
        assert_eq!(gone, Err(LoadFault::Unknown));
        assert!(cache.peek(tenant).is_none());
    }
}
