//! Which tenant a token's (issuer, claim value) leads to, cached.
//!
//! A hit is checked against the tenant's floor, so a change announced to this gateway counts at once; a
//! miss is kept only until anything changes anywhere, because a new binding belongs to no known entry.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::sync::Cache;
use tokio::time::Instant;

use crate::base::{Generation, TenantId};
use crate::registry::{BoundTenant, RegistryFault};

/// Entries held; an unknown claim value costs one too, so a flood of them must not grow it.
const CAPACITY: u64 = 50_000;
/// How often the registry is asked again because a change overtook the answer.
const ROUNDS: usize = 4;

#[derive(Clone)]
struct Entry {
    bound: Option<BoundTenant>,
    loaded: Instant,
    epoch: u64,
    history: u64,
}

/// The cached directory.
pub(super) struct DirectoryCache {
    entries: Cache<(String, String), Entry>,
    epoch: AtomicU64,
    history: AtomicU64,
    fresh: Duration,
    stale: Duration,
}

impl DirectoryCache {
    pub(super) fn new(fresh: Duration, stale: Duration) -> Self {
        let entries = Cache::builder().max_capacity(CAPACITY).time_to_live(stale).build();
        Self { entries, epoch: AtomicU64::new(0), history: AtomicU64::new(0), fresh, stale }
    }

    /// Something changed somewhere: what was not found may be there now.
    pub(super) fn changed(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// The registry was restored from a backup: nothing known of it counts any more, nor does what is
    /// being asked at this moment.
    pub(super) fn restart(&self) {
        self.history.fetch_add(1, Ordering::SeqCst);
        self.changed();
        self.entries.invalidate_all();
    }

    /// Looks an identity up; `floor` tells the least acceptable generation of a tenant, `ask` asks the
    /// registry.
    pub(super) async fn find<F>(
        &self,
        issuer: &str,
        claim_value: &str,
        floor: impl Fn(TenantId) -> Generation,
        ask: impl Fn() -> F,
    ) -> Result<Option<BoundTenant>, RegistryFault>
    where
        F: Future<Output = Result<Option<BoundTenant>, RegistryFault>>,
    {
        let key = (issuer.to_owned(), claim_value.to_owned());
        let current = |entry: &Entry| {
            entry.history == self.history.load(Ordering::SeqCst)
                && match &entry.bound {
                    Some(bound) => bound.generation >= floor(bound.tenant),
                    None => entry.epoch == self.epoch.load(Ordering::SeqCst),
                }
        };
        for _ in 0..ROUNDS {
            let known = self.entries.get(&key).filter(current);
            if let Some(entry) = &known
                && entry.loaded.elapsed() < self.fresh
            {
                return Ok(entry.bound.clone());
            }
            // Read before the registry is asked: a change in between must not be hidden by this answer.
            let (epoch, history) =
                (self.epoch.load(Ordering::SeqCst), self.history.load(Ordering::SeqCst));
            match ask().await {
                Ok(bound) => {
                    let entry = Entry { bound, loaded: Instant::now(), epoch, history };
                    self.entries.insert(key.clone(), entry.clone());
                    // A change that came meanwhile may be about this very binding.
                    if current(&entry) {
                        return Ok(entry.bound);
                    }
                }
                Err(fault @ RegistryFault::Unavailable(_)) => {
                    // What was known may have been changed while the registry was asked in vain.
                    return match known.filter(current) {
                        Some(entry) if entry.loaded.elapsed() < self.stale => Ok(entry.bound),
                        _ => Err(fault),
                    };
                }
                Err(fault) => return Err(fault),
            }
        }
        Err(RegistryFault::Unavailable("overtaken by changes"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::registry::TenantState;

    const FRESH: Duration = Duration::from_secs(1);

    fn bound(tenant: TenantId, generation: u64) -> BoundTenant {
        BoundTenant {
            tenant,
            azp: vec!["app".to_owned()],
            mark: String::new(),
            state: TenantState::Active,
            not_before: None,
            generation: Generation(generation),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_does_not_bring_back_what_was_changed_meanwhile() {
        let directory = DirectoryCache::new(FRESH, Duration::from_hours(24));
        let tenant = TenantId::random();
        let floor = Mutex::new(Generation(1));
        let least = |_| *floor.lock().unwrap();
        let known = directory.find("i", "v", least, async || Ok(Some(bound(tenant, 1)))).await;
        assert_eq!(known.unwrap().unwrap().tenant, tenant);
        tokio::time::advance(FRESH * 2).await;
        let away = async || Err(RegistryFault::Unavailable("away"));
        assert!(directory.find("i", "v", least, away).await.is_ok(), "bridged");
        let changed_meanwhile = async || {
            *floor.lock().unwrap() = Generation(2);
            Err(RegistryFault::Unavailable("away"))
        };
        assert!(directory.find("i", "v", least, changed_meanwhile).await.is_err());
    }

    #[tokio::test]
    async fn a_restored_registry_is_asked_again_whatever_is_known() {
        let directory = DirectoryCache::new(FRESH, Duration::from_hours(24));
        let (before, after) = (TenantId::random(), TenantId::random());
        let least = |_| Generation(0);
        let asked = Mutex::new(0);
        // The first answer was under way when the registry was restored.
        let ask = async || {
            let mut asked = asked.lock().unwrap();
            *asked += 1;
            if *asked == 1 {
                directory.restart();
                return Ok(Some(bound(before, 9)));
            }
            Ok(Some(bound(after, 3)))
        };
        for _ in 0..2 {
            let found = directory.find("i", "v", least, ask).await.unwrap().unwrap();
            assert_eq!(found.tenant, after);
        }
        assert_eq!(*asked.lock().unwrap(), 2);
        directory.restart();
        let found = directory.find("i", "v", least, async || Ok(None)).await;
        assert_eq!(found, Ok(None));
    }
}
