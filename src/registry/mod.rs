//! The control-plane repository: tenants, who finds them, how their databases are reached (sealed), how
//! their records are read, and what operators did. And, on a database of its own, the store of wrapped
//! data keys.
//!
//! SQLite (embedded) or PostgreSQL (several gateways). Both run the same queries; triggers in the
//! migrations count generations and write the feed of changes, so that they hold for plain SQL too.
//! `docs/REGISTRY.md` describes the tables.

mod approvals;
mod bindings;
mod breaker;
mod change;
mod connections;
mod db;
mod events;
mod exports;
mod fault;
mod flags;
mod idempotency;
mod keystore;
mod limits;
mod list;
mod mappings;
mod migrate;
mod operations;
mod overview;
mod servers;
mod schema_checks;
mod snapshot;
mod tenants;
mod url;
mod usage;
mod value;
mod watch;
mod whole;

use std::sync::Arc;

pub use approvals::{Approval, ApprovalKind, ApprovalState, PublicationOrder};
pub use bindings::{BoundTenant, TenantBinding};
pub use change::{Actor, ActorKind, Origin};
pub use connections::{Connection, NewConnection, Reseal, SealedPage};
pub use events::{EventFilter, OperatorEvent};
pub use exports::CancelledExport;
pub use fault::RegistryFault;
pub use idempotency::{IdempotencyKey, Reservation};
pub use keystore::KeyStore;
pub use limits::StoredLimits;
pub use list::{Listed, TenantFilter, TenantSummary};
pub use mappings::{ActiveMapping, Mapping, MappingSummary, NewMapping, Publication};
pub use migrate::MigrationStatus;
pub use operations::{
    Claim, NewOperation, OpenOperations, Operation, OperationFilter, OperationState, OperationStep,
    Settled,
};
pub use overview::Overview;
pub use schema_checks::SchemaCheck;
pub use servers::{SchemaMark, Server, TenantSchema};
pub use snapshot::TenantConfig;
pub use tenants::{NewTenant, Ownership, Placement, Tenant, TenantPatch, TenantState};
pub use usage::{Addition, Month, UsedInMonth};
pub use watch::Change;
pub use whole::{Amendment, Beginnings};

use crate::base::{Clock, SecretText};
use db::{Access, Db, Tx};

/// The control-plane repository. Cheap to clone; all clones share connections and a breaker.
///
/// Every call answers within about 2 s a statement; while the database is away calls answer
/// [`RegistryFault::Unavailable`], at once after a few failures.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    clock: Arc<dyn Clock>,
}

impl Registry {
    /// Reads the setting (`sqlite:PATH` or
    /// `postgres://USER:PASSWORD@HOST[:PORT]/DATABASE[?sslrootcert=FILE]`). Connects when first used;
    /// a SQLite file is made by [`migrate`](Self::migrate) only.
    pub fn open(setting: &SecretText, clock: Arc<dyn Clock>) -> Result<Self, RegistryFault> {
        let db = Db::new(url::Setting::parse(setting)?.target(false)?);
        Ok(Self { inner: Arc::new(Inner { db, clock }) })
    }

    /// Whether the setting can name a registry. Connects to nothing.
    pub fn check_setting(setting: &SecretText) -> Result<(), RegistryFault> {
        url::Setting::parse(setting)?.target(false).map(drop)
    }

    /// Applies pending migrations: all or none, safe to run from several processes at once.
    pub async fn migrate(&self) -> Result<MigrationStatus, RegistryFault> {
        migrate::REGISTRY.migrate(&self.inner.db.target, self.inner.clock.as_ref()).await
    }

    /// How the database's schema compares with this program's. Creates nothing.
    pub async fn migration_status(&self) -> Result<MigrationStatus, RegistryFault> {
        migrate::REGISTRY.status(&self.inner.db.target).await
    }

    /// Refuses a schema that is not exactly this program's, with a hint.
    pub async fn require_current(&self) -> Result<(), RegistryFault> {
        self.migration_status().await?.require_current()
    }

    /// Whether the database answers; for readiness.
    pub async fn ping(&self) -> Result<(), RegistryFault> {
        self.read().await?.commit().await
    }

    /// Closes idle connections and refuses further work.
    pub async fn close(&self) {
        self.inner.db.close().await;
    }

    async fn read(&self) -> Result<Tx, RegistryFault> {
        self.inner.db.begin(Access::Read).await
    }

    async fn write(&self) -> Result<Tx, RegistryFault> {
        self.inner.db.begin(Access::Write).await
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registry")
    }
}

/// An enum stored as a word: `as_str`, `FromStr`, serde and `Display` from one list.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// The word in the database, in JSON and on the command line.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::registry::RegistryFault;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::registry::RegistryFault::Invalid(
                        concat!("expected one of", $(" ", $word),+),
                    )),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
use words;

/// What the suite calls this crate's words; the tests with servers have a module of the same name.
#[cfg(test)]
mod crate_words {
    pub use uuid::Uuid;

    pub use crate::base::*;
    pub use crate::keyring::*;
    pub use crate::registry::*;
    pub use crate::telemetry::usage::Usage;
}
#[cfg(test)]
mod suite;
#[cfg(test)]
mod tests;
