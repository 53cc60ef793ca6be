//! Drafts of schemas whose people wrote down what columns mean, or whose words tell it: comments, enumerations
//! from zero, states, kinds of people in one table, the ends of history.

use super::strange_tests::{has, lacks};
use super::tests::{checked, drafted};
use super::*;
use crate::mapping::tests::support::{INT, TEXT, catalog, table};

fn of(tables: Vec<Table>) -> Catalog {
    Catalog { tables, ..catalog() }
}

fn comment(table: &mut Table, column: &str, text: &str) {
    let column = table.columns.iter_mut().find(|c| c.name == column).unwrap();
    column.comment = Some(text.to_owned());
}

/// As many rows as wanted, from as many patterns as there are.
fn several<'a>(patterns: &[&'a [&'a str]], times: usize) -> Vec<&'a [&'a str]> {
    patterns.iter().cycle().take(patterns.len() * times).copied().collect()
}

#[test]
fn comments_name_columns_and_explain_codes() {
    let mut people = table(
        "his_patient",
        &[("id", INT), ("xm", TEXT), ("xb", TEXT), ("csrq", SqlType::Date), ("zt", TEXT)],
        "id",
    );
    for (column, text) in [
        ("xm", "姓名"),
        ("xb", "性别（0男 1女 2未知）"),
        ("csrq", "出生日期"),
        ("zt", "what it is\nnobody knows"),
    ] {
        comment(&mut people, column, text);
    }
    let catalog = of(vec![people]);
    let rows = several(&[&["1", "张", "0", "1980-05-06", "a"], &["2", "李", "1", "", "b"]], 10);
    let draft = drafted(&catalog, &[("his_patient", &rows)]);
    checked(&catalog, &draft);
    has(
        &draft,
        &[
            "text: \"$xm\"",
            "gender: \"$xb | code(sex)\"",
            "\"0\": \"male\"\n      \"1\": \"female\"\n      \"2\": \"unknown\"",
            "birthDate: \"$csrq\"",
            "comment of 'xb': \"性别（0男 1女 2未知）\"",
            "comment: \"what it is nobody knows\"",
        ],
    );
}

#[test]
fn a_sex_that_may_be_counted_from_zero_is_asked_for() {
    let catalog = of(vec![table("patient", &[("id", INT), ("name", TEXT), ("gender", INT)], "id")]);
    let rows = several(&[&["1", "a", "0"], &["2", "b", "1"], &["3", "c", "2"]], 10);
    let draft = drafted(&catalog, &[("patient", &rows)]);
    checked(&catalog, &draft);
    has(&draft, &["a guess (switched off): 'gender'", "# gender: \"$gender | code(sex)\""]);
    // Few zeros are those of ISO 5218.
    let rows = several(&[&["1", "a", "1"], &["2", "b", "2"]], 10);
    let draft = drafted(&catalog, &[("patient", &rows)]);
    lacks(&draft, &["# gender:"]);
    // Keys of another table are no sexes.
    let rows = several(&[&["1", "a", "362"], &["2", "b", "363"]], 10);
    let draft = drafted(&catalog, &[("patient", &rows)]);
    has(&draft, &["# gender: \"$gender | code(sex)\""]);
}

const AT: &str = "2024-05-06T08:00:00";

#[test]
fn states_in_words_or_explained_become_codes() {
    let patient = table("patient", &[("id", INT), ("surname", TEXT)], "id");
    let booking = table(
        "booking",
        &[("id", INT), ("patient_id", INT), ("status", TEXT), ("start", SqlType::DateTime)],
        "id",
    );
    let mut visit = table(
        "visit",
        &[("id", INT), ("patient_id", INT), ("status", INT), ("start", SqlType::DateTime)],
        "id",
    );
    comment(&mut visit, "status", "Registered=0, InProgress=1, Done=2, Cancelled=9");
    let catalog = of(vec![patient, booking, visit]);
    let bookings =
        several(&[&["1", "1", "Done", AT], &["2", "1", "CANCEL", AT], &["3", "1", "", AT]], 8);
    let visits = several(&[&["1", "1", "0", AT], &["2", "1", "2", AT]], 8);
    let draft = drafted(&catalog, &[("booking", &bookings), ("visit", &visits)]);
    checked(&catalog, &draft);
    has(
        &draft,
        &[
            "\"CANCEL\": \"cancelled\"\n      \"Done\": \"fulfilled\"\n    missing: booked",
            "\"0\": \"planned\"\n      \"2\": \"finished\"\n      \"1\": \"in-progress\"\n      \"9\": \"cancelled\"\n    otherwise: unknown",
        ],
    );
    // A word that nobody knows leaves the constant, which says what there is.
    let visits = several(&[&["1", "1", "0", AT], &["2", "1", "7", AT]], 8);
    let draft = drafted(&catalog, &[("visit", &visits)]);
    has(&draft, &["status: finished", "'status' may tell it through a code map"]);
}

#[test]
fn of_all_people_only_patients_are_patients_and_their_visits_lead_to_them() {
    let people = table(
        "people",
        &[
            ("id", INT),
            ("type", TEXT),
            ("last_name", TEXT),
            ("birth_date", SqlType::Date),
            ("discarded_at", SqlType::DateTime),
        ],
        "id",
    );
    let visits = table(
        "encounters",
        &[("id", INT), ("patient_id", INT), ("state", TEXT), ("started_at", SqlType::DateTime)],
        "id",
    );
    let catalog = of(vec![people, visits]);
    let rows = several(
        &[&["1", "Patient", "Soto", "1980-05-06", ""], &["2", "Practitioner", "Rey", "", ""]],
        8,
    );
    let draft = drafted(&catalog, &[("people", &rows)]);
    checked(&catalog, &draft);
    has(
        &draft,
        &[
            "filter: {discarded_at: {missing: true}, type: [\"Patient\"]}",
            "subject: \"$patient_id | ref(Patient)\"",
        ],
    );
}

#[test]
fn history_shows_what_is_in_force_and_what_has_abated_is_not_active() {
    let patient = table("patient", &[("id", INT), ("surname", TEXT)], "id");
    let problem = table(
        "diagnosis",
        &[
            ("id", INT),
            ("patient_id", INT),
            ("icd10", TEXT),
            ("severity_code", TEXT),
            ("onset", SqlType::Date),
            ("end_date", SqlType::Date),
            ("valid_to", SqlType::DateTime),
        ],
        "id",
    );
    let allergy = table(
        "allergy",
        &[("id", INT), ("patient_id", INT), ("severity_code", INT), ("substance", TEXT)],
        "id",
    );
    let catalog = of(vec![patient, problem, allergy]);
    let rows = several(
        &[
            &["1", "1", "I10", "S", "2024-01-01", "", "9999-12-31T00:00:00"],
            &["2", "1", "E11", "S", "2024-01-01", "2024-02-01", "2024-03-01T00:00:00"],
        ],
        8,
    );
    let draft =
        drafted(&catalog, &[("diagnosis", &rows), ("allergy", &[&["1", "1", "5", "Latex"]])]);
    checked(&catalog, &draft);
    has(
        &draft,
        &[
            "filter: {valid_to: \"9999-12-31 00:00:00\"}",
            "code: {case: [{if: {end_date: {missing: true}}, then: active}, {then: resolved}]}",
            "CodeSystem/allergyintolerance-clinical\", code: active",
            "text: \"$substance\"",
        ],
    );
    lacks(&draft, &["code: \"$severity_code\""]);
}

#[test]
fn other_databases_of_a_server_are_named_and_left_alone() {
    let mut own = table("patient", &[("id", INT), ("surname", TEXT)], "id");
    own.schema = Some("ours".to_owned());
    let mut far = table("paciente", &[("id", INT), ("apellido", TEXT), ("sexo", TEXT)], "id");
    far.schema = Some("theirs".to_owned());
    let catalog = Catalog {
        engine: Engine::MySql,
        default_schema: Some("ours".to_owned()),
        ..of(vec![far, own])
    };
    assert_eq!(asks(&catalog).iter().map(|ask| ask.table).collect::<Vec<_>>(), [1]);
    let draft = drafted(&catalog, &[]);
    checked(&catalog, &draft);
    has(&draft, &["table: patient", "other databases that this login sees (theirs)"]);
    lacks(&draft, &["apellido"]);
}

#[test]
fn one_column_of_both_names_is_the_whole_name() {
    let catalog = of(vec![table("Patienten", &[("id", INT), ("Name, Vorname", TEXT)], "id")]);
    let draft = drafted(&catalog, &[]);
    checked(&catalog, &draft);
    has(&draft, &["text: \"${Name, Vorname}\""]);
    lacks(&draft, &["given:"]);
}

#[test]
fn an_appointment_that_starts_ends() {
    let patient = table("patient", &[("id", INT), ("surname", TEXT)], "id");
    let columns =
        [("id", INT), ("patient_id", INT), ("start_at", SqlType::DateTime), ("duration", INT)];
    let catalog = of(vec![patient.clone(), table("appointment", &columns, "id")]);
    let draft = drafted(&catalog, &[]);
    checked(&catalog, &draft);
    has(&draft, &["end: \"$start_at, $duration | later(minutes)\""]);
    let catalog = of(vec![patient, table("appointment", &columns[..3], "id")]);
    let draft = drafted(&catalog, &[]);
    checked(&catalog, &draft);
    has(&draft, &["# end: \"$start_at | datetime | later(30, minutes)\""]);
}

#[test]
fn a_code_stays_when_the_table_of_codes_does_not_know_it() {
    let patient = table("patient", &[("id", INT), ("surname", TEXT)], "id");
    let icd = table("icd", &[("icd_code", TEXT), ("name", TEXT)], "icd_code");
    let problem = table("diagnosis", &[("id", INT), ("patient_id", INT), ("icd_code", TEXT)], "id");
    let catalog = of(vec![patient, icd, problem]);
    let draft = drafted(&catalog, &[]);
    checked(&catalog, &draft);
    has(&draft, &["code: \"$icd_code\", display: \"$c.name\""]);
}

#[test]
fn a_table_without_a_key_for_ids_says_what_to_write() {
    let patient = table("patient", &[("id", INT), ("surname", TEXT)], "id");
    let mut visit =
        table("visit", &[("id", INT), ("patient_id", INT), ("day", SqlType::Date)], "id");
    visit.primary_key = vec!["id".to_owned(), "day".to_owned()];
    visit.indexes.clear();
    let catalog = of(vec![patient.clone(), visit]);
    let draft = drafted(&catalog, &[]);
    has(
        &draft,
        &["SWITCHED OFF: its primary key (id, day) has a part that is none of an id: 'day'"],
    );
    let mut people = patient;
    people.primary_key.clear();
    people.columns[0].nullable = true;
    let draft = drafted(&of(vec![people]), &[]);
    has(
        &draft,
        &[
            "'id' is unique and may be NULL: write it as the `key`, with `filter: {id: {missing: false}}`",
        ],
    );
}

#[test]
fn a_mark_of_deletion_with_more_words_than_two_is_one() {
    let catalog =
        of(vec![table("patient", &[("id", INT), ("surname", TEXT), ("del_flag", TEXT)], "id")]);
    let rows = several(&[&["1", "a", "0"], &["2", "b", "0"], &["3", "c", "2"]], 6);
    let draft = drafted(&catalog, &[("patient", &rows)]);
    checked(&catalog, &draft);
    has(&draft, &["filter: {del_flag: \"0\"}"]);
}
