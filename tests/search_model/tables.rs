//! The hospital's tables in each engine's own types, with what grown databases have of collations: no two
//! columns that meet are of the same.

use std::fmt::Write as _;

use wardgate::store::Flavour;

use super::hospital::{Cell, Row};

const TABLES: &str = "
CREATE TABLE person (id {int} PRIMARY KEY, gone {int}, a {loose}, b {strict}, ident {narrow}, sex CHAR(2), born {strict},
  died {loose}, active {strict}, dead {word}, mood {loose}, boss {whole}, ward {loose}, second {narrow});
CREATE TABLE contact (id {int} PRIMARY KEY, person {int}, live {int}, kind CHAR(1), value {narrow});
CREATE TABLE measured (id {int} PRIMARY KEY, test {loose}, final {strict}, person {int}, day {strict}, clock {loose},
  amount DECIMAL(10,2), word {text}, packed {strict}, ward {other}, stay {int}, changed {moment}, changed2 {whole},
  form {loose}, unit VARCHAR(8) DEFAULT 'mg');
CREATE TABLE part (id {int} PRIMARY KEY, measured {int}, code {strict}, amount {single}, word {loose});
CREATE TABLE ward (code {exact} NOT NULL PRIMARY KEY, label {loose});
CREATE TABLE stay (ward {strict} NOT NULL, number {int} NOT NULL, person {int}, state {strict}, PRIMARY KEY (ward, number));
CREATE TABLE team (id {whole} PRIMARY KEY, number {loose}, head {other});
CREATE TABLE member (id {int} PRIMARY KEY, team {whole}, person {int}, role {strict}, live {int});
CREATE TABLE visit (id {int} NOT NULL, place CHAR(6) NOT NULL, uid {uuid} NOT NULL UNIQUE, person {int}, began DATE,
  ended {moment}, seen {instant}, score DECIMAL(20,6), ratio {double}, flag {flag}, PRIMARY KEY (place, id), UNIQUE (id));
CREATE TABLE odd (id {int} PRIMARY KEY, y {int}, m {int}, d {whole}, packed {int}, thai {strict}, era DATE, code {loose},
  fileman {strict}, scaled DECIMAL(13,6), century {int});
CREATE TABLE told (odd {int} NOT NULL, kind {strict} NOT NULL, value {loose}, PRIMARY KEY (odd, kind));
";

/// Indexes, of columns whose texts have no blanks at their ends: the others are compared as they are shown.
const INDEXES: &str = "
CREATE INDEX measured_person ON measured (person);
CREATE INDEX measured_test ON measured (test);
CREATE INDEX measured_changed ON measured (changed);
CREATE INDEX contact_person ON contact (person);
CREATE INDEX part_measured ON part (measured);
CREATE INDEX part_code ON part (code);
CREATE INDEX member_team ON member (team);
CREATE INDEX member_person ON member (person, team);
CREATE INDEX visit_person ON visit (person);
CREATE INDEX visit_seen ON visit (seen, id);
CREATE INDEX person_boss ON person (boss);
";

/// What stands for a type in the tables, and what it is on SQLite, PostgreSQL, and MySQL and MariaDB. Their
/// names say how the column compares letters: `loose` ignores their case, `narrow` cannot hold all of them.
const TYPES: [(&str, [&str; 3]); 15] = [
    ("int", ["INTEGER", "INTEGER", "INT"]),
    ("whole", ["INTEGER", "BIGINT", "BIGINT"]),
    (
        "loose",
        [
            "TEXT COLLATE NOCASE",
            "VARCHAR(40) COLLATE loose",
            "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
        ],
    ),
    (
        "strict",
        ["TEXT", "VARCHAR(40)", "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"],
    ),
    (
        "other",
        [
            "TEXT COLLATE RTRIM",
            "TEXT COLLATE \"POSIX\"",
            "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_spanish_ci",
        ],
    ),
    (
        "narrow",
        [
            "TEXT",
            "VARCHAR(40) COLLATE \"C\"",
            "VARCHAR(40) CHARACTER SET latin1 COLLATE latin1_swedish_ci",
        ],
    ),
    ("exact", ["TEXT", "TEXT", "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"]),
    ("text", ["TEXT", "TEXT", "TEXT CHARACTER SET utf8mb4"]),
    ("word", ["TEXT", "word", "ENUM('Y', 'N', 'y', '') CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"]),
    ("moment", ["DATETIME", "TIMESTAMP", "DATETIME"]),
    ("instant", ["DATETIME", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP NULL"]),
    ("single", ["REAL", "REAL", "FLOAT"]),
    ("double", ["DOUBLE", "DOUBLE PRECISION", "DOUBLE"]),
    ("flag", ["BOOLEAN", "BOOLEAN", "TINYINT(1)"]),
    ("uuid", ["TEXT", "UUID", "CHAR(36) CHARACTER SET ascii"]),
];

/// What a hospital never deletes.
const WARDS: &str = "INSERT INTO ward VALUES ('W1', 'Muñoz'), ('w1', 'ANA'), ('W 1', 'Muñoz'), \
     ('W-2', NULL), ('-', 'ANA'), ('é/{1}', 'ANA'), ('____________________', 'Muñoz'), (' W1 ', 'ANA');\n";

const NAMES: [&str; 10] =
    ["person", "contact", "measured", "part", "stay", "team", "member", "visit", "odd", "told"];

const fn number(flavour: Flavour) -> usize {
    match flavour {
        Flavour::Sqlite => 0,
        Flavour::Postgres | Flavour::PostgresIn(_) => 1,
        Flavour::MySql | Flavour::MariaDb => 2,
    }
}

/// The tables, and what never changes in them.
pub fn schema(flavour: Flavour) -> String {
    let of = number(flavour);
    let tables = TYPES.iter().fold(TABLES.to_owned(), |sql, (name, types)| {
        sql.replace(&format!("{{{name}}}"), types[of])
    });
    let before = match of {
        1 => {
            "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false); \
             CREATE TYPE word AS ENUM ('Y', 'N', 'y', '');"
        }
        // Dates that are none can be stored.
        2 => "SET SESSION sql_mode = '';",
        _ => "",
    };
    format!("{before}{tables}{INDEXES}{WARDS}")
}

/// A cell as SQL. What is in single quotes, and what never was, is what each engine has of the kind in a
/// column of its own type: it can be shown nowhere.
fn literal(flavour: Flavour, cell: Cell) -> String {
    let Some(text) = cell else { return "NULL".to_owned() };
    match (text, number(flavour)) {
        ("'x'", 0) => return text.to_owned(),
        ("'x'", 1) => return "'NaN'".to_owned(),
        ("'x'", _) => return "NULL".to_owned(),
        ("never", 1) => return "'infinity'".to_owned(),
        ("never", 2) => return "'0000-00-00'".to_owned(),
        _ => {}
    }
    let text = text.replace('\'', "''");
    format!("'{}'", if flavour.is_mysql() { text.replace('\\', "\\\\") } else { text })
}

fn flag(flavour: Flavour, cell: Cell) -> String {
    match cell {
        Some(bit) if flavour.is_postgres() => (bit == "1").to_string().to_uppercase(),
        Some(bit) => bit.to_owned(),
        None => "NULL".to_owned(),
    }
}

fn instant(flavour: Flavour, cell: Cell) -> String {
    let text = literal(flavour, cell);
    if flavour.is_mysql() { text.replace('Z', "") } else { text }
}

/// Ids of which doubles have no own.
pub const TEAMS: i64 = 9_007_199_254_740_993;

/// Statements that put these rows, and no others, into the tables.
pub fn filled(flavour: Flavour, rows: &[Row]) -> String {
    let mut sql: String = NAMES.iter().fold(String::new(), |mut sql, name| {
        writeln!(sql, "DELETE FROM {name};").expect("memory");
        sql
    });
    for (number, row) in rows.iter().enumerate() {
        one(flavour, number + 1, row, &mut sql).expect("memory");
    }
    sql
}

fn one(flavour: Flavour, id: usize, row: &Row, sql: &mut String) -> std::fmt::Result {
    let list = |cells: &[Cell]| {
        cells.iter().map(|cell| literal(flavour, *cell)).collect::<Vec<_>>().join(", ")
    };
    let live = |at: usize| usize::from(at.is_multiple_of(2));
    let gone = usize::from(id == 4);
    writeln!(sql, "INSERT INTO person VALUES ({id}, {gone}, {});", list(&row.cells))?;
    for (at, (kind, value)) in row.contacts.iter().enumerate() {
        let (cells, live) = (list(&[*kind, *value]), live(at));
        writeln!(sql, "INSERT INTO contact VALUES ({id}{at}, {id}, {live}, {cells});")?;
    }
    writeln!(
        sql,
        "INSERT INTO measured (id, test, final, person, day, clock, amount, word, packed, ward, stay, changed,
           changed2, form) VALUES ({id}, {});",
        list(&row.measured)
    )?;
    for (at, part) in row.parts.iter().enumerate() {
        writeln!(sql, "INSERT INTO part VALUES ({id}{at}, {id}, {});", list(part))?;
    }
    let [ward, person, state] = row.stay;
    if ward.is_some() {
        let (ward, rest) = (list(&[ward]), list(&[person, state]));
        writeln!(sql, "INSERT INTO stay VALUES ({ward}, {id}, {rest});")?;
    }
    let team = TEAMS + i64::try_from(id).expect("a small number");
    writeln!(sql, "INSERT INTO team VALUES ({team}, {});", list(&row.of_team))?;
    for (at, member) in row.team.iter().enumerate() {
        let (cells, live) = (list(member), live(at));
        writeln!(sql, "INSERT INTO member VALUES ({id}{at}, {team}, {cells}, {live});")?;
    }
    let (odd, told) = row.odd.split_at(10);
    writeln!(sql, "INSERT INTO odd VALUES ({id}, {});", list(odd))?;
    for (kind, value) in ["name", "other", "sex", "born"].into_iter().zip(told) {
        if value.is_some() {
            writeln!(sql, "INSERT INTO told VALUES ({id}, '{kind}', {});", list(&[*value]))?;
        }
    }
    let [place, person, began, ended, seen, score, ratio, bit] = row.visit;
    let (place, cells) = (list(&[place]), list(&[person, began, ended]));
    let (seen, numbers) = (instant(flavour, seen), list(&[score, ratio]));
    let (uid, bit) = (9 - id, flag(flavour, bit));
    writeln!(
        sql,
        "INSERT INTO visit VALUES ({id}, {place}, '0000000{uid}-0000-4000-8000-00000000000{id}', {cells}, {seen},
           {numbers}, {bit});"
    )
}
