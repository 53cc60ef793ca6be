use std::fmt;

/// A URL parameter's name as it may be repeated in a message: one that drivers are known to read. Any
/// other is shown as `?`, since part of a password typed with a bare `?` in it looks just like a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterName(&'static str);

/// What libpq, the MySQL clients and SQLite's URIs take, and the gateway's own two.
const PARAMETER_NAMES: [&str; 34] = [
    "application_name",
    "cache",
    "channel_binding",
    "charset",
    "client_encoding",
    "collation",
    "connect_timeout",
    "dbname",
    "gssencmode",
    "host",
    "hostaddr",
    "immutable",
    "keepalives",
    "mode",
    "options",
    "passfile",
    "password",
    "port",
    "require_auth",
    "search_path",
    "service",
    "socket",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "timezone",
    "tls",
    "tls-name",
    "user",
];

impl ParameterName {
    pub(super) fn of(name: &str) -> Self {
        Self(PARAMETER_NAMES.iter().find(|known| **known == name).copied().unwrap_or("?"))
    }
}

impl fmt::Display for ParameterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
