//! `map:` — the resource-shaped template, checked against the element table.

use std::sync::Arc;

use crate::fhir::elements::{ElementDef, TypeDef};
use crate::fhir::json;
use crate::mapping::document::{Node, Scalar};
use crate::mapping::plan::Order;
use crate::mapping::problem::{did_you_mean, pointer};
use crate::mapping::syntax::column_name;
use crate::mapping::tree::{ChildRows, Each, Member, Object, Tree};

use super::scope::{Scope, relation, stored, with_slots};
use super::{Builder, Compiler};

/// Most items of an `each` that may be written for `max`.
const MAX_ITEMS: usize = 1000;

/// Whether a FHIR type is a primitive one.
pub(super) fn primitive(ty: &str) -> bool {
    ty.starts_with(|c: char| c.is_ascii_lowercase())
}

#[expect(
    clippy::too_many_arguments,
    reason = "where, what, and what it may be: no two belong together"
)]
impl<'c> Compiler<'c> {
    /// Compiles an object of a type.
    pub(super) fn object(
        &mut self,
        b: &mut Builder,
        scope: &mut Scope<'c>,
        ty: &'c TypeDef,
        node: &Node,
        targets: &[&'static str],
        at: &str,
        path: &str,
    ) -> Option<Object> {
        if !matches!(node, Node::Map(_)) {
            let message = format!("{path} is a {}; here stands {}.", ty.name, node.kind());
            let hint = format!("Write its parts: {}.", ty.member_names().join(", "));
            self.problems.error(at, "shape", message, hint);
            return None;
        }
        let found = self.conditions(scope, node.get("if"), &pointer(at, "if"));
        let when = with_slots(scope, found);
        let mut members: Vec<Member> = Vec::new();
        for (name, value) in node.members() {
            if name == "if" || (at.ends_with("/map") && name == "resourceType") {
                continue;
            }
            let at = pointer(at, name);
            members.extend(self.member(b, scope, ty, name, value, targets, &at, path));
        }
        number_choices(&mut members);
        for element in &ty.elements {
            let written = node
                .members()
                .iter()
                .any(|(name, _)| ty.member(name).is_some_and(|m| m.element.name == element.name));
            if element.required && !written {
                let message = format!("{path} must have '{}'.", element.name);
                let hint = self.required_hint(element);
                self.problems.error(at, "required", message, hint);
            }
        }
        Some(Object::new(ty.name, when, members))
    }

    fn required_hint(&self, element: &ElementDef) -> String {
        match element.binding.and_then(|set| self.elements.value_set(set)) {
            Some(set) => {
                format!("Map '{}' to one of: {}.", element.name, set.codes.join(", "))
            }
            None => format!("Map '{}'; a constant will do where it never changes.", element.name),
        }
    }

    /// Compiles one member of an object.
    pub(super) fn member(
        &mut self,
        b: &mut Builder,
        scope: &mut Scope<'c>,
        ty: &'c TypeDef,
        name: &str,
        node: &Node,
        targets: &[&'static str],
        at: &str,
        path: &str,
    ) -> Option<Member> {
        let Some(found) = ty.member(name) else {
            self.unknown_member(ty, name, at, path);
            return None;
        };
        let element = found.element;
        let path = format!("{path}.{name}");
        let inner: &[&'static str] =
            if found.ty == "Reference" { &element.targets } else { targets };
        let value = if element.many {
            self.list(b, scope, element, found.ty, node, inner, at, &path)?
        } else {
            self.single(b, scope, element, found.ty, node, inner, at, &path)?
        };
        let mut key = Vec::new();
        json::key(&mut key, name);
        let codes = element.binding.and_then(|set| self.elements.value_set(set));
        Some(Member {
            system: codes.and_then(|set| set.system),
            name: name.to_owned(),
            element: element.name,
            ty: found.ty,
            key: key.into_boxed_slice(),
            choice: element.choice.then_some(0),
            required: element.required,
            summary: element.summary,
            path: b.path(&path),
            value,
        })
    }

    fn unknown_member(&mut self, ty: &TypeDef, name: &str, at: &str, path: &str) {
        if name == "id" {
            let hint = "The resource's id comes from `id:` beside `map:`.";
            self.problems.error(at, "unknown-element", "The id is not mapped here.", hint);
            return;
        }
        let choice = ty.elements.iter().find(|e| e.choice && e.name == name);
        let names = ty.member_names();
        let hint = if choice.is_some() {
            let forms: Vec<&str> =
                names.iter().map(String::as_str).filter(|n| n.starts_with(name)).collect();
            format!("Say of which type it is: {}.", forms.join(", "))
        } else {
            let otherwise = format!("It has: {}.", names.join(", "));
            did_you_mean(name, names.iter().map(String::as_str), &otherwise)
        };
        let message = format!("{path} has no element '{name}'.");
        self.problems.error(at, "unknown-element", message, hint);
    }

    /// An element that repeats: a list, an `each`, or a leaf that is split.
    fn list(
        &mut self,
        b: &mut Builder,
        scope: &mut Scope<'c>,
        element: &'c ElementDef,
        ty: &'static str,
        node: &Node,
        targets: &[&'static str],
        at: &str,
        path: &str,
    ) -> Option<Tree> {
        match node {
            Node::List(items) => {
                let mut list = Vec::new();
                for (number, item) in items.iter().enumerate() {
                    let at = pointer(at, &number.to_string());
                    list.extend(self.item(b, scope, element, ty, item, targets, &at, path));
                }
                if items.is_empty() {
                    let hint = "Leave the element out.";
                    self.problems.error(at, "empty", "An empty list maps nothing.", hint);
                }
                Some(Tree::List(list))
            }
            Node::Map(_) if node.get("each").is_some() => {
                let each = self.item(b, scope, element, ty, node, targets, at, path)?;
                Some(Tree::List(vec![each]))
            }
            Node::Scalar(Scalar::Text(text)) if primitive(ty) && text.starts_with('$') => {
                let leaf = self.leaf_of(b, scope, element, ty, node, targets, at, path)?;
                if !matches!(&leaf, Tree::Leaf(leaf) if leaf.lens.split.is_some()) {
                    self.not_a_list(at, path);
                    return None;
                }
                Some(Tree::List(vec![leaf]))
            }
            _ => {
                self.not_a_list(at, path);
                None
            }
        }
    }

    fn not_a_list(&mut self, at: &str, path: &str) {
        let message = format!("{path} may be there several times, so it is a list.");
        let hint = "Put square brackets around it: `[ … ]`, or begin its lines with `- `.";
        self.problems.error(at, "cardinality", message, hint);
    }

    fn item(
        &mut self,
        b: &mut Builder,
        scope: &mut Scope<'c>,
        element: &'c ElementDef,
        ty: &'static str,
        node: &Node,
        targets: &[&'static str],
        at: &str,
        path: &str,
    ) -> Option<Tree> {
        if node.get("each").is_some() {
            return self.each(b, scope, element, ty, node, targets, at, path, usize::MAX);
        }
        self.plain(b, scope, element, ty, node, targets, at, path)
    }

    fn single(
        &mut self,
        b: &mut Builder,
        scope: &mut Scope<'c>,
        element: &'c ElementDef,
        ty: &'static str,
        node: &Node,
        targets: &[&'static str],
        at: &str,
        path: &str,
    ) -> Option<Tree> {
        if matches!(node, Node::List(_)) {
            let message = format!("{path} is there once at most; here stands a list.");
            self.problems.error(at, "cardinality", message, "Take the square brackets away.");
            return None;
        }
        if node.get("each").is_some() {
            return self.each(b, scope, element, ty, node, targets, at, path, 1);
        }
        let tree = self.plain(b, scope, element, ty, node, targets, at, path)?;
        if matches!(&tree, Tree::Leaf(leaf) if leaf.lens.split.is_some()) {
            let message = format!("{path} is there once at most; split makes several.");
            self.problems.error(at, "cardinality", message, "Take `split` away.");
            return None;
        }
        Some(tree)
    }

    fn plain(
        &mut self,
        b: &mut Builder,
        scope: &mut Scope<'c>,
        element: &'c ElementDef,
        ty: &'static str,
        node: &Node,
        targets: &[&'static str],
        at: &str,
        path: &str,
    ) -> Option<Tree> {
        if node.is_null() {
            let hint = "Leave the element out, or write what it holds.";
            self.problems.error(at, "empty", format!("{path} is empty."), hint);
            return None;
        }
        if primitive(ty) {
            return self.leaf_of(b, scope, element, ty, node, targets, at, path);
        }
        let complex = self.elements.get(ty)?;
        if matches!(node, Node::Scalar(_)) {
            return self.short(b, scope, complex, node, targets, at, path);
        }
        self.object(b, scope, complex, node, targets, at, path).map(Tree::Object)
    }

    fn each(
        &mut self,
        b: &mut Builder,
        scope: &mut Scope<'c>,
        element: &'c ElementDef,
        ty: &'static str,
        node: &Node,
        targets: &[&'static str],
        at: &str,
        path: &str,
        most: usize,
    ) -> Option<Tree> {
        self.keys(node, &["each", "item"], at);
        let each = node.get("each")?;
        let each_at = pointer(at, "each");
        let known = ["table", "schema", "match", "filter", "order", "max", "join"];
        self.keys(each, &known, &each_at);
        if scope.child {
            let hint = "Map a view that brings the two tables together.";
            self.problems.error(at, "nested-each", "An `each` cannot stand in another.", hint);
            return None;
        }
        let table = self.table(each, &each_at)?;
        let mut inner = Scope {
            relations: vec![(String::new(), table)],
            joins: Vec::new(),
            columns: Vec::new(),
            child: true,
        };
        self.joins(&mut inner, each.get("join"), &each_at);
        let (mut own, mut parent) = (Vec::new(), Vec::new());
        for (mine, theirs) in each.get("match").map(Node::members).unwrap_or_default() {
            let at = pointer(&pointer(&each_at, "match"), mine);
            let mine = self.column(&inner, &column_name(mine), &at)?;
            let theirs = self.column(scope, &column_name(&theirs.text()?), &at)?;
            self.check_comparable(&mine, &theirs, &at);
            own.push(inner.slot(mine));
            parent.push(scope.slot(theirs));
        }
        if own.is_empty() {
            let hint = "Write `match: {column of the list's table: column of ours}`.";
            self.problems.error(&each_at, "missing", "`each` does not say what matches.", hint);
            return None;
        }
        let names: Vec<&str> = own.iter().map(|slot| slot.column.name.as_str()).collect();
        if !table.view && !table.indexed(&names) {
            let message =
                format!("'{}' has no index that begins with {}.", table.name, names.join(", "));
            let hint =
                "Each page looks at the whole table; ask for an index on the matched columns.";
            self.problems.warn(&each_at, "unindexed", message, hint);
        }
        let found = self.conditions(&inner, each.get("filter"), &pointer(&each_at, "filter"));
        let filter = stored(&inner, found.clone(), &self.reading);
        let order = self.order(&inner, each.get("order"), &each_at);
        let max = self.max(each.get("max"), &each_at, most);
        let Some(item) = node.get("item") else {
            let hint = "Write `item:` and what each row becomes.";
            self.problems.error(at, "missing", "`each` does not say what a row becomes.", hint);
            return None;
        };
        let at = pointer(at, "item");
        let item = self.plain(b, &mut inner, element, ty, item, targets, &at, path)?;
        b.children.push(ChildRows {
            relation: Arc::new(relation(table, self.catalog.default_schema.as_deref())),
            joins: inner.joins.into(),
            filter,
            order,
            columns: inner.columns.into(),
            own,
            parent,
            conditions: found,
        });
        Some(Tree::Each(Box::new(Each { child: b.children.len() - 1, max, item })))
    }

    fn order(&mut self, scope: &Scope<'c>, node: Option<&Node>, at: &str) -> Vec<Order> {
        let at = pointer(at, "order");
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
            let column = self.column(scope, &column_name(name), &at);
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

/// Members that are one choice of types get its number: the first that has a value is written.
fn number_choices(members: &mut [Member]) {
    let mut names: Vec<&'static str> = Vec::new();
    for member in members.iter_mut().filter(|m| m.choice.is_some()) {
        let found = names.iter().position(|n| *n == member.element);
        let place = found.unwrap_or_else(|| {
            names.push(member.element);
            names.len() - 1
        });
        member.choice = u8::try_from(place).ok();
    }
}
