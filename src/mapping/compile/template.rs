//! `map:` — the resource-shaped template, checked against the element table.

use crate::fhir::elements::{ElementDef, TypeDef};
use crate::fhir::json;
use crate::mapping::document::{Node, Scalar};
use crate::mapping::problem::{did_you_mean, pointer};
use crate::mapping::tree::{Branch, Member, Object, Tree};

use super::scope::Scope;
use super::{Builder, Compiler, cases};

/// Whether a FHIR type is a primitive one.
pub(super) fn primitive(ty: &str) -> bool {
    ty.starts_with(|c: char| c.is_ascii_lowercase())
}

/// Where in the document and in the resource something stands, and what it may be there.
#[derive(Clone, Copy)]
pub(super) struct Place<'p, 'c> {
    pub element: &'c ElementDef,
    pub ty: &'static str,
    /// What a reference may point to; empty for anything.
    pub targets: &'p [&'static str],
    /// The pointer into the document.
    pub at: &'p str,
    /// The path in the resource.
    pub path: &'p str,
}

impl<'p> Place<'p, '_> {
    /// The same element, written elsewhere in the document.
    pub(super) fn at(self, at: &'p str) -> Self {
        Self { at, ..self }
    }
}

impl<'c> Compiler<'c> {
    /// Compiles an object of a type.
    pub(super) fn object(
        &mut self,
        b: &mut Builder,
        scope: &mut Scope<'c>,
        ty: &'c TypeDef,
        node: &Node,
        (at, path): (&str, &str),
        targets: &[&'static str],
    ) -> Option<Object> {
        if !matches!(node, Node::Map(_)) {
            let message =
                format!("{path} is of the type {}; here stands {}.", ty.name, node.kind());
            let hint = format!("Write its parts: {}.", ty.member_names().join(", "));
            self.problems.error(at, "shape", message, hint);
            return None;
        }
        let when = self.when(b, scope, node.get("if"), &pointer(at, "if"));
        let mut members: Vec<Member> = Vec::new();
        for (name, value) in node.members() {
            if name == "if" || (at.ends_with("/map") && name == "resourceType") {
                continue;
            }
            let at = pointer(at, name);
            members.extend(self.member(b, scope, (ty, name), value, (&at, path), targets));
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

    /// The conditions under which something is there.
    fn when(
        &mut self,
        b: &mut Builder,
        scope: &mut Scope<'c>,
        node: Option<&Node>,
        at: &str,
    ) -> Vec<crate::mapping::tree::Condition> {
        let when = self.conditions(scope, node, at);
        b.timed |= when.iter().any(crate::mapping::tree::Condition::timed);
        when
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
        (ty, name): (&'c TypeDef, &str),
        node: &Node,
        (at, path): (&str, &str),
        targets: &[&'static str],
    ) -> Option<Member> {
        let Some(found) = ty.member(name) else {
            self.unknown_member(ty, name, at, path);
            return None;
        };
        let element = found.element;
        let path = format!("{path}.{name}");
        let targets: &[&'static str] =
            if found.ty == "Reference" { &element.targets } else { targets };
        let place = Place { element, ty: found.ty, targets, at, path: &path };
        let value = if element.many {
            self.list(b, scope, node, place)?
        } else {
            self.single(b, scope, node, place)?
        };
        let mut key = b",".to_vec();
        json::write_string(&mut key, name);
        key.push(b':');
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

    /// An element that repeats: a list, an `each`, `cases`, or a leaf that is split.
    fn list(
        &mut self,
        b: &mut Builder,
        scope: &mut Scope<'c>,
        node: &Node,
        place: Place<'_, 'c>,
    ) -> Option<Tree> {
        let Place { at, path, .. } = place;
        match node {
            Node::List(items) => {
                let mut list = Vec::new();
                for (number, item) in items.iter().enumerate() {
                    let at = pointer(at, &number.to_string());
                    list.extend(self.items(b, scope, item, place.at(&at)));
                }
                if items.is_empty() {
                    let hint = "Leave the element out.";
                    self.problems.error(at, "empty", "An empty list maps nothing.", hint);
                }
                Some(Tree::List(list))
            }
            Node::Map(_) if ["each", "cases"].iter().any(|word| node.get(word).is_some()) => {
                Some(Tree::List(self.items(b, scope, node, place)))
            }
            Node::Scalar(Scalar::Text(text)) if primitive(place.ty) && text.starts_with('$') => {
                let leaf = self.leaf_of(b, scope, node, place)?;
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

    /// What one entry of a list makes: an item, the items of an `each`, or one for each case.
    fn items(
        &mut self,
        b: &mut Builder,
        scope: &mut Scope<'c>,
        node: &Node,
        place: Place<'_, 'c>,
    ) -> Vec<Tree> {
        if node.get("cases").is_none() {
            return self.item(b, scope, node, place).into_iter().collect();
        }
        self.keys(node, &["cases", "item"], place.at);
        match cases::items(node) {
            Ok(items) => {
                let at = pointer(place.at, "item");
                let item = |item| self.item(b, scope, &item, place.at(&at));
                items.into_iter().filter_map(item).collect()
            }
            Err(message) => {
                let hint = "Write `cases: {name: {part: value}}` and `item:`; `$case.part` stands for the value.";
                self.problems.error(place.at, "shape", message, hint);
                Vec::new()
            }
        }
    }

    fn item(
        &mut self,
        b: &mut Builder,
        scope: &mut Scope<'c>,
        node: &Node,
        place: Place<'_, 'c>,
    ) -> Option<Tree> {
        if node.get("each").is_some() {
            return self.each(b, scope, node, place, usize::MAX);
        }
        self.plain(b, scope, node, place)
    }

    fn single(
        &mut self,
        b: &mut Builder,
        scope: &mut Scope<'c>,
        node: &Node,
        place: Place<'_, 'c>,
    ) -> Option<Tree> {
        let Place { at, path, .. } = place;
        if matches!(node, Node::List(_)) {
            let message = format!("{path} is there once at most; here stands a list.");
            self.problems.error(at, "cardinality", message, "Take the square brackets away.");
            return None;
        }
        if node.get("each").is_some() {
            return self.each(b, scope, node, place, 1);
        }
        let tree = self.plain(b, scope, node, place)?;
        if matches!(&tree, Tree::Leaf(leaf) if leaf.lens.split.is_some()) {
            let message = format!("{path} is there once at most; split makes several.");
            self.problems.error(at, "cardinality", message, "Take `split` away.");
            return None;
        }
        Some(tree)
    }

    pub(super) fn plain(
        &mut self,
        b: &mut Builder,
        scope: &mut Scope<'c>,
        node: &Node,
        place: Place<'_, 'c>,
    ) -> Option<Tree> {
        let Place { ty, at, path, targets, .. } = place;
        if node.is_null() {
            let hint = "Leave the element out, or write what it holds.";
            self.problems.error(at, "empty", format!("{path} is empty."), hint);
            return None;
        }
        if node.get("case").is_some() {
            return self.branches(b, scope, node, place);
        }
        if primitive(ty) {
            return self.leaf_of(b, scope, node, place);
        }
        let complex = self.elements.get(ty)?;
        if matches!(node, Node::Scalar(_)) {
            return self.short(b, scope, complex, node, place);
        }
        self.object(b, scope, complex, node, (at, path), targets).map(Tree::Object)
    }

    /// `case:` — the first of several that holds.
    fn branches(
        &mut self,
        b: &mut Builder,
        scope: &mut Scope<'c>,
        node: &Node,
        place: Place<'_, 'c>,
    ) -> Option<Tree> {
        self.keys(node, &["case"], place.at);
        let at = pointer(place.at, "case");
        let Some(Node::List(entries)) = node.get("case") else {
            let hint = "Write `case: [{if: {column: value}, then: …}, {then: …}]`.";
            self.problems.error(&at, "shape", "`case` is a list.", hint);
            return None;
        };
        let mut branches = Vec::new();
        for (number, entry) in entries.iter().enumerate() {
            let at = pointer(&at, &number.to_string());
            self.keys(entry, &["if", "then"], &at);
            let last = number + 1 == entries.len();
            if entry.get("if").is_none() && !last {
                let hint = "Give it an `if:`, or make it the last.";
                self.problems.error(&at, "never", "What follows is never reached.", hint);
            }
            let when = self.when(b, scope, entry.get("if"), &pointer(&at, "if"));
            let tree = match entry.get("then").filter(|then| !then.is_null()) {
                None => None,
                Some(then) => {
                    let at = pointer(&at, "then");
                    Some(self.plain(b, scope, then, place.at(&at))?)
                }
            };
            if matches!(&tree, Some(Tree::Leaf(leaf)) if leaf.lens.split.is_some()) {
                let message = "`split` cannot stand in a case.";
                self.problems.error(&at, "cardinality", message, "Take `split` away.");
            }
            branches.push(Branch { when, tree });
        }
        Some(Tree::Case(branches))
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
