//! `children:` of a `write:`: which one-to-many tables are written, and how.

use crate::mapping::document::Node;
use crate::mapping::lens::typed;
use crate::mapping::plan::{ColumnRef, Relation};
use crate::mapping::problem::{did_you_mean, pointer};
use crate::mapping::tree::{ChildRows, Source};
use crate::mapping::write::{self, ChildMode, ChildRules};

use super::Compiler;
use super::scope::Scope;
use super::write::{Leaves, column_rules, plain_filter};

fn name_of(relation: &Relation) -> &str {
    match relation {
        Relation::Table { name, .. } | Relation::Query { name, .. } => name,
        Relation::Distinct { .. } => "",
    }
}

impl<'c> Compiler<'c> {
    fn child_table(&self, child: &ChildRows) -> Option<&'c crate::mapping::catalog::Table> {
        match &*child.relation {
            Relation::Table { schema, name } => self.catalog.table(schema.as_deref(), name),
            Relation::Query { .. } | Relation::Distinct { .. } => None,
        }
    }

    /// The columns that tell one row of a child from another.
    pub(super) fn child_key(&self, child: &ChildRows) -> Vec<ColumnRef> {
        let Some(table) = self.child_table(child) else { return Vec::new() };
        let column = |name: &String| Some(table.column(name)?.of_relation(0));
        table.primary_key.iter().filter_map(column).collect()
    }

    pub(super) fn write_children(
        &mut self,
        source: &Source,
        node: Option<&Node>,
        read_only: &[String],
        at: &str,
    ) -> Vec<ChildRules> {
        let at = pointer(at, "children");
        let names: Vec<&str> = source.children.iter().map(|c| name_of(&c.relation)).collect();
        for (name, _) in node.map(Node::members).unwrap_or_default() {
            if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                let hint = did_you_mean(name, names.iter().copied(), "Name a table of an `each`.");
                let message = format!("No `each` of this entry is over '{name}'.");
                self.problems.error(&pointer(&at, name), "unknown-table", message, hint);
            }
        }
        let mut rules = Vec::new();
        for (number, child) in source.children.iter().enumerate() {
            let entry = node.map(Node::members).unwrap_or_default().iter();
            let mut entry = entry.filter(|(n, _)| n.eq_ignore_ascii_case(name_of(&child.relation)));
            let entry = entry.next();
            let at = pointer(&at, entry.map_or("", |(name, _)| name.as_str()));
            let entry = entry.map(|(_, node)| node);
            let rule = self.child_rules(source, number, child, entry, read_only, &at);
            rules.push(rule);
        }
        rules
    }

    fn child_rules(
        &mut self,
        source: &Source,
        number: usize,
        child: &ChildRows,
        node: Option<&Node>,
        read_only: &[String],
        at: &str,
    ) -> ChildRules {
        let mut rules = ChildRules {
            mode: self.mode(node, at),
            key: Vec::new(),
            columns: std::collections::HashMap::new(),
            filter: Vec::new(),
            set: Vec::new(),
            uuid: None,
            soft: None,
        };
        if rules.mode == ChildMode::ReadOnly {
            return rules;
        }
        let Some(table) = self.child_table(child).filter(|table| !table.view) else {
            let hint = "Only tables are written; write `read_only`.";
            self.problems.error(at, "write-view", "This is no table of its own.", hint);
            return rules;
        };
        let mut width = child.columns.len();
        for column in self.child_key(child) {
            let known = child.columns.iter().position(|c| *c == column);
            let cell = known.unwrap_or(width);
            width += usize::from(known.is_none());
            rules.key.push((cell, column));
        }
        if rules.key.is_empty() {
            let message = format!("'{}' has no primary key to tell its rows apart.", table.name);
            let hint = "Write `read_only`, or give the table a primary key.";
            self.problems.error(at, "key-not-unique", message, hint);
        }
        rules.columns = column_rules(table);
        let (filter, open) = plain_filter(&child.conditions);
        rules.filter = filter;
        let scope = Scope::new(table);
        let set =
            self.constants(&scope, node.and_then(|n| n.get("set")), false, &pointer(at, "set"));
        rules.set = set.into_iter().filter_map(|(c, value)| Some((c, value?))).collect();
        if let Some(soft) = node.and_then(|n| n.get("soft")) {
            rules.soft = Some(self.constants(&scope, Some(soft), true, &pointer(at, "soft")));
        }
        for column in open.iter().filter(|c| !rules.set.iter().any(|(set, _)| set == *c)) {
            let message =
                format!("The filter on '{}' does not say which value a new row gets.", column.name);
            let hint = format!("Write `set: {{{}: …}}`.", column.name);
            self.problems.error(at, "filter-not-set", message, hint);
        }
        self.child_item(source, number, child, &mut rules, node, read_only, at);
        rules
    }

    /// The item's leaves, and the columns a new row must have.
    #[expect(clippy::too_many_arguments, reason = "a child, its rules, and where they are written")]
    fn child_item(
        &mut self,
        source: &Source,
        number: usize,
        child: &ChildRows,
        rules: &mut ChildRules,
        node: Option<&Node>,
        read_only: &[String],
        at: &str,
    ) {
        let mut found = None;
        write::eaches(&source.root, &mut |each| {
            if each.child() == Some(number) {
                found = Some(each);
            }
        });
        let Some(each) = found else { return };
        if each.max != usize::MAX && each.max != 1 {
            let hint = "Take `max` away, or write `read_only`.";
            self.problems.error(at, "max", "A list that is cut short cannot be written.", hint);
        }
        let mut leaves = Vec::new();
        write::part(&each.item, &mut |leaf| leaves.push(leaf));
        let leaves = Leaves { all: leaves, joins: &child.joins, paths: &source.paths, read_only };
        self.check_leaves(&leaves, at);
        let mut given = leaves.written();
        let fixed = rules.filter.iter().chain(&rules.set).map(|(column, _)| column);
        given.extend(fixed.chain(child.own.iter().map(|s| &s.column)).map(|c| c.name.clone()));
        if node.and_then(|n| n.get("key")).and_then(Node::text).as_deref() == Some("uuid") {
            let mut open = rules.key.iter().map(|(_, column)| column);
            let open = open.find(|column| !given.contains(&column.name));
            let fits = |c: &&ColumnRef| {
                typed::for_column(c, "00000000-0000-4000-8000-000000000000").is_some()
            };
            rules.uuid = open.filter(fits).cloned();
            given.extend(rules.uuid.iter().map(|column| column.name.clone()));
        }
        let Some(table) = self.child_table(child) else { return };
        let rowid = |name: &str, declared: &str| {
            declared.eq_ignore_ascii_case("INTEGER")
                && matches!(table.primary_key.as_slice(), [key] if key == name)
        };
        for column in &table.columns {
            let lower = column.name.to_lowercase();
            let by_itself = column.has_default || rowid(&column.name, &column.declared);
            if let Some(rule) = rules.columns.get_mut(&lower) {
                rule.has_default = by_itself;
            }
            if column.nullable || by_itself || given.contains(&column.name) {
                continue;
            }
            let message = format!(
                "'{}.{}' may not be NULL, has no default, and nothing gives it a value.",
                table.name, column.name
            );
            let hint =
                format!("Map it, or write `set: {{{}: …}}`; `key: uuid` for a key.", column.name);
            self.problems.error(at, "not-covered", message, hint);
        }
    }

    fn mode(&mut self, node: Option<&Node>, at: &str) -> ChildMode {
        let Some(node) = node else { return ChildMode::ReadOnly };
        if matches!(node, Node::Map(_)) {
            self.keys(node, &["mode", "set", "soft", "key"], at);
        }
        let word = node.text().or_else(|| node.get("mode").and_then(Node::text));
        match word.as_deref() {
            Some("replace") => ChildMode::Replace,
            Some("merge") => ChildMode::Merge,
            Some("read_only") => ChildMode::ReadOnly,
            _ => {
                let hint = "Write `replace`, `merge` or `read_only`, or `{mode: …, set: {…}}`.";
                self.problems.error(at, "shape", "This is no way to write a list.", hint);
                ChildMode::ReadOnly
            }
        }
    }
}
