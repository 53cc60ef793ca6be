//! The schema of provisioned databases: which migrations there are, which a database has, applying one.
//!
//! A migration's number is its release and two digits; a release is whole when all its migrations are
//! applied. Releases only add, so that programs and mappings of the release before go on working.

use std::fmt::Write as _;

use sqlx::migrate::{Migration as Hashed, MigrationType};

use super::{Admin, AdminFault};
use crate::base::Engine;
use crate::pool::dial::TenantConnection;

/// One migration of one engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// Its number.
    pub version: u64,
    /// Its number and name, as in `0102_care`.
    pub name: &'static str,
    /// Its text: one statement on MySQL, where no transaction covers several.
    pub sql: &'static str,
}

/// The migrations of an engine.
#[derive(Debug, Clone, Copy)]
pub struct Schema(&'static [Migration]);

macro_rules! migrations {
    ($engine:literal: $($name:literal),+ $(,)?) => {
        &[$(Migration {
            version: number($name),
            name: $name,
            sql: include_str!(concat!("../../../tenant-migrations/", $engine, "/", $name, ".sql")),
        }),+]
    };
}

/// The four digits a name begins with.
const fn number(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let (mut at, mut number) = (0, 0);
    while at < 4 {
        number = number * 10 + (bytes[at] - b'0') as u64;
        at += 1;
    }
    number
}

const POSTGRES: &[Migration] = migrations!("postgres":
    "0101_clinical",
    "0102_care",
    "0201_reference_ranges",
    "0202_observations_by_category",
);
const MYSQL: &[Migration] = migrations!("mysql":
    "0101_identity",
    "0102_practitioners",
    "0103_patients",
    "0104_patient_identifiers",
    "0105_patient_contacts",
    "0106_encounters",
    "0107_observations",
    "0108_organisations",
    "0109_conditions",
    "0110_allergies",
    "0111_medications",
    "0112_procedures",
    "0113_appointments",
    "0114_documents",
    "0115_reference_codes",
    "0201_reference_ranges",
    "0202_observations_by_category",
);
const SQLITE: &[Migration] = migrations!("sqlite":
    "0101_clinical",
    "0102_care",
    "0201_reference_ranges",
    "0202_observations_by_category",
);

/// A migration as a database's own ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its number and name.
    pub name: String,
    /// Whether it was begun and never ended.
    pub unfinished: bool,
}

/// How a database's schema compares with the migrations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Applied and as this program knows them, in their order.
    pub applied: Vec<&'static str>,
    /// To be applied, in their order.
    pub pending: Vec<Migration>,
    /// Begun, never ended: MySQL only.
    pub unfinished: Option<String>,
    /// Applied, and unknown to this program.
    pub unknown: Vec<String>,
    /// Applied with another text than this program's.
    pub altered: Vec<String>,
}

impl Schema {
    /// Of that engine.
    pub const fn of(engine: Engine) -> Self {
        Self(match engine {
            Engine::Postgres => POSTGRES,
            Engine::MySql => MYSQL,
            Engine::Sqlite => SQLITE,
        })
    }

    /// All of them, in their order.
    pub const fn all(self) -> &'static [Migration] {
        self.0
    }

    /// The newest release.
    pub fn release(self) -> u64 {
        self.0.last().map_or(0, Migration::release)
    }
}

impl Migration {
    /// The release it is a part of.
    pub const fn release(&self) -> u64 {
        self.version / 100
    }

    /// Of the text as `tenant-migrations/CHECKSUMS` has it. A name that MySQL reserves and MariaDB does not got its
    /// quotation marks later, and they say nothing.
    fn checksum(&self) -> String {
        let (version, name) = (i64::try_from(self.version).unwrap_or(0), self.name.into());
        let text = self.sql.replace("`system`", "system").into();
        let hashed = Hashed::new(version, name, MigrationType::Simple, text, false);
        let mut text = String::with_capacity(64);
        for byte in hashed.checksum.iter().take(32) {
            let _infallible = write!(text, "{byte:02x}");
        }
        text
    }

    /// What to ask a MySQL database to learn whether the migration's one statement was carried out.
    fn trace(&self) -> Option<String> {
        let code: String =
            self.sql.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join(" ");
        let words: Vec<&str> = code.split_whitespace().collect();
        let own = "table_schema = DATABASE()";
        Some(match words.as_slice() {
            ["CREATE", "TABLE", table, ..] => format!(
                "SELECT count(*) FROM information_schema.tables WHERE {own} AND table_name = '{table}'"
            ),
            ["CREATE", "INDEX", index, "ON", table, ..] => format!(
                "SELECT count(DISTINCT index_name) FROM information_schema.statistics \
                 WHERE {own} AND table_name = '{table}' AND index_name = '{index}'"
            ),
            ["ALTER", "TABLE", table, "ADD", "COLUMN", column, ..] => format!(
                "SELECT count(*) FROM information_schema.columns \
                 WHERE {own} AND table_name = '{table}' AND column_name = '{column}'"
            ),
            _ => return None,
        })
    }
}

impl Standing {
    /// The newest release that is whole.
    pub fn release(&self, schema: Schema) -> u64 {
        match self.pending.first() {
            None => schema.release(),
            Some(first) => {
                let whole = schema.all().iter().filter(|m| m.release() < first.release());
                whole.map(Migration::release).max().unwrap_or(0)
            }
        }
    }

    /// The newest migration applied.
    pub fn newest(&self) -> &'static str {
        self.applied.last().copied().unwrap_or("none")
    }

    /// Refuses what no migration can mend.
    pub fn require_known(&self) -> Result<(), AdminFault> {
        if !self.unknown.is_empty() {
            return Err(AdminFault::unsound("the database was migrated by a newer program"));
        }
        if let Some(name) = self.altered.first() {
            return Err(AdminFault::unsound(format!(
                "{name} was applied with another text than this program's"
            )));
        }
        Ok(())
    }
}

const LEDGER: &str = "CREATE TABLE IF NOT EXISTS wardgate_migrations (version int NOT NULL PRIMARY KEY, \
     name varchar(100) NOT NULL, checksum varchar(64) NOT NULL, state varchar(10) NOT NULL, \
     operation varchar(36) NOT NULL)";

impl Admin {
    /// How far the schema of the database behind this connection is. Changes nothing.
    pub async fn standing(&mut self) -> Result<Standing, AdminFault> {
        let schema = Schema::of(self.opened().identity.engine);
        let mut standing = Standing::default();
        let mut known = self.ledger().await?;
        for migration in schema.all() {
            let found = known.iter().position(|row| row.0 == migration.name);
            match found.map(|at| known.remove(at)) {
                None => standing.pending.push(*migration),
                Some((name, checksum, state)) => {
                    if checksum != migration.checksum() {
                        standing.altered.push(name);
                    } else if state == "applied" {
                        standing.applied.push(migration.name);
                    } else {
                        standing.unfinished = Some(name);
                        standing.pending.push(*migration);
                    }
                }
            }
        }
        standing.unknown = known.into_iter().map(|row| row.0).collect();
        Ok(standing)
    }

    /// `(name, checksum, state)`
    async fn ledger(&mut self) -> Result<Vec<(String, String, String)>, AdminFault> {
        let there = match self.opened().identity.engine {
            Engine::Postgres => {
                "SELECT count(*) FROM pg_class WHERE oid OPERATOR(pg_catalog.=) to_regclass('wardgate_migrations')"
            }
            Engine::MySql => {
                "SELECT count(*) FROM information_schema.tables \
                 WHERE table_schema = DATABASE() AND table_name = 'wardgate_migrations'"
            }
            Engine::Sqlite => {
                "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'wardgate_migrations'"
            }
        };
        if self.count(there).await? == 0 {
            return Ok(Vec::new());
        }
        let rows = self
            .rows("SELECT name, checksum, state FROM wardgate_migrations ORDER BY version")
            .await?;
        let text = |cell: Option<&Option<String>>| cell.cloned().flatten().unwrap_or_default();
        Ok(rows.iter().map(|r| (text(r.first()), text(r.get(1)), text(r.get(2)))).collect())
    }

    /// Takes the database's own lock for this connection's life, and makes the ledger. The connection is
    /// to be closed after the run, whatever came of it: a lock of a session that is kept stays for ever.
    pub async fn begin_migrating(&mut self) -> Result<(), AdminFault> {
        if let TenantConnection::Postgres(session) = &self.opened().connection
            && session.is_pooled()
        {
            return Err(AdminFault::Pooled);
        }
        match self.opened().identity.engine {
            Engine::Postgres => {
                // Waiting for somebody's lock holds up everybody who comes after, readers too.
                self.command("SET lock_timeout = '2s'").await?;
                let sql = "SELECT CASE WHEN pg_try_advisory_lock(6292771741193) THEN 1 ELSE 0 END";
                if self.count(sql).await? != 1 {
                    return Err(AdminFault::Held);
                }
            }
            Engine::MySql => {
                self.command("SET SESSION lock_wait_timeout = 2").await?;
                let sql = "SELECT GET_LOCK(CONCAT('wardgate ', DATABASE()), 0)";
                if self.cell(sql).await?.as_deref() != Some("1") {
                    return Err(AdminFault::Held);
                }
            }
            // One writer at a time; every migration takes the file for itself.
            Engine::Sqlite => {}
        }
        self.command(LEDGER).await
    }

    /// Applies one migration: once, however often it is begun. `operation` is noted beside it.
    pub async fn apply(
        &mut self,
        migration: &Migration,
        operation: &str,
    ) -> Result<(), AdminFault> {
        debug_assert!(operation.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        let row = |state: &str| {
            let (version, name, checksum) =
                (migration.version, migration.name, migration.checksum());
            format!(
                "INSERT INTO wardgate_migrations (version, name, checksum, state, operation) \
                 VALUES ({version}, '{name}', '{checksum}', '{state}', '{operation}')"
            )
        };
        let begin = match self.opened().identity.engine {
            Engine::MySql => {
                return self.apply_without_transaction(migration, &row("applying")).await;
            }
            Engine::Postgres => "BEGIN",
            Engine::Sqlite => "BEGIN EXCLUSIVE",
        };
        self.command(begin).await?;
        let done = async {
            // Whether another run was faster is asked under the lock.
            let there = format!(
                "SELECT count(*) FROM wardgate_migrations WHERE version = {}",
                migration.version
            );
            if self.count(&there).await? > 0 {
                return self.command("ROLLBACK").await;
            }
            self.command(migration.sql).await?;
            self.command(&row("applied")).await?;
            self.command("COMMIT").await
        }
        .await;
        if done.is_err() {
            let _closed_soon = self.command("ROLLBACK").await;
        }
        done
    }

    /// MySQL commits at every statement that changes a schema. So it is written down before that one is
    /// begun; who finds it begun and not ended asks the database whether the statement was carried out,
    /// which is whole or not at all.
    async fn apply_without_transaction(
        &mut self,
        migration: &Migration,
        begun: &str,
    ) -> Result<(), AdminFault> {
        let trace = migration.trace();
        let version = migration.version;
        let state = format!("SELECT state FROM wardgate_migrations WHERE version = {version}");
        let before = self.cell(&state).await?;
        let there = match &trace {
            Some(trace) => self.count(trace).await? > 0,
            None => false,
        };
        match (before.as_deref(), there) {
            (Some("applied"), _) => return Ok(()),
            (Some(_), true) => {}
            (None, true) => {
                return Err(AdminFault::unsound(format!(
                    "what {} makes is there already and was not made by a migration",
                    migration.name
                )));
            }
            (before, false) => {
                if before.is_none() {
                    self.command(begun).await?;
                }
                if let Err(fault) = self.command(migration.sql).await {
                    // Refused means not carried out; anything else is found out by the next run.
                    if matches!(fault, AdminFault::Refused { .. }) {
                        let undo =
                            format!("DELETE FROM wardgate_migrations WHERE version = {version}");
                        self.command(&undo).await?;
                    }
                    return Err(fault);
                }
            }
        }
        let sql =
            format!("UPDATE wardgate_migrations SET state = 'applied' WHERE version = {version}");
        self.command(&sql).await
    }
}

#[cfg(test)]
#[path = "migrate_tests.rs"]
mod tests;
