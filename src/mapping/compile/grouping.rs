//! `group:` — several rows, one resource. Where the group's columns are the key, each combination of
//! their values is a row; where the key is the table's own, the group's first row stands for it.

use std::sync::Arc;

use crate::mapping::catalog::Table;
use crate::mapping::document::Node;
use crate::mapping::lens::predicate::{all, not};
use crate::mapping::plan::{ColumnRef, Expr, Predicate, Relation};
use crate::mapping::problem::pointer;
use crate::mapping::syntax::column_name;

use super::Compiler;
use super::scope::Scope;

/// What the rows of a group have in common.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub columns: Vec<ColumnRef>,
    /// Which rows count.
    pub filter: Predicate,
    /// Whether the rows are the combinations, not the table's own rows.
    pub distinct: bool,
}

/// The names a part of an entry lists: one text, or a list of them.
fn names(node: Option<&Node>) -> Vec<String> {
    let one = |node: &Node| node.text().map(|text| text.trim_start_matches('$').to_owned());
    match node {
        None => Vec::new(),
        Some(Node::List(items)) => items.iter().filter_map(one).collect(),
        Some(node) => one(node).into_iter().collect(),
    }
}

/// Whether a group's columns are its key, so that only they can be read of its rows.
fn is_distinct(group: &[String], key: &[String], table: &Table) -> bool {
    let has = |all: &[String], name: &String| all.iter().any(|n| n.eq_ignore_ascii_case(name));
    let key_names: Vec<&str> = key.iter().map(String::as_str).collect();
    key.len() == group.len() && key.iter().all(|n| has(group, n)) && !table.unique(&key_names)
}

impl<'c> Compiler<'c> {
    /// Reads `group:` of `from`. Its filter is not known yet.
    pub(super) fn group(
        &mut self,
        scope: &Scope<'c>,
        from: &Node,
        key: Option<&Node>,
        at: &str,
    ) -> Option<Group> {
        let node = from.get("group")?;
        let at = pointer(at, "group");
        let (wanted, table) = (names(Some(node)), scope.table()?);
        if wanted.is_empty() {
            let hint = "Write the columns that rows of one resource share: `group: [sample]`.";
            self.problems.error(&at, "shape", "The group has no columns.", hint);
            return None;
        }
        let mut columns = Vec::new();
        for name in &wanted {
            columns.push(self.column(scope, &column_name(name), &at)?);
        }
        let distinct = is_distinct(&wanted, &names(key), table);
        let plain: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
        if !table.view && !table.indexed(&plain) {
            let message = format!("No index of '{}' begins with {}.", table.name, plain.join(", "));
            let hint = "Every row of a page looks for the others of its group in the whole table.";
            self.problems.warn(&at, "unindexed", message, hint);
        }
        if let Some(name) =
            plain.iter().find(|name| table.column(name).is_some_and(|column| column.nullable))
            && !table.view
        {
            let message = format!("Rows in which '{name}' is NULL are in no group and not shown.");
            let hint = "Map them by an entry of their own, with a filter `{missing: true}`.";
            self.problems.warn(&at, "group-nullable", message, hint);
        }
        Some(Group { columns, filter: Predicate::Always, distinct })
    }

    /// What the rows of an entry come from, and which of them count.
    pub(super) fn grouped(
        &self,
        scope: &mut Scope<'c>,
        table: &Table,
        filter: Predicate,
        key: &[ColumnRef],
    ) -> (Arc<Relation>, Predicate) {
        let relation = self.relation(table);
        let Some(group) = &mut scope.group else { return (Arc::new(relation), filter) };
        let there = |c: &ColumnRef| not(Predicate::IsNull(Expr::Column(c.clone())));
        group.filter = all([filter].into_iter().chain(group.columns.iter().map(there)));
        if group.distinct {
            let (columns, filter) = (group.columns.clone(), Box::new(group.filter.clone()));
            let of = Box::new(relation);
            return (Arc::new(Relation::Distinct { of, columns, filter }), Predicate::Always);
        }
        let from = Arc::new(relation);
        let first = Predicate::First {
            from: Arc::clone(&from),
            filter: Box::new(group.filter.clone()),
            group: group.columns.clone(),
            key: key.to_vec(),
        };
        (from, all([group.filter.clone(), first]))
    }
}
