use std::borrow::Cow;

use sqlx::error::ErrorKind;

use crate::base::{Fault, FaultKind, Generation};

/// Why the registry did not answer, or refused a change. Never carries a value, SQL or the database's
/// own text; `code` is an SQLSTATE or a SQLite result code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryFault {
    /// The setting that names the database is not usable.
    #[error("the database setting is not usable: {0}")]
    Setting(&'static str),
    /// The database cannot be reached, is overloaded, or did not answer in time.
    #[error("the registry cannot be reached ({0})")]
    Unavailable(&'static str),
    /// The schema is not the one this program expects.
    #[error("{0}")]
    Schema(String),
    /// There is no such row.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The change collides with what is there.
    #[error("{0}")]
    Conflict(&'static str),
    /// The caller expected another generation, revision or sealed text than the present one.
    #[error("changed since it was read; its generation is {current}")]
    Stale {
        /// The tenant's generation now.
        current: Generation,
    },
    /// A value is outside what the registry stores.
    #[error("{0}")]
    Invalid(&'static str),
    /// A stored row does not read as what it should be.
    #[error("a stored {0} is damaged")]
    Damaged(&'static str),
    /// The database refused a statement for a reason that is a defect of ours.
    #[error("the registry refused a statement (code {code})")]
    Refused {
        /// SQLSTATE or SQLite result code.
        code: String,
    },
}

impl Fault for RegistryFault {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Unavailable(_) | Self::Schema(_) => FaultKind::Unavailable,
            Self::NotFound(_) => FaultKind::NotFound,
            Self::Conflict(_) => FaultKind::Conflict,
            Self::Stale { .. } => FaultKind::Stale,
            Self::Invalid(_) => FaultKind::Invalid,
            Self::Damaged(_) => FaultKind::Integrity,
            Self::Setting(_) | Self::Refused { .. } => FaultKind::Internal,
        }
    }

    fn client_message(&self) -> Cow<'static, str> {
        match self {
            Self::Unavailable(_) | Self::Schema(_) => {
                "the gateway's registry is not available".into()
            }
            Self::NotFound(what) => format!("there is no such {what}").into(),
            Self::Conflict(why) | Self::Invalid(why) => (*why).into(),
            Self::Stale { current } => {
                format!("it has changed since it was read; its generation is {current}").into()
            }
            Self::Setting(_) | Self::Damaged(_) | Self::Refused { .. } => {
                "the gateway's registry failed".into()
            }
        }
    }

    fn retry_after_secs(&self) -> Option<u64> {
        matches!(self, Self::Unavailable(_)).then_some(2)
    }
}

/// What a failed statement means for the connection, the breaker and the caller.
pub(super) fn classify(error: &sqlx::Error) -> RegistryFault {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or(Cow::Borrowed("none")).into_owned();
            if error.kind() == ErrorKind::UniqueViolation {
                return RegistryFault::Conflict("it exists already");
            }
            // An SQLSTATE has five characters; SQLite's extended result codes hold the primary one
            // in their low byte.
            match (code.len(), code.parse::<u32>().map(|n| n & 0xff)) {
                (5, _) => sqlstate(code),
                (_, Ok(primary)) => sqlite_code(primary, code),
                _ => RegistryFault::Refused { code },
            }
        }
        // The driver reports a refused certificate as unusable input.
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            RegistryFault::Unavailable("TLS refused")
        }
        sqlx::Error::Io(_) => RegistryFault::Unavailable("connection lost"),
        sqlx::Error::Tls(_) => RegistryFault::Unavailable("TLS refused"),
        sqlx::Error::Protocol(_) => RegistryFault::Unavailable("protocol broken"),
        sqlx::Error::WorkerCrashed => RegistryFault::Unavailable("worker ended"),
        sqlx::Error::Configuration(_) => RegistryFault::Setting("the driver refuses it"),
        _ => RegistryFault::Refused { code: "driver".to_owned() },
    }
}

fn sqlstate(code: String) -> RegistryFault {
    match code.as_str() {
        "42P01" | "42703" | "42883" => missing_schema(),
        "40001" | "40P01" | "55P03" => RegistryFault::Unavailable("busy"),
        "57014" => RegistryFault::Unavailable("statement timeout"),
        // Wrong password, no such role or database: to a caller the registry is away.
        "28P01" | "28000" | "3D000" => RegistryFault::Unavailable("login refused"),
        _ => match code.get(..2) {
            Some("08" | "53" | "57" | "58" | "25") => RegistryFault::Unavailable("server"),
            _ => RegistryFault::Refused { code },
        },
    }
}

fn sqlite_code(primary: u32, code: String) -> RegistryFault {
    match primary {
        1 => missing_schema(),
        5 | 6 => RegistryFault::Unavailable("busy"),
        10 | 13 => RegistryFault::Unavailable("disk"),
        14 => RegistryFault::Unavailable("the file cannot be opened"),
        11 | 26 => RegistryFault::Damaged("database file"),
        _ => RegistryFault::Refused { code },
    }
}

fn missing_schema() -> RegistryFault {
    RegistryFault::Schema(
        "the registry lacks tables of this version; run `wardgate registry migrate`".to_owned(),
    )
}
