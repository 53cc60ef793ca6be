//! `write:` of an entry: whether the template can be turned around, and whether rows that come of it can
//! be stored.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::mapping::catalog::{SqlType, Table};
use crate::mapping::document::{Node, Scalar};
use crate::mapping::lens::{Gather, Lens, typed};
use crate::mapping::plan::{Child, ColumnRef, Join, KeyedRead, Select, Value, Written};
use crate::mapping::problem::{did_you_mean, pointer};
use crate::mapping::syntax::column_name;
use crate::mapping::tree::{Leaf, Source, Test};
use crate::mapping::write::{self, ColumnRule, DeleteRules, Rules, bases, powerless};

use super::Compiler;
use super::scope::Scope;

/// The columns of a table with what they take.
pub(super) fn column_rules(table: &Table) -> HashMap<String, ColumnRule> {
    table.columns.iter().map(|c| (c.name.to_lowercase(), ColumnRule::of(c))).collect()
}

/// Where the leaves of a row are checked.
pub(super) struct Leaves<'l> {
    pub all: Vec<&'l Leaf>,
    pub joins: &'l [Join],
    pub paths: &'l [String],
    pub read_only: &'l [String],
}

impl Leaves<'_> {
    fn path(&self, leaf: &Leaf) -> &str {
        self.paths.get(leaf.path).map_or("", String::as_str)
    }

    fn is_listed(&self, leaf: &Leaf) -> bool {
        listed(self.read_only, self.path(leaf))
    }

    /// The columns that some leaf can write.
    pub fn written(&self) -> BTreeSet<String> {
        let able = |leaf: &&&Leaf| !self.is_listed(leaf) && powerless(&leaf.lens).is_none();
        let slots = self.all.iter().filter(able).flat_map(|leaf| leaf.lens.slots());
        slots.map(|slot| slot.column.name.clone()).collect()
    }
}

fn listed(read_only: &[String], path: &str) -> bool {
    let inner = path.split_once('.').map_or(path, |(_, inner)| inner);
    read_only.iter().any(|entry| {
        inner.strip_prefix(entry.as_str()).is_some_and(|r| r.is_empty() || r.starts_with('.'))
    })
}

impl<'c> Compiler<'c> {
    /// Compiles `write:`.
    pub(super) fn write(
        &mut self,
        source: &Source,
        scope: &Scope<'c>,
        conditions: &[(ColumnRef, Test)],
        node: &Node,
        at: &str,
    ) -> Option<Rules> {
        let at = pointer(at, "write");
        let parts = ["create", "update", "delete", "children", "read_only", "unmapped"];
        self.keys(node, &parts, &at);
        if node.get("unmapped").is_some_and(|word| word.text().as_deref() != Some("reject")) {
            let hint = "Elements without a place are always refused: write `reject` or nothing.";
            let pointer = pointer(&at, "unmapped");
            self.problems.error(&pointer, "shape", "This is no way to treat them.", hint);
        }
        let table = scope.table()?;
        if table.view {
            let hint = "Write `from: {table: …}` with a table of its own, or leave `write` out.";
            let message = format!("'{}' is a view, and views are not written.", table.name);
            self.problems.error(&at, "write-view", message, hint);
            return None;
        }
        if let Some(part) = write::one_way(source) {
            let hint = "Leave `write` out, or map what is written in an entry of its own.";
            let message = format!("This entry has {part}, which cannot be written back.");
            self.problems.error(&at, "write-one-way", message, hint);
            return None;
        }
        let read_only = self.read_only(source, node.get("read_only"), &at);
        let mut leaves = Vec::new();
        write::leaves(&source.root, &mut |leaf| leaves.push(leaf));
        let ty = &source.resource_type;
        let own = [format!("{ty}.meta.versionId"), format!("{ty}.meta.lastUpdated")];
        leaves.retain(|leaf| source.paths.get(leaf.path).is_none_or(|p| !own.contains(p)));
        let (joins, paths) = (&*source.joins, source.paths.as_slice());
        let leaves = Leaves { all: leaves, joins, paths, read_only: &read_only };
        self.check_leaves(&leaves, &at);
        let (filter, open) = plain_filter(conditions);
        let children = self.write_children(source, node.get("children"), &read_only, &at);
        let (version_column, touch, update) = self.update(source, scope, node.get("update"), &at);
        let columns = column_rules(table);
        let mut given = leaves.written();
        given.extend(filter.iter().map(|(column, _)| column.name.clone()));
        given.extend(version_column.iter().chain(&touch).map(|column| column.name.clone()));
        let create = node.get("create").filter(|node| on(node));
        let create = create.and_then(|n| self.create(source, scope, n, &mut given, &open, &at));
        let delete = self.delete(scope, conditions, node.get("delete"), &at);
        let (read, version_cell) = self.write_read(source, version_column.as_ref());
        Some(Rules {
            create,
            update,
            delete,
            version_column,
            touch,
            columns,
            filter,
            children,
            read_only,
            read: Arc::new(read),
            version_cell,
        })
    }

    /// Complains of leaves that have no way back and are not said to be read-only.
    pub(super) fn check_leaves(&mut self, leaves: &Leaves<'_>, at: &str) {
        let written = leaves.written();
        for leaf in &leaves.all {
            let Some(why) = powerless(&leaf.lens) else { continue };
            let follows = bases(&leaf.lens, leaves.joins);
            let derived = !follows.is_empty() && follows.iter().all(|c| written.contains(c));
            if derived || leaves.is_listed(leaf) {
                continue;
            }
            let path = leaves.path(leaf);
            let inner = path.split_once('.').map_or(path, |(_, inner)| inner);
            let message = format!("{path} cannot be written: {why}.");
            let hint =
                format!("Write `read_only: [{inner}]`, or map it so that it can be turned around.");
            self.problems.error(at, "no-way-back", message, hint);
        }
    }

    fn read_only(&mut self, source: &Source, node: Option<&Node>, at: &str) -> Vec<String> {
        let at = pointer(at, "read_only");
        let entries = match node {
            None => return Vec::new(),
            Some(Node::List(entries)) => entries.as_slice(),
            Some(one) => std::slice::from_ref(one),
        };
        let mut found = Vec::new();
        for (number, entry) in entries.iter().enumerate() {
            let at = pointer(&at, &number.to_string());
            let Some(path) = entry.text() else {
                let hint = "Write `read_only: [name.family, photo]`.";
                self.problems.error(&at, "shape", "This is no element.", hint);
                continue;
            };
            let inner = |path: &String| path.split_once('.').map(|(_, inner)| inner.to_owned());
            let known: Vec<String> = source.paths.iter().filter_map(inner).collect();
            if known.iter().any(|known| listed(&[path.to_string()], &format!("X.{known}"))) {
                found.push(path.into_owned());
            } else {
                let names = known.iter().map(String::as_str);
                let hint =
                    did_you_mean(&path, names, "Name an element of `map`, such as name.family.");
                let message = format!("'{path}' is not mapped.");
                self.problems.error(&at, "unknown-element", message, hint);
            }
        }
        found
    }

    /// A column of the base table.
    pub(super) fn own_column(
        &mut self,
        scope: &Scope<'c>,
        name: &str,
        at: &str,
    ) -> Option<ColumnRef> {
        let column = self.column(scope, &column_name(name), at)?;
        if column.relation != 0 {
            let hint = "Name a column of the table itself.";
            self.problems.error(at, "joined", "A joined table is not written.", hint);
            return None;
        }
        Some(column)
    }

    /// `{column: value}`; `null` where that is allowed.
    pub(super) fn constants(
        &mut self,
        scope: &Scope<'c>,
        node: Option<&Node>,
        nulls: bool,
        at: &str,
    ) -> Vec<(ColumnRef, Option<Value>)> {
        let mut found = Vec::new();
        for (name, value) in node.map(Node::members).unwrap_or_default() {
            let at = pointer(at, name);
            let Some(column) = self.own_column(scope, name, &at) else { continue };
            let parsed = match value {
                Node::Scalar(Scalar::Null) if nulls => Some(None),
                node => node.text().and_then(|t| typed::for_column(&column, &t)).map(Some),
            };
            if let Some(value) = parsed {
                found.push((column, value));
            } else {
                let message = format!("'{name}' cannot hold this value.");
                let hint = "Write it as the database shows it.";
                self.problems.error(&at, "type", message, hint);
            }
        }
        found
    }

    /// The version column, the column to touch, and whether resources are updated at all.
    fn update(
        &mut self,
        source: &Source,
        scope: &Scope<'c>,
        node: Option<&Node>,
        at: &str,
    ) -> (Option<ColumnRef>, Option<ColumnRef>, bool) {
        let Some(node) = node.filter(|node| on(node)) else { return (None, None, false) };
        let at = pointer(at, "update");
        if matches!(node, Node::Map(_)) {
            self.keys(node, &["version_column", "touch"], &at);
        }
        let mut named = |word: &str| {
            let name = node.get(word).and_then(Node::text)?;
            self.own_column(scope, &name, &pointer(&at, word))
        };
        let (version, touch) = (named("version_column"), named("touch"));
        if let Some(column) = version.as_ref().filter(|c| !matches!(c.ty, SqlType::Integer { .. }))
        {
            let message =
                format!("'{}' holds no whole numbers, so it cannot be counted up.", column.name);
            let hint = "Use `touch` for a column that holds the time.";
            self.problems.error(&pointer(&at, "version_column"), "type", message, hint);
        }
        if let Some(column) = &touch
            && write::touch(column, source.modified.as_ref(), &self.reading, 0).is_none()
        {
            let message = format!("'{}' cannot hold the time of a change.", column.name);
            let hint = "Use a column of a date type, or one that `last_updated` reads.";
            self.problems.error(&pointer(&at, "touch"), "type", message, hint);
        }
        let moves = |lens: &Lens| match &lens.gather {
            Gather::Column(slot) => {
                [&version, &touch].into_iter().flatten().any(|c| c.name == slot.column.name)
            }
            _ => false,
        };
        match &source.version {
            None => {
                let message = "Without `version`, two people's changes cannot be told apart.";
                let hint = "Write `version: \"$column\"` and `version_column: column`.";
                self.problems.warn(&at, "no-version", message, hint);
            }
            Some(lens) if !moves(lens) => {
                let message = "The version would stay the same when the resource changes.";
                let hint = "Name the column of `version` as `version_column` or `touch`.";
                self.problems.error(&at, "version-stands-still", message, hint);
            }
            Some(_) => {
                let at_second = |column: &ColumnRef, millis| {
                    write::touch(column, source.modified.as_ref(), &self.reading, millis)
                };
                let coarse = touch.as_ref().filter(|_| version.is_none());
                if let Some(column) = coarse.filter(|c| at_second(c, 0) == at_second(c, 1000)) {
                    let message = format!(
                        "'{}' tells no seconds: two changes in a short time have one version.",
                        column.name
                    );
                    let hint = "Add a column that is counted up (`version_column`), or one that holds the second; until then one of two people's changes may be lost.";
                    self.problems.warn(&at, "version-coarse", message, hint);
                }
            }
        }
        (version, touch, true)
    }

    fn delete(
        &mut self,
        scope: &Scope<'c>,
        conditions: &[(ColumnRef, Test)],
        node: Option<&Node>,
        at: &str,
    ) -> Option<DeleteRules> {
        let node = node?;
        let at = pointer(at, "delete");
        if node.text().as_deref() == Some("hard") {
            return Some(DeleteRules::Hard);
        }
        self.keys(node, &["soft"], &at);
        let at = pointer(&at, "soft");
        let soft = self.constants(scope, node.get("soft"), true, &at);
        if soft.is_empty() {
            let hint = "Write `delete: hard`, or `delete: {soft: {column: value}}`.";
            self.problems.error(&at, "missing", "It is not said how a row is taken away.", hint);
            return None;
        }
        let hides = soft.iter().any(|(column, value)| {
            let text = value.as_ref().map(|value| value.text.as_str());
            conditions.iter().any(|(c, test)| {
                c == column
                    && match (test, text) {
                        (Test::In(texts), Some(text)) => !texts.iter().any(|t| t == text),
                        (Test::NotIn(texts), Some(text)) => texts.iter().any(|t| t == text),
                        (Test::In(_) | Test::NotNull, None) | (Test::Null, Some(_)) => true,
                        _ => false,
                    }
            })
        });
        if !hides {
            let message =
                "A row marked like this would still be shown: `from.filter` does not keep it out.";
            let hint =
                "Write the filter so that it names the column with the value of living rows.";
            self.problems.error(&at, "still-shown", message, hint);
        }
        Some(DeleteRules::Soft(soft))
    }

    /// The read before and after a change: everything rendered, the version column, the children's keys.
    fn write_read(
        &self,
        source: &Source,
        version: Option<&ColumnRef>,
    ) -> (KeyedRead, Option<usize>) {
        let mut columns = source.columns.to_vec();
        let version_cell = version.map(|version| {
            columns.iter().position(|column| column == version).unwrap_or_else(|| {
                columns.push(version.clone());
                columns.len() - 1
            })
        });
        let child = |(child, plan): (&crate::mapping::tree::ChildRows, &Child)| {
            let mut columns = child.columns.to_vec();
            for key in self.child_key(child) {
                if !columns.contains(&key) {
                    columns.push(key);
                }
            }
            let select = Select { columns: columns.into(), ..plan.select.clone() };
            Child { select, written: Written::default(), ..plan.clone() }
        };
        let children = source.children.iter().zip(source.child_plans.iter()).map(child).collect();
        let select = Select { columns: columns.into(), ..source.read.select.clone() };
        let key = source.read.key.clone();
        let (written, many) = (Written::default(), Written::default());
        (KeyedRead { select, key, children, written, many }, version_cell)
    }
}

/// Whether a part is switched on: there, and not `false`.
fn on(node: &Node) -> bool {
    !matches!(node, Node::Scalar(Scalar::Bool(false) | Scalar::Null))
}

/// What a filter says of each column: the one value it must have, or else only the column.
pub(super) fn plain_filter(
    conditions: &[(ColumnRef, Test)],
) -> (Vec<(ColumnRef, Value)>, Vec<ColumnRef>) {
    let (mut plain, mut open) = (Vec::new(), Vec::new());
    for (column, test) in conditions {
        match test {
            Test::In(texts) if texts.len() == 1 && column.relation == 0 => {
                let text = texts.first().cloned().unwrap_or_default();
                plain.push((column.clone(), Value { ty: column.ty, text }));
            }
            Test::Null => {}
            // A joined table's row is there or not; reading back tells.
            _ if column.relation != 0 => {}
            _ => open.push(column.clone()),
        }
    }
    (plain, open)
}
