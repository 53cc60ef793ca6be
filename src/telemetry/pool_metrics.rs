//! Every metric here carries the one label `TENANT` and nothing else, so that the number of series is
//! bounded by the number of tenants in use.

/// The one label: the tenant's id.
pub const TENANT: &str = "tenant";

/// Counter: connections opened.
pub const CONNECTS: &str = "wardgate_pool_connects_total";
/// Counter: connections that could not be opened.
pub const CONNECT_FAILURES: &str = "wardgate_pool_connect_failures_total";
/// Counter: connections closed, for whatever reason.
pub const CLOSES: &str = "wardgate_pool_closes_total";
/// Counter: connections given up because a statement was cut off or failed beneath the protocol.
pub const DISCARDS: &str = "wardgate_pool_discards_total";
/// Counter: statements cut off by their deadline.
pub const TIMEOUTS: &str = "wardgate_pool_timeouts_total";
/// Counter: times a server fell silent and the lane to it was given up.
pub const SILENCES: &str = "wardgate_pool_silences_total";
/// Counter: callers turned away because too many were waiting, or who waited in vain.
pub const SATURATED: &str = "wardgate_pool_saturated_total";
/// Counter: connections that reached another server or database than the one registered.
pub const WRONG_SERVER: &str = "wardgate_pool_wrong_server_total";
/// Counter: times a server behind an open connection was asked who it is.
pub const IDENTITY_CHECKS: &str = "wardgate_pool_identity_checks_total";
/// Gauge: connections open, leased ones included.
pub const OPEN: &str = "wardgate_pool_open_connections";
/// Gauge: connections open and not leased.
pub const IDLE: &str = "wardgate_pool_idle_connections";
/// Gauge: callers waiting for a connection.
pub const WAITING: &str = "wardgate_pool_waiting";

/// Gauge: 0 closed, 1 half-open, 2 open.
pub const BREAKER_STATE: &str = "wardgate_breaker_state";
/// Counter: times the breaker opened.
pub const BREAKER_OPENED: &str = "wardgate_breaker_opened_total";
/// Counter: calls turned away by the breaker.
pub const BREAKER_REJECTED: &str = "wardgate_breaker_rejected_total";

/// Counter: requests turned away by the rate limit or the bulkhead.
pub const THROTTLED: &str = "wardgate_admission_throttled_total";
