//! What the resolved settings look like.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::reader::ShownSetting;
use crate::base::SecretText;

/// All settings of a gateway, resolved and checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `[fhir]`: the data plane.
    pub fhir: FhirSettings,
    /// `[admin]`: the control plane.
    pub admin: AdminSettings,
    /// `[tls]`: certificate of both listeners; behind a proxy without it.
    pub tls: Option<ListenerTls>,
    /// `[registry] url`: `sqlite:` or `postgres:`. Holds a password.
    pub registry_url: SecretText,
    /// `[keys]`.
    pub keys: KeySettings,
    /// `[[issuers]]`: who may vouch for clinicians.
    pub issuers: Vec<IssuerSettings>,
    /// `[operators]`: who may use the control plane.
    pub operators: Option<OperatorSettings>,
    /// `[pool]`.
    pub pool: PoolSettings,
    /// `[config_cache] ttl`.
    pub config_cache_ttl: Duration,
    /// `[breaker]`.
    pub breaker: BreakerSettings,
    /// `[limits]`.
    pub limits: LimitSettings,
    /// `[mapping] drift_check`: how often each tenant's schema is compared with its mapping.
    pub drift_check: Duration,
    /// `[egress]`.
    pub egress: EgressSettings,
    /// `[audit]`.
    pub audit: AuditSettings,
    /// `[log]`.
    pub log: LogSettings,
    /// `[telemetry]`.
    pub telemetry: TelemetrySettings,
    /// Each setting as `config show` prints it.
    pub shown: Vec<ShownSetting>,
}

/// `[fhir]`.
#[derive(Debug, Clone)]
pub struct FhirSettings {
    /// Where the data plane listens.
    pub listen: SocketAddr,
    /// Base of `fullUrl` and of `next` links, without a trailing slash.
    pub public_url: String,
    /// Proxies whose `X-Forwarded-For` counts for the access log. Never decides a tenant.
    pub trusted_proxies: Vec<IpAddr>,
}

/// `[admin]`.
#[derive(Debug, Clone)]
pub struct AdminSettings {
    /// Where the control plane listens.
    pub listen: SocketAddr,
    /// Its URL as operators reach it.
    pub public_url: String,
    /// Whether ending a hospital, and SQL that a mapping brings, needs a second person.
    pub two_persons: bool,
}

/// `[tls]`.
#[derive(Debug, Clone)]
pub struct ListenerTls {
    /// PEM chain.
    pub cert_file: PathBuf,
    /// PEM key.
    pub key_file: PathBuf,
}

/// `[keys]`.
#[derive(Debug, Clone)]
pub struct KeySettings {
    /// File of key-encryption keys, mode 0600.
    pub kek_file: Option<PathBuf>,
    /// The same text from the environment; convenient and weaker.
    pub kek: Option<SecretText>,
    /// Where wrapped data keys live. Holds a password on PostgreSQL.
    pub store: SecretText,
}

/// One `[[issuers]]`.
#[derive(Debug, Clone)]
pub struct IssuerSettings {
    /// The issuer, exactly as in `iss`.
    pub url: String,
    /// What `aud` must contain.
    pub audience: String,
    /// Path of the tenant claim; empty binds by issuer alone.
    pub tenant_claim: String,
    /// Path of the roles claim.
    pub roles_claim: String,
    /// Where to reach it, when not at its own name.
    pub internal_url: Option<String>,
    /// OAuth client through which the panel signs people in there who may look at resources.
    pub preview_client_id: Option<String>,
    /// Its secret.
    pub preview_client_secret: Option<SecretText>,
}

/// `[operators]`.
#[derive(Debug, Clone)]
pub struct OperatorSettings {
    /// The operators' issuer.
    pub issuer: String,
    /// What `aud` must contain.
    pub audience: String,
    /// The role that makes an operator.
    pub role: String,
    /// The role of those who only look.
    pub viewer_role: String,
    /// The role of those who approve what needs two people.
    pub approver_role: String,
    /// Path of the roles claim.
    pub roles_claim: String,
    /// Where to reach the issuer, when not at its own name.
    pub internal_url: Option<String>,
    /// OAuth client of the panel.
    pub client_id: Option<String>,
    /// Its secret.
    pub client_secret: Option<SecretText>,
}

/// `[telemetry]`: traces for a collector.
#[derive(Debug, Clone)]
pub struct TelemetrySettings {
    /// Base URL of a collector's OTLP/HTTP receiver; no traces without.
    pub otlp_endpoint: Option<String>,
    /// The `Authorization` header it wants.
    pub otlp_authorization: Option<SecretText>,
    /// Of so many requests one is traced.
    pub otlp_one_in: u32,
}

/// `[pool]`.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// Connections of one tenant.
    pub max_connections: u32,
    /// A lane unused for that long is closed.
    pub idle_timeout: Duration,
    /// Wait for a free connection.
    pub acquire_timeout: Duration,
    /// Opening a connection, everything included.
    pub connect_timeout: Duration,
    /// One statement, enforced in the server.
    pub statement_timeout: Duration,
    /// Connections of the whole gateway.
    pub total_connections: u32,
    /// How often the server behind an open connection is asked who it is.
    pub identity_check: Duration,
}

/// `[breaker]`.
#[derive(Debug, Clone)]
pub struct BreakerSettings {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it stays open at first.
    pub open_for: Duration,
    /// How long at most, after doubling.
    pub open_at_most: Duration,
}

/// `[limits]`; a tenant's own record may override all but the last two.
#[derive(Debug, Clone)]
pub struct LimitSettings {
    /// Requests a second of one tenant.
    pub requests_per_second: u32,
    /// Requests under way of one tenant.
    pub concurrent_requests: u32,
    /// Entries of a page when `_count` is not given.
    pub page_size: u32,
    /// The most `_count` gives.
    pub page_size_max: u32,
    /// Files of exports one tenant fetches at once, on each gateway.
    pub export_jobs: u32,
    /// A whole request; a tenant's own record may only shorten it.
    pub request_timeout: Duration,
    /// A request's body.
    pub body_bytes: u32,
    /// A client's connection that asks nothing, on either listener.
    pub keep_alive: Duration,
}

/// `[egress]`.
#[derive(Debug, Clone)]
pub struct EgressSettings {
    /// Where tenant databases may live, as `host:port` or `network/bits:port`.
    pub allow: Vec<String>,
    /// The one folder SQLite tenants live in.
    pub sqlite_dir: Option<PathBuf>,
}

/// `[audit]`.
#[derive(Debug, Clone)]
pub struct AuditSettings {
    /// Where the access log is written.
    pub dir: PathBuf,
    /// This gateway's lasting name among those that write to the same folder.
    pub instance: String,
    /// Where its signed checkpoints go; better another disk.
    pub checkpoint_dir: Option<PathBuf>,
    /// How long events are kept; for ever without it.
    pub keep: Option<Duration>,
}

/// `[log]`.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// JSON lines rather than text.
    pub json: bool,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: tracing::level_filters::LevelFilter,
}
