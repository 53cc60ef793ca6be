//! Opening single connections to real servers.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Executor, Row};
use wardgate::base::{
    ConnectionRecord, Deadline, Engine, ManualClock, SecretText, ServerRecord, SystemClock,
    Timestamp, TlsException, TlsPolicy, TlsWaiver,
};
use wardgate::pool::dial::{
    DialClass, DialConfig, DialFault, Dialer, EgressRules, Opened, ServerFlavour, SessionSettings,
    TenantConnection,
};
use wardgate::pool::postgres::{Cells, PostgresSession, Query};

use super::harness::{Database, MariaDb, Postgres};

/// A dialer whose sockets lie in `sockets`.
fn dialer(sockets: &Path) -> Dialer {
    let config = DialConfig {
        connect_timeout: Duration::from_secs(8),
        egress: EgressRules::parse(&["127.0.0.1/32:*"]).unwrap(),
        socket_dir: sockets.to_owned(),
        ..DialConfig::default()
    };
    Dialer::new(config, Arc::new(SystemClock))
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

async fn open(
    dialer: &Dialer,
    record: ServerRecord,
    session: &SessionSettings,
) -> Result<Opened, DialFault> {
    dialer.open(&ConnectionRecord::Server(record), session, soon()).await
}

/// A connection that was used is asked again who its server is: the same as at the beginning.
async fn same_again(
    dialer: &Dialer,
    record: ServerRecord,
    session: &SessionSettings,
    opened: &mut Opened,
) {
    let record = ConnectionRecord::Server(record);
    let on = (&mut opened.connection, opened.facts.flavour);
    let found = dialer.identify(&record, session, on, soon()).await.unwrap();
    assert_eq!(found, opened.identity);
}

async fn text(connection: &mut TenantConnection, sql: &'static str) -> Result<String, String> {
    let code = |e: sqlx::Error| {
        let code =
            e.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default();
        code.into_owned()
    };
    match connection {
        TenantConnection::Postgres(c) => {
            let rows = c.rows(sql).await.map_err(code)?;
            Ok(rows[0][0].clone().expect("a text"))
        }
        TenantConnection::MySql(c) => {
            c.fetch_one(sqlx::raw_sql(sql)).await.map(|r| r.get(0)).map_err(code)
        }
        TenantConnection::Sqlite(_) => panic!("a server"),
    }
}

/// Waits until every relay of the dialer has ended.
async fn all_closed(dialer: &Dialer) {
    for _ in 0..1000 {
        if dialer.open_connections() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a relay lives on");
}

#[tokio::test]
async fn postgres_opens_with_its_settings_in_force() {
    let database = Postgres::database().await;
    let sockets = tempfile::tempdir().unwrap();
    let dialer = dialer(sockets.path());
    let session = SessionSettings {
        statement_timeout: Duration::from_millis(1500),
        own_limit_counts: true,
        lock_timeout: Duration::from_millis(700),
        idle_in_transaction_timeout: Duration::from_secs(9),
        read_only: true,
        application_name: "wardgate test".to_owned(),
        expected: None,
    };
    let mut opened = open(&dialer, database.server_record(), &session).await.unwrap();
    assert!(opened.facts.tls);
    assert_eq!(opened.facts.flavour, ServerFlavour::Postgres);
    assert_eq!(std::fs::read_dir(sockets.path()).unwrap().count(), 0);
    for (setting, expected) in [
        ("SHOW statement_timeout", "1500ms"),
        ("SHOW lock_timeout", "700ms"),
        ("SHOW idle_in_transaction_session_timeout", "9s"),
        ("SHOW default_transaction_read_only", "on"),
        ("SHOW DateStyle", "ISO, MDY"),
        ("SHOW IntervalStyle", "iso_8601"),
        ("SHOW TimeZone", "UTC"),
        ("SHOW bytea_output", "hex"),
        ("SHOW application_name", "wardgate test"),
        ("SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()", "true"),
        ("SELECT current_user::text", &database.user),
        ("SELECT current_database()::text", &database.name),
    ] {
        let found = text(&mut opened.connection, setting.to_owned().leak()).await;
        assert_eq!(found.as_deref(), Ok(expected), "{setting}");
    }
    assert_eq!(text(&mut opened.connection, "CREATE TABLE t (a int)").await, Err("25006".into()));
    assert_eq!(
        text(&mut opened.connection, "SELECT pg_sleep(30)::text").await,
        Err("57014".into())
    );
    assert!(opened.identity.database.starts_with(&format!("{}:", database.name)));
    same_again(&dialer, database.server_record(), &session, &mut opened).await;

    let again = open(&dialer, database.server_record(), &session).await.unwrap();
    assert_eq!(again.identity, opened.identity);
    let other = Postgres::database().await;
    let elsewhere = open(&dialer, other.server_record(), &session).await.unwrap();
    assert_ne!(elsewhere.identity, opened.identity);
    assert_eq!(elsewhere.identity.system, opened.identity.system);
    drop((opened, again, elsewhere));
    all_closed(&dialer).await;
}

#[tokio::test]
async fn mariadb_opens_with_its_settings_in_force() {
    let database = MariaDb::database().await;
    let sockets = tempfile::tempdir().unwrap();
    let dialer = dialer(sockets.path());
    let session = SessionSettings {
        statement_timeout: Duration::from_millis(1500),
        lock_timeout: Duration::from_secs(2),
        idle_in_transaction_timeout: Duration::from_secs(9),
        ..SessionSettings::default()
    };
    let mut opened = open(&dialer, database.server_record(), &session).await.unwrap();
    assert!(opened.facts.tls);
    assert_eq!(opened.facts.flavour, ServerFlavour::MariaDb);
    assert!(opened.facts.version.starts_with("10.11."), "{}", opened.facts.version);
    for (sql, expected) in [
        ("SELECT CAST(@@max_statement_time AS CHAR)", "1.500000"),
        ("SELECT CAST(@@innodb_lock_wait_timeout AS CHAR)", "2"),
        ("SELECT CAST(@@idle_transaction_timeout AS CHAR)", "9"),
        ("SELECT CAST(@@tx_read_only AS CHAR)", "ON"),
        ("SELECT @@time_zone", "+00:00"),
        ("SELECT @@character_set_connection", "utf8mb4"),
        ("SELECT @@character_set_results", "utf8mb4"),
        (
            "SELECT @@sql_mode",
            "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION",
        ),
        ("SELECT 'ä\u{1f600}'", "ä\u{1f600}"),
    ] {
        assert_eq!(text(&mut opened.connection, sql).await.as_deref(), Ok(expected), "{sql}");
    }
    same_again(&dialer, database.server_record(), &session, &mut opened).await;
    let cipher = text(&mut opened.connection, "SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'SSL_CIPHER'").await;
    assert!(cipher.unwrap().starts_with("TLS_"));
    let TenantConnection::MySql(connection) = &mut opened.connection else { panic!() };
    // Several statements in one text are not negotiated.
    let stacked = sqlx::raw_sql("SELECT 1; SELECT 2").execute(&mut *connection).await.unwrap_err();
    assert_eq!(stacked.as_database_error().unwrap().code().as_deref(), Some("42000"));
    let denied =
        sqlx::raw_sql("CREATE TABLE t (a int)").execute(&mut *connection).await.unwrap_err();
    assert_eq!(denied.as_database_error().unwrap().code().as_deref(), Some("25006"));
    // A thousand prepared statements later packet numbers and capabilities still agree.
    for n in 0..1000_i64 {
        let back: i64 = sqlx::query_scalar("SELECT CAST(? AS SIGNED)")
            .bind(n)
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        assert_eq!(back, n);
    }
    let long: String =
        sqlx::query_scalar("SELECT REPEAT('x', 3000000)").fetch_one(connection).await.unwrap();
    assert_eq!(long.len(), 3_000_000);
    assert_eq!(opened.identity.database, database.name);
    drop(opened);
    all_closed(&dialer).await;
}

#[tokio::test]
async fn a_cancelled_statement_ends_and_the_connection_lives() {
    let session =
        SessionSettings { statement_timeout: Duration::ZERO, ..SessionSettings::default() };
    for (database, sleep, code) in [
        (Postgres::database().await, "SELECT pg_sleep(60)::text", "57014"),
        (
            MariaDb::database().await,
            "SELECT CAST(COUNT(*) AS CHAR) FROM seq_1_to_1000000000000",
            "70100",
        ),
    ] {
        let sockets = tempfile::tempdir().unwrap();
        let dialer = dialer(sockets.path());
        let mut opened = open(&dialer, database.server_record(), &session).await.unwrap();
        let canceller = opened.canceller.clone();
        // A cancel that arrives before the statement hits nothing, so it is repeated until it does.
        let cancelling = async {
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                canceller.cancel(soon()).await.unwrap();
            }
        };
        let outcome = tokio::select! {
            outcome = text(&mut opened.connection, sleep) => outcome,
            () = cancelling => unreachable!(),
        };
        assert_eq!(outcome, Err(code.to_owned()));
        let mut outcome = text(&mut opened.connection, "SELECT 'alive'").await;
        if outcome.is_err() {
            // The last repetition may still have been on its way.
            outcome = text(&mut opened.connection, "SELECT 'alive'").await;
        }
        assert_eq!(outcome.as_deref(), Ok("alive"));
        drop(opened);
        all_closed(&dialer).await;
        canceller.cancel(soon()).await.unwrap();
    }
}

#[tokio::test]
async fn refusals_of_real_servers_have_their_class() {
    let sockets = tempfile::tempdir().unwrap();
    let dialer = dialer(sockets.path());
    for (database, foreign) in [
        (Postgres::database().await, Postgres::database().await),
        (MariaDb::database().await, MariaDb::database().await),
    ] {
        let class = async |change: &dyn Fn(&mut ServerRecord)| {
            let mut record = database.server_record();
            change(&mut record);
            let fault = open(&dialer, record, &SessionSettings::default()).await.err().unwrap();
            fault.class()
        };
        let wrong = SecretText::new("wrong".to_owned());
        assert_eq!(class(&|r| r.password = wrong.clone()).await, DialClass::Auth);
        assert_eq!(class(&|r| r.user = "nobody".to_owned()).await, DialClass::Auth);
        assert_eq!(class(&|r| r.database.clone_from(&foreign.name)).await, DialClass::Auth);
        if database.engine == Engine::Postgres {
            let absent = class(&|r| r.database = "absent".to_owned()).await;
            assert_eq!(absent, DialClass::NoSuchDatabase);
        }
        assert_eq!(class(&|r| r.tls.ca_pem = None).await, DialClass::Tls);
        assert_eq!(
            class(&|r| r.tls.server_name = Some("other.example".into())).await,
            DialClass::Tls
        );
        assert_eq!(class(&|r| r.host = "10.0.0.1".to_owned()).await, DialClass::Egress);
        let fault = class(&|r| {
            // Each engine's protocol spoken to the other's port ends soon.
            r.engine = if r.engine == Engine::Postgres { Engine::MySql } else { Engine::Postgres };
        });
        let short = tokio::time::timeout(Duration::from_secs(25), fault).await.unwrap();
        assert!(matches!(short, DialClass::Protocol | DialClass::Timeout), "{short:?}");
    }
    all_closed(&dialer).await;
    assert_eq!(std::fs::read_dir(sockets.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn plaintext_on_loopback_and_exceptions_open_without_verification() {
    let sockets = tempfile::tempdir().unwrap();
    let config = DialConfig {
        egress: EgressRules::parse(&["127.0.0.1/32:*"]).unwrap(),
        socket_dir: sockets.path().to_owned(),
        connect_timeout: Duration::from_secs(8),
        ..DialConfig::default()
    };
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(10)));
    let dialer = Dialer::new(config, Arc::<ManualClock>::clone(&clock));
    let exception = |waiver| {
        TlsPolicy::Exception(TlsException {
            waiver,
            expires_at: Timestamp::from_secs(20),
            reason: "test".to_owned(),
        })
    };
    for database in [Postgres::database().await, MariaDb::database().await] {
        let with = |policy: TlsPolicy| {
            let mut record = database.server_record();
            record.tls.policy = policy;
            record.tls.ca_pem = None;
            record
        };
        for (policy, tls) in [
            (TlsPolicy::LoopbackPlaintext, false),
            (exception(TlsWaiver::Plaintext), false),
            (exception(TlsWaiver::Unverified), true),
        ] {
            let opened = open(&dialer, with(policy), &SessionSettings::default()).await.unwrap();
            assert_eq!(opened.facts.tls, tls);
        }
    }
    clock.advance(Duration::from_secs(10));
    let database = Postgres::database().await;
    let mut record = database.server_record();
    record.tls.policy = exception(TlsWaiver::Unverified);
    let fault = open(&dialer, record, &SessionSettings::default()).await.err().unwrap();
    assert_eq!(fault.class(), DialClass::Tls);
}

/// Statements of two round trips, with a change of somebody else's between them.
async fn counted_twice(session: &mut PostgresSession, database: &Database) -> [String; 2] {
    let mut counts = [String::new(), String::new()];
    for (count, last) in counts.iter_mut().zip([false, true]) {
        let each = |_, mut cells: Cells<'_>| {
            *count = String::from_utf8_lossy(cells.next().unwrap().unwrap()).into_owned();
            ControlFlow::Continue(())
        };
        let queries = [Query { sql: "SELECT count(*) FROM seen", parameters: &[] }];
        session.snapshot(&queries, last, each).await.unwrap();
        database.execute("INSERT INTO seen VALUES (1)").await;
    }
    counts
}

#[tokio::test]
async fn a_session_that_only_reads_sees_one_moment_without_a_statement_that_begins_it() {
    let sockets = tempfile::tempdir().unwrap();
    let dialer = dialer(sockets.path());
    let database = Postgres::database().await;
    database.execute("CREATE TABLE seen (n INT)").await;
    for (read_only, want) in [(true, ["0", "0"]), (false, ["2", "3"])] {
        let settings = SessionSettings { read_only, ..SessionSettings::default() };
        let opened = open(&dialer, database.server_record(), &settings).await.unwrap();
        let TenantConnection::Postgres(mut session) = opened.connection else {
            panic!("PostgreSQL")
        };
        assert_eq!(counted_twice(&mut session, &database).await, want, "{read_only}");
        assert!(!session.is_unclean());
        let level = session.rows("SHOW transaction_isolation").await.unwrap();
        let want = if read_only { "repeatable read" } else { "read committed" };
        assert_eq!(level[0][0].as_deref(), Some(want));
        session.close().await.unwrap();
    }
    all_closed(&dialer).await;
}
