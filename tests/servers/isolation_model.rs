//! What the isolation program knows to be true: the hospitals, and which configuration was in force when.

use std::path::Path;
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::harness::{Database, MariaDb, Postgres};
use crate::isolation::ROWS;
use crate::support::hospital::patients_sql;
use crate::support::sqlite_hospital;

/// A tenant's configuration as far as an answer shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub active: bool,
    /// Which of its two databases.
    pub database: usize,
    pub version: u64,
}

impl Config {
    /// Whether a resource with these signs comes from it.
    pub fn shows(&self, tenant: &Hospital, mark: &str, version: &str) -> bool {
        mark == tenant.mark(self.database)
            && version == format!("urn:mapping:{}-{}", tenant.name, self.version)
    }
}

/// Every configuration a tenant has had, and how many of these changes were acknowledged. Only one task
/// changes a tenant.
pub struct State(Mutex<(Vec<Config>, usize)>);

impl State {
    fn new() -> Self {
        let first = Config { active: true, database: 0, version: 1 };
        Self(Mutex::new((vec![first], 0)))
    }

    /// The latest configuration.
    pub fn now(&self) -> Config {
        self.0.lock().unwrap().0.last().unwrap().clone()
    }

    /// The number of the last acknowledged configuration.
    pub fn acknowledged(&self) -> usize {
        self.0.lock().unwrap().1
    }

    /// What may be in force from that acknowledgement until now.
    pub fn since(&self, acknowledged: usize) -> Vec<Config> {
        self.0.lock().unwrap().0[acknowledged..].to_vec()
    }

    /// A change is about to be asked for.
    pub fn begin(&self, next: Config) {
        self.0.lock().unwrap().0.push(next);
    }

    /// It was acknowledged.
    pub fn acknowledge(&self) {
        let mut state = self.0.lock().unwrap();
        state.1 = state.0.len() - 1;
    }
}

/// One tenant with two databases of one engine.
pub struct Hospital {
    pub name: String,
    pub token: String,
    /// The first of its ids; no other tenant has them.
    pub first: u64,
    pub state: State,
    databases: Vec<Place>,
}

enum Place {
    Server(Database),
    File(String),
}

impl Hospital {
    /// Number `at`: on PostgreSQL, MariaDB or SQLite in turn.
    pub async fn build(at: usize, name: &str, token: String, sqlite: &Path) -> Self {
        let first = 1000 * (at as u64 + 1);
        let (name, mut databases) = (name.to_owned(), Vec::new());
        for which in 0..2 {
            let mark = format!("mark-{name}-{which}");
            let sql = patients_sql(&mark, first..first + ROWS);
            databases.push(match at % 3 {
                2 => {
                    let file = format!("{name}-{which}.db");
                    sqlite_hospital(&sqlite.join(&file), &mark, first..first + ROWS).await;
                    Place::File(file)
                }
                engine => {
                    let database = match engine {
                        0 => Postgres::database().await,
                        _ => MariaDb::database().await,
                    };
                    database.execute(&sql).await;
                    Place::Server(database)
                }
            });
        }
        Self { name, token, first, state: State::new(), databases }
    }

    /// The mark every row of one of its databases carries.
    pub fn mark(&self, database: usize) -> String {
        format!("mark-{}-{database}", self.name)
    }

    /// That database as the admin API takes it.
    pub fn connection(&self, database: usize) -> Value {
        match &self.databases[database] {
            Place::File(file) => json!({ "url": format!("sqlite:{file}") }),
            Place::Server(database) => database.connection(database.server.port),
        }
    }
}

/// Numbers that look random and come again with the same seed (SplitMix64).
pub struct Random(u64);

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}
