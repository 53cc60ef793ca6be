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

/// The running Keycloak and its first administrator.
#[derive(Clone, Deserialize)]
pub struct Keycloak {
    /// `http://127.0.0.1:PORT`, no slash at the end. Realms `hospitals` and `operators` are imported.
    pub base: String,
    /// Administrator of the realm `master`, through the client `admin-cli`.
    pub admin_user: String,
    /// That administrator's password.
    pub admin_password: String,
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

impl Keycloak {
    /// From `WARDGATE_TEST_KEYCLOAK`.
    pub fn from_env() -> Self {
        from_env("WARDGATE_TEST_KEYCLOAK")
    }
}

impl Postgres {
    /// From `WARDGATE_TEST_POSTGRES`.
    pub fn server() -> Server {
        from_env("WARDGATE_TEST_POSTGRES")
    }

    /// A connection of the superuser to the maintenance database.
    pub async fn admin() -> PgConnection {
        let server = Self::server();
        postgres(&server, &server.user, &server.password, "postgres").await
    }

    /// A fresh database.
    pub async fn database() -> Database {
        let made = Database::named(Engine::Postgres, Self::server());
        let mut admin = Self::admin().await;
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
        let made = Database::named(Engine::MySql, Self::server());
        let mut admin = Self::admin().await;
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
        let name = format!("t_{}", &word[..16]);
        let ca_pem = std::fs::read_to_string(&server.ca_file).expect("read the test authority");
        let password = Uuid::new_v4().simple().to_string();
        Self { engine, server, user: name.clone(), password, name, ca_pem }
    }

    /// What the gateway would be told about this database, TLS verified in full.
    pub fn record(&self) -> ConnectionRecord {
        ConnectionRecord::Server(self.server_record())
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
        // The account goes first, then its sessions, whose open transactions would block the drop.
        for statement in [
            format!("DROP USER IF EXISTS {name}@'%'"),
            format!("KILL HARD USER {name}"),
            format!("DROP DATABASE IF EXISTS {name}"),
        ] {
            sqlx::raw_sql(&statement).execute(&mut admin).await?;
        }
        admin.close().await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (engine, server, name) = (self.engine, self.server.clone(), self.name.clone());
        let dropped = on_a_thread(move || Self::drop_now(engine, server, name));
        // The server dies with the test run, so a leftover is untidy and no reason to hide a test's own fault.
        if !matches!(dropped, Ok(Ok(()))) {
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
    PgConnectOptions::new_without_pgpass()
        .host(&server.host)
        .port(server.port)
        .username(user)
        .password(password)
        .database(database)
        .ssl_mode(PgSslMode::VerifyFull)
        .ssl_root_cert(&server.ca_file)
        .connect()
        .await
        .expect("connect to the test PostgreSQL")
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

#[tokio::test]
async fn a_postgres_database_is_its_owners_alone_and_goes_with_its_value() {
    let one = Postgres::database().await;
    let other = Postgres::database().await;
    one.execute("CREATE TABLE note (text text); INSERT INTO note VALUES ('kept')").await;

    let text: String = sqlx::query_scalar("SELECT text FROM note")
        .fetch_one(&mut one.postgres().await)
        .await
        .unwrap();
    assert_eq!(text, "kept");

    let stranger = PgConnectOptions::new_without_pgpass()
        .host(&one.server.host)
        .port(one.server.port)
        .username(&other.user)
        .password(&other.password)
        .database(&one.name)
        .connect()
        .await;
    let refusal = stranger.unwrap_err().into_database_error().unwrap();
    assert_eq!(refusal.code().as_deref(), Some("42501"), "no right to connect");

    // A session that is still open does not keep the database alive.
    let _still_open = one.postgres().await;
    let name = one.name.clone();
    drop(one);
    let left: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM pg_database WHERE datname = $1) \
         + (SELECT count(*) FROM pg_roles WHERE rolname = $1)",
    )
    .bind(&name)
    .fetch_one(&mut Postgres::admin().await)
    .await
    .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_mariadb_database_is_its_owners_alone_and_goes_with_its_value() {
    let one = MariaDb::database().await;
    let other = MariaDb::database().await;
    one.execute("CREATE TABLE note (text text); INSERT INTO note VALUES ('kept')").await;

    let mut stranger = other.mariadb().await;
    let refusal = sqlx::raw_sql(&format!("SELECT * FROM {}.note", one.name))
        .execute(&mut stranger)
        .await
        .unwrap_err();
    assert_eq!(refusal.into_database_error().unwrap().code().as_deref(), Some("42000"));

    // An open transaction that has read the table would block a plain drop for ever.
    let mut open = one.mariadb().await;
    sqlx::raw_sql("START TRANSACTION; SELECT * FROM note").execute(&mut open).await.unwrap();
    let name = one.name.clone();
    drop(one);
    let left: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM information_schema.schemata WHERE schema_name = ?) \
         + (SELECT count(*) FROM mysql.global_priv WHERE user = ?)",
    )
    .bind(&name)
    .bind(&name)
    .fetch_one(&mut MariaDb::admin().await)
    .await
    .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn the_record_names_the_database_and_the_wrong_name_certificate_is_another() {
    for database in [Postgres::database().await, MariaDb::database().await] {
        let ConnectionRecord::Server(record) = database.record() else { panic!("a server record") };
        assert_eq!((record.engine, record.port), (database.engine, database.server.port));
        let (chain, key) = wrong_name_certificate();
        assert!(chain.contains("BEGIN CERTIFICATE") && key.contains("PRIVATE KEY"));
        assert_ne!(chain, database.ca_pem);
    }
}

#[test]
fn keycloak_is_told_where_it_is() {
    let keycloak = Keycloak::from_env();
    assert!(keycloak.base.starts_with("http://127.0.0.1:"));
    assert!(!keycloak.admin_user.is_empty() && !keycloak.admin_password.is_empty());
}
