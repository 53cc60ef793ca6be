use std::time::Duration;

use super::dial::SessionSettings;

/// How lanes behave. One for the whole gateway; what a tenant may override is in [`LaneLimits`] and
/// [`TenantLimits`].
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// A lane nobody used for so long is closed, and so is a connection. Default 30 min.
    pub idle_timeout: Duration,
    /// The longest opening a connection may take, permits included. Default 3 s.
    pub connect_timeout: Duration,
    /// Connections of all lanes together. Default 400.
    pub total_connections: u32,
    /// Lanes kept at once; the least recently used one gives way. Default 10,000.
    pub max_lanes: u64,
    /// A connection older than this is replaced. Default 1 h.
    pub max_age: Duration,
    /// A connection idle for longer is checked before it is used. Default 30 s.
    pub check_after_idle: Duration,
    /// The longest such a check may take. Default 500 ms.
    pub check_timeout: Duration,
    /// How often the server behind an open connection is asked who it is; zero for never. Default 5 min.
    pub identity_check: Duration,
    /// A server that says nothing for so long during a statement is looked after. Default 300 ms.
    pub look_after: Duration,
    /// While it is found at work, it is looked after again so much later. Default 1 s.
    pub look_again: Duration,
    /// A server that has not answered a look after so long has fallen silent. Default 1.1 s, in which a
    /// lost packet of the connection attempt is sent again.
    pub look_timeout: Duration,
    /// The longest telling the server to stop a statement may take. Default 1 s.
    pub cancel_timeout: Duration,
    /// The longest a polite close may take before the socket is dropped. Default 1 s.
    pub close_timeout: Duration,
    /// A retired lane's leases are cut off after so long. Default 60 s.
    pub retire_backstop: Duration,
    /// How long a lane that met the wrong server refuses before it looks again. Default 30 s.
    pub wrong_server_hold: Duration,
    /// How often maintenance looks around. Default 1 s.
    pub tick: Duration,
    /// A tenant's breaker and admission counters are dropped when nobody used them for so long and
    /// the breaker is closed. Default 1 h.
    pub forget_after: Duration,
    /// When breakers open and for how long.
    pub breaker: BreakerConfig,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_mins(30),
            connect_timeout: Duration::from_secs(3),
            total_connections: 400,
            max_lanes: 10_000,
            max_age: Duration::from_hours(1),
            check_after_idle: Duration::from_secs(30),
            identity_check: Duration::from_mins(5),
            check_timeout: Duration::from_millis(500),
            look_after: Duration::from_millis(300),
            look_again: Duration::from_secs(1),
            look_timeout: Duration::from_millis(1_100),
            cancel_timeout: Duration::from_secs(1),
            close_timeout: Duration::from_secs(1),
            retire_backstop: Duration::from_mins(1),
            wrong_server_hold: Duration::from_secs(30),
            tick: Duration::from_secs(1),
            forget_after: Duration::from_hours(1),
            breaker: BreakerConfig::default(),
        }
    }
}

/// When a breaker opens and for how long.
#[derive(Debug, Clone)]
pub struct BreakerConfig {
    /// Consecutive failures that open it; 0 counts as 1. Default 5.
    pub failures: u32,
    /// How long it stays open the first time; doubles with every failed probe. Default 5 s.
    pub open_for: Duration,
    /// Where the doubling ends. Default 6 s: with the time an attempt to connect may take, a server that is
    /// back is found within 10 s.
    pub open_at_most: Duration,
    /// How long it stays open after the server refused the account. Default 2 min.
    pub auth_open_for: Duration,
    /// Where the doubling ends for refused accounts. Default 10 min.
    pub auth_open_at_most: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            failures: 5,
            open_for: Duration::from_secs(5),
            open_at_most: Duration::from_secs(6),
            auth_open_for: Duration::from_mins(2),
            auth_open_at_most: Duration::from_mins(10),
        }
    }
}

/// The bounds of one tenant's lane. A lease with other limits replaces the lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneLimits {
    /// Connections at once; 0 counts as 1. Default 5.
    pub max_connections: u32,
    /// Callers waiting at once; one more is turned away. Default 1,024: what bounds a tenant's callers is
    /// [`TenantLimits::concurrent_requests`], and this bounds the memory of whoever is not admitted by it.
    pub max_waiting: u32,
    /// The longest a caller waits for a connection, be all of them in use or one being opened. An
    /// attempt to open one goes on without her. Default 1 s.
    pub acquire_timeout: Duration,
    /// This tenant's weight against the others' where they share the gateway's connections; 0 counts as 1.
    /// Default 1. Another weight alone does not replace the lane.
    pub weight: u32,
    /// What every session is told when it opens. Default: statements 5 s, otherwise as
    /// [`SessionSettings::default`].
    pub session: SessionSettings,
}

impl Default for LaneLimits {
    fn default() -> Self {
        Self::with_connections(5)
    }
}

impl LaneLimits {
    /// Whether a lane with these limits serves those.
    pub(crate) fn fit(&self, other: &Self) -> bool {
        self.max_connections == other.max_connections
            && self.max_waiting == other.max_waiting
            && self.acquire_timeout == other.acquire_timeout
            && self.session == other.session
    }

    /// The default limits with another number of connections.
    pub fn with_connections(max_connections: u32) -> Self {
        let session = SessionSettings {
            statement_timeout: Duration::from_secs(5),
            ..SessionSettings::default()
        };
        Self {
            max_connections,
            max_waiting: 1_024,
            acquire_timeout: Duration::from_secs(1),
            weight: 1,
            session,
        }
    }
}

/// What a tenant may ask of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantLimits {
    /// Requests a second in the long run; 0 counts as 1. Default 200.
    pub requests_per_second: u32,
    /// Requests that may come at once after a pause; 0 counts as 1. Default 200.
    pub burst: u32,
    /// Requests being answered at once; 0 counts as 1. Default 32.
    pub concurrent_requests: u32,
}

impl Default for TenantLimits {
    fn default() -> Self {
        Self { requests_per_second: 200, burst: 200, concurrent_requests: 32 }
    }
}
