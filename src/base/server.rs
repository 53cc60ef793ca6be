use serde::{Deserialize, Serialize};

use super::Engine;

/// What tells one database server (and database on it) from another, recorded when a connection is
/// registered and compared whenever a lane opens.
///
/// PostgreSQL: `system` is `pg_control_system().system_identifier` where the role may read it, else
/// empty; `database` is the database's name and OID. MySQL/MariaDB: `@@server_uuid` or, on MariaDB,
/// `@@server_id` with `@@hostname` and `@@port`; `database` is the schema's name. SQLite: device and
/// inode of the file, and `PRAGMA application_id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerIdentity {
    /// The kind of server.
    pub engine: Engine,
    /// The server's own lasting identity.
    pub system: String,
    /// The database on that server.
    pub database: String,
}
