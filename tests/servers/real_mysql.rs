//! MySQL itself, where MariaDB is another server: its logins, limits, types and collations.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use sqlx::Executor as _;
use wardgate::base::{ConnectionRecord, Deadline, ServerRecord, SystemClock, TlsPolicy};
use wardgate::pool::dial::{
    DialClass, DialConfig, Dialer, EgressRules, Opened, ServerFlavour, SessionSettings,
    TenantConnection,
};

use crate::harness::{Database, MySql};
use crate::write_bed::Bed;

fn dialer(sockets: &Path) -> Dialer {
    let config = DialConfig {
        egress: EgressRules::parse(&["127.0.0.1/32:*"]).unwrap(),
        socket_dir: sockets.to_owned(),
        connect_timeout: Duration::from_secs(20),
        ..DialConfig::default()
    };
    Dialer::new(config, Arc::new(SystemClock))
}

async fn open(record: ServerRecord) -> Result<Opened, DialClass> {
    let sockets = tempfile::tempdir().unwrap();
    let record = ConnectionRecord::Server(record);
    let deadline = Deadline::after(Duration::from_secs(30));
    let opened = dialer(sockets.path()).open(&record, &SessionSettings::default(), deadline).await;
    opened.map_err(|fault| fault.class())
}

async fn admin(sql: &str) {
    MySql::admin().await.execute(sqlx::raw_sql(sql)).await.unwrap();
}

#[tokio::test]
#[ignore = "needs WARDGATE_TEST_MYSQL"]
async fn every_login_that_it_offers() {
    let database = MySql::database().await;
    let verified = database.server_record();
    let mut clear = verified.clone();
    clear.tls.policy = TlsPolicy::LoopbackPlaintext;
    for plugin in ["caching_sha2_password", "sha256_password"] {
        let Database { user, password, .. } = &database;
        admin(&format!("ALTER USER {user}@'%' IDENTIFIED WITH {plugin} BY '{password}'")).await;
        // The whole password first, then what the server remembers of it; over TLS and on this machine.
        for record in [&verified, &clear] {
            admin("FLUSH PRIVILEGES").await;
            for _ in 0..2 {
                let opened = open(record.clone()).await.unwrap();
                assert_eq!(opened.facts.flavour, ServerFlavour::MySql, "{plugin}");
                assert_eq!(opened.facts.tls, record.tls.policy != TlsPolicy::LoopbackPlaintext);
                assert_eq!(opened.identity.system.len(), 36, "a UUID");
                assert_eq!(opened.identity.database, database.name);
            }
        }
        let mut wrong = verified.clone();
        wrong.password = wardgate::base::SecretText::new("wrong".to_owned());
        assert_eq!(open(wrong).await.map(drop), Err(DialClass::Auth), "{plugin}");
    }
    let user = &database.user;
    admin(&format!("ALTER USER {user}@'%' ACCOUNT LOCK")).await;
    assert_eq!(open(verified.clone()).await.map(drop), Err(DialClass::Auth));
    admin(&format!("ALTER USER {user}@'%' ACCOUNT UNLOCK PASSWORD EXPIRE")).await;
    assert_eq!(open(verified).await.map(drop), Err(DialClass::Auth));
}

#[tokio::test]
#[ignore = "needs WARDGATE_TEST_MYSQL"]
async fn a_session_has_its_settings_and_a_long_read_ends_in_the_server() {
    let database = MySql::database().await;
    let mut opened = open(database.server_record()).await.unwrap();
    let TenantConnection::MySql(connection) = &mut opened.connection else { panic!("MySQL") };
    for (sql, expected) in [
        ("SELECT CAST(@@max_execution_time AS CHAR)", "10000"),
        ("SELECT CAST(@@innodb_lock_wait_timeout AS CHAR)", "2"),
        ("SELECT CAST(@@transaction_read_only AS CHAR)", "1"),
        ("SELECT @@transaction_isolation", "REPEATABLE-READ"),
        ("SELECT @@time_zone", "+00:00"),
        ("SELECT @@character_set_results", "utf8mb4"),
        (
            "SELECT @@sql_mode",
            "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION",
        ),
        ("SELECT 'ä\u{1f600}'", "ä\u{1f600}"),
    ] {
        let found: String = sqlx::query_scalar(sql).fetch_one(&mut *connection).await.unwrap();
        assert_eq!(found, expected, "{sql}");
    }
}

const TABLES: &str = "
CREATE TABLE people (id INT AUTO_INCREMENT PRIMARY KEY, family VARCHAR(40) NOT NULL, given VARCHAR(40),
  born DATE, alive BIT(1) NOT NULL DEFAULT b'1', first_year YEAR, extra JSON, weight DECIMAL(6,2) ZEROFILL, mood ENUM('good','bad'),
  seen DATETIME, rev INT NOT NULL DEFAULT 1) COLLATE utf8mb4_0900_ai_ci;
SET SESSION sql_mode = '';
INSERT INTO people (family, given, born, alive, first_year, extra, weight, mood, seen) VALUES
  ('Muñoz', 'Ana', '1985-03-05', b'1', 1999, '{\"a\": [1, \"x\"]}', 70.50, 'good', '2020-01-02 03:04:05'),
  ('MUNOZ', 'Bo', '0000-00-00', b'0', 0, NULL, NULL, NULL, '0000-00-00 00:00:00'),
  ('munoz ', 'Cé', '1985-00-00', b'1', NULL, '[]', 1, 'bad', NULL),
  ('Straße', '😀', '2001-02-03', b'1', 2155, '\"s\"', 0, 'bad', '1000-01-01 00:00:00');
CREATE VIEW endless AS SELECT a.COLUMN_NAME AS id, 'x' AS family FROM information_schema.COLUMNS a, information_schema.COLUMNS b,
  information_schema.COLUMNS c WHERE a.COLUMN_NAME = CONCAT(b.COLUMN_NAME, c.COLUMN_NAME, 'never');";

const MAPPING: &str = r#"
mapping: 1
resources:
  - type: Patient
    from: {table: people}
    key: id
    id: "$id"
    version: "$rev"
    map:
      name: [{family: "$family", given: ["$given"]}]
      birthDate: "$born"
      extension:
        - {url: "urn:alive", valueInteger: "$alive"}
        - {url: "urn:year", valueInteger: "$first_year"}
        - {url: "urn:extra", valueString: "$extra"}
        - {url: "urn:weight", valueDecimal: "$weight"}
        - {url: "urn:mood", valueCode: "$mood"}
    write: {create: {key: auto_increment}, update: {version_column: rev}, delete: hard, read_only: [extension.valueString]}
  - type: Group
    from: {table: endless}
    key: id
    id: "$id"
    map: {type: person, actual: true, name: "$family"}
"#;

async fn bed() -> Bed {
    let bed = Bed::open(Some(MySql::database().await), TABLES).await;
    bed.gateway.publish("north", MAPPING).await;
    bed
}

async fn found(bed: &Bed, search: &str) -> Vec<String> {
    let bundle = bed.read(&format!("/Patient?{search}&_sort=_id")).await;
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    entries.iter().map(|e| e["resource"]["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
#[ignore = "needs WARDGATE_TEST_MYSQL"]
async fn its_types_are_read_and_searched_as_they_are() {
    let bed = bed().await;
    let ana = bed.read("/Patient/1").await;
    assert_eq!(ana["birthDate"], "1985-03-05");
    let value = |url: &str| {
        let all = ana["extension"].as_array().unwrap();
        all.iter().find(|e| e["url"] == url).cloned().unwrap_or_default()
    };
    assert_eq!(value("urn:alive")["valueInteger"], 1);
    assert_eq!(value("urn:year")["valueInteger"], 1999);
    assert_eq!(value("urn:extra")["valueString"], "{\"a\": [1, \"x\"]}");
    assert_eq!(value("urn:weight")["valueDecimal"], 70.5, "{ana}");
    assert_eq!(value("urn:mood")["valueCode"], "good");
    let bo = bed.read("/Patient/2").await;
    assert!(bo["birthDate"].is_null(), "a date that is none: {bo}");
    for (search, ids) in [
        ("family=munoz", &["1", "2", "3"][..]),
        ("family:exact=MUNOZ", &["2"]),
        ("family:exact=Mu%C3%B1oz", &["1"]),
        ("family:contains=UNO", &["1", "2", "3"]),
        ("given=%F0%9F%98%80", &["4"]),
        ("birthdate=1985-03-05", &["1"]),
        // A date with a day that is none is a year.
        ("birthdate=lt1990-01-01", &["1", "3"]),
        ("_id=1,4", &["1", "4"]),
    ] {
        assert_eq!(found(&bed, search).await, ids, "{search}");
    }
}

#[tokio::test]
#[ignore = "needs WARDGATE_TEST_MYSQL"]
async fn its_rows_are_written() {
    let bed = bed().await;
    let new = json!({ "resourceType": "Patient", "name": [{ "family": "Nuñez", "given": ["Di"] }], "birthDate": "1999-12-31" });
    let made = bed.send(Method::POST, "/Patient", new.to_string()).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let mut patient = bed.read(&format!("/Patient/{id}")).await;
    assert_eq!(patient["name"][0]["family"], "Nuñez");
    patient["name"][0]["family"] = json!("Ñuñez 😀");
    let path = format!("/Patient/{id}");
    let changed = bed.send(Method::PUT, &path, patient.to_string()).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(bed.read(&path).await["name"][0]["family"], "Ñuñez 😀");
    let gone = bed.send(Method::DELETE, &path, String::new()).await;
    assert!(matches!(gone.status, 200 | 204), "{gone:?}");
    assert_eq!(bed.rows(&format!("SELECT family FROM people WHERE id = {id}")).await.len(), 0);
}

#[tokio::test]
#[ignore = "needs WARDGATE_TEST_MYSQL"]
async fn a_read_without_end_is_ended_by_the_server_and_the_hospital_served_on() {
    let bed = bed().await;
    let reply = bed.gateway.get(&bed.token, "/Group").await;
    assert_eq!(reply.status, 504, "{reply:?}");
    bed.read("/Patient/1").await;
    let breaker = bed.gateway.view("tenants/north/breaker").await;
    assert_eq!(breaker["state"], "closed", "{breaker}");
    let running = "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%endless%' AND ID <> CONNECTION_ID()";
    // The clinician is not kept waiting for the server to have ended it.
    let mut left = bed.rows(running).await;
    for _ in 0..100 {
        if left == ["0"] {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        left = bed.rows(running).await;
    }
    assert_eq!(left, ["0"], "it runs on");
}

#[tokio::test]
#[ignore = "needs WARDGATE_TEST_MYSQL"]
async fn a_server_closed_to_changes_says_so_and_is_read_on() {
    let bed = bed().await;
    // Of this hospital alone: the server is other tests' as well.
    bed.sql("CREATE TRIGGER closed BEFORE UPDATE ON people FOR EACH ROW SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1290").await;
    let mut patient = bed.read("/Patient/1").await;
    patient["name"][0]["family"] = json!("Lost");
    let reply = bed.send(Method::PUT, "/Patient/1", patient.to_string()).await;
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(reply.header("retry-after").parse::<u64>().is_ok_and(|wait| wait > 0));
    bed.read("/Patient/1").await;
}
