use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::BoxFuture;
use metrics::counter;
use sqlx::Connection as _;
use tokio::time::{Instant, timeout};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::Cancel;
use super::dial::{ServerFacts, TenantConnection};
use super::fair::Place;
use crate::base::{Deadline, ServerIdentity, TenantId};
use crate::telemetry::pool_metrics as names;

/// What a lane counts. Apart from the lane, so that its idle connections do not keep it alive.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) open: AtomicU32,
    pub(crate) waiting: AtomicU32,
    pub(crate) created: AtomicU64,
    pub(crate) closed: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) timeouts: AtomicU64,
    pub(crate) saturated: AtomicU64,
}

/// Counts one connection for as long as it lives: in its lane, in the gateway's budget, in the metrics and
/// among what a retired lane waits for.
pub(crate) struct Tally {
    tenant: TenantId,
    counters: Arc<Counters>,
    _budget: Place,
    _alive: TaskTrackerToken,
}

impl Tally {
    pub(crate) fn new(
        tenant: TenantId,
        counters: Arc<Counters>,
        budget: Place,
        alive: TaskTrackerToken,
    ) -> Self {
        counters.open.fetch_add(1, Relaxed);
        counters.created.fetch_add(1, Relaxed);
        counter!(names::CONNECTS, names::TENANT => tenant.to_string()).increment(1);
        Self { tenant, counters, _budget: budget, _alive: alive }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.counters.open.fetch_sub(1, Relaxed);
        self.counters.closed.fetch_add(1, Relaxed);
        counter!(names::CLOSES, names::TENANT => self.tenant.to_string()).increment(1);
    }
}

/// One open connection and what a lane knows of it. Dropping it drops the socket.
pub(crate) struct Link {
    /// First, so that the connection is gone before it stops being counted.
    pub(crate) connection: TenantConnection,
    pub(crate) canceller: Arc<dyn Cancel>,
    pub(crate) identity: Arc<ServerIdentity>,
    pub(crate) facts: Arc<ServerFacts>,
    pub(crate) opened_at: Instant,
    pub(crate) idle_since: Instant,
    /// How often its server had been heard when it was put on the shelf.
    pub(crate) heard: Option<u64>,
    /// When its server said last who it is.
    pub(crate) identified_at: Instant,
    /// A SQLite file opened for writing; servers' connections serve both.
    pub(crate) writes: bool,
    /// Check it before the next use, however short it sat.
    pub(crate) suspect: bool,
    pub(crate) tally: Tally,
}

impl Link {
    /// Whether the server answers within `limit`. A link that does not must not be used again.
    pub(crate) async fn answers(&mut self, limit: Duration) -> bool {
        self.canceller.begin(Deadline::after(limit));
        matches!(timeout(limit, self.ping()).await, Ok(Ok(())))
    }

    /// Whether the server says anything within `limit`, be it that the statement before was stopped.
    /// For links that are closed whatever the outcome.
    pub(crate) async fn reacts(&mut self, limit: Duration) -> bool {
        matches!(timeout(limit, self.ping()).await, Ok(Ok(()) | Err(sqlx::Error::Database(_))))
    }

    fn ping(&mut self) -> BoxFuture<'_, Result<(), sqlx::Error>> {
        match &mut self.connection {
            TenantConnection::Postgres(session) => Box::pin(session.ping()),
            TenantConnection::MySql(connection) => connection.ping(),
            TenantConnection::Sqlite(connection) => connection.ping(),
        }
    }

    /// Whether the server has said nothing since the connection was put on the shelf, and not hung up. MySQL's
    /// driver keeps its socket to itself; what its server says comes by the relay, which counts it.
    pub(crate) fn is_quiet(&mut self) -> bool {
        match &mut self.connection {
            TenantConnection::Postgres(session) => session.is_quiet(),
            TenantConnection::MySql(_) => self.canceller.heard() == self.heard,
            TenantConnection::Sqlite(_) => true,
        }
    }

    /// Whether the next statement would not begin from a clean state: a transaction was left open that the
    /// driver knows of, or a reply was not read to its end.
    pub(crate) fn is_unclean(&self) -> bool {
        match &self.connection {
            TenantConnection::Postgres(session) => session.is_unclean(),
            TenantConnection::MySql(connection) => connection.is_in_transaction(),
            TenantConnection::Sqlite(connection) => connection.is_in_transaction(),
        }
    }

    /// Takes leave of the server and closes; after `limit` the socket is simply dropped.
    pub(crate) async fn close(self, limit: Duration) {
        let Self { connection, tally, .. } = self;
        let close = match connection {
            TenantConnection::Postgres(session) => Box::pin(session.close()),
            TenantConnection::MySql(connection) => connection.close(),
            TenantConnection::Sqlite(connection) => connection.close(),
        };
        let _outcome = timeout(limit, close).await;
        drop(tally);
    }

    /// Closes without a word, for connections whose state is unknown.
    pub(crate) async fn close_hard(self, limit: Duration) {
        let Self { connection, tally, .. } = self;
        let close = match connection {
            TenantConnection::Postgres(session) => {
                drop(session);
                return drop(tally);
            }
            TenantConnection::MySql(connection) => connection.close_hard(),
            TenantConnection::Sqlite(connection) => connection.close_hard(),
        };
        let _outcome = timeout(limit, close).await;
        drop(tally);
    }
}
