//! What an earlier engine got wrong, one by one.

use super::support::{TEXT, catalog, render_with, rows, search_in, table};
use crate::base::{Engine, Fault as _};
use crate::fhir::SearchQuery;
use crate::mapping::catalog::{Catalog, Index, SqlType};
use crate::mapping::plan::Predicate;
use crate::mapping::{
    Compiled, Document, MappingProblem, PageRequest, PlanFault, Position, Shown, compile,
};

fn over(tables: &str) -> Result<Compiled, Vec<MappingProblem>> {
    compile(&Document::parse(&format!("mapping: 1\n{tables}")).unwrap(), &keyed())
}

/// A table whose columns might be keys.
fn keyed() -> Catalog {
    let types = [
        ("id", SqlType::Integer { bits: 32, unsigned: false }),
        ("day", SqlType::Date),
        ("at", SqlType::Instant),
        ("bytes", SqlType::Binary),
        ("real", SqlType::Float),
        ("yes", SqlType::Boolean),
        ("code", TEXT),
        ("name", TEXT),
        ("anything", SqlType::Any),
        ("uuid", SqlType::Uuid),
    ];
    let mut keyed = table("k", &types, "id");
    for (name, _) in types {
        keyed.indexes.push(Index { columns: vec![name.to_owned()], unique: name != "name" });
    }
    for column in &mut keyed.columns {
        column.nullable = column.name == "code";
    }
    let other = table("o", &[("id", types[0].1)], "id");
    let mut catalog = Catalog { tables: vec![keyed, other], ..catalog() };
    catalog.engine = Engine::Postgres;
    catalog
}

fn with_key(key: &str, id: &str) -> Result<Compiled, Vec<&'static str>> {
    let text = format!(
        "resources:\n  - type: Patient\n    from: {{table: k}}\n    join: {{o: {{table: o, match: {{id: id}}}}}}\n    key: {key}\n    id: \"{id}\"\n    map: {{active: true}}\n"
    );
    over(&text).map_err(|problems| problems.into_iter().map(|p| p.code).collect())
}

#[test]
fn a_key_that_cannot_be_read_back_is_refused() {
    for name in ["day", "at", "bytes", "real", "yes", "anything", "o.id"] {
        let problems = with_key(name, &format!("${name}")).unwrap_err();
        assert!(problems.contains(&"key-type"), "{name}: {problems:?}");
    }
    assert!(with_key("code", "$code").unwrap_err().contains(&"key-nullable"));
    // Rows that lack it are no rows where the filter says so.
    let text = "resources:\n  - type: Patient\n    from: {table: k, filter: {code: {missing: false}}}\n    key: code\n    id: \"$code\"\n    map: {active: true}\n";
    assert!(over(text).is_ok());
    assert!(over(&text.replace("missing: false", "not: x")).is_err());
    assert!(with_key("name", "$name").unwrap_err().contains(&"key-not-unique"));
    assert!(with_key("[id, code]", "$id").unwrap_err().contains(&"id"));
    for good in ["id", "uuid"] {
        assert!(with_key(good, &format!("${good}")).is_ok(), "{good}");
    }
}

#[test]
fn a_page_that_ends_at_a_row_without_a_key_has_no_position() {
    let compiled = with_key("id", "$id").unwrap();
    let query = SearchQuery::parse("").unwrap();
    let page = PageRequest { count: 1, after: None, base: "" };
    let plan = compiled.plan_search("Patient", &query, &page).unwrap();
    let source = &plan.sources[0];
    let width = source.plan.page.columns.len();
    let cells = |first| {
        let mut cells = vec![None; width];
        cells[0] = first;
        cells
    };
    let here = source.position(&rows(width, &cells(Some("7"))), 0);
    assert_eq!(
        here,
        Some(Position { source: 0, after: Some(vec![Some("7".to_owned())]), also: Vec::new() })
    );
    for broken in [None, Some("x7"), Some("99999999999")] {
        assert_eq!(source.position(&rows(width, &cells(broken)), 0), None, "{broken:?}");
    }
}

const TWO: &str = r#"
resources:
  - {type: Patient, from: {table: k}, key: id, id: "k-$id", map: {name: [{family: "$name"}], identifier: [{value: "$code"}]}}
  - {type: Patient, from: {table: o}, key: id, id: "o-$id", map: {active: true}, SEARCH}
"#;

fn names(compiled: &Compiled) -> Vec<String> {
    compiled.capability()[0].search_params.iter().map(|p| p.name.clone()).collect()
}

#[test]
fn a_source_that_cannot_answer_makes_the_search_refused_by_name() {
    // The second never has a family name, which is an answer: nothing of it matches.
    let both = over(&TWO.replace(", SEARCH", "")).unwrap();
    assert_eq!(search_in(&both, "Patient", "family=a").unwrap().len(), 1);
    assert!(names(&both).contains(&"family".to_owned()));
    // It has one that cannot be turned around.
    let unable = TWO.replace(
        "map: {active: true}, SEARCH",
        "map: {name: [{family: \"$id | suffix('x')\"}], identifier: [{value: \"$id\"}]}",
    );
    let one = over(&unable).unwrap();
    let fault = search_in(&one, "Patient", "family=a").unwrap_err();
    assert_eq!(fault, PlanFault::Unsupported { parameter: "family".to_owned() });
    assert!(fault.unsupported() && fault.client_message().contains("family"));
    assert!(!names(&one).contains(&"family".to_owned()));
    assert!(names(&one).contains(&"identifier".to_owned()));
    // It was switched off there.
    let off = over(&TWO.replace("SEARCH", "search: {family: disabled}")).unwrap();
    assert!(search_in(&off, "Patient", "family=a").is_err());
    assert!(!names(&off).contains(&"family".to_owned()));
}

#[test]
fn what_is_partly_invertible_is_refused_whole() {
    let text = r#"
resources:
  - type: Observation
    from: {table: k}
    key: id
    id: "$id"
    map:
      status: final
      code:
        coding:
          - {system: "urn:a", code: "$name"}
          - {system: "urn:b", code: "$code | repair"}
"#;
    let compiled = over(text).unwrap();
    for query in ["code=x", "code:not=x", "code=urn:b|x"] {
        assert!(search_in(&compiled, "Observation", query).is_err(), "{query}");
    }
    let good = over(&text.replace(" | repair", "")).unwrap();
    let shown = format!("{:?}", search_in(&good, "Observation", "code=x").unwrap());
    assert!(shown.contains("\"name\"") && shown.contains("\"code\""), "{shown}");
}

#[test]
fn codes_count_letter_by_letter_both_ways() {
    let text = r#"
codes: {kind: {values: {"a": Alpha}}}
resources:
  - type: Observation
    from: {table: k}
    key: id
    id: "$id"
    map: {status: final, code: {coding: [{system: "urn:x", code: "$code | code(kind)"}]}}
"#;
    let compiled = over(text).unwrap();
    assert_eq!(search_in(&compiled, "Observation", "code=Alpha").unwrap().len(), 1);
    for other in ["code=alpha", "code=ALPHA", "status=FINAL", "code=URN:X|Alpha"] {
        assert!(search_in(&compiled, "Observation", other).unwrap().is_empty(), "{other}");
    }
    let upper = Document::parse(&format!(
        "mapping: 1\n{}",
        text.replace("code(kind)", "code(kind) | upper")
    ));
    let upper = compile(&upper.unwrap(), &keyed()).unwrap();
    assert_eq!(search_in(&upper, "Observation", "code=ALPHA").unwrap().len(), 1);
    for other in ["code=Alpha", "code=alpha", "code=ALPHÁ"] {
        assert!(search_in(&upper, "Observation", other).unwrap().is_empty(), "{other}");
    }
}

const SCALARS: &str = r#"
mapping: 1
resources:
  - type: Patient
    from: {table: pacientes}
    key: id
    id: "$id"
    last_updated: "$nac"
    map:
      meta: {profile: ["http://example.org/p"]}
      active: "$activo | bool('1', '0')"
      birthDate: "$nac"
      multipleBirthInteger: "$sexo"
      telecom: [{value: "$nombre", rank: "$sexo"}]
      extension: [{url: "urn:e", valueDecimal: "$ap1"}]
"#;

#[test]
fn a_profile_stands_without_a_time_of_change() {
    let compiled = compile(&Document::parse(SCALARS).unwrap(), &catalog()).unwrap();
    let width = compiled.plan_read("Patient", "1")[0].read.select.columns.len();
    let mut cells = vec![None; width];
    cells[0] = Some("1");
    let (json, bad) = render_with(&compiled, ("Patient", "1"), &Shown::All, &cells, &[]);
    let wanted = serde_json::json!({
        "resourceType": "Patient", "id": "1", "meta": {"profile": ["http://example.org/p"]},
    });
    assert_eq!((json, bad), (Some(wanted), 0));
}

proptest::proptest! {
    #[test]
    fn every_scalar_is_of_its_type_or_left_out(
        cells in proptest::collection::vec(
            proptest::option::of(proptest::prop_oneof![".{0,12}", "[-+0-9.,eE/T: ]{0,12}", "(true|1|0|null)"]),
            8,
        )
    ) {
        let compiled = compile(&Document::parse(SCALARS).unwrap(), &catalog()).unwrap();
        let width = compiled.plan_read("Patient", "1")[0].read.select.columns.len();
        let mut page: Vec<Option<&str>> = cells.iter().map(Option::as_deref).take(width).collect();
        page.resize(width, None);
        page[0] = Some("1");
        let (json, _) = render_with(&compiled, ("Patient", "1"), &Shown::All, &page, &[]);
        let json = json.unwrap();
        let is = |value: &serde_json::Value, good: fn(&serde_json::Value) -> bool| {
            value.is_null() || good(value)
        };
        proptest::prop_assert!(is(&json["active"], serde_json::Value::is_boolean));
        proptest::prop_assert!(is(&json["multipleBirthInteger"], serde_json::Value::is_i64));
        proptest::prop_assert!(is(&json["telecom"][0]["rank"], |v| v.as_i64().is_some_and(|n| n > 0)));
        proptest::prop_assert!(is(&json["extension"][0]["valueDecimal"], serde_json::Value::is_number));
        proptest::prop_assert!(is(&json["birthDate"], |v| v.as_str().is_some_and(|t| matches!(t.len(), 4 | 7 | 10))));
        proptest::prop_assert!(is(&json["meta"]["lastUpdated"], |v| v.as_str().is_some_and(|t| t.contains('T'))));
    }
}

#[test]
fn a_missing_search_asks_for_the_contact_system() {
    let document = Document::parse(super::support::DOCUMENT).unwrap();
    let compiled = compile(&document, &catalog()).unwrap();
    let email = search_in(&compiled, "Patient", "email:missing=true").unwrap();
    // The condition on the kind of contact stands inside the same sub-select as its presence.
    let shown = format!("{email:?}");
    assert!(shown.contains("Not(Among") && shown.contains("text: \"E\""), "{shown}");
    assert!(!shown.contains("text: \"T\"") || shown.contains("text: \"E\""), "{shown}");
    let gender = search_in(&compiled, "Patient", "gender=urn:other|").unwrap();
    assert!(gender.is_empty(), "{gender:?}");
    let own = search_in(&compiled, "Patient", "gender=http://hl7.org/fhir/administrative-gender|");
    assert!(!own.unwrap().contains(&Predicate::Never));
}

#[test]
fn a_filter_takes_days_and_times_as_people_write_them() {
    let filtered = |value: &str| {
        over(&format!(
            "resources:\n  - type: Patient\n    from: {{table: k, filter: {{{value}}}}}\n    key: id\n    id: \"$id\"\n    map: {{active: true}}\n"
        ))
    };
    for good in [
        "at: \"9999-12-31\"",
        "at: \"9999-12-31 00:00:00\"",
        "at: \"2024-01-31T08:30:00Z\"",
        "day: \"2024-01-31\"",
        "day: {not: [\"0001-01-01\", \"9999-12-31\"]}",
    ] {
        assert!(filtered(good).is_ok(), "{good}: {:?}", filtered(good).err());
    }
    for (bad, hint) in [
        ("day: \"31.01.2024\"", "2024-01-31"),
        ("at: never", "in UTC"),
        ("id: \"01\"", "without zeros"),
        ("yes: ja", "true or false"),
        ("uuid: \"12\"", "hyphens"),
    ] {
        let problems = filtered(bad).unwrap_err();
        assert!(problems.iter().any(|p| p.hint.contains(hint)), "{bad}: {problems:?}");
    }
}

#[test]
fn a_join_over_a_whole_key_and_more_finds_one_row() {
    let warned = |condition: &str| {
        let text = format!(
            "resources:\n  - type: Patient\n    from: {{table: k}}\n    join: {{o: {{table: k, match: {{{condition}}}, filter: {{name: x}}}}}}\n    key: id\n    id: \"$id\"\n    map: {{gender: {{case: [{{if: {{o.name: y}}, then: male}}]}}}}\n"
        );
        let compiled = over(&text).unwrap();
        compiled.warnings().iter().any(|w| w.code == "join-fan-out")
    };
    assert!(!warned("id: id"));
    assert!(warned("name: name"));
}
