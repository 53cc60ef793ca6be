//! Values as only some hospitals write them.

use proptest::prelude::*;

use super::hospital::{Cell, pick};

/// People whose dates of birth and codes are written in odd ways.
pub const DOCUMENT: &str = r#"
  - name: parted
    type: Person
    from: {table: odd}
    key: id
    id: "c-$id"
    map:
      birthDate: "$y, $m, $d | null('99') | date(ymd)"
      identifier: [{system: "urn:a", value: "$code | capture('^L:(.+)$')"}, {system: "urn:b", value: "$code | capture('^M\\.(.*)$')"}]
      name: [{family: "$code | capture('^L:(.+)$')"}]
  - name: packed
    type: Person
    from: {table: odd}
    key: id
    id: "p-$id"
    map: {birthDate: "$packed | null('19850306') | date('yyyyMMdd')"}
  - name: thai
    type: Person
    from: {table: odd}
    key: id
    id: "t-$id"
    map: {birthDate: "$thai | date('dd/MM/bbbb')"}
  - name: era
    type: Person
    from: {table: odd}
    key: id
    id: "e-$id"
    map: {birthDate: "$era | date('bbbb-MM-dd')"}
  - name: fileman
    type: Person
    from: {table: odd}
    key: id
    id: "f-$id"
    map: {birthDate: "$fileman | date(fileman)"}
  - name: century
    type: Person
    from: {table: odd}
    key: id
    id: "y-$id"
    map: {birthDate: "$century | date(cyymmdd)"}
  - name: told
    type: Person
    from: {table: odd}
    key: id
    id: "w-$id"
    map:
      name:
        - family: {each: {table: told, match: {odd: id}, filter: {kind: name}}, item: "$value"}
          given: [{each: {table: told, match: {odd: id}, filter: {kind: other}}, item: "$value"}]
      gender: {each: {table: told, match: {odd: id}, filter: {kind: sex}}, item: "$value | code(sex)"}
      birthDate: {each: {table: told, match: {odd: id}, filter: {kind: born}}, item: "$value | date('dd/MM/yyyy')"}
      identifier:
        - {system: "urn:a", value: {each: {table: told, match: {odd: id}, filter: {kind: name}}, item: "$value"}}
  - name: moments
    type: ImagingStudy
    from: {table: odd}
    key: id
    id: "m-$id"
    map: {status: available, subject: {display: x}, started: "$fileman | datetime(fileman)"}
  - name: scaled
    type: ImagingStudy
    from: {table: odd}
    key: id
    id: "s-$id"
    map: {status: available, subject: {display: x}, started: "$scaled | datetime(fileman)"}
"#;

/// Dates and moments as FileMan packs them, and what only looks so.
const PACKS: &[Cell] = &[
    None,
    Some("0"),
    Some("2850305"),
    Some("2850300"),
    Some("2850000"),
    Some("2850229"),
    Some("2840229"),
    Some("3200506.1"),
    Some("3200506.24"),
    Some("3200506.0003"),
    Some("3200506.095959"),
    Some("3200404.233"),
    Some("3200506.25"),
    Some("3200506.0"),
    Some("2000601.1"),
    Some("x"),
];
/// The same over columns of decimals.
const SCALES: &[Cell] = &[
    None,
    Some("2850305"),
    Some("3200506.24"),
    Some("3200506.06"),
    Some("3200506.100001"),
    Some("2850300"),
    Some("3200506.25"),
    Some("320050"),
];
/// Dates as IBM i packs them, and what only looks so.
const CENTURIES: &[Cell] = &[
    None,
    Some("0"),
    Some("850305"),
    Some("1200506"),
    Some("850229"),
    Some("1200229"),
    Some("229"),
    Some("8500305"),
];

/// A row of the table `odd`, without its id.
pub fn odd() -> impl Strategy<Value = [Cell; 14]> {
    let years: &[Cell] =
        &[None, Some("1985"), Some("1985"), Some("1984"), Some("0"), Some("9999"), Some("85")];
    let months: &[Cell] =
        &[None, Some("3"), Some("3"), Some("2"), Some("12"), Some("0"), Some("13"), Some("99")];
    let days: &[Cell] =
        &[None, Some("5"), Some("29"), Some("30"), Some("31"), Some("0"), Some("99")];
    let packed: &[Cell] = &[
        None,
        Some("0"),
        Some("19850305"),
        Some("19850306"),
        Some("19840229"),
        Some("19850229"),
        Some("19851332"),
        Some("1985"),
        Some("198503"),
        Some("99991231"),
        Some("-1985030"),
    ];
    let thai: &[Cell] = &[
        None,
        Some("05/03/2528"),
        Some("31/12/2528"),
        Some("29/02/2527"),
        Some("29/02/2528"),
        Some("29/02/2443"),
        Some("29/02/2543"),
        Some("31/12/9999"),
        Some("05/03/0543"),
        Some("01/01/0544"),
        Some("00/00/0000"),
        Some("x"),
    ];
    let eras: &[Cell] = &[
        None,
        Some("2528-03-05"),
        Some("2528-12-31"),
        Some("0543-12-31"),
        Some("0544-01-01"),
        Some("9999-12-31"),
        Some("never"),
    ];
    let codes: &[Cell] = &[
        None,
        Some("L:A1"),
        Some(" L:a1 "),
        Some("l:A1"),
        Some("L:"),
        Some("L: "),
        Some("L: A1"),
        Some("L:L:A1"),
        Some("M.A1"),
        Some("MxA1"),
        Some("L:Muñoz"),
    ];
    let names: &[Cell] = &[None, Some("Muñoz"), Some("muñoz paz"), Some(" "), Some("-")];
    let sexes: &[Cell] = &[None, Some("F"), Some("M"), Some("x")];
    let born: &[Cell] = &[None, Some("05/03/1985"), Some("1985"), Some("31/02/1985")];
    let told = (pick(names), pick(names), pick(sexes), pick(born));
    let more = (pick(PACKS), pick(SCALES), pick(CENTURIES), told);
    let parts = (pick(years), pick(months), pick(days));
    (parts, pick(packed), pick(thai), pick(eras), pick(codes), more).prop_map(
        |((y, m, d), packed, thai, era, code, (fileman, scaled, century, told))| {
            let (name, other, sex, born) = told;
            [y, m, d, packed, thai, era, code, fileman, scaled, century, name, other, sex, born]
        },
    )
}
