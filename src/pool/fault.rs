use std::borrow::Cow;
use std::time::Duration;

use super::dial::{DialClass, DialFault};
use super::verdict::{DbError, Family};
use crate::base::{Fault, FaultKind};

/// Why a tenant's connection record could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection record cannot be read: {why}")]
pub struct RecordFault {
    kind: FaultKind,
    why: &'static str,
}

impl RecordFault {
    /// A fault of `kind`, explained by a fixed sentence without secrets.
    pub const fn new(kind: FaultKind, why: &'static str) -> Self {
        Self { kind, why }
    }

    /// Whose fault it is.
    pub const fn kind(&self) -> FaultKind {
        self.kind
    }
}

/// Why no connection was lent, or why what it was lent for failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolFault {
    /// Over the tenant's rate or its number of requests at once.
    #[error("the tenant is over its limit")]
    Throttled {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// As many callers wait for a connection as may.
    #[error("too many callers wait for a connection")]
    Saturated,
    /// No connection became free, or could be opened, in time.
    #[error("no connection was to be had in time")]
    AcquireTimeout,
    /// The gateway's own budget of connections is spent.
    #[error("the gateway's budget of connections is spent")]
    BudgetSpent,
    /// The breaker is open.
    #[error("the breaker is open ({reason})")]
    BreakerOpen {
        /// When it lets a probe through.
        retry_after: Duration,
        /// The code of the failure that opened it.
        reason: Cow<'static, str>,
    },
    /// The connection could not be opened.
    #[error("connecting failed: {0}")]
    Connect(#[from] DialFault),
    /// The connection record could not be had.
    #[error(transparent)]
    Record(#[from] RecordFault),
    /// The server reached is not the one that was registered. Nothing was read from it.
    #[error("the server reached is not the one registered")]
    WrongServer,
    /// The caller knows an older connection record than the lane.
    #[error("the connection record was replaced meanwhile")]
    Superseded,
    /// The statement failed.
    #[error(transparent)]
    Database(#[from] DatabaseFault),
    /// The server says nothing any more, neither on the connection nor when asked beside it, or has not
    /// taken up what it was told.
    #[error("the server fell silent")]
    Silent {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// The deadline passed; the server was told to stop.
    #[error("the deadline passed")]
    Timeout,
    /// The lease lost its connection in an earlier call.
    #[error("the lease has no connection any more")]
    Discarded,
    /// The lane was retired for good while the lease was out.
    #[error("the lane was closed under the lease")]
    Retired,
    /// The gateway is shutting down.
    #[error("the lanes are closed")]
    Closed,
    /// A task of ours ended without an answer.
    #[error("opening a connection ended without an answer")]
    Internal,
}

/// A statement's failure as an error of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DatabaseFault(pub DbError);

impl PoolFault {
    /// The database's error, if that is what this is.
    pub const fn database(&self) -> Option<&DbError> {
        match self {
            Self::Database(DatabaseFault(error)) => Some(error),
            _ => None,
        }
    }

    /// Whether the server has no connection to give.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::Connect(fault) if fault.class() == DialClass::Full)
    }

    /// Whether the server refuses the account.
    pub(crate) fn is_refused_account(&self) -> bool {
        matches!(self, Self::Connect(fault) if fault.class() == DialClass::Auth)
    }

    /// A short word or code for counters and status pages.
    pub fn code(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Throttled { .. } => "throttled",
            Self::Saturated => "saturated",
            Self::AcquireTimeout => "acquire_timeout",
            Self::BudgetSpent => "budget",
            Self::BreakerOpen { .. } => "breaker_open",
            Self::Connect(fault) => return dial_code(fault),
            Self::Record(_) => "record",
            Self::WrongServer => "wrong_server",
            Self::Superseded => "superseded",
            Self::Database(DatabaseFault(error)) => return error.code.clone(),
            Self::Silent { .. } => "silent",
            Self::Timeout => "timeout",
            Self::Discarded => "discarded",
            Self::Retired => "retired",
            Self::Closed => "closed",
            Self::Internal => "internal",
        })
    }
}

/// The server's code where there is one, else the class of the dial fault.
pub(crate) fn dial_code(fault: &DialFault) -> Cow<'static, str> {
    match fault.code() {
        Some(code) => Cow::Owned(code.to_owned()),
        None => Cow::Borrowed(fault.class().as_str()),
    }
}

impl Fault for PoolFault {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Throttled { .. } => FaultKind::Throttled,
            Self::Connect(fault) => fault.kind(),
            Self::Record(fault) => fault.kind(),
            Self::WrongServer => FaultKind::Integrity,
            Self::Timeout => FaultKind::Timeout,
            Self::Discarded | Self::Internal => FaultKind::Internal,
            Self::Database(DatabaseFault(error)) => match error.family {
                Family::CallerValue => FaultKind::Invalid,
                Family::Mapping => FaultKind::Mapping,
                Family::Neutral if error.is_statement_limit() => FaultKind::Timeout,
                Family::Availability | Family::Neutral => FaultKind::Unavailable,
            },
            Self::Saturated
            | Self::AcquireTimeout
            | Self::BudgetSpent
            | Self::BreakerOpen { .. }
            | Self::Silent { .. }
            | Self::Superseded
            | Self::Retired
            | Self::Closed => FaultKind::Unavailable,
        }
    }

    fn client_message(&self) -> Cow<'static, str> {
        let busy = matches!(self, Self::Database(DatabaseFault(e)) if e.family == Family::Neutral);
        Cow::Borrowed(match self.kind() {
            // A lock, a lost race: the server is there.
            FaultKind::Unavailable if busy => "the organisation's database is busy at present",
            FaultKind::Throttled => "the organisation is over its limit of requests",
            FaultKind::Invalid => "a value does not fit what the organisation's database holds",
            FaultKind::Mapping => "the organisation's mapping does not fit its database",
            FaultKind::Timeout => "the organisation's database did not answer in time",
            FaultKind::Unavailable => "the organisation's database cannot be reached at present",
            _ => "the request cannot be answered",
        })
    }

    fn retry_after_secs(&self) -> Option<u64> {
        match self {
            Self::Throttled { retry_after }
            | Self::BreakerOpen { retry_after, .. }
            | Self::Silent { retry_after } => Some(whole_seconds(*retry_after)),
            Self::Connect(fault) => fault.retry_after_secs(),
            _ => matches!(self.kind(), FaultKind::Unavailable | FaultKind::Timeout).then_some(1),
        }
    }
}

/// Rounded up and never 0, because `Retry-After: 0` invites a stampede.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}
