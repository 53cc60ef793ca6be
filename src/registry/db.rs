use std::future::Future;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::breaker::Breaker;
use super::fault::{RegistryFault, classify};
use super::value::{Row, Value};

/// The longest a statement, and getting hold of a connection, may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// The longest SQLite waits for another writer; shorter, so that it can say so itself.
pub(super) const BUSY: Duration = Duration::from_millis(1500);

const READERS: usize = 6;
const FOLDS: usize = 3;
const POSTGRES_WRITERS: usize = 4;

/// Where the database is, as driver options. They hold a password: never printed.
#[derive(Clone)]
pub(super) enum Target {
    Sqlite(Box<SqliteConnectOptions>),
    Postgres(Box<PgConnectOptions>),
}

impl Target {
    /// Opens one connection. The caller bounds the time.
    pub(super) async fn connect(&self) -> Result<Conn, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(options) => {
                // Read first: a file exchanged in between is noticed at the next use.
                let file = self.file();
                Conn::Sqlite(options.connect().await?, file)
            }
            Self::Postgres(options) => Conn::Postgres(options.connect().await?),
        })
    }

    /// Which file is at SQLite's path.
    fn file(&self) -> Option<FileId> {
        let Self::Sqlite(options) = self else { return None };
        let found = std::fs::metadata(options.get_filename()).ok()?;
        Some((found.dev(), found.ino()))
    }
}

/// Device and inode.
type FileId = (u64, u64);

/// One connection of either engine.
pub(super) enum Conn {
    Sqlite(SqliteConnection, Option<FileId>),
    Postgres(PgConnection),
}

macro_rules! bound {
    ($sql:expr, $binds:expr) => {{
        let mut query = sqlx::query($sql);
        for value in $binds {
            query = match value {
                Value::Text(text) => query.bind(text.as_deref()),
                Value::Int(number) => query.bind(*number),
                Value::Bytes(bytes) => query.bind(*bytes),
            };
        }
        query
    }};
}

impl Conn {
    /// Runs statements without values, through the simple protocol.
    pub(super) async fn run(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(conn, _) => conn.execute(sqlx::raw_sql(sql)).await.map(|_| ()),
            Self::Postgres(conn) => conn.execute(sqlx::raw_sql(sql)).await.map(|_| ()),
        }
    }

    /// Runs one statement; gives back how many rows it changed.
    pub(super) async fn execute(
        &mut self,
        sql: &'static str,
        binds: &[Value<'_>],
    ) -> Result<u64, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(conn, _) => bound!(sql, binds).execute(conn).await?.rows_affected(),
            Self::Postgres(conn) => bound!(sql, binds).execute(conn).await?.rows_affected(),
        })
    }

    /// Runs one query.
    pub(super) async fn fetch(
        &mut self,
        sql: &'static str,
        binds: &[Value<'_>],
    ) -> Result<Vec<Row>, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(conn, _) => {
                bound!(sql, binds).fetch_all(conn).await?.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres(conn) => {
                bound!(sql, binds).fetch_all(conn).await?.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    pub(super) const fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    const fn file(&self) -> Option<FileId> {
        match self {
            Self::Sqlite(_, file) => *file,
            Self::Postgres(_) => None,
        }
    }

    async fn ping(&mut self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(..) => Ok(()),
            Self::Postgres(conn) => conn.ping().await,
        }
    }

    /// Says goodbye to the server.
    pub(super) async fn close(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(conn, _) => conn.close().await,
            Self::Postgres(conn) => conn.close().await,
        }
    }
}

/// A bounded set of connections. A permit lives as long as its connection is out, also while an
/// abandoned transaction is being rolled back.
struct Slots {
    idle: Mutex<Vec<Conn>>,
    permits: Arc<Semaphore>,
}

impl Slots {
    fn new(size: usize) -> Arc<Self> {
        Arc::new(Self { idle: Mutex::default(), permits: Arc::new(Semaphore::new(size)) })
    }

    fn take(&self) -> Option<Conn> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn put(&self, conn: Conn) {
        if !self.permits.is_closed() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
        }
    }
}

/// What a transaction is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// One snapshot for all its statements, no changes.
    Read,
    /// Read committed on PostgreSQL, the one writer on SQLite.
    Write,
}

/// A database with its connections and its breaker.
pub(super) struct Db {
    pub(super) target: Target,
    readers: Arc<Slots>,
    writers: Arc<Slots>,
    breaker: Arc<Breaker>,
}

impl Db {
    pub(super) fn new(target: Target) -> Self {
        let writers = if matches!(target, Target::Sqlite(_)) { 1 } else { POSTGRES_WRITERS };
        Self {
            target,
            readers: Slots::new(READERS),
            writers: Slots::new(writers),
            breaker: Arc::default(),
        }
    }

    pub(super) async fn begin(&self, access: Access) -> Result<Tx, RegistryFault> {
        if !self.breaker.admits(Instant::now()) {
            return Err(RegistryFault::Unavailable("waiting after failures"));
        }
        let slots = if access == Access::Read { &self.readers } else { &self.writers };
        let Ok(permit) = timeout(PATIENCE, Arc::clone(&slots.permits).acquire_owned()).await else {
            // Our own queue is full: no verdict on the database.
            return Err(RegistryFault::Unavailable("overloaded"));
        };
        let permit = permit.map_err(|_| RegistryFault::Unavailable("closed"))?;
        let conn = judged(&self.breaker, self.connection(slots)).await?;
        let mut tx = Tx {
            conn: Some(conn),
            permit: Some(permit),
            slots: Arc::clone(slots),
            breaker: Arc::clone(&self.breaker),
            state: TxState::Broken,
        };
        let begin = match (tx.is_postgres(), access) {
            (true, Access::Read) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            (true, Access::Write) => "BEGIN",
            (false, Access::Read) => "BEGIN DEFERRED",
            (false, Access::Write) => "BEGIN IMMEDIATE",
        };
        tx.control(begin).await?;
        tx.state = TxState::Open;
        Ok(tx)
    }

    /// An idle connection that still answers, or a new one. One to a SQLite file that is no longer at its
    /// path, because a backup was put there, is closed.
    async fn connection(&self, slots: &Slots) -> Result<Conn, sqlx::Error> {
        let present = self.target.file();
        while let Some(mut conn) = slots.take() {
            if conn.file() == present && conn.ping().await.is_ok() {
                return Ok(conn);
            }
        }
        self.target.connect().await
    }

    /// Folds SQLite's write-ahead log into the file and empties it. Another connection's snapshot can
    /// keep the log in use; then it is tried again, and a log that stays in use is a fault.
    pub(super) async fn fold_log(&self) -> Result<(), RegistryFault> {
        let permit = timeout(PATIENCE, Arc::clone(&self.writers.permits).acquire_owned()).await;
        let Ok(Ok(_permit)) = permit else { return Err(RegistryFault::Unavailable("overloaded")) };
        let mut conn = judged(&self.breaker, self.connection(&self.writers)).await?;
        for _ in 0..FOLDS {
            let folding = conn.fetch("PRAGMA wal_checkpoint(TRUNCATE)", &[]);
            let rows = judged(&self.breaker, folding).await?;
            if matches!(rows.first().map(|row| row.int(0)), Some(Ok(0))) {
                self.writers.put(conn);
                return Ok(());
            }
        }
        Err(RegistryFault::Unavailable("the log is in use"))
    }

    /// Closes idle connections and refuses new work.
    pub(super) async fn close(&self) {
        for slots in [&self.readers, &self.writers] {
            slots.permits.close();
            while let Some(conn) = slots.take() {
                let _ = timeout(PATIENCE, conn.close()).await;
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum TxState {
    /// Idle between statements.
    Open,
    /// A statement is under way or ended badly: the connection's state is not known.
    Broken,
    /// Committed: the connection can be used again.
    Done,
}

/// A transaction. Dropped without [`commit`](Self::commit) it is rolled back.
pub(super) struct Tx {
    conn: Option<Conn>,
    permit: Option<OwnedSemaphorePermit>,
    slots: Arc<Slots>,
    breaker: Arc<Breaker>,
    state: TxState,
}

impl Tx {
    pub(super) fn is_postgres(&self) -> bool {
        self.conn.as_ref().is_some_and(Conn::is_postgres)
    }

    pub(super) async fn execute(
        &mut self,
        sql: &'static str,
        binds: &[Value<'_>],
    ) -> Result<u64, RegistryFault> {
        self.state = TxState::Broken;
        let conn = self.conn.as_mut().ok_or(RegistryFault::Unavailable("connection lost"))?;
        let done = judged(&self.breaker, conn.execute(sql, binds)).await;
        self.settle(done)
    }

    pub(super) async fn fetch(
        &mut self,
        sql: &'static str,
        binds: &[Value<'_>],
    ) -> Result<Vec<Row>, RegistryFault> {
        self.state = TxState::Broken;
        let conn = self.conn.as_mut().ok_or(RegistryFault::Unavailable("connection lost"))?;
        let done = judged(&self.breaker, conn.fetch(sql, binds)).await;
        self.settle(done)
    }

    /// The first row, when there is one. The queries ask for one at most.
    pub(super) async fn fetch_one(
        &mut self,
        sql: &'static str,
        binds: &[Value<'_>],
    ) -> Result<Option<Row>, RegistryFault> {
        Ok(self.fetch(sql, binds).await?.into_iter().next())
    }

    pub(super) async fn commit(mut self) -> Result<(), RegistryFault> {
        self.state = TxState::Broken;
        self.control("COMMIT").await?;
        self.state = TxState::Done;
        Ok(())
    }

    async fn control(&mut self, sql: &'static str) -> Result<(), RegistryFault> {
        let conn = self.conn.as_mut().ok_or(RegistryFault::Unavailable("connection lost"))?;
        judged(&self.breaker, conn.run(sql)).await
    }

    fn settle<T>(&mut self, done: Result<T, RegistryFault>) -> Result<T, RegistryFault> {
        // A statement the database refused leaves the connection in order; one that was cut off
        // does not.
        if !matches!(done, Err(RegistryFault::Unavailable(_))) {
            self.state = TxState::Open;
        }
        done
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        let (Some(mut conn), Some(permit)) = (self.conn.take(), self.permit.take()) else { return };
        let slots = Arc::clone(&self.slots);
        match self.state {
            TxState::Done => slots.put(conn),
            TxState::Open => {
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    runtime.spawn(async move {
                        if let Ok(Ok(())) = timeout(PATIENCE, conn.run("ROLLBACK")).await {
                            slots.put(conn);
                        }
                        drop(permit);
                    });
                }
            }
            // Closing the socket or the file rolls back.
            TxState::Broken => {}
        }
    }
}

/// Bounds a piece of work and tells the breaker how it went.
pub(super) async fn judged<T>(
    breaker: &Breaker,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, RegistryFault> {
    let done = match timeout(PATIENCE, work).await {
        Ok(done) => done.map_err(|error| classify(&error)),
        Err(_) => Err(RegistryFault::Unavailable("no answer in time")),
    };
    match &done {
        Err(RegistryFault::Unavailable("busy" | "statement timeout")) => {}
        Err(RegistryFault::Unavailable(_)) => breaker.failed(Instant::now()),
        _ => breaker.succeeded(),
    }
    done
}
