//! Running statements over one connection. Errors of the driver pass through untouched, for the lane
//! to classify; what the rows themselves do wrong is a [`StoreFault`] of its own.

mod by_cell;
mod together;
mod within;

use futures_util::TryStreamExt as _;
use sqlx::mysql::{MySqlArguments, MySqlConnection};
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{Arguments as _, Executor as _};

use crate::mapping::catalog::SqlType;
use crate::mapping::plan::{Child, Count, KeyedRead, SourcePlan, Value};
use crate::mapping::rows::{Rows, UncheckedRows};
use crate::pool::postgres::{Cells, Ended, PostgresSession};
use crate::pool::verdict::classify;

use super::cells::{Cell, TextRow};
use super::prepared::{self, Ready};
use super::{Bind, Flavour, Statement, StoreFault, count_sql, page_sql};
pub(super) use within::{fetch_page_within, fetch_row_within};

/// Bytes one answer may hold, page and children together: the text of its cells, and 8 for each.
pub const MAX_TEXT: usize = 16 * 1024 * 1024;

/// What a cell counts beside its text, so that rows of NULLs have an end as well.
const CELL: usize = 8;

/// A borrowed connection of either engine.
pub enum TenantConn<'a> {
    /// PostgreSQL.
    Postgres(&'a mut PostgresSession),
    /// The same, asked for its texts as bytes.
    PostgresByCell(&'a mut PostgresSession),
    /// MySQL or MariaDB.
    MySql(&'a mut MySqlConnection),
    /// SQLite.
    Sqlite(&'a mut SqliteConnection),
}

/// A page of one source with its one-to-many rows, as of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedPage {
    /// The base rows.
    pub page: Rows,
    /// The rows of each child of the plan, in its order.
    pub children: Vec<Rows>,
    /// Cells that could not be given as text and stand as NULL.
    pub undecodable: u64,
}

impl FetchedPage {
    /// Rows off which nothing hangs.
    fn alone(Fetched { rows: page, undecodable }: Fetched) -> Self {
        Self { page, children: Vec::new(), undecodable }
    }

    /// How many rows, one-to-many ones included.
    pub fn rows(&self) -> usize {
        self.page.len() + self.children.iter().map(Rows::len).sum::<usize>()
    }
}

/// Rows of one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The rows.
    pub rows: Rows,
    /// Cells that could not be given as text and stand as NULL.
    pub undecodable: u64,
}

/// Either what was asked for, or a fault of its own with the connection in order.
pub type Outcome<T> = Result<Result<T, StoreFault>, sqlx::Error>;

/// What a statement is bound with did not fit the driver.
fn unbindable(_: sqlx::error::BoxDynError) -> sqlx::Error {
    sqlx::Error::Encode("a value does not fit the driver".into())
}

macro_rules! arguments {
    ($arguments:ty, $binds:expr, $uint:expr) => {{
        let mut arguments = <$arguments>::default();
        for bind in $binds {
            match bind {
                Bind::Text(text) => arguments.add(text.clone()),
                Bind::Int(number) => arguments.add(*number),
                Bind::Float(number) => arguments.add(*number),
                Bind::Bytes(bytes) => arguments.add(bytes.clone()),
                Bind::UInt(number) => $uint(&mut arguments, *number),
                Bind::Texts(_) | Bind::Ints(_) | Bind::Untyped(_) => foreign(&mut arguments, ()),
            }
            .map_err(unbindable)?;
        }
        arguments
    }};
}

type Added = Result<(), sqlx::error::BoxDynError>;

fn foreign<A, T>(_: &mut A, _: T) -> Added {
    Err("bound for another engine".into())
}

/// Runs one statement; its rows may not exceed `limit` bytes (see [`MAX_TEXT`]).
pub async fn select(
    conn: &mut TenantConn<'_>,
    statement: &Statement,
    limit: usize,
) -> Outcome<Fetched> {
    run(conn, (&statement.text, &statement.binds, &statement.shape), limit).await
}

/// A text, what is bound, and what is fetched.
type Parts<'s> = (&'s str, &'s [Bind], &'s [SqlType]);

async fn run(conn: &mut TenantConn<'_>, what: Parts<'_>, limit: usize) -> Outcome<Fetched> {
    let (text, binds, shape) = what;
    match conn {
        TenantConn::Postgres(session) => select_postgres(session, what, limit).await,
        TenantConn::PostgresByCell(session) => by_cell::select(session, what, limit).await,
        TenantConn::MySql(conn) => {
            let add = |a: &mut MySqlArguments, number: u64| a.add(number);
            let arguments = arguments!(MySqlArguments, binds, add);
            let mut rows = conn.fetch(sqlx::query_with(text, arguments));
            collect(shape, limit, &mut rows).await
        }
        TenantConn::Sqlite(conn) => {
            let arguments = arguments!(SqliteArguments<'_>, binds, foreign);
            let mut rows = conn.fetch(sqlx::query_with(text, arguments));
            collect(shape, limit, &mut rows).await
        }
    }
}

async fn select_postgres(
    session: &mut PostgresSession,
    what: Parts<'_>,
    limit: usize,
) -> Outcome<Fetched> {
    let (text, binds, shape) = what;
    let parameters = together::parameters(binds)?;
    let (mut taken, mut scratch) = (Taken::new(shape, limit), String::new());
    let each = |cells: Cells<'_>| taken.take_row(shape, cells, &mut scratch);
    let ended = session.select(text, &parameters, each).await?;
    Ok(if ended == Ended::Complete { taken.done() } else { Err(StoreFault::TooLarge { limit }) })
}

/// Cells taken so far.
struct Taken {
    rows: UncheckedRows,
    undecodable: u64,
    used: usize,
    limit: usize,
    full: bool,
}

impl Taken {
    fn new(shape: &[SqlType], limit: usize) -> Self {
        let rows = UncheckedRows::new(shape.len());
        Self { rows, undecodable: 0, used: 0, limit, full: false }
    }

    /// Takes one more; `false` when there is no room for it.
    fn take(&mut self, cell: &Cell<'_>) -> bool {
        let text = match cell {
            Cell::Null => None,
            Cell::Text(text) => Some(text.as_bytes()),
            Cell::Unchecked(bytes) => Some(*bytes),
            Cell::Bad => {
                self.undecodable += 1;
                None
            }
        };
        self.used += CELL + text.map_or(0, <[u8]>::len);
        self.full |= self.used > self.limit || self.rows.push(text).is_err();
        !self.full
    }

    fn done(self) -> Result<Fetched, StoreFault> {
        if self.full {
            return Err(StoreFault::TooLarge { limit: self.limit });
        }
        let (rows, bad) = self.rows.checked();
        Ok(Fetched { rows, undecodable: self.undecodable + bad })
    }
}

async fn collect<R: TextRow>(
    shape: &[SqlType],
    limit: usize,
    stream: &mut (impl futures_util::Stream<Item = Result<R, sqlx::Error>> + Unpin + Send),
) -> Outcome<Fetched> {
    let mut taken = Taken::new(shape, limit);
    let mut scratch = String::new();
    while let Some(row) = stream.try_next().await? {
        for (index, ty) in shape.iter().enumerate() {
            if !taken.take(&row.cell(index, *ty, &mut scratch)) {
                return Ok(taken.done());
            }
        }
    }
    Ok(taken.done())
}

/// Opens a snapshot that sees one moment and changes nothing.
pub(super) const fn begin(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::Postgres | Flavour::PostgresIn(_) => {
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        }
        Flavour::MySql | Flavour::MariaDb => {
            "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
        }
        Flavour::Sqlite => "BEGIN",
    }
}

pub(super) async fn command(
    conn: &mut TenantConn<'_>,
    sql: &'static str,
) -> Result<(), sqlx::Error> {
    match conn {
        TenantConn::Postgres(session) | TenantConn::PostgresByCell(session) => {
            session.command(sql).await
        }
        TenantConn::MySql(conn) => conn.execute(sqlx::raw_sql(sql)).await.map(drop),
        TenantConn::Sqlite(conn) => conn.execute(sqlx::raw_sql(sql)).await.map(drop),
    }
}

/// The page of a plan and its children; in one read-only snapshot when there are children.
pub async fn fetch_page_on(
    conn: &mut TenantConn<'_>,
    plan: &SourcePlan,
    flavour: Flavour,
    limit: usize,
) -> Outcome<FetchedPage> {
    let page = match page_sql(&plan.page, flavour) {
        Ok(statement) => Ready::Own(statement),
        Err(fault) => return Ok(Err(fault.into())),
    };
    fetch(conn, page, (&plan.children, None), flavour, limit).await
}

/// The row of a key and its children, as [`fetch_page_on`] gives a page.
pub async fn fetch_row_on(
    conn: &mut TenantConn<'_>,
    read: &KeyedRead,
    key: &[Value],
    flavour: Flavour,
    limit: usize,
) -> Outcome<FetchedPage> {
    let page = match prepared::read(read, key, flavour) {
        Ok(ready) => ready,
        Err(fault) => return Ok(Err(fault.into())),
    };
    let known = together::known(read, key);
    fetch(conn, page, (&read.children, known.as_ref()), flavour, limit).await
}

/// The rows of many keys, each a row of `keys`, and their children.
pub async fn fetch_keys_on(
    conn: &mut TenantConn<'_>,
    read: &KeyedRead,
    keys: &Rows,
    flavour: Flavour,
    limit: usize,
) -> Outcome<FetchedPage> {
    let page = match prepared::many(read, keys, flavour) {
        Ok(Some(ready)) => ready,
        Ok(None) => {
            let none = |_| Rows::new(0);
            let children = read.children.iter().map(none).collect();
            return Ok(Ok(FetchedPage { page: Rows::new(0), children, undecodable: 0 }));
        }
        Err(fault) => return Ok(Err(fault.into())),
    };
    fetch(conn, page, (&read.children, None), flavour, limit).await
}

/// How many rows there are in all.
pub async fn fetch_counts_on(
    conn: &mut TenantConn<'_>,
    counts: &[Count],
    flavour: Flavour,
) -> Outcome<u64> {
    let mut total = 0_u64;
    for count in counts {
        let statement = match count_sql(count, flavour) {
            Ok(statement) => statement,
            Err(fault) => return Ok(Err(fault.into())),
        };
        let rows = match select(conn, &statement, MAX_TEXT).await? {
            Ok(fetched) => fetched.rows,
            Err(fault) => return Ok(Err(fault)),
        };
        let number = rows.row(0).and_then(|row| row.get(0)).and_then(|text| text.parse().ok());
        let Some(number) = number else { return Ok(Err(StoreFault::Catalogue)) };
        total = total.saturating_add(number);
    }
    Ok(Ok(total))
}

async fn fetch(
    conn: &mut TenantConn<'_>,
    page: Ready,
    (children, known): (&[Child], Option<&Rows>),
    flavour: Flavour,
    limit: usize,
) -> Outcome<FetchedPage> {
    if let TenantConn::Postgres(session) = conn {
        let spare = by_cell::may_be_needed(flavour).then(|| page.clone());
        let fetched = together::fetch(session, page, (children, known), (flavour, limit)).await;
        return match (&fetched, spare) {
            (Err(error), Some(page)) if by_cell::is_refused(error) => {
                let mut conn = TenantConn::PostgresByCell(session);
                in_turn(&mut conn, &page, children, (flavour, limit)).await
            }
            _ => fetched,
        };
    }
    if children.is_empty() {
        return Ok(run(conn, page.parts(), limit).await?.map(FetchedPage::alone));
    }
    in_turn(conn, &page, children, (flavour, limit)).await
}

async fn in_turn(
    conn: &mut TenantConn<'_>,
    page: &Ready,
    children: &[Child],
    (flavour, limit): (Flavour, usize),
) -> Outcome<FetchedPage> {
    let outcome = match command(conn, begin(flavour)).await {
        Ok(()) => snapshot(conn, children, page, flavour, limit).await,
        Err(error) => Err(error),
    };
    // A transaction may have begun also where the server did not say so.
    match (command(conn, "ROLLBACK").await, outcome) {
        (Ok(()), outcome) => outcome,
        // It broke off beneath the protocol, or over a row that is too long to be heard: that says more than
        // what followed from it.
        (Err(_), Err(first))
            if !matches!(first, sqlx::Error::Database(_)) || classify(&first).is_too_long() =>
        {
            Err(first)
        }
        // Whoever has the connection next would read inside this snapshot. This error closes it.
        (Err(_), _) => Err(sqlx::Error::BeginFailed),
    }
}

fn size(rows: &Rows) -> usize {
    rows.text_len() + rows.len() * rows.width() * CELL
}

async fn snapshot(
    conn: &mut TenantConn<'_>,
    children_of: &[Child],
    page: &Ready,
    flavour: Flavour,
    limit: usize,
) -> Outcome<FetchedPage> {
    let Fetched { rows: page, mut undecodable } = match run(conn, page.parts(), limit).await? {
        Ok(fetched) => fetched,
        Err(fault) => return Ok(Err(fault)),
    };
    let mut left = limit.saturating_sub(size(&page));
    let mut children: Vec<Rows> = Vec::with_capacity(children_of.len());
    for child in children_of {
        let parents = match child.of {
            None => &page,
            Some(earlier) => match children.get(earlier) {
                Some(rows) => rows,
                None => return Ok(Err(super::WriteFault::Plan.into())),
            },
        };
        let statement = match prepared::child(child, parents, flavour) {
            Ok(Some(statement)) => statement,
            Ok(None) => {
                children.push(Rows::new(child.select.columns.len()));
                continue;
            }
            Err(fault) => return Ok(Err(fault.into())),
        };
        match run(conn, statement.parts(), left).await? {
            Ok(fetched) => {
                left = left.saturating_sub(size(&fetched.rows));
                undecodable += fetched.undecodable;
                children.push(fetched.rows);
            }
            Err(_) => return Ok(Err(StoreFault::TooLarge { limit })),
        }
    }
    Ok(Ok(FetchedPage { page, children, undecodable }))
}
