//! A hospital's tables with everything that goes wrong in them.

use std::fmt::Write as _;

use proptest::prelude::*;

/// One row of each table.
#[derive(Debug, Clone)]
pub struct Row {
    pub cells: Vec<Option<&'static str>>,
    pub contacts: Vec<(Option<&'static str>, Option<&'static str>)>,
    pub measured: Vec<Option<&'static str>>,
}

pub const DOCUMENT: &str = r#"
mapping: 1
fhir: "4.0.1"
database: {timezone: UTC}
codes:
  sex: {values: {"F": female, "M": male}, otherwise: other, missing: unknown}
  kind: {values: {"T": phone, "E": email}}
  mood: {values: {"á": home, "B": work}, ignore_case: true}
  status: {values: {"1": final, "0": preliminary}}
  test:
    values:
      "GLU": {code: "14749-6", system: "http://loinc.org", display: Glucose}
      "LOC": {code: "14749-6", system: "urn:local"}
      "HGB": {code: "718-7", system: "http://loinc.org"}
resources:
  - name: person
    type: Patient
    from: {table: person, filter: {gone: "0"}}
    key: id
    id: "$id"
    map:
      active: "$active | bool('1', '0')"
      identifier:
        - {system: "urn:a", value: "$ident | null('-', '0')"}
        - {use: old, value: "$a, $ident | null('-', '0') | first"}
      name:
        - {use: official, family: "$a, $b | join(' ')", given: ["$b | split(' ')"], prefix: [Dr]}
      telecom:
        - {system: email, value: "$a | null('-')"}
        - each: {table: contact, match: {person: id}, filter: {live: "1"}, order: [id]}
          item: {system: "$kind | code(kind)", value: "$value"}
      gender: "$sex | code(sex)"
      birthDate: "$born | date('dd/MM/yyyy')"
      deceasedBoolean: "$dead | bool('Y', 'N')"
      deceasedDateTime: "$died"
      address:
        - {use: "$mood | code(mood)", city: "$b | upper", country: "$ident | default('CL')"}
        - if: {sex: "F"}
          state: "$a"
      managingOrganization: {display: "$b"}
      link: [{other: "$boss | ref(Patient)", type: seealso}]
  - name: measured
    type: Observation
    from: {table: measured}
    key: id
    id: "m-$id"
    map:
      status: "$final | code(status)"
      code: {coding: [{system: "$test | system(test)", code: "$test | code(test)", display: "$test | display(test)"}, {system: "urn:own", code: "$test"}]}
      subject: "$person | ref(Patient)"
      effectiveDateTime: "$day, $clock | datetime('dd/MM/yyyy HH:mm')"
      valueQuantity: {value: "$amount", unit: "$unit", system: "http://unitsofmeasure.org", code: "$unit"}
      valueString: "$word"
  - name: note
    type: Observation
    from: {table: measured, filter: {word: {missing: false}}}
    key: id
    id: "n-$id"
    map:
      status: final
      code: {text: "$word"}
      effectiveDateTime: "$packed | date('yyyyMMdd')"
      valueString: "$word | null('-')"
"#;

const A: [Option<&str>; 8] = [
    None,
    Some(""),
    Some("  "),
    Some("-"),
    Some("Muñoz"),
    Some(" munoz paz"),
    Some("MUÑOZ"),
    Some("x@y"),
];
const B: [Option<&str>; 6] =
    [None, Some(""), Some("Ana  María"), Some("ANA"), Some("de la Paz"), Some("-")];
const IDENT: [Option<&str>; 7] =
    [None, Some("-"), Some("0"), Some("A1"), Some("a1"), Some(" A1 "), Some("A 1")];
const SEX: [Option<&str>; 7] =
    [None, Some("F"), Some("f"), Some("M "), Some("X"), Some(""), Some("-")];
const BORN: [Option<&str>; 10] = [
    None,
    Some("05/03/1985"),
    Some("31/12/1985"),
    Some("01/01/1986"),
    Some("31/02/1985"),
    Some("29/02/1984"),
    Some("29/02/1985"),
    Some("05-03-1985"),
    Some("05/03/1985x"),
    Some("00/00/0000"),
];
const DIED: [Option<&str>; 8] = [
    None,
    Some("2020"),
    Some("2020-05"),
    Some("2020-05-06"),
    Some("2020-05-06T10:00:00"),
    Some("2020-05-06 10:00:00Z"),
    Some("soon"),
    Some("2020-13"),
];
const YES: [Option<&str>; 5] = [None, Some("1"), Some("0"), Some("yes"), Some("2")];
const DEAD: [Option<&str>; 5] = [None, Some("Y"), Some("N"), Some("y"), Some("")];
const MOOD: [Option<&str>; 5] = [None, Some("Á"), Some("a"), Some("b"), Some("c")];
const BOSS: [Option<&str>; 4] = [None, Some("1"), Some("2"), Some("77")];

fn pick(from: &'static [Option<&'static str>]) -> impl Strategy<Value = Option<&'static str>> {
    prop::sample::select(from)
}

/// Tables of up to eight people.
pub fn rows() -> impl Strategy<Value = Vec<Row>> {
    let kinds: &[Option<&str>] = &[None, Some("T"), Some("E"), Some("Z")];
    let values: &[Option<&str>] = &[None, Some("555"), Some("x@y"), Some(" "), Some("5")];
    let person = (
        (pick(&A), pick(&B), pick(&IDENT), pick(&SEX), pick(&BORN), pick(&DIED)),
        (pick(&YES), pick(&DEAD), pick(&MOOD), pick(&BOSS), pick(&YES)),
    );
    let contacts = prop::collection::vec((pick(kinds), pick(values)), 0..3);
    let tests: &[Option<&str>] =
        &[None, Some("GLU"), Some("LOC"), Some("HGB"), Some("Z  Z"), Some("glu")];
    let clocks: &[Option<&str>] = &[None, Some("08:30"), Some("23:59"), Some("24:00"), Some(" ")];
    let amounts: &[Option<&str>] =
        &[None, Some("5"), Some("5.4"), Some("5.45"), Some("-1"), Some("'x'")];
    let packed: &[Option<&str>] = &[
        None,
        Some("1985"),
        Some("198503"),
        Some("19850305"),
        Some("19851332"),
        Some("198"),
        Some("00000000"),
    ];
    let words: &[Option<&str>] = &[None, Some("-"), Some("Glucosa"), Some(" glú"), Some("")];
    let measured = (
        (pick(tests), pick(&YES), pick(&BOSS), pick(&BORN), pick(clocks)),
        (pick(amounts), pick(words), pick(packed)),
    );
    let row = (person, contacts, measured).prop_map(|(person, contacts, measured)| {
        let ((a, b, ident, sex, born, died), (active, dead, mood, boss, _)) = person;
        let ((test, done, who, day, clock), (amount, word, packed)) = measured;
        Row {
            cells: vec![a, b, ident, sex, born, died, active, dead, mood, boss],
            contacts,
            measured: vec![test, done, who, day, clock, amount, word, packed],
        }
    });
    prop::collection::vec(row, 0..8)
}

fn literal(cell: Option<&str>) -> String {
    cell.map_or("NULL".to_owned(), |text| match text {
        "'x'" => text.to_owned(),
        text => format!("'{text}'"),
    })
}

/// The tables and their rows as SQL.
pub fn schema(rows: &[Row]) -> String {
    let mut sql = String::from(
        "CREATE TABLE person (id INTEGER PRIMARY KEY, gone INTEGER, a TEXT, b TEXT, ident TEXT,
           sex TEXT, born TEXT, died TEXT, active TEXT, dead BOOLEAN, mood TEXT, boss INTEGER);
         CREATE TABLE contact (id INTEGER PRIMARY KEY, person INTEGER, live INTEGER, kind TEXT, value TEXT);
         CREATE TABLE measured (id INTEGER PRIMARY KEY, test TEXT, final TEXT, person INTEGER, day TEXT,
           clock TEXT, amount DECIMAL(10,2), word TEXT, packed TEXT, unit TEXT DEFAULT 'mg');\n",
    );
    for (number, row) in rows.iter().enumerate() {
        let id = number + 1;
        let list = |cells: &[Option<&str>]| {
            cells.iter().map(|cell| literal(*cell)).collect::<Vec<_>>().join(", ")
        };
        let gone = usize::from(id == 4);
        writeln!(sql, "INSERT INTO person VALUES ({id}, {gone}, {});", list(&row.cells)).unwrap();
        for (at, (kind, value)) in row.contacts.iter().enumerate() {
            let cells = list(&[*kind, *value]);
            writeln!(
                sql,
                "INSERT INTO contact VALUES ({id}{at}, {id}, {}, {cells});",
                usize::from(at % 2 == 0)
            )
            .unwrap();
        }
        let cells = list(&row.measured);
        writeln!(
            sql,
            "INSERT INTO measured (id, test, final, person, day, clock, amount, word, packed) VALUES ({id}, {cells});"
        )
        .unwrap();
    }
    sql
}
