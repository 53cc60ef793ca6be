//! Searches of random tables: every server gives what a naive reading of all resources says, and what SQLite gives.
//!
//! `PROPTEST_CASES` says how many tables are tried; without it a few, so that a run takes seconds.

use std::sync::Arc;
use std::time::Duration;

use sqlx::mysql::MySqlConnection;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Executor as _};
use wardgate::base::{Deadline, SystemClock};
use wardgate::pool::dial::{DialConfig, Dialer, EgressRules, SessionSettings, TenantConnection};
use wardgate::store::Flavour;
use wardgate::store::run::TenantConn;

use crate::harness::{Database, MariaDb, Postgres, number_from_env};
use crate::search_model::{Place, Trial};

/// Whoever fills the tables, by the driver's own connection.
enum Filler {
    Postgres(PgConnection),
    MySql(MySqlConnection),
    /// The gateway's is the only one there is.
    Same,
}

struct Server {
    filler: Filler,
    /// As the gateway opens it, with its settings.
    session: TenantConnection,
    flavour: Flavour,
    _database: Option<Database>,
}

impl Server {
    async fn of(database: Database, filler: Filler) -> Self {
        let config = DialConfig {
            egress: EgressRules::parse(&["127.0.0.0/8:*"]).unwrap(),
            ..DialConfig::default()
        };
        let dialer = Dialer::new(config, Arc::new(SystemClock));
        let deadline = Deadline::after(Duration::from_secs(30));
        let settings = SessionSettings::default();
        let opened = dialer.open(&database.record(), &settings, deadline).await.unwrap();
        let flavour = Flavour::of_server(&opened.facts);
        Self { filler, session: opened.connection, flavour, _database: Some(database) }
    }
}

impl Place for Server {
    fn conn(&mut self) -> (TenantConn<'_>, Flavour) {
        let conn = match &mut self.session {
            TenantConnection::Postgres(session) => TenantConn::Postgres(session),
            TenantConnection::MySql(conn) => TenantConn::MySql(conn),
            TenantConnection::Sqlite(conn) => TenantConn::Sqlite(conn),
        };
        (conn, self.flavour)
    }

    async fn run(&mut self, sql: &str) {
        let done = match (&mut self.filler, &mut self.session) {
            (Filler::Postgres(conn), _) => conn.execute(sqlx::raw_sql(sql)).await.map(drop),
            (Filler::MySql(conn), _) => conn.execute(sqlx::raw_sql(sql)).await.map(drop),
            (Filler::Same, TenantConnection::Sqlite(conn)) => {
                conn.execute(sqlx::raw_sql(sql)).await.map(drop)
            }
            _ => panic!("nobody fills it"),
        };
        if let Err(error) = done {
            panic!("{:?}: {error}: {sql}", self.flavour);
        }
    }
}

/// SQLite, and the servers there are. Where the place of MariaDB is taken by MySQL, it alone: PostgreSQL was tried.
async fn places() -> Vec<Server> {
    let memory = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    let sqlite = Server {
        filler: Filler::Same,
        session: TenantConnection::Sqlite(memory),
        flavour: Flavour::Sqlite,
        _database: None,
    };
    let database = MariaDb::database().await;
    let filler = Filler::MySql(database.mariadb().await);
    let mysql = Server::of(database, filler).await;
    if mysql.flavour == Flavour::MySql {
        return vec![sqlite, mysql];
    }
    let database = Postgres::database().await;
    let filler = Filler::Postgres(database.postgres().await);
    vec![sqlite, Server::of(database, filler).await, mysql]
}

fn trial(cases: u64) -> Trial<Server> {
    let cases = number_from_env("PROPTEST_CASES", cases);
    Trial::new(u32::try_from(cases).unwrap(), places())
}

#[test]
fn a_search_finds_what_a_naive_reading_of_all_resources_finds() {
    trial(12).searches();
}

#[test]
fn what_looks_further_finds_what_a_naive_reading_finds() {
    trial(8).chains();
}

#[test]
fn what_is_beside_is_what_a_naive_reading_puts_there() {
    trial(8).beside();
}

#[test]
fn in_order_nothing_is_lost_and_nothing_comes_twice() {
    trial(12).sorted();
}

#[test]
fn a_compartment_holds_what_a_naive_reading_puts_there() {
    trial(8).compartments();
}
