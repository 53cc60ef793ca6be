use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of database a tenant keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// PostgreSQL 9.6 or later.
    Postgres,
    /// MySQL 5.7 or later, and MariaDB 10.3 or later.
    MySql,
    /// A SQLite 3 file in the configured folder.
    Sqlite,
}

impl Engine {
    /// The lower-case word used in settings, JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::MySql => "mysql",
            Self::Sqlite => "sqlite",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
