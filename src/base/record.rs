use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Engine, SecretText, Timestamp};

/// Everything needed to reach one tenant's database, as fields. This is what is sealed; a URL is only
/// what people type. Holds a password: `Debug` shows the engine and nothing else.
#[derive(Clone)]
pub enum ConnectionRecord {
    /// PostgreSQL or MySQL/MariaDB over TCP.
    Server(ServerRecord),
    /// A SQLite file.
    Sqlite(SqliteRecord),
}

/// A database server reached over TCP.
#[derive(Clone)]
pub struct ServerRecord {
    /// `Postgres` or `MySql`, never `Sqlite`.
    pub engine: Engine,
    /// Host name or numeric address, as typed by the operator. Lower case.
    pub host: String,
    /// TCP port, 1 to 65535.
    pub port: u16,
    /// Database name.
    pub database: String,
    /// Role to log in as.
    pub user: String,
    /// That role's password; never empty.
    pub password: SecretText,
    /// How the server proves who it is.
    pub tls: TlsSettings,
}

/// A SQLite file inside the configured folder.
#[derive(Clone, PartialEq, Eq)]
pub struct SqliteRecord {
    /// File name relative to the folder: no separators at the ends, no `..`, no empty parts.
    pub file: String,
}

/// TLS towards a tenant's server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// What is demanded.
    pub policy: TlsPolicy,
    /// The name the certificate must carry, when it is not the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// PEM certificates of the hospital's own authority; the public roots are used without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
}

/// What is demanded of the connection's transport.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsPolicy {
    /// TLS with chain and name verified. The only choice off loopback.
    VerifyFull,
    /// No TLS; accepted only when the address dialled is loopback and loopback is allowed.
    LoopbackPlaintext,
    /// An operator's signed, audited exception that ends by itself.
    Exception(TlsException),
}

/// A weaker transport an operator has answered for, until a date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsException {
    /// What is waived.
    pub waiver: TlsWaiver,
    /// From then on the exception no longer counts and connecting is refused.
    pub expires_at: Timestamp,
    /// Why, in the operator's words.
    pub reason: String,
}

/// What a TLS exception waives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsWaiver {
    /// TLS is used, the certificate is not verified.
    Unverified,
    /// No TLS at all.
    Plaintext,
}

/// Opened bytes that are not a connection record of a known form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the opened bytes are not a connection record")]
pub struct InvalidRecord;

impl ConnectionRecord {
    /// The database's kind.
    pub const fn engine(&self) -> Engine {
        match self {
            Self::Server(server) => server.engine,
            Self::Sqlite(_) => Engine::Sqlite,
        }
    }

    /// The plaintext that is sealed: one JSON object. Wiped when dropped.
    pub fn to_plaintext(&self) -> Zeroizing<Vec<u8>> {
        let wire = match self {
            Self::Server(s) => Wire {
                engine: s.engine,
                host: Some(&s.host),
                port: Some(s.port),
                database: Some(&s.database),
                user: Some(&s.user),
                password: Some(s.password.expose()),
                tls: Some(s.tls.clone()),
                file: None,
            },
            Self::Sqlite(s) => Wire {
                engine: Engine::Sqlite,
                host: None,
                port: None,
                database: None,
                user: None,
                password: None,
                tls: None,
                file: Some(&s.file),
            },
        };
        // A buffer that never grows leaves no copy of the password behind in freed memory.
        let mut bytes = Zeroizing::new(Vec::with_capacity(128 * 1024));
        // Writing plain fields to memory cannot fail; an empty plaintext is refused when opened.
        if serde_json::to_writer(&mut *bytes, &wire).is_err() {
            bytes.clear();
        }
        bytes
    }

    /// The inverse of [`to_plaintext`](Self::to_plaintext).
    pub fn from_plaintext(bytes: &[u8]) -> Result<Self, InvalidRecord> {
        let wire: OwnedWire = serde_json::from_slice(bytes).map_err(|_| InvalidRecord)?;
        match wire {
            OwnedWire { engine: Engine::Sqlite, file: Some(file), host: None, .. } => {
                Ok(Self::Sqlite(SqliteRecord { file }))
            }
            OwnedWire {
                engine,
                host: Some(host),
                port: Some(port),
                database: Some(database),
                user: Some(user),
                password: Some(password),
                tls: Some(tls),
                file: None,
            } if engine != Engine::Sqlite => Ok(Self::Server(ServerRecord {
                engine,
                host,
                port,
                database,
                user,
                password: SecretText::new(password),
                tls,
            })),
            _ => Err(InvalidRecord),
        }
    }
}

impl fmt::Debug for ConnectionRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionRecord({}, ***)", self.engine())
    }
}

impl fmt::Debug for ServerRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerRecord({}, ***)", self.engine)
    }
}

impl fmt::Debug for SqliteRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SqliteRecord(***)")
    }
}

#[derive(Serialize)]
struct Wire<'a> {
    engine: Engine,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<TlsSettings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnedWire {
    engine: Engine,
    host: Option<String>,
    port: Option<u16>,
    database: Option<String>,
    user: Option<String>,
    password: Option<String>,
    tls: Option<TlsSettings>,
    file: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> ConnectionRecord {
        ConnectionRecord::Server(ServerRecord {
            engine: Engine::Postgres,
            host: "db.example".to_owned(),
            port: 5432,
            database: "emr".to_owned(),
            user: "reader".to_owned(),
            password: SecretText::new("hunter2".to_owned()),
            tls: TlsSettings { policy: TlsPolicy::VerifyFull, server_name: None, ca_pem: None },
        })
    }

    #[test]
    fn plaintext_round_trips() {
        for record in [record(), ConnectionRecord::Sqlite(SqliteRecord { file: "a.db".to_owned() })]
        {
            let bytes = record.to_plaintext();
            let back = ConnectionRecord::from_plaintext(&bytes).unwrap();
            assert_eq!(*back.to_plaintext(), *bytes);
        }
    }

    #[test]
    fn debug_shows_no_field() {
        let shown = format!("{:?}", record());
        assert_eq!(shown, "ConnectionRecord(postgres, ***)");
    }

    #[test]
    fn a_half_record_is_refused() {
        for bad in ["", "{}", r#"{"engine":"sqlite"}"#, r#"{"engine":"postgres","file":"x"}"#] {
            assert!(ConnectionRecord::from_plaintext(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
