//! The JSON Schema of a mapping document, made from R4's table of elements. It says what an editor can say
//! while somebody types; the rest is the check's to say.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

use crate::fhir::elements::{ElementDef, Elements, TypeDef, choice_name};

/// The schema (draft 2020-12).
pub fn schema() -> Json {
    let elements = Elements::r4();
    let mut definitions = Map::new();
    let mut wanted: Vec<&str> = elements.resource_types();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        let Some(ty) = elements.get(name).filter(|_| seen.insert(name.to_owned())) else {
            continue;
        };
        wanted.extend(ty.elements.iter().flat_map(|e| e.types.iter().copied()));
        definitions.insert(format!("R4.{name}"), type_schema(ty, &elements));
        definitions.insert(format!("one.{name}"), one(name));
    }
    definitions.extend(language());
    definitions.insert("spread".to_owned(), spread());
    let scalar = json!({ "type": ["string", "number", "boolean"] });
    let leaf = json!({ "anyOf": [scalar, { "$ref": "#/$defs/spread" }] });
    definitions.insert("leaf".to_owned(), leaf);
    let kinds = elements.resource_types();
    let branches: Vec<Json> = kinds
        .iter()
        .map(|ty| {
            json!({
                "if": { "properties": { "type": { "const": ty } }, "required": ["type"] },
                "then": { "properties": { "map": { "$ref": format!("#/$defs/R4.{ty}") } } }
            })
        })
        .collect();
    definitions.insert("entry".to_owned(), json!({
        "type": "object",
        "description": "One table that gives resources of one type.",
        "required": ["type", "from", "key", "id", "map"],
        "additionalProperties": false,
        "properties": {
            "name": { "type": "string", "minLength": 1 },
            "description": { "type": "string" },
            "type": { "enum": kinds },
            "from": { "$ref": "#/$defs/from" },
            "join": { "$ref": "#/$defs/joins" },
            "key": { "oneOf": [{ "type": "string", "minLength": 1 }, { "type": "array", "minItems": 1, "items": { "type": "string" } }] },
            "id": { "type": "string", "minLength": 1 },
            "version": { "type": "string" },
            "last_updated": { "type": "string" },
            "search": { "type": "object", "additionalProperties": { "const": "disabled" } },
            "cases": { "$ref": "#/$defs/cases" },
            "map": { "type": "object" },
            "write": { "$ref": "#/$defs/write" }
        },
        "allOf": branches
    }));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Wardgate mapping document",
        "description": "See LANGUAGE.md. Begin a YAML file with: # yaml-language-server: $schema=mapping.schema.json",
        "type": "object",
        "required": ["mapping", "resources"],
        "additionalProperties": false,
        "properties": {
            "mapping": { "enum": [1, "1"] },
            "fhir": { "const": "4.0.1" },
            "title": { "type": "string" },
            "description": { "type": "string" },
            "database": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "timezone": { "type": "string" },
                    "trim": { "type": "boolean" },
                    "empty_is_null": { "type": "boolean" }
                }
            },
            "codes": { "type": "object", "additionalProperties": { "$ref": "#/$defs/codes" } },
            "sources": { "type": "object", "additionalProperties": { "$ref": "#/$defs/source" } },
            "resources": { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/entry" } }
        },
        "$defs": definitions
    })
}

/// The parts of the language that are not FHIR's.
fn language() -> Map<String, Json> {
    let text = json!({ "type": ["string", "number", "boolean"] });
    let coded = json!({ "oneOf": [
        { "type": ["string", "number"] },
        { "type": "object", "required": ["code"], "additionalProperties": false,
          "properties": { "code": { "type": ["string", "number"] }, "display": { "type": "string" }, "system": { "type": "string" } } }
    ] });
    let parts = json!({
        "value": { "anyOf": [text, { "type": "null" }, { "type": "array", "items": text },
            { "type": "object", "minProperties": 1, "additionalProperties": false, "properties": {
                "missing": { "type": "boolean" }, "not": {},
                "before": text, "after": text, "above": text, "below": text } }] },
        "conditions": { "type": "object", "additionalProperties": { "$ref": "#/$defs/value" } },
        "names": { "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] },
        "match": { "type": "object", "minProperties": 1, "additionalProperties": { "type": "string" } },
        "from": { "type": "object", "additionalProperties": false,
            "anyOf": [{ "required": ["table"] }, { "required": ["source"] }],
            "properties": { "table": { "type": "string" }, "schema": { "type": "string" }, "source": { "type": "string" },
                "filter": { "$ref": "#/$defs/conditions" }, "group": { "$ref": "#/$defs/names" } } },
        "joins": { "type": "object", "additionalProperties": { "type": "object", "required": ["match"],
            "anyOf": [{ "required": ["table"] }, { "required": ["source"] }],
            "additionalProperties": false, "properties": { "table": { "type": "string" }, "schema": { "type": "string" },
                "source": { "type": "string" }, "match": { "$ref": "#/$defs/match" },
                "filter": { "$ref": "#/$defs/conditions" }, "first": { "$ref": "#/$defs/names" } } } },
        "source": { "type": "object", "required": ["sql"], "additionalProperties": false, "properties": {
            "sql": { "type": "string", "minLength": 1 }, "key": { "$ref": "#/$defs/names" }, "description": { "type": "string" } } },
        "constants": { "type": "object", "additionalProperties": { "anyOf": [text, { "type": "null" }] } },
        "write": { "type": "object", "additionalProperties": false, "properties": {
            "create": { "anyOf": [{ "type": "boolean" }, { "type": "null" }, { "type": "object", "additionalProperties": false, "properties": {
                "key": { "type": "string" }, "set": { "$ref": "#/$defs/constants" } } }] },
            "update": { "anyOf": [{ "type": "boolean" }, { "type": "null" }, { "type": "object", "additionalProperties": false, "properties": {
                "version_column": { "type": "string" }, "touch": { "type": "string" } } }] },
            "delete": { "anyOf": [{ "const": "hard" }, { "type": "object", "required": ["soft"], "additionalProperties": false,
                "properties": { "soft": { "$ref": "#/$defs/constants" } } }] },
            "children": { "type": "object", "additionalProperties": { "anyOf": [{ "$ref": "#/$defs/childMode" },
                { "type": "object", "additionalProperties": false, "properties": { "mode": { "$ref": "#/$defs/childMode" },
                    "key": { "type": "string" }, "set": { "$ref": "#/$defs/constants" }, "soft": { "$ref": "#/$defs/constants" } } }] } },
            "read_only": { "$ref": "#/$defs/names" }, "unmapped": { "const": "reject" } } },
        "childMode": { "enum": ["replace", "merge", "read_only"] },
        "cases": { "type": "object", "minProperties": 1, "additionalProperties": { "type": "object" } },
        "codes": { "type": "object", "additionalProperties": false,
            "anyOf": [{ "required": ["values"] }, { "required": ["otherwise"] }, { "required": ["missing"] }], "properties": {
            "system": { "type": "string" }, "ignore_case": { "type": "boolean" },
            "values": { "type": "object", "additionalProperties": coded },
            "otherwise": { "anyOf": [coded, { "type": "null" }] }, "missing": { "anyOf": [coded, { "type": "null" }] } } },
        "each": { "type": "object", "additionalProperties": false,
            "anyOf": [{ "required": ["table", "match"] }, { "required": ["source", "match"] },
                { "required": ["group"] }, { "required": ["split", "by"] }, { "required": ["json"] }],
            "properties": {
                "table": { "type": "string" }, "schema": { "type": "string" }, "source": { "type": "string" },
                "group": { "const": true }, "split": { "type": "string" }, "by": { "type": "string" },
                "json": { "type": "string" }, "at": { "type": "string" },
                "match": { "$ref": "#/$defs/match" }, "filter": { "$ref": "#/$defs/conditions" },
                "order": { "$ref": "#/$defs/names" }, "join": { "$ref": "#/$defs/joins" },
                "max": { "type": "integer", "minimum": 1 } } }
    });
    match parts {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}

/// A type as a template may write it: its elements, `if`, or one leaf in short.
fn type_schema(ty: &TypeDef, elements: &Elements) -> Json {
    let mut properties = Map::new();
    properties.insert("if".to_owned(), json!({ "$ref": "#/$defs/conditions" }));
    for element in &ty.elements {
        for name in &element.types {
            let member = if element.choice {
                choice_name(element.name, name)
            } else {
                element.name.to_owned()
            };
            properties.insert(member, member_schema(element, name, elements));
        }
    }
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// An element: one of its type, and a list of these where it repeats.
fn member_schema(element: &ElementDef, ty: &str, elements: &Elements) -> Json {
    let one = if elements.get(ty).is_none() { "leaf".to_owned() } else { format!("one.{ty}") };
    let one = json!({ "$ref": format!("#/$defs/{one}") });
    if element.many {
        json!({ "anyOf": [{ "type": "array", "items": one }, { "type": "string" }] })
    } else {
        one
    }
}

/// What stands for an element of a type: a leaf in short, its parts, or what comes of other rows and cases.
fn one(ty: &str) -> Json {
    json!({ "anyOf": [{ "type": "string" }, { "$ref": format!("#/$defs/R4.{ty}") }, { "$ref": "#/$defs/spread" }] })
}

/// Rows of another table, one of several ways, one for each case.
fn spread() -> Json {
    let each = json!({ "type": "object", "required": ["each", "item"], "additionalProperties": false,
        "properties": { "each": { "$ref": "#/$defs/each" }, "item": {} } });
    let case = json!({ "type": "object", "required": ["case"], "additionalProperties": false, "properties": {
        "case": { "type": "array", "minItems": 1, "items": { "type": "object", "additionalProperties": false,
            "properties": { "if": { "$ref": "#/$defs/conditions" }, "then": {} } } } } });
    let cases = json!({ "type": "object", "required": ["cases", "item"], "additionalProperties": false,
        "properties": { "cases": { "$ref": "#/$defs/cases" }, "item": {} } });
    json!({ "anyOf": [each, case, cases] })
}
