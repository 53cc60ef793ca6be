//! Words in what is stored: in every column of a hospital's rows, and in the registry, where somebody
//! with SQL put them.

use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use super::{nowhere, sinks, unanswered};
use crate::support::{Options, TestIssuer};
use crate::world;

/// A hospital with a word in every column, mapped or not, well-formed or not.
const ROWS: &str = "
    CREATE TABLE patients (id INTEGER NOT NULL PRIMARY KEY, mrn TEXT, family_name TEXT, birth TEXT, sex TEXT,
        visits TEXT, note TEXT, active TEXT, secret_hash TEXT);
    INSERT INTO patients VALUES (1, 'canarycell-mrn', 'canarycell-family', '1970-01-31', 'F', '7',
        'canarycell-note', 'Y', 'canarycell-hash');
    INSERT INTO patients VALUES (2, 'canarycell-mrn2', 'canarycell-family2', 'canarycell-birth', 'canarycell-sex',
        'canarycell-visits', 'canarycell-note2', 'canarycell-active', 'canarycell-hash2');
    INSERT INTO patients VALUES (3, x'63616e61727963656c6cff', x'00ff63616e61727963656c6c', '31.02.canarycell', NULL,
        '9e999canarycell', NULL, NULL, NULL);";

const MAPPING: &str = r#"mapping: 1
codes: {sex: {values: {"F": female, "M": male}}}
resources:
  - type: Patient
    from: {table: patients}
    key: id
    id: "$id"
    map:
      active: "$active | bool('Y', 'N')"
      identifier: [{system: "urn:canary", value: "$mrn"}]
      name: [{family: "$family_name"}]
      birthDate: "$birth | date('yyyy-MM-dd')"
      gender: "$sex | code(sex)"
"#;

async fn run(file: &Path, sql: &str) {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let mut connection =
        options.busy_timeout(Duration::from_secs(10)).connect().await.expect("open a database");
    sqlx::raw_sql(sql).execute(&mut connection).await.expect("run SQL");
    connection.close().await.expect("close a database");
}

#[tokio::test]
async fn cells_leave_in_answers_only() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    run(&gateway.folder().join("sqlite/cells.db"), ROWS).await;
    gateway.change(Method::PUT, "north", "connection", json!({ "url": "sqlite:cells.db" })).await;
    gateway.publish("north", MAPPING).await;
    let token = issuer.token("north");
    let good = gateway.get(&token, "/Patient/1").await;
    assert!(good.status == 200 && good.body.contains("canarycell-family"), "{good:?}");
    // What is not mapped stays where it is, also in an answer.
    unanswered(&[good], &["canarycell-note", "canarycell-hash"]);
    for path in [
        "/Patient/2",
        "/Patient/3",
        "/Patient",
        "/Patient?family=canarycell-family",
        "/Patient?birthdate=1970-01-31",
        "/Patient?gender=female",
        "/Patient?identifier=urn:canary|canarycell-mrn",
    ] {
        let reply = gateway.get(&token, path).await;
        // Bad cells are left out or the row is refused; what could not be read is never quoted.
        unanswered(
            std::slice::from_ref(&reply),
            &[
                "canarycell-birth",
                "canarycell-sex",
                "canarycell-visits",
                "canarycell-active",
                "31.02",
                "-note",
                "-hash",
            ],
        );
    }
    let mut replies = Vec::new();
    for what in ["tenants/north/check", "tenants/north/invalidate", "tenants/north/pool/drain"] {
        replies.push(gateway.operate(Method::POST, what, None, None).await);
    }
    for path in ["tenants/north", "tenants/north/mappings", "tenants/north/mappings/1", "events"] {
        replies.push(gateway.operate(Method::GET, path, None, None).await);
    }
    unanswered(&replies, &["canarycell"]);
    let sinks = sinks(&gateway, &["registry.db", "registry.db-wal"]).await;
    assert!(sinks.iter().any(|(_, text)| text.contains("wardgate_bad_cells_total")), "no bad cell");
    nowhere(&sinks, &["canarycell"]);
}

/// Tenants, and what somebody who can write to the registry does to each.
const PLANTED: [(&str, &str); 4] = [
    ("north", "UPDATE connections SET sealed = 'sealed:v1:canarystored'"),
    ("south", "UPDATE connections SET server_identity = '{\"canarystored\":\"canarystored\"}'"),
    (
        "east",
        "INSERT OR REPLACE INTO limits SELECT id, '{\"canarystored\":\"canarystored\"}' FROM tenants",
    ),
    (
        "west",
        "DROP TRIGGER mappings_update;
         UPDATE mappings SET document = '{\"canarystored\":1}', catalog = '{\"canarystored\":1}'",
    ),
];

#[tokio::test]
async fn what_stands_in_the_registry_is_not_repeated() {
    let names: Vec<&str> = PLANTED.iter().map(|(name, _)| *name).chain(["well"]).collect();
    let issuer = TestIssuer::for_tenants(&names).await;
    let gateway = world::hospitals(&issuer, &names, Options::default()).await;
    let mut replies = Vec::new();
    for (name, sql) in PLANTED {
        let column = if sql.contains("FROM tenants") { "id" } else { "tenant" };
        let sql = format!("{sql} WHERE {column} = (SELECT id FROM tenants WHERE name = '{name}')");
        run(&gateway.folder().join("registry.db"), &sql).await;
        for what in ["invalidate", "pool/drain", "check"] {
            let path = format!("tenants/{name}/{what}");
            replies.push(gateway.operate(Method::POST, &path, None, None).await);
        }
        let token = issuer.token(name);
        for path in ["/Patient/1001", "/Patient?family=a", "/metadata"] {
            let reply = gateway.get(&token, path).await;
            assert!(reply.status >= 500 || path == "/metadata", "{name}: {reply:?}");
            replies.push(reply);
        }
        for path in ["", "/connection", "/pool", "/mappings", "/mappings/1"] {
            let path = format!("tenants/{name}{path}");
            replies.push(gateway.operate(Method::GET, &path, None, None).await);
        }
        replies.push(gateway.operate(Method::GET, "tenants", None, None).await);
        let well = gateway.get(&issuer.token("well"), "/Patient/5001").await;
        assert_eq!(well.status, 200, "{name} is damaged and well suffers: {well:?}");
    }
    unanswered(&replies, &["canarystored"]);
    nowhere(&sinks(&gateway, &[]).await, &["canarystored"]);
}

#[tokio::test]
async fn a_hosts_name_is_not_repeated() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let mut replies = Vec::new();
    for url in [
        "postgres://u:p@canaryhost.invalid/d",
        "mysql://u:p@canaryhost.invalid:3307/d",
        "postgres://u:p@canaryhost.invalid:0/d",
        "postgres://u:p@canaryhost..invalid/d",
        "postgres://u:p@[canaryhost]/d",
        "postgres://u:p@canaryhost.invalid/d?canaryhost=1",
        "canaryhost://u:p@h/d",
        "sqlite:../canaryhost.db",
        "sqlite:canaryhost.db",
    ] {
        for check in [true, false] {
            let body = json!({ "url": url, "check": check }).to_string();
            let generation = gateway.view("tenants/north").await["generation"].as_u64();
            let path = "tenants/north/connection";
            let body = Some(("application/json", body));
            replies.push(gateway.operate(Method::PUT, path, generation, body).await);
            replies.push(gateway.get(&issuer.token("north"), "/Patient/1001").await);
            replies.push(gateway.operate(Method::POST, "tenants/north/check", None, None).await);
            replies.push(gateway.operate(Method::GET, path, None, None).await);
        }
    }
    assert!(replies.iter().any(|reply| reply.status == 503), "no name was ever looked up");
    unanswered(&replies, &["canaryhost"]);
    nowhere(&sinks(&gateway, &["registry.db", "registry.db-wal"]).await, &["canaryhost"]);
}
