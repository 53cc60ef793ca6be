//! Drafts of schemas that keep dates as numbers, in three columns or in another era, and of names without seams.

use super::strange_tests::{has, lacks};
use super::tests::{checked, drafted};
use super::*;
use crate::mapping::tests::support::{INT, TEXT, catalog, table};

fn people(columns: &[(&str, SqlType)]) -> Catalog {
    let mut catalog = catalog();
    let own: Vec<(&str, SqlType)> =
        [("id", INT), ("surname", TEXT)].into_iter().chain(columns.iter().copied()).collect();
    catalog.tables = vec![table("patient", &own, "id")];
    catalog
}

#[test]
fn a_birth_in_three_columns_is_one_date() {
    let catalog =
        people(&[("DOB.Day", INT), ("DOB.Month", INT), ("DOB.Year", INT), ("month", INT)]);
    let draft = drafted(&catalog, &[("patient", &[&["1", "Soto", "5", "3", "1985", "7"]])]);
    checked(&catalog, &draft);
    has(&draft, &["birthDate: \"${DOB.Year}, ${DOB.Month}, ${DOB.Day} | date(ymd)\""]);
    let catalog = people(&[("year_of_birth", INT), ("month_of_birth", INT), ("day_of_birth", INT)]);
    let draft = drafted(&catalog, &[("patient", &[&["1", "Soto", "1985", "3", "5"]])]);
    checked(&catalog, &draft);
    has(&draft, &["birthDate: \"$year_of_birth, $month_of_birth, $day_of_birth | date(ymd)\""]);
    let catalog = people(&[("birth_year", INT)]);
    let draft = drafted(&catalog, &[("patient", &[&["1", "Soto", "1985"]])]);
    checked(&catalog, &draft);
    has(&draft, &["birthDate: \"$birth_year | date('yyyy')\""]);
}

#[test]
fn dates_that_are_numbers_are_told_from_the_cells() {
    let mut catalog = people(&[("birthdate", INT), ("deathday", SqlType::Date), ("death", TEXT)]);
    catalog.tables.push(table(
        "visit",
        &[("id", INT), ("patient_id", INT), ("started", INT), ("ended", INT)],
        "id",
    ));
    let rows: &[(&str, &[&[&str]])] = &[
        ("patient", &[&["1", "Soto", "19850305", "", "N"], &["2", "Rey", "0", "2024-05-06", "Y"]]),
        ("visit", &[&["1", "1", "1714979289", "0"], &["2", "2", "1714979290", "1714989289000"]]),
    ];
    let draft = drafted(&catalog, rows);
    checked(&catalog, &draft);
    has(
        &draft,
        &[
            "birthDate: \"$birthdate | date('yyyyMMdd')\"",
            "deceasedDateTime: \"$deathday\"",
            "deceasedBoolean: \"$death | bool('Y', 'N')\"",
            "start: \"$started | datetime(epoch)\"",
            "end: \"$ended | null('0') | datetime(epoch_ms)\"",
        ],
    );
}

#[test]
fn years_of_another_era_are_no_years_to_come() {
    let catalog = people(&[("dob", TEXT)]);
    let draft = drafted(&catalog, &[("patient", &[&["1", "Soto", "15/05/2528"]])]);
    checked(&catalog, &draft);
    has(&draft, &["birthDate: \"$dob | date('dd/MM/bbbb')\""]);
    let draft = drafted(&catalog, &[("patient", &[&["1", "Soto", "2528-05-15"]])]);
    has(&draft, &["birthDate: \"$dob | date('bbbb-MM-dd')\""]);
    let catalog = people(&[("dob", SqlType::Date)]);
    let draft = drafted(&catalog, &[("patient", &[&["1", "Soto", "2528-05-15"]])]);
    checked(&catalog, &draft);
    has(&draft, &["birthDate: \"$dob | date('bbbb-MM-dd')\""]);
}

#[test]
fn names_without_seams_and_prefixes_mislead_nobody() {
    let mut catalog = people(&[("void", TEXT)]);
    let coded = table("disease", &[("dis_code", TEXT), ("description", TEXT)], "dis_code");
    let visit = table(
        "opd",
        &[
            ("opd_id", INT),
            ("patient_id", INT),
            ("opd_referral_from", TEXT),
            ("opd_date", SqlType::DateTime),
            ("opd_dis_code", TEXT),
        ],
        "opd_id",
    );
    let stay = table(
        "admission",
        &[
            ("adm_id", INT),
            ("patient_id", INT),
            ("date_adm", SqlType::DateTime),
            ("date_dis", SqlType::DateTime),
        ],
        "adm_id",
    );
    let shots = table(
        "patientvaccine",
        &[("pav_id", INT), ("patient_id", INT), ("given_date", SqlType::DateTime)],
        "pav_id",
    );
    catalog.tables.extend([coded, visit, stay, shots]);
    let rows: &[(&str, &[&[&str]])] = &[
        ("patient", &[&["1", "Soto", "N"], &["2", "Rey", "Y"]]),
        ("opd", &[&["1", "1", "", "2024-05-06T08:00:00", "I10"]]),
        ("disease", &[&["I10", "Hypertension"]]),
    ];
    let draft = drafted(&catalog, rows);
    checked(&catalog, &draft);
    has(
        &draft,
        &[
            "from: {table: patient, filter: {void: \"N\"}}",
            "period: {start: \"$opd_date\"}",
            "period: {start: \"$date_adm\", end: \"$date_dis\"}",
            "code: IMP}",
            "type: Immunization",
        ],
    );
    // What somebody has is no kind of visit.
    lacks(&draft, &["DIS_CODE: ", "join:", "opd_referral_from |"]);
}

#[test]
fn a_key_of_two_columns_is_followed_by_their_names() {
    let mut catalog = people(&[]);
    let mut visit = table(
        "visit",
        &[("visit_num", INT), ("site_num", INT), ("patient_id", INT), ("inout_cd", TEXT)],
        "visit_num",
    );
    visit.primary_key = vec!["visit_num".to_owned(), "site_num".to_owned()];
    visit.indexes.clear();
    let fact = table(
        "observation",
        &[
            ("id", INT),
            ("visit_num", INT),
            ("site_num", INT),
            ("patient_id", INT),
            ("concept_cd", TEXT),
            ("nval_num", SqlType::Decimal),
            ("units_cd", TEXT),
        ],
        "id",
    );
    catalog.tables.extend([visit, fact]);
    let rows: &[(&str, &[&[&str]])] = &[("visit", &[&["1", "1", "1", "I"], &["2", "1", "1", "O"]])];
    let draft = drafted(&catalog, rows);
    checked(&catalog, &draft);
    has(
        &draft,
        &[
            "encounter: \"$visit_num, $site_num | ref(Encounter)\"",
            "\"I\": \"IMP\"",
            "valueQuantity: {value: \"$nval_num | decimal\", unit: \"$units_cd\"}",
        ],
    );
}
