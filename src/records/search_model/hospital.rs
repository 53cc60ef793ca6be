//! A hospital's tables with everything that goes wrong in them.

use std::fmt::Write as _;

use proptest::prelude::*;

/// One row of each table.
#[derive(Debug, Clone)]
pub struct Row {
    pub cells: Vec<Option<&'static str>>,
    pub contacts: Vec<(Option<&'static str>, Option<&'static str>)>,
    pub measured: Vec<Option<&'static str>>,
    /// Of the measurement: code, amount and word of each of its parts.
    pub parts: Vec<[Option<&'static str>; 3]>,
    /// A stay of the hospital: ward, person and state.
    pub stay: [Option<&'static str>; 3],
    /// A team: its number elsewhere and the ward it is of.
    pub of_team: [Option<&'static str>; 2],
    /// Who is in it, and as what.
    pub team: Vec<[Option<&'static str>; 2]>,
}

pub const DOCUMENT: &str = r#"
mapping: 1
fhir: "4.0.1"
database: {timezone: UTC}
codes:
  sex: {values: {"F": female, "M": male}, otherwise: other, missing: unknown}
  kind: {values: {"T": phone, "E": email}}
  stay: {values: {"F": finished, "P": planned}}
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
      generalPractitioner: ["$ward | null('-') | ref(Organization)", "$second | ref(Organization)"]
      link: [{other: "$boss | ref(Patient, person)", type: seealso}]
  - name: guest
    type: Patient
    from: {table: team}
    key: id
    id: "g-$id"
    map:
      identifier: [{system: "urn:a", value: "$number"}]
  - name: ward
    type: Organization
    from: {table: ward}
    key: code
    id: "$code"
    map:
      name: "$label"
      identifier: [{system: "urn:w", value: "$code"}]
  - name: place
    type: Location
    from: {table: ward}
    key: code
    id: "$code"
    map:
      name: "$label"
      identifier: [{system: "urn:p", value: "$code"}]
  - name: stay
    type: Encounter
    from: {table: stay, filter: {ward: {not: "W-2"}}}
    key: [ward, number]
    id: "s-$ward-$number"
    map:
      identifier: [{system: "urn:s", value: "$ward"}]
      status: "$state | code(stay)"
      class: {code: IMP}
      subject: {if: {state: "F"}, reference: "$person | ref(Patient, person)"}
  - name: team
    type: CareTeam
    from: {table: team}
    key: id
    id: "$id"
    map:
      identifier: [{system: "urn:t", value: "$number"}]
      participant:
        - {member: "$lead | null('-') | ref(Organization)"}
        - each: {table: member, match: {team: id}, filter: {live: "1"}, order: [id]}
          item: {if: {role: "r"}, member: "$person | ref(Patient, person)", role: [{text: "$role"}]}
  - name: measured
    type: Observation
    from: {table: measured}
    key: id
    id: "m-$id"
    last_updated: "$changed"
    map:
      status: "$final | code(status)"
      code: {coding: [{system: "$test | system(test)", code: "$test | code(test)", display: "$test | display(test)"}, {system: "urn:own", code: "$test"}]}
      subject: "$person | ref(Patient, person)"
      effectiveDateTime: "$day, $clock | datetime('dd/MM/yyyy HH:mm')"
      valueQuantity: {value: "$amount", unit: "$unit", system: "http://unitsofmeasure.org", code: "$unit"}
      valueString: "$word"
      encounter: "$ward, $stay | ref(Encounter)"
      component:
        - each: {table: part, match: {measured: id}, order: [id]}
          item:
            code: {coding: [{system: "urn:p", code: "$code"}]}
            valueQuantity: {value: "$amount", unit: mg}
            valueString: "$word | null('-')"
  - name: note
    type: Observation
    from: {table: measured, filter: {word: {missing: false}}}
    key: id
    id: "n-$id"
    last_updated: "$changed2 | datetime(epoch)"
    map:
      status: final
      code: {text: "$word"}
      subject: "$ward | ref(Location)"
      effectiveDateTime: "$packed | date('yyyyMMdd')"
      valueString: "$word | null('-')"
  - name: form
    type: QuestionnaireResponse
    from: {table: measured}
    key: id
    id: "$id"
    map:
      status: completed
      questionnaire: "$form"
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
const BORN: [Option<&str>; 11] = [
    None,
    Some("31/12/9999"),
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
const DIED: [Option<&str>; 10] = [
    None,
    Some("9999-12-31"),
    Some("9999-12-31T23:59:59"),
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
pub const WARD: [Option<&str>; 7] =
    [None, Some("W1"), Some("w1"), Some(" W1 "), Some("W 1"), Some("-"), Some("W-2")];
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
    let codes: &[Option<&str>] = &[None, Some("a"), Some("b")];
    let part = (pick(codes), pick(amounts), pick(words)).prop_map(|(a, b, c)| [a, b, c]);
    let parts = prop::collection::vec(part, 0..3);
    let states: &[Option<&str>] = &[None, Some("F"), Some("P"), Some("x")];
    let stay = (pick(&WARD), pick(&BOSS), pick(states)).prop_map(|(a, b, c)| [a, b, c]);
    let roles: &[Option<&str>] = &[Some("r"), Some("r"), Some("s")];
    let member = (pick(&BOSS), pick(roles)).prop_map(|(a, b)| [a, b]);
    let of_team = (pick(&IDENT), pick(&WARD)).prop_map(|(a, b)| [a, b]);
    let team = (of_team, prop::collection::vec(member, 0..3));
    let changed: &[Option<&str>] = &[
        None,
        Some("2020-05-06 10:00:00"),
        Some("2021-01-01T00:00:00"),
        Some("never"),
        Some("2019-12-31 23:59:59"),
        Some("9999-12-31 23:59:59"),
    ];
    let epochs: &[Option<&str>] =
        &[None, Some("1588759200"), Some("1609459200"), Some("0"), Some("253402300799")];
    let stays: &[Option<&str>] = &[None, Some("1"), Some("2"), Some("3")];
    let homes = (pick(&WARD), pick(&WARD));
    let forms: &[Option<&str>] = &[
        None,
        Some("http://q/a"),
        Some("http://q/a|1"),
        Some("http://q/a|2"),
        Some("http://q/ab"),
        Some("HTTP://q/a"),
        Some(" http://q/a "),
    ];
    let extra = (homes, pick(&WARD), pick(stays), (pick(changed), pick(epochs)), pick(forms));
    let beyond = (parts, stay, team, extra);
    let row =
        (person, contacts, measured, beyond).prop_map(|(person, contacts, measured, beyond)| {
            let (parts, stay, (of_team, team), (homes, ward, number, (changed, changed2), form)) =
                beyond;
            let ((a, b, ident, sex, born, died), (active, dead, mood, boss, _)) = person;
            let ((test, done, who, day, clock), (amount, word, packed)) = measured;
            Row {
                cells: vec![
                    a, b, ident, sex, born, died, active, dead, mood, boss, homes.0, homes.1,
                ],
                contacts,
                measured: vec![
                    test, done, who, day, clock, amount, word, packed, ward, number, changed,
                    changed2, form,
                ],
                parts,
                stay,
                of_team,
                team,
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
           sex TEXT, born TEXT, died TEXT, active TEXT, dead BOOLEAN, mood TEXT, boss INTEGER, ward TEXT,
           second TEXT);
         CREATE TABLE contact (id INTEGER PRIMARY KEY, person INTEGER, live INTEGER, kind TEXT, value TEXT);
         CREATE TABLE measured (id INTEGER PRIMARY KEY, test TEXT, final TEXT, person INTEGER, day TEXT,
           clock TEXT, amount DECIMAL(10,2), word TEXT, packed TEXT, ward TEXT, stay INTEGER, changed DATETIME, changed2 INTEGER, form TEXT,
           unit TEXT DEFAULT 'mg');
         CREATE TABLE part (id INTEGER PRIMARY KEY, measured INTEGER, code TEXT, amount REAL, word TEXT);
         CREATE TABLE ward (code TEXT NOT NULL PRIMARY KEY, label TEXT);
         CREATE TABLE stay (ward TEXT NOT NULL, number INTEGER NOT NULL, person INTEGER, state TEXT,
           PRIMARY KEY (ward, number));
         CREATE TABLE team (id INTEGER PRIMARY KEY, number TEXT, lead TEXT);
         CREATE TABLE member (id INTEGER PRIMARY KEY, team INTEGER, person INTEGER, role TEXT, live INTEGER);
         INSERT INTO ward VALUES ('W1', 'Muñoz'), ('w1', 'ANA'), ('W 1', 'Muñoz'), ('W-2', NULL), ('-', 'ANA');\n",
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
            "INSERT INTO measured (id, test, final, person, day, clock, amount, word, packed, ward, stay,
               changed, changed2, form) VALUES ({id}, {cells});"
        )
        .unwrap();
        for (at, part) in row.parts.iter().enumerate() {
            writeln!(sql, "INSERT INTO part VALUES ({id}{at}, {id}, {});", list(part)).unwrap();
        }
        let [ward, person, state] = row.stay;
        if ward.is_some() {
            let (ward, rest) = (list(&[ward]), list(&[person, state]));
            writeln!(sql, "INSERT INTO stay VALUES ({ward}, {id}, {rest});").unwrap();
        }
        writeln!(sql, "INSERT INTO team VALUES ({id}, {});", list(&row.of_team)).unwrap();
        for (at, member) in row.team.iter().enumerate() {
            let member = list(member);
            let live = usize::from(at % 2 == 0);
            writeln!(sql, "INSERT INTO member VALUES ({id}{at}, {id}, {member}, {live});").unwrap();
        }
    }
    sql
}
