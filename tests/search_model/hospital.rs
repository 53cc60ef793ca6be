//! A hospital's tables with everything that goes wrong in them.

use proptest::prelude::*;

use super::ZONES;

/// A cell's text; nothing is NULL.
pub type Cell = Option<&'static str>;

/// What the tables hold, and the zone their times are of.
#[derive(Debug, Clone)]
pub struct Hospital {
    pub zone: usize,
    pub rows: Vec<Row>,
}

/// One row of each table.
#[derive(Debug, Clone)]
pub struct Row {
    pub cells: Vec<Cell>,
    pub contacts: Vec<(Cell, Cell)>,
    pub measured: Vec<Cell>,
    /// Of the measurement: code, amount and word of each of its parts.
    pub parts: Vec<[Cell; 3]>,
    /// A stay of the hospital: ward, person and state.
    pub stay: [Cell; 3],
    /// A team: its number elsewhere and the ward it is of.
    pub of_team: [Cell; 2],
    /// Who is in it, and as what.
    pub team: Vec<[Cell; 2]>,
    /// A visit: place, person, its beginning and end, when it was seen, a decimal, a ratio, a flag. Columns of
    /// the engines' own types.
    pub visit: [Cell; 8],
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
    id: "$code | escape"
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
    id: "s-$ward-$number | escape"
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
        - {member: "$head | null('-') | ref(Organization)"}
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
  - name: shot
    type: Immunization
    from: {table: visit}
    key: [place, id]
    id: "v-$place-$id"
    map:
      status: completed
      vaccineCode: {text: x}
      patient: "$person | ref(Patient, person)"
      occurrenceDateTime: "$seen"
      lotNumber: "$place"
  - name: act
    type: Procedure
    from: {table: visit}
    key: uid
    id: "$uid"
    map:
      status: completed
      identifier: [{system: "urn:u", value: "$uid"}]
      subject: {display: x, reference: "$person | ref(Patient, person)"}
      performedPeriod: {start: "$began", end: "$ended"}
  - name: risk
    type: RiskAssessment
    from: {table: visit}
    key: id
    id: "r-$id"
    map:
      status: final
      subject: {display: x, reference: "$person | ref(Patient, person)"}
      occurrenceDateTime: "$began"
      prediction: [{probabilityDecimal: "$score"}, {probabilityDecimal: "$ratio"}]
  - name: nurse
    type: Practitioner
    from: {table: visit}
    key: id
    id: "$id"
    map:
      active: "$flag | bool('true|1', 'false|0')"
  - name: form
    type: QuestionnaireResponse
    from: {table: measured}
    key: id
    id: "$id"
    map:
      status: completed
      questionnaire: "$form"
"#;

const A: [Cell; 10] = [
    None,
    Some(""),
    Some("  "),
    Some("-"),
    Some("Muñoz"),
    Some(" munoz paz"),
    Some("MUÑOZ"),
    Some("x@y"),
    Some("O'Brien\\%_"),
    Some("😀 ñu "),
];
const B: [Cell; 6] =
    [None, Some(""), Some("Ana  María"), Some("ANA"), Some("de la Paz"), Some("-")];
const IDENT: [Cell; 7] =
    [None, Some("-"), Some("0"), Some("A1"), Some("a1"), Some(" A1 "), Some("A 1")];
const SEX: [Cell; 7] = [None, Some("F"), Some("f"), Some("M "), Some("X"), Some(""), Some("-")];
const BORN: [Cell; 11] = [
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
const DIED: [Cell; 10] = [
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
const YES: [Cell; 5] = [None, Some("1"), Some("0"), Some("yes"), Some("2")];
const DEAD: [Cell; 5] = [None, Some("Y"), Some("N"), Some("y"), Some("")];
const MOOD: [Cell; 5] = [None, Some("Á"), Some("a"), Some("b"), Some("c")];
pub const WARD: [Cell; 9] = [
    None,
    Some("W1"),
    Some("w1"),
    Some(" W1 "),
    Some("W 1"),
    Some("-"),
    Some("W-2"),
    Some("é/{1}"),
    // Escaped it is an id alone and too long for one with a number.
    Some("____________________"),
];
const BOSS: [Cell; 4] = [None, Some("1"), Some("2"), Some("77")];

fn pick(from: &'static [Cell]) -> impl Strategy<Value = Cell> {
    prop::sample::select(from)
}

/// Tables of up to eight people, somewhere.
pub fn hospitals() -> impl Strategy<Value = Hospital> {
    (0..ZONES.len(), rows()).prop_map(|(zone, rows)| Hospital { zone, rows })
}

fn visits() -> impl Strategy<Value = [Cell; 8]> {
    let places: &[Cell] = &[Some("a"), Some("b"), Some("B"), Some("c.d")];
    // No end lies before its beginning: such a period is shown without it. What never was is of each engine's
    // own kind: see `tables`.
    let stays: &[(Cell, Cell)] = &[
        (None, None),
        (None, Some("2020-05-06 10:00:00")),
        (None, Some("never")),
        (Some("2020-05-06"), None),
        (Some("2020-05-06"), Some("2020-05-06 10:00:00")),
        (Some("2020-05-06"), Some("2020-05-07 00:00:00")),
        (Some("1985-03-05"), Some("1985-12-31 23:59:59")),
        (Some("1985-03-05"), Some("never")),
        (Some("1985-12-31"), Some("9999-12-31 23:59:59")),
        (Some("0001-01-01"), Some("2020-05-06 10:00:00")),
        (Some("9999-12-31"), None),
        (Some("never"), Some("1985-12-31 23:59:59")),
        (Some("never"), None),
    ];
    let seen: &[Cell] = &[
        None,
        Some("2020-05-06 10:00:00Z"),
        Some("2020-05-06 23:30:00Z"),
        Some("2020-01-01 02:00:00Z"),
        Some("1985-03-05 08:30:00Z"),
        Some("never"),
    ];
    let scores: &[Cell] =
        &[None, Some("0.5"), Some("0.500001"), Some("1234567.123456"), Some("-0.25"), Some("0")];
    let ratios: &[Cell] = &[
        None,
        Some("0.5"),
        Some("0.1"),
        Some("1.5e-7"),
        Some("0.30000000000000004"),
        Some("1e16"),
        Some("'x'"),
    ];
    let flags: &[Cell] = &[None, Some("1"), Some("0")];
    let first = (pick(places), pick(&BOSS), prop::sample::select(stays));
    (first, pick(seen), pick(scores), pick(ratios), pick(flags)).prop_map(
        |((place, person, (began, ended)), seen, score, ratio, flag)| {
            [place, person, began, ended, seen, score, ratio, flag]
        },
    )
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let kinds: &[Cell] = &[None, Some("T"), Some("E"), Some("Z")];
    let values: &[Cell] = &[None, Some("555"), Some("x@y"), Some(" "), Some("5")];
    let person = (
        (pick(&A), pick(&B), pick(&IDENT), pick(&SEX), pick(&BORN), pick(&DIED)),
        (pick(&YES), pick(&DEAD), pick(&MOOD), pick(&BOSS), pick(&YES)),
    );
    let contacts = prop::collection::vec((pick(kinds), pick(values)), 0..3);
    let tests: &[Cell] = &[None, Some("GLU"), Some("LOC"), Some("HGB"), Some("Z  Z"), Some("glu")];
    let clocks: &[Cell] = &[None, Some("08:30"), Some("23:59"), Some("24:00"), Some(" ")];
    let amounts: &[Cell] = &[None, Some("5"), Some("5.4"), Some("5.45"), Some("-1"), Some("'x'")];
    let packed: &[Cell] = &[
        None,
        Some("1985"),
        Some("198503"),
        Some("19850305"),
        Some("19851332"),
        Some("198"),
        Some("00000000"),
    ];
    let words: &[Cell] = &[None, Some("-"), Some("Glucosa"), Some(" glú"), Some("")];
    let measured = (
        (pick(tests), pick(&YES), pick(&BOSS), pick(&BORN), pick(clocks)),
        (pick(amounts), pick(words), pick(packed)),
    );
    let codes: &[Cell] = &[None, Some("a"), Some("b")];
    let part = (pick(codes), pick(amounts), pick(words)).prop_map(|(a, b, c)| [a, b, c]);
    let parts = prop::collection::vec(part, 0..3);
    let states: &[Cell] = &[None, Some("F"), Some("P"), Some("x")];
    let stay = (pick(&WARD), pick(&BOSS), pick(states)).prop_map(|(a, b, c)| [a, b, c]);
    let roles: &[Cell] = &[Some("r"), Some("r"), Some("s")];
    let member = (pick(&BOSS), pick(roles)).prop_map(|(a, b)| [a, b]);
    let of_team = (pick(&IDENT), pick(&WARD)).prop_map(|(a, b)| [a, b]);
    let team = (of_team, prop::collection::vec(member, 0..3));
    let changed: &[Cell] = &[
        None,
        Some("2020-05-06 10:00:00"),
        Some("2021-01-01T00:00:00"),
        Some("never"),
        Some("2019-12-31 23:59:59"),
        Some("9999-12-31 23:59:59"),
    ];
    let epochs: &[Cell] =
        &[None, Some("1588759200"), Some("1609459200"), Some("0"), Some("253402300799")];
    let stays: &[Cell] = &[None, Some("1"), Some("2"), Some("3")];
    let homes = (pick(&WARD), pick(&WARD));
    let forms: &[Cell] = &[
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
    let row = (person, contacts, measured, beyond, visits()).prop_map(
        |(person, contacts, measured, beyond, visit)| {
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
                visit,
            }
        },
    );
    prop::collection::vec(row, 0..8)
}
