//! A hospital's tables with everything that goes wrong in them.

use proptest::prelude::*;

use super::ZONES;
use super::odd::odd;

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
    /// A person's year, month and day of birth, the same as a number, in the Buddhist era and in a column of dates,
    /// and a code with its system before it; the same as FileMan and IBM i pack it; and what stands in a table of
    /// attributes: a name, another, a sex and a day of birth.
    pub odd: [Cell; 14],
}

const A: [Cell; 11] = [
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
    Some("x*[y]?!z"),
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
const CHANGED: [Cell; 8] = [
    None,
    Some("2020-05-06 10:00:00"),
    Some("2021-01-01T00:00:00"),
    Some("never"),
    Some("2019-12-31 23:59:59"),
    // An hour that comes twice in Santiago, and clocks that went by the sun.
    Some("2020-04-04 23:30:00"),
    Some("1900-06-01 10:00:00"),
    Some("9999-12-31 23:59:59"),
];
const EPOCHS: [Cell; 6] = [
    None,
    Some("1588759200"),
    Some("1609459200"),
    Some("0"),
    Some("253402300799"),
    Some("1586057400"),
];
const BOSS: [Cell; 4] = [None, Some("1"), Some("2"), Some("77")];

pub fn pick(from: &'static [Cell]) -> impl Strategy<Value = Cell> {
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
        (None, Some("1900-06-01 10:00:00")),
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
        Some("2020-04-05 02:30:00Z"),
        Some("2020-04-05 03:30:00Z"),
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
    let extra = (homes, pick(&WARD), pick(stays), (pick(&CHANGED), pick(&EPOCHS)), pick(forms));
    let beyond = (parts, stay, team, extra);
    let row = (person, contacts, measured, beyond, (visits(), odd())).prop_map(
        |(person, contacts, measured, beyond, (visit, odd))| {
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
                odd,
            }
        },
    );
    prop::collection::vec(row, 0..8)
}
