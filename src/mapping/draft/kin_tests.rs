//! Drafts of schemas in which one thing is spread over several tables.

use super::tests::{checked, drafted};
use super::*;
use crate::mapping::catalog::{ForeignKey, Index};
use crate::mapping::tests::support::{INT, TEXT, catalog, table};

/// A foreign key of one column to an `id`.
fn leads(table: &mut Table, column: &str, to: &str) {
    table.foreign_keys.push(ForeignKey {
        columns: vec![column.to_owned()],
        schema: None,
        table: to.to_owned(),
        references: vec!["id".to_owned()],
    });
    for own in table.columns.iter_mut().filter(|own| own.name == column) {
        own.nullable = false;
    }
}

/// Patients and staff whose names stand with everybody's, as ERP systems keep them.
fn parties() -> Catalog {
    let mut catalog = catalog();
    let party = table(
        "party_party",
        &[
            ("id", INT),
            ("name", TEXT),
            ("lastname", TEXT),
            ("dob", SqlType::Date),
            ("gender", TEXT),
            ("write_date", SqlType::DateTime),
        ],
        "id",
    );
    let mut patient = table("patient", &[("id", INT), ("party", INT), ("doctor", INT)], "id");
    leads(&mut patient, "party", "party_party");
    leads(&mut patient, "doctor", "healthprofessional");
    let mut doctor = table("healthprofessional", &[("id", INT), ("party", INT)], "id");
    leads(&mut doctor, "party", "party_party");
    let mut address = table(
        "party_address",
        &[("id", INT), ("relative", INT), ("party", INT), ("street", TEXT), ("city", TEXT)],
        "id",
    );
    leads(&mut address, "relative", "party_party");
    leads(&mut address, "party", "party_party");
    for own in address.columns.iter_mut().filter(|own| own.name == "relative") {
        own.nullable = true;
    }
    let mut jab = table(
        "vaccination",
        &[("id", INT), ("patient", INT), ("vaccine", INT), ("date", SqlType::DateTime)],
        "id",
    );
    leads(&mut jab, "patient", "patient");
    leads(&mut jab, "vaccine", "medicament");
    let mut drug = table("medicament", &[("id", INT), ("product", INT)], "id");
    leads(&mut drug, "product", "product");
    let mut product = table("product", &[("id", INT), ("template", INT)], "id");
    leads(&mut product, "template", "product_template");
    let template = table("product_template", &[("id", INT), ("code", TEXT), ("name", TEXT)], "id");
    let mut order = table(
        "prescription",
        &[("id", INT), ("patient", INT), ("drug", TEXT), ("date", SqlType::DateTime)],
        "id",
    );
    leads(&mut order, "patient", "patient");
    let unique = Index { columns: vec!["party".to_owned()], unique: true };
    patient.indexes.push(unique);
    catalog.tables = vec![party, patient, doctor, address, jab, drug, product, template, order];
    catalog
}

#[test]
fn patients_have_the_names_of_the_parties_they_are() {
    let catalog = parties();
    let draft = drafted(&catalog, &[]);
    checked(&catalog, &draft);
    for wanted in [
        "p: {table: party_party, match: {id: party}}",
        "family: \"$p.lastname\", given: [\"$p.name\"]",
        "birthDate: \"$p.dob\"",
        "last_updated: \"$p.write_date\"",
        "each: {table: party_address, match: {party: party}",
        "generalPractitioner: [\"$doctor | ref(Practitioner)\"]",
    ] {
        assert!(draft.text.contains(wanted), "{wanted} in\n{}", draft.text);
    }
    let types: Vec<&str> = draft.mapped.iter().map(|(ty, _)| ty.as_str()).collect();
    assert_eq!(types, ["Patient", "Practitioner", "Immunization", "MedicationRequest"]);
}

#[test]
fn a_code_is_followed_to_the_table_that_has_its_name() {
    let catalog = parties();
    let draft = drafted(&catalog, &[]);
    for wanted in [
        "c: {table: medicament, match: {id: vaccine}}",
        "c2: {table: product, match: {id: \"c.product\"}}",
        "c3: {table: product_template, match: {id: \"c2.template\"}}",
        "display: \"$c3.name\"",
    ] {
        assert!(draft.text.contains(wanted), "{wanted} in\n{}", draft.text);
    }
}

#[test]
fn what_is_refused_of_one_entry_is_not_said_of_the_next() {
    let mut catalog = parties();
    // Nothing says what was given, which FHIR demands.
    for jab in catalog.tables.iter_mut().filter(|t| t.name == "vaccination") {
        jab.columns.retain(|column| column.name != "vaccine");
        jab.foreign_keys.retain(|key| key.columns != ["vaccine"]);
    }
    let draft = drafted(&catalog, &[]);
    checked(&catalog, &draft);
    let off: Vec<&str> = draft.switched_off.iter().map(|(table, _)| table.as_str()).collect();
    assert_eq!(off, ["vaccination"], "{}", draft.text);
}
