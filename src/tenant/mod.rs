//! From a permit to the tenant's open resources.
//!
//! [`Tenants`] resolves a tenant's configuration (cached by generation), answers `auth`'s question which
//! tenant an identity belongs to, and opens a [`Session`] for a permit. What another part of the gateway,
//! or another gateway, changes in the registry arrives through [`Tenants::follow`].

mod cache;
mod cancelled;
mod config;
mod directory;
mod fault;
mod follow;
mod lost;
mod marks;
mod session;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use uuid::Uuid;

pub use config::{ActiveMapping, MappingState, TenantConfig, TenantDefaults, seal_place};
pub use fault::{FORBIDDEN_MESSAGE, TenantFault};
pub use lost::Lost;
pub use marks::{vouched, vouches};
pub use session::Session;

use self::cache::{GenerationCache, LoadFault};
use self::cancelled::Cancelled;
use self::directory::DirectoryCache;
use self::session::Opened;
use crate::audit::AuditLog;
use crate::auth::{Binding, Directory, DirectoryUnavailable, Permit, Right};
use crate::base::{Deadline, Generation, TenantId};
use crate::keyring::Keyring;
use crate::pool::{Admission, Pools};
use crate::registry::{BoundTenant, Registry, RegistryFault, TenantState};
use crate::telemetry::trace::Traces;
use crate::telemetry::traffic::Traffic;
use crate::telemetry::{Recurring, names};

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
    /// That configurations cannot be loaded, for the log.
    failing: Mutex<Recurring>,
    suspects: Suspects,
    cancelled: Cancelled,
    traffic: Traffic,
    traces: Traces,
}

/// Tenants whose schema somebody should look at: a lane was opened, or a statement was refused.
struct Suspects {
    sender: mpsc::Sender<TenantId>,
    receiver: Mutex<Option<mpsc::Receiver<TenantId>>>,
}

impl Default for Suspects {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(1024);
        Self { sender, receiver: Mutex::new(Some(receiver)) }
    }
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
        let failing = Mutex::default();
        let suspects = Suspects::default();
        let shared = Shared {
            registry,
            keyring,
            pools,
            audit,
            defaults,
            configs,
            directory,
            failing,
            suspects,
            cancelled: Cancelled::default(),
            traffic: Traffic::default(),
            traces: Traces::default(),
        };
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
            LoadFault::Damaged => TenantFault::Damaged,
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
        // Taken before the configuration: a change in between shows when a connection is borrowed.
        let history = self.shared.configs.standing(permit.tenant()).history;
        let config = self.config(permit.tenant()).await?;
        if config.state != TenantState::Active {
            return Err(TenantFault::NotServed(config.state.as_str()));
        }
        let admission = self.shared.pools.admit(config.id, &config.limits)?;
        let deadline = config.request_timeout.map_or(deadline, |own| deadline.within(own));
        let shared = Arc::clone(&self.shared);
        let opened = Opened { config, history, admission };
        Ok(Session::new(permit, opened, shared, request, deadline))
    }

    /// Counts a request of an active tenant against its limits, without opening a session.
    pub async fn admit(&self, tenant: TenantId) -> Result<Admission, TenantFault> {
        let config = self.config(tenant).await?;
        if config.state != TenantState::Active {
            return Err(TenantFault::NotServed(config.state.as_str()));
        }
        Ok(self.shared.pools.admit(config.id, &config.limits)?)
    }

    /// Tenants whose schema should be compared with their mapping's, as they come up. Given out once.
    pub fn suspects(&self) -> Option<mpsc::Receiver<TenantId>> {
        self.shared.suspects.receiver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// An answer of several requests' to be given out, counted among the tenant's that are not taken yet.
    pub fn counted(&self, tenant: TenantId, body: Vec<u8>) -> Bytes {
        self.shared.pools.counted(tenant, body)
    }

    /// What each tenant was asked lately, and what it used.
    pub fn traffic(&self) -> &Traffic {
        &self.shared.traffic
    }

    /// The traces of their requests.
    pub fn traces(&self) -> &Traces {
        &self.shared.traces
    }

    /// The access log.
    pub fn audit(&self) -> &AuditLog {
        &self.shared.audit
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
}

impl Shared {
    /// Has the tenant's schema looked at soon. When too many wait already, the schedule will find it.
    fn suspect(&self, tenant: TenantId) {
        let _full = self.suspects.sender.try_send(tenant).is_err();
    }

    /// Whether a binding is what a holder of the keys wrote. One that is not leads nowhere.
    fn vouches(&self, issuer: &str, claim_value: &str, bound: &BoundTenant) -> bool {
        let parts = (issuer, claim_value, bound.azp.as_slice());
        let good = marks::vouches(&self.keyring, bound.tenant, parts, &bound.mark);
        if !good {
            metrics::counter!(names::INTEGRITY).increment(1);
            tracing::error!(target: "wardgate::integrity", tenant = %bound.tenant,
                "a binding of the tenant was written without its keys and is not followed");
        }
        good
    }

    fn failing(&self) -> MutexGuard<'_, Recurring> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn load(self: Arc<Self>, tenant: TenantId) -> Result<TenantConfig, LoadFault> {
        let outcome = match self.registry.tenant_config(tenant).await {
            Ok(Some(snapshot)) => {
                if let Some(times) = self.failing().succeeded() {
                    tracing::info!(target: "wardgate::tenant", times, "configurations can be loaded again");
                }
                let before = self.configs.peek(tenant);
                let config = config::build(
                    snapshot,
                    before.as_deref(),
                    &self.defaults,
                    &self.keyring,
                    &self.traffic,
                );
                known_as(tenant, config.name.as_str());
                Ok(config)
            }
            Ok(None) | Err(RegistryFault::NotFound(_)) => Err(LoadFault::Unknown),
            Err(fault @ RegistryFault::Damaged(_)) => {
                tracing::error!(target: "wardgate::tenant", %tenant, reason = %fault, "a tenant cannot be served");
                Err(LoadFault::Damaged)
            }
            Err(fault) => {
                if let Some(times) = self.failing().failed() {
                    tracing::warn!(target: "wardgate::tenant", %tenant, reason = %fault, times, "configuration not loaded");
                }
                Err(LoadFault::Unavailable)
            }
        };
        let word = if outcome.is_ok() { "loaded" } else { "failed" };
        metrics::counter!(names::CONFIG_LOADS, "outcome" => word).increment(1);
        outcome
    }
}

/// Lets dashboards show a tenant's name beside figures that carry its id.
fn known_as(tenant: TenantId, name: &str) {
    let (tenant, name) = (tenant.to_string(), name.to_owned());
    metrics::gauge!(names::TENANT_INFO, "tenant" => tenant, "name" => name).set(1.0);
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
            let ask = || async {
                let bound = shared.registry.find_binding(issuer, claim_value).await?;
                Ok(bound.filter(|bound| shared.vouches(issuer, claim_value, bound)))
            };
            match shared.directory.find(issuer, claim_value, floor, ask).await {
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
