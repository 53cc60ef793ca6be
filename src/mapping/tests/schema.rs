//! The JSON Schema for editors: the file is the one that is made here, it takes every mapping there is, and
//! it refuses what is wrong with them.

use serde_json::Value as Json;

use crate::mapping::schema::schema;

const FILE: &str = include_str!("../../../docs/mapping/mapping.schema.json");
const LANGUAGE: &str = include_str!("../../../docs/mapping/LANGUAGE.md");
const COOKBOOK: &str = include_str!("../../../docs/mapping/COOKBOOK.md");
const US_CORE: &str = include_str!("../../../docs/mapping/US-CORE.md");
const WHOLE: [&str; 11] = [
    include_str!("../../app/demo/hospitals/north.yaml"),
    include_str!("../../app/demo/hospitals/sur.yaml"),
    include_str!("../../app/demo/hospitals/lakes.yaml"),
    include_str!("../../../tests/fixtures/mappings/omop54-postgres.yaml"),
    include_str!("../../../tests/fixtures/mappings/openmrs-fdp.yaml"),
    include_str!("../../../tests/fixtures/mappings/synthea27.yaml"),
    include_str!("../../../tests/fixtures/legacy/mapping.yaml"),
    include_str!("../../../tests/clients/hospital.yaml"),
    include_str!("../../../tenant-migrations/mappings/postgres.yaml"),
    include_str!("../../../tenant-migrations/mappings/mysql.yaml"),
    include_str!("../../../tenant-migrations/mappings/sqlite.yaml"),
];

/// Whether a value fits; for the words that the schema uses, and no others.
fn fits(schema: &Json, value: &Json, root: &Json) -> bool {
    let Json::Object(words) = schema else { return schema != &Json::Bool(false) };
    words.iter().all(|(word, want)| match word.as_str() {
        "$ref" => {
            let target = want.as_str().unwrap().strip_prefix('#').unwrap();
            fits(root.pointer(target).unwrap_or_else(|| panic!("{target} is missing")), value, root)
        }
        "type" => {
            let is = |name: &Json| match name.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "number" => value.is_number(),
                "integer" => value.is_i64(),
                "boolean" => value.is_boolean(),
                "null" => value.is_null(),
                other => panic!("the type {other}"),
            };
            want.as_array().map_or_else(|| is(want), |names| names.iter().any(is))
        }
        "const" => value == want,
        "enum" => want.as_array().unwrap().contains(value),
        "required" => value.as_object().is_none_or(|o| {
            want.as_array().unwrap().iter().all(|name| o.contains_key(name.as_str().unwrap()))
        }),
        "properties" => value.as_object().is_none_or(|o| {
            let inner = |(name, schema): (&String, &Json)| {
                o.get(name).is_none_or(|v| fits(schema, v, root))
            };
            want.as_object().unwrap().iter().all(inner)
        }),
        "additionalProperties" => value.as_object().is_none_or(|o| {
            let known = words.get("properties").and_then(Json::as_object);
            let more = |name: &String| known.is_none_or(|known| !known.contains_key(name));
            o.iter().filter(|(name, _)| more(name)).all(|(_, v)| fits(want, v, root))
        }),
        "items" => value.as_array().is_none_or(|items| items.iter().all(|v| fits(want, v, root))),
        "minItems" => value.as_array().is_none_or(|a| a.len() as u64 >= want.as_u64().unwrap()),
        "minProperties" => {
            value.as_object().is_none_or(|o| o.len() as u64 >= want.as_u64().unwrap())
        }
        "maxProperties" => {
            value.as_object().is_none_or(|o| o.len() as u64 <= want.as_u64().unwrap())
        }
        "minLength" => value.as_str().is_none_or(|t| t.len() as u64 >= want.as_u64().unwrap()),
        "minimum" => value.as_i64().is_none_or(|n| n >= want.as_i64().unwrap()),
        "anyOf" => want.as_array().unwrap().iter().any(|s| fits(s, value, root)),
        "oneOf" => want.as_array().unwrap().iter().filter(|s| fits(s, value, root)).count() == 1,
        "allOf" => want.as_array().unwrap().iter().all(|s| fits(s, value, root)),
        "if" => {
            !fits(want, value, root) || words.get("then").is_none_or(|then| fits(then, value, root))
        }
        "then" | "$defs" | "$schema" | "title" | "description" => true,
        other => panic!("the schema says {other}, which is not judged here"),
    })
}

/// Every mapping of the repository: the complete ones, and the examples of the pages.
fn mappings() -> Vec<String> {
    let mut all: Vec<String> = WHOLE.iter().map(|text| (*text).to_owned()).collect();
    for page in [LANGUAGE, COOKBOOK, US_CORE] {
        let blocks =
            page.split("\n```yaml\n").skip(1).filter_map(|rest| rest.split("\n```").next());
        let whole = |block: &str| {
            let head = if block.starts_with("mapping:") { "" } else { "mapping: 1\n" };
            format!("{head}{block}\n")
        };
        all.extend(blocks.map(whole));
    }
    all
}

/// Words that say how something is mapped, each with what follows it where it does.
const WORDS: [&str; 58] = [
    "join:",
    "first: [",
    "schema:",
    "${",
    "$$",
    "version:",
    "last_updated:",
    "search:",
    "disabled",
    "not:",
    "missing: false",
    "missing: true",
    "above:",
    "below:",
    "before:",
    "after:",
    ": now",
    "group:",
    "group: true",
    "cases:",
    "case:",
    "if:",
    "each:",
    "split:",
    "json:",
    "order:",
    "max:",
    "ignore_case:",
    "otherwise:",
    "sources:",
    "trim: false",
    "empty_is_null: false",
    "write:",
    "auto_increment",
    "key: identity",
    "key: uuid",
    "key: body",
    "set:",
    "version_column:",
    "touch:",
    "soft:",
    "delete: hard",
    "replace",
    "mode: merge",
    "read_only:",
    "(ymd)",
    "(epoch)",
    "(epoch_ms)",
    "(horolog)",
    "(julian)",
    "(excel)",
    "bbbb",
    "meta:",
    "profile:",
    "timezone:",
    "ref(Organization, clinic)",
    "decimal(',')",
    "description:",
];

#[test]
fn every_word_of_the_language_stands_in_an_example() {
    let mut all = mappings();
    let examples = all.split_off(WHOLE.len()).join("\n");
    // A schema is nothing that SQLite has, where the pages' examples are run; a whole mapping has it.
    let there = |word: &&str| {
        examples.contains(word) || *word == "schema:" && all.join("\n").contains(word)
    };
    let absent: Vec<&str> = WORDS.into_iter().filter(|word| !there(word)).collect();
    assert!(absent.is_empty(), "{absent:?}");
    let used = |name: &str| {
        let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        examples.split("| ").skip(1).any(|rest| rest.strip_prefix(name).is_some_and(ends))
    };
    let absent: Vec<&str> =
        crate::mapping::compile::NAMES.into_iter().filter(|name| !used(name)).collect();
    assert!(absent.is_empty(), "{absent:?}");
}

/// A document as JSON.
fn json(text: &str) -> Json {
    let document =
        crate::mapping::Document::parse(text).unwrap_or_else(|p| panic!("{p:?}\n{text}"));
    serde_json::from_str(&document.to_json()).unwrap()
}

#[test]
fn the_file_is_what_is_made() {
    let made = serde_json::to_string(&schema()).unwrap() + "\n";
    assert!(FILE == made, "run: wardgate mapping schema > docs/mapping/mapping.schema.json");
}

#[test]
fn every_mapping_there_is_fits() {
    let schema = schema();
    let all = mappings();
    assert!(all.len() > 15, "{}", all.len());
    for text in all {
        assert!(fits(&schema, &json(&text), &schema), "{text}");
    }
}

#[test]
fn what_is_wrong_does_not_fit() {
    let schema = schema();
    let north = json(WHOLE[0]);
    let wrong = |change: &dyn Fn(&mut Json)| {
        let mut mapping = north.clone();
        change(&mut mapping);
        assert_ne!(mapping, north, "nothing was changed");
        assert!(!fits(&schema, &mapping, &schema), "{mapping}");
    };
    let entry = |mapping: &mut Json| mapping["resources"][0].as_object_mut().unwrap().clone();
    for gone in ["type", "from", "key", "id", "map"] {
        wrong(&|m| drop(m["resources"][0].as_object_mut().unwrap().remove(gone)));
    }
    wrong(&|m| m["resources"][0]["type"] = "Pacient".into());
    wrong(&|m| m["resources"][0]["form"] = "patients".into());
    wrong(&|m| m["resources"][0]["from"] = "patients".into());
    wrong(&|m| m["resources"][0]["map"]["birthdate"] = "$x".into());
    wrong(&|m| m["resources"][0]["map"]["name"] = serde_json::json!([{ "familly": "$x" }]));
    wrong(&|m| {
        m["resources"][0]["map"]["name"] =
            serde_json::json!([{ "each": { "table": "t" }, "item": "$x" }]);
    });
    wrong(&|m| m["resources"][0]["search"] = serde_json::json!({ "name": "off" }));
    wrong(&|m| m["resources"][0]["from"] = serde_json::json!({ "schema": "s" }));
    wrong(&|m| m["resources"] = Json::Array(Vec::new()));
    wrong(&|m| m["mapping"] = 2.into());
    wrong(&|m| m["databse"] = Json::Null);
    wrong(&|m| m["codes"] = serde_json::json!({ "sex": { "value": {} } }));
    wrong(&|m| m["codes"] = serde_json::json!({ "sex": { "system": "urn:x" } }));
    let mut copy = north.clone();
    assert!(entry(&mut copy).len() > 4);
}
