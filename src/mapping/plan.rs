//! Query plans: what to fetch, as plain data. `mapping` makes them, `store` writes them as SQL for one
//! engine. A plan names only tables and columns found in the tenant's [`Catalog`](super::catalog).
//!
//! A page of one source is one [`Select`] for the base rows and one batched select for each child
//! table ([`Child`]), never a join of one-to-many tables and never a statement a row.

mod written;

use std::sync::Arc;

use super::catalog::SqlType;
pub use written::Written;

/// Everything one source contributes to an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePlan {
    /// The base rows.
    pub page: Select,
    /// One-to-many rows that hang off them.
    pub children: Arc<[Child]>,
}

/// How one row of a source is read by its key: only the key ever differs, so that `store` writes it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedRead {
    /// The base rows without the condition on the key.
    pub select: Select,
    /// The columns of the key.
    pub key: Vec<ColumnRef>,
    /// One-to-many rows that hang off the row.
    pub children: Arc<[Child]>,
    /// What `store` wrote of it.
    pub written: Written,
    /// What `store` wrote of reading many rows by their keys.
    pub many: Written,
}

/// How many base rows a source has for a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The base relation.
    pub from: Arc<Relation>,
    /// To-one joins, in order.
    pub joins: Arc<[Join]>,
    /// What must hold.
    pub filter: Predicate,
}

/// Something rows come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Relation {
    /// A table or view.
    Table {
        /// Schema, where the engine has them and it is not the default.
        schema: Option<String>,
        /// Name in the catalogue's own case.
        name: String,
    },
    /// An operator-approved, single, read-only SELECT used like a table.
    Query {
        /// The source's name in the mapping, for messages.
        name: String,
        /// The approved text.
        sql: String,
    },
    /// Each combination of some columns' values that a table's rows have, once.
    Distinct {
        /// A table or an approved query.
        of: Box<Relation>,
        /// The columns; each is a column of this relation under the same name.
        columns: Vec<ColumnRef>,
        /// Which rows count.
        filter: Box<Predicate>,
    },
}

impl Relation {
    /// The table's name, or the named source's.
    pub fn name(&self) -> &str {
        match self {
            Self::Table { name, .. } | Self::Query { name, .. } => name,
            Self::Distinct { of, .. } => of.name(),
        }
    }
}

/// A column of one of a select's relations.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ColumnRef {
    /// 0 is [`Select::from`], `n` is the `n`-th of [`Select::joins`], counted from 1.
    pub relation: usize,
    /// Name in the catalogue's own case.
    pub name: String,
    /// What it holds.
    pub ty: SqlType,
    /// Its own rules of comparing letters: see [`Column::collation`](super::catalog::Column::collation).
    pub collation: Option<Arc<str>>,
}

/// A to-one left join.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Join {
    /// What is joined.
    pub relation: Relation,
    /// All must hold; columns of the joined relation carry its own number.
    pub on: Vec<JoinOn>,
}

/// One condition of a join.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum JoinOn {
    /// `left = right`, columns of two relations.
    Columns(ColumnRef, ColumnRef),
    /// `column = value`.
    Value(ColumnRef, Value),
    /// Of the rows that meet the join's other conditions, the first in this order. Written once, last.
    First {
        /// The joined relation's own key.
        key: Vec<ColumnRef>,
        /// The order; ends in the key, so it is total.
        order: Vec<Order>,
    },
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Select {
    /// The base relation.
    pub from: Arc<Relation>,
    /// To-one joins, in order.
    pub joins: Arc<[Join]>,
    /// What is fetched, each as text (see [`SqlType`] for the forms).
    pub columns: Arc<[ColumnRef]>,
    /// What must hold.
    pub filter: Predicate,
    /// Order of the rows; ends in a key, so it is total.
    pub order: Vec<Order>,
    /// Keyset position: rows strictly after these values of `order`, one each.
    pub after: Option<Vec<Option<Value>>>,
    /// At most that many rows.
    pub limit: Option<u32>,
}

/// One sort key. NULLs come last whatever the direction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Order {
    /// The column.
    pub column: ColumnRef,
    /// Largest first.
    pub descending: bool,
}

/// Rows of a one-to-many table for a whole page at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// Its statement without the key condition. `store` adds `own IN (keys of the page)`, `own` first in order.
    pub select: Select,
    /// Whose rows are the parents: an earlier child of the same plan, or the page where none is named.
    pub of: Option<usize>,
    /// Which columns of the parents' `select.columns` make the parent key.
    pub parent: Vec<usize>,
    /// The child's columns that hold that key, in the same order. Each is also in `select.columns`.
    pub own: Vec<ColumnRef>,
    /// What `store` wrote of it.
    pub written: Written,
}

/// A value to bind, already parsed and in the canonical text form of its type, so that no engine has
/// to guess: integers and decimals in plain digits, `true`/`false`, dates `YYYY-MM-DD`, times
/// `HH:MM:SS[.ffffff]`, date-times `YYYY-MM-DDTHH:MM:SS[.ffffff]`, instants the same with `Z`, UUIDs
/// hyphenated lower case, bytes as hex.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Value {
    /// The type it is bound as; that of the column it is compared with.
    pub ty: SqlType,
    /// Its canonical text.
    pub text: String,
}

/// Something a predicate looks at. Columns stay bare wherever they can, so indexes stay usable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Expr {
    /// A column as it is.
    Column(ColumnRef),
    /// The parts that are neither NULL nor blank, joined by a separator; NULL when none is left.
    Joined {
        /// The parts.
        parts: Vec<Expr>,
        /// What stands between them.
        separator: String,
    },
    /// Pieces of a text column put in another order, to compare local dates as ISO text:
    /// each piece is a literal or (1-based start, length) of the column.
    Pieces {
        /// The text column.
        column: ColumnRef,
        /// The pieces in order.
        pieces: Vec<Piece>,
    },
    /// The text without blanks at either end.
    Trimmed(Box<Expr>),
}

/// One piece of [`Expr::Pieces`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Piece {
    /// These characters.
    Literal(String),
    /// That many characters from there on, counted from 1.
    Slice {
        /// First character, from 1.
        start: u32,
        /// Number of characters.
        length: u32,
    },
}

/// How a comparison goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompareOp {
    /// `=`
    Eq,
    /// `<>`, false for NULL
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

/// Where a text must stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextMatch {
    /// The whole text.
    Equals,
    /// At the beginning.
    StartsWith,
    /// At the beginning, or right after a separator (a `split` column).
    StartsWord {
        /// The separator.
        separator: char,
    },
    /// Anywhere.
    Contains,
}

/// Which letters of a cell count as one that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alike {
    /// That letter alone.
    Exact,
    /// Whatever the case and the accents.
    Folded,
    /// Those of which it is the capital.
    Capital,
    /// Those of which it is the small letter.
    Small,
}

/// A condition on rows. Three-valued logic never leaks: a NULL makes the predicate it is in false,
/// and [`Not`](Self::Not) of that is true.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Predicate {
    /// Always true.
    Always,
    /// Never true.
    Never,
    /// All hold (true when empty).
    All(Vec<Predicate>),
    /// At least one holds (false when empty).
    Any(Vec<Predicate>),
    /// It does not hold; NULL counts as not holding.
    Not(Box<Predicate>),
    /// A comparison with a value.
    Compare {
        /// Left side.
        left: Expr,
        /// How.
        op: CompareOp,
        /// Right side.
        right: Value,
    },
    /// Equal to one of the values.
    In {
        /// Left side.
        left: Expr,
        /// The values.
        values: Vec<Value>,
    },
    /// Is NULL.
    IsNull(Expr),
    /// The cell is of the kind its column's type says, and not NULL. Only SQLite keeps others.
    OwnKind(ColumnRef),
    /// Character match.
    Text {
        /// Left side.
        left: Expr,
        /// Where.
        how: TextMatch,
        /// What, literally: no wildcards.
        text: String,
        /// Which letters count as the one that stands there.
        alike: Alike,
    },
    /// The column's text begins with `begins`, folded, as far as an index of `lower(column)` can tell:
    /// never false where [`Self::Text`] with that beginning is true.
    Lowered {
        /// The column.
        column: ColumnRef,
        /// What it begins with, at least in part.
        begins: String,
    },
    /// The text begins with `begins`, folded, as far as an index of folded texts can tell: never false where
    /// [`Self::Text`] with that beginning is true. Dear where there is no such index.
    Folded {
        /// The column, or the column without blanks at its ends.
        left: Expr,
        /// What it begins with, at least in part.
        begins: String,
    },
    /// No row of the same relation that meets `filter` has the same values in `group` and a smaller
    /// key: the row that stands for its group.
    First {
        /// The relation of the columns below, which is this select's `from`.
        from: Arc<Relation>,
        /// Which rows count.
        filter: Box<Predicate>,
        /// What the rows of a group have in common; NULL is in no group.
        group: Vec<ColumnRef>,
        /// What tells the first of them.
        key: Vec<ColumnRef>,
    },
    /// The columns' values are among those a sub-select gives. Never correlated.
    InSelect {
        /// Own columns.
        columns: Vec<ColumnRef>,
        /// The select whose `columns` are compared with them, in the same order. Its relations are
        /// numbered on their own.
        select: Box<Select>,
    },
    /// Own values are, text by text, among those that other rows hold: what is a reference on one side
    /// is an id on the other, and both are texts in the end. Never correlated.
    Among {
        /// Own values.
        own: Vec<Expr>,
        /// What the other rows hold, in the same order.
        theirs: Vec<Expr>,
        /// The other rows. Their relations are numbered on their own.
        rows: Box<Rowset>,
    },
    /// The columns hold one of these keys, letter by letter.
    Keys {
        /// The columns, two or more.
        columns: Vec<ColumnRef>,
        /// The keys, one value for each column.
        keys: Vec<Vec<Value>>,
    },
    /// The texts consist of what a FHIR id may, and are no longer together than that.
    Id {
        /// The texts.
        parts: Vec<IdText>,
        /// Most characters of all together.
        room: u32,
    },
}

/// A text that is part of an id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdText {
    /// The text.
    pub text: Expr,
    /// Whether what may not stand in an id is written so that it may.
    pub escaped: bool,
    /// The character behind it that parts it from the rest; that is escaped as well.
    pub apart: Option<char>,
    /// Whether it is that of a number with a fraction, which may be none that can be shown (`NaN`).
    pub number: bool,
}

/// Rows that are looked at and not fetched.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rowset {
    /// The base relation.
    pub from: Arc<Relation>,
    /// To-one joins, in order.
    pub joins: Arc<[Join]>,
    /// What must hold.
    pub filter: Predicate,
}
