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
    }
    definitions.extend(language());
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
            "cases": { "type": "object", "minProperties": 1, "additionalProperties": { "type": "object" } },
            "map": { "type": "object" }
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
            { "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false,
              "properties": { "missing": { "type": "boolean" }, "not": {} } }] },
        "conditions": { "type": "object", "additionalProperties": { "$ref": "#/$defs/value" } },
        "match": { "type": "object", "minProperties": 1, "additionalProperties": { "type": "string" } },
        "from": { "type": "object", "required": ["table"], "additionalProperties": false,
            "properties": { "table": { "type": "string" }, "schema": { "type": "string" }, "filter": { "$ref": "#/$defs/conditions" } } },
        "joins": { "type": "object", "additionalProperties": { "type": "object", "required": ["table", "match"],
            "additionalProperties": false, "properties": { "table": { "type": "string" }, "schema": { "type": "string" },
                "match": { "$ref": "#/$defs/match" }, "filter": { "$ref": "#/$defs/conditions" } } } },
        "codes": { "type": "object", "required": ["values"], "additionalProperties": false, "properties": {
            "system": { "type": "string" }, "ignore_case": { "type": "boolean" },
            "values": { "type": "object", "minProperties": 1, "additionalProperties": coded },
            "otherwise": { "anyOf": [coded, { "type": "null" }] }, "missing": { "anyOf": [coded, { "type": "null" }] } } },
        "each": { "type": "object", "required": ["table", "match"], "additionalProperties": false, "properties": {
            "table": { "type": "string" }, "schema": { "type": "string" }, "match": { "$ref": "#/$defs/match" },
            "filter": { "$ref": "#/$defs/conditions" }, "order": { "type": "array", "items": { "type": "string" } },
            "join": { "$ref": "#/$defs/joins" }, "max": { "type": "integer", "minimum": 1 } } }
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

/// An element: a leaf, an object of its type, rows of another table, and a list of these where it repeats.
fn member_schema(element: &ElementDef, ty: &str, elements: &Elements) -> Json {
    let plain = elements.get(ty).is_none();
    let item = if plain {
        json!({ "type": ["string", "number", "boolean"] })
    } else {
        json!({ "anyOf": [{ "type": "string" }, { "$ref": format!("#/$defs/R4.{ty}") }] })
    };
    let each = json!({ "type": "object", "required": ["each", "item"], "additionalProperties": false,
        "properties": { "each": { "$ref": "#/$defs/each" }, "item": item } });
    let one = json!({ "anyOf": [item, each] });
    if element.many {
        json!({ "anyOf": [{ "type": "array", "items": one }, { "type": "string" }] })
    } else {
        one
    }
}
