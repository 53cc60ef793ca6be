//! From a permit to the tenant's open resources.
//!
//! [`Tenants`] resolves a tenant's configuration (cached by generation), answers `auth`'s question which
//! tenant an identity belongs to, and opens a [`Session`] for a permit. What another part of the gateway,
//! or another gateway, changes in the registry arrives through [`Tenants::follow`].

mod cache;
mod config;
mod directory;
mod fault;
mod session;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use config::{ActiveMapping, MappingState, TenantConfig, TenantDefaults, seal_place};
pub use fault::{FORBIDDEN_MESSAGE, TenantFault};
pub use session::Session;

use self::cache::{GenerationCache, LoadFault};
use self::directory::DirectoryCache;
use crate::audit::AuditLog;
use crate::auth::{Binding, Directory, DirectoryUnavailable, Permit, Right};
use crate::base::{Deadline, Generation, TenantId};
use crate::keyring::Keyring;
use crate::pool::Pools;
use crate::registry::{Registry, RegistryFault, TenantState};
use crate::telemetry::names;

/// How long known tenants are served while the registry is away.
const STALE: Duration = Duration::from_hours(24);
/// Configurations held.
const CAPACITY: usize = 20_000;

/// The gateway's view of its tenants. Cheap to clone.
#[derive(Clone)]
pub struct Tenants {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    registry: Registry,
    keyring: Keyring,
    pools: Pools,
    audit: AuditLog,
    defaults: TenantDefaults,
    configs: GenerationCache<TenantConfig>,
    directory: DirectoryCache,
}

impl Tenants {
    /// A view over these parts; configuration is read again after `fresh`.
    pub fn new(
        registry: Registry,
        keyring: Keyring,
        pools: Pools,
        audit: AuditLog,
        defaults: TenantDefaults,
        fresh: Duration,
    ) -> Self {
        let configs = GenerationCache::new(fresh, STALE, CAPACITY);
        let directory = DirectoryCache::new(fresh, STALE);
        let shared = Shared { registry, keyring, pools, audit, defaults, configs, directory };
        Self { shared: Arc::new(shared) }
    }

    /// The tenant's configuration, loaded if need be.
    pub async fn config(&self, tenant: TenantId) -> Result<Arc<TenantConfig>, TenantFault> {
        let load = || {
            let shared = Arc::clone(&self.shared);
            async move { shared.load(tenant).await }
        };
        self.shared.configs.get(tenant, load).await.map_err(|fault| match fault {
            LoadFault::Unknown => TenantFault::NotServed("unknown"),
            LoadFault::Unavailable => TenantFault::Unavailable,
        })
    }

    /// Opens a session: the tenant must be active and within its limits.
    pub async fn open<R: Right>(
        &self,
        permit: Permit<R>,
        request: Uuid,
        deadline: Deadline,
    ) -> Result<Session<R>, TenantFault> {
        let config = self.config(permit.tenant()).await?;
        if config.state != TenantState::Active {
            return Err(TenantFault::NotServed(config.state.as_str()));
        }
        let admission = self.shared.pools.admit(config.id, &config.limits)?;
        let shared = Arc::clone(&self.shared);
        Ok(Session::new(permit, config, shared, request, deadline, admission))
    }

    /// A change is known: nothing older is served from now on, and a lane whose tenant may no longer be
    /// served is retired. Gives back whether it was news.
    pub fn changed(&self, tenant: TenantId, generation: Generation) -> bool {
        self.shared.directory.changed();
        self.shared.configs.announce(tenant, generation)
    }

    /// Ends the tenant's lane: after a suspension or a new connection, requests under way may finish on
    /// the old one, later ones cannot.
    pub fn retire_lane(&self, tenant: TenantId) {
        self.shared.pools.retire(tenant);
        self.shared.keyring.forget(tenant);
    }

    /// Follows the registry until `stop`, so that changes made elsewhere count here within seconds.
    pub async fn follow(self, stop: CancellationToken, flush: impl Fn(TenantId) + Send) {
        let mut changes = self.shared.registry.watch(stop);
        while let Some(change) = changes.recv().await {
            if self.changed(change.tenant, change.generation) {
                flush(change.tenant);
                self.settle(change.tenant).await;
            }
        }
    }

    /// After a change: a tenant that is no longer active, or whose connection is another one, must not
    /// keep its lane.
    pub async fn settle(&self, tenant: TenantId) {
        let lane = self.shared.pools.status(tenant).map(|status| status.revision);
        let Some(revision) = lane else { return };
        let keep = match self.config(tenant).await {
            Ok(config) => {
                config.state == TenantState::Active
                    && config.lane.as_ref().is_some_and(|spec| spec.revision == revision)
            }
            Err(_) => false,
        };
        if !keep {
            self.retire_lane(tenant);
        }
    }
}

impl Shared {
    async fn load(self: Arc<Self>, tenant: TenantId) -> Result<TenantConfig, LoadFault> {
        let outcome = match self.registry.tenant_config(tenant).await {
            Ok(Some(snapshot)) => {
                let before = self.configs.peek(tenant);
                Ok(config::build(snapshot, before.as_deref(), &self.defaults, &self.keyring))
            }
            Ok(None) | Err(RegistryFault::NotFound(_)) => Err(LoadFault::Unknown),
            Err(fault) => {
                tracing::warn!(target: "wardgate::tenant", %tenant, reason = %fault, "configuration not loaded");
                Err(LoadFault::Unavailable)
            }
        };
        let word = if outcome.is_ok() { "loaded" } else { "failed" };
        metrics::counter!(names::CONFIG_LOADS, "outcome" => word).increment(1);
        outcome
    }
}

impl Directory for Tenants {
    fn binding<'a>(
        &'a self,
        issuer: &'a str,
        claim_value: &'a str,
    ) -> BoxFuture<'a, Result<Option<Binding>, DirectoryUnavailable>> {
        Box::pin(async move {
            let shared = &self.shared;
            let floor = |tenant| shared.configs.floor(tenant);
            let found = shared.directory.find(&shared.registry, issuer, claim_value, floor).await;
            match found {
                Ok(bound) => Ok(bound.map(|bound| Binding {
                    tenant: bound.tenant,
                    azp: bound.azp,
                    active: bound.state == TenantState::Active,
                    not_before: bound.not_before,
                    generation: bound.generation,
                })),
                Err(_) => Err(DirectoryUnavailable),
            }
        })
    }
}
