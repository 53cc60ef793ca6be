//! Drafts of small databases.

use std::collections::BTreeMap;

use super::*;
use crate::mapping::rows::Rows;
use crate::mapping::tests::support::{INT, TEXT, catalog, table};
use crate::mapping::{Document, compile};

/// What the draft writes for a catalogue and the rows of some of its tables, columns in their order.
pub(super) fn drafted(catalog: &Catalog, rows: &[(&str, &[&[&str]])]) -> Draft {
    let mut samples = BTreeMap::new();
    for (name, cells) in rows {
        let at = catalog.tables.iter().position(|t| t.name == *name).unwrap();
        let columns: Vec<String> =
            catalog.tables[at].columns.iter().map(|c| c.name.clone()).collect();
        let mut filled = Rows::new(columns.len());
        for row in *cells {
            assert_eq!(row.len(), columns.len(), "a row of {name}");
            for cell in *row {
                filled.push(Some(*cell).filter(|c| !c.is_empty())).unwrap();
            }
        }
        samples.insert(at, Sampled::new(columns, filled));
    }
    draft(catalog, &samples)
}

pub(super) fn checked(catalog: &Catalog, draft: &Draft) {
    let document = Document::parse(&draft.text).unwrap_or_else(|p| panic!("{p:?}\n{}", draft.text));
    compile(&document, catalog).unwrap_or_else(|p| panic!("{p:#?}\n{}", draft.text));
}

#[test]
fn a_small_spanish_schema_is_understood() {
    let catalog = catalog();
    let draft = drafted(
        &catalog,
        &[
            (
                "pacientes",
                &[
                    &["1", "Ana María", "Soto", "Paz", "F", "05/03/1985", "1", "x"],
                    &["2", "Luis", "Rey", "", "M", "29/02/1960", "0", "x"],
                ],
            ),
            ("contactos", &[&["1", "1", "T", "555"], &["2", "1", "E", "a@b"]]),
            (
                "mediciones",
                &[
                    &["1", "1", "FC", "70,5", "01/02/2026", "08:30"],
                    &["2", "1", "FC", "71", "17/02/2026", "09:30"],
                ],
            ),
        ],
    );
    checked(&catalog, &draft);
    let text = &draft.text;
    for wanted in [
        "family: \"$ap1",
        "given: [\"$nombre | split(' ')\"]",
        "gender: \"$sexo | code(sex)\"",
        "birthDate: \"$nac | date('dd/MM/yyyy')\"",
        "active: \"$activo | bool('1', '0')\"",
        "each: {table: contactos, match: {paciente: id}, order: [id]}",
        "\"T\": \"phone\"",
        "\"E\": \"email\"",
        "subject: \"$paciente | ref(Patient)\"",
        "effectiveDateTime: \"$fecha, $hora | datetime('dd/MM/yyyy HH:mm')\"",
        "value: \"$valor | decimal(',')\"",
    ] {
        assert!(text.contains(wanted), "{wanted} in\n{text}");
    }
    assert!(!text.contains("clave_password\""), "{text}");
}

#[test]
fn rare_values_stay_unnamed() {
    let catalog = catalog();
    let rows: Vec<Vec<String>> = (0..20)
        .map(|n| {
            let kind = if n == 7 { "RARUM".to_owned() } else { "COMMON".to_owned() };
            vec![
                n.to_string(),
                "1".to_owned(),
                kind,
                "5".to_owned(),
                "2026-01-01".to_owned(),
                "08:00".to_owned(),
            ]
        })
        .collect();
    let rows: Vec<Vec<&str>> =
        rows.iter().map(|r| r.iter().map(String::as_str).collect()).collect();
    let rows: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
    let draft = drafted(&catalog, &[("mediciones", &rows)]);
    checked(&catalog, &draft);
    assert!(
        draft.text.contains("COMMON (19), and 1 not listed because they are rare"),
        "{}",
        draft.text
    );
    assert!(!draft.text.contains("RARUM"));
}

#[test]
fn composite_keys_are_referred_to_whole() {
    let mut catalog = catalog();
    let mut visit = table(
        "visit",
        &[("ward", TEXT), ("number", INT), ("patient_id", INT), ("start", SqlType::DateTime)],
        "ward",
    );
    visit.primary_key = vec!["ward".to_owned(), "number".to_owned()];
    let mut obs = table(
        "lab",
        &[
            ("id", INT),
            ("patient_id", INT),
            ("w", TEXT),
            ("n", INT),
            ("code", TEXT),
            ("value", SqlType::Decimal),
        ],
        "id",
    );
    obs.foreign_keys = vec![crate::mapping::catalog::ForeignKey {
        columns: vec!["n".to_owned(), "w".to_owned()],
        schema: None,
        table: "visit".to_owned(),
        references: vec!["number".to_owned(), "ward".to_owned()],
    }];
    catalog.tables =
        vec![table("patient", &[("id", INT), ("birth_date", SqlType::Date)], "id"), visit, obs];
    let draft = drafted(&catalog, &[]);
    checked(&catalog, &draft);
    assert!(draft.text.contains("key: [ward, number]"), "{}", draft.text);
    assert!(draft.text.contains("id: \"$ward-$number\""), "{}", draft.text);
    assert!(draft.text.contains("encounter: \"$w, $n | ref(Encounter)\""), "{}", draft.text);
}

#[test]
fn a_table_without_a_key_is_switched_off_and_says_why() {
    let mut catalog = catalog();
    for table in &mut catalog.tables {
        table.primary_key.clear();
        table.indexes.clear();
    }
    let draft = drafted(&catalog, &[]);
    assert!(
        draft.mapped.is_empty()
            && draft.text.contains("SWITCHED OFF: the table has no primary key"),
        "{}",
        draft.text
    );
    assert!(Document::parse(&draft.text).is_ok());
}

#[test]
fn odd_names_are_written_as_the_language_wants_them() {
    let mut catalog = catalog();
    let people = table(
        "Patient Máster",
        &[
            ("Patient No", INT),
            ("Last Name", TEXT),
            ("a.b", TEXT),
            ("on", TEXT),
            ("date of birth", SqlType::Date),
            ("se\"x", TEXT),
        ],
        "Patient No",
    );
    catalog.tables = vec![people];
    let draft = drafted(&catalog, &[]);
    checked(&catalog, &draft);
    assert!(draft.text.contains("family: \"${Last Name}\""), "{}", draft.text);
}
