//! Drafts of schemas in which what is said of patients stands in rows of attributes and values, and of tables that no
//! name gives away.

use super::strange_tests::{has, lacks};
use super::tests::{checked, drafted};
use super::*;
use crate::mapping::catalog::ForeignKey;
use crate::mapping::tests::support::{INT, TEXT, catalog, table};

fn leads(table: &mut Table, column: &str, to: &str) {
    table.foreign_keys.push(ForeignKey {
        columns: vec![column.to_owned()],
        schema: None,
        table: to.to_owned(),
        references: vec![column.to_owned()],
    });
}

/// A tracker of things of any kind: nothing is called a patient, and nothing has a name.
fn tracker() -> Catalog {
    let mut catalog = catalog();
    let thing = table(
        "trackedentity",
        &[("trackedentityid", INT), ("uid", TEXT), ("deleted", SqlType::Boolean)],
        "trackedentityid",
    );
    let attribute = table(
        "trackedentityattribute",
        &[("trackedentityattributeid", INT), ("uid", TEXT), ("name", TEXT)],
        "trackedentityattributeid",
    );
    let mut value = table(
        "trackedentityattributevalue",
        &[("trackedentityid", INT), ("trackedentityattributeid", INT), ("value", TEXT)],
        "trackedentityid",
    );
    value.primary_key = vec!["trackedentityid".to_owned(), "trackedentityattributeid".to_owned()];
    value.indexes.clear();
    leads(&mut value, "trackedentityid", "trackedentity");
    leads(&mut value, "trackedentityattributeid", "trackedentityattribute");
    catalog.tables = vec![thing, attribute, value];
    catalog
}

#[test]
fn rows_of_attributes_are_read_as_columns_are() {
    let catalog = tracker();
    let mut asked: Vec<usize> = asks(&catalog).into_iter().map(|ask| ask.table).collect();
    asked.sort_unstable();
    assert_eq!(asked, [0, 1, 2], "what must be looked into");
    let rows: [(&str, &[&[&str]]); 3] = [
        ("trackedentity", &[&["1", "PQfMcpmXeFE", "false"], &["2", "vOxUH373fy5", "false"]]),
        (
            "trackedentityattribute",
            &[
                &["101", "a1", "First name"],
                &["102", "a2", "Last name"],
                &["103", "a3", "Gender"],
                &["104", "a4", "Date of birth"],
                &["105", "a5", "Phone number"],
                &["106", "a6", "Shoe size"],
                &["107", "a7", "National id"],
            ],
        ),
        (
            "trackedentityattributevalue",
            &[
                &["1", "101", "Ana Luz"],
                &["1", "102", "Soto"],
                &["1", "103", "Female"],
                &["1", "104", "1985-03-05"],
                &["1", "106", "42"],
                &["1", "107", "N-17"],
                &["2", "102", "Paz"],
                &["2", "103", "Male"],
                &["2", "105", "555 1"],
            ],
        ),
    ];
    let draft = drafted(&catalog, &rows);
    checked(&catalog, &draft);
    let each = |number: u32| {
        format!(
            "{{each: {{table: trackedentityattributevalue, match: {{trackedentityid: trackedentityid}}, \
             filter: {{trackedentityattributeid: \"{number}\"}}}}, item: \"$value"
        )
    };
    has(
        &draft,
        &[
            "from: {table: trackedentity, filter: {deleted: false}}",
            &format!("{{family: {}\"}}, given: [{}\"}}]}}", each(102), each(101)),
            &format!("gender: {} | code(sex)\"}}", each(103)),
            &format!("birthDate: {} | date\"}}", each(104)),
            &format!("{{system: phone, value: {}\"}}}}", each(105)),
            &format!("value: {}\"}}}}", each(107)),
            "'Last name' is an attribute, a row of 'trackedentityattributevalue' where trackedentityattributeid is 102",
            "${Shoe size} of trackedentityattributeid = 106 in 'trackedentityattributevalue'",
            "\"Female\": \"female\"",
        ],
    );
    lacks(&draft, &["N-17", "Soto", "1985-03-05", "555 1"]);
}

/// What rows are about may be told apart by names in the rows themselves, and several may stand of one name.
#[test]
fn names_in_the_rows_themselves_are_attributes_where_they_are_frequent() {
    let mut catalog = catalog();
    let person = table("person", &[("person_id", INT), ("birthdate", SqlType::Date)], "person_id");
    let said = table(
        "person_attribute",
        &[("id", INT), ("person_id", INT), ("attribute", TEXT), ("value", TEXT), ("voided", INT)],
        "id",
    );
    catalog.tables = vec![person, said];
    let texts: Vec<[String; 5]> = (0..24)
        .map(|n| {
            let (kind, value) =
                [("sex", "F"), ("email", "a@b"), ("surname", "Soto"), ("Juana Pérez", "x")]
                    [if n == 23 { 3 } else { n % 3 }];
            let cells = [n.to_string(), (n / 3).to_string(), kind.to_owned(), value.to_owned()];
            let [id, person, kind, value] = cells;
            [id, person, kind, value, u8::from(n == 5).to_string()]
        })
        .collect();
    let texts: Vec<[&str; 5]> =
        texts.iter().map(|row| row.each_ref().map(String::as_str)).collect();
    let said: Vec<&[&str]> = texts.iter().map(<[&str; 5]>::as_slice).collect();
    let ids: Vec<String> = (0..8).map(|n| n.to_string()).collect();
    let people: Vec<[&str; 2]> = ids.iter().map(|id| [id.as_str(), "1985-03-05"]).collect();
    let people: Vec<&[&str]> = people.iter().map(<[&str; 2]>::as_slice).collect();
    let draft = drafted(&catalog, &[("person", &people), ("person_attribute", &said)]);
    checked(&catalog, &draft);
    let of = |kind: &str| {
        format!(
            "{{each: {{table: person_attribute, match: {{person_id: person_id}}, \
             filter: {{attribute: \"{kind}\", voided: \"0\"}}, order: [id]}}, item: \"$value"
        )
    };
    has(
        &draft,
        &[
            &format!("gender: {} | code(sex)\"}}", of("sex")),
            &format!("family: {}\"}}", of("surname")),
            &format!("{{system: email, value: {}\"}}}}", of("email")),
        ],
    );
    lacks(&draft, &["Juana", "a@b"]);
}

/// Common data models, and programs whose columns are words run together or cut short.
#[test]
fn patients_are_known_by_their_columns() {
    let mut catalog = catalog();
    catalog.tables = vec![
        table(
            "demographic",
            &[("patid", TEXT), ("birth_date", SqlType::Date), ("sex", TEXT), ("race", TEXT)],
            "patid",
        ),
        table(
            "diagnosis",
            &[("diagnosisid", TEXT), ("patid", TEXT), ("dx_type", TEXT), ("dx", TEXT)],
            "diagnosisid",
        ),
    ];
    let draft = drafted(&catalog, &[]);
    checked(&catalog, &draft);
    has(
        &draft,
        &[
            "type: Patient",
            "birthDate: \"$birth_date\"",
            "subject: \"$patid | ref(Patient)\"",
            "code: \"$dx\"",
        ],
    );
    for columns in [
        ["personid", "lastname", "firstname", "gender", "dateofbirth"],
        ["PATNR", "NACHN", "VORNA", "GESCH", "GEBDAT"],
        ["患者番号", "氏名", "カナ", "性別", "生年月日"],
    ] {
        let [key, name, given, sex, born] = columns;
        let columns =
            [(key, TEXT), (name, TEXT), (given, TEXT), (sex, TEXT), (born, SqlType::Date)];
        catalog.tables = vec![table("adminview", &columns, key)];
        let draft = drafted(&catalog, &[]);
        checked(&catalog, &draft);
        has(
            &draft,
            &["type: Patient", &format!("birthDate: \"${born}\""), &format!("gender: \"${sex}")],
        );
    }
}

#[test]
fn dates_as_fileman_packs_them_are_known_by_their_cells() {
    let mut catalog = catalog();
    catalog.tables = vec![
        table("patient_2", &[("IEN", INT), ("NAME_01", TEXT), ("DATE_OF_BIRTH_03", TEXT)], "IEN"),
        table(
            "vital",
            &[
                ("IEN", INT),
                ("PATIENT_02", INT),
                ("DATE_TAKEN_01", TEXT),
                ("PULSE", TEXT),
                ("TEMP", TEXT),
            ],
            "IEN",
        ),
    ];
    let rows: [(&str, &[&[&str]]); 2] = [
        ("patient_2", &[&["1", "SOTO,ANA", "2850305"], &["2", "PAZ,KIT", "2500000"]]),
        ("vital", &[&["1", "1", "3240506.083", "71", "36.5"], &["2", "1", "3240507", "80", ""]]),
    ];
    let draft = drafted(&catalog, &rows);
    checked(&catalog, &draft);
    has(
        &draft,
        &[
            "birthDate: \"$DATE_OF_BIRTH_03 | date(fileman)\"",
            "effectiveDateTime: \"$DATE_TAKEN_01 | datetime(fileman)\"",
        ],
    );
}

#[test]
fn days_packed_into_numbers_are_known_by_their_cells() {
    let mut catalog = catalog();
    let columns = [
        ("id", INT),
        ("name", TEXT),
        ("birth_date", SqlType::Decimal),
        ("death_date", SqlType::Decimal),
    ];
    catalog.tables = vec![table("patient", &columns, "id")];
    let rows: &[&[&str]] = &[
        &["1", "Soto", "19850305", "0"],
        &["2", "Paz", "19500102", "1240506"],
        &["3", "Rey", "", "991231"],
    ];
    let draft = drafted(&catalog, &[("patient", rows)]);
    checked(&catalog, &draft);
    has(
        &draft,
        &[
            "birthDate: \"$birth_date | date('yyyyMMdd')\"",
            "deceasedDateTime: \"$death_date | date(cyymmdd)\"",
        ],
    );
}
