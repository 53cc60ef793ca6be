//! A hospital that lets nobody but its PgBouncer to its PostgreSQL, with a session for each transaction only:
//! two sessions of the server serve all of the gateway's. What a session would keep is never relied on.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use wardgate::base::Engine;

use crate::encodings;
use crate::harness::{Database, PgBouncer, Postgres};
use crate::write_bed::Bed;

const TABLES: &str = "
CREATE TABLE people (id INT PRIMARY KEY, family VARCHAR(40) NOT NULL, born DATE, rev INT NOT NULL DEFAULT 1);
CREATE TABLE contact (person INT NOT NULL, kind CHAR(1) NOT NULL, value VARCHAR(40) NOT NULL, PRIMARY KEY (person, kind));
CREATE TABLE visit (id INT PRIMARY KEY, person INT NOT NULL, began DATE NOT NULL);
INSERT INTO people (id, family, born) SELECT n, 'Family' || n, '1980-01-01'::date + n FROM generate_series(1, 40) n;
INSERT INTO contact SELECT n, 'T', '555-' || n FROM generate_series(1, 40) n;
INSERT INTO visit SELECT n, n, '2020-01-02' FROM generate_series(1, 40) n;";

const MAPPING: &str = r#"
mapping: 1
resources:
  - type: Patient
    from: {table: people}
    key: id
    id: "$id"
    version: "$rev"
    map:
      name: [{family: "$family"}]
      birthDate: "$born"
      telecom:
        - each: {table: contact, match: {person: id}, order: [kind]}
          item: {system: phone, value: "$value"}
    write: {update: {version_column: rev}}
  - type: Encounter
    from: {table: visit}
    key: id
    id: "$id"
    map:
      status: finished
      class: {system: "http://terminology.hl7.org/CodeSystem/v3-ActCode", code: AMB}
      subject: "$person | ref(Patient)"
"#;

/// A read of it takes three seconds.
const SLOW: &str = r#"  - type: Group
    from: {table: slow}
    key: id
    id: "$id"
    map: {type: person, actual: true, name: "$family", characteristic: [{code: {text: "$slept"}, valueBoolean: true, exclude: false}]}
"#;

/// What the role must say itself, because the pooler does not pass it on.
async fn say(database: &Database, path: &str) {
    let role = &database.user;
    database
        .execute(&format!(
            "BEGIN READ WRITE;
             ALTER ROLE {role} SET statement_timeout = '5s';
             ALTER ROLE {role} SET default_transaction_read_only = on;
             ALTER ROLE {role} SET search_path = {path};
             ALTER ROLE {role} SET \"IntervalStyle\" = 'iso_8601';
             ALTER ROLE {role} SET bytea_output = 'hex';
             ALTER ROLE {role} SET extra_float_digits = 1;
             COMMIT"
        ))
        .await;
}

#[tokio::test]
async fn each_transaction_on_whichever_session_is_free() {
    let database = Postgres::database().await;
    database.execute(TABLES).await;
    say(&database, "public, pg_temp").await;
    let bed = Bed::open_at(Some(database), PgBouncer::port(), "SELECT 1").await;
    assert_eq!(bed.engine(), Engine::Postgres);
    bed.gateway.publish("north", MAPPING).await;
    // Statements of every shape, side by side, again and again: each is answered with its own rows.
    for round in 0..4 {
        join_all((1..=24).map(|id| {
            let bed = &bed;
            async move {
                match (id + round) % 4 {
                    0 => {
                        let read = bed.read(&format!("/Patient/{id}")).await;
                        assert_eq!(read["name"][0]["family"], format!("Family{id}"));
                        assert_eq!(read["telecom"][0]["value"], format!("555-{id}"));
                    }
                    1 => {
                        let read = bed.read(&format!("/Encounter/{id}")).await;
                        assert_eq!(read["subject"]["reference"], format!("Patient/{id}"));
                    }
                    2 => {
                        let found = bed.read(&format!("/Patient?phone=555-{id}")).await;
                        assert_eq!(found["entry"][0]["resource"]["id"], id.to_string());
                        assert_eq!(found["entry"].as_array().unwrap().len(), 1);
                    }
                    _ => {
                        let path = format!("/Encounter?patient={id}&_include=Encounter:patient");
                        let found = bed.read(&path).await;
                        assert_eq!(found["entry"].as_array().unwrap().len(), 2, "{found}");
                    }
                }
            }
        }))
        .await;
    }
    for rev in 1..=3 {
        let mut patient = bed.read("/Patient/7").await;
        assert_eq!(patient["meta"]["versionId"], rev.to_string());
        patient["name"][0]["family"] = json!(format!("New{rev}"));
        let reply = bed.send(Method::PUT, "/Patient/7", patient.to_string()).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(bed.read("/Patient/7").await["name"][0]["family"], format!("New{rev}"));
    }
    assert_eq!(bed.rows("SELECT rev::text FROM people WHERE id = 7").await, ["4"]);
}

#[tokio::test]
async fn a_role_that_does_not_say_what_the_pooler_keeps_back_is_refused() {
    let database = Postgres::database().await;
    let bed = Bed::open(Some(database), TABLES).await;
    bed.gateway.publish("north", MAPPING).await;
    let port = PgBouncer::port();
    let connection = bed.database().connection(port);
    let generation = bed.gateway.view("tenants/north").await["generation"].as_u64();
    let body = Some(("application/json", connection.to_string()));
    let put = |body| bed.gateway.operate(Method::PUT, "tenants/north/connection", generation, body);
    let refused = put(body.clone()).await;
    assert!(refused.body.contains("ignores session settings"), "{refused:?}");
    // What says how values are written is missed as much as what says how long they may take.
    say(bed.database(), "public, pg_temp").await;
    let user = &bed.database().user;
    bed.sql(&format!("BEGIN READ WRITE; ALTER ROLE {user} RESET \"IntervalStyle\"; COMMIT")).await;
    // The pooler lets the sessions go that had less yet.
    tokio::time::sleep(Duration::from_secs(7)).await;
    let refused = put(body.clone()).await;
    assert!(refused.body.contains("ignores session settings"), "{refused:?}");
    // The settings alone are not enough: another's temporary table would come first.
    say(bed.database(), "public").await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    let refused = put(body).await;
    assert!(refused.body.contains("search_path must end with pg_temp"), "{refused:?}");
    assert_eq!(bed.read("/Patient/7").await["name"][0]["family"], "Family7");
}

/// The pooler's two sessions are at work, so a third statement waits in the pooler: a look beside it must not
/// wait there too and take the server for dead.
#[tokio::test]
async fn a_pooler_whose_sessions_are_all_at_work_is_not_silent() {
    let database = Postgres::database().await;
    database.execute(TABLES).await;
    let slow = "CREATE VIEW slow AS SELECT id, family, pg_sleep(3)::text AS slept FROM people WHERE id < 4";
    database.execute(slow).await;
    say(&database, "public, pg_temp").await;
    let bed = Bed::open_at(Some(database), PgBouncer::port(), "SELECT 1").await;
    bed.gateway.publish("north", &format!("{MAPPING}{SLOW}")).await;
    bed.read("/Patient/1").await;
    join_all([1, 2, 3].map(|id| {
        let bed = &bed;
        async move {
            let read = bed.read(&format!("/Group/{id}")).await;
            assert_eq!(read["name"], format!("Family{id}"));
        }
    }))
    .await;
    let breaker = bed.gateway.view("tenants/north/breaker").await;
    assert_eq!(breaker["state"], "closed", "{breaker}");
}

/// A pooler's sessions are for everybody, so that none is asked for another encoding than UTF-8.
#[tokio::test]
async fn behind_a_pooler_what_cannot_be_said_costs_its_cell_and_no_page() {
    for (encoding, own) in [
        ("LATIN1", "NULLIF('a', 'a')"),
        ("WIN1252", "chr(129)"),
        ("EUC_JP", "convert_from('\\xa9a1', 'EUC_JP')"),
    ] {
        let database = encodings::database_in(encoding).await;
        database
            .execute(
                &encodings::TABLES.replace("family VARCHAR(40) NOT NULL", "family VARCHAR(40)"),
            )
            .await;
        let name = if encoding == "EUC_JP" { "山田" } else { "Müller" };
        let rows = format!(
            "INSERT INTO people (id, family, kind) VALUES (0, '{name}', 'M'), (1, {own}, 'X'), (2, 'Ng', 'N'); \
             INSERT INTO contact VALUES (0, 1, 'tel {name}'), (1, 1, 'tel 1'), (1, 2, COALESCE({own}, 'x'))"
        );
        database.execute(&rows).await;
        say(&database, "public, pg_temp").await;
        let bed = Bed::open_at(Some(database), PgBouncer::port(), "SELECT 1").await;
        bed.gateway.publish("north", encodings::MAPPING).await;
        let bundle = bed.read("/Patient?_sort=_id").await;
        let told = |entry: &serde_json::Value| {
            entry["resource"].pointer("/name/0/family").cloned().unwrap_or_default()
        };
        let families: Vec<_> = bundle["entry"].as_array().unwrap().iter().map(told).collect();
        assert_eq!(families, [json!(name), json!(null), json!("Ng")], "{encoding} {bundle}");
        let one = bed.read("/Patient/1").await;
        assert_eq!(one["telecom"][0]["value"], "tel 1", "{encoding} {one}");
        let lost = if encoding == "LATIN1" { 0 } else { 4 };
        assert_eq!(encodings::lost(&bed).await, lost, "{encoding}: two cells, read twice");
        let found = bed.read(&format!("/Patient?family:exact={name}")).await;
        assert_eq!(found["entry"][0]["resource"]["id"], "0", "{encoding} {found}");
        let other = bed.read("/Patient?family:exact=Łuk").await;
        assert!(other["entry"][0].is_null(), "{encoding} {other}");
    }
}
