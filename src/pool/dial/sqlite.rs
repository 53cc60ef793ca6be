//! SQLite: a file strictly inside the configured folder.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor, Row, SqliteConnection};

use super::cancel::Limit;
use super::{
    Canceller, DialClass, DialFault, Inner, Opened, ServerFacts, ServerFlavour, SessionSettings,
    Steps, TenantConnection, guarded,
};
use crate::base::{Deadline, Engine, ServerIdentity, SqliteRecord};

/// Prepared statements a connection keeps.
const STATEMENTS: usize = 32;
/// Virtual-machine steps between two looks at the limit: some tens of microseconds.
const STEPS_PER_LOOK: i32 = 1000;

/// The version, the application's mark and what else is attached.
const IDENTITY: &str = "SELECT sqlite_version(), \
     (SELECT CAST(application_id AS TEXT) FROM pragma_application_id), \
     (SELECT CAST(count(*) AS TEXT) FROM pragma_database_list WHERE name NOT IN ('main', 'temp'))";

fn refuse(why: &'static str) -> DialFault {
    DialFault::new(DialClass::File, why)
}

/// A file that passed every check, and which file it was.
struct Found {
    path: PathBuf,
    device: u64,
    inode: u64,
}

/// Opens the file.
///
/// The driver offers no way to limit ATTACH without unsafe code. No SQL of a tenant's reaches a connection
/// and `trusted_schema` is off, so only the gateway's own SQL could attach anything; a read-only
/// connection could still only read what it attached.
pub(super) async fn open(
    inner: &Inner,
    record: &SqliteRecord,
    session: &SessionSettings,
    deadline: Deadline,
    mut steps: Steps,
) -> Result<Opened, DialFault> {
    let found = look(inner, record).await?;
    let busy = session.lock_timeout.min(deadline.remaining());
    let options = SqliteConnectOptions::new()
        .filename(&found.path)
        .read_only(session.read_only)
        .create_if_missing(false)
        .busy_timeout(busy)
        .foreign_keys(!session.read_only)
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON")
        .pragma("temp_store", "MEMORY")
        .pragma("query_only", if session.read_only { "ON" } else { "OFF" })
        .statement_cache_capacity(STATEMENTS)
        .disable_statement_logging();
    let mut connection = options.connect().await.map_err(|error| open_fault(&error))?;
    // The driver opens by name. Had the file been exchanged between the check and the opening, it
    // shows now.
    let again = look(inner, record).await?;
    if (again.device, again.inode) != (found.device, found.inode) {
        return Err(refuse("the file was exchanged while it was opened"));
    }
    steps.done("file");

    let limit = Limit::default();
    let canceller = Canceller::sqlite(limit.clone());
    canceller.begin(deadline);
    connection
        .lock_handle()
        .await
        .map_err(|_| DialFault::internal("the SQLite worker ended"))?
        .set_progress_handler(STEPS_PER_LOOK, move || !limit.reached());
    let (version, application) = guarded(identify(&mut connection)).await?;
    canceller.end();
    steps.done("session");
    let identity = identity_of(&found, application);
    let facts = ServerFacts {
        version,
        flavour: ServerFlavour::Sqlite,
        encoding: None,
        tls: false,
        standby: false,
        steps: steps.finish(),
    };
    Ok(Opened { connection: TenantConnection::Sqlite(connection), canceller, identity, facts })
}

fn identity_of(found: &Found, application: String) -> ServerIdentity {
    let system = format!("{}:{}", found.device, found.inode);
    ServerIdentity { engine: Engine::Sqlite, system, database: application }
}

/// Which file is at the record's path now, and what the open one says of itself.
pub(super) async fn identify_file(
    inner: &Inner,
    record: &SqliteRecord,
    connection: &mut SqliteConnection,
) -> Result<ServerIdentity, DialFault> {
    let found = look(inner, record).await?;
    let (_version, application) = guarded(identify(connection)).await?;
    Ok(identity_of(&found, application))
}

async fn identify(connection: &mut SqliteConnection) -> Result<(String, String), DialFault> {
    let row =
        connection.fetch_one(sqlx::query(IDENTITY)).await.map_err(|error| open_fault(&error))?;
    let text = |at: usize| {
        let cell: Result<String, _> = row.try_get(at);
        cell.map_err(|_| DialFault::internal("SQLite answered in an unexpected form"))
    };
    if text(2)? != "0" {
        return Err(DialFault::internal("another database is attached"));
    }
    Ok((text(0)?, text(1)?))
}

/// The file's checks, on a thread where a slow disk hurts nobody.
async fn look(inner: &Inner, record: &SqliteRecord) -> Result<Found, DialFault> {
    let dir = inner.config.sqlite_dir.clone().ok_or_else(|| refuse("no folder is configured"))?;
    let denied = inner.config.sqlite_denied.clone();
    let file = record.file.clone();
    tokio::task::spawn_blocking(move || find(&dir, &file, &denied))
        .await
        .map_err(|_| DialFault::internal("the file check ended early"))?
}

/// Finds `file` below `dir`: every step down a plain folder, the end a plain file, nowhere a symbolic
/// link, and not one of the `denied` (device, inode).
fn find(dir: &Path, file: &str, denied: &[(u64, u64)]) -> Result<Found, DialFault> {
    let dir = fs::canonicalize(dir).map_err(|_| refuse("the configured folder is absent"))?;
    let relative = Path::new(file);
    let plain = !file.is_empty()
        && file.len() <= 255
        && !file.contains(['\0', '\\'])
        && !file.ends_with('/')
        && !file.contains("//")
        && !file.split('/').any(|part| part == ".")
        && relative.components().all(|part| matches!(part, Component::Normal(_)));
    if !plain {
        return Err(refuse("the file name is not a plain relative path"));
    }
    let mut path = dir;
    let mut parts = relative.components().peekable();
    while let Some(part) = parts.next() {
        path.push(part);
        let metadata = fs::symlink_metadata(&path).map_err(|_| refuse("there is no such file"))?;
        if parts.peek().is_some() {
            if !metadata.is_dir() {
                return Err(refuse("the file does not lie in plain folders"));
            }
            continue;
        }
        if !metadata.is_file() {
            return Err(refuse("the file is not a plain file"));
        }
        let (device, inode) = (metadata.dev(), metadata.ino());
        if denied.contains(&(device, inode)) {
            return Err(refuse("the file is one of the gateway's own"));
        }
        return Ok(Found { path, device, inode });
    }
    Err(refuse("the file name is not a plain relative path"))
}

fn open_fault(error: &sqlx::Error) -> DialFault {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    match code.filter(|c| c.len() <= 6 && c.bytes().all(|b| b.is_ascii_digit())) {
        Some(code) => DialFault::with_code(
            DialClass::File,
            "SQLite could not open the file",
            code.into_owned(),
        ),
        None => DialFault::internal("SQLite could not open the file"),
    }
}

#[cfg(test)]
#[path = "sqlite_tests.rs"]
mod tests;
