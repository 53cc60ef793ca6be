//! Which tenant a token's (issuer, claim value) leads to, cached.
//!
//! A hit is checked against the tenant's floor, so a change announced to this gateway counts at once; a
//! miss is kept only until anything changes anywhere, because a new binding belongs to no known entry.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::sync::Cache;
use tokio::time::Instant;

use crate::base::{Generation, TenantId};
use crate::registry::{BoundTenant, Registry, RegistryFault};

/// Entries held; an unknown claim value costs one too, so a flood of them must not grow it.
const CAPACITY: u64 = 50_000;

#[derive(Clone)]
struct Entry {
    bound: Option<BoundTenant>,
    loaded: Instant,
    epoch: u64,
}

/// The cached directory.
pub(super) struct DirectoryCache {
    entries: Cache<(String, String), Entry>,
    epoch: AtomicU64,
    fresh: Duration,
    stale: Duration,
}

impl DirectoryCache {
    pub(super) fn new(fresh: Duration, stale: Duration) -> Self {
        let entries = Cache::builder().max_capacity(CAPACITY).time_to_live(stale).build();
        Self { entries, epoch: AtomicU64::new(0), fresh, stale }
    }

    /// Something changed somewhere: what was not found may be there now.
    pub(super) fn changed(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Looks an identity up; `floor` tells the least acceptable generation of a tenant.
    pub(super) async fn find(
        &self,
        registry: &Registry,
        issuer: &str,
        claim_value: &str,
        floor: impl Fn(TenantId) -> Generation,
    ) -> Result<Option<BoundTenant>, RegistryFault> {
        let key = (issuer.to_owned(), claim_value.to_owned());
        let current = |entry: &Entry| match &entry.bound {
            Some(bound) => bound.generation >= floor(bound.tenant),
            None => entry.epoch == self.epoch.load(Ordering::SeqCst),
        };
        let known = self.entries.get(&key).filter(current);
        if let Some(entry) = &known
            && entry.loaded.elapsed() < self.fresh
        {
            return Ok(entry.bound.clone());
        }
        // Read before the registry is asked: a change in between must not be hidden by this answer.
        let epoch = self.epoch.load(Ordering::SeqCst);
        match registry.find_binding(issuer, claim_value).await {
            Ok(bound) => {
                let entry = Entry { bound: bound.clone(), loaded: Instant::now(), epoch };
                self.entries.insert(key, entry);
                Ok(bound)
            }
            Err(fault @ RegistryFault::Unavailable(_)) => match known {
                Some(entry) if entry.loaded.elapsed() < self.stale => Ok(entry.bound),
                _ => Err(fault),
            },
            Err(fault) => Err(fault),
        }
    }
}
