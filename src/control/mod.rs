//! What operators do to tenants.
//!
//! Every method of [`Control`] takes a [`Caller`], so nothing happens without an operator's permit; the
//! registry writes the operators' log in the same transaction as the change; and the change counts on this
//! gateway before the method returns.
//!
//! The admin API, the panel and the command line call the same methods and show the same views. Where to
//! look: [`tenants`], [`connections`] and [`mappings`] change a hospital; [`fleet`], [`health`], [`lanes`]
//! and [`usage`] show how it is; what takes long is rows with steps, carried out by [`operations`]:
//! [`provision`], [`migrate`], [`rotate`] and [`offboard`], on the [`servers`] where databases are made.
//! [`approvals`] holds back what needs a second person.

mod approval;
mod approvals;
mod cause;
mod connections;
mod events;
mod fault;
mod flags;
mod fleet;
mod health;
mod identities;
mod keys;
mod lanes;
mod limits;
mod listing;
mod mappings;
mod migrate;
mod offboard;
mod operations;
mod orders;
mod provision;
mod repeat;
mod rotate;
mod servers;
mod sharing;
mod skew;
mod sweep;
mod queries;
mod tenants;
mod usage;
mod view;

use std::sync::Arc;

use uuid::Uuid;

pub use approvals::{ApprovalView, Ordered, SourceView};
pub use cause::failure;
pub use connections::ConnectionInput;
pub use events::{EventPage, Following};
pub use fault::ControlFault;
pub use flags::{FlagEntry, FlagsView, flag_entries};
pub use fleet::{FleetFilter, FleetOrder, FleetPage, FleetRow};
pub use health::{Health, Level};
pub use keys::{KekView, KeyReport, KeysView, RotationView};
pub use lanes::{BreakerView, LaneView};
pub use limits::{LimitEntry, limit_entries};
pub use mappings::{
    BrokenRule, ChangeView, DiffView, DoubtfulTable, DraftView, DraftedTable, DriftChange,
    DriftView, ElementTrial, ImportView, PathCount, SearchTrial, Side, SourceTrial, StatementTrial,
    TrialView, misfit_cure,
};
pub use migrate::{MigrationPlan, NewMigration, PlannedMigration, SchemaReport, SchemaView};
pub use operations::{
    OperationFault, OperationPage, OperationQuery, OperationStepView, OperationView, Work,
};
pub use orders::Orders;
pub use provision::{
    ListLine, ListedTenant, NewProvision, NewProvisions, PlannedTenant, ProvisionPlan,
    faults_by_line, read_list,
};
pub use queries::{QueriesView, QueryView};
pub use repeat::{Repeat, Repeatable};
pub use servers::{NewServer, ServerConnection, ServerView};
pub use skew::{SchemaFilter, SchemaStand};
pub use tenants::{NewTenant, TenantFilter, TenantPage, TenantPatch};
pub use usage::{Bookkeeping, TenantUsage, UsagePage, UsageView};
pub use view::{
    CheckFinding, CheckReport, CheckStep, ConnectionView, EventView, IdentityView, MappingPointer,
    MappingProblemView, MappingReport, MappingView, TenantView,
};

pub use crate::registry::StoredLimits;

use crate::auth::{Authority, OperatorPermit, OperatorSource};
use crate::base::{Clock, Deadline, Generation, TenantId, TenantName};
use crate::keyring::{Keyring, WrappedKeys as _};
use crate::pool::Pools;
use crate::pool::dial::Dialer;
use crate::registry::{Actor, ActorKind, KeyStore, Origin, Registry, Tenant};
use crate::telemetry::traffic::Traffic;
use crate::tenant::Tenants;

/// Who orders something, in which request, until when.
pub struct Caller {
    /// Proof that she is an operator.
    pub permit: OperatorPermit,
    /// The request's id, for the operators' log.
    pub request: Uuid,
    /// When the answer is due.
    pub deadline: Deadline,
}

impl Caller {
    fn origin(&self) -> Origin {
        let kind = match self.permit.source() {
            OperatorSource::Console => ActorKind::Console,
            OperatorSource::Token => ActorKind::Operator,
        };
        let actor = Actor { kind, subject: self.permit.subject().to_owned() };
        Origin { actor, request_id: self.request.to_string() }
    }
}

/// The parts of a serving gateway that a change must reach at once. A command line has none: the gateways
/// that serve learn of its changes from the registry.
#[derive(Clone)]
pub struct Serving {
    /// Configuration.
    pub tenants: Tenants,
    /// Lanes and breakers.
    pub pools: Pools,
    /// Verified tokens.
    pub authority: Authority,
    /// What each tenant was asked lately.
    pub traffic: Traffic,
    /// Adds up what they used.
    pub usage: Arc<Bookkeeping>,
}

/// The control plane's verbs. Cheap to clone.
#[derive(Clone)]
pub struct Control(Arc<Parts>);

/// What [`Control`] is made of.
pub struct Parts {
    /// The repository.
    pub registry: Registry,
    /// The wrapped data keys.
    pub key_store: Arc<KeyStore>,
    /// Sealing.
    pub keyring: Keyring,
    /// Opens connections for checks.
    pub dialer: Dialer,
    /// Wall-clock time.
    pub clock: Arc<dyn Clock>,
    /// The issuers of the settings.
    pub issuers: Vec<KnownIssuer>,
    /// Whether what destroys, and SQL that a mapping brings, needs a second person.
    pub two_persons: bool,
    /// The serving gateway, when this is one.
    pub serving: Option<Serving>,
    /// How long-running work is carried out.
    pub work: Work,
}

/// An issuer of the settings, as far as binding tenants to it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownIssuer {
    /// Its exact name.
    pub url: String,
    /// Whether a claim of its tokens names the tenant. If not, the issuer alone does.
    pub by_claim: bool,
}

impl Control {
    /// The control plane over these parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The issuers of the settings: those whose tokens are accepted.
    pub fn known_issuers(&self) -> &[KnownIssuer] {
        &self.0.issuers
    }

    /// Whether the registry and the key store answer, and the access log can be written, for readiness.
    pub async fn readiness(&self) -> Vec<(String, bool)> {
        let access_log = async {
            match &self.0.serving {
                Some(serving) => serving.tenants.audit().ready().await.is_ok(),
                None => true,
            }
        };
        let (registry, keys, access_log) =
            tokio::join!(self.0.registry.ping(), self.0.key_store.list(None, 1), access_log);
        let parts =
            [("registry", registry.is_ok()), ("keys", keys.is_ok()), ("access_log", access_log)];
        parts.map(|(name, ready)| (name.to_owned(), ready)).to_vec()
    }

    /// The identity of the tenant with that UUID or slug, also of one that was offboarded.
    pub async fn identify(&self, named: &str) -> Result<TenantId, ControlFault> {
        Ok(self.find(named).await?.id)
    }

    /// The tenant with that UUID or slug.
    async fn find(&self, named: &str) -> Result<Tenant, ControlFault> {
        let found = if let Ok(id) = named.parse::<TenantId>() {
            self.0.registry.tenant(id).await?
        } else if let Ok(name) = named.parse::<TenantName>() {
            self.0.registry.tenant_by_name(&name).await?
        } else {
            None
        };
        found.ok_or(ControlFault::NoSuchTenant)
    }

    /// Makes a change count on this gateway before the caller hears of it.
    async fn announce(&self, tenant: TenantId, generation: Generation) {
        if let Some(serving) = &self.0.serving {
            serving.tenants.changed(tenant, generation);
            serving.authority.flush_tenant(tenant);
            serving.tenants.settle(tenant).await;
        }
    }
}
