//! Relations and columns: what `from`, `join`, `each` and `$column` name.

use crate::base::Engine;
use crate::mapping::catalog::{SqlType, Table};
use crate::mapping::document::{Node, Scalar};
use crate::mapping::lens::predicate::all;
use crate::mapping::lens::{Reading, Slot, typed};
use crate::mapping::plan::{ColumnRef, Join, JoinOn, Predicate, Relation};
use crate::mapping::problem::{did_you_mean, pointer};
use crate::mapping::syntax::{ColumnName, column_name};
use crate::mapping::tree::{Condition, Test};

use super::Compiler;

/// The relations a template's columns come from, and the columns it reads.
#[derive(Debug)]
pub(super) struct Scope<'c> {
    /// The base table is first; the others are joins with their aliases.
    pub relations: Vec<(String, &'c Table)>,
    pub joins: Vec<Join>,
    pub columns: Vec<ColumnRef>,
    /// Whether these are the rows of an `each`.
    pub child: bool,
}

impl<'c> Scope<'c> {
    /// The cell a column is read into; it is fetched from now on.
    pub fn slot(&mut self, column: ColumnRef) -> Slot {
        let found = self.columns.iter().position(|c| *c == column);
        let cell = found.unwrap_or_else(|| {
            self.columns.push(column.clone());
            self.columns.len() - 1
        });
        self.slot_at(cell, column)
    }

    fn slot_at(&self, cell: usize, column: ColumnRef) -> Slot {
        let table = self.relations.get(column.relation).map(|(_, table)| table);
        let indexed = table.is_some_and(|t| t.indexed(&[column.name.as_str()]));
        Slot { cell, column, indexed, nothing: Vec::new() }
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

/// The relation a table is in a plan.
pub(super) fn relation(table: &Table, default_schema: Option<&str>) -> Relation {
    let schema = table.schema.clone().filter(|s| Some(s.as_str()) != default_schema);
    Relation::Table { schema, name: table.name.clone() }
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
    /// Finds the table a part names.
    pub(super) fn table(&mut self, node: &Node, at: &str) -> Option<&'c Table> {
        let Some(name) = node.get("table").and_then(Node::text) else {
            let hint = "Write `table:` and the table's name.";
            self.problems.error(at, "missing", "The table is not named.", hint);
            return None;
        };
        let schema = node.get("schema").and_then(Node::text);
        let catalog = self.catalog;
        if let Some(table) = catalog.table(schema.as_deref(), &name) {
            return Some(table);
        }
        let names = catalog.tables.iter().map(|t| t.name.as_str());
        let hint =
            did_you_mean(&name, names, "The connection's user may lack the right to see it.");
        let message = format!("There is no table or view '{name}'.");
        self.problems.error(&pointer(at, "table"), "unknown-table", message, hint);
        None
    }

    /// Finds a column.
    pub(super) fn column(
        &mut self,
        scope: &Scope<'c>,
        name: &ColumnName,
        at: &str,
    ) -> Option<ColumnRef> {
        let wanted = name.alias.as_deref().unwrap_or("");
        let Some(number) = scope.relations.iter().position(|(alias, _)| alias == wanted) else {
            let hint = did_you_mean(
                wanted,
                scope.relations.iter().skip(1).map(|(alias, _)| alias.as_str()),
                "Declare it under `join:`; a name with a dot means a joined table.",
            );
            let message = format!("There is no joined table '{wanted}' here.");
            self.problems.error(at, "unknown-join", message, hint);
            return None;
        };
        let (_, table) = scope.relations.get(number)?;
        let Some(column) = table.column(&name.name) else {
            let names = table.columns.iter().map(|c| c.name.as_str());
            let hint = did_you_mean(&name.name, names, "Look the table's columns up.");
            let message = format!("The table '{}' has no column '{}'.", table.name, name.name);
            self.problems.error(at, "unknown-column", message, hint);
            return None;
        };
        if is_credential(&column.name) {
            let message = format!("The column '{}' looks like a credential.", column.name);
            let hint = "Passwords and the like are never read; leave the column out.";
            self.problems.error(at, "credential", message, hint);
            return None;
        }
        Some(ColumnRef { relation: number, name: column.name.clone(), ty: column.ty })
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
            self.keys(join, &["table", "schema", "match", "filter"], &at);
            let Some(table) = self.table(join, &at) else { continue };
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
            if !table.unique(&names) && !table.view {
                let message = format!("Several rows of '{}' may match one of ours.", table.name);
                let hint =
                    "A join must find at most one row; match a whole key, or use `each` for lists.";
                self.problems.warn(&at, "join-fan-out", message, hint);
            }
            debug_assert_eq!(number, scope.joins.len() + 1);
            let relation = relation(table, self.catalog.default_schema.as_deref());
            scope.joins.push(Join { relation, on });
        }
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

    /// Reads `filter:` or `if:`: every column with what it must be.
    pub(super) fn conditions(
        &mut self,
        scope: &Scope<'c>,
        node: Option<&Node>,
        at: &str,
    ) -> Vec<(ColumnRef, Test)> {
        let Some(node) = node else { return Vec::new() };
        if !matches!(node, Node::Map(_)) {
            let hint = "Write `{column: value}`, `{column: [a, b]}`, `{column: {missing: true}}` or `{column: {not: …}}`.";
            self.problems.error(at, "shape", "Conditions are a group of columns.", hint);
            return Vec::new();
        }
        let mut found = Vec::new();
        for (name, value) in node.members() {
            let at = pointer(at, name);
            let Some(column) = self.column(scope, &column_name(name), &at) else { continue };
            if let Some(test) = self.test(&column, value, &at) {
                found.push((column, test));
            }
        }
        found
    }

    fn test(&mut self, column: &ColumnRef, value: &Node, at: &str) -> Option<Test> {
        let negated = match value {
            Node::Map(members) => match members.as_slice() {
                [(word, inner)] if word == "not" => Some(inner),
                [(word, Node::Scalar(Scalar::Bool(missing)))] if word == "missing" => {
                    return Some(if *missing { Test::Null } else { Test::NotNull });
                }
                _ => {
                    let hint = "Write a value, a list of values, `{not: …}` or `{missing: true}`.";
                    self.problems.error(at, "shape", "This is no condition.", hint);
                    return None;
                }
            },
            _ => None,
        };
        let wanted = negated.unwrap_or(value);
        if wanted.is_null() {
            return Some(if negated.is_some() { Test::NotNull } else { Test::Null });
        }
        let scalar = std::slice::from_ref(wanted);
        let items = if let Node::List(items) = wanted { items.as_slice() } else { scalar };
        let mut texts = Vec::new();
        for item in items {
            let text = match item {
                Node::Scalar(Scalar::Bool(truth)) if typed::is_text(column.ty) => {
                    let message = "true and false are no texts.";
                    let hint = format!("Quote it: \"{truth}\".");
                    self.problems.error(at, "type", message, hint);
                    return None;
                }
                item => item.text(),
            };
            let value = text.as_deref().and_then(|t| typed::for_column(column, t));
            let Some(value) = value else {
                let message = format!("'{}' cannot hold this value.", column.name);
                let hint = "Compare with what the column holds, written as the database shows it.";
                self.problems.error(at, "type", message, hint);
                return None;
            };
            texts.push(value.text);
        }
        Some(if negated.is_some() { Test::NotIn(texts) } else { Test::In(texts) })
    }
}

/// Conditions with the cells they look at.
pub(super) fn with_slots(scope: &mut Scope<'_>, found: Vec<(ColumnRef, Test)>) -> Vec<Condition> {
    found.into_iter().map(|(column, test)| Condition { slot: scope.slot(column), test }).collect()
}

/// Conditions that only the database looks at, as one.
pub(super) fn stored(
    scope: &Scope<'_>,
    found: Vec<(ColumnRef, Test)>,
    reading: &Reading,
) -> Predicate {
    let condition = |(column, test)| Condition { slot: scope.slot_at(usize::MAX, column), test };
    all(found.into_iter().map(|found| condition(found).stored(reading)))
}
