//! Execution on SQLite in memory.

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;

use super::run::{Fetched, TenantConn, fetch_page_on, select};
use super::*;
use crate::base::{Fault as _, FaultKind};
use crate::mapping::catalog::{Catalog, SqlType};
use crate::mapping::plan::*;

pub(super) fn col(name: &str, ty: SqlType) -> ColumnRef {
    ColumnRef { relation: 0, name: name.to_owned(), ty, collation: None }
}

fn table(name: &str) -> Relation {
    Relation::Table { schema: None, name: name.to_owned() }
}

const INT: SqlType = SqlType::Integer { bits: 64, unsigned: false };

async fn database(sql: &str) -> SqliteConnection {
    let mut conn = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
    conn
}

fn query(name: &str, columns: &[ColumnRef], filter: Predicate) -> Select {
    Select {
        from: table(name).into(),
        joins: [].into(),
        columns: columns.into(),
        filter,
        order: vec![Order { column: col("id", INT), descending: false }],
        after: None,
        limit: Some(100),
    }
}

async fn run(conn: &mut SqliteConnection, what: &Select) -> Fetched {
    let statement = page_sql(what, Flavour::Sqlite).unwrap();
    select(&mut TenantConn::Sqlite(conn), &statement, 1 << 20).await.unwrap().unwrap()
}

fn cells(fetched: &Fetched) -> Vec<Vec<Option<String>>> {
    let width = fetched.rows.width();
    let row = |row: crate::mapping::rows::Row<'_>| {
        (0..width).map(|i| row.get(i).map(str::to_owned)).collect()
    };
    fetched.rows.iter().map(row).collect()
}

#[tokio::test]
async fn cells_say_themselves_what_they_hold() {
    let mut conn = database(
        "CREATE TABLE c (id INTEGER PRIMARY KEY, v);
         INSERT INTO c VALUES (1, -9066461348710750663), (2, 0.1), (3, 'x'), (4, x'00ff'), (5, NULL),
         (6, 1e300), (7, CAST(x'fffe' AS TEXT)), (8, '2020-01-02 03:04:05');",
    )
    .await;
    let got = run(&mut conn, &query("c", &[col("v", SqlType::DateTime)], Predicate::Always)).await;
    let want = [
        Some("-9066461348710750663"),
        Some("0.1"),
        Some("x"),
        Some("00ff"),
        None,
        Some(&1e300_f64.to_string()),
        None,
        Some("2020-01-02T03:04:05"),
    ];
    let got_cells: Vec<Option<String>> = cells(&got).into_iter().flatten().collect();
    assert_eq!(got_cells, want.map(|c| c.map(str::to_owned)));
    assert_eq!(got.undecodable, 1);
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_a_fault_and_the_connection_lives_on() {
    let mut conn = database("CREATE TABLE c (id INTEGER PRIMARY KEY, v TEXT)").await;
    for _ in 0..9 {
        sqlx::query("INSERT INTO c (v) VALUES (hex(zeroblob(500)))")
            .execute(&mut conn)
            .await
            .unwrap();
    }
    let what = query("c", &[col("v", SqlType::Text)], Predicate::Always);
    let statement = page_sql(&what, Flavour::Sqlite).unwrap();
    let got = select(&mut TenantConn::Sqlite(&mut conn), &statement, 5000).await.unwrap();
    assert!(matches!(got, Err(StoreFault::TooLarge { limit: 5000 })));
    assert_eq!(run(&mut conn, &what).await.rows.len(), 9);
}

#[tokio::test]
async fn children_come_for_the_whole_page_in_one_statement() {
    let mut conn = database(
        "CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1), (2), (3);
         CREATE TABLE k (id INTEGER PRIMARY KEY, p_id INTEGER, v TEXT);
         INSERT INTO k VALUES (1, 2, 'b'), (2, 1, 'a'), (3, 2, 'a'), (4, 9, 'x');",
    )
    .await;
    let own = col("p_id", INT);
    let child = Child {
        of: None,
        select: Select {
            order: vec![Order { column: col("v", SqlType::Text), descending: true }],
            limit: None,
            ..query("k", &[own.clone(), col("v", SqlType::Text)], Predicate::Always)
        },
        parent: vec![0],
        own: vec![own],
        written: Written::default(),
    };
    let plan = SourcePlan {
        page: query("p", &[col("id", INT)], Predicate::Always),
        children: [child].into(),
    };
    let mut tenant = TenantConn::Sqlite(&mut conn);
    let got = fetch_page_on(&mut tenant, &plan, Flavour::Sqlite, 1 << 20).await.unwrap().unwrap();
    let child = Fetched { rows: got.children[0].clone(), undecodable: 0 };
    let text = |rows: &[[&str; 2]]| -> Vec<Vec<Option<String>>> {
        rows.iter().map(|r| r.iter().map(|c| Some((*c).to_owned())).collect()).collect()
    };
    assert_eq!(got.page.len(), 3);
    assert_eq!(cells(&child), text(&[["1", "a"], ["2", "b"], ["2", "a"]]));
    // The snapshot is over: a transaction can begin.
    sqlx::raw_sql("BEGIN; ROLLBACK").execute(&mut conn).await.unwrap();
}

#[tokio::test]
async fn a_failed_statement_leaves_no_transaction_behind() {
    let mut conn =
        database("CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1)").await;
    let missing = query("absent", &[col("id", INT)], Predicate::Always);
    let plan = SourcePlan {
        page: query("p", &[col("id", INT)], Predicate::Always),
        children: [Child {
            of: None,
            select: Select { limit: None, ..missing },
            parent: vec![0],
            own: vec![col("id", INT)],
            written: Written::default(),
        }]
        .into(),
    };
    let mut tenant = TenantConn::Sqlite(&mut conn);
    assert!(fetch_page_on(&mut tenant, &plan, Flavour::Sqlite, 1 << 20).await.is_err());
    sqlx::raw_sql("BEGIN; ROLLBACK").execute(&mut conn).await.unwrap();
}

#[tokio::test]
async fn a_catalogue_holds_keys_indexes_and_references() {
    let mut conn = database(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL, born DATE, x,
             amount DECIMAL(10,2), UNIQUE (name, born));
         CREATE TABLE b (k1 INT, k2 TEXT, a_id INT REFERENCES a, PRIMARY KEY (k1, k2));
         CREATE INDEX b_a ON b (a_id, lower(k2)); CREATE INDEX b_p ON b (k2) WHERE k1 > 3;
         CREATE VIEW v AS SELECT id FROM a; ANALYZE;",
    )
    .await;
    let catalog: Catalog =
        introspect_on(&mut TenantConn::Sqlite(&mut conn)).await.unwrap().unwrap();
    let names: Vec<&str> = catalog.tables.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "v"]);
    let a = catalog.table(None, "a").unwrap();
    assert_eq!(a.primary_key, ["id"]);
    assert!(a.indexed(&["id"]) && a.unique(&["name", "born"]) && !a.indexed(&["born"]));
    assert_eq!(a.column("born").unwrap().ty, SqlType::Date);
    assert_eq!(a.column("x").unwrap().ty, SqlType::Any);
    assert!(!a.column("id").unwrap().nullable && !a.column("name").unwrap().nullable);
    let b = catalog.table(None, "b").unwrap();
    assert_eq!(b.primary_key, ["k1", "k2"]);
    assert!(b.indexed(&["a_id"]) && !b.indexed(&["k2"]));
    assert_eq!(b.foreign_keys[0].references, ["id"]);
    assert!(catalog.table(None, "v").unwrap().view);
}

#[test]
fn more_values_than_a_statement_can_bind_are_refused_beforehand() {
    let list = |count: usize| {
        let values = (0..count).map(|n| Value { ty: SqlType::Text, text: n.to_string() }).collect();
        Predicate::In { left: Expr::Column(col("v", SqlType::Text)), values }
    };
    let lists = |count: usize| Predicate::All(vec![list(8192); count]);
    for flavour in [Flavour::Sqlite, Flavour::MySql, Flavour::MariaDb] {
        let what = |filter| query("c", &[col("v", SqlType::Text)], filter);
        assert!(page_sql(&what(lists(1)), flavour).is_ok(), "{flavour:?}");
        assert_eq!(page_sql(&what(lists(4)), flavour), Err(WriteFault::TooMany), "{flavour:?}");
    }
    let fault = StoreFault::from(WriteFault::TooMany);
    assert_eq!(fault.kind(), FaultKind::Invalid);
    assert!(fault.client_message().contains("too many values"));
}

/// As many names as a search may have, in as many columns as an address may have, each with an index of folded
/// texts: the text holds kilobytes for each.
#[test]
fn a_statement_that_would_be_megabytes_long_is_not_written() {
    let one = |name: usize, column: usize| {
        let left = Expr::Column(col(["a", "b", "c", "d", "e", "f", "g"][column], SqlType::Text));
        let text = format!("street {name}");
        let near = Predicate::Folded { left: left.clone(), begins: text.clone() };
        let how = TextMatch::StartsWith;
        Predicate::All(vec![Predicate::Text { left, how, text, alike: Alike::Folded }, near])
    };
    let names = |count: usize| {
        let all = |n: usize| Predicate::Any((0..7).map(|column| one(n, column)).collect());
        let filter = Predicate::Any((0..count).map(all).collect());
        let from = Relation::Table { schema: Some("public".to_owned()), name: "c".to_owned() };
        Select { from: from.into(), ..query("c", &[col("v", SqlType::Text)], filter) }
    };
    let text = page_sql(&names(20), Flavour::Postgres).unwrap().text;
    assert!(text.len() > 100_000, "{}", text.len());
    assert_eq!(page_sql(&names(500), Flavour::Postgres), Err(WriteFault::TooMany));
    assert!(page_sql(&names(500), Flavour::Sqlite).is_ok());
}

#[tokio::test]
async fn a_long_list_of_conditions_is_no_deep_expression() {
    let mut conn = database(
        "CREATE TABLE c (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO c VALUES (1, 'x4999')",
    )
    .await;
    let one = |n: usize| Predicate::Text {
        left: Expr::Column(col("v", SqlType::Text)),
        how: TextMatch::StartsWith,
        text: format!("x{n}"),
        alike: Alike::Folded,
    };
    let any = Predicate::Any((0..5000).map(one).collect());
    assert_eq!(run(&mut conn, &query("c", &[col("id", INT)], any)).await.rows.len(), 1);
}
