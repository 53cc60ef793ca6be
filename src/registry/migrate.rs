use std::collections::BTreeMap;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use sqlx::migrate::{Migration, MigrationType};
use tokio::time::timeout;

use super::db::{Conn, Target};
use super::fault::{RegistryFault, classify};
use super::value::{Row, Value, binds};
use crate::base::{Clock, Timestamp};

/// One embedded migration: its number, its name and its text.
pub(super) type Embedded = (i64, &'static str, &'static str);

macro_rules! embedded {
    ($folder:literal, $($version:literal $name:literal),+ $(,)?) => {
        &[$((
            $version,
            $name,
            include_str!(concat!("../../registry-migrations/", $folder, "/", $name, ".sql")),
        )),+]
    };
}

/// The migrations of one schema, for both engines.
#[derive(Clone, Copy)]
pub(super) struct Schema {
    pub(super) sqlite: &'static [Embedded],
    pub(super) postgres: &'static [Embedded],
    /// The advisory lock of a run on PostgreSQL.
    pub(super) lock: i64,
    /// The table in which a run records what it did.
    pub(super) ledger: Ledger,
}

/// The SQL about the table of applied migrations, apart for the two schemas so that both may live in
/// one PostgreSQL database.
#[derive(Clone, Copy)]
pub(super) struct Ledger {
    exists_sqlite: &'static str,
    exists_postgres: &'static str,
    create_sqlite: &'static str,
    create_postgres: &'static str,
    read: &'static str,
    write: &'static str,
}

macro_rules! ledger {
    ($table:literal) => {
        Ledger {
            exists_sqlite: concat!(
                "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '",
                $table,
                "'"
            ),
            exists_postgres: concat!(
                "SELECT count(*) FROM pg_class WHERE oid = to_regclass('",
                $table,
                "')"
            ),
            create_sqlite: concat!(
                "CREATE TABLE IF NOT EXISTS ",
                $table,
                " (version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum BLOB NOT NULL, ",
                "applied_at INTEGER NOT NULL) STRICT"
            ),
            create_postgres: concat!(
                "CREATE TABLE IF NOT EXISTS ",
                $table,
                " (version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum BYTEA NOT NULL, ",
                "applied_at BIGINT NOT NULL)"
            ),
            read: concat!("SELECT version, name, checksum FROM ", $table, " ORDER BY version"),
            write: concat!(
                "INSERT INTO ",
                $table,
                " (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)"
            ),
        }
    };
}

pub(super) const REGISTRY: Schema = Schema {
    sqlite: embedded!(
        "sqlite",
        1 "0001_tenants",
        2 "0002_operators",
        3 "0003_hospital_actors",
        4 "0004_operations",
        5 "0005_schema_checks",
        6 "0006_usage",
        7 "0007_flags_and_approvals",
        8 "0008_steps_broken_off",
        9 "0009_cancelled_exports",
    ),
    postgres: embedded!(
        "postgres",
        1 "0001_tenants",
        2 "0002_operators",
        3 "0003_hospital_actors",
        4 "0004_operations",
        5 "0005_schema_checks",
        6 "0006_usage",
        7 "0007_flags_and_approvals",
        8 "0008_steps_broken_off",
        9 "0009_cancelled_exports",
    ),
    lock: 0x5741_5244_0001,
    ledger: ledger!("wardgate_registry_migrations"),
};

pub(super) const KEYS: Schema = Schema {
    sqlite: embedded!("keys-sqlite", 1 "0001_data_keys"),
    postgres: embedded!("keys-postgres", 1 "0001_data_keys"),
    lock: 0x5741_5244_0002,
    ledger: ledger!("wardgate_keys_migrations"),
};

/// How a database's schema compares with this program's. Migrations are named `0001_tenants`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MigrationStatus {
    /// Applied and as this program knows them.
    pub applied: Vec<String>,
    /// Known to this program and not applied.
    pub pending: Vec<String>,
    /// Applied and not known: the database was migrated by a newer program.
    pub unknown: Vec<String>,
    /// Applied with another text than this program's.
    pub altered: Vec<String>,
}

impl MigrationStatus {
    /// Whether serving may start.
    pub fn is_current(&self) -> bool {
        self.pending.is_empty() && self.unknown.is_empty() && self.altered.is_empty()
    }

    /// Refuses anything but a current schema, with what to do about it.
    pub fn require_current(&self) -> Result<(), RegistryFault> {
        self.require_known()?;
        if self.pending.is_empty() {
            return Ok(());
        }
        Err(RegistryFault::Schema(format!(
            "migrations are pending ({}); run `wardgate registry migrate`",
            self.pending.join(", ")
        )))
    }

    fn require_known(&self) -> Result<(), RegistryFault> {
        if !self.unknown.is_empty() {
            return Err(RegistryFault::Schema(format!(
                "the schema is newer than this program ({}); install the version that ran \
                 `wardgate registry migrate`",
                self.unknown.join(", ")
            )));
        }
        if !self.altered.is_empty() {
            return Err(RegistryFault::Schema(format!(
                "applied migrations differ from this program's ({}); restore the database or the \
                 program, `wardgate registry migrate` cannot help",
                self.altered.join(", ")
            )));
        }
        Ok(())
    }
}

/// A run may wait for another one, and a migration may take its time.
const RUN: Duration = Duration::from_mins(2);
const LOOK: Duration = Duration::from_secs(5);

impl Schema {
    /// Compares; changes and creates nothing.
    pub(super) async fn status(&self, target: &Target) -> Result<MigrationStatus, RegistryFault> {
        if let Target::Sqlite(options) = target
            && !exists(options.get_filename()).await?
        {
            return Ok(self.compare(target, &[]));
        }
        bounded(LOOK, async {
            let mut conn = target.connect().await.map_err(|error| classify(&error))?;
            let applied = self.applied(&mut conn).await;
            let _ = conn.close().await;
            Ok(self.compare(target, &applied?))
        })
        .await
    }

    /// Applies what is pending: everything or nothing, in one transaction, under a lock that ends with
    /// the transaction, on a connection that is closed whatever happens. Any number of processes may
    /// run it at once; the later ones find nothing to do.
    pub(super) async fn migrate(
        &self,
        target: &Target,
        clock: &dyn Clock,
    ) -> Result<MigrationStatus, RegistryFault> {
        let target = patient(target);
        if let Target::Sqlite(options) = &target {
            create_private(options.get_filename())?;
        }
        bounded(RUN, async {
            let mut conn = connect_patiently(&target).await?;
            let done = self.run(&target, &mut conn, clock.now()).await;
            let _ = conn.close().await;
            done
        })
        .await
    }

    async fn run(
        &self,
        target: &Target,
        conn: &mut Conn,
        now: Timestamp,
    ) -> Result<MigrationStatus, RegistryFault> {
        let fail = |error: sqlx::Error| classify(&error);
        if conn.is_postgres() {
            conn.run("BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '100s'")
                .await
                .map_err(fail)?;
            conn.fetch("SELECT 1::bigint FROM pg_advisory_xact_lock($1)", binds![self.lock])
                .await
                .map_err(fail)?;
            require_version(conn).await?;
            conn.run(self.ledger.create_postgres).await.map_err(fail)?;
        } else {
            conn.run("BEGIN EXCLUSIVE").await.map_err(fail)?;
            conn.run(self.ledger.create_sqlite).await.map_err(fail)?;
        }
        let status = self.compare(target, &self.applied(conn).await?);
        status.require_known()?;
        for (migration, &(_, name, sql)) in self.known(target).iter().zip(self.list(target)) {
            if !status.pending.iter().any(|pending| pending == name) {
                continue;
            }
            conn.run(sql).await.map_err(fail)?;
            let values: &[Value<'_>] =
                binds![migration.version, name, migration.checksum.as_ref(), now];
            conn.execute(self.ledger.write, values).await.map_err(fail)?;
        }
        let status = self.compare(target, &self.applied(conn).await?);
        conn.run("COMMIT").await.map_err(fail)?;
        Ok(status)
    }

    const fn list(&self, target: &Target) -> &'static [Embedded] {
        match target {
            Target::Sqlite(_) => self.sqlite,
            Target::Postgres(_) => self.postgres,
        }
    }

    fn known(&self, target: &Target) -> Vec<Migration> {
        let migration = |&(version, name, sql): &Embedded| {
            Migration::new(version, name.into(), MigrationType::Simple, sql.into(), false)
        };
        self.list(target).iter().map(migration).collect()
    }

    async fn applied(&self, conn: &mut Conn) -> Result<Vec<Applied>, RegistryFault> {
        let exists = if conn.is_postgres() {
            self.ledger.exists_postgres
        } else {
            self.ledger.exists_sqlite
        };
        let there = conn.fetch(exists, &[]).await.map_err(|error| classify(&error))?;
        if !matches!(there.first().map(|row| row.int(0)), Some(Ok(1))) {
            return Ok(Vec::new());
        }
        let rows = conn.fetch(self.ledger.read, &[]).await.map_err(|error| classify(&error))?;
        rows.iter().map(Applied::read).collect()
    }

    fn compare(&self, target: &Target, applied: &[Applied]) -> MigrationStatus {
        let mut status = MigrationStatus::default();
        let mut rest: BTreeMap<i64, &Applied> = applied.iter().map(|a| (a.version, a)).collect();
        for known in self.known(target) {
            let name = known.description.into_owned();
            match rest.remove(&known.version) {
                None => status.pending.push(name),
                Some(a) if a.checksum == *known.checksum => status.applied.push(name),
                Some(_) => status.altered.push(name),
            }
        }
        status.unknown = rest.into_values().map(|a| a.name.clone()).collect();
        status
    }
}

/// The oldest PostgreSQL that holds the registry or the keys; a hospital's own may be older.
const OLDEST: i64 = 12;

async fn require_version(conn: &mut Conn) -> Result<(), RegistryFault> {
    let sql = "SELECT current_setting('server_version_num')::bigint / 10000";
    let rows = conn.fetch(sql, &[]).await.map_err(|error| classify(&error))?;
    match rows.first().map(|row| row.int(0)).transpose()? {
        Some(major) if major < OLDEST => Err(RegistryFault::Schema(format!(
            "the server is PostgreSQL {major}; the registry and the keys need {OLDEST} or later \
             (hospitals' own databases may be older)"
        ))),
        _ => Ok(()),
    }
}

struct Applied {
    version: i64,
    name: String,
    checksum: Vec<u8>,
}

impl Applied {
    fn read(row: &Row) -> Result<Self, RegistryFault> {
        Ok(Self { version: row.int(0)?, name: row.text(1)?, checksum: row.bytes(2)? })
    }
}

async fn exists(path: &Path) -> Result<bool, RegistryFault> {
    tokio::fs::try_exists(path)
        .await
        .map_err(|_| RegistryFault::Unavailable("the file cannot be looked at"))
}

/// Makes the file, readable by its owner only, before the driver would make it with wider rights. The
/// log and index files beside it inherit its mode.
fn create_private(path: &Path) -> Result<(), RegistryFault> {
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(_) => Err(RegistryFault::Setting("the SQLite file cannot be made at that path")),
    }
}

/// Options that wait for another run instead of giving up.
fn patient(target: &Target) -> Target {
    match target {
        Target::Sqlite(options) => {
            Target::Sqlite(Box::new(options.as_ref().clone().busy_timeout(RUN)))
        }
        Target::Postgres(options) => Target::Postgres(options.clone()),
    }
}

/// Turning on the write-ahead log of a new SQLite file does not wait for a lock that another process
/// holds for the same reason; it fails at once, so it is tried again.
async fn connect_patiently(target: &Target) -> Result<Conn, RegistryFault> {
    loop {
        match target.connect().await.map_err(|error| classify(&error)) {
            Err(RegistryFault::Unavailable("busy")) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            done => return done,
        }
    }
}

async fn bounded<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, RegistryFault>>,
) -> Result<T, RegistryFault> {
    timeout(limit, work).await.unwrap_or(Err(RegistryFault::Unavailable("no answer in time")))
}
