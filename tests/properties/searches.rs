//! Searches of random tables on SQLite: see `search_model`, which `servers` runs on real servers too.

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Executor as _};
use wardgate::store::Flavour;
use wardgate::store::run::TenantConn;

use crate::search_model::{Place, Trial};

struct Memory(SqliteConnection);

impl Place for Memory {
    fn conn(&mut self) -> (TenantConn<'_>, Flavour) {
        (TenantConn::Sqlite(&mut self.0), Flavour::Sqlite)
    }

    async fn run(&mut self, sql: &str) {
        self.0.execute(sqlx::raw_sql(sql)).await.unwrap();
    }
}

fn trial(cases: u32) -> Trial<Memory> {
    Trial::new(cases, async {
        vec![Memory(SqliteConnection::connect("sqlite::memory:").await.unwrap())]
    })
}

#[test]
fn a_search_finds_what_a_naive_reading_of_all_resources_finds() {
    trial(50).searches();
}

#[test]
fn what_looks_further_finds_what_a_naive_reading_finds() {
    trial(40).chains();
}

#[test]
fn what_is_beside_is_what_a_naive_reading_puts_there() {
    trial(40).beside();
}

#[test]
fn in_order_nothing_is_lost_and_nothing_comes_twice() {
    trial(40).sorted();
}

#[test]
fn a_compartment_holds_what_a_naive_reading_puts_there() {
    trial(30).compartments();
}
