//! Dialling tenant databases, lanes of connections, breakers and admission.
//!
//! A caller is admitted ([`Pools::admit`]), borrows a connection ([`Pools::lease`]) and runs statements
//! on it ([`Lease::run`]). In between stand, in this order: the tenant's breaker, the lane's permits, its
//! stack of clean connections, the gateway's budget of connections, the dialer. Every one of them is
//! bounded in number and in time, and every one is given back by `Drop`, so that neither a caller who
//! goes away nor a server that falls silent can use one up.

/// Opening one connection to a tenant's database.
pub mod dial;
/// A session with a PostgreSQL server.
pub mod postgres;
/// Which errors say what about a database.
mod untaken;
pub mod verdict;
/// What letters a database can hold.
pub mod letters;

mod admission;
mod aside;
mod breaker;
mod budget;
mod fair;
mod config;
mod fault;
mod lane;
mod lease;
mod link;
mod maintain;
mod measure;
mod open;
mod pools;
mod selfcheck;
mod silence;
mod status;
mod writing;

#[cfg(test)]
mod fakes;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use uuid::Uuid;

pub use admission::Admission;
pub use aside::Aside;
pub use breaker::BreakerState;
pub use config::{BreakerConfig, LaneLimits, PoolConfig, TenantLimits};
pub use fault::{DatabaseFault, PoolFault, RecordFault};
pub use lease::Lease;
pub use measure::Measured;
pub use pools::Pools;
pub use status::{BreakerStatus, LaneStatus};

use crate::base::{
    ConnectionRecord, ConnectionRevision, Deadline, Engine, ServerIdentity, TenantId,
};
use dial::{
    Canceller, DialFault, Dialer, Found, Opened, ServerFacts, ServerFlavour, SessionSettings,
    TenantConnection,
};

/// What a lane is opened for.
#[derive(Clone)]
pub struct LaneSpec {
    /// Whose database.
    pub tenant: TenantId,
    /// Which version of the connection record; another one is another lane.
    pub revision: ConnectionRevision,
    /// The kind of database, for status pages before a connection stands.
    pub engine: Engine,
    /// The lane's bounds.
    pub limits: LaneLimits,
    /// The server that was registered; `None` accepts any.
    pub expected: Option<ServerIdentity>,
    /// Which sealed text `source` opens.
    pub record: RecordMark,
    /// Where the connection record comes from when a connection must be opened.
    pub source: Arc<dyn RecordSource>,
}

/// Tells sealed connection records apart without holding one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordMark {
    /// The record's id; with the revision it stands for one content for ever.
    pub id: Uuid,
    /// SHA-256 of the sealed text; another one for the same content after a reseal.
    pub seal: [u8; 32],
}

/// Opens the seal of a connection record, as late as possible.
pub trait RecordSource: Send + Sync + 'static {
    /// The record. Asked once for every connection opened; not kept.
    fn record(&self) -> BoxFuture<'_, Result<ConnectionRecord, RecordFault>>;
}

/// Opens connections. [`Dialer`] is the one that serves.
pub trait Dial: Send + Sync + 'static {
    /// Opens one connection and says which server it reached.
    fn open<'a>(
        &'a self,
        record: &'a ConnectionRecord,
        session: &'a SessionSettings,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Dialled, DialFault>>;

    /// Asks which server a connection reaches now.
    fn identify<'a>(
        &'a self,
        record: &'a ConnectionRecord,
        session: &'a SessionSettings,
        on: (&'a mut TenantConnection, ServerFlavour),
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<ServerIdentity, DialFault>>;
}

/// Reaches around one connection to its server: stops what it is executing, looks whether it is there.
pub trait Cancel: Send + Sync + 'static {
    /// Says that a statement begins which must be over by `deadline`, for engines whose limit is kept
    /// on this side. Also ends an earlier cancellation there.
    fn begin(&self, deadline: Deadline);

    /// Asks the server to stop the connection's present statement.
    fn cancel(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), DialFault>>;

    /// How often something was heard from the server over the connection; `None` where there is no
    /// server that could fall silent.
    fn heard(&self) -> Option<u64>;

    /// Asks the server, beside the connection, whether it is there and what the connection is doing. A
    /// fault of class [`dial::DialClass::Timeout`] means that it did not answer.
    fn look(&self, deadline: Deadline) -> BoxFuture<'_, Result<Found, DialFault>>;

    /// Whether the server's name is known to lead elsewhere now than to where the connection goes.
    fn has_moved(&self, deadline: Deadline) -> BoxFuture<'_, bool>;
}

/// A connection as a lane takes it over.
pub struct Dialled {
    /// The connection.
    pub connection: TenantConnection,
    /// Stops whatever it is executing.
    pub canceller: Arc<dyn Cancel>,
    /// Which server and database this is.
    pub identity: ServerIdentity,
    /// What else is known of it.
    pub facts: ServerFacts,
}

impl From<Opened> for Dialled {
    fn from(opened: Opened) -> Self {
        Self {
            connection: opened.connection,
            canceller: Arc::new(opened.canceller),
            identity: opened.identity,
            facts: opened.facts,
        }
    }
}

impl Dial for Dialer {
    fn open<'a>(
        &'a self,
        record: &'a ConnectionRecord,
        session: &'a SessionSettings,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Dialled, DialFault>> {
        let (dialer, record, session) = (self.clone(), record.clone(), session.clone());
        Box::pin(async move {
            Self::open(&dialer, &record, &session, deadline).await.map(Dialled::from)
        })
    }

    fn identify<'a>(
        &'a self,
        record: &'a ConnectionRecord,
        session: &'a SessionSettings,
        on: (&'a mut TenantConnection, ServerFlavour),
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<ServerIdentity, DialFault>> {
        Box::pin(Self::identify(self, record, session, on, deadline))
    }
}

impl Cancel for Canceller {
    fn begin(&self, deadline: Deadline) {
        Self::begin(self, deadline);
    }

    fn cancel(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), DialFault>> {
        Box::pin(Self::cancel(self, deadline))
    }

    fn heard(&self) -> Option<u64> {
        Self::heard(self)
    }

    fn look(&self, deadline: Deadline) -> BoxFuture<'_, Result<Found, DialFault>> {
        Box::pin(Self::look(self, deadline))
    }

    fn has_moved(&self, deadline: Deadline) -> BoxFuture<'_, bool> {
        Box::pin(Self::has_moved(self, deadline))
    }
}
