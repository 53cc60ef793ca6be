//! `each:` — items from one-to-many rows, from the rows of a group, or from the parts of a text.

use std::sync::Arc;

use crate::base::Engine;
use crate::mapping::catalog::{SqlType, Table};
use crate::mapping::document::Node;
use crate::mapping::lens::Slot;
use crate::mapping::lens::cut::{Cut, json_pointer};
use crate::mapping::lens::predicate::all;
use crate::mapping::plan::{ColumnRef, Order, Predicate};
use crate::mapping::problem::pointer;
use crate::mapping::syntax::{self, LeafText, column_name};
use crate::mapping::tree::{ChildRows, Each, EachRows, Test, Tree};

use super::leaf::Wanted;
use super::scope::Scope;
use super::template::Place;
use super::{Builder, Compiler};

/// Most items that may be written for `max`.
const MAX_ITEMS: usize = 1000;

/// How deep one `each` may stand in others.
const MAX_LEVEL: usize = 2;

impl<'c> Compiler<'c> {
    pub(super) fn each(
        &mut self,
        b: &mut Builder,
        scope: &mut Scope<'c>,
        node: &Node,
        place: Place<'_, 'c>,
        most: usize,
    ) -> Option<Tree> {
        self.keys(node, &["each", "item"], place.at);
        let each = node.get("each")?;
        let at = pointer(place.at, "each");
        let Some(item) = node.get("item") else {
            let hint = "Write `item:` and what each row becomes.";
            self.problems.error(
                place.at,
                "missing",
                "`each` does not say what a row becomes.",
                hint,
            );
            return None;
        };
        let item_at = pointer(place.at, "item");
        let item = (item, place.at(&item_at));
        if each.get("split").is_some() || each.get("json").is_some() {
            return self.parts(b, scope, each, &at, item, most);
        }
        let known =
            ["table", "schema", "source", "group", "match", "filter", "order", "max", "join"];
        self.keys(each, &known, &at);
        if scope.level >= MAX_LEVEL || scope.part {
            let hint = "Map a named source or a view that brings the tables together.";
            let message = "An `each` can stand in another, not deeper.";
            self.problems.error(&at, "nested-each", message, hint);
            return None;
        }
        let grouped = self.flag(each, "group", &at, false);
        let table = if grouped { scope.table()? } else { self.table(each, &at) };
        let mut inner = Scope::new(table);
        inner.level = scope.level + 1;
        let child = b.reserve();
        inner.rows = Some(child);
        self.joins(&mut inner, each.get("join"), &at);
        let (own, parent, extra) = self.matched((scope, &mut inner), each, grouped, &at)?;
        let names: Vec<&str> = own.iter().map(|slot| slot.column.name.as_str()).collect();
        if !table.view && !table.indexed(&names) {
            let message =
                format!("'{}' has no index that begins with {}.", table.name, names.join(", "));
            let hint =
                "Each page looks at the whole table; ask for an index on the matched columns.";
            self.problems.warn(&at, "unindexed", message, hint);
        }
        let (filter, conditions) = self.filter(&inner, each.get("filter"), &pointer(&at, "filter"));
        let order = self.order(&inner, each.get("order"), &at);
        let sorted = self.sorted(&mut inner, &order);
        let max = self.max(each.get("max"), &at, most);
        // A joined table may give one row several times.
        let single = inner.joins.is_empty() && self.one_row(table, &own, &conditions);
        let tree = self.plain(b, &mut inner, item.0, item.1)?;
        let child_rows = ChildRows {
            of: scope.rows,
            relation: Arc::new(self.relation(table)),
            joins: inner.joins.into(),
            filter: all([extra, filter]),
            order,
            sorted,
            columns: inner.columns.into(),
            own,
            parent,
            conditions,
        };
        b.fill(child, child_rows);
        Some(Tree::Each(Box::new(Each { rows: EachRows::Child(child), max, single, item: tree })))
    }

    /// Whether what matches and what the filter demands hold a key, so that no second row is there: of an
    /// attribute table the entity and the attribute.
    fn one_row(&self, table: &Table, own: &[Slot], conditions: &[(ColumnRef, Test)]) -> bool {
        let fixed = conditions.iter().filter_map(|(column, test)| match test {
            Test::In(values) if column.relation == 0 && values.len() == 1 => Some(column),
            _ => None,
        });
        let columns: Vec<&ColumnRef> = own.iter().map(|slot| &slot.column).chain(fixed).collect();
        // Where SQLite keeps whatever it was given, 1 and '1' are two values and look like one.
        let loose = self.catalog.engine == Engine::Sqlite
            && columns.iter().any(|column| column.ty == SqlType::Any);
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let own = columns.iter().all(|column| column.relation == 0);
        own && !loose && !table.heirs && table.tells_apart(&names)
    }

    /// The columns by which rows belong to ours, theirs first, and what a group's rows must meet beside.
    fn matched(
        &mut self,
        (scope, inner): (&mut Scope<'c>, &mut Scope<'c>),
        each: &Node,
        grouped: bool,
        at: &str,
    ) -> Option<(Vec<Slot>, Vec<Slot>, Predicate)> {
        let (mut own, mut parent, mut extra) = (Vec::new(), Vec::new(), Predicate::Always);
        if grouped {
            let Some(group) = scope.group.clone() else {
                let hint = "Write `from: {table: …, group: [columns]}`, or name a table here.";
                self.problems.error(at, "no-group", "The rows are of no group.", hint);
                return None;
            };
            for column in group.columns {
                own.push(inner.slot(column.clone()));
                parent.push(scope.slot(column));
            }
            extra = group.filter;
        } else {
            for (mine, theirs) in each.get("match").map(Node::members).unwrap_or_default() {
                let at = pointer(&pointer(at, "match"), mine);
                let mine = self.column(inner, &column_name(mine), &at)?;
                let theirs = self.column(scope, &column_name(&theirs.text()?), &at)?;
                self.check_comparable(&mine, &theirs, &at);
                own.push(inner.slot(mine));
                parent.push(scope.slot(theirs));
            }
        }
        if own.is_empty() {
            let hint = "Write `match: {column of the list's table: column of ours}`.";
            self.problems.error(at, "missing", "`each` does not say what matches.", hint);
            return None;
        }
        Some((own, parent, extra))
    }

    /// The parts of a text or the items of a JSON array, each a row with the one column `part`.
    fn parts(
        &mut self,
        b: &mut Builder,
        scope: &mut Scope<'c>,
        each: &Node,
        at: &str,
        (item, place): (&Node, Place<'_, 'c>),
        most: usize,
    ) -> Option<Tree> {
        let of_json = each.get("json").is_some();
        let (word, hint) = if of_json {
            ("json", "Write the column: `json: \"$phones\"`.")
        } else {
            ("split", "Write the column: `split: \"$codes\", by: ';'`.")
        };
        self.keys(each, &[word, if of_json { "at" } else { "by" }, "max"], at);
        let at_text = pointer(at, word);
        let text = each.get(word).and_then(Node::text).unwrap_or_default();
        let Ok(LeafText::Pipe(pipe)) = syntax::leaf(&text) else {
            let message = "There is no text to take apart.";
            self.problems.error(&at_text, "leaf", message, hint);
            return None;
        };
        let cut = if of_json { self.array(each, at)? } else { self.separator(each, at)? };
        let wanted = Wanted { ty: "string", codes: None, targets: &[], path: place.path };
        let lens = self.lens(scope, &pipe, &wanted, &at_text)?;
        let max = self.max(each.get("max"), at, most);
        let path = b.path(place.path);
        let mut inner = Scope::new(self.part);
        inner.level = scope.level;
        inner.part = true;
        let item = self.plain(b, &mut inner, item, place)?;
        let rows = EachRows::Parts { lens: Box::new(lens), cut, path };
        Some(Tree::Each(Box::new(Each { rows, max, single: false, item })))
    }

    /// What stands between the parts of a text.
    fn separator(&mut self, each: &Node, at: &str) -> Option<Cut> {
        let separator = each.get("by").and_then(Node::text).unwrap_or_default().into_owned();
        if separator.is_empty() {
            let hint = "Write what stands between the parts: `by: ';'`.";
            self.problems.error(&pointer(at, "by"), "missing", "The separator is missing.", hint);
            return None;
        }
        Some(Cut::Separator(separator))
    }

    /// Where the array stands in its JSON.
    fn array(&mut self, each: &Node, at: &str) -> Option<Cut> {
        let text = each.get("at").and_then(Node::text).unwrap_or_default();
        let Some(path) = json_pointer(&text) else {
            let hint = "Write the array's place in the JSON: `at: '/phones'`; without, the whole is the array.";
            let message = "That is no JSON pointer.";
            self.problems.error(&pointer(at, "at"), "pointer", message, hint);
            return None;
        };
        Some(Cut::Json(path))
    }

    /// The cells of an order that needs no database: that of whole numbers. A cell of SQLite may hold
    /// anything, and what its order is only SQLite knows.
    fn sorted(&self, inner: &mut Scope<'c>, order: &[Order]) -> Vec<(usize, bool)> {
        let whole = |term: &Order| matches!(term.column.ty, SqlType::Integer { .. });
        if self.catalog.engine == Engine::Sqlite || !order.iter().all(whole) {
            return Vec::new();
        }
        order.iter().map(|term| (inner.slot(term.column.clone()).cell, term.descending)).collect()
    }

    fn order(&mut self, scope: &Scope<'c>, node: Option<&Node>, at: &str) -> Vec<Order> {
        self.order_at(scope, node, &pointer(at, "order"))
    }

    /// Columns by which rows are ordered, `-` before those that go down.
    pub(super) fn order_at(
        &mut self,
        scope: &Scope<'c>,
        node: Option<&Node>,
        at: &str,
    ) -> Vec<Order> {
        let items = match node {
            None => return Vec::new(),
            Some(Node::List(items)) => items.as_slice(),
            Some(one) => std::slice::from_ref(one),
        };
        let mut order = Vec::new();
        for item in items {
            let text = item.text().unwrap_or_default();
            let (name, descending) = match text.strip_prefix('-') {
                Some(name) => (name, true),
                None => (text.as_ref(), false),
            };
            let column = self.column(scope, &column_name(name), at);
            order.extend(column.map(|column| Order { column, descending }));
        }
        order
    }

    fn max(&mut self, node: Option<&Node>, at: &str, most: usize) -> usize {
        let Some(node) = node else { return most };
        let number = node.text().and_then(|t| t.parse::<usize>().ok());
        if let Some(number) = number.filter(|n| (1..=MAX_ITEMS).contains(n)) {
            return number.min(most);
        }
        let hint = format!("Write a whole number from 1 to {MAX_ITEMS}.");
        self.problems.error(&pointer(at, "max"), "type", "`max` is no good number.", hint);
        most
    }
}
