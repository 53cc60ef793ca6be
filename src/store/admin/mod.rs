//! What is done to databases as a whole: making them, their roles and their schemas, proving who sees
//! what, taking them away. Never a patient's row.
//!
//! All SQL here consists of constants and of names and hashes the gateway made itself, whose letters are
//! checked ([`Names`]).

mod isolation;
mod migrate;
mod mysql;
mod names;
mod postgres;
mod preflight;
mod reference;
mod sqlite;

use std::time::Duration;

use sqlx::{Connection as _, Executor as _, Row as _};
use tokio::time::timeout;

pub use isolation::{Sees, readable_tables, seen_by_others, seen_by_role};
pub use migrate::{Applied, Migration, Schema, Standing};
pub use names::Names;
pub use preflight::{Finding, WritesBack, preflight};
pub use reference::load_reference;

use super::Flavour;
use crate::base::{Deadline, SecretText, TenantId};
use crate::pool::dial::{Opened, ServerFlavour, TenantConnection};

/// Why a statement about a database as a whole did not work. Holds the server's code and never its words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdminFault {
    /// The server refused it.
    #[error("the server refused it: {why} (code {code})")]
    Refused {
        /// SQLSTATE, error number, or SQLite result code.
        code: String,
        /// What that code usually means.
        why: &'static str,
    },
    /// The connection broke, or the server's answer did.
    #[error("the connection to the server broke")]
    Lost,
    /// No answer in time.
    #[error("the server did not answer in time")]
    Slow,
    /// Another run holds the database.
    #[error("another migration run holds this database")]
    Held,
    /// A pooler hands its sessions on, and with them a lock that a session holds.
    #[error("a pooler stands before the server, where no lock can be held")]
    Pooled,
    /// The database is not what it should be.
    #[error("{0}")]
    Unsound(String),
}

impl AdminFault {
    /// Whether trying again later may help.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Lost | Self::Slow | Self::Held => true,
            // Too many connections, shutting down, lock timeout, deadlock, busy.
            Self::Refused { code, .. } => {
                matches!(code.as_str(), "53300" | "57P01" | "57P03" | "55P03" | "40P01" | "40001")
                    || matches!(code.as_str(), "1040" | "1053" | "1205" | "1213" | "55006" | "5")
            }
            Self::Pooled | Self::Unsound(_) => false,
        }
    }

    pub(super) fn unsound(what: impl Into<String>) -> Self {
        Self::Unsound(what.into())
    }

    fn of(error: &sqlx::Error) -> Self {
        let sqlx::Error::Database(error) = error else { return Self::Lost };
        if let Some(mysql) = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
            let code = mysql.number().to_string();
            return Self::Refused { why: meaning(&code), code };
        }
        let code = error.code().unwrap_or_default().into_owned();
        let plain = code.len() <= 6 && code.bytes().all(|b| b.is_ascii_alphanumeric());
        let code = if plain && !code.is_empty() { code } else { "none".to_owned() };
        Self::Refused { why: meaning(&code), code }
    }
}

/// What a server's code usually means, in words that name no value.
fn meaning(code: &str) -> &'static str {
    match code {
        "42P07" | "1050" => "a table of that name exists already",
        "42701" | "1060" => "a column of that name exists already",
        "1061" | "42710" => "an index or object of that name exists already",
        "42P01" | "1146" => "a table it needs is missing",
        "42703" | "1054" | "1072" => "a column it needs is missing",
        "42501" | "1044" | "1142" | "1227" | "1370" => "the account lacks the right to do it",
        "23505" | "1062" => "rows that are there already are not unique",
        "23502" | "1048" | "1364" => "rows that are there already lack a value",
        "23514" | "4025" | "3819" => "rows that are there already break a check",
        "23503" | "1452" | "1451" => "rows that are there already break a reference",
        "53100" | "1021" | "1114" | "13" => "the disk is full",
        "55P03" | "1205" | "5" | "6" => "somebody else holds a lock",
        "55006" => "the object is in use",
        "57014" | "1969" | "3024" => "it took too long",
        "25006" | "1290" | "8" | "1836" => "the server or file is read-only",
        "42P04" | "1007" => "a database of that name exists already",
        "3D000" | "1049" => "there is no such database",
        "53300" | "1040" => "the server has no connection left",
        "1" => "the schema is not the one expected",
        "11" | "26" => "the file is damaged",
        _ => "see the server's own log",
    }
}

/// A connection for work on a database as a whole.
pub struct Admin {
    opened: Opened,
    limit: Duration,
}

impl Admin {
    /// Over an open connection; a statement may take `limit`.
    pub const fn new(opened: Opened, limit: Duration) -> Self {
        Self { opened, limit }
    }

    /// What was found when the connection was opened.
    pub const fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Which dialect it speaks.
    pub fn flavour(&self) -> Flavour {
        Flavour::of_server(&self.opened.facts)
    }

    /// The same connection, to read a catalogue over.
    pub fn connection(&mut self) -> &mut TenantConnection {
        self.opened.canceller.begin(Deadline::after(self.limit));
        &mut self.opened.connection
    }

    /// Runs one statement (on PostgreSQL and SQLite also several) and forgets its rows.
    pub(super) async fn command(&mut self, sql: &str) -> Result<(), AdminFault> {
        self.opened.canceller.begin(Deadline::after(self.limit));
        let work = async {
            match &mut self.opened.connection {
                TenantConnection::Postgres(session) => session.command(sql).await,
                TenantConnection::MySql(conn) => conn.execute(sqlx::raw_sql(sql)).await.map(drop),
                TenantConnection::Sqlite(conn) => conn.execute(sqlx::raw_sql(sql)).await.map(drop),
            }
        };
        let done = timeout(self.limit, work).await;
        self.opened.canceller.end();
        done.map_err(|_| AdminFault::Slow)?.map_err(|error| AdminFault::of(&error))
    }

    /// Runs one query with a small answer, all cells as text.
    pub(super) async fn rows(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, AdminFault> {
        macro_rules! text {
            ($rows:expr) => {{
                let mut all = Vec::new();
                for row in $rows {
                    let cells = (0..row.len()).map(|i| row.try_get_unchecked(i));
                    all.push(cells.collect::<Result<Vec<Option<String>>, _>>()?);
                }
                Ok::<_, sqlx::Error>(all)
            }};
        }
        self.opened.canceller.begin(Deadline::after(self.limit));
        let work = async {
            match &mut self.opened.connection {
                TenantConnection::Postgres(session) => session.rows(sql).await,
                TenantConnection::MySql(conn) => text!(conn.fetch_all(sqlx::raw_sql(sql)).await?),
                TenantConnection::Sqlite(conn) => text!(conn.fetch_all(sqlx::raw_sql(sql)).await?),
            }
        };
        let done = timeout(self.limit, work).await;
        self.opened.canceller.end();
        done.map_err(|_| AdminFault::Slow)?.map_err(|error| AdminFault::of(&error))
    }

    /// The first cell of the first row.
    pub(super) async fn cell(&mut self, sql: &str) -> Result<Option<String>, AdminFault> {
        Ok(self
            .rows(sql)
            .await?
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next().flatten()))
    }

    /// A count.
    pub(super) async fn count(&mut self, sql: &str) -> Result<u64, AdminFault> {
        let cell = self.cell(sql).await?.and_then(|text| text.parse().ok());
        cell.ok_or(AdminFault::Lost)
    }

    /// Makes the role, or gives it this password when it is there.
    pub async fn make_role(
        &mut self,
        names: &Names,
        password: &SecretText,
    ) -> Result<(), AdminFault> {
        match self.opened.facts.flavour {
            ServerFlavour::Postgres => postgres::make_role(self, names, password).await,
            ServerFlavour::Sqlite => Ok(()),
            _ => mysql::make_role(self, names, password).await,
        }
    }

    /// Makes the database, when it is not there yet, which nobody but its administrator may enter.
    pub async fn make_database(
        &mut self,
        names: &Names,
        tenant: TenantId,
    ) -> Result<(), AdminFault> {
        match self.opened.facts.flavour {
            ServerFlavour::Postgres => postgres::make_database(self, names, tenant).await,
            ServerFlavour::Sqlite => Ok(()),
            _ => mysql::make_database(self, names).await,
        }
    }

    /// Gives the role what it needs of the tenant's database, and no more: to be run in that database,
    /// after its migrations.
    pub async fn grant(&mut self, names: &Names) -> Result<(), AdminFault> {
        match self.opened.facts.flavour {
            ServerFlavour::Postgres => postgres::grant(self, names).await,
            ServerFlavour::Sqlite => Ok(()),
            _ => mysql::grant(self, names).await,
        }
    }

    /// Ends what the role is doing and takes it away, with all it was granted. One that is gone is no
    /// fault.
    pub async fn drop_role(&mut self, names: &Names) -> Result<(), AdminFault> {
        match self.opened.facts.flavour {
            ServerFlavour::Postgres => postgres::drop_role(self, names).await,
            ServerFlavour::Sqlite => Ok(()),
            _ => mysql::drop_role(self, names).await,
        }
    }

    /// Takes the database away with all that is in it. One that is gone is no fault.
    pub async fn drop_database(&mut self, names: &Names) -> Result<(), AdminFault> {
        match self.opened.facts.flavour {
            ServerFlavour::Postgres => postgres::drop_database(self, names).await,
            ServerFlavour::Sqlite => Ok(()),
            _ => mysql::drop_database(self, names).await,
        }
    }

    /// Takes away what the role was granted inside the database this connection is to, before
    /// [`drop_role`](Self::drop_role) of one whose database stays.
    pub async fn drop_grants(&mut self, names: &Names) -> Result<(), AdminFault> {
        match self.opened.facts.flavour {
            ServerFlavour::Postgres => postgres::drop_grants(self, names).await,
            // Dropping the user does it.
            _ => Ok(()),
        }
    }

    /// Databases and roles of that tenant on the server, as (databases, roles).
    pub async fn traces(&mut self, names: &Names) -> Result<(u64, u64), AdminFault> {
        match self.opened.facts.flavour {
            ServerFlavour::Postgres => postgres::traces(self, names).await,
            ServerFlavour::Sqlite => Ok((0, 0)),
            _ => mysql::traces(self, names).await,
        }
    }

    /// The tenant's roles that are there.
    pub async fn roles(&mut self, names: &Names) -> Result<Vec<Names>, AdminFault> {
        let like = names.roles_like();
        let sql = match self.opened.facts.flavour {
            ServerFlavour::Sqlite => return Ok(Vec::new()),
            ServerFlavour::Postgres => {
                format!("SELECT rolname FROM pg_roles WHERE rolname LIKE '{like}' ESCAPE '!'")
            }
            _ => format!(
                "SELECT CAST(user AS CHAR) FROM mysql.user WHERE user LIKE '{like}' ESCAPE '!'"
            ),
        };
        let found = self.rows(&sql).await?.into_iter().flatten().flatten();
        Ok(found.filter_map(|role| names.sibling(&role)).collect())
    }

    /// What the account behind this connection lacks of what making databases and roles needs.
    pub async fn lacks_rights(&mut self) -> Result<Vec<&'static str>, AdminFault> {
        let (sql, words): (&str, &[&'static str]) = match self.opened.facts.flavour {
            ServerFlavour::Sqlite => return Ok(Vec::new()),
            ServerFlavour::Postgres => (
                "SELECT (rolsuper OR rolcreatedb)::int::text, (rolsuper OR rolcreaterole)::int::text \
                 FROM pg_roles WHERE rolname = current_user",
                &["CREATEDB", "CREATEROLE"],
            ),
            _ => (
                "SELECT COALESCE(MAX(privilege_type = 'CREATE'), 0), \
                 COALESCE(MAX(privilege_type = 'CREATE USER'), 0), \
                 COALESCE(MAX(privilege_type = 'CREATE' AND is_grantable = 'YES'), 0) \
                 FROM information_schema.user_privileges \
                 WHERE grantee = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')",
                &["CREATE", "CREATE USER", "GRANT OPTION"],
            ),
        };
        let row = self.rows(sql).await?.into_iter().next().unwrap_or_default();
        let lacking = words.iter().zip(row).filter(|(_, cell)| cell.as_deref() != Some("1"));
        Ok(lacking.map(|(word, _)| *word).collect())
    }

    /// Writes whose database this is, once; refuses another tenant's.
    pub async fn mark(&mut self, tenant: TenantId) -> Result<(), AdminFault> {
        let insert = format!("INSERT INTO wardgate_identity (tenant_id) VALUES ('{tenant}')");
        match self.owner().await? {
            None => self.command(&insert).await,
            Some(owner) if owner == tenant => Ok(()),
            Some(_) => Err(AdminFault::unsound("the database is marked as another tenant's")),
        }
    }

    /// Whose database this is, by its own mark.
    pub async fn owner(&mut self) -> Result<Option<TenantId>, AdminFault> {
        let text = self.cell("SELECT tenant_id FROM wardgate_identity").await?;
        let damaged = || AdminFault::unsound("the database's mark is damaged");
        text.map(|text| text.parse().map_err(|_| damaged())).transpose()
    }

    /// Whether the role behind this connection can change the schema. It should not.
    pub async fn can_change_schema(&mut self) -> Result<bool, AdminFault> {
        match self.command("CREATE TABLE wardgate_probe (x int)").await {
            Ok(()) => {
                self.command("DROP TABLE wardgate_probe").await?;
                Ok(true)
            }
            Err(AdminFault::Refused { .. }) => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// Takes leave of the server.
    pub async fn close(self) {
        let close = async {
            let _ = match self.opened.connection {
                TenantConnection::Postgres(session) => session.close().await,
                TenantConnection::MySql(conn) => conn.close().await,
                TenantConnection::Sqlite(conn) => conn.close().await,
            };
        };
        let _ = timeout(Duration::from_secs(2), close).await;
    }
}

/// Makes a tenant's SQLite file, readable by this account only. One that is there is left as it is.
pub fn make_file(path: &std::path::Path) -> std::io::Result<()> {
    sqlite::make(path)
}

/// Removes a tenant's SQLite file and what lies beside it. One that is gone is no fault.
pub fn remove_file(path: &std::path::Path) -> std::io::Result<()> {
    sqlite::remove(path)
}
