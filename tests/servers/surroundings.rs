//! What surrounds a hospital's tables and was not made for the gateway: limits on an account, settings of a
//! server, a role and a database, what a program that died left beside its file.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use wardgate::base::{Deadline, Engine};
use wardgate::pool::dial::DialClass;
use wardgate::pool::verdict::Verdict;
use wardgate::pool::{BreakerState, LaneLimits, LaneSpec, PoolConfig, PoolFault, Pools};

use crate::harness::{Database, MariaDb, Postgres};
use crate::lane_bed::{lane, pools, text};
use crate::stoppable::Stoppable;
use crate::write_bed::Bed;

pub fn soon() -> Deadline {
    Deadline::after(Duration::from_mins(1))
}

/// What the superuser does to the database's account.
pub async fn as_admin(database: &Database, postgres: &str, mariadb: &str) {
    let of =
        |sql: &str| sql.replace("ACCOUNT", &database.user).replace("DATABASE_", &database.name);
    if database.engine == Engine::Postgres {
        sqlx::raw_sql(&of(postgres)).execute(&mut Postgres::admin().await).await.unwrap();
    } else {
        sqlx::raw_sql(&of(mariadb)).execute(&mut MariaDb::admin().await).await.unwrap();
    }
}

pub async fn both() -> [Database; 2] {
    let (postgres, mariadb) = tokio::join!(Postgres::database(), MariaDb::database());
    [postgres, mariadb]
}

/// A lane of five with waits that a loaded machine meets.
pub fn patient(database: &Database) -> (Pools, LaneSpec, tempfile::TempDir) {
    let config = PoolConfig { connect_timeout: Duration::from_secs(20), ..PoolConfig::default() };
    let (pools, sockets) = pools(config);
    let mut limits = LaneLimits::with_connections(5);
    limits.acquire_timeout = Duration::from_mins(1);
    limits.session.statement_timeout = Duration::from_mins(1);
    let spec = lane(database, database.server.port, limits);
    (pools, spec, sockets)
}

#[tokio::test]
async fn an_account_with_fewer_connections_than_the_lane_serves_with_those() {
    for database in both().await {
        as_admin(
            &database,
            "ALTER ROLE ACCOUNT CONNECTION LIMIT 2",
            "GRANT USAGE ON *.* TO ACCOUNT@'%' WITH MAX_USER_CONNECTIONS 2",
        )
        .await;
        let (pools, spec, _sockets) = patient(&database);
        let first = pools.lease(&spec, soon()).await.unwrap();
        let second = pools.lease(&spec, soon()).await.unwrap();
        // More come than there are connections, and more than make a breaker open.
        let callers: Vec<_> = (0..12)
            .map(|_| {
                let (pools, spec) = (pools.clone(), spec.clone());
                tokio::spawn(async move {
                    let mut lease = pools.lease(&spec, soon()).await?;
                    lease.run(soon(), |c| text(c, "SELECT 'x'")).await
                })
            })
            .collect();
        let limit = soon();
        while pools.status(spec.tenant).unwrap().failed_total == 0 {
            assert!(!limit.passed(), "nobody was refused: {:?}", pools.status(spec.tenant));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop((first, second));
        for caller in callers {
            assert_eq!(caller.await.unwrap().as_deref(), Ok("x"), "{:?}", database.engine);
        }
        let status = pools.status(spec.tenant).unwrap();
        assert_eq!((status.open, status.leased), (2, 0), "{status:?}");
        assert_eq!(pools.breaker_status(spec.tenant).unwrap().state, BreakerState::Closed);
    }
}

#[tokio::test]
async fn an_account_that_may_have_no_connection_at_all_is_refused_as_one() {
    let database = Postgres::database().await;
    as_admin(&database, "ALTER ROLE ACCOUNT CONNECTION LIMIT 0", "").await;
    let (pools, spec, _sockets) = patient(&database);
    let fault = pools.lease(&spec, soon()).await.unwrap_err();
    assert!(matches!(&fault, PoolFault::Connect(f) if f.class() == DialClass::Full), "{fault}");
    assert_eq!(pools.status(spec.tenant).unwrap().leased, 0, "the permit is back");
}

#[tokio::test]
async fn a_password_that_has_expired_is_a_matter_of_the_account() {
    for database in both().await {
        as_admin(
            &database,
            "ALTER ROLE ACCOUNT VALID UNTIL '2001-01-01'",
            "ALTER USER ACCOUNT@'%' PASSWORD EXPIRE",
        )
        .await;
        let (pools, spec, _sockets) = patient(&database);
        match pools.lease(&spec, soon()).await.unwrap_err() {
            PoolFault::Connect(fault) => assert_eq!(fault.class(), DialClass::Auth, "{fault}"),
            other => panic!("{other}"),
        }
        // Not tried again and again: hospitals lock accounts.
        let breaker = pools.breaker_status(spec.tenant).unwrap();
        assert_eq!(breaker.state, BreakerState::Open, "{:?}", database.engine);
    }
}

#[tokio::test]
async fn a_limit_of_temporary_files_fails_the_statement_alone() {
    let database = Postgres::database().await;
    as_admin(
        &database,
        "ALTER ROLE ACCOUNT SET temp_file_limit = '64kB'; ALTER ROLE ACCOUNT SET work_mem = '64kB'",
        "",
    )
    .await;
    let (pools, spec, _sockets) = patient(&database);
    let mut lease = pools.lease(&spec, soon()).await.unwrap();
    // More in a row than would open the breaker.
    for _ in 0..8 {
        let sorted = "SELECT max(x) FROM (SELECT md5(g::text) AS x \
            FROM generate_series(1, 100000) AS g ORDER BY 1) AS s";
        let fault = lease.run(soon(), |c| text(c, sorted)).await.unwrap_err();
        let error = fault.database().expect("the server's own word").clone();
        assert_eq!((&*error.code, error.verdict()), ("53400", Verdict::Neutral));
    }
    assert_eq!(lease.run(soon(), |c| text(c, "SELECT 'x'")).await.as_deref(), Ok("x"));
    drop(lease);
    assert_eq!(pools.breaker_status(spec.tenant).unwrap().state, BreakerState::Closed);
}

const TABLES: &str = "
CREATE TABLE people (id INT PRIMARY KEY, family VARCHAR(40) NOT NULL, code CHAR(8) NOT NULL, born DATE NOT NULL, seen STAMP NOT NULL, weight DOUBLE PRECISION NOT NULL, rev INT NOT NULL DEFAULT 1);
CREATE TABLE contact (person INT NOT NULL, kind CHAR(1) NOT NULL, value VARCHAR(40) NOT NULL, PRIMARY KEY (person, kind));
INSERT INTO contact VALUES (1, 'A', '555-1'), (1, 'B', '555-2'), (1, 'C', '555-3'), (2, 'A', '556-1');
INSERT INTO people (id, family, code, born, seen, weight) VALUES (1, 'O''Brien \"x\"', 'ab', '1950-03-04', '2024-05-06 07:08:09', 0.1);
INSERT INTO people (id, family, code, born, seen, weight) VALUES (2, 'Zw%l_le|nd', 'cd', '1960-12-31', '2023-01-02 03:04:05', 123456789.25);";

const MAPPING: &str = r#"
mapping: 1
database: {timezone: UTC}
resources:
  - type: Patient
    from: {table: people}
    key: id
    id: "$id"
    version: "$rev"
    map:
      identifier: [{system: "urn:example:code", value: "$code"}]
      name: [{family: "$family"}]
      birthDate: "$born"
      deceasedDateTime: "$seen"
      extension: [{url: "urn:example:weight", valueDecimal: "$weight"}]
      telecom:
        - each: {table: contact, match: {person: id}, order: [kind]}
          item: {system: phone, value: "$value"}
    write: {update: {version_column: rev}}
"#;

/// What a hospital's database is asked, and what it answers: the bodies, without what differs each time.
async fn answers(database: Database) -> Vec<String> {
    let bed = Bed::open(Some(database), TABLES).await;
    bed.gateway.publish("north", MAPPING).await;
    let mut all = Vec::new();
    for path in [
        "/Patient/1",
        "/Patient?_sort=_id",
        "/Patient?birthdate=lt1955-01-01",
        "/Patient?family=o%27brien",
        "/Patient?family:exact=O%27Brien%20%22x%22",
        "/Patient?family:contains=%25l_le%7C",
        "/Patient?family:exact=a%5C%27",
        "/Patient?identifier=ab",
        "/Patient?_summary=count",
    ] {
        let mut body = bed.read(path).await;
        for volatile in ["link", "id"] {
            body.as_object_mut().unwrap().remove(volatile);
        }
        for entry in body["entry"].as_array_mut().into_iter().flatten() {
            entry.as_object_mut().unwrap().remove("fullUrl");
        }
        all.push(format!("{path} {body}"));
    }
    let mut patient = bed.read("/Patient/2").await;
    patient["name"] = json!([{ "family": "Back\\slash ' \"y\"" }]);
    let put = bed.send(Method::PUT, "/Patient/2", patient.to_string()).await;
    assert_eq!(put.status, 200, "{put:?}");
    all.push(put.json()["name"].to_string());
    all.push(
        bed.read("/Patient?family=back%5Cslash%20%27").await["entry"][0]["resource"].to_string(),
    );
    all
}

#[tokio::test]
async fn a_role_and_a_database_with_settings_of_their_own_change_no_answer() {
    let plain = Postgres::database().await;
    let own = Postgres::database().await;
    as_admin(
        &own,
        "ALTER DATABASE DATABASE_ SET standard_conforming_strings = off;
         ALTER DATABASE DATABASE_ SET backslash_quote = on;
         ALTER DATABASE DATABASE_ SET search_path = public, pg_catalog;
         ALTER DATABASE DATABASE_ SET transform_null_equals = on;
         ALTER ROLE ACCOUNT SET \"DateStyle\" = 'SQL, DMY';
         ALTER ROLE ACCOUNT SET \"IntervalStyle\" = 'sql_standard';
         ALTER ROLE ACCOUNT SET \"TimeZone\" = 'Asia/Kathmandu';
         ALTER ROLE ACCOUNT SET bytea_output = 'escape';
         ALTER ROLE ACCOUNT SET extra_float_digits = -10;
         ALTER ROLE ACCOUNT SET quote_all_identifiers = on;
         ALTER ROLE ACCOUNT SET row_security = off;
         ALTER ROLE ACCOUNT SET lc_messages = 'C';
         ALTER ROLE ACCOUNT SET client_encoding = 'LATIN1';",
        "",
    )
    .await;
    assert_eq!(answers(own).await, answers(plain).await);
}

#[tokio::test]
async fn a_server_with_settings_of_its_own_changes_no_answer() {
    let server = Stoppable::mariadb().await;
    let plain = MariaDb::database().await;
    let own = MariaDb::database_on(server.server()).await;
    for setting in [
        "sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,PIPES_AS_CONCAT'",
        "sql_select_limit = 1",
        "completion_type = 'CHAIN'",
        "max_join_size = 1",
        "sql_big_selects = OFF",
        "time_zone = '+05:45'",
        "tx_isolation = 'READ-UNCOMMITTED'",
        "div_precision_increment = 0",
        "group_concat_max_len = 4",
    ] {
        set_global(&own, setting).await;
    }
    assert_eq!(answers(own).await, answers(plain).await);
}

/// A page and what hangs off it are of one moment, and of nothing that is not stored.
#[tokio::test]
async fn a_server_that_shows_what_is_not_stored_shows_it_to_others() {
    let server = Stoppable::mariadb().await;
    let database = MariaDb::database_on(server.server()).await;
    for setting in
        ["tx_isolation = 'READ-UNCOMMITTED'", "sql_safe_updates = ON", "sql_auto_is_null = ON"]
    {
        set_global(&database, setting).await;
    }
    let bed = Bed::open(Some(database), TABLES).await;
    bed.gateway.publish("north", MAPPING).await;
    let before = bed.read("/Patient/2").await;
    let mut other = bed.database().mariadb().await;
    for statement in [
        "BEGIN",
        "UPDATE people SET family = 'Half' WHERE id = 2",
        "DELETE FROM contact WHERE person = 2 AND kind = 'A'",
    ] {
        other.execute(sqlx::raw_sql(statement)).await.unwrap();
    }
    assert_eq!(bed.read("/Patient/2").await, before);
    other.execute(sqlx::raw_sql("ROLLBACK")).await.unwrap();

    let (pools, spec, _sockets) = patient(bed.database());
    let mut lease = pools.lease(&spec, soon()).await.unwrap();
    for (sql, expected) in [
        ("SELECT @@tx_isolation", "REPEATABLE-READ"),
        ("SELECT CAST(@@sql_safe_updates AS CHAR)", "OFF"),
        ("SELECT CAST(@@sql_auto_is_null AS CHAR)", "OFF"),
    ] {
        let found = lease.run(soon(), |c| text(c, sql)).await;
        assert_eq!(found.as_deref(), Ok(expected), "{sql}");
    }
}

async fn set_global(database: &Database, setting: &str) {
    let mut admin = admin_of(database).await;
    admin.execute(sqlx::raw_sql(&format!("SET GLOBAL {setting}"))).await.unwrap();
    admin.close().await.unwrap();
}

/// The superuser of the server that a database lives on.
pub async fn admin_of(database: &Database) -> sqlx::MySqlConnection {
    let server = &database.server;
    let options = MySqlConnectOptions::new()
        .host(&server.host)
        .port(server.port)
        .username(&server.user)
        .password(&server.password)
        .ssl_mode(MySqlSslMode::VerifyIdentity)
        .ssl_ca(&server.ca_file);
    options.connect().await.unwrap()
}

/// A program of the hospital's that dies while it writes leaves a journal, which says how to take back what it had
/// begun. Whoever may only read must neither do that nor read what is there.
#[tokio::test]
async fn a_file_whose_writer_died_is_not_read_until_that_is_cleared_up() {
    let bed = Bed::open(None, TABLES).await;
    bed.gateway.publish("north", MAPPING).await;
    let before = bed.read("/Patient/1").await;

    let file = bed.gateway.folder().join("sqlite/north.db");
    let (journal, kept) = (file.with_extension("db-journal"), file.with_extension("kept"));
    let url = format!("sqlite:{}", file.display());
    let mut writer = sqlx::SqliteConnection::connect(&url).await.unwrap();
    for statement in [
        "PRAGMA journal_mode = DELETE",
        "PRAGMA cache_size = 1",
        "BEGIN IMMEDIATE",
        "UPDATE people SET family = 'Half'",
        "CREATE TABLE much AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000) SELECT i, hex(randomblob(50)) AS x FROM n",
    ] {
        writer.execute(sqlx::raw_sql(statement)).await.unwrap();
    }
    std::fs::copy(&journal, &kept).unwrap();
    writer.execute(sqlx::raw_sql("ROLLBACK")).await.unwrap();
    writer.close().await.unwrap();
    std::fs::rename(&kept, &journal).unwrap();

    let refused = bed.gateway.get(&bed.token, "/Patient/1").await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(journal.exists(), "a reader clears nothing up");
    // The program is started again, and looks at its file.
    assert_eq!(bed.rows("SELECT family FROM people WHERE id = 1").await, ["O'Brien \"x\""]);
    assert!(!journal.exists());
    assert_eq!(bed.read("/Patient/1").await, before);
}

#[tokio::test]
async fn a_limit_of_a_statement_that_the_account_has_of_its_own_counts_where_it_is_stricter() {
    for (own, expected) in [("7", "7"), ("0", "60"), ("600", "60")] {
        for database in both().await {
            as_admin(
                &database,
                &format!("ALTER ROLE ACCOUNT SET statement_timeout = '{own}s'"),
                &format!("GRANT USAGE ON *.* TO ACCOUNT@'%' WITH MAX_STATEMENT_TIME {own}"),
            )
            .await;
            let (pools, spec, _sockets) = patient(&database);
            let sql = match database.engine {
                Engine::Postgres => {
                    "SELECT EXTRACT(EPOCH FROM current_setting('statement_timeout')::interval)::int::text"
                }
                _ => "SELECT CAST(CAST(@@max_statement_time AS INT) AS CHAR)",
            };
            let mut lease = pools.lease(&spec, soon()).await.unwrap();
            let found = lease.run(soon(), |c| text(c, sql)).await;
            assert_eq!(found.as_deref(), Ok(expected), "{:?}, {own} of its own", database.engine);
        }
    }
}
