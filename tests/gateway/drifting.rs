//! A hospital's schema that is not as its mapping needs it: the gateway finds out by itself, and tells the operator which
//! column it is.

use std::time::Duration;

use serde_json::Value;
use sqlx::ConnectOptions as _;
use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnectOptions;

use crate::support::issuer::clinician;
use crate::support::{Gateway, Options, TestIssuer};
use crate::world;

async fn start(every: &str) -> (TestIssuer, Gateway) {
    let users = vec![clinician("reader", "north", &["fhir-read"])];
    let issuer = TestIssuer::start(users).await;
    let settings = format!("[mapping]\ndrift_check = \"{every}\"\n");
    let gateway =
        world::hospitals(&issuer, &["north"], Options { settings, ..Options::default() }).await;
    (issuer, gateway)
}

/// What happens to the hospital's tables, past the gateway.
async fn alter(gateway: &Gateway, sql: &str) {
    let file = gateway.folder().join("sqlite/north.db");
    let options = SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_secs(10));
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// What the alarm says. Nobody asks for a check here: what is read is what was found before.
async fn alarm(gateway: &Gateway) -> Option<Value> {
    for _ in 0..400 {
        let events = gateway.view("events").await;
        let mut all = events["events"].as_array().unwrap().iter();
        if let Some(found) = all.find(|event| event["action"] == "mapping.drift") {
            return Some(found.clone());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    None
}

#[tokio::test]
async fn a_changed_table_is_found_on_the_schedule_without_a_request() {
    let (_issuer, gateway) = start("2s").await;
    alter(&gateway, "ALTER TABLE patients RENAME COLUMN mrn TO mrn_2").await;
    let found = alarm(&gateway).await.expect("an alarm");
    assert!(found["detail"].to_string().contains("patients.mrn"), "{found}");
    let seen = gateway.view("tenants/north").await["mapping"]["drift"].clone();
    assert_eq!(seen["changes"][0]["column"], "mrn", "{seen}");
    // What was put right is found as well.
    alter(&gateway, "ALTER TABLE patients RENAME COLUMN mrn_2 TO mrn").await;
    let mut left = Value::Null;
    for _ in 0..400 {
        left = gateway.view("tenants/north").await["mapping"]["drift"]["changes"].clone();
        if left.as_array().is_some_and(Vec::is_empty) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(left.as_array().map(Vec::len), Some(0), "{left}");
}

#[tokio::test]
async fn a_changed_table_is_found_when_the_hospitals_lane_opens() {
    // The schedule's next turn is a minute away.
    let (issuer, gateway) = start("720h").await;
    alter(&gateway, "ALTER TABLE patients RENAME COLUMN mrn TO mrn_2").await;
    // It needs nothing of what went away.
    let read = gateway.get(&issuer.token("reader"), "/Patient?_summary=count").await;
    assert_eq!(read.status, 200, "{read:?}");
    let found = alarm(&gateway).await.expect("an alarm");
    assert!(found["detail"].to_string().contains("patients.mrn"), "{found}");
}
