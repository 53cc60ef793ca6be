//! What an error of the driver says about the tenant's database, and about nothing else: a family and a
//! code. The server's words never leave this module, because they quote values.

use std::borrow::Cow;
use std::fmt;

use sqlx::mysql::MySqlDatabaseError;

use super::postgres::ServerError;

/// What the breaker makes of a call's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The server answered, be it with an error of the caller's or the mapping's making.
    Healthy,
    /// The server is not there, not answering or turning everybody away.
    Unhealthy,
    /// The server refuses the account. Opens the breaker at once, because hospitals lock accounts
    /// after a few failed logins.
    AuthRefused,
    /// Says nothing about the server.
    Neutral,
}

/// Which of the families an error belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// The caller's value cannot be used in the column: an empty result or a 400.
    CallerValue,
    /// The mapping does not fit the schema, or the role lacks a right: an operator must act.
    Mapping,
    /// The database is not available. The only family that can open a breaker.
    Availability,
    /// Chance or our own doing: a statement limit, a lock, a cancelled call.
    Neutral,
}

/// An error of a tenant's database, stripped of everything but its family and its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DbError {
    /// Whose business it is.
    pub family: Family,
    /// A SQLSTATE, a MySQL error number, a SQLite primary result code as `sqlite-N`, or a fixed
    /// lower-case word for errors that never reached a server. At most 32 ASCII characters.
    pub code: Cow<'static, str>,
}

impl DbError {
    fn new(family: Family, code: impl Into<Cow<'static, str>>) -> Self {
        Self { family, code: code.into() }
    }

    /// What the breaker makes of it.
    pub fn verdict(&self) -> Verdict {
        match self.family {
            Family::CallerValue | Family::Mapping => Verdict::Healthy,
            Family::Neutral => Verdict::Neutral,
            Family::Availability if self.is_auth() => Verdict::AuthRefused,
            Family::Availability => Verdict::Unhealthy,
        }
    }

    /// Whether the server ended the statement because it ran too long.
    pub fn is_statement_limit(&self) -> bool {
        matches!(&*self.code, "57014" | "1969" | "3024" | "1317" | "sqlite-9" | "25P03" | "25P04")
    }

    /// Whether the server refused the login or the account.
    pub fn is_auth(&self) -> bool {
        self.code.len() == 5 && self.code.starts_with("28")
            || matches!(
                &*self.code,
                "1045" | "1698" | "1820" | "1862" | "3118" | "4151" | "1524" | "1251"
            )
    }

    /// Whether a row was longer than the gateway hears of one. What came after it was never read.
    pub(crate) fn is_too_long(&self) -> bool {
        self.code == "2020"
    }

    /// Whether the connection that gave this error can serve another statement.
    pub(crate) fn leaves_connection_usable(&self) -> bool {
        self.family != Family::Availability
            && !matches!(
                &*self.code,
                "25P03"
                    | "25P04"
                    | "26000"
                    | "1927"
                    | "4031"
                    | "1461"
                    | "1153"
                    | "2020"
                    | "sqlite-13"
                    | "begin"
                    | "worker"
            )
    }
}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.family {
            Family::CallerValue => "the value does not fit the column",
            Family::Mapping => "the mapping does not fit the database",
            Family::Availability => "the database is not available",
            Family::Neutral => "the statement was not carried out",
        };
        write!(f, "{family} ({})", self.code)
    }
}

/// Sorts an error of the driver into its family.
pub fn classify(error: &sqlx::Error) -> DbError {
    use sqlx::Error as E;
    match error {
        E::Database(error) => {
            if let Some(pg) = error.try_downcast_ref::<ServerError>() {
                postgres(pg.sqlstate())
            } else if let Some(my) = error.try_downcast_ref::<MySqlDatabaseError>() {
                mysql(my.number())
            } else {
                sqlite(error.code().and_then(|code| code.parse().ok()).unwrap_or(-1))
            }
        }
        E::Io(_) => DbError::new(Family::Availability, "io"),
        E::Tls(_) => DbError::new(Family::Availability, "tls"),
        E::Protocol(_) => DbError::new(Family::Availability, "protocol"),
        E::WorkerCrashed => DbError::new(Family::Availability, "worker"),
        E::RowNotFound => DbError::new(Family::CallerValue, "no_row"),
        E::Encode(_) => DbError::new(Family::CallerValue, "encode"),
        E::ColumnDecode { .. } | E::Decode(_) => DbError::new(Family::Mapping, "decode"),
        E::ColumnNotFound(_) | E::ColumnIndexOutOfBounds { .. } => {
            DbError::new(Family::Mapping, "column")
        }
        E::TypeNotFound { .. } => DbError::new(Family::Mapping, "type"),
        E::BeginFailed => DbError::new(Family::Neutral, "begin"),
        _ => DbError::new(Family::Neutral, "driver"),
    }
}

/// By SQLSTATE (PostgreSQL, appendix "Error Codes").
pub(crate) fn postgres(state: &str) -> DbError {
    // A hostile server chooses these five characters; they go to logs and to operators.
    if state.len() != 5 || !state.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()) {
        return DbError::new(Family::Availability, "protocol");
    }
    let family = match &state[..2] {
        // Statement cancelled, transaction limits, a prepared statement lost to a pooler. A disk that is full, or
        // a limit of the server's, fails what needs more of it; all else is answered.
        _ if matches!(state, "57014" | "25P03" | "25P04" | "26000" | "53100" | "53400") => {
            Family::Neutral
        }
        "01" | "02" | "22" | "23" => Family::CallerValue,
        "08" | "28" | "3D" | "53" | "57" | "58" | "XX" | "F0" => Family::Availability,
        "0A" | "20" | "21" | "25" | "2F" | "38" | "39" | "3B" | "3F" | "42" | "44" | "54"
        | "P0" => Family::Mapping,
        // Deadlocks and lost races (40), objects in use (55), foreign servers (HV), unknown classes.
        _ => Family::Neutral,
    };
    DbError::new(family, state.to_owned())
}

/// By error number (MySQL 8.4 and MariaDB 10.11 server error references).
pub(crate) fn mysql(number: u16) -> DbError {
    let family = match number {
        // No null, duplicates, foreign keys, checks, ranges, truncation, character sets.
        1048 | 1062 | 1169 | 1216 | 1217 | 1451 | 1452 | 1557 | 1586 | 3819 | 4025 => {
            Family::CallerValue
        }
        1264 | 1265 | 1267 | 1271 | 1292 | 1300 | 1365 | 1366 | 1406 | 1411 | 1525 | 1690
        | 3140 | 3854 | 3988 => Family::CallerValue,
        // Tables, columns, syntax, rights, views, read-only servers and sessions; statements that are longer than
        // the server takes (1153), patterns it does not read (1139), and a server whose log takes no changes of
        // single rows (1665).
        1044 | 1046 | 1051 | 1052 | 1054 | 1055 | 1064 | 1103 | 1109 | 1115 | 1116 | 1139
        | 1140 | 1142 | 1143 | 1146 | 1153 | 1222 | 1227 | 1241 | 1242 | 1253 | 1273 | 1290
        | 1305 | 1345 | 1356 | 1364 | 1370 | 1449 | 1665 | 1792 | 1836 | 3065 => Family::Mapping,
        // No connection left, starting, stopping, broken network or storage, unknown database, refused account.
        1030
        | 1033
        | 1034
        | 1037
        | 1038
        | 1040..=1043
        | 1045
        | 1047
        | 1049
        | 1053
        | 1077
        | 1079
        | 1080
        | 1129
        | 1130
        | 1135
        | 1152
        | 1158..=1161
        | 1184
        | 1194
        | 1195
        | 1203
        | 1226
        | 1251
        | 1524
        | 1698
        | 1820
        | 1862
        | 2002..=2013
        | 3032
        | 3118
        | 4151 => Family::Availability,
        // Statement limits (1317, 1969, 3024), locks (1205, 1213), no room for what is written (1021, 1114) and
        // everything unknown.
        _ => Family::Neutral,
    };
    DbError::new(family, number.to_string())
}

/// By result code; extended codes count as their primary one, but for those that say that the file cannot be
/// read: a writer died and left its journal or log, which a reader may not clear up (`SQLITE_READONLY_ROLLBACK`,
/// `_RECOVERY`, `_CANTLOCK`), or the file was moved away (`_DBMOVED`).
pub(crate) fn sqlite(code: i32) -> DbError {
    let primary = if code < 0 { -1 } else { code & 0xff };
    let family = match primary {
        18 | 19 | 20 | 25 => Family::CallerValue,
        _ if matches!(code, 264 | 520 | 776 | 1032) => Family::Availability,
        1 | 3 | 8 | 17 | 23 => Family::Mapping,
        2 | 7 | 10 | 11 | 14 | 15 | 22 | 26 => Family::Availability,
        _ => Family::Neutral,
    };
    DbError::new(family, format!("sqlite-{primary}"))
}

#[cfg(test)]
mod tests;
