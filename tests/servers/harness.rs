//! Where the servers are, and a database of its own for each test.

use std::future::Future;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{ConnectOptions, Connection};
use uuid::Uuid;
use wardgate::base::{ConnectionRecord, Engine, SecretText, ServerRecord, TlsPolicy, TlsSettings};

mod beside;
#[cfg(test)]
mod tests;

pub use beside::{Keycloak, MySql, PgBouncer};

/// A running database server and its superuser.
#[derive(Clone, Deserialize)]
pub struct Server {
    /// Numeric loopback address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The superuser's name.
    pub user: String,
    /// The superuser's password.
    pub password: String,
    /// The authority that signed the server's certificate (for `localhost` and the loopback addresses).
    pub ca_file: PathBuf,
}

/// The PostgreSQL server.
pub struct Postgres;

/// The MariaDB server.
pub struct MariaDb;

/// A fresh database with an owner role of its own, dropped with this value. Nobody else may connect.
pub struct Database {
    /// `Engine::Postgres` or `Engine::MySql`.
    pub engine: Engine,
    /// The server it lives on, with the superuser.
    pub server: Server,
    /// The owner role, which may do anything in this database and nothing outside.
    pub user: String,
    /// The owner's password.
    pub password: String,
    /// The database's name.
    pub name: String,
    /// PEM certificate of the authority behind the server's certificate.
    pub ca_pem: String,
}

async fn answer(request: reqwest::RequestBuilder) -> serde_json::Value {
    let answer = request.send().await.expect("reach the test Keycloak");
    let status = answer.status();
    let text = answer.text().await.expect("read the test Keycloak's answer");
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).expect("JSON from the test Keycloak")
}

impl Postgres {
    /// From `WARDGATE_TEST_POSTGRES`.
    pub fn server() -> Server {
        from_env("WARDGATE_TEST_POSTGRES")
    }

    /// From `WARDGATE_TEST_OLD_POSTGRES`: the oldest that a hospital may have.
    pub fn old_server() -> Server {
        from_env("WARDGATE_TEST_OLD_POSTGRES")
    }

    /// A connection of the superuser to the maintenance database.
    pub async fn admin() -> PgConnection {
        let server = Self::server();
        postgres(&server, &server.user, &server.password, "postgres").await
    }

    /// A fresh database.
    pub async fn database() -> Database {
        Self::database_on(Self::server()).await
    }

    /// A fresh database on that server.
    pub async fn database_on(server: Server) -> Database {
        let mut admin = postgres(&server, &server.user, &server.password, "postgres").await;
        let made = Database::named(Engine::Postgres, server);
        for statement in [
            format!("CREATE ROLE {} LOGIN PASSWORD '{}'", made.user, made.password),
            format!("CREATE DATABASE {} OWNER {}", made.name, made.user),
            format!("REVOKE ALL ON DATABASE {} FROM PUBLIC", made.name),
        ] {
            sqlx::raw_sql(&statement).execute(&mut admin).await.expect("create a database");
        }
        admin.close().await.expect("close the superuser's connection");
        made
    }
}

impl MariaDb {
    /// From `WARDGATE_TEST_MARIADB`.
    pub fn server() -> Server {
        from_env("WARDGATE_TEST_MARIADB")
    }

    /// A connection of the superuser.
    pub async fn admin() -> MySqlConnection {
        let server = Self::server();
        mariadb(&server, &server.user, &server.password, "mysql").await
    }

    /// A fresh database.
    pub async fn database() -> Database {
        Self::database_on(Self::server()).await
    }

    /// A fresh database on that server.
    pub async fn database_on(server: Server) -> Database {
        let mut admin = mariadb(&server, &server.user, &server.password, "mysql").await;
        let made = Database::named(Engine::MySql, server);
        for statement in [
            format!("CREATE DATABASE {}", made.name),
            format!("CREATE USER {}@'%' IDENTIFIED BY '{}'", made.user, made.password),
            format!("GRANT ALL PRIVILEGES ON {}.* TO {}@'%'", made.name, made.user),
        ] {
            sqlx::raw_sql(&statement).execute(&mut admin).await.expect("create a database");
        }
        admin.close().await.expect("close the superuser's connection");
        made
    }
}

impl Database {
    fn named(engine: Engine, server: Server) -> Self {
        let word = Uuid::new_v4().simple().to_string();
        // MySQL 5.6 takes user names of 16 letters at most.
        let name = format!("t_{}", &word[..14]);
        let ca_pem = std::fs::read_to_string(&server.ca_file).expect("read the test authority");
        let password = Uuid::new_v4().simple().to_string();
        Self { engine, server, user: name.clone(), password, name, ca_pem }
    }

    /// What the gateway would be told about this database, TLS verified in full.
    pub fn record(&self) -> ConnectionRecord {
        ConnectionRecord::Server(self.server_record())
    }

    /// The same as the admin API takes it, reached on a port of 127.0.0.1: its own or a proxy's.
    pub fn connection(&self, port: u16) -> serde_json::Value {
        let scheme = if self.engine == Engine::Postgres { "postgres" } else { "mysql" };
        let Self { user, password, name, ca_pem, .. } = self;
        let url = format!("{scheme}://{user}:{password}@127.0.0.1:{port}/{name}");
        serde_json::json!({ "url": url, "ca_pem": ca_pem })
    }

    /// The same as fields, to be changed by a test that wants something wrong or another port.
    pub fn server_record(&self) -> ServerRecord {
        ServerRecord {
            engine: self.engine,
            host: self.server.host.clone(),
            port: self.server.port,
            database: self.name.clone(),
            user: self.user.clone(),
            password: SecretText::new(self.password.clone()),
            tls: TlsSettings {
                policy: TlsPolicy::VerifyFull,
                server_name: None,
                ca_pem: Some(self.ca_pem.clone()),
            },
        }
    }

    /// Runs statements, separated by semicolons, as the owner.
    pub async fn execute(&self, sql: &str) {
        let done = match self.engine {
            Engine::Postgres => sqlx::raw_sql(sql).execute(&mut self.postgres().await).await.err(),
            _ => sqlx::raw_sql(sql).execute(&mut self.mariadb().await).await.err(),
        };
        assert!(done.is_none(), "{done:?}");
    }

    /// The owner's connection, made by the driver itself (not by the code under test).
    pub async fn postgres(&self) -> PgConnection {
        postgres(&self.server, &self.user, &self.password, &self.name).await
    }

    /// The same where the server may refuse.
    pub async fn try_postgres(&self) -> Result<PgConnection, sqlx::Error> {
        options(&self.server, &self.user, &self.password, &self.name).connect().await
    }

    /// The owner's connection, made by the driver itself (not by the code under test).
    pub async fn mariadb(&self) -> MySqlConnection {
        mariadb(&self.server, &self.user, &self.password, &self.name).await
    }

    async fn drop_now(engine: Engine, server: Server, name: String) -> Result<(), sqlx::Error> {
        if engine == Engine::Postgres {
            let mut admin = postgres(&server, &server.user, &server.password, "postgres").await;
            for statement in [
                format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
                format!("DROP ROLE IF EXISTS {name}"),
            ] {
                sqlx::raw_sql(&statement).execute(&mut admin).await?;
            }
            return admin.close().await;
        }
        let mut admin = mariadb(&server, &server.user, &server.password, "mysql").await;
        // The account goes first, then its sessions, whose open transactions would block the drop. MySQL ends
        // sessions one by one only, and by then they have mostly ended.
        sqlx::raw_sql(&format!("DROP USER IF EXISTS {name}@'%'")).execute(&mut admin).await?;
        let _unknown_to_mysql =
            sqlx::raw_sql(&format!("KILL HARD USER {name}")).execute(&mut admin).await.is_err();
        for statement in
            ["SET lock_wait_timeout = 10".to_owned(), format!("DROP DATABASE IF EXISTS {name}")]
        {
            sqlx::raw_sql(&statement).execute(&mut admin).await?;
        }
        admin.close().await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (engine, server, name) = (self.engine, self.server.clone(), self.name.clone());
        let dropped = on_a_thread(move || async move {
            let dropping = Self::drop_now(engine, server, name);
            tokio::time::timeout(std::time::Duration::from_secs(20), dropping).await
        });
        // One left stopped answers nobody. It dies with the run: untidy, no reason to hide a test's own fault.
        if !matches!(dropped, Ok(Ok(Ok(())))) {
            eprintln!("could not drop {}: {dropped:?}", self.name);
        }
    }
}

/// A server certificate for a name that is not this machine's, by the test authority: (chain, key), PEM.
pub fn wrong_name_certificate() -> (String, String) {
    let authority = PathBuf::from(text_from_env("WARDGATE_TEST_CA"));
    let folder = authority.parent().expect("the authority lies in a folder");
    (read(&folder.join("wrong-name.pem")), read(&folder.join("wrong-name.key")))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("read a test certificate")
}

/// Runs a future to its end on a thread and runtime of its own, which works inside any other runtime.
fn on_a_thread<T: Send + 'static, F: Future<Output = T>>(
    work: impl FnOnce() -> F + Send + 'static,
) -> std::thread::Result<T> {
    std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("build a runtime")
            .block_on(work())
    })
    .join()
}

async fn postgres(server: &Server, user: &str, password: &str, database: &str) -> PgConnection {
    let options = options(server, user, password, database);
    options.connect().await.expect("connect to the test PostgreSQL")
}

fn options(server: &Server, user: &str, password: &str, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host(&server.host)
        .port(server.port)
        .username(user)
        .password(password)
        .database(database)
        .ssl_mode(PgSslMode::VerifyFull)
        .ssl_root_cert(&server.ca_file)
}

async fn mariadb(server: &Server, user: &str, password: &str, database: &str) -> MySqlConnection {
    MySqlConnectOptions::new()
        .host(&server.host)
        .port(server.port)
        .username(user)
        .password(password)
        .database(database)
        .ssl_mode(MySqlSslMode::VerifyIdentity)
        .ssl_ca(&server.ca_file)
        .connect()
        .await
        .expect("connect to the test MariaDB")
}

/// A number from the environment, such as the length of a run.
#[expect(clippy::disallowed_methods, reason = "runs are made longer by environment")]
pub fn number_from_env(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("a whole number"))
}

/// The folder of the large fixtures.
pub fn fixtures() -> PathBuf {
    let folder = optional_from_env("WARDGATE_FIXTURES");
    folder.expect("WARDGATE_FIXTURES names the folder of the fixtures").into()
}

/// What a variable says, if it is set.
#[expect(clippy::disallowed_methods, reason = "what a test may also do is said by environment")]
pub fn optional_from_env(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}

fn from_env<T: DeserializeOwned>(variable: &str) -> T {
    serde_json::from_str(&text_from_env(variable)).expect("the variable holds the JSON it should")
}

#[expect(
    clippy::disallowed_methods,
    reason = "the tests are told by environment where servers are"
)]
fn text_from_env(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} is not set: run `tests/run servers`, or start the servers with \
             `tests/servers.sh up` and read `tests/servers.sh env`"
        )
    })
}

/// What a backup holds of the tables that generations live in.
pub const BACKUP_ON_POSTGRES: &str = "CREATE TABLE kept_tenants AS TABLE tenants; \
     CREATE TABLE kept_changes AS TABLE changes;";
/// As if the backup had been loaded: triggers take no part in that.
pub const RESTORE_ON_POSTGRES: &str = "BEGIN; ALTER TABLE tenants DISABLE TRIGGER USER; \
     UPDATE tenants t SET generation = k.generation FROM kept_tenants k WHERE k.id = t.id; \
     ALTER TABLE tenants ENABLE TRIGGER USER; \
     DELETE FROM changes WHERE seq NOT IN (SELECT seq FROM kept_changes); COMMIT;";
