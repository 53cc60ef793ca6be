//! A gateway before one hospital's database, on any of the three engines, with any tables and mapping.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, Row as _};
use wardgate::base::Engine;

use crate::harness::{Database, MariaDb, Postgres};
use crate::support::issuer::clinician;
use crate::support::{Gateway, Options, Reply, TestIssuer};

/// What stands in tables for what the engines call differently.
const WORDS: [(&str, [&str; 3]); 3] = [
    ("SERIAL_KEY", ["SERIAL PRIMARY KEY", "INT AUTO_INCREMENT PRIMARY KEY", "INTEGER PRIMARY KEY"]),
    ("STAMP", ["TIMESTAMP", "DATETIME", "DATETIME"]),
    ("LONGTEXT", ["TEXT", "LONGTEXT", "TEXT"]),
];

/// The gateway and the database.
pub struct Bed {
    /// It.
    pub gateway: Gateway,
    /// Of somebody who may read and write.
    pub token: String,
    database: Option<Database>,
    _issuer: TestIssuer,
}

impl Bed {
    /// On a server's database, or on a SQLite file without one. The mapping is not published yet.
    pub async fn open(database: Option<Database>, tables: &str) -> Self {
        let port = database.as_ref().map_or(0, |database| database.server.port);
        Self::open_at(database, port, tables).await
    }

    /// The same with the server reached on that port of 127.0.0.1.
    pub async fn open_at(database: Option<Database>, port: u16, tables: &str) -> Self {
        let users = vec![clinician("both", "north", &["fhir-read", "fhir-write"])];
        let issuer = TestIssuer::start(users).await;
        let egress = database.iter().map(|_| "127.0.0.1/32:*".to_owned()).collect();
        let settings = "[limits]\nrequests_per_second = 100000\n".to_owned();
        let options = Options { egress, settings, log_level: Some("warn"), ..Options::default() };
        let gateway = Gateway::start(&issuer, options).await;
        let token = issuer.token("both");
        let bed = Self { gateway, token, database, _issuer: issuer };
        let at = match bed.engine() {
            Engine::Postgres => 0,
            Engine::MySql => 1,
            Engine::Sqlite => 2,
        };
        let tables =
            WORDS.iter().fold(tables.to_owned(), |text, (word, own)| text.replace(word, own[at]));
        bed.sql(&tables).await;
        let connection = match &bed.database {
            Some(database) => database.connection(port),
            None => json!({ "url": "sqlite:north.db" }),
        };
        bed.gateway.register("north", connection).await;
        bed
    }

    /// One on each engine, with the mapping in force.
    pub async fn all(tables: &str, mapping: &str) -> Vec<Self> {
        let all = vec![
            Self::open(Some(Postgres::database().await), tables).await,
            Self::open(Some(MariaDb::database().await), tables).await,
            Self::open(None, tables).await,
        ];
        for bed in &all {
            bed.gateway.publish("north", mapping).await;
        }
        all
    }

    /// The server's database; a SQLite file has none.
    pub const fn database(&self) -> &Database {
        self.database.as_ref().expect("a server's database")
    }

    /// Which engine.
    pub fn engine(&self) -> Engine {
        self.database.as_ref().map_or(Engine::Sqlite, |database| database.engine)
    }

    async fn sqlite(&self) -> sqlx::SqliteConnection {
        let file = self.gateway.folder().join("sqlite/north.db");
        let url = format!("sqlite:{}?mode=rwc", file.display());
        sqlx::SqliteConnection::connect(&url).await.unwrap()
    }

    /// Runs statements as the owner.
    pub async fn sql(&self, sql: &str) {
        match &self.database {
            Some(database) => database.execute(sql).await,
            None => drop(self.sqlite().await.execute(sqlx::raw_sql(sql)).await.unwrap()),
        }
    }

    /// The first column of what a statement gives.
    pub async fn rows(&self, sql: &str) -> Vec<String> {
        let texts =
            |rows: Vec<Option<String>>| rows.into_iter().map(Option::unwrap_or_default).collect();
        match &self.database {
            Some(d) if d.engine == Engine::Postgres => {
                let rows = sqlx::query(sql).fetch_all(&mut d.postgres().await).await.unwrap();
                texts(rows.iter().map(|row| row.get(0)).collect())
            }
            Some(d) => {
                let rows = sqlx::query(sql).fetch_all(&mut d.mariadb().await).await.unwrap();
                texts(rows.iter().map(|row| row.get(0)).collect())
            }
            None => {
                let rows = sqlx::query(sql).fetch_all(&mut self.sqlite().await).await.unwrap();
                texts(rows.iter().map(|row| row.get(0)).collect())
            }
        }
    }

    /// Every cell of every row of a table, in the order of its columns; NULL is `~`, and cells are set
    /// apart by a character that no text of a test has in it.
    pub async fn cells(&self, table: &str, columns: &[&str]) -> Vec<Vec<String>> {
        let cell = |name: &&str| match self.engine() {
            Engine::Postgres => format!("COALESCE(\"{name}\"::text, '~')"),
            Engine::MySql => format!("COALESCE(CAST(`{name}` AS CHAR), '~')"),
            Engine::Sqlite => format!("COALESCE(CAST(\"{name}\" AS TEXT), '~')"),
        };
        let cells: Vec<String> = columns.iter().map(cell).collect();
        let whole = match self.engine() {
            Engine::MySql => format!("CONCAT_WS(CHAR(31), {})", cells.join(", ")),
            Engine::Postgres => cells.join(" || chr(31) || "),
            Engine::Sqlite => cells.join(" || char(31) || "),
        };
        let mut rows: Vec<Vec<String>> = self
            .rows(&format!("SELECT {whole} FROM {table}"))
            .await
            .iter()
            .map(|row| row.split('\u{1f}').map(str::to_owned).collect())
            .collect();
        rows.sort();
        rows
    }

    /// Sends an order.
    pub async fn send(&self, method: Method, path: &str, body: String) -> Reply {
        let url = format!("{}{path}", self.gateway.fhir);
        let request = self.gateway.http.request(method, url).bearer_auth(&self.token);
        let request = request.header("content-type", "application/fhir+json");
        Reply::of(request.body(body)).await.expect("an answer")
    }

    /// Reads a resource.
    pub async fn read(&self, path: &str) -> Value {
        let reply = self.gateway.get(&self.token, path).await;
        assert_eq!(reply.status, 200, "{:?} {path} {reply:?}", self.engine());
        reply.json()
    }
}
