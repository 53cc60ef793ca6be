//! The template against the elements of FHIR: what is written where it may stand, and how often.

use serde_json::{Map, Value as Json};

use super::catalog::{SqlType, Table};
use super::compile::{Builder, known_keys};
use super::leaf::{Kind, Leaf, LeafText, Step};
use super::lookup::relation;
use super::plan::ColumnRef;
use super::problem::below;
use super::source::ChildTable;
use super::steps;
use super::template::{self, Node};
use crate::fhir::elements::{self, Element};

/// The tables a template's columns come from, and the columns taken so far.
pub(super) struct Scope<'a> {
    tables: Vec<(Option<String>, &'a Table)>,
    pub(super) columns: Vec<ColumnRef>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(table: &'a Table) -> Self {
        Self { tables: vec![(None, table)], columns: Vec::new() }
    }

    /// Adds a joined table; gives back its relation number.
    pub(super) fn join(&mut self, alias: &str, table: &'a Table) -> usize {
        self.tables.push((Some(alias.to_owned()), table));
        self.tables.len() - 1
    }

    pub(super) fn find(&self, name: &str) -> Option<ColumnRef> {
        let (alias, column) = match name.split_once('.') {
            Some((alias, column)) => (Some(alias), column),
            None => (None, name),
        };
        let relation = self.tables.iter().position(|(own, _)| own.as_deref() == alias)?;
        let (_, table) = self.tables.get(relation)?;
        let found = table.column(column)?;
        Some(ColumnRef { relation, name: found.name.clone(), ty: found.ty })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tables.iter().flat_map(|(_, table)| table.columns.iter().map(|c| c.name.as_str()))
    }

    /// The column's place in a row.
    pub(super) fn slot(&mut self, column: ColumnRef) -> usize {
        if let Some(at) = self.columns.iter().position(|known| *known == column) {
            return at;
        }
        self.columns.push(column);
        self.columns.len() - 1
    }
}

type Children<'c> = Option<&'c mut Vec<ChildTable>>;

/// Compiles an object whose members are these elements.
pub(super) fn object<'a>(
    builder: &mut Builder<'a>,
    scope: &mut Scope<'a>,
    mut children: Children<'_>,
    map: &Map<String, Json>,
    shape: &[Element],
    pointer: &str,
) -> Node {
    let mut members = Vec::new();
    let mut stems: Vec<&str> = Vec::new();
    for (name, value) in map {
        let at = below(pointer, name);
        let Some(element) = shape.iter().find(|e| e.name == name) else {
            let names: Vec<&str> = shape.iter().map(|e| e.name).collect();
            let hint = format!("elements here: {}", names.join(", "));
            builder.problems.error(&at, "element", format!("FHIR has no \"{name}\" here"), hint);
            continue;
        };
        if let Some(stem) = elements::choice_stem(name) {
            if stems.contains(&stem) {
                let message = format!("only one of {stem}… may be given");
                builder.problems.error(&at, "choice", message, "keep one, or use two resources");
            }
            stems.push(stem);
        }
        let node = if element.many {
            list(builder, scope, children.as_deref_mut(), value, element, &at)
        } else {
            item(builder, scope, children.as_deref_mut(), value, element, &at)
        };
        if let Some(node) = node {
            members.push((format!("\"{name}\":"), node));
        }
    }
    for missing in shape.iter().filter(|e| e.required && !map.contains_key(e.name)) {
        let message = format!("FHIR demands \"{}\" here", missing.name);
        builder.problems.error(pointer, "required", message, "map it, or write a constant");
    }
    Node::Object(members)
}

fn list<'a>(
    builder: &mut Builder<'a>,
    scope: &mut Scope<'a>,
    mut children: Children<'_>,
    value: &Json,
    element: &Element,
    pointer: &str,
) -> Option<Node> {
    let items = match value {
        Json::Array(items) => items.as_slice(),
        // A leaf that splits gives a list by itself.
        Json::String(text) if text.starts_with('$') => std::slice::from_ref(value),
        _ => {
            let message = format!("\"{}\" repeats in FHIR, so it is a list", element.name);
            builder.problems.error(pointer, "list", message, "put `- ` before the item");
            return None;
        }
    };
    let mut nodes = Vec::new();
    for (at, value) in items.iter().enumerate() {
        let pointer = format!("{pointer}/{at}");
        let node = match value {
            Json::Object(map) if map.contains_key("each") => {
                each(builder, scope, children.as_deref_mut(), map, element, &pointer)
            }
            value => item(builder, scope, children.as_deref_mut(), value, element, &pointer),
        };
        nodes.extend(node);
    }
    Some(Node::Array(nodes))
}

/// `{each: {table, match, filter, order}, item: …}`.
fn each<'a>(
    builder: &mut Builder<'a>,
    scope: &mut Scope<'a>,
    children: Children<'_>,
    map: &Map<String, Json>,
    element: &Element,
    pointer: &str,
) -> Option<Node> {
    known_keys(map, pointer, &["each", "item"], builder.problems);
    let Some(children) = children else {
        let message = "`each` inside `each` is not possible yet";
        builder.problems.error(pointer, "each", message, "use a view that joins the two tables");
        return None;
    };
    let from = builder.object(map, "each", pointer, "`each: {table: …, match: {theirs: ours}}`")?;
    let at = below(pointer, "each");
    known_keys(from, &at, &["table", "schema", "match", "filter", "order"], builder.problems);
    let table = builder.table(from, &at)?;
    let mut inner = Scope::new(table);
    let (mut parent, mut own) = (Vec::new(), Vec::new());
    for (theirs, ours) in
        builder.object(from, "match", &at, "`match: {their_column: our_column}`")?
    {
        let pointer = below(&below(&at, "match"), theirs);
        let child = builder.column(&inner, theirs, &pointer);
        let ours = builder.column(scope, ours.as_str().unwrap_or_default(), &pointer);
        if let (Some(child), Some(ours)) = (child, ours) {
            inner.slot(child.clone());
            own.push(child);
            parent.push(scope.slot(ours));
        }
    }
    let names: Vec<&str> = own.iter().map(|c| c.name.as_str()).collect();
    if !table.indexed(&names) {
        let message = format!(
            "no index begins with ({}): every page reads the whole table",
            names.join(", ")
        );
        builder.problems.warning(&at, "unindexed", message, "ask for an index on those columns");
    }
    let filter = builder.filter(from, &inner, &at);
    let mut order = Vec::new();
    for name in from.get("order").and_then(Json::as_array).into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        order.extend(builder.column(&inner, name, &below(&at, "order")));
    }
    let template = map.get("item")?;
    let node = item(builder, &mut inner, None, template, element, &below(pointer, "item"))?;
    children.push(ChildTable {
        relation: relation(builder.catalog, table),
        parent,
        own,
        filter,
        order,
        columns: inner.columns,
    });
    Some(Node::Each(children.len() - 1, Box::new(node)))
}

fn item<'a>(
    builder: &mut Builder<'a>,
    scope: &mut Scope<'a>,
    children: Children<'_>,
    value: &Json,
    element: &Element,
    pointer: &str,
) -> Option<Node> {
    match (elements::complex(element.ty), value) {
        (Some(shape), Json::Object(map)) => {
            Some(object(builder, scope, children, map, shape, pointer))
        }
        // `"$id | ref(Patient)"` is short for `{reference: …}`.
        (Some(_), Json::String(text)) if element.ty == "Reference" && text.starts_with('$') => {
            let inner = Element {
                name: "reference",
                ty: "string",
                many: false,
                required: false,
                codes: &[],
            };
            let node = primitive(builder, scope, value, &inner, pointer)?;
            Some(Node::Object(vec![("\"reference\":".to_owned(), node)]))
        }
        (Some(_), _) => {
            let message =
                format!("\"{}\" is a {} and has elements of its own", element.name, element.ty);
            builder.problems.error(pointer, "shape", message, "write its elements below it");
            None
        }
        (None, _) => primitive(builder, scope, value, element, pointer),
    }
}

fn primitive<'a>(
    builder: &mut Builder<'a>,
    scope: &mut Scope<'a>,
    value: &Json,
    element: &Element,
    pointer: &str,
) -> Option<Node> {
    let text = match value {
        Json::String(text) => text,
        Json::Number(_) if elements::is_number(element.ty) => {
            return Some(Node::Constant(value.to_string()));
        }
        Json::Bool(_) if element.ty == "boolean" => return Some(Node::Constant(value.to_string())),
        _ => {
            let message = format!("\"{}\" is a single {}", element.name, element.ty);
            builder.problems.error(
                pointer,
                "shape",
                message,
                "write a text, or a column as \"$column\"",
            );
            return None;
        }
    };
    match LeafText::parse(text) {
        None => constant(builder, text, element, pointer),
        Some(Err(message)) => {
            builder.problems.error(
                pointer,
                "leaf",
                message,
                "write \"$column | transform('argument')\"",
            );
            None
        }
        Some(Ok(leaf)) => bind(builder, scope, &leaf, element, pointer).map(Node::Leaf),
    }
}

fn constant(
    builder: &mut Builder<'_>,
    text: &str,
    element: &Element,
    pointer: &str,
) -> Option<Node> {
    let text = text.strip_prefix('$').filter(|_| text.starts_with("$$")).unwrap_or(text);
    if !element.codes.is_empty() && !element.codes.contains(&text) {
        let hint = format!("one of {}", element.codes.join(", "));
        builder.problems.error(
            pointer,
            "code",
            format!("\"{text}\" is not a code of this element"),
            hint,
        );
        return None;
    }
    if element.ty == "boolean" || elements::is_number(element.ty) {
        let message = format!("\"{}\" is a {}, not a text", element.name, element.ty);
        builder.problems.error(pointer, "shape", message, "write it without quotes");
        return None;
    }
    let mut json = Vec::new();
    template::string(text, &mut json);
    String::from_utf8(json).ok().map(Node::Constant)
}

fn bind<'a>(
    builder: &mut Builder<'a>,
    scope: &mut Scope<'a>,
    leaf: &LeafText,
    element: &Element,
    pointer: &str,
) -> Option<Leaf> {
    let mut slots = Vec::new();
    let mut types = Vec::new();
    for name in &leaf.columns {
        let column = builder.column(scope, name, pointer)?;
        if credential(&column.name) {
            let message = format!("\"{}\" looks like a password column", column.name);
            builder.problems.error(pointer, "credential", message, "credentials are never mapped");
            return None;
        }
        types.push(column.ty);
        slots.push(scope.slot(column));
    }
    let mut steps = Vec::new();
    for (name, arguments) in &leaf.steps {
        match steps::step(name, arguments, builder.vocabulary) {
            Ok(step) => steps.push(step),
            Err((message, hint)) => builder.problems.error(pointer, "transform", message, hint),
        }
    }
    complete(builder, &mut steps, &types, element, pointer);
    let path = builder.paths.len();
    builder.paths.push(pointer.to_owned());
    let kind = match element.ty {
        "boolean" => Kind::Boolean,
        ty if elements::is_number(ty) => Kind::Number,
        _ => Kind::Text,
    };
    Some(Leaf { slots, steps, kind, path })
}

/// Adds what the element's type demands and nobody wrote, and checks what was written.
fn complete(
    builder: &mut Builder<'_>,
    steps: &mut Vec<Step>,
    types: &[SqlType],
    element: &Element,
    pointer: &str,
) {
    let has = |found: fn(&Step) -> bool| steps.iter().any(found);
    match element.ty {
        "boolean" if !has(|s| matches!(s, Step::Bool(..))) && types != [SqlType::Boolean] => {
            let message = "the column is no boolean by itself";
            builder.problems.error(
                pointer,
                "boolean",
                message,
                "say what is true and false: bool('1', '0')",
            );
        }
        "decimal" if !has(|s| matches!(s, Step::Decimal(_) | Step::Int)) => {
            steps.push(Step::Decimal('.'));
        }
        "integer" | "positiveInt" | "unsignedInt" if !has(|s| matches!(s, Step::Int)) => {
            steps.push(Step::Int);
        }
        "date" if !has(|s| matches!(s, Step::Date(_))) => steps.push(Step::Date(None)),
        "dateTime" | "instant" if !has(|s| matches!(s, Step::DateTime(_) | Step::Date(_))) => {
            steps.push(Step::DateTime(None));
        }
        _ => {}
    }
    if element.codes.is_empty() {
        return;
    }
    let map = steps.iter().find_map(|s| if let Step::Code(map) = s { Some(map) } else { None });
    match map {
        None => {
            let message = format!("\"{}\" takes only FHIR's own codes", element.name);
            let hint =
                format!("use a code map: code(name), with codes of {}", element.codes.join(", "));
            builder.problems.error(pointer, "binding", message, hint);
        }
        Some(map) => {
            let targets =
                map.values.iter().map(|(_, code)| code).chain(&map.otherwise).chain(&map.missing);
            for wrong in targets.filter(|code| !element.codes.contains(&code.as_str())) {
                let hint = format!("one of {}", element.codes.join(", "));
                builder.problems.error(
                    pointer,
                    "code",
                    format!("the code map gives \"{wrong}\""),
                    hint,
                );
            }
        }
    }
}

/// Columns that hold credentials sit in the very tables one maps.
fn credential(name: &str) -> bool {
    let name = name.to_lowercase();
    ["password", "passwd", "pwd_hash", "salt", "secret"].iter().any(|word| name.contains(word))
}
