//! What somebody is told who writes a mapping as people do who know their tables and not FHIR: everything at once, no
//! fault that follows from another, and what to write instead.

use super::support::{DOCUMENT, catalog};
use crate::mapping::{Document, MappingProblem, ProblemSeverity, compile};

fn told(text: &str) -> Vec<MappingProblem> {
    match Document::parse(text) {
        Err(problems) => problems,
        Ok(document) => match compile(&document, &catalog()) {
            Err(problems) => problems,
            Ok(compiled) => compiled.warnings().to_vec(),
        },
    }
}

/// The document with something else in a place.
fn with(changes: &[(&str, &str)]) -> Vec<MappingProblem> {
    let changed = changes.iter().fold(DOCUMENT.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "{old}");
        text.replacen(old, new, 1)
    });
    told(&changed)
}

fn errors(problems: &[MappingProblem]) -> Vec<(&str, &str)> {
    let errors = problems.iter().filter(|p| p.severity == ProblemSeverity::Error);
    errors.map(|p| (p.pointer.as_str(), p.code)).collect()
}

#[test]
fn a_table_that_is_not_there_hides_no_other_fault() {
    let problems = with(&[
        ("{table: pacientes}", "{table: paciente, filter: {borrado: 0, edad: {above: 5}}}"),
        ("birthDate:", "birthdate:"),
        ("code(sexo)", "code(genero)"),
        ("split(' ')", "explode(' ')"),
        ("{table: contactos, match", "{table: contacto, match"),
        ("system: \"$tipo", "sistem: \"$tipo"),
        ("$nac | date('dd/MM/yyyy')", "$nac | date('%d/%m/%Y')"),
        ("subject: \"$paciente | ref(Patient)\"", "subject: \"$paciente | ref(Patinet)\""),
    ]);
    let map = "/resources/0/map";
    let wanted = [
        ("/resources/0/from/table".to_owned(), "unknown-table"),
        (format!("{map}/name/0/given/0"), "unknown-transform"),
        (format!("{map}/telecom/0/each/table"), "unknown-table"),
        (format!("{map}/telecom/0/item/sistem"), "unknown-element"),
        (format!("{map}/gender"), "unknown-codes"),
        (format!("{map}/birthdate"), "unknown-element"),
        ("/resources/1/map/subject/reference".to_owned(), "reference-type"),
    ];
    let wanted: Vec<(&str, &str)> = wanted.iter().map(|(at, code)| (at.as_str(), *code)).collect();
    assert_eq!(errors(&problems), wanted, "{problems:#?}");
}

#[test]
fn what_follows_from_another_fault_is_not_said() {
    for (change, at, code) in [
        (("{table: pacientes}", "{table: paciente}"), "/resources/0/from/table", "unknown-table"),
        (("    from: {table: pacientes}\n", ""), "/resources/0/from", "missing"),
        (("    key: id\n", ""), "/resources/0/key", "missing"),
        (("id: \"$id\"", "id: \"$id/x\""), "/resources/0/id", "id"),
        (("key: id", "key: nombre"), "/resources/0/key", "key-not-unique"),
        (("type: Patient", "type: Paciente"), "/resources/0/type", "unknown-type"),
        (
            ("{table: contactos,", "{table: kontakte,"),
            "/resources/0/map/telecom/0/each/table",
            "unknown-table",
        ),
        (
            ("\"$ap1, $ap2 | join(' ')\"", "\"$apellido | upper\""),
            "/resources/0/map/name/0/family",
            "unknown-column",
        ),
    ] {
        let problems = with(&[change]);
        let found = errors(&problems);
        assert!(found.contains(&(at, code)), "{change:?}: {problems:#?}");
        let own = |(place, code): &&(&str, &str)| {
            place.starts_with("/resources/0/key") || *code == "id" || (*place, *code) == (at, code)
        };
        let others: Vec<_> =
            found.iter().filter(|found| !own(found)).filter(|(place, _)| *place != at).collect();
        assert!(others.is_empty(), "{change:?}: {others:?}");
    }
}

/// A change of the document, what it is told as, and a part of what it says to write.
const MISTAKEN: &[((&str, &str), &str, &str)] = &[
    (
        ("subject: \"$paciente | ref(Patient)\"", "subject: {reference: \"Patient/$paciente\"}"),
        "reference",
        "$paciente | ref(Patient)",
    ),
    (
        ("subject: \"$paciente | ref(Patient)\"", "subject: \"$paciente\""),
        "reference",
        "$paciente | ref(Patient)",
    ),
    (("subject: \"$paciente | ref(Patient)\"", "subject: \"12\""), "reference", "ref(Patient)"),
    (("unit: /min", "unit: \"{{valor}}\""), "constant", "$valor"),
    (("unit: /min", "unit: \"join($cod, $valor)\""), "constant", "$cod"),
    (("unit: /min", "unit: SELECT unidad FROM unidades"), "constant", "sources:"),
    (("birthDate:", "maritalStatus: {text: activo}\n      birthDate:"), "", ""),
    (
        ("active: \"$activo | bool('1', '0')\"", "maritalStatus: {text: activo}"),
        "constant",
        "\"$activo\"",
    ),
    (("system: \"http://loinc.org\"", "system: LOINC"), "system", "urn:oid:"),
    (("cod: {values:", "cod: {system: LN, values:"), "system", "urn:oid:"),
    (
        ("gender: \"$sexo | code(sexo)\"", "gender: \"$genero_paciente\""),
        "unknown-column",
        "It has: id, nombre, ap1",
    ),
    (("$nombre |", "$pacientes.nombre |"), "unknown-join", "`$nombre`"),
    (
        ("    from: {table: pacientes}", "\tfrom: {table: pacientes}"),
        "syntax",
        "Indent with blanks",
    ),
    (("      gender:", "      active: true\n      gender:"), "syntax", "stands once"),
    (("\"$sexo | code(sexo)\"", "\"$sexo | code(sexo)"), "syntax", "Close the quote"),
    (("      gender:", "        gender:"), "syntax", "same column"),
];

#[test]
fn what_was_meant_is_told() {
    for (change, code, hint) in MISTAKEN {
        let problems = with(&[*change]);
        let mut own = problems.iter().filter(|p| p.code != "unindexed");
        if code.is_empty() {
            assert!(own.all(|p| p.code != "constant"), "{change:?}: {problems:#?}");
            continue;
        }
        let found = own.find(|p| p.code == *code);
        assert!(found.is_some_and(|p| p.hint.contains(hint)), "{change:?}: {problems:#?}");
    }
}

#[test]
fn what_is_meant_as_it_stands_is_not_doubted() {
    for (old, new) in [
        ("unit: /min", "unit: \"$$valor\""),
        ("unit: /min", "unit: \"US$ {a}\""),
        ("subject: \"$paciente | ref(Patient)\"", "subject: {reference: \"Patient/12\"}"),
        (
            "subject: \"$paciente | ref(Patient)\"",
            "subject: {reference: \"https://other.example/fhir/Patient/12\"}",
        ),
        (
            "subject: \"$paciente | ref(Patient)\"",
            "subject: {reference: \"$paciente | prefix('Patient/')\"}",
        ),
        ("system: \"http://loinc.org\"", "system: \"urn:oid:2.16\""),
    ] {
        let problems = with(&[(old, new)]);
        let doubts = ["reference", "constant", "system"];
        assert!(!problems.iter().any(|p| doubts.contains(&p.code)), "{new}: {problems:#?}");
        assert_eq!(errors(&problems), [], "{new}");
    }
}
