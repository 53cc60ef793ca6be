pub(super) mod support;
mod limits;
mod schema;
mod singles;
mod told;
mod wrongs;

use serde_json::json;

use support::{DOCUMENT, catalog, compiled, render, rows, search};

use super::plan::TextMatch;
use super::rows::Rows;
use super::*;
use crate::fhir::SearchQuery;

#[test]
fn a_row_becomes_a_resource() {
    // Columns in the order in which the document names them.
    let page = [
        Some("7"),
        Some("1"),
        Some("Muñoz"),
        Some("Rojas"),
        Some("Ana María"),
        Some("F"),
        Some("05/03/1985"),
    ];
    let contacts = rows(3, &[Some("7"), Some("T"), Some("555"), Some("7"), Some("E"), Some(" ")]);
    let (patient, bad) = render("Patient", "7", &page, &[contacts]);
    let expected = json!({
        "resourceType": "Patient", "id": "7", "active": true,
        "name": [{ "use": "official", "family": "Muñoz Rojas", "given": ["Ana", "María"] }],
        "telecom": [{ "system": "phone", "value": "555" }, { "system": "email" }],
        "gender": "female", "birthDate": "1985-03-05",
    });
    assert_eq!((patient, bad), (Some(expected), 0));
}

#[test]
fn what_is_empty_is_absent_and_a_bad_cell_is_counted() {
    let page = [Some("7"), Some("yes"), None, Some("  "), None, None, Some("31/02/1985")];
    let (patient, bad) = render("Patient", "7", &page, &[Rows::new(3)]);
    assert_eq!(patient, Some(json!({ "resourceType": "Patient", "id": "7" })));
    assert_eq!(bad, 2);
}

#[test]
fn decimals_keep_their_digits_and_local_times_get_their_offset() {
    let page = [Some("3"), Some("FC"), Some("7"), Some("01/02/2026"), Some("08:30"), Some("70,50")];
    let (observation, _) = render("Observation", "med-3", &page, &[]);
    let observation = observation.unwrap();
    assert_eq!(observation["valueQuantity"]["value"].to_string(), "70.5");
    assert_eq!(observation["effectiveDateTime"], "2026-02-01T08:30:00-03:00");
    assert_eq!(observation["subject"]["reference"], "Patient/7");
}

#[test]
fn a_row_without_a_demanded_element_is_left_out() {
    let page = [Some("3"), Some("XX"), Some("7"), None, None, None];
    let (observation, bad) = render("Observation", "med-3", &page, &[]);
    assert_eq!((observation, bad), (None, 1));
}

#[test]
fn ids_that_are_no_keys_reach_no_database() {
    let compiled = compiled();
    for id in ["12abc", "012", "+1", "1 ", "", "9223372036854775808", "med-1"] {
        assert!(compiled.plan_read("Patient", id).is_empty(), "{id}");
    }
    assert_eq!(compiled.plan_read("Observation", "med-1").len(), 1);
    assert!(compiled.plan_read("Observation", "1").is_empty());
}

#[test]
fn searches_are_turned_around_through_the_template() {
    let shown = |query| format!("{:?}", search("Patient", query).unwrap());
    assert!(shown("gender=female").contains("text: \"F\""));
    // What is neither F nor M is unknown: all but the known ones.
    assert!(shown("gender=unknown").contains("Not(In"));
    assert!(shown("family=mun").contains("Joined"));
    let word = format!("{:?}", TextMatch::StartsWord { separator: ' ' });
    assert!(shown("given=mar").contains(&word));
    assert!(shown("phone=555").contains("Among"));
    assert!(shown("birthdate=ge1985").contains("1985-01-01"));
    assert!(shown("active=true").contains("text: \"1\""));
    let observation = format!(
        "{:?}",
        search("Observation", "patient=Patient/7&code=http://loinc.org|8867-4").unwrap()
    );
    assert!(observation.contains("text: \"7\"") && observation.contains("text: \"FC\""));
}

#[test]
fn what_cannot_be_served_is_refused_by_name() {
    for query in [
        "foo=1",
        "_sort=address",
        "family:text=x",
        "birthdate=soon",
        "address=x",
        "birthdate=",
        "gender:in=x",
    ] {
        let fault = search("Patient", query).unwrap_err();
        assert!(!fault.to_string().contains("soon"), "{fault}");
    }
    assert!(search("Patient", "identifier=1").is_err());
}

#[test]
fn a_system_that_differs_matches_nothing() {
    assert!(search("Observation", "code=http://snomed.info/sct|8867-4").unwrap().is_empty());
}

#[test]
fn all_faults_of_a_document_come_at_once() {
    let text = DOCUMENT
        .replace("table: contactos", "table: contacto")
        .replace("$nac |", "$nacimiento |")
        .replace("otherwise: unknown", "otherwise: none")
        .replace("      status: final\n", "")
        .replace("bool('1', '0')", "yes('1')")
        .replace("$nombre |", "$clave_password |")
        .replace("family:", "surname:");
    let problems = compile(&Document::parse(&text).unwrap(), &catalog()).unwrap_err();
    let codes: Vec<&str> = problems.iter().map(|p| p.code).collect();
    for code in [
        "unknown-table",
        "unknown-column",
        "code-not-allowed",
        "required",
        "unknown-transform",
        "credential",
        "unknown-element",
    ] {
        assert!(codes.contains(&code), "{code} in {codes:?}");
    }
    let table = problems.iter().find(|p| p.code == "unknown-table").unwrap();
    assert_eq!(table.pointer, "/resources/0/map/telecom/0/each/table");
    assert!(table.hint.contains("contactos"));
}

#[test]
fn yaml_is_read_strictly() {
    for bad in ["", "- 1", "mapping: 1\nmapping: 1", "codes: {x: {values: {1: a}}}", "a: [", "{"] {
        assert!(Document::parse(bad).is_err(), "{bad}");
    }
    let document = Document::parse(DOCUMENT).unwrap();
    assert_eq!(Document::parse(&document.to_json()), Ok(document));
}

proptest::proptest! {
    #[test]
    fn whatever_a_row_holds_the_answer_is_json(cells in proptest::collection::vec(proptest::option::of(".{0,20}"), 6)) {
        let mut page: Vec<Option<&str>> = vec![Some("7")];
        page.extend(cells.iter().map(Option::as_deref));
        let _json_or_left_out = render("Patient", "7", &page, &[Rows::new(3)]);
    }

    #[test]
    fn whatever_is_asked_the_plan_is_made_or_refused(query in "[a-z_:]{1,12}=[ -~]{0,20}") {
        if let Ok(parsed) = SearchQuery::parse(&query) {
            let compiled = compiled();
            let page = PageRequest { count: 1, after: None, base: "http://x" };
            let _plan_or_refusal = compiled.plan_search("Patient", &parsed, &page);
        }
    }

    #[test]
    fn a_damaged_document_never_panics(at in 0usize..DOCUMENT.len(), letter in proptest::char::any()) {
        let mut text = DOCUMENT.to_owned();
        if text.is_char_boundary(at) {
            text.insert(at, letter);
            if let Ok(document) = Document::parse(&text) {
                let _compiled_or_not = compile(&document, &catalog());
            }
        }
    }
}

#[test]
fn a_bare_code_belongs_to_no_other_system() {
    assert!(search("Patient", "gender=http://example.org|female").unwrap().is_empty());
    let own = "gender=http://hl7.org/fhir/administrative-gender|female";
    assert!(format!("{:?}", search("Patient", own).unwrap()).contains("text: \"F\""));
}
