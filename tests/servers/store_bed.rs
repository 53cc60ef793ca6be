//! One handle over PostgreSQL, MariaDB and SQLite, so that a test says once what must hold on all.

use std::sync::Arc;
use std::time::Duration;

use sqlx::mysql::MySqlConnection;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Executor as _};
use wardgate::base::{Deadline, SystemClock};
use wardgate::mapping::catalog::{Catalog, SqlType};
use wardgate::mapping::plan::{
    Alike, ColumnRef, CompareOp, Expr, Order, Predicate, Relation, Select, TextMatch, Value,
};
use wardgate::mapping::rows::Rows;
use wardgate::pool::dial::{DialConfig, Dialer, EgressRules, SessionSettings, TenantConnection};
use wardgate::pool::postgres::PostgresSession;
use wardgate::store::run::{TenantConn, select};
use wardgate::store::{Flavour, Statement, introspect_on, page_sql};

use crate::harness::{Database, MariaDb, Postgres};

pub const INT: SqlType = SqlType::Integer { bits: 64, unsigned: false };
pub type Table = Vec<Vec<Option<String>>>;

enum Conn {
    /// The driver's, to prepare with, and the gateway's own, which is tried.
    Postgres(PgConnection, Box<PostgresSession>),
    MySql(MySqlConnection),
    Sqlite(SqliteConnection),
}

/// A session as the gateway opens it.
async fn session(database: &Database) -> Box<PostgresSession> {
    let config = DialConfig {
        egress: EgressRules::parse(&["127.0.0.0/8:*"]).expect("a rule"),
        ..DialConfig::default()
    };
    let dialer = Dialer::new(config, Arc::new(SystemClock));
    let deadline = Deadline::after(Duration::from_secs(30));
    let opened = dialer.open(&database.record(), &SessionSettings::default(), deadline).await;
    match opened.map(|opened| opened.connection) {
        Ok(TenantConnection::Postgres(session)) => session,
        Ok(_) => panic!("another engine"),
        Err(fault) => panic!("{fault}"),
    }
}

pub struct Bed {
    conn: Conn,
    pub flavour: Flavour,
    _database: Option<Database>,
}

impl Bed {
    pub async fn postgres() -> Self {
        let database = Postgres::database().await;
        let conn = Conn::Postgres(database.postgres().await, session(&database).await);
        Self { conn, flavour: Flavour::Postgres, _database: Some(database) }
    }

    pub async fn mariadb() -> Self {
        let database = MariaDb::database().await;
        let mut conn = database.mariadb().await;
        let version = sqlx::query_scalar("SELECT VERSION()").fetch_one(&mut conn);
        let version: String = version.await.expect("the server's version");
        // These tests are run on MySQL as well, where it stands for MariaDB.
        let mariadb = version.contains("MariaDB");
        let flavour = if mariadb { Flavour::MariaDb } else { Flavour::MySql };
        Self { conn: Conn::MySql(conn), flavour, _database: Some(database) }
    }

    pub async fn sqlite() -> Self {
        let conn = SqliteConnection::connect("sqlite::memory:").await.expect("open SQLite");
        Self { conn: Conn::Sqlite(conn), flavour: Flavour::Sqlite, _database: None }
    }

    /// The three engines, and MariaDB once more spoken to as MySQL.
    pub async fn all() -> Vec<Self> {
        let mut as_mysql = Self::mariadb().await;
        as_mysql.flavour = Flavour::MySql;
        vec![Self::postgres().await, Self::mariadb().await, as_mysql, Self::sqlite().await]
    }

    pub async fn execute(&mut self, sql: &str) {
        let done = match &mut self.conn {
            Conn::Postgres(c, _) => c.execute(sqlx::raw_sql(sql)).await.map(drop),
            Conn::MySql(c) => c.execute(sqlx::raw_sql(sql)).await.map(drop),
            Conn::Sqlite(c) => c.execute(sqlx::raw_sql(sql)).await.map(drop),
        };
        if let Err(error) = done {
            panic!("{:?}: {error}: {sql}", self.flavour);
        }
    }

    /// Inserts one row of texts, bound; `None` is NULL.
    pub async fn insert(&mut self, table: &str, id: i64, text: Option<&str>) {
        let sql = match self.flavour {
            Flavour::Postgres => format!("INSERT INTO {table} (id, v) VALUES ($1, $2)"),
            _ => format!("INSERT INTO {table} (id, v) VALUES (?, ?)"),
        };
        let done = match &mut self.conn {
            Conn::Postgres(c, _) => sqlx::query(&sql).bind(id).bind(text).execute(c).await.err(),
            Conn::MySql(c) => sqlx::query(&sql).bind(id).bind(text).execute(c).await.err(),
            Conn::Sqlite(c) => sqlx::query(&sql).bind(id).bind(text).execute(c).await.err(),
        };
        assert!(done.is_none(), "{:?}: {done:?}", self.flavour);
    }

    fn tenant(&mut self) -> TenantConn<'_> {
        match &mut self.conn {
            Conn::Postgres(_, session) => TenantConn::Postgres(session),
            Conn::MySql(c) => TenantConn::MySql(c),
            Conn::Sqlite(c) => TenantConn::Sqlite(c),
        }
    }

    pub fn conn(&mut self) -> (TenantConn<'_>, Flavour) {
        let flavour = self.flavour;
        (self.tenant(), flavour)
    }

    async fn rows(&mut self, statement: &Statement) -> Rows {
        let flavour = self.flavour;
        match select(&mut self.tenant(), statement, 1 << 24).await {
            Ok(fetched) => fetched.expect("rows within the limit").rows,
            Err(error) => panic!("{flavour:?}: {error}: {}", statement.text),
        }
    }

    pub async fn page(&mut self, what: &Select) -> Table {
        let statement = page_sql(what, self.flavour).expect("a plan that can be written");
        table(&self.rows(&statement).await)
    }

    /// The ids that meet a condition.
    pub async fn ids(&mut self, name: &str, filter: Predicate) -> Vec<i64> {
        let page = self.page(&query(self.flavour, name, &[column("id", INT)], filter)).await;
        page.iter()
            .map(|row| row[0].as_deref().expect("an id").parse().expect("a number"))
            .collect()
    }

    /// The server's plan for a statement, all in one text.
    pub async fn explain(&mut self, what: &Select) -> String {
        let mut statement = page_sql(what, self.flavour).expect("a plan that can be written");
        statement.text.insert_str(0, "EXPLAIN ");
        let width = if self.flavour == Flavour::Postgres { 1 } else { 10 };
        statement.shape = vec![SqlType::Text; width];
        format!("{:?}", table(&self.rows(&statement).await))
    }

    pub async fn catalog(&mut self) -> Catalog {
        introspect_on(&mut self.tenant()).await.expect("a catalogue").expect("a small one")
    }
}

pub fn table(rows: &Rows) -> Table {
    rows.iter().map(|r| (0..rows.width()).map(|i| r.get(i).map(str::to_owned)).collect()).collect()
}

pub fn column(name: &str, ty: SqlType) -> ColumnRef {
    ColumnRef { relation: 0, name: name.to_owned(), ty, collation: None }
}

pub fn query(flavour: Flavour, name: &str, columns: &[ColumnRef], filter: Predicate) -> Select {
    let schema = (flavour == Flavour::Postgres).then(|| "public".to_owned());
    Select {
        from: Relation::Table { schema, name: name.to_owned() }.into(),
        joins: [].into(),
        columns: columns.into(),
        filter,
        order: vec![Order { column: column("id", INT), descending: false }],
        after: None,
        limit: Some(10_000),
    }
}

pub fn value(ty: SqlType, text: &str) -> Value {
    Value { ty, text: text.to_owned() }
}

pub fn compare(name: &str, ty: SqlType, op: CompareOp, text: &str) -> Predicate {
    Predicate::Compare { left: Expr::Column(column(name, ty)), op, right: value(ty, text) }
}

pub fn among(name: &str, ty: SqlType, texts: &[&str]) -> Predicate {
    let values = texts.iter().map(|t| value(ty, t)).collect();
    Predicate::In { left: Expr::Column(column(name, ty)), values }
}

pub fn matching(left: Expr, how: TextMatch, text: &str, folded: bool) -> Predicate {
    let alike = if folded { Alike::Folded } else { Alike::Exact };
    Predicate::Text { left, how, text: text.to_owned(), alike }
}

pub fn not(inner: Predicate) -> Predicate {
    Predicate::Not(Box::new(inner))
}
