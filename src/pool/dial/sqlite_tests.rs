use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::base::{ConnectionRecord, SystemClock};
use crate::pool::dial::{DialConfig, Dialer};

struct Folder {
    _root: tempfile::TempDir,
    dir: PathBuf,
}

/// `dir` with `ok.db` and `sub/deep.db`; `outside.db` beside it.
async fn folder() -> Folder {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("tenants");
    fs::create_dir_all(dir.join("sub")).unwrap();
    for file in ["tenants/ok.db", "tenants/sub/deep.db", "outside.db"] {
        let options =
            SqliteConnectOptions::new().filename(root.path().join(file)).create_if_missing(true);
        let mut connection = options.connect().await.unwrap();
        sqlx::raw_sql("CREATE TABLE t(a); INSERT INTO t VALUES (1); PRAGMA application_id = 77")
            .execute(&mut connection)
            .await
            .unwrap();
    }
    Folder { _root: root, dir }
}

fn dialer(dir: &Path, denied: Vec<(u64, u64)>) -> Dialer {
    let config = DialConfig {
        sqlite_dir: Some(dir.to_owned()),
        sqlite_denied: denied,
        ..DialConfig::default()
    };
    Dialer::new(config, Arc::new(SystemClock))
}

async fn open_file(
    dialer: &Dialer,
    file: &str,
    session: &SessionSettings,
) -> Result<Opened, DialFault> {
    let record = ConnectionRecord::Sqlite(SqliteRecord { file: file.to_owned() });
    dialer.open(&record, session, Deadline::after(Duration::from_secs(20))).await
}

fn connection(opened: &mut Opened) -> &mut SqliteConnection {
    let TenantConnection::Sqlite(connection) = &mut opened.connection else { panic!() };
    connection
}

#[tokio::test]
async fn a_file_in_the_folder_opens_read_only() {
    let folder = folder().await;
    let dialer = dialer(&folder.dir, Vec::new());
    let mut opened = open_file(&dialer, "sub/deep.db", &SessionSettings::default()).await.unwrap();
    assert_eq!(opened.identity.database, "77");
    assert_eq!(opened.facts.flavour, ServerFlavour::Sqlite);
    let connection = connection(&mut opened);
    let (trusted, query_only): (i64, i64) = sqlx::query_as(
        "SELECT trusted_schema, query_only FROM pragma_trusted_schema, pragma_query_only",
    )
    .fetch_one(&mut *connection)
    .await
    .unwrap();
    assert_eq!((trusted, query_only), (0, 1));
    assert!(sqlx::query("INSERT INTO t VALUES (2)").execute(&mut *connection).await.is_err());
    sqlx::query("PRAGMA query_only = OFF").execute(&mut *connection).await.unwrap();
    assert!(sqlx::query("INSERT INTO t VALUES (2)").execute(connection).await.is_err());
}

#[tokio::test]
async fn a_writer_writes_and_keeps_foreign_keys() {
    let folder = folder().await;
    let dialer = dialer(&folder.dir, Vec::new());
    let session = SessionSettings { read_only: false, ..SessionSettings::default() };
    let mut opened = open_file(&dialer, "ok.db", &session).await.unwrap();
    let connection = connection(&mut opened);
    sqlx::query("INSERT INTO t VALUES (2)").execute(&mut *connection).await.unwrap();
    let on: i64 = sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(connection).await.unwrap();
    assert_eq!(on, 1);
}

#[tokio::test]
async fn nothing_but_a_plain_file_inside_the_folder_opens() {
    let folder = folder().await;
    let at = |name: &str| folder.dir.join(name);
    symlink(folder.dir.join("../outside.db"), at("link.db")).unwrap();
    symlink(at("ok.db"), at("inner-link.db")).unwrap();
    symlink(folder.dir.join(".."), at("up")).unwrap();
    fs::write(at("not-a-database.db"), "plain text, and long enough to have a header".repeat(99))
        .unwrap();
    let dialer = dialer(&folder.dir, Vec::new());
    for file in [
        "",
        ".",
        "..",
        "/",
        "sub",
        "absent.db",
        "../outside.db",
        "sub/../ok.db",
        "./ok.db",
        "sub/./deep.db",
        "sub//deep.db",
        "ok.db/",
        "/etc/passwd",
        "link.db",
        "inner-link.db",
        "up/outside.db",
        "ok.db/x",
        "ok.db\0x",
        "a\\b.db",
        ":memory:",
        "file:ok.db",
        "file:ok.db?mode=rwc",
        "not-a-database.db",
    ] {
        match open_file(&dialer, file, &SessionSettings::default()).await {
            Ok(_) => panic!("{file:?} opened"),
            Err(fault) => assert_eq!(fault.class(), DialClass::File, "{file:?}"),
        }
    }
    assert!(!at("absent.db").exists());
    let absolute = folder.dir.join("ok.db");
    assert!(
        open_file(&dialer, absolute.to_str().unwrap(), &SessionSettings::default()).await.is_err()
    );
}

#[tokio::test]
async fn the_gateways_own_files_and_a_missing_folder_are_refused() {
    let folder = folder().await;
    let own = fs::metadata(folder.dir.join("ok.db")).unwrap();
    fs::hard_link(folder.dir.join("ok.db"), folder.dir.join("same.db")).unwrap();
    let dialer = dialer(&folder.dir, vec![(own.dev(), own.ino())]);
    for file in ["ok.db", "same.db"] {
        let fault = open_file(&dialer, file, &SessionSettings::default()).await.err().unwrap();
        assert_eq!(fault.class(), DialClass::File);
    }
    let without = Dialer::new(DialConfig::default(), Arc::new(SystemClock));
    let fault = open_file(&without, "ok.db", &SessionSettings::default()).await.err().unwrap();
    assert_eq!(fault.class(), DialClass::File);
}

const ENDLESS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";

#[tokio::test]
async fn a_statement_ends_at_its_limit_or_when_cancelled() {
    let folder = folder().await;
    let dialer = dialer(&folder.dir, Vec::new());
    let mut opened = open_file(&dialer, "ok.db", &SessionSettings::default()).await.unwrap();
    let canceller = opened.canceller.clone();
    let connection = connection(&mut opened);

    canceller.begin(Deadline::after(Duration::from_millis(50)));
    let ended = sqlx::query(ENDLESS).fetch_one(&mut *connection).await.err().unwrap();
    assert_eq!(
        ended.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref(),
        Some("9")
    );

    let far = Deadline::after(Duration::from_mins(1));
    canceller.begin(far);
    let stop = canceller.cancel(far);
    let (ended, stopped) = tokio::join!(sqlx::query(ENDLESS).fetch_one(&mut *connection), stop);
    assert!(ended.is_err() && stopped.is_ok());

    canceller.begin(far);
    let one: i64 = sqlx::query_scalar("SELECT 1").fetch_one(connection).await.unwrap();
    assert_eq!(one, 1);
}
