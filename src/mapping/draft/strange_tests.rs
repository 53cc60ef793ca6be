//! Drafts of schemas as products have them: names of one letter and a word, tables with prefixes, days that
//! stand for none, columns that are there and empty.

use super::tests::{checked, drafted};
use super::*;
use crate::mapping::rows::Rows;
use crate::mapping::tests::support::{INT, TEXT, catalog, table};

fn has(draft: &Draft, wanted: &[&str]) {
    for wanted in wanted {
        assert!(draft.text.contains(wanted), "{wanted} in\n{}", draft.text);
    }
}

fn lacks(draft: &Draft, unwanted: &[&str]) {
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
