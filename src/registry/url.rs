use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

use super::db::{BUSY, Target};
use super::fault::RegistryFault;
use crate::base::SecretText;

/// A database setting, read strictly. Nothing is taken from the environment, a pass file or a default
/// host: what is missing is refused. Holds a password: not printable.
///
/// `sqlite:PATH`, or `postgres://USER:PASSWORD@HOST[:PORT]/DATABASE[?sslrootcert=FILE]` with the usual
/// percent encoding. Off loopback the server must prove its name over TLS, against `FILE` (PEM) beside
/// the public roots; on loopback TLS is used when `sslrootcert` is given.
pub(super) enum Setting {
    Sqlite(PathBuf),
    Postgres(ServerSetting),
}

pub(super) struct ServerSetting {
    user: String,
    password: SecretText,
    host: String,
    port: u16,
    database: String,
    root_cert: Option<PathBuf>,
}

const FORM: &str =
    "expected sqlite:PATH or postgres://USER:PASSWORD@HOST[:PORT]/DATABASE[?sslrootcert=FILE]";

const fn malformed(why: &'static str) -> RegistryFault {
    RegistryFault::Setting(why)
}

impl Setting {
    pub(super) fn parse(text: &SecretText) -> Result<Self, RegistryFault> {
        let text = text.expose().trim();
        if text.bytes().any(|b| b.is_ascii_control()) {
            return Err(malformed("it contains a control character"));
        }
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.contains(['?', '#']) || path.starts_with(':') {
                return Err(malformed("a SQLite setting is `sqlite:` and the path of a file"));
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        let rest = text
            .strip_prefix("postgres://")
            .or_else(|| text.strip_prefix("postgresql://"))
            .ok_or(malformed(FORM))?;
        Self::postgres(rest).map(Self::Postgres)
    }

    fn postgres(rest: &str) -> Result<ServerSetting, RegistryFault> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').ok_or(malformed(FORM))?;
        let (login, address) = authority.rsplit_once('@').ok_or(malformed(FORM))?;
        let (user, password) = login.split_once(':').ok_or(malformed(FORM))?;
        let (host, port) = split_address(address)?;
        let (user, password, database) = (decode(user)?, decode(password)?, decode(database)?);
        if user.is_empty() || password.is_empty() || database.is_empty() || database.contains('/') {
            return Err(malformed("user, password and database must be given"));
        }
        let mut root_cert = None;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslrootcert", file)) if !file.is_empty() => {
                    root_cert = Some(PathBuf::from(decode(file)?));
                }
                Some(("sslmode", "verify-full")) => {}
                _ => {
                    return Err(malformed("only sslrootcert=FILE may follow the database's name"));
                }
            }
        }
        Ok(ServerSetting {
            user,
            password: SecretText::new(password),
            host,
            port,
            database,
            root_cert,
        })
    }

    /// Driver options, field by field. `careful` is for the store of keys: every commit is flushed
    /// and what is deleted is overwritten.
    pub(super) fn target(&self, careful: bool) -> Result<Target, RegistryFault> {
        match self {
            Self::Sqlite(path) => {
                let options = SqliteConnectOptions::new()
                    .filename(path)
                    .create_if_missing(false)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .foreign_keys(true)
                    .busy_timeout(BUSY)
                    .statement_cache_capacity(64)
                    .disable_statement_logging();
                let options = if careful { options.pragma("secure_delete", "ON") } else { options };
                Ok(Target::Sqlite(Box::new(options)))
            }
            Self::Postgres(server) => server.options().map(|o| Target::Postgres(Box::new(o))),
        }
    }
}

impl ServerSetting {
    fn options(&self) -> Result<PgConnectOptions, RegistryFault> {
        refuse_ambient()?;
        let verify = self.root_cert.is_some() || !is_loopback(&self.host);
        let roots = match &self.root_cert {
            Some(file) => {
                std::fs::read(file).map_err(|_| malformed("the sslrootcert file is unreadable"))?
            }
            // The public roots only; given as an empty text so that no file of the account counts.
            None => Vec::new(),
        };
        Ok(PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .username(&self.user)
            .password(self.password.expose())
            .database(&self.database)
            .ssl_mode(if verify { PgSslMode::VerifyFull } else { PgSslMode::Disable })
            .ssl_root_cert_from_pem(roots)
            .application_name("wardgate-registry")
            .statement_cache_capacity(64)
            .options([
                // Shorter than our own patience, so that the server can say which it was.
                ("statement_timeout", "1900"),
                ("lock_timeout", "1500"),
                ("idle_in_transaction_session_timeout", "10000"),
            ])
            .disable_statement_logging())
    }
}

/// The driver fills these from the process's environment and offers no way to leave them out, so a
/// process that has them set does not connect.
fn refuse_ambient() -> Result<(), RegistryFault> {
    let set = |name: &str| std::env::var_os(name).is_some();
    if set("PGOPTIONS") || set("PGSSLCERT") || set("PGSSLKEY") {
        return Err(malformed("unset PGOPTIONS, PGSSLCERT and PGSSLKEY in the environment"));
    }
    Ok(())
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `host`, `host:port` or `[v6]:port`. A host is a name or an address, never a path.
fn split_address(text: &str) -> Result<(String, u16), RegistryFault> {
    let bad = malformed("the host must be a name or an address, the port a number");
    let (host, port) = match text.strip_prefix('[') {
        Some(v6) => {
            let (host, port) = v6.split_once(']').ok_or_else(|| bad.clone())?;
            host.parse::<Ipv6Addr>().map_err(|_| bad.clone())?;
            (host, port.strip_prefix(':').or(port.is_empty().then_some("5432")))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("5432")),
        },
    };
    let port = port.and_then(|port| port.parse().ok()).filter(|port| *port != 0);
    let numeric = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let named = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    let v6 = text.starts_with('[');
    if host.is_empty() || !(named || v6) || (numeric && host.parse::<Ipv4Addr>().is_err()) {
        return Err(bad);
    }
    port.map(|port| (host.to_ascii_lowercase(), port)).ok_or(bad)
}

fn decode(text: &str) -> Result<String, RegistryFault> {
    let bad = malformed("percent encoding is broken");
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(bad) };
        out.push(u8::try_from(high * 16 + low).map_err(|_| bad.clone())?);
    }
    let text = String::from_utf8(out).map_err(|_| bad)?;
    if text.bytes().any(|b| b.is_ascii_control()) {
        return Err(malformed("it contains a control character"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Setting, RegistryFault> {
        Setting::parse(&SecretText::new(text.to_owned()))
    }

    #[test]
    fn reads_both_forms() {
        for (text, path) in [("sqlite:/a/b.db", "/a/b.db"), ("sqlite:///a/b.db", "/a/b.db")] {
            let Ok(Setting::Sqlite(read)) = parse(text) else { panic!("{text}") };
            assert_eq!(read, PathBuf::from(path));
        }
        let Ok(Setting::Postgres(server)) =
            parse("postgres://w:p%40ss:%2F@DB.example:6432/ctl?sslrootcert=/etc/ca.pem\n")
        else {
            panic!()
        };
        assert_eq!(
            (server.user.as_str(), server.password.expose(), server.host.as_str(), server.port),
            ("w", "p@ss:/", "db.example", 6432)
        );
        assert_eq!(server.database, "ctl");
        assert_eq!(server.root_cert, Some(PathBuf::from("/etc/ca.pem")));
        assert!(matches!(parse("postgres://a:b@[::1]/c"), Ok(Setting::Postgres(_))));
    }

    #[test]
    fn refuses_what_is_missing_or_unknown() {
        for bad in [
            "",
            "sqlite:",
            "sqlite::memory:",
            "sqlite:a?mode=rwc",
            "mysql://a:b@c/d",
            "postgres://a@b/c",
            "postgres://a:@b/c",
            "postgres://a:b@b/",
            "postgres://a:b@/c",
            "postgres://a:b@h:0/c",
            "postgres://a:b@h:x/c",
            "postgres://a:b@%2Ftmp/c",
            "postgres://a:b@10.1/c",
            "postgres://a:b@[zz]/c",
            "postgres://a:b%zz@h/c",
            "postgres://a:b@h/c?options=-c",
            "postgres://a:b@h/c?sslmode=prefer",
            "postgres://a:b@h/c?host=/tmp",
            "postgres://a:b%00@h/c",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_loopback_may_go_without_tls() {
        for (text, mode) in [
            ("postgres://a:b@127.0.0.1/c", PgSslMode::Disable),
            ("postgres://a:b@localhost/c", PgSslMode::Disable),
            ("postgres://a:b@10.0.0.1/c", PgSslMode::VerifyFull),
            ("postgres://a:b@db.example/c", PgSslMode::VerifyFull),
            ("postgres://a:b@localhost.example/c", PgSslMode::VerifyFull),
        ] {
            let Ok(Target::Postgres(options)) = parse(text).and_then(|s| s.target(false)) else {
                panic!("{text}")
            };
            assert!(
                matches!(
                    (options.get_ssl_mode(), mode),
                    (PgSslMode::Disable, PgSslMode::Disable)
                        | (PgSslMode::VerifyFull, PgSslMode::VerifyFull)
                ),
                "{text}"
            );
        }
    }
}
