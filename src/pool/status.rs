use std::borrow::Cow;
use std::time::Duration;

use metrics::gauge;

use super::lane::Lane;
use super::{BreakerState, RecordMark};
use crate::base::{ConnectionRevision, Engine, ServerIdentity, Timestamp};
use crate::telemetry::pool_metrics as names;

/// What a tenant's lane is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneStatus {
    /// The kind of database.
    pub engine: Engine,
    /// The connection record the lane was opened with.
    pub revision: ConnectionRevision,
    /// The sealed record it was opened with, or last found to be the same as.
    pub record: RecordMark,
    /// The server and database reached, once a connection stood.
    pub identity: Option<ServerIdentity>,
    /// Connections at most.
    pub max: u32,
    /// Connections open, leased ones and those being closed included.
    pub open: u32,
    /// Connections open and waiting for use.
    pub idle: u32,
    /// Connections lent, being opened or being cleared away.
    pub leased: u32,
    /// Callers waiting for one.
    pub waiting: u32,
    /// Connections opened since the lane began.
    pub created_total: u64,
    /// Connections closed since the lane began.
    pub closed_total: u64,
    /// Attempts to connect that failed.
    pub failed_total: u64,
    /// Statements cut off by their deadline.
    pub timeouts_total: u64,
    /// Callers turned away because too many waited, or who waited in vain.
    pub saturated_total: u64,
    /// The last failure: its code and when.
    pub last_error: Option<(Cow<'static, str>, Timestamp)>,
}

/// What a tenant's breaker is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerStatus {
    /// Closed, open or half-open.
    pub state: BreakerState,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// While it is not closed: when it opened first. Each try that fails begins its state anew, and not this.
    pub unwell_since: Option<Timestamp>,
    /// The code of the last failure that counted.
    pub last_reason: Option<Cow<'static, str>>,
    /// Whether nobody logs in for a while, because the server refuses the account.
    pub holds_logins: bool,
    /// While open: how long until a probe may pass.
    pub retry_after: Option<Duration>,
    /// How often it opened.
    pub opened: u64,
    /// How many calls it turned away.
    pub rejected: u64,
}

impl Lane {
    /// Sets the lane's gauges; to zero once it is over.
    pub(crate) fn show(&self, over: bool) {
        let tenant = self.spec.tenant.to_string();
        let status = self.status();
        let value = |n: u32| if over { 0.0 } else { f64::from(n) };
        gauge!(names::OPEN, names::TENANT => tenant.clone()).set(value(status.open));
        gauge!(names::IDLE, names::TENANT => tenant.clone()).set(value(status.idle));
        gauge!(names::WAITING, names::TENANT => tenant).set(value(status.waiting));
    }
}
