//! What a tenant's database holds, as read from its own catalogue by `store`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::plan::ColumnRef;
use crate::base::Engine;

/// The tables and views a connection can see. Saved beside each published mapping version, so that
/// compiling needs no database and drift can be told column by column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// The database's kind.
    pub engine: Engine,
    /// The server's version text.
    pub version: String,
    /// The schema unqualified names are looked up in; `None` on SQLite.
    pub default_schema: Option<String>,
    /// Tables and views, sorted by schema and name.
    pub tables: Vec<Table>,
    /// The named sources of one document as the database describes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named: Vec<NamedSource>,
}

/// A SELECT that a document names and uses like a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedSource {
    /// Its name in the document.
    pub name: String,
    /// The text that was described.
    pub sql: String,
    /// What it gives, as if it were a view; `primary_key` is the declared key.
    pub table: Table,
}

/// One table or view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Schema (PostgreSQL) or database (MySQL); `None` on SQLite.
    pub schema: Option<String>,
    /// Name, in the catalogue's own case.
    pub name: String,
    /// Whether it is a view.
    pub view: bool,
    /// Whether other tables inherit from it (PostgreSQL): their rows are read with its own, and none of its
    /// keys holds for them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub heirs: bool,
    /// Columns in their declared order.
    pub columns: Vec<Column>,
    /// Columns of the primary key, in key order; empty when there is none.
    pub primary_key: Vec<String>,
    /// Every index, each as its leading plain columns in order; the primary key's is among them.
    pub indexes: Vec<Index>,
    /// Indexes of what becomes of a column's text, in the order of bytes (PostgreSQL, `text_pattern_ops`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub text_indexes: Vec<TextIndex>,
    /// Declared foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
    /// The server's own estimate of the number of rows.
    pub estimated_rows: Option<u64>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Name, in the catalogue's own case.
    pub name: String,
    /// What it holds.
    pub ty: SqlType,
    /// The declared type as the server prints it.
    pub declared: String,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// Whether an insert may leave it out (default, identity, generated).
    pub has_default: bool,
    /// The rules by which it compares letters, where they are its own: two columns of different rules are not
    /// compared as they stand. Always on MySQL, never on SQLite, whose columns do not mind each other's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<String>,
    /// What the database's own people wrote beside it. Drafts read it; nothing that is published needs it.
    #[serde(skip)]
    pub comment: Option<String>,
}

impl Column {
    /// The column in a select's relation.
    pub fn of_relation(&self, relation: usize) -> ColumnRef {
        let collation = self.collation.as_deref().map(Arc::from);
        ColumnRef { relation, name: self.name.clone(), ty: self.ty, collation }
    }
}

/// An index, as far as search cares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Leading plain columns in order.
    pub columns: Vec<String>,
    /// Whether it forbids duplicates.
    pub unique: bool,
}

/// An index of what becomes of a column's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextIndex {
    /// The column.
    pub column: String,
    /// What becomes of it.
    pub of: IndexedText,
}

/// What an index holds instead of a column's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexedText {
    /// `lower(column)`.
    Lowered,
    /// The folded text: [`fold::translation`](super::fold::translation).
    Folded,
    /// The folded text without blanks at its ends.
    FoldedTrimmed,
}

/// A declared foreign key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// Own columns.
    pub columns: Vec<String>,
    /// Schema of the table pointed at.
    pub schema: Option<String>,
    /// Table pointed at.
    pub table: String,
    /// Its columns.
    pub references: Vec<String>,
}

/// What a column holds, as far as binding and comparing values is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SqlType {
    /// A whole number of that many bits (8, 16, 24, 32 or 64).
    Integer {
        /// Width in bits.
        bits: u8,
        /// Whether it has no sign.
        unsigned: bool,
    },
    /// An exact decimal, any precision.
    Decimal,
    /// A binary floating-point number.
    Float,
    /// Character data of varying length.
    Text,
    /// Character data padded with blanks.
    Char,
    /// A real boolean (PostgreSQL only; `TINYINT(1)` is an integer).
    Boolean,
    /// A date without time.
    Date,
    /// A time of day, or MySQL's signed duration.
    Time,
    /// Date and time without a zone.
    DateTime,
    /// Date and time stored as an instant (`timestamptz`, MySQL `TIMESTAMP`).
    Instant,
    /// A UUID.
    Uuid,
    /// Bytes; fetched as lower-case hex.
    Binary,
    /// JSON.
    Json,
    /// An enumeration; compared as text.
    Enum,
    /// SQLite without a declared type: whatever each cell holds.
    Any,
    /// Anything else; can be fetched as text and not searched.
    Other,
}

impl Catalog {
    /// Finds a table by name: exact case first, then the only one that matches without case. Without
    /// `schema`, the default schema is looked in. A schema of exactly that name counts before one that
    /// differs in case, which is another one on most servers.
    pub fn table(&self, schema: Option<&str>, name: &str) -> Option<&Table> {
        let schema = schema.or(self.default_schema.as_deref());
        let same = |t: &&Table| match (schema, t.schema.as_deref()) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        };
        let alike = |t: &&Table| match (schema, t.schema.as_deref()) {
            (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
            _ => true,
        };
        if self.tables.iter().any(|t| same(&t)) {
            return named(self.tables.iter().filter(same), name);
        }
        let found = named(self.tables.iter().filter(alike), name)?;
        let one = self.tables.iter().filter(alike).all(|t| t.schema == found.schema);
        one.then_some(found)
    }

    /// The schema that SQL names a table with. On PostgreSQL always its own: what a bare name means
    /// there is up to the session's search path, where another table may stand first. MySQL's default is
    /// the connection's own database, which nothing in a session changes, and which may be another one
    /// when the hospital is moved.
    pub fn written_schema(&self, table: &Table) -> Option<String> {
        let default = self.default_schema.as_deref().filter(|_| self.engine != Engine::Postgres);
        table.schema.clone().filter(|schema| Some(schema.as_str()) != default)
    }
}

/// The table of exactly that name, or the only one that differs in case alone.
fn named<'t>(tables: impl Iterator<Item = &'t Table> + Clone, name: &str) -> Option<&'t Table> {
    tables.clone().find(|t| t.name == name).or_else(|| {
        let mut loose = tables.filter(|t| t.name.eq_ignore_ascii_case(name));
        loose.next().filter(|_| loose.next().is_none())
    })
}

impl Table {
    /// Finds a column by name: exact case first, then without case.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns
            .iter()
            .find(|c| c.name == name)
            .or_else(|| self.columns.iter().find(|c| c.name.eq_ignore_ascii_case(name)))
    }

    /// Whether some index begins with these columns, in this order.
    pub fn indexed(&self, columns: &[&str]) -> bool {
        self.indexes.iter().any(|index| {
            index.columns.len() >= columns.len()
                && index.columns.iter().zip(columns).all(|(a, b)| a.eq_ignore_ascii_case(b))
        })
    }

    /// Whether an index holds that of a column's text.
    pub fn text_indexed(&self, column: &str, of: IndexedText) -> bool {
        self.text_indexes.iter().any(|index| index.of == of && index.column == column)
    }

    /// Whether these columns together are a key of the table.
    pub fn unique(&self, columns: &[&str]) -> bool {
        let same = |key: &[String]| {
            key.len() == columns.len()
                && key.iter().all(|k| columns.iter().any(|c| c.eq_ignore_ascii_case(k)))
        };
        same(&self.primary_key) || self.indexes.iter().any(|i| i.unique && same(&i.columns))
    }

    /// Whether at most one row has given values in these columns: a key of the table is among them.
    pub fn tells_apart(&self, columns: &[&str]) -> bool {
        let within = |key: &[String]| {
            !key.is_empty() && key.iter().all(|k| columns.iter().any(|c| c.eq_ignore_ascii_case(k)))
        };
        within(&self.primary_key) || self.indexes.iter().any(|i| i.unique && within(&i.columns))
    }
}
