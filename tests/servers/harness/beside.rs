//! A pooler, and the server that MariaDB stands for elsewhere.

use super::{Database, MariaDb, MySqlConnection, Server, from_env, mariadb};

/// The PgBouncer before the PostgreSQL server.
pub struct PgBouncer;

/// The server of MySQL itself.
pub struct MySql;

impl PgBouncer {
    /// The port, from `WARDGATE_TEST_PGBOUNCER`.
    pub fn port() -> u16 {
        from_env::<Server>("WARDGATE_TEST_PGBOUNCER").port
    }
}

impl MySql {
    /// From `WARDGATE_TEST_MYSQL`.
    pub fn server() -> Server {
        from_env("WARDGATE_TEST_MYSQL")
    }

    /// A connection of the superuser.
    pub async fn admin() -> MySqlConnection {
        let server = Self::server();
        mariadb(&server, &server.user, &server.password, "mysql").await
    }

    /// A fresh database.
    pub async fn database() -> Database {
        MariaDb::database_on(Self::server()).await
    }
}
