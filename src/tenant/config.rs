use std::any::Any;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::cache::Versioned;
use crate::base::{
    ConnectionRecord, ConnectionRevision, Fault, FaultKind, Flags, Generation, TenantId, TenantName,
};
use crate::keyring::{Keyring, SealPlace, Sealed};
use crate::mapping::{self, Compiled};
use crate::pool::{LaneLimits, LaneSpec, RecordFault, RecordMark, RecordSource, TenantLimits};
use crate::registry::{TenantConfig as Snapshot, TenantState};
use crate::telemetry::traffic::Traffic;
use crate::telemetry::usage::Meter;

/// What the gateway's settings say for tenants that do not say otherwise.
#[derive(Debug, Clone)]
pub struct TenantDefaults {
    /// Rate and concurrency.
    pub limits: TenantLimits,
    /// The lane's bounds.
    pub lane: LaneLimits,
    /// Entries of a page when `_count` is not given.
    pub page_size: u32,
    /// The most `_count` gives.
    pub page_size_max: u32,
    /// Files of exports fetched at once, on each gateway.
    pub export_jobs: u32,
}

/// A tenant's configuration as one consistent reading of the registry gave it, compiled.
pub struct TenantConfig {
    /// Identity.
    pub id: TenantId,
    /// Slug.
    pub name: TenantName,
    /// The generation it was read at.
    pub generation: Generation,
    /// Where it is in its life.
    pub state: TenantState,
    /// Rate and concurrency.
    pub limits: TenantLimits,
    /// Entries of a page when `_count` is not given.
    pub page_size: u32,
    /// The most `_count` gives.
    pub page_size_max: u32,
    /// The longest a request may take, where that is less than the gateway's setting.
    pub request_timeout: Option<Duration>,
    /// Files of exports fetched at once, on this gateway.
    pub export_jobs: u32,
    /// What its users are offered.
    pub flags: Flags,
    /// How its database is reached, when a connection is registered.
    pub lane: Option<LaneSpec>,
    /// The mapping in force.
    pub mapping: MappingState,
    /// What other rooms keep for the tenant; it goes with this configuration.
    pub beside: Beside,
    /// What it uses is counted here.
    pub meter: Arc<Meter>,
}

/// One thing that a room above keeps for one tenant.
#[derive(Default)]
pub struct Beside(OnceLock<Arc<dyn Any + Send + Sync>>);

impl Beside {
    /// What is kept, made now if nothing is kept yet. Something of another type is never given; then what
    /// was made is kept nowhere.
    pub fn get_or<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        if let Some(kept) = self.0.get()
            && let Ok(kept) = Arc::clone(kept).downcast()
        {
            return kept;
        }
        let made = Arc::new(make());
        let kept =
            Arc::clone(self.0.get_or_init(|| Arc::clone(&made) as Arc<dyn Any + Send + Sync>));
        kept.downcast().unwrap_or(made)
    }
}

/// Whether a tenant can be rendered.
pub enum MappingState {
    /// None was published.
    None,
    /// One is in force.
    Active(Arc<ActiveMapping>),
    /// The one in force does not compile with this program. It did when it was published.
    Broken,
}

/// A compiled mapping and its version number.
pub struct ActiveMapping {
    /// Version, from 1.
    pub version: u64,
    /// The compiled document.
    pub compiled: Compiled,
    /// What its database turned out to lack.
    pub lost: super::lost::Lost,
}

impl Versioned for TenantConfig {
    fn generation(&self) -> Generation {
        self.generation
    }
}

/// Where a tenant's connection record is sealed to.
pub const fn seal_place(
    tenant: TenantId,
    record_id: Uuid,
    revision: ConnectionRevision,
) -> SealPlace {
    let (purpose, table, column) = ("tenant connection", "connections", "sealed");
    SealPlace { purpose, table, column, record_id, tenant, revision }
}

/// Turns a reading of the registry into a configuration. `before` is the configuration known so far: a
/// mapping version that has not changed is not compiled again.
pub(super) fn build(
    snapshot: Snapshot,
    before: Option<&TenantConfig>,
    defaults: &TenantDefaults,
    keyring: &Keyring,
    traffic: &Traffic,
) -> TenantConfig {
    let own = &snapshot.limits;
    let mut lane_limits = match own.max_connections {
        Some(most) => LaneLimits {
            acquire_timeout: defaults.lane.acquire_timeout,
            session: defaults.lane.session.clone(),
            ..LaneLimits::with_connections(most)
        },
        None => defaults.lane.clone(),
    };
    if let Some(millis) = own.statement_timeout_ms {
        lane_limits.session.statement_timeout = Duration::from_millis(millis.into());
    }
    lane_limits.weight = own.weight.unwrap_or(lane_limits.weight);
    let rate = own.requests_per_second;
    let limits = TenantLimits {
        requests_per_second: rate.unwrap_or(defaults.limits.requests_per_second),
        burst: rate.unwrap_or(defaults.limits.burst),
        concurrent_requests: own.concurrent_requests.unwrap_or(defaults.limits.concurrent_requests),
    };
    let page_size_max = own.page_size_max.unwrap_or(defaults.page_size_max);
    let mapping = match &snapshot.mapping {
        None => MappingState::None,
        Some(stored) => match before.map(|b| &b.mapping) {
            Some(MappingState::Active(known)) if known.version == stored.version => {
                MappingState::Active(Arc::clone(known))
            }
            _ => compile(stored.version, &stored.document, &stored.catalog),
        },
    };
    let lane = snapshot.connection.map(|connection| LaneSpec {
        tenant: snapshot.tenant.id,
        revision: connection.revision,
        engine: connection.engine,
        limits: lane_limits,
        expected: connection.identity.clone(),
        record: RecordMark { id: connection.record_id, seal: connection.sealed.digest() },
        source: Arc::new(SealedSource {
            keyring: keyring.clone(),
            place: seal_place(connection.tenant, connection.record_id, connection.revision),
            sealed: connection.sealed,
        }),
    });
    TenantConfig {
        id: snapshot.tenant.id,
        name: snapshot.tenant.name,
        generation: snapshot.tenant.generation,
        state: snapshot.tenant.state,
        limits,
        page_size: own.page_size.unwrap_or(defaults.page_size).min(page_size_max),
        page_size_max,
        request_timeout: own.request_timeout_ms.map(|ms| Duration::from_millis(ms.into())),
        export_jobs: own.export_jobs.unwrap_or(defaults.export_jobs),
        flags: snapshot.flags,
        lane,
        mapping,
        beside: Beside::default(),
        meter: traffic.meter(snapshot.tenant.id),
    }
}

fn compile(version: u64, document: &str, catalog: &str) -> MappingState {
    if let Some(compiled) = mapping::of_texts(document, catalog) {
        MappingState::Active(Arc::new(ActiveMapping {
            version,
            compiled,
            lost: super::lost::Lost::default(),
        }))
    } else {
        tracing::error!(target: "wardgate::tenant", version, "the mapping in force does not compile");
        MappingState::Broken
    }
}

/// Opens a tenant's seal when a connection is opened, and not before.
struct SealedSource {
    keyring: Keyring,
    place: SealPlace,
    sealed: Sealed,
}

impl RecordSource for SealedSource {
    fn record(&self) -> BoxFuture<'_, Result<ConnectionRecord, RecordFault>> {
        Box::pin(async {
            self.keyring.open(&self.place, &self.sealed).await.map_err(|fault| {
                let why = match fault.kind() {
                    FaultKind::Integrity => "the seal does not open",
                    _ => "the key store cannot be reached",
                };
                RecordFault::new(fault.kind(), why)
            })
        })
    }
}
