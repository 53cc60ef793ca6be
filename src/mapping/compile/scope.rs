//! Relations and columns: what `from`, `join`, `each` and `$column` name.

use crate::base::Engine;
use crate::mapping::catalog::{IndexedText, SqlType, Table};
use crate::mapping::document::Node;
use crate::mapping::lens::{Near, Slot, typed};
use crate::mapping::plan::{ColumnRef, Join, JoinOn, Order, Relation};
use crate::mapping::problem::{did_you_mean, pointer};
use crate::mapping::syntax::{ColumnName, column_name};

use super::Compiler;
use super::grouping::Group;

/// The relations a template's columns come from, and the columns it reads.
#[derive(Debug)]
pub(super) struct Scope<'c> {
    /// The base table is first; the others are joins with their aliases.
    pub relations: Vec<(String, &'c Table)>,
    pub joins: Vec<Join>,
    pub columns: Vec<ColumnRef>,
    /// How many `each` it stands in.
    pub level: usize,
    /// Which one-to-many rows these are.
    pub rows: Option<usize>,
    /// Whether these are the parts of a text.
    pub part: bool,
    /// What rows of one resource share, where several make one.
    pub group: Option<Group>,
}

impl<'c> Scope<'c> {
    /// A scope over a table alone.
    pub fn new(table: &'c Table) -> Self {
        Self {
            relations: vec![(String::new(), table)],
            joins: Vec::new(),
            columns: Vec::new(),
            level: 0,
            rows: None,
            part: false,
            group: None,
        }
    }

    /// The cell a column is read into; it is fetched from now on.
    pub fn slot(&mut self, column: ColumnRef) -> Slot {
        let found = self.columns.iter().position(|c| *c == column);
        let cell = found.unwrap_or_else(|| {
            self.columns.push(column.clone());
            self.columns.len() - 1
        });
        self.slot_at(cell, column)
    }

    pub(super) fn slot_at(&self, cell: usize, column: ColumnRef) -> Slot {
        let table = self.relations.get(column.relation).map(|(_, table)| table);
        let indexed = table.is_some_and(|t| t.indexed(&[column.name.as_str()]));
        let text_indexed = |of| table.is_some_and(|t| t.text_indexed(&column.name, of));
        let near = Near {
            lowered: text_indexed(IndexedText::Lowered),
            folded: text_indexed(IndexedText::Folded),
            folded_trimmed: text_indexed(IndexedText::FoldedTrimmed),
        };
        Slot { cell, column, indexed, near, nothing: Vec::new() }
    }

    /// The base table.
    pub fn table(&self) -> Option<&'c Table> {
        self.relations.first().map(|(_, table)| *table)
    }
}

/// Parts of column names that say a column holds a credential.
const CREDENTIALS: [&str; 6] = ["passw", "passwd", "pwd", "secret", "_salt", "contrasen"];

/// Whether a column's name says that it holds a credential.
pub(in crate::mapping) fn is_credential(name: &str) -> bool {
    let lower = name.to_lowercase();
    CREDENTIALS.iter().any(|part| lower.contains(part))
}

/// Most columns that are listed where a name is like none of them.
const LISTED: usize = 16;

/// What columns a table has, for somebody who asked for another.
fn columns_of(table: &Table) -> String {
    let names = table.columns.iter().map(|c| c.name.as_str()).filter(|name| !is_credential(name));
    let listed: Vec<&str> = names.clone().take(LISTED).collect();
    let more = names.count() - listed.len();
    match (listed.as_slice(), more) {
        ([], _) => "It has none that may be read.".to_owned(),
        (listed, 0) => format!("It has: {}.", listed.join(", ")),
        (listed, more) => format!("It has: {}, and {more} more.", listed.join(", ")),
    }
}

/// Whether the engine can compare columns of two types without being told how.
fn comparable(a: SqlType, b: SqlType) -> bool {
    let class = |ty: SqlType| match ty {
        SqlType::Integer { .. } | SqlType::Decimal | SqlType::Float => 0,
        SqlType::Text | SqlType::Char | SqlType::Enum => 1,
        SqlType::Boolean => 2,
        SqlType::Date | SqlType::DateTime | SqlType::Instant => 3,
        SqlType::Time => 4,
        SqlType::Uuid => 5,
        SqlType::Binary => 6,
        SqlType::Json | SqlType::Other => 7,
        SqlType::Any => 8,
    };
    class(a) == class(b) || a == SqlType::Any || b == SqlType::Any
}

impl<'c> Compiler<'c> {
    /// The relation a table is in a plan.
    pub(super) fn relation(&self, table: &Table) -> Relation {
        let named =
            self.catalog.named.iter().find(|named| std::ptr::eq(&raw const named.table, table));
        if let Some(named) = named {
            return Relation::Query { name: named.name.clone(), sql: named.sql.clone() };
        }
        Relation::Table { schema: self.catalog.written_schema(table), name: table.name.clone() }
    }

    /// Finds the table a part names. One that is not there is said to be missing, and stood in for.
    pub(super) fn table(&mut self, node: &Node, at: &str) -> &'c Table {
        if let Some(name) = node.get("source") {
            return self.named_source(name, &pointer(at, "source"));
        }
        let Some(name) = node.get("table").and_then(Node::text) else {
            let hint = "Write `table:` and the table's name.";
            self.problems.error(at, "missing", "The table is not named.", hint);
            return self.unknown;
        };
        let schema = node.get("schema").and_then(Node::text);
        let catalog = self.catalog;
        if let Some(table) = catalog.table(schema.as_deref(), &name) {
            return table;
        }
        let message = match schema.as_deref().or(catalog.default_schema.as_deref()) {
            Some(schema) => format!("There is no table or view '{name}' in '{schema}'."),
            None => format!("There is no table or view '{name}'."),
        };
        let elsewhere = catalog.tables.iter().filter(|t| t.name.eq_ignore_ascii_case(&name));
        let schemas: Vec<&str> = elsewhere.filter_map(|t| t.schema.as_deref()).collect();
        let hint = if schemas.is_empty() {
            let names = catalog.tables.iter().map(|t| t.name.as_str());
            did_you_mean(&name, names, "The connection's user may lack the right to see it.")
        } else {
            let schemas: Vec<String> = schemas.iter().map(|s| format!("`schema: {s}`")).collect();
            format!("One of that name is elsewhere: write {}.", schemas.join(" or "))
        };
        self.problems.error(&pointer(at, "table"), "unknown-table", message, hint);
        self.unknown
    }

    /// Whether a table is not there, so that nothing can be said of its columns.
    pub(super) fn is_unknown(&self, table: &Table) -> bool {
        std::ptr::eq(table, self.unknown)
    }

    /// Whether a column is of a table that is not there.
    pub(super) fn unknowable(&self, scope: &Scope<'_>, column: &ColumnRef) -> bool {
        scope.relations.get(column.relation).is_some_and(|(_, table)| self.is_unknown(table))
    }

    /// Finds a column.
    pub(super) fn column(
        &mut self,
        scope: &Scope<'c>,
        name: &ColumnName,
        at: &str,
    ) -> Option<ColumnRef> {
        let dotted = Self::dotted(scope, name);
        let name = dotted.as_ref().unwrap_or(name);
        let wanted = name.alias.as_deref().unwrap_or("");
        let Some(number) = scope.relations.iter().position(|(alias, _)| alias == wanted) else {
            let own = scope.table().is_some_and(|t| t.name.eq_ignore_ascii_case(wanted));
            let otherwise = if own {
                format!(
                    "Columns of the entry's own table stand without its name: `${}`.",
                    name.name
                )
            } else {
                "Declare it under `join:`; a name with a dot means a joined table.".to_owned()
            };
            let aliases = scope.relations.iter().skip(1).map(|(alias, _)| alias.as_str());
            let hint = did_you_mean(wanted, aliases, &otherwise);
            let message = format!("There is no joined table '{wanted}' here.");
            self.problems.error(at, "unknown-join", message, hint);
            return None;
        };
        let (_, table) = scope.relations.get(number)?;
        if self.is_unknown(table) {
            let (name, ty) = (name.name.clone(), SqlType::Any);
            return Some(ColumnRef { relation: number, name, ty, collation: None });
        }
        let Some(column) = table.column(&name.name) else {
            let names = table.columns.iter().map(|c| c.name.as_str());
            let hint = did_you_mean(&name.name, names, &columns_of(table));
            let message = format!("The table '{}' has no column '{}'.", table.name, name.name);
            self.problems.error(at, "unknown-column", message, hint);
            return None;
        };
        let grouped = scope.group.as_ref().filter(|group| number == 0 && group.distinct);
        if grouped.is_some_and(|g| !g.columns.iter().any(|c| c.name == column.name)) {
            let message = format!("The rows of a group differ in '{}'.", column.name);
            let hint = "Take it from the group's rows: `each: {group: true, filter: …}`.";
            self.problems.error(at, "group-column", message, hint);
            return None;
        }
        if is_credential(&column.name) {
            let message = format!("The column '{}' looks like a credential.", column.name);
            let hint = "Passwords and the like are never read; leave the column out.";
            self.problems.error(at, "credential", message, hint);
            return None;
        }
        Some(column.of_relation(number))
    }

    /// A name with a dot as a column of the table itself, where there is no joined table of that name.
    fn dotted(scope: &Scope<'c>, name: &ColumnName) -> Option<ColumnName> {
        let alias = name.alias.as_deref()?;
        if scope.relations.iter().any(|(known, _)| known == alias) {
            return None;
        }
        let whole = format!("{alias}.{}", name.name);
        scope.table()?.column(&whole).map(|_| ColumnName { alias: None, name: whole })
    }

    /// Reads `join:` of a resource or an `each`.
    pub(super) fn joins(&mut self, scope: &mut Scope<'c>, node: Option<&Node>, at: &str) {
        let Some(node) = node else { return };
        let at = pointer(at, "join");
        if !matches!(node, Node::Map(_)) {
            let hint = "Write `join: {alias: {table: …, match: {its column: our column}}}`.";
            self.problems.error(&at, "shape", "`join` is a group of named joins.", hint);
            return;
        }
        for (alias, join) in node.members() {
            let at = pointer(&at, alias);
            self.keys(join, &["table", "schema", "source", "match", "filter", "first"], &at);
            let table = self.table(join, &at);
            scope.relations.push((alias.clone(), table));
            let number = scope.relations.len() - 1;
            let mut on = Vec::new();
            let mut joined = Vec::new();
            let pairs = join.get("match").map(Node::members).unwrap_or_default();
            for (own, other) in pairs {
                let at = pointer(&pointer(&at, "match"), own);
                let own = ColumnName { alias: Some(alias.clone()), name: own.clone() };
                let other = other.text().map(|t| column_name(&t)).unwrap_or(own.clone());
                let (own, other) = (self.column(scope, &own, &at), self.column(scope, &other, &at));
                let (Some(own), Some(other)) = (own, other) else { continue };
                self.check_comparable(&own, &other, &at);
                joined.push(own.name.clone());
                on.push(JoinOn::Columns(other, own));
            }
            if on.is_empty() {
                let hint = "Write `match: {its column: our column}`.";
                self.problems.error(&at, "missing", "The join does not say what matches.", hint);
            }
            self.join_filter(scope, join.get("filter"), alias, &at, &mut on, &mut joined);
            let names: Vec<&str> = joined.iter().map(String::as_str).collect();
            if join.get("first").is_some() {
                on.extend(self.first(scope, join, table, &at));
            } else if (!table.tells_apart(&names) || table.heirs) && !table.view {
                let message = format!("Several rows of '{}' may match one of ours.", table.name);
                let hint = "A join must find at most one row: match a whole key, say which comes `first`, or use `each` for lists.";
                self.problems.warn(&at, "join-fan-out", message, hint);
            }
            debug_assert_eq!(number, scope.joins.len() + 1);
            let relation = self.relation(table);
            scope.joins.push(Join { relation, on });
        }
    }

    /// `first:` of a join — of several rows the first by an order.
    fn first(&mut self, scope: &Scope<'c>, join: &Node, table: &Table, at: &str) -> Option<JoinOn> {
        let number = scope.relations.len() - 1;
        if self.is_unknown(table) {
            return None;
        }
        if table.primary_key.is_empty() {
            let message = format!("'{}' has no primary key to tell its rows apart.", table.name);
            let hint = "Use an `each` with `max: 1`, or a named source with a key.";
            self.problems.error(&pointer(at, "first"), "no-key", message, hint);
            return None;
        }
        let alone = Scope {
            relations: vec![(String::new(), scope.relations.get(number)?.1)],
            ..Scope::new(scope.table()?)
        };
        let own = |column: ColumnRef| ColumnRef { relation: number, ..column };
        let mut key = Vec::new();
        for name in &table.primary_key {
            let name = ColumnName { alias: None, name: name.clone() };
            key.push(own(self.column(&alone, &name, at)?));
        }
        let mut order = self.order_at(&alone, join.get("first"), &pointer(at, "first"));
        if order.is_empty() {
            return None;
        }
        for term in &mut order {
            term.column.relation = number;
        }
        for column in &key {
            if !order.iter().any(|term| term.column == *column) {
                order.push(Order { column: column.clone(), descending: false });
            }
        }
        Some(JoinOn::First { key, order })
    }

    fn join_filter(
        &mut self,
        scope: &Scope<'c>,
        node: Option<&Node>,
        alias: &str,
        at: &str,
        on: &mut Vec<JoinOn>,
        joined: &mut Vec<String>,
    ) {
        let at = pointer(at, "filter");
        for (name, value) in node.map(Node::members).unwrap_or_default() {
            let at = pointer(&at, name);
            let name = ColumnName { alias: Some(alias.to_owned()), name: name.clone() };
            let Some(column) = self.column(scope, &name, &at) else { continue };
            let value = value.text().and_then(|text| typed::for_column(&column, &text));
            let Some(value) = value else {
                let hint = "A join's filter takes one value of the column's type.";
                self.problems.error(&at, "type", "The value does not fit the column.", hint);
                continue;
            };
            joined.push(column.name.clone());
            on.push(JoinOn::Value(column, value));
        }
    }

    pub(super) fn check_comparable(&mut self, a: &ColumnRef, b: &ColumnRef, at: &str) {
        if comparable(a.ty, b.ty) {
            return;
        }
        let message = format!("'{}' and '{}' hold different kinds of values.", a.name, b.name);
        let hint = "Match columns of the same kind, or map a view that casts one of them.";
        if self.catalog.engine == Engine::Postgres {
            self.problems.error(at, "type", message, hint);
        } else {
            self.problems.warn(at, "type", message, hint);
        }
    }
}
