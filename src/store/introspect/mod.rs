//! The tables a connection can see, read from the database's own catalogue in a few statements that
//! any read-only role may run.

mod mysql;
mod postgres;
mod sqlite;

pub(super) use mysql::sql_type as mysql_type;
pub(super) use postgres::{TYPES as POSTGRES_TYPES, sql_type as postgres_type};
pub(super) use sqlite::sql_type as sqlite_type;

use std::collections::BTreeMap;

use crate::base::Engine;
use crate::mapping::catalog::{
    Catalog, Column, ForeignKey, Index, IndexedText, SqlType, Table, TextIndex,
};
use crate::mapping::rows::{Row, Rows};

use super::run::{Outcome, TenantConn, select};
use super::{Bind, Flavour, Statement, StoreFault};

/// Most tables and views a catalogue holds.
pub const MAX_TABLES: usize = 10_000;

/// Bytes of catalogue text read.
const MAX_CATALOGUE: usize = 64 * 1024 * 1024;

/// Reads the catalogue over one connection.
pub async fn introspect_on(conn: &mut TenantConn<'_>) -> Outcome<Catalog> {
    let draft = match conn {
        TenantConn::Postgres(_) | TenantConn::PostgresByCell(_) => postgres::read(conn).await?,
        TenantConn::MySql(_) => mysql::read(conn).await?,
        TenantConn::Sqlite(_) => sqlite::read(conn).await?,
    };
    Ok(draft.and_then(Draft::finish))
}

/// `(schema, table)`; the schema is empty on SQLite.
type Name = (String, String);

/// A catalogue under construction.
struct Draft {
    engine: Engine,
    version: String,
    default_schema: Option<String>,
    tables: BTreeMap<Name, Table>,
}

impl Draft {
    fn new(engine: Engine, version: &str, default_schema: Option<&str>) -> Self {
        Self {
            engine,
            version: version.to_owned(),
            default_schema: default_schema.map(str::to_owned),
            tables: BTreeMap::new(),
        }
    }

    /// `schema, name, view, estimated rows`, and on PostgreSQL whether other tables inherit from it.
    fn add_table(&mut self, row: Row<'_>) {
        let (schema, name) = name_of(row, 0);
        let table = Table {
            schema: (!schema.is_empty()).then(|| schema.clone()),
            name: name.clone(),
            view: flag(row, 2),
            heirs: flag(row, 4),
            columns: Vec::new(),
            primary_key: Vec::new(),
            text_indexes: Vec::new(),
            indexes: Vec::new(),
            foreign_keys: Vec::new(),
            // PostgreSQL says -1 for a table never analysed.
            estimated_rows: row.get(3).and_then(|text| text.parse().ok()),
        };
        self.tables.insert((schema, name), table);
    }

    /// `schema, table, column, nullable, has default, declared type`; what the type holds, and by which rules
    /// of its own the column compares letters.
    fn add_column(&mut self, row: Row<'_>, ty: SqlType, collation: Option<&str>) {
        if let Some(table) = self.tables.get_mut(&name_of(row, 0)) {
            table.columns.push(Column {
                name: text(row, 2),
                ty,
                declared: text(row, 5),
                nullable: flag(row, 3),
                has_default: flag(row, 4),
                collation: collation.map(str::to_owned),
                comment: None,
            });
        }
    }

    /// What stands beside the column that was added last.
    fn add_comment(&mut self, row: Row<'_>, comment: Option<&str>) {
        let table = self.tables.get_mut(&name_of(row, 0));
        if let Some(column) = table.and_then(|table| table.columns.last_mut()) {
            column.comment = comment.filter(|text| !text.trim().is_empty()).map(str::to_owned);
        }
    }

    /// `schema, table, index, unique, primary, column or NULL`, ordered by index and place. A column
    /// that is NULL is an expression and ends what counts of its index.
    fn add_indexes(&mut self, rows: &Rows) {
        let mut ended: Option<(Name, String)> = None;
        let mut open: Option<(Name, String)> = None;
        for row in rows.iter() {
            let key = (name_of(row, 0), text(row, 2));
            let Some(table) = self.tables.get_mut(&key.0) else { continue };
            let Some(column) = row.get(5) else {
                // Unique over an expression says nothing about the columns before it.
                if open.as_ref() == Some(&key)
                    && let Some(index) = table.indexes.last_mut()
                {
                    index.unique = false;
                }
                ended = Some(key);
                continue;
            };
            if ended.as_ref() == Some(&key) {
                continue;
            }
            if flag(row, 4) {
                table.primary_key.push(column.to_owned());
            }
            if open.as_ref() == Some(&key) {
                if let Some(index) = table.indexes.last_mut() {
                    index.columns.push(column.to_owned());
                }
            } else {
                let unique = flag(row, 3);
                table.indexes.push(Index { columns: vec![column.to_owned()], unique });
                open = Some(key);
            }
        }
    }

    /// `schema, table, column`, and what becomes of it.
    fn add_text_indexes(&mut self, rows: &Rows) {
        for row in rows.iter() {
            if let Some(table) = self.tables.get_mut(&name_of(row, 0)) {
                let of = match row.get(3) {
                    Some("lowered") => IndexedText::Lowered,
                    Some("folded") => IndexedText::Folded,
                    _ => IndexedText::FoldedTrimmed,
                };
                table.text_indexes.push(TextIndex { column: text(row, 2), of });
            }
        }
    }

    /// `schema, table, constraint, column, schema, table, column`, ordered by constraint and place.
    fn add_foreign_keys(&mut self, rows: &Rows) {
        let mut open: Option<(Name, String)> = None;
        for row in rows.iter() {
            let key = (name_of(row, 0), text(row, 2));
            let Some(table) = self.tables.get_mut(&key.0) else { continue };
            if open.as_ref() == Some(&key) {
                if let Some(foreign) = table.foreign_keys.last_mut() {
                    foreign.columns.push(text(row, 3));
                    foreign.references.push(text(row, 6));
                }
            } else {
                table.foreign_keys.push(ForeignKey {
                    columns: vec![text(row, 3)],
                    schema: row.get(4).map(str::to_owned),
                    table: text(row, 5),
                    references: vec![text(row, 6)],
                });
                open = Some(key);
            }
        }
    }

    fn finish(self) -> Result<Catalog, StoreFault> {
        if self.tables.len() > MAX_TABLES {
            return Err(StoreFault::TooManyTables { limit: MAX_TABLES });
        }
        Ok(Catalog {
            engine: self.engine,
            version: self.version,
            default_schema: self.default_schema,
            tables: self.tables.into_values().collect(),
            named: Vec::new(),
        })
    }
}

fn text(row: Row<'_>, index: usize) -> String {
    row.get(index).unwrap_or_default().to_owned()
}

fn name_of(row: Row<'_>, index: usize) -> Name {
    (text(row, index), text(row, index + 1))
}

fn flag(row: Row<'_>, index: usize) -> bool {
    matches!(row.get(index), Some("1" | "t" | "true" | "YES"))
}

/// Runs one of the constant statements below.
async fn ask(
    conn: &mut TenantConn<'_>,
    flavour: Flavour,
    sql: &str,
    width: usize,
    binds: Vec<Bind>,
) -> Outcome<Rows> {
    let statement =
        Statement { flavour, text: sql.to_owned(), binds, shape: vec![SqlType::Text; width] };
    Ok(select(conn, &statement, MAX_CATALOGUE).await?.map(|fetched| fetched.rows))
}

/// One more than allowed, so that too many are seen as too many.
fn table_limit() -> Vec<Bind> {
    vec![Bind::Int(i64::try_from(MAX_TABLES).unwrap_or(i64::MAX).saturating_add(1))]
}

/// Gives the rows, or leaves the function with the fault.
macro_rules! rows {
    ($ask:expr) => {
        match $ask.await? {
            Ok(rows) => rows,
            Err(fault) => return Ok(Err(fault)),
        }
    };
}
use rows;
