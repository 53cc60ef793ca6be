//! A database transaction that changes rows: one for each request, rolled back unless it was carried
//! through.

mod asked;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;

use crate::base::Deadline;
use crate::mapping::catalog::SqlType;
use crate::mapping::plan::{ColumnRef, KeyedRead, Relation, SourcePlan, Value};
use crate::mapping::{Change, ChangeKind};
use crate::pool::verdict::classify;
use crate::pool::{Aside, Lease, Measured};

use super::rule::{
    Breach, begins_no_change, contended, outdated, surely_undone, takes_no_changes, told,
};
use super::run::{
    FetchedPage, MAX_TEXT, Outcome, TenantConn, command, fetch_page_within, fetch_row_within,
    select,
};
use super::write::{change_sql, lock_sql};
use super::{Bind, Flavour, Statement, StoreFault};

/// How far a transaction is kept apart from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Apart {
    /// Rows that are changed are locked first.
    Rows,
    /// As if it ran alone: for what is decided by what is not there.
    Wholly,
}

/// Whether a transaction has been told to end well, and is not known to have done so. Outlives the
/// transaction, so that a lost connection leaves an honest answer.
#[derive(Debug, Clone, Default)]
pub struct Ending(Arc<AtomicBool>);

impl Ending {
    /// Whether nobody can say if the changes were stored.
    pub fn is_unknown(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Why work in a transaction ended early.
pub enum Halt<E> {
    /// The driver failed.
    Driver(Failed),
    /// The work itself says so.
    Work(E),
}

/// A failure of the driver, for the lane to sort.
pub struct Failed(sqlx::Error);

impl<E> From<Failed> for Halt<E> {
    fn from(failed: Failed) -> Self {
        Self::Driver(failed)
    }
}

/// A transaction under way.
pub struct Transaction<'c> {
    conn: TenantConn<'c>,
    flavour: Flavour,
    open: bool,
    ending: Ending,
    measured: Option<Measured>,
    aside: Aside,
    /// Tables known to be able to undo.
    undoable: Vec<Arc<Relation>>,
}

/// Runs `work` in one transaction on the lease's connection. It must call [`Transaction::commit`]; what is
/// not committed is rolled back, also when the caller goes away.
///
/// # Errors
/// What the work says, and as `E` what the database or the lane does.
pub async fn transact<T, E>(
    lease: &mut Lease,
    deadline: Deadline,
    apart: Apart,
    ending: Ending,
    work: impl for<'t, 'c> FnOnce(&'t mut Transaction<'c>) -> BoxFuture<'t, Result<T, Halt<E>>>
    + Send
    + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<StoreFault> + Send + 'static,
{
    let flavour = Flavour::of_server(lease.facts());
    let (measured, aside) = (lease.measured().cloned(), lease.aside());
    let closed = Arc::new(AtomicBool::new(false));
    let found = Arc::clone(&closed);
    let outcome = lease
        .run(deadline, move |connection| {
            Box::pin(async move {
                let tx = Transaction {
                    conn: connection.into(),
                    flavour,
                    open: false,
                    ending,
                    measured,
                    aside,
                    undoable: Vec::new(),
                };
                run(tx, apart, &found, work).await
            })
        })
        .await;
    if closed.load(Ordering::SeqCst) {
        lease.takes_no_changes();
    }
    outcome.map_err(|fault| E::from(fault.into()))?
}

async fn run<T, E>(
    mut tx: Transaction<'_>,
    apart: Apart,
    closed: &AtomicBool,
    work: impl for<'t, 'c> FnOnce(&'t mut Transaction<'c>) -> BoxFuture<'t, Result<T, Halt<E>>> + Send,
) -> Result<Result<T, E>, sqlx::Error>
where
    E: From<StoreFault>,
{
    let read_only = || {
        closed.store(true, Ordering::SeqCst);
        E::from(StoreFault::ReadOnly)
    };
    let outcome = match tx.begin(apart).await {
        Ok(()) => work(&mut tx).await,
        Err(error) if begins_no_change(&error) => Err(Halt::Work(read_only())),
        Err(error) => Err(Halt::Driver(Failed(error))),
    };
    match outcome {
        Ok(value) => {
            tx.rollback().await?;
            Ok(Ok(value))
        }
        Err(Halt::Work(fault)) => {
            tx.rollback().await?;
            Ok(Err(fault))
        }
        // A table altered meanwhile is somebody's work in the way as well.
        Err(Halt::Driver(Failed(error)))
            if (contended(&error) || outdated(&error)) && !tx.ending.is_unknown() =>
        {
            tx.rollback().await?;
            Ok(Err(E::from(StoreFault::Contended)))
        }
        Err(Halt::Driver(Failed(error))) if takes_no_changes(&error) && !tx.ending.is_unknown() => {
            tx.rollback().await?;
            Ok(Err(read_only()))
        }
        // Drivers do not know of this transaction: a connection that serves on must not carry it along.
        Err(Halt::Driver(Failed(error))) if classify(&error).leaves_connection_usable() => {
            tx.rollback().await?;
            Err(error)
        }
        Err(Halt::Driver(Failed(error))) => Err(error),
    }
}

/// Either the value, or the driver's failure; the store's own fault is the work's.
fn settle<T, E: From<StoreFault>>(outcome: Outcome<T>) -> Result<T, Halt<E>> {
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(fault)) => Err(Halt::Work(fault.into())),
        Err(error) => Err(Halt::Driver(Failed(error))),
    }
}

impl Transaction<'_> {
    async fn begin(&mut self, apart: Apart) -> Result<(), sqlx::Error> {
        let (level, begin) = match (self.flavour, apart) {
            (Flavour::Postgres | Flavour::PostgresIn(_), Apart::Rows) => {
                ("", "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
            }
            (Flavour::Postgres | Flavour::PostgresIn(_), Apart::Wholly) => {
                ("", "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE")
            }
            (Flavour::MySql | Flavour::MariaDb, Apart::Rows) => {
                ("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "START TRANSACTION READ WRITE")
            }
            (Flavour::MySql | Flavour::MariaDb, Apart::Wholly) => {
                ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "START TRANSACTION READ WRITE")
            }
            (Flavour::Sqlite, _) => ("", "BEGIN IMMEDIATE"),
        };
        if !level.is_empty() {
            command(&mut self.conn, level).await?;
        }
        // What fails at its beginning has begun on PostgreSQL all the same, and nowhere else.
        self.open = self.flavour.is_postgres();
        command(&mut self.conn, begin).await?;
        self.open = true;
        Ok(())
    }

    /// For waits within the transaction that are not for its server.
    pub fn aside(&self) -> Aside {
        self.aside.clone()
    }

    async fn rollback(&mut self) -> Result<(), sqlx::Error> {
        if std::mem::take(&mut self.open) {
            command(&mut self.conn, "ROLLBACK").await?;
        }
        Ok(())
    }

    /// Makes the changes last. When this fails with the connection lost, [`Ending::is_unknown`] stays true.
    pub async fn commit<E: From<StoreFault>>(&mut self) -> Result<(), Halt<E>> {
        self.ending.0.store(true, Ordering::SeqCst);
        match command(&mut self.conn, "COMMIT").await {
            Ok(()) => {
                self.open = false;
                self.ending.0.store(false, Ordering::SeqCst);
                Ok(())
            }
            Err(error) if surely_undone(&error) => {
                self.ending.0.store(false, Ordering::SeqCst);
                // PostgreSQL has ended the transaction; where it is open still, this ends it.
                self.rollback().await.map_err(|error| Halt::Driver(Failed(error)))?;
                let fault = match told(&error) {
                    Some(told) => {
                        StoreFault::Rule(Breach { kind: told.kind, columns: told.columns })
                    }
                    None => StoreFault::Contended,
                };
                Err(Halt::Work(fault.into()))
            }
            Err(error) => Err(Halt::Driver(Failed(error))),
        }
    }

    /// Locks the row of a key until the end.
    pub async fn lock<E: From<StoreFault>>(
        &mut self,
        table: &Relation,
        key: &[(ColumnRef, Value)],
    ) -> Result<(), Halt<E>> {
        let statement =
            lock_sql(table, key, self.flavour).map_err(|f| Halt::Work(E::from(f.into())))?;
        let Some(statement) = statement else { return Ok(()) };
        settle(select(&mut self.conn, &statement, MAX_TEXT).await).map(drop)
    }

    /// The row of a key and its one-to-many rows, as the transaction sees them.
    pub async fn row<E: From<StoreFault>>(
        &mut self,
        read: &KeyedRead,
        key: &[Value],
    ) -> Result<FetchedPage, Halt<E>> {
        let fetched = fetch_row_within(&mut self.conn, read, key, self.flavour, MAX_TEXT).await;
        self.counted(settle(fetched))
    }

    /// A page of a source, as the transaction sees it.
    pub async fn page<E: From<StoreFault>>(
        &mut self,
        plan: &SourcePlan,
    ) -> Result<FetchedPage, Halt<E>> {
        let fetched = fetch_page_within(&mut self.conn, plan, self.flavour, MAX_TEXT).await;
        self.counted(settle(fetched))
    }

    fn counted<E>(&self, fetched: Result<FetchedPage, Halt<E>>) -> Result<FetchedPage, Halt<E>> {
        if let (Some(measured), Ok(fetched)) = (&self.measured, &fetched) {
            measured.rows(fetched.rows());
        }
        fetched
    }

    /// Carries a change out. Gives back the value the database gave the column `returning`. A change that
    /// breaks a rule of the database ends the transaction with [`StoreFault::Rule`].
    pub async fn apply<E: From<StoreFault>>(
        &mut self,
        change: &Change,
        returning: Option<&ColumnRef>,
    ) -> Result<Option<String>, Halt<E>> {
        self.can_undo(&change.table).await?;
        let statement = change_sql(change, returning, self.flavour)
            .map_err(|fault| Halt::Work(E::from(fault.into())))?;
        let told = self.flavour.is_mysql() && returning.is_some();
        let told = told && matches!(change.kind, ChangeKind::Insert(_));
        if told {
            // What an insert of before was given stays until another one is given something: a key that comes
            // from elsewhere must not be taken for it, which is another row's.
            self.last_given("0").await?;
        }
        let rows = match select(&mut self.conn, &statement, MAX_TEXT).await {
            Ok(Ok(fetched)) => fetched.rows,
            Ok(Err(fault)) => return Err(Halt::Work(fault.into())),
            Err(error) => return Err(self.broken(error, &change.table).await),
        };
        // A key that is one row's alone in its own table need not be in those that inherit from it.
        let changed = match &self.conn {
            TenantConn::Postgres(session) => session.changed(),
            _ => 0,
        };
        if changed > 1 {
            return Err(Halt::Work(StoreFault::Several.into()));
        }
        if let Some(measured) = &self.measured {
            measured.rows(1);
        }
        if !matches!(change.kind, ChangeKind::Insert(_)) || returning.is_none() {
            return Ok(None);
        }
        if told {
            return Ok(self.last_given("").await?.filter(|given| given != "0"));
        }
        Ok(rows.row(0).and_then(|row| row.get(0)).map(str::to_owned))
    }

    /// What an error of a change means. One about a rule ends the transaction.
    async fn broken<E: From<StoreFault>>(
        &mut self,
        error: sqlx::Error,
        table: &Relation,
    ) -> Halt<E> {
        let Some(told) = told(&error) else { return Halt::Driver(Failed(error)) };
        if let Err(error) = self.rollback().await {
            return Halt::Driver(Failed(error));
        }
        let mut columns = told.columns;
        if let (true, Some(name)) = (columns.is_empty(), &told.constraint) {
            columns = self.columns_of(name, table).await;
        }
        Halt::Work(StoreFault::Rule(Breach { kind: told.kind, columns }).into())
    }

    /// The columns of a constraint or index; none when they cannot be had.
    async fn columns_of(&mut self, name: &str, table: &Relation) -> Vec<String> {
        const POSTGRES: &str = "\
            SELECT a.attname::text FROM pg_catalog.pg_constraint AS c \
            JOIN pg_catalog.pg_class AS t ON t.oid = c.conrelid \
            JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = ANY (c.conkey) \
            WHERE c.conname = $1::text AND t.relname = $2::text UNION \
            SELECT a.attname::text FROM pg_catalog.pg_index AS i \
            JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid \
            JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid \
            JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = ANY (i.indkey) \
            WHERE x.relname = $1::text AND t.relname = $2::text";
        const MYSQL: &str = "\
            SELECT COLUMN_NAME FROM information_schema.STATISTICS \
            WHERE TABLE_SCHEMA = COALESCE(?, DATABASE()) AND INDEX_NAME = ? AND TABLE_NAME = ?";
        let Relation::Table { schema, name: table } = table else { return Vec::new() };
        let text = |text: &str| Bind::Text(text.to_owned());
        let (sql, binds) = match self.flavour {
            Flavour::Postgres | Flavour::PostgresIn(_) => (POSTGRES, vec![text(name), text(table)]),
            Flavour::MySql | Flavour::MariaDb => {
                let Some(schema) = schema.as_deref() else {
                    let sql = MYSQL.replace("COALESCE(?, DATABASE())", "DATABASE()");
                    return self.names(&sql, vec![text(name), text(table)]).await;
                };
                (MYSQL, vec![text(schema), text(name), text(table)])
            }
            Flavour::Sqlite => return Vec::new(),
        };
        self.names(sql, binds).await
    }

    async fn names(&mut self, sql: &str, binds: Vec<Bind>) -> Vec<String> {
        let (flavour, shape) = (self.flavour, vec![SqlType::Text]);
        let statement = Statement { flavour, text: sql.to_owned(), binds, shape };
        let Ok(Ok(fetched)) = select(&mut self.conn, &statement, MAX_TEXT).await else {
            return Vec::new();
        };
        fetched.rows.iter().filter_map(|row| row.get(0).map(str::to_owned)).collect()
    }
}
