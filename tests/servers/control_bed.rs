//! A control plane over real servers, without listeners: what the command line has. Several of one bed are
//! as many gateways over one registry.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;
use uuid::Uuid;
use wardgate::auth::OperatorPermit;
use wardgate::base::{Deadline, Engine, SecretText, SystemClock};
use wardgate::control::{
    Caller, ConnectionInput, Control, NewProvision, NewServer, OperationView, Parts, Work,
};
use wardgate::keyring::{KekLocation, Keyring, KeyringConfig};
use wardgate::pool::dial::{DialConfig, Dialer, EgressRules};
use wardgate::registry::{KeyStore, Registry};

use crate::harness::{Database, MariaDb, Postgres, Server};

/// Registry, keys, and a folder for SQLite hospitals.
pub struct Bed {
    pub registry: Registry,
    pub key_store: Arc<KeyStore>,
    keyring: Keyring,
    pub folder: TempDir,
    /// Where the registry is, when it is no SQLite file.
    postgres: Option<PgConnectOptions>,
}

/// How long a lease of these gateways is: no busy machine loses one.
const LEASE: Duration = Duration::from_mins(1);
/// What a gateway that was killed had on its way to a server has arrived by then.
const ARRIVED: Duration = Duration::from_secs(1);

impl Bed {
    /// Over SQLite files of its own.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        Self::over(format!("sqlite:{}", at("registry.db")), folder).await
    }

    /// Over that registry.
    pub async fn over(registry: String, folder: TempDir) -> Self {
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("hospitals")).unwrap();
        let clock = Arc::new(SystemClock);
        let registry = Registry::open(&SecretText::new(registry), clock.clone()).unwrap();
        registry.migrate().await.unwrap();
        let keys = SecretText::new(format!("sqlite:{}", at("keys.db").display()));
        let key_store = KeyStore::open(&keys, clock.clone()).unwrap();
        key_store.migrate().await.unwrap();
        let key_store = Arc::new(key_store);
        let config = KeyringConfig::new(KekLocation::File(at("kek")));
        let keyring = Keyring::init(config, key_store.clone(), clock).await.unwrap();
        Self { registry, key_store, keyring, folder, postgres: None }
    }

    /// Over a PostgreSQL database of its own, as several gateways have it.
    pub async fn on_postgres(registry: &Database) -> Self {
        let Database { server, user, password, name, .. } = registry;
        let (host, port, ca) = (&server.host, server.port, server.ca_file.display());
        let url = format!("postgres://{user}:{password}@{host}:{port}/{name}?sslrootcert={ca}");
        let place = PgConnectOptions::new_without_pgpass().host(host).port(port);
        let place = place.username(user).password(password).database(name);
        let bed = Self::over(url, tempfile::tempdir().unwrap()).await;
        Self { postgres: Some(place), ..bed }
    }

    /// Waits until the leases of gateways that were killed have run out: here that is soon.
    pub async fn leases_run_out(&self) {
        const OUT: &str = "UPDATE operations SET lease_until = 0";
        tokio::time::sleep(ARRIVED).await;
        let done = if let Some(place) = &self.postgres {
            sqlx::raw_sql(OUT).execute(&mut place.connect().await.unwrap()).await.err()
        } else {
            let place =
                SqliteConnectOptions::new().filename(self.folder.path().join("registry.db"));
            let place = place.busy_timeout(Duration::from_secs(20));
            sqlx::raw_sql(OUT).execute(&mut place.connect().await.unwrap()).await.err()
        };
        assert!(done.is_none(), "{done:?}");
    }

    /// Another gateway over them.
    pub fn gateway(&self, name: &str) -> Control {
        let allow = [Postgres::server(), MariaDb::server()]
            .map(|server| format!("127.0.0.1/32:{}", server.port));
        let dial = DialConfig {
            egress: EgressRules::parse(&allow).unwrap(),
            sqlite_dir: Some(self.hospitals()),
            connect_timeout: Duration::from_secs(10),
            ..DialConfig::default()
        };
        let clock = Arc::new(SystemClock);
        Control::new(Parts {
            registry: self.registry.clone(),
            key_store: self.key_store.clone(),
            keyring: self.keyring.clone(),
            dialer: Dialer::new(dial, clock.clone()),
            clock,
            issuers: Vec::new(),
            two_persons: false,
            serving: None,
            work: Work {
                lease: LEASE,
                spread: Duration::from_millis(10),
                ..Work::new(name.to_owned())
            },
        })
    }

    /// The folder of SQLite hospitals.
    pub fn hospitals(&self) -> PathBuf {
        self.folder.path().join("hospitals")
    }

    /// Registers the three servers, called `postgres`, `mysql` and `sqlite`.
    pub async fn with_servers(&self) -> Control {
        let control = self.gateway("first");
        for (engine, server) in [
            (Engine::Postgres, Some(Postgres::server())),
            (Engine::MySql, Some(MariaDb::server())),
            (Engine::Sqlite, None),
        ] {
            let connection = server.map(|server| admin(engine, &server));
            let new = NewServer { name: engine.as_str().to_owned(), connection };
            control.add_server(&caller(), &new).await.unwrap();
        }
        control
    }
}

/// The superuser's connection, as an operator types it.
pub fn admin(engine: Engine, server: &Server) -> ConnectionInput {
    let Server { host, port, user, password, ca_file } = server;
    let (scheme, database) = match engine {
        Engine::Postgres => ("postgres", "postgres"),
        _ => ("mysql", "mysql"),
    };
    let url = format!("{scheme}://{user}:{password}@{host}:{port}/{database}");
    let ca = std::fs::read_to_string(ca_file).unwrap();
    ConnectionInput::url(SecretText::new(url), Some(ca), true)
}

/// Somebody at the command line.
pub fn caller() -> Caller {
    Caller {
        permit: OperatorPermit::console("tests"),
        request: Uuid::now_v7(),
        deadline: Deadline::after(Duration::from_mins(1)),
    }
}

/// A hospital to be made.
pub fn hospital(name: &str, server: &str) -> NewProvision {
    serde_json::from_value(json!({
        "name": name, "server": server,
        "identities": [{"issuer": "https://sso.test/realms/a", "claim_value": name, "azp": ["app"]}],
    }))
    .unwrap()
}

/// Orders one and carries it out here; it must succeed.
pub async fn provision(control: &Control, new: NewProvision) -> OperationView {
    let ordered = control.provision(&caller(), new).await.unwrap();
    finish(control, ordered.id).await
}

/// Carries an operation out here to its end.
pub async fn finish(control: &Control, id: Uuid) -> OperationView {
    control.drive(id, |_| {}).await.unwrap();
    control.operation(&caller(), id).await.unwrap()
}
