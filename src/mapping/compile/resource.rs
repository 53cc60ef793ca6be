//! One entry of `resources:`: first its head (table, key, id), which references need of one another,
//! then the whole.

use std::sync::Arc;

use crate::fhir::params::{CompositeDef, ParamDef, r4_composites, r4_params};
use crate::mapping::catalog::SqlType;
use crate::mapping::document::{Node, Scalar};
use crate::mapping::lens::id::{IdPart, IdTemplate};
use crate::mapping::lens::{Lens, Target};
use crate::mapping::plan::{
    Child, ColumnRef, Join, KeyedRead, Predicate, Relation, Select, Written,
};
use crate::mapping::problem::{did_you_mean, pointer};
use crate::mapping::search;
use crate::mapping::tree::{ChildRows, Member, Object, Source, Test, Tree};

use super::scope::Scope;
use super::{Builder, Compiler};

/// An entry as far as other entries need it.
pub(super) struct Head<'c> {
    pub name: String,
    pub node: Node,
    pub at: String,
    pub scope: Scope<'c>,
    pub from: Arc<Relation>,
    pub filter: Predicate,
    /// What the filter is made of.
    pub conditions: Vec<(ColumnRef, Test)>,
    pub target: Arc<Target>,
}

/// What gives a member of `meta`.
fn meta_lens(root: &Object, name: &str) -> Option<Lens> {
    let Tree::Object(meta) = &root.member("meta")?.value else { return None };
    match &meta.member(name)?.value {
        Tree::Leaf(leaf) => Some(leaf.lens.clone()),
        _ => None,
    }
}

const PARTS: [&str; 12] = [
    "name",
    "type",
    "from",
    "join",
    "key",
    "id",
    "version",
    "last_updated",
    "map",
    "search",
    "write",
    "description",
];

impl<'c> Compiler<'c> {
    /// Reads the head of an entry, which goes by `otherwise` if it has no name.
    pub(super) fn head(&mut self, node: Node, otherwise: String, at: &str) -> Option<Head<'c>> {
        self.keys(&node, &PARTS, at);
        let name = match node.get("name") {
            None => Some(otherwise),
            Some(_) => self.required_text(&node, "name", at, "a short name, such as patient"),
        };
        let ty = self.required_text(&node, "type", at, "a FHIR resource type, such as Patient");
        let known = ty.as_deref().and_then(|ty| self.elements.resource(ty));
        if let (Some(ty), None) = (&ty, known) {
            let types = self.elements.resource_types();
            let otherwise = format!("Served so far: {}.", types.join(", "));
            let hint = did_you_mean(ty, types.iter().copied(), &otherwise);
            let message = format!("'{ty}' is no FHIR resource type served here.");
            self.problems.error(&pointer(at, "type"), "unknown-type", message, hint);
        }
        self.untyped |= known.is_none();
        let from_at = pointer(at, "from");
        let empty = Node::Map(Vec::new());
        let from = node.get("from").unwrap_or(&empty);
        self.keys(from, &["table", "schema", "source", "filter", "group"], &from_at);
        let table = self.table(from, &from_at);
        let mut scope = Scope::new(table);
        let group = self.group(&scope, from, node.get("key"), &from_at);
        let filter_at = pointer(&from_at, "filter");
        let filter = if group.is_some() {
            // A group is of rows as the table has them.
            self.stored(&scope, from.get("filter"), &filter_at)
        } else {
            Predicate::Always
        };
        scope.group = group;
        self.joins(&mut scope, node.get("join"), at);
        let (filter, conditions) = if scope.group.is_some() {
            (filter, Vec::new())
        } else {
            self.filter(&scope, from.get("filter"), &filter_at)
        };
        let (key, id) = self.key_and_id(&scope, &node, &conditions, at);
        let (Some(key), Some(id)) = (key, id) else {
            // The rest is looked at all the same, and what refers to it is not to blame.
            return known.map(|ty| self.unkeyed(ty, name, (node, scope), at));
        };
        let (from, filter) = self.grouped(&mut scope, table, filter, &key);
        let filter = self.keyed(table, filter, &key);
        let resource_type = known?.name.to_owned();
        let target = Arc::new(Target { resource_type, id });
        let at = at.to_owned();
        Some(Head { name: name?, node, at, scope, from, filter, conditions, target })
    }

    fn required_text(&mut self, node: &Node, name: &str, at: &str, what: &str) -> Option<String> {
        match node.get(name) {
            Some(Node::Scalar(Scalar::Text(text))) if !text.is_empty() => Some(text.clone()),
            _ => {
                let message = format!("'{name}' is missing or no text.");
                self.problems.error(
                    &pointer(at, name),
                    "missing",
                    message,
                    format!("Write {what}."),
                );
                None
            }
        }
    }

    /// Names are unique; ids of one type do not collide.
    pub(super) fn check_heads(&mut self, heads: &[Head<'c>]) {
        let keyed = |head: &&Head<'c>| !self.unkeyed.contains(&head.name);
        let heads: Vec<&Head<'c>> = heads.iter().filter(keyed).collect();
        for (number, head) in heads.iter().enumerate() {
            for other in heads.iter().take(number) {
                if head.name == other.name {
                    let message = format!("The name '{}' is taken.", head.name);
                    let at = pointer(&head.at, "name");
                    self.problems.error(&at, "doubles", message, "Give each entry its own name.");
                }
                let same_type = head.target.resource_type == other.target.resource_type;
                if same_type && may_collide(&head.target.id, &other.target.id) {
                    let message =
                        format!("'{}' and '{}' may give the same id.", head.name, other.name);
                    let hint = "Begin each id with a text of its own: `adm-$id` and `opd-$id`.";
                    self.problems.error(&pointer(&head.at, "id"), "ids-collide", message, hint);
                }
            }
        }
    }

    /// Compiles the rest of an entry.
    pub(super) fn source(&mut self, head: Head<'c>) -> Option<Source> {
        let Head { name, node, at, mut scope, from, filter, conditions, target } = head;
        let ty = self.elements.resource(&target.resource_type)?;
        let mut builder = Builder::default();
        let key = target.id.key.iter().map(|c| scope.slot(c.clone())).collect();
        let map_at = pointer(&at, "map");
        let Some(map) = node.get("map") else {
            let hint = "Write `map:` and the resource's elements below it.";
            self.problems.error(&map_at, "missing", "Nothing is mapped.", hint);
            return None;
        };
        let mut root = self.object(&mut builder, &mut scope, ty, map, (&map_at, ty.name), &[])?;
        root.root = true;
        self.meta(&mut builder, &mut scope, &mut root, &node, &at);
        let (params, composites) = self.params(ty.name, node.get("search"), &at);
        self.doubt_namesakes(&builder, &scope);
        if self.unkeyed.contains(&name) || scope.table().is_some_and(|t| self.is_unknown(t)) {
            return None;
        }
        let timed = builder.timed;
        let (children, paths) = builder.finish();
        let joins: Arc<[Join]> = scope.joins.clone().into();
        let columns: Arc<[ColumnRef]> = scope.columns.clone().into();
        let child_plans = child_plans(&children);
        let read = KeyedRead {
            select: Select {
                from: Arc::clone(&from),
                joins: Arc::clone(&joins),
                columns: Arc::clone(&columns),
                filter: filter.clone(),
                order: Vec::new(),
                after: None,
                // One key is one row; a second shows a key that is none.
                limit: Some(2),
            },
            key: target.id.key.clone(),
            children: Arc::clone(&child_plans),
            written: Written::default(),
            many: Written::default(),
        };
        let mut source = Source {
            resource_type: target.resource_type.clone(),
            from,
            joins,
            filter,
            key,
            id: target.id.clone(),
            columns,
            children,
            child_plans,
            read: Arc::new(read),
            version: meta_lens(&root, "versionId"),
            modified: meta_lens(&root, "lastUpdated"),
            root,
            paths,
            params,
            composites,
            served: Vec::new(),
            shown: None,
            timed,
            write: None,
        };
        source.shown = search::shown(&source, &self.reading);
        source.served = search::served(&source, &self.reading);
        self.warn_unindexed(&source, &scope, &at);
        if let Some(write) = node.get("write") {
            source.write = self.write(&source, &scope, &conditions, write, &at);
        }
        Some(source)
    }

    /// `version:` and `last_updated:` become `meta.versionId` and `meta.lastUpdated`.
    fn meta(
        &mut self,
        builder: &mut Builder,
        scope: &mut Scope<'c>,
        root: &mut Object,
        node: &Node,
        at: &str,
    ) {
        let mut members: Vec<Member> = Vec::new();
        let Some(meta) = self.elements.get("Meta") else { return };
        for (word, element) in [("version", "versionId"), ("last_updated", "lastUpdated")] {
            let Some(value) = node.get(word) else { continue };
            let at = pointer(at, word);
            let path = format!("{}.meta", root.ty);
            members.extend(self.member(builder, scope, (meta, element), value, (&at, &path), &[]));
        }
        if members.is_empty() {
            return;
        }
        let present = root.members.iter_mut().find(|m| m.name == "meta");
        if let Some(Member { value: Tree::Object(object), .. }) = present {
            object.members.extend(members);
            object.settle();
        } else {
            let path = builder.path(&format!("{}.meta", root.ty));
            let member = Member {
                system: None,
                name: "meta".to_owned(),
                element: "meta",
                ty: "Meta",
                key: b",\"meta\":".as_slice().into(),
                choice: None,
                required: false,
                summary: true,
                path,
                value: Tree::Object(Object::new("Meta", Vec::new(), members)),
            };
            root.members.insert(0, member);
        }
        root.settle();
    }

    fn params(
        &mut self,
        ty: &str,
        node: Option<&Node>,
        at: &str,
    ) -> (Vec<ParamDef>, Vec<CompositeDef>) {
        let (mut params, mut composites) = (r4_params(ty), r4_composites(ty));
        let at = pointer(at, "search");
        for (name, value) in node.map(Node::members).unwrap_or_default() {
            let at = pointer(&at, name);
            let names = || params.iter().map(|p| p.name).chain(composites.iter().map(|c| c.name));
            if !names().any(|known| known == name) {
                let hint = did_you_mean(name, names(), "Look FHIR's list up.");
                let message = format!("{ty} has no search parameter '{name}'.");
                self.problems.error(&at, "unknown-parameter", message, hint);
            } else if value.text().as_deref() != Some("disabled") {
                let hint = "Write `disabled`, or leave it out to have it derived.";
                self.problems.error(&at, "shape", "This is no setting of a parameter.", hint);
            }
            params.retain(|p| p.name != name);
            composites.retain(|c| c.name != name);
        }
        (params, composites)
    }
}

/// What every plan of a source has of its children.
fn child_plans(children: &[ChildRows]) -> Arc<[Child]> {
    let plan = |child: &ChildRows| Child {
        select: Select {
            from: Arc::clone(&child.relation),
            joins: Arc::clone(&child.joins),
            columns: Arc::clone(&child.columns),
            filter: child.filter.clone(),
            order: if child.sorted.is_empty() { child.order.clone() } else { Vec::new() },
            after: None,
            limit: None,
        },
        of: child.of,
        parent: child.parent.iter().map(|slot| slot.cell).collect(),
        own: child.own.iter().map(|slot| slot.column.clone()).collect(),
        written: Written::default(),
    };
    children.iter().map(plan).collect()
}

/// Whether two templates could give the same id.
fn may_collide(a: &IdTemplate, b: &IdTemplate) -> bool {
    let head = |t: &IdTemplate| match t.parts.first() {
        Some(IdPart::Literal(text)) => text.clone(),
        _ => String::new(),
    };
    let tail = |t: &IdTemplate| match t.parts.last() {
        Some(IdPart::Literal(text)) => text.clone(),
        _ => String::new(),
    };
    let (ha, hb, ta, tb) = (head(a), head(b), tail(a), tail(b));
    if !(ha.starts_with(&hb) || hb.starts_with(&ha)) {
        return false;
    }
    if !(ta.ends_with(&tb) || tb.ends_with(&ta)) {
        return false;
    }
    // A number cannot begin as a longer literal does.
    let number_first = |t: &IdTemplate, other: &str| match t.parts.first() {
        Some(IdPart::Key(n)) => {
            let number = matches!(t.key.get(*n).map(|c| c.ty), Some(SqlType::Integer { .. }));
            number && other.starts_with(|c: char| !c.is_ascii_digit() && c != '-')
        }
        _ => false,
    };
    !(number_first(a, &hb) || number_first(b, &ha))
}
