use std::path::PathBuf;
use std::time::Duration;

use sqlx::{MySqlConnection, SqliteConnection};

use super::{Canceller, EgressRules};
use crate::base::ServerIdentity;
use crate::pool::postgres::PostgresSession;

/// How connections are opened.
#[derive(Debug, Clone)]
pub struct DialConfig {
    /// The longest an attempt may take, name look-up to session set-up. Default 3 s.
    pub connect_timeout: Duration,
    /// Where connections may go. Default: nowhere.
    pub egress: EgressRules,
    /// The folder tenants' SQLite files lie in; without it every SQLite record is refused.
    pub sqlite_dir: Option<PathBuf>,
    /// Files that are never opened as a tenant's, as (device, inode): the gateway's own databases.
    pub sqlite_denied: Vec<(u64, u64)>,
    /// Attempts that take turns over all tenants; whoever has waited for one as long as `turn` goes on
    /// without. Default 16.
    pub cold_starts: usize,
    /// The longest an attempt waits for its turn. Default 100 ms.
    pub turn: Duration,
    /// The highest SCRAM iteration count accepted (about 0.2 us of CPU each). Default 100,000.
    pub scram_iterations_max: u32,
    /// Where the short-lived folders with the driver's sockets are made; at most 80 bytes long.
    /// Default: the system's folder for temporary files.
    pub socket_dir: PathBuf,
}

impl Default for DialConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            egress: EgressRules::default(),
            sqlite_dir: None,
            sqlite_denied: Vec::new(),
            cold_starts: 16,
            turn: Duration::from_millis(100),
            scram_iterations_max: 100_000,
            socket_dir: std::env::temp_dir(),
        }
    }
}

/// What every session of a tenant is told when it opens. Zero durations mean no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSettings {
    /// The longest a statement may run. PostgreSQL `statement_timeout`, MySQL `max_execution_time`
    /// (reads only), MariaDB `max_statement_time`, SQLite the progress handler.
    pub statement_timeout: Duration,
    /// Whether the server's own limit of a statement counts where it is stricter: the role's, the database's
    /// or everybody's.
    pub own_limit_counts: bool,
    /// The longest a statement may wait for a lock. MySQL and MariaDB round up to whole seconds.
    pub lock_timeout: Duration,
    /// The longest a transaction may sit idle. MySQL has no such limit.
    pub idle_in_transaction_timeout: Duration,
    /// Whether transactions are read-only unless they say otherwise; SQLite files are opened read-only.
    pub read_only: bool,
    /// Which server is looked for where a name leads to several; `None` for any.
    pub expected: Option<ServerIdentity>,
    /// The name shown in PostgreSQL's `pg_stat_activity`; printable ASCII, at most 63 characters.
    pub application_name: String,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            statement_timeout: Duration::from_secs(10),
            own_limit_counts: true,
            lock_timeout: Duration::from_secs(2),
            idle_in_transaction_timeout: Duration::from_secs(15),
            read_only: true,
            expected: None,
            application_name: "wardgate".to_owned(),
        }
    }
}

/// An open connection to a tenant's database, session settings in force.
pub enum TenantConnection {
    /// PostgreSQL.
    Postgres(Box<PostgresSession>),
    /// MySQL or MariaDB.
    MySql(MySqlConnection),
    /// SQLite.
    Sqlite(SqliteConnection),
}

/// What opening a connection gives.
pub struct Opened {
    /// The connection.
    pub connection: TenantConnection,
    /// Stops whatever the connection is executing.
    pub canceller: Canceller,
    /// Which server and database this is.
    pub identity: ServerIdentity,
    /// What else is known of it.
    pub facts: ServerFacts,
}

/// A dialect's branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerFlavour {
    /// PostgreSQL.
    Postgres,
    /// Oracle's MySQL and what calls itself so.
    MySql,
    /// MariaDB.
    MariaDb,
    /// SQLite.
    Sqlite,
}

impl ServerFlavour {
    /// The lower-case word used in JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::MySql => "mysql",
            Self::MariaDb => "mariadb",
            Self::Sqlite => "sqlite",
        }
    }
}

/// What is known of a server once a connection stands.
#[derive(Debug, Clone)]
pub struct ServerFacts {
    /// The version as the server words it, printable ASCII, at most 128 characters.
    pub version: String,
    /// Which dialect it speaks.
    pub flavour: ServerFlavour,
    /// The encoding that a PostgreSQL database keeps its texts in, as the server words it.
    pub encoding: Option<String>,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Whether the server took no changes when the connection was opened: a standby, a replica.
    pub standby: bool,
    /// Where the time of opening went, in order: `permit`, `resolve`, `connect`, `tls`, `login`,
    /// `attach` (MySQL), `session` for servers; `permit`, `file`, `session` for SQLite.
    pub steps: Vec<(&'static str, Duration)>,
}
