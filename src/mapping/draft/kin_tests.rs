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

/// Patients known to all by the number of the person they are, and findings that know their visit alone.
fn visits() -> Catalog {
    let mut catalog = catalog();
    let identity =
        table("identity", &[("id", INT), ("gender", TEXT), ("dob", SqlType::Date)], "id");
    let mut names = table(
        "names",
        &[("id", INT), ("id_identity", INT), ("lastnames", TEXT), ("firstnames", TEXT)],
        "id",
    );
    leads(&mut names, "id_identity", "identity");
    let mut patient = table("patient", &[("id", INT), ("fk_identity", INT)], "id");
    leads(&mut patient, "fk_identity", "identity");
    patient.indexes.push(Index { columns: vec!["fk_identity".to_owned()], unique: true });
    let mut visit = table(
        "encounter",
        &[("id", INT), ("fk_patient", INT), ("started", SqlType::DateTime)],
        "id",
    );
    leads(&mut visit, "fk_patient", "patient");
    for key in &mut visit.foreign_keys {
        key.references = vec!["fk_identity".to_owned()];
    }
    let mut allergy =
        table("allergy", &[("id", INT), ("fk_encounter", INT), ("substance", TEXT)], "id");
    leads(&mut allergy, "fk_encounter", "encounter");
    let journal = Table {
        view: true,
        primary_key: Vec::new(),
        text_indexes: Vec::new(),
        indexes: Vec::new(),
        ..table(
            "v_pat_journal",
            &[("pk_patient", INT), ("narrative", TEXT), ("dob", SqlType::Date)],
            "pk_patient",
        )
    };
    catalog.tables = vec![journal, identity, names, patient, visit, allergy];
    catalog
}

#[test]
fn a_table_is_known_by_what_others_know_it_by() {
    let catalog = visits();
    let draft = drafted(&catalog, &[]);
    checked(&catalog, &draft);
    for wanted in [
        "from: {table: patient}",
        "key: [fk_identity]",
        "id: \"$fk_identity\"",
        "each: {table: names, match: {id_identity: fk_identity}",
        "subject: \"$fk_patient | ref(Patient)\"",
    ] {
        assert!(draft.text.contains(wanted), "{wanted} in\n{}", draft.text);
    }
}

#[test]
fn what_knows_its_visit_alone_is_of_the_visits_patient() {
    let catalog = visits();
    let draft = drafted(&catalog, &[]);
    for wanted in [
        "v: {table: encounter, match: {id: fk_encounter}}",
        "patient: \"$v.fk_patient | ref(Patient)\"",
        "encounter: \"$fk_encounter | ref(Encounter)\"",
        "text: \"$substance\"",
    ] {
        assert!(draft.text.contains(wanted), "{wanted} in\n{}", draft.text);
    }
}
