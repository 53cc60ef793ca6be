//! What the database itself expects a statement to cost, from its `EXPLAIN`. The statement is not run.

use serde_json::Value as Json;

use crate::mapping::catalog::SqlType;
use crate::mapping::fold::translation;
use crate::mapping::plan::{Child, Count, Select};
use crate::mapping::probe::FoldedColumn;
use crate::mapping::rows::Rows;

use super::run::{Fetched, Outcome, TenantConn, select};
use super::statement::Writer;
use super::{Flavour, Statement, StoreFault, child_sql, count_sql, page_sql};

/// Bytes of explanation read.
const MOST: usize = 1024 * 1024;

/// What a statement is expected to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Estimate {
    /// The tables that are read from end to end, or along a whole index, by the names the statement gives
    /// them in the catalogue where the engine says so, else by their places (`t0` is the base table).
    pub scans: Vec<String>,
    /// Rows the engine expects to look at, where it says so.
    pub rows: Option<u64>,
}

/// The statement that makes an index of a column's folded texts, which searches by their beginning then use
/// (PostgreSQL; see `docs/mapping/COOKBOOK.md`); `None` for names that cannot be written.
pub fn folded_index_sql(column: &FoldedColumn) -> Option<String> {
    let mut w = Writer::new(Flavour::Postgres);
    w.sql("CREATE INDEX ON ");
    for name in column.schema.iter().chain([&column.table]) {
        if w.text.ends_with('"') {
            w.sql(".");
        }
        w.ident(name).ok()?;
    }
    w.sql(if column.trimmed { " (translate(btrim(" } else { " (translate((" });
    w.ident(&column.column).ok()?;
    let (from, to) = translation();
    w.sql(&format!("), '{from}', '{to}') text_pattern_ops)"));
    Some(w.text)
}

/// Explains a page's statement.
pub async fn explain_page_on(
    conn: &mut TenantConn<'_>,
    page: &Select,
    flavour: Flavour,
) -> Outcome<Estimate> {
    match page_sql(page, flavour) {
        Ok(statement) => explain(conn, statement).await,
        Err(fault) => Ok(Err(fault.into())),
    }
}

/// Explains the count of a search: its condition alone, without the order and the end of a page.
pub async fn explain_count_on(
    conn: &mut TenantConn<'_>,
    count: &Count,
    flavour: Flavour,
) -> Outcome<Estimate> {
    match count_sql(count, flavour) {
        Ok(statement) => explain(conn, statement).await,
        Err(fault) => Ok(Err(fault.into())),
    }
}

/// Explains the statement of a one-to-many table for the rows of a page; `None` when no row has a key.
pub async fn explain_child_on(
    conn: &mut TenantConn<'_>,
    child: &Child,
    page: &Rows,
    flavour: Flavour,
) -> Outcome<Option<Estimate>> {
    match child_sql(child, page, flavour) {
        Ok(Some(statement)) => Ok(explain(conn, statement).await?.map(Some)),
        Ok(None) => Ok(Ok(None)),
        Err(fault) => Ok(Err(fault.into())),
    }
}

async fn explain(conn: &mut TenantConn<'_>, statement: Statement) -> Outcome<Estimate> {
    let Statement { flavour, text, binds, .. } = statement;
    let (word, width) = match flavour {
        Flavour::Postgres | Flavour::PostgresIn(_) => ("EXPLAIN (FORMAT JSON) ", 1),
        Flavour::Sqlite => ("EXPLAIN QUERY PLAN ", 4),
        Flavour::MariaDb => ("EXPLAIN ", 10),
        Flavour::MySql => ("EXPLAIN ", 12),
    };
    let asked = Statement {
        flavour,
        text: format!("{word}{text}"),
        binds,
        shape: vec![SqlType::Text; width],
    };
    let fetched = match select(conn, &asked, MOST).await? {
        Ok(fetched) => fetched,
        Err(fault) => return Ok(Err(fault)),
    };
    Ok(match flavour {
        Flavour::Postgres | Flavour::PostgresIn(_) => postgres(&fetched),
        Flavour::Sqlite => Ok(sqlite(&fetched)),
        Flavour::MariaDb => Ok(mysql(&fetched, 8)),
        Flavour::MySql => Ok(mysql(&fetched, 9)),
    })
}

fn postgres(fetched: &Fetched) -> Result<Estimate, StoreFault> {
    let text = fetched.rows.row(0).and_then(|row| row.get(0)).unwrap_or_default();
    let plan: Json = serde_json::from_str(text).map_err(|_| StoreFault::Catalogue)?;
    let mut estimate = Estimate::default();
    let mut nodes = vec![plan.pointer("/0/Plan").ok_or(StoreFault::Catalogue)?];
    while let Some(node) = nodes.pop() {
        nodes.extend(node.get("Plans").and_then(Json::as_array).into_iter().flatten());
        let text = |name: &str| node.get(name).and_then(Json::as_str).unwrap_or_default();
        let kind = text("Node Type");
        // An index that is walked without a condition on it is a way of reading every row.
        let walked = kind.starts_with("Index")
            && kind.ends_with("Scan")
            && node.get("Index Cond").is_none()
            && !text("Relation Name").is_empty();
        if kind == "Seq Scan" || walked {
            estimate.scans.push(text("Relation Name").to_owned());
        }
        let rows = node.get("Plan Rows").and_then(Json::as_u64);
        estimate.rows = estimate.rows.max(rows);
    }
    Ok(estimate)
}

/// `id, select_type, table, [partitions,] type, possible_keys, key, key_len, ref, rows, …`; `rows` is
/// the place of that column.
fn mysql(fetched: &Fetched, rows: usize) -> Estimate {
    let mut estimate = Estimate::default();
    for row in fetched.rows.iter() {
        let kind = row.get(rows - 5).unwrap_or_default();
        let table = row.get(2).unwrap_or_default();
        // `<subquery2>` and `<derived3>` are results under way; what they are of has lines of its own.
        if matches!(kind, "ALL" | "index") && !table.starts_with('<') {
            estimate.scans.push(table.to_owned());
        }
        let number = row.get(rows).and_then(|text| text.parse::<u64>().ok());
        if let Some(number) = number {
            estimate.rows = Some(estimate.rows.unwrap_or(0).saturating_add(number));
        }
    }
    estimate
}

/// `id, parent, notused, detail`; SQLite expects no number of rows.
fn sqlite(fetched: &Fetched) -> Estimate {
    let mut scans = Vec::new();
    for row in fetched.rows.iter() {
        let detail = row.get(3).unwrap_or_default();
        if let Some(rest) = detail.strip_prefix("SCAN ") {
            let table = rest.split(' ').next().unwrap_or_default();
            if !table.starts_with('(') && !matches!(table, "CONSTANT") {
                scans.push(table.to_owned());
            }
        }
    }
    Estimate { scans, rows: None }
}
