use std::fmt;

use crate::mapping::catalog::SqlType;
use crate::mapping::plan::{ColumnRef, Relation};

use super::{Flavour, WriteFault};

/// One value sent beside the text.
#[derive(Clone, PartialEq)]
pub enum Bind {
    /// Text.
    Text(String),
    /// A signed whole number.
    Int(i64),
    /// A whole number beyond `i64` (MySQL only).
    UInt(u64),
    /// A floating-point number.
    Float(f64),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Several texts as one array (PostgreSQL only).
    Texts(Vec<String>),
    /// Several whole numbers as one array (PostgreSQL only).
    Ints(Vec<i64>),
    /// Text whose type the server finds out by itself (PostgreSQL only).
    Untyped(String),
}

/// Values are patients' data and callers' search terms: only their kind is shown.
impl fmt::Debug for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text",
            Self::Int(_) => "Int",
            Self::UInt(_) => "UInt",
            Self::Float(_) => "Float",
            Self::Bytes(_) => "Bytes",
            Self::Texts(_) => "Texts",
            Self::Ints(_) => "Ints",
            Self::Untyped(_) => "Untyped",
        })
    }
}

/// One statement for one engine. The text holds no value, so a mapping has few of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// Which engine it is written for.
    pub flavour: Flavour,
    /// The SQL.
    pub text: String,
    /// What is bound, in the order of the placeholders.
    pub binds: Vec<Bind>,
    /// What each fetched column holds, for turning cells into their canonical text.
    pub shape: Vec<SqlType>,
}

/// Relations of one select: how deep it is nested, and how many there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope {
    pub depth: usize,
    pub relations: usize,
}

/// Most values a statement binds. PostgreSQL's and MySQL's protocols take 65,535, SQLite 32,766.
pub(super) const MAX_BINDS: usize = 30_000;

/// The longest text of a statement, in bytes. A folded match takes kilobytes on PostgreSQL, once for each value
/// and each column, and the server takes many times that while it plans.
const MAX_SQL: usize = 2 << 20;

/// Text and binds under way.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    pub flavour: Flavour,
    pub text: String,
    pub binds: Vec<Bind>,
    /// Which part of a key the next binds stand for, where the key is left open.
    pub part: Option<usize>,
    /// Which binds stand for which part of a key.
    pub parts: Vec<(usize, usize)>,
}

impl Writer {
    pub fn new(flavour: Flavour) -> Self {
        let text = String::with_capacity(512);
        Self { flavour, text, binds: Vec::new(), part: None, parts: Vec::new() }
    }

    pub fn sql(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub fn ident(&mut self, name: &str) -> Result<(), WriteFault> {
        self.flavour.quote(name, &mut self.text)
    }

    /// A placeholder for the value; PostgreSQL's needs its cast written right after it.
    pub fn bind(&mut self, bind: Bind) {
        self.parts.extend(self.part.map(|part| (self.binds.len(), part)));
        self.binds.push(bind);
        if self.flavour.is_postgres() {
            self.text.push('$');
            self.text.push_str(&self.binds.len().to_string());
        } else {
            self.text.push('?');
        }
    }

    /// A text value.
    pub fn text_bind(&mut self, text: &str) {
        self.bind(Bind::Text(text.to_owned()));
        if self.flavour.is_postgres() {
            self.cast("text");
        }
    }

    /// PostgreSQL's cast to a type of its own.
    pub fn cast(&mut self, ty: &str) {
        self.sql("::pg_catalog.");
        self.sql(ty);
    }

    /// A built-in function's name and its opening bracket.
    pub fn call(&mut self, name: &str) {
        self.sql(if self.flavour.is_postgres() { "pg_catalog." } else { "" });
        self.sql(name);
        self.sql("(");
    }

    /// An operator between two values of built-in types. PostgreSQL takes a bare one from wherever on the
    /// session's search path its operands fit best, and anybody who may create something there could have
    /// put one that fits better.
    pub fn operator(&mut self, sign: &str) {
        let (before, after) = match self.flavour {
            Flavour::Postgres | Flavour::PostgresIn(_) => (" OPERATOR(pg_catalog.", ") "),
            _ => (" ", " "),
        };
        self.sql(before);
        self.sql(sign);
        self.sql(after);
    }

    /// An operator between two columns. Types of the hospital's own or of an extension (`citext`) have
    /// their operators where they themselves are.
    pub fn between(&mut self, sign: &str, types: &[SqlType]) {
        if types.iter().any(|ty| matches!(ty, SqlType::Enum | SqlType::Other | SqlType::Any)) {
            self.sql(" ");
            self.sql(sign);
            self.sql(" ");
        } else {
            self.operator(sign);
        }
    }

    /// What stands between a value, or several, and the select that it must be among.
    pub fn among(&mut self, types: &[SqlType]) {
        if self.flavour.is_postgres() {
            self.between("=", types);
            self.sql("ANY");
        } else {
            self.sql(" IN");
        }
        self.sql(" (");
    }

    pub fn alias(&mut self, scope: Scope, relation: usize) -> Result<(), WriteFault> {
        if relation >= scope.relations {
            return Err(WriteFault::Plan);
        }
        if scope.depth == 0 {
            self.text.push('t');
        } else {
            self.text.push('s');
            self.text.push_str(&scope.depth.to_string());
            self.text.push('_');
        }
        self.text.push_str(&relation.to_string());
        Ok(())
    }

    /// The bare column. Always with its relation: SQLite takes an unknown lone `"name"` for a text.
    pub fn column(&mut self, scope: Scope, column: &ColumnRef) -> Result<(), WriteFault> {
        self.alias(scope, column.relation)?;
        self.text.push('.');
        self.ident(&column.name)
    }

    pub fn relation(&mut self, relation: &Relation) -> Result<(), WriteFault> {
        match relation {
            Relation::Table { schema, name } => {
                match (schema.as_deref(), self.flavour) {
                    (Some(schema), _) => self.ident(schema)?,
                    // A search path would say which of several of that name is meant.
                    (None, Flavour::Postgres | Flavour::PostgresIn(_)) => {
                        return Err(WriteFault::Plan);
                    }
                    // Temporary tables come first otherwise.
                    (None, Flavour::Sqlite) => self.ident("main")?,
                    // The connection's own database: nothing in a session can put another before it.
                    (None, Flavour::MySql | Flavour::MariaDb) => return self.ident(name),
                }
                self.text.push('.');
                self.ident(name)
            }
            // Has an alias of its own inside: `sql::relation` writes it.
            Relation::Distinct { .. } => Err(WriteFault::Plan),
            Relation::Query { sql, .. } => {
                let sql = sql.trim().trim_end_matches([';', ' ', '\n', '\r', '\t']);
                if sql.is_empty() || sql.contains('\0') {
                    return Err(WriteFault::Plan);
                }
                // The line break ends a comment the text may close with.
                self.sql("(\n");
                self.sql(sql);
                self.sql("\n)");
                Ok(())
            }
        }
    }

    pub fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        separator: &str,
        mut write: impl FnMut(&mut Self, T) -> Result<(), WriteFault>,
    ) -> Result<(), WriteFault> {
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.sql(separator);
            }
            write(self, item)?;
            self.fits()?;
        }
        Ok(())
    }

    /// Whether the text is still of a length that a server takes. Looked at on the way, so that no more of it
    /// is written.
    const fn fits(&self) -> Result<(), WriteFault> {
        if self.text.len() > MAX_SQL { Err(WriteFault::TooMany) } else { Ok(()) }
    }

    pub fn finish(self, shape: Vec<SqlType>) -> Result<Statement, WriteFault> {
        self.fits()?;
        if self.binds.len() > MAX_BINDS {
            return Err(WriteFault::TooMany);
        }
        Ok(Statement { flavour: self.flavour, text: self.text, binds: self.binds, shape })
    }
}
