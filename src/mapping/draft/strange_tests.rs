//! Drafts of schemas as products have them: names of one letter and a word, tables with prefixes, days that
//! stand for none, columns that are there and empty.

use super::tests::{checked, drafted};
use super::*;
use crate::mapping::rows::Rows;
use crate::mapping::tests::support::{INT, TEXT, catalog, table};

pub(super) fn has(draft: &Draft, wanted: &[&str]) {
    for wanted in wanted {
        assert!(draft.text.contains(wanted), "{wanted} in\n{}", draft.text);
    }
}

pub(super) fn lacks(draft: &Draft, unwanted: &[&str]) {
    for unwanted in unwanted {
        assert!(!draft.text.contains(unwanted), "{unwanted} in\n{}", draft.text);
    }
}

/// A practice's patients, with days that were never given and four telephones.
fn practice() -> Catalog {
    let mut catalog = catalog();
    let patient = table(
        "patient",
        &[
            ("PatNum", INT),
            ("LName", TEXT),
            ("FName", TEXT),
            ("MiddleI", TEXT),
            ("SchoolName", TEXT),
            ("family_size", TEXT),
            ("last_seen_by", TEXT),
            ("Birthdate", SqlType::Date),
            ("DateTimeDeceased", SqlType::DateTime),
            ("HmPhone", TEXT),
            ("WkPhone", TEXT),
            ("WirelessPhone", TEXT),
            ("emergency_phone", TEXT),
        ],
        "PatNum",
    );
    let problem = table(
        "disease",
        &[
            ("DiseaseNum", INT),
            ("PatNum", INT),
            ("DiseaseDefNum", INT),
            ("SnomedProblemType", TEXT),
            ("DateTStamp", SqlType::Instant),
            ("DateStart", SqlType::Date),
        ],
        "DiseaseNum",
    );
    let named = table(
        "diseasedef",
        &[("DiseaseDefNum", INT), ("DiseaseName", TEXT), ("ICD9Code", TEXT)],
        "DiseaseDefNum",
    );
    catalog.tables = vec![patient, problem, named];
    catalog
}

const NEVER: &str = "0001-01-01T00:00:00";

#[test]
fn a_day_that_stands_for_none_makes_nobody_dead() {
    let catalog = practice();
    let texts: Vec<String> = (1..=10).map(|n| n.to_string()).collect();
    let person = |n: &'static str| {
        let born = if n == "1" { "1980-05-06" } else { "0001-01-01" };
        [n, "Soto", "Ana", "Q", "x", "4", "y", born, NEVER, "1", "2", "3", "4"]
    };
    let leaked: Vec<&'static str> = texts.into_iter().map(|t| &*t.leak()).collect();
    let people: Vec<[&str; 13]> = leaked.iter().map(|n| person(n)).collect();
    let people: Vec<&[&str]> = people.iter().map(<[&str; 13]>::as_slice).collect();
    let stamp = "2026-01-02T03:04:05Z";
    let problem = |n: &'static str| [n, "1", "1", "", stamp, "2020-01-01"];
    let problems: Vec<[&str; 6]> = leaked.iter().map(|n| problem(n)).collect();
    let problems: Vec<&[&str]> = problems.iter().map(<[&str; 6]>::as_slice).collect();
    let rows: [(&str, &[&[&str]]); 3] = [
        ("patient", &people),
        ("disease", &problems),
        ("diseasedef", &[&["1", "Asthma", "493.90"]]),
    ];
    let draft = drafted(&catalog, &rows);
    checked(&catalog, &draft);
    has(
        &draft,
        &[
            "birthDate: \"$Birthdate | null('0001-01-01')\"",
            "deceasedDateTime: \"$DateTimeDeceased | null('0001-01-01 00:00:00')\"",
            "stands there for none in 10 rows",
            "- {family: \"$LName\", given: [\"$FName\", \"$MiddleI\"]}",
            "- {system: phone, use: mobile, value: \"$WirelessPhone\"}",
            "- {system: phone, use: home, value: \"$HmPhone\"}",
            "- {system: phone, use: work, value: \"$WkPhone\"}",
            "onsetDateTime: \"$DateStart\"",
            "last_updated: \"$DateTStamp\"",
            "display: \"$c.DiseaseName\"",
        ],
    );
    lacks(&draft, &["value: \"$emergency_phone\"", "\"$SnomedProblemType\"", "fhir/sid/icd-10\""]);
}

#[test]
fn nothing_is_said_of_a_column_that_was_not_looked_into() {
    let mut catalog = catalog();
    let columns = [("id", INT), ("family", TEXT), ("photo", SqlType::Binary), ("occupation", TEXT)];
    catalog.tables = vec![table("patients", &columns, "id")];
    let mut rows = Rows::new(3);
    for cell in [Some("1"), Some("Soto"), None] {
        rows.push(cell).unwrap();
    }
    let seen = ["id", "family", "occupation"].map(str::to_owned).to_vec();
    let draft = super::draft(&catalog, &BTreeMap::from([(0, Sampled::new(seen, rows))]));
    has(&draft, &["$occupation : empty in all rows seen", "$photo"]);
    lacks(&draft, &["$photo : empty"]);
}

/// Tables with a prefix and names of several words, each led to by the bare word.
#[test]
fn a_prefix_or_a_word_of_any_table_hides_nobody() {
    let mut catalog = catalog();
    catalog.tables = vec![
        table(
            "tabPatient",
            &[("name", TEXT), ("first_name", TEXT), ("dob", SqlType::Date)],
            "name",
        ),
        table(
            "tabPatient Encounter",
            &[("name", TEXT), ("patient", TEXT), ("encounter_date", SqlType::Date)],
            "name",
        ),
    ];
    let draft = drafted(&catalog, &[]);
    checked(&catalog, &draft);
    has(&draft, &["subject: \"$patient | ref(Patient)\"", "period: {start: \"$encounter_date\"}"]);
    catalog.tables = vec![
        table("patient_data", &[("pid", INT), ("fname", TEXT), ("lname", TEXT)], "pid"),
        table(
            "prescriptions",
            &[("id", INT), ("patient_id", INT), ("drug", TEXT), ("start_date", SqlType::Date)],
            "id",
        ),
    ];
    let draft = drafted(&catalog, &[]);
    checked(&catalog, &draft);
    has(&draft, &["subject: \"$patient_id | ref(Patient)\"", "family: \"$lname\""]);
}

/// The code stands in the key, and the admission in one word.
#[test]
fn what_a_key_of_several_parts_says_is_not_lost() {
    let mut catalog = catalog();
    let mut codes = table(
        "diagnoses_icd",
        &[("hadm_id", INT), ("seq_num", INT), ("icd_code", SqlType::Char), ("subject_id", INT)],
        "hadm_id",
    );
    codes.primary_key = ["hadm_id", "seq_num", "icd_code"].map(str::to_owned).to_vec();
    codes.indexes.clear();
    let stays = table(
        "admissions",
        &[
            ("hadm_id", INT),
            ("subject_id", INT),
            ("admittime", SqlType::DateTime),
            ("dischtime", SqlType::DateTime),
            ("marital_status", TEXT),
        ],
        "hadm_id",
    );
    catalog.tables = vec![
        table("patients", &[("subject_id", INT), ("gender", TEXT)], "subject_id"),
        stays,
        codes,
    ];
    let rows: &[&[&str]] = &[&["1", "1", "4019", "7"], &["1", "2", "I10", "7"]];
    let draft = drafted(&catalog, &[("diagnoses_icd", rows)]);
    checked(&catalog, &draft);
    has(
        &draft,
        &["- {code: \"$icd_code\"}", "period: {start: \"$admittime\", end: \"$dischtime\"}"],
    );
    lacks(&draft, &["'marital_status' may tell it"]);
}

/// Older versions of a person are no other persons.
#[test]
fn a_row_whose_time_is_over_is_left_out() {
    let mut catalog = catalog();
    let columns = [
        ("InsureeID", INT),
        ("LastName", TEXT),
        ("OtherNames", TEXT),
        ("DOB", SqlType::Date),
        ("Gender", TEXT),
        ("ValidityTo", SqlType::Instant),
    ];
    catalog.tables = vec![table("tblInsuree", &columns, "InsureeID")];
    let row = |over| ["1", "Soto", "Ana", "1980-01-01", "F", over];
    let over = "2021-05-06T07:08:09Z";
    let rows = |overs: [&'static str; 4]| overs.map(row);
    let drafted = |overs| {
        let rows = rows(overs);
        let rows: Vec<&[&str]> = rows.iter().map(<[&str; 6]>::as_slice).collect();
        let draft = drafted(&catalog, &[("tblInsuree", &rows)]);
        checked(&catalog, &draft);
        draft
    };
    let draft = drafted(["", "", over, ""]);
    has(&draft, &["filter: {ValidityTo: {missing: true}}", "given: [\"$OtherNames\"]"]);
    // Where every row has an end, it is no mark of anything.
    lacks(&drafted([over; 4]), &["filter: {ValidityTo"]);
}

/// Keys that are no ids, and a key that stands for nobody.
#[test]
fn keys_are_looked_at() {
    let mut catalog = catalog();
    catalog.tables = vec![
        table("tabPatient", &[("name", TEXT), ("last_name", TEXT), ("doctor_id", INT)], "name"),
        table("doctor", &[("doctor_id", INT), ("last_name", TEXT)], "doctor_id"),
    ];
    let patients: &[&[&str]] =
        &[&["HLC-PAT-2023/001", "Soto", "7"], &["HLC-PAT-2", "Paz", "0"], &["a_b", "Rey", "0"]];
    let doctors: &[&[&str]] = &[&["7", "Luz"], &["8", "Sol"]];
    let draft = drafted(&catalog, &[("tabPatient", patients), ("doctor", doctors)]);
    checked(&catalog, &draft);
    has(
        &draft,
        &[
            "id: \"$name | escape\"",
            "2 texts in the keys of 3 rows seen are no FHIR ids",
            "[\"$doctor_id | null('0') | ref(Practitioner)\"]",
            "'0' stands there for none in 2 rows: no row of 'doctor' seen has that key",
        ],
    );
    // A row that is there is meant, and what is an id needs nothing.
    let draft = drafted(
        &catalog,
        &[("tabPatient", &[&["A-1.5", "Soto", "0"]]), ("doctor", &[&["0", "Luz"]])],
    );
    has(&draft, &["id: \"$name\"", "[\"$doctor_id | ref(Practitioner)\"]"]);
    // Without rows of the other table nobody can tell.
    let draft = drafted(&catalog, &[("tabPatient", patients)]);
    lacks(&draft, &["null('0')"]);
}

#[test]
fn nobody_alive_has_a_pulse_of_zero() {
    let mut catalog = catalog();
    let columns = [("id", INT), ("patient_id", INT), ("pulse", INT), ("temperature", TEXT)];
    catalog.tables = vec![
        table("patient", &[("id", INT), ("last_name", TEXT)], "id"),
        table("vitals", &columns, "id"),
    ];
    let draft =
        drafted(&catalog, &[("vitals", &[&["1", "1", "71", "36.5"], &["2", "1", "0", "38"]])]);
    checked(&catalog, &draft);
    has(
        &draft,
        &[
            "filter: {\"$case.column\": {missing: false, not: \"0\"}}",
            "a guess: 0 means that nothing was measured (pulse in 1 rows), so it is left out",
        ],
    );
    let draft = drafted(&catalog, &[("vitals", &[&["1", "1", "71", "36.5"]])]);
    lacks(&draft, &["not: \"0\""]);
}

/// Columns as spreadsheets name them.
#[test]
fn a_name_with_a_dot_or_a_blank_is_a_name() {
    let mut catalog = catalog();
    catalog.tables = vec![
        table(
            "Patienten Stamm",
            &[("Pat.nummer", TEXT), ("Name", TEXT), ("Geb.datum", SqlType::Date)],
            "Pat.nummer",
        ),
        table(
            "Vitalwerte",
            &[("Id", INT), ("RR.sys", INT), ("Puls", INT), ("Pat.nummer", TEXT)],
            "Id",
        ),
    ];
    let draft = drafted(&catalog, &[]);
    checked(&catalog, &draft);
    has(
        &draft,
        &[
            "id: \"${Pat.nummer}\"",
            "birthDate: \"${Geb.datum}\"",
            "subject: \"${Pat.nummer} | ref(Patient)\"",
        ],
    );
}

/// A row's stamp is no onset, what was thrown away is not served, and a status may be empty.
#[test]
fn what_is_said_of_a_row_is_not_said_of_the_patient() {
    let mut catalog = catalog();
    catalog.tables = vec![
        table(
            "person",
            &[("pid", INT), ("Name", TEXT), ("Vorname", TEXT), ("status", TEXT)],
            "pid",
        ),
        table(
            "allergies",
            &[
                ("allergyid", INT),
                ("pid", INT),
                ("entry_date", SqlType::Date),
                ("DESCRIPTION", TEXT),
                ("long_term", INT),
                ("archived", TEXT),
                ("start_date", SqlType::Date),
                ("lastUpdateDate", SqlType::DateTime),
            ],
            "allergyid",
        ),
        table(
            "encounter",
            &[("encounter_nr", INT), ("pid", INT), ("encounter_status", TEXT), ("leaving", TEXT)],
            "encounter_nr",
        ),
        table("vitals", &[("id", INT), ("pid", INT), ("RR sys", INT), ("RR dia", INT)], "id"),
    ];
    let people: &[&[&str]] =
        &[&["1", "Soto", "Ana", ""], &["2", "Paz", "Kit", "deleted"], &["3", "Rey", "Luz", "Void"]];
    let stamp = "2024-01-02T03:04:05";
    let allergies: &[&[&str]] = &[
        &["1", "1", "2021-01-01", "Latex", "0", "0", "2020-01-01", stamp],
        &["2", "1", "2021-01-01", "Nuts", "1", "1", "", stamp],
    ];
    let stays: &[&[&str]] =
        &[&["1", "1", "", "00.00.0000"], &["2", "1", "cancelled", "05.03.2020"]];
    let draft =
        drafted(&catalog, &[("person", people), ("allergies", allergies), ("encounter", stays)]);
    checked(&catalog, &draft);
    has(
        &draft,
        &[
            "{table: person, filter: {status: {not: [\"Void\", \"deleted\"]}}}",
            "{family: \"$Name\", given: [\"$Vorname\"]}",
            "{table: allergies, filter: {archived: \"0\"}}",
            "text: \"$DESCRIPTION\"",
            "onsetDateTime: \"$start_date\"",
            "status: \"$encounter_status | default('finished')\"",
            "loinc: \"8480-6\"",
            "loinc: \"8462-4\"",
        ],
    );
    lacks(&draft, &["onsetDateTime: \"$lastUpdateDate\"", "9279-1"]);
    // Where every row says so, it is no mark of anything.
    let all: &[&[&str]] = &[&["1", "Soto", "Ana", "void"], &["2", "Paz", "Kit", "deleted"]];
    lacks(&drafted(&catalog, &[("person", all)]), &["status: {not:"]);
}

#[test]
fn a_day_of_zeros_says_nothing_of_how_dates_are_written() {
    let mut rows = Rows::new(1);
    for cell in ["00.00.0000", "00.00.0000", "00.00.0000", "05.03.2020", "31.12.2021"] {
        rows.push(Some(cell)).unwrap();
    }
    let dated = Sampled::new(vec!["c".to_owned()], rows).dated("c").unwrap();
    assert_eq!((dated.format, dated.percent), (Some("dd.MM.yyyy"), 100));
}
