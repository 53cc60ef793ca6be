//! From a document and a catalogue to a compiled mapping, collecting every problem on the way.

use std::collections::HashMap;

use jiff::tz::TimeZone;
use serde_json::{Map, Value as Json};

use super::Compiled;
use super::catalog::{Catalog, Table};
use super::codes::CodeMap;
use super::document::Document;
use super::lookup::{nearest, relation};
use super::problem::{MappingProblem, Problems, below};
use super::shape::{self, Scope};
use super::source::Source;
use super::steps::Vocabulary;
use crate::fhir::elements;

/// Compiles a document against the catalogue of the database it is for.
pub fn compile(document: &Document, catalog: &Catalog) -> Result<Compiled, Vec<MappingProblem>> {
    let mut problems = Problems::default();
    let root = &document.0;
    known_keys(root, "", &["mapping", "fhir", "database", "codes", "resources"], &mut problems);
    if root.get("mapping") != Some(&Json::from(1)) {
        problems.error(
            "/mapping",
            "version",
            "the version of the language is missing",
            "begin with `mapping: 1`",
        );
    }
    let zone = zone(root, &mut problems);
    let empty = Vec::new();
    let resources = match root.get("resources") {
        Some(Json::Array(resources)) if !resources.is_empty() => resources,
        _ => {
            problems.error(
                "/resources",
                "missing",
                "nothing is mapped",
                "list at least one resource",
            );
            &empty
        }
    };
    let vocabulary =
        Vocabulary { codes: codes(root, &mut problems), prefixes: prefixes(resources) };
    let mut compiled =
        Compiled { zone, sources: Vec::new(), paths: Vec::new(), warnings: Vec::new() };
    for (at, resource) in resources.iter().enumerate() {
        let pointer = format!("/resources/{at}");
        match resource {
            Json::Object(resource) => {
                let mut builder = Builder {
                    catalog,
                    vocabulary: &vocabulary,
                    problems: &mut problems,
                    paths: &mut compiled.paths,
                };
                if let Some(source) = builder.source(resource, &pointer) {
                    compiled.sources.push(source);
                }
            }
            _ => problems.error(
                &pointer,
                "shape",
                "a resource is a set of keys",
                "write type, from, key, id and map",
            ),
        }
    }
    if problems.any_error() {
        return Err(problems.0);
    }
    compiled.warnings = problems.0;
    Ok(compiled)
}

pub(super) fn known_keys(
    map: &Map<String, Json>,
    pointer: &str,
    known: &[&str],
    problems: &mut Problems,
) {
    for key in map.keys().filter(|key| !known.contains(&key.as_str())) {
        let hint = format!("known here: {}", known.join(", "));
        problems.error(
            &below(pointer, key),
            "unknown-key",
            format!("\"{key}\" means nothing here"),
            hint,
        );
    }
}

fn zone(root: &Map<String, Json>, problems: &mut Problems) -> TimeZone {
    let database = root.get("database").and_then(Json::as_object);
    if let Some(database) = database {
        known_keys(database, "/database", &["timezone"], problems);
    }
    match database.and_then(|d| d.get("timezone")).and_then(Json::as_str) {
        None => TimeZone::UTC,
        Some(name) => TimeZone::get(name).unwrap_or_else(|_| {
            let message = format!("\"{name}\" is not a time zone");
            problems.error(
                "/database/timezone",
                "timezone",
                message,
                "a name like America/Santiago",
            );
            TimeZone::UTC
        }),
    }
}

fn codes(root: &Map<String, Json>, problems: &mut Problems) -> HashMap<String, CodeMap> {
    let mut maps = HashMap::new();
    let Some(Json::Object(codes)) = root.get("codes") else { return maps };
    for (name, definition) in codes {
        let pointer = below("/codes", name);
        let Json::Object(definition) = definition else {
            problems.error(
                &pointer,
                "shape",
                "a code map is a set of keys",
                "write `values: {\"M\": male}`",
            );
            continue;
        };
        known_keys(
            definition,
            &pointer,
            &["values", "otherwise", "missing", "ignore_case"],
            problems,
        );
        let text = |key: &str| definition.get(key).and_then(Json::as_str).map(str::to_owned);
        let mut values = Vec::new();
        match definition.get("values") {
            Some(Json::Object(entries)) => {
                for (stored, code) in entries {
                    match code {
                        Json::String(code) => values.push((stored.clone(), code.clone())),
                        _ => problems.error(
                            &below(&format!("{pointer}/values"), stored),
                            "shape",
                            "a code is a text",
                            "put it in quotes",
                        ),
                    }
                }
            }
            _ => problems.error(
                &pointer,
                "missing",
                "the code map has no values",
                "write `values: {\"M\": male}`",
            ),
        }
        let ignore_case = definition.get("ignore_case") == Some(&Json::Bool(true));
        let map =
            CodeMap { values, otherwise: text("otherwise"), missing: text("missing"), ignore_case };
        maps.insert(name.clone(), map);
    }
    maps
}

/// What stands before the key in each type's ids: the first source of a type counts for references.
fn prefixes(resources: &[Json]) -> HashMap<String, String> {
    let mut prefixes = HashMap::new();
    for resource in resources {
        let text = |key: &str| resource.get(key).and_then(Json::as_str);
        if let (Some(ty), Some(id)) = (text("type"), text("id")) {
            let prefix = id.split('$').next().unwrap_or_default();
            prefixes.entry(ty.to_owned()).or_insert_with(|| prefix.to_owned());
        }
    }
    prefixes
}

/// Compiles one source.
pub(super) struct Builder<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) vocabulary: &'a Vocabulary,
    pub(super) problems: &'a mut Problems,
    pub(super) paths: &'a mut Vec<String>,
}

impl<'a> Builder<'a> {
    fn source(&mut self, resource: &Map<String, Json>, pointer: &str) -> Option<Source> {
        let known = ["name", "type", "from", "join", "key", "id", "map"];
        known_keys(resource, pointer, &known, self.problems);
        let ty = self.text(resource, "type", pointer, "a FHIR type such as Patient")?;
        let Some(shape) = elements::resource(&ty) else {
            let hint = format!("types that can be mapped: {}", elements::TYPES.join(", "));
            self.problems.error(
                &below(pointer, "type"),
                "type",
                format!("\"{ty}\" cannot be mapped"),
                hint,
            );
            return None;
        };
        let from = self.object(resource, "from", pointer, "`from: {table: patients}`")?;
        let at = below(pointer, "from");
        let table = self.table(from, &at)?;
        let mut scope = Scope::new(table);
        let joins = self.joins(resource, pointer, &mut scope);
        let key_name = self.text(resource, "key", pointer, "the key column, such as id")?;
        let key = self.column(&scope, &key_name, &below(pointer, "key"))?;
        if !table.unique(&[key.name.as_str()]) {
            let message = format!("\"{}\" is not a key of the table", key.name);
            self.problems.error(
                &below(pointer, "key"),
                "key",
                message,
                "name the primary key or a unique column",
            );
        }
        scope.slot(key.clone());
        let filter = self.filter(from, &scope, &at);
        let id = self.text(resource, "id", pointer, "`id: \"$id\"`")?;
        let prefix = self.id_prefix(&id, &key_name, &below(pointer, "id"))?;
        let map = self.object(resource, "map", pointer, "the resource's elements")?;
        let mut children = Vec::new();
        let at = below(pointer, "map");
        let root = shape::object(self, &mut scope, Some(&mut children), map, shape, &at);
        Some(Source {
            resource: ty,
            relation: relation(self.catalog, table),
            joins,
            filter,
            key,
            prefix,
            columns: scope.columns,
            children,
            root,
            required: shape
                .iter()
                .filter(|e| e.required)
                .map(|e| format!("\"{}\":", e.name))
                .collect(),
        })
    }

    fn id_prefix(&mut self, id: &str, key: &str, pointer: &str) -> Option<String> {
        let split = id.split_once('$').filter(|(_, column)| *column == key);
        match split {
            Some((prefix, _)) if prefix.is_empty() || super::is_fhir_id(prefix) => {
                Some(prefix.to_owned())
            }
            _ => {
                let message = "an id is a fixed text and the key column";
                let hint = format!(
                    "write \"${key}\" or \"some-text-${key}\"; letters, digits, - and . only"
                );
                self.problems.error(pointer, "id", message, hint);
                None
            }
        }
    }

    pub(super) fn text(
        &mut self,
        map: &Map<String, Json>,
        key: &str,
        pointer: &str,
        hint: &str,
    ) -> Option<String> {
        let found = match map.get(key) {
            // `key: [id]` is the same as `key: id`.
            Some(Json::Array(items)) if items.len() == 1 => items.first().and_then(Json::as_str),
            Some(value) => value.as_str(),
            None => None,
        };
        if found.is_none() {
            self.problems.error(
                &below(pointer, key),
                "missing",
                format!("`{key}` is missing or no text"),
                hint,
            );
        }
        found.map(str::to_owned)
    }

    pub(super) fn object<'m>(
        &mut self,
        map: &'m Map<String, Json>,
        key: &str,
        pointer: &str,
        hint: &str,
    ) -> Option<&'m Map<String, Json>> {
        let found = map.get(key).and_then(Json::as_object);
        if found.is_none() {
            self.problems.error(
                &below(pointer, key),
                "missing",
                format!("`{key}` is missing or no set of keys"),
                hint,
            );
        }
        found
    }

    /// The table that `{table, schema, filter, …}` names.
    pub(super) fn table(&mut self, from: &Map<String, Json>, pointer: &str) -> Option<&'a Table> {
        let name = self.text(from, "table", pointer, "the table's name")?;
        let schema = from.get("schema").and_then(Json::as_str);
        let found = self.catalog.table(schema, &name);
        if found.is_none() {
            let near = nearest(&name, self.catalog.tables.iter().map(|t| t.name.as_str()));
            self.problems.error(
                &below(pointer, "table"),
                "table",
                format!("there is no table \"{name}\""),
                near,
            );
        }
        found
    }
}
