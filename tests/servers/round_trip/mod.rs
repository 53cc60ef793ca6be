//! What must hold of every write, tried with random rows and random bodies on the three engines: what was
//! served is taken back and changes no cell; a change reaches the cells it is about and no others; a body
//! of whatever shape is stored as it was sent, or not at all.
//!
//! `PROPTEST_CASES=2000` tries more. A failing case is printed with its engine.

mod bodies;
mod changes;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use wardgate::base::Engine;

use crate::write_bed::Bed;

const TABLES: &str = "
CREATE TABLE people (id SERIAL_KEY, mrn VARCHAR(20) NOT NULL, family VARCHAR(60), given VARCHAR(80), sex VARCHAR(2), born DATE,
  dead VARCHAR(10), active VARCHAR(2), weight DECIMAL(8,2), kids INT, phone VARCHAR(30), note VARCHAR(60), rev INT NOT NULL DEFAULT 1);
CREATE TABLE contact (id SERIAL_KEY, person INT NOT NULL, kind VARCHAR(2), value VARCHAR(60), secret VARCHAR(20));
CREATE TABLE result (id SERIAL_KEY, person INT, code VARCHAR(4), kind VARCHAR(1), num DECIMAL(10,3), word VARCHAR(30), taken STAMP, secret VARCHAR(20));
CREATE TABLE stay (ward VARCHAR(10) NOT NULL, num INT NOT NULL, person INT, began STAMP, ended VARCHAR(16), secret VARCHAR(20), PRIMARY KEY (ward, num));";

const MAPPING: &str = r#"
mapping: 1
database: {timezone: America/Santiago}
codes:
  sex: {values: {"F": female, "M": male, "X": other}, otherwise: unknown}
  kind: {values: {"T": phone, "E": email}}
  code: {values: {"HR": {code: "8867-4", display: Heart rate}, "BT": {code: "8310-5", display: Body temperature}}}
resources:
  - type: Patient
    from: {table: people}
    key: id
    id: "p-$id"
    version: "$rev"
    map:
      identifier: [{system: "urn:mrn", value: "$mrn | prefix('X')"}]
      active: "$active | bool('S|1', 'N|0')"
      name: [{family: "$family", given: ["$given | split(' ')"]}]
      telecom:
        - each: {table: contact, match: {person: id}, order: [id]}
          item: {system: "$kind | code(kind)", value: "$value"}
        - {system: pager, value: "$phone"}
      gender: "$sex | code(sex)"
      birthDate: "$born"
      deceasedDateTime: "$dead | date('dd/MM/yyyy', 'MM/yyyy', 'yyyy')"
      multipleBirthInteger: "$kids"
      extension: [{url: "urn:weight", valueDecimal: "$weight"}]
    write:
      create: {key: auto_increment}
      update: {version_column: rev}
      delete: hard
      children: {contact: replace}
  - type: Observation
    from: {table: result}
    key: id
    id: "o-$id"
    map:
      status: final
      code: {coding: [{system: "http://loinc.org", code: "$code | code(code)", display: "$code | display(code)"}]}
      subject: "$person | ref(Patient)"
      effectiveDateTime: "$taken"
      valueQuantity: {if: {kind: "N"}, value: "$num", unit: u}
      valueString: "$word"
    write: {create: {key: auto_increment}, update: {}, delete: hard}
  - type: Encounter
    from: {table: stay}
    key: [ward, num]
    id: "e-$ward-$num"
    map:
      status: finished
      class: {system: "http://terminology.hl7.org/CodeSystem/v3-ActCode", code: IMP}
      subject: "$person | ref(Patient)"
      period: {start: "$began", end: "$ended | datetime('dd/MM/yyyy HH:mm')"}
    write: {update: {}, delete: hard}
"#;

const COLUMNS: [(&str, &[&str]); 4] = [
    (
        "people",
        &[
            "id", "mrn", "family", "given", "sex", "born", "dead", "active", "weight", "kids",
            "phone", "note", "rev",
        ],
    ),
    ("contact", &["id", "person", "kind", "value", "secret"]),
    ("result", &["id", "person", "code", "kind", "num", "word", "taken", "secret"]),
    ("stay", &["ward", "num", "person", "began", "ended", "secret"]),
];

/// A table's rows, each cell by its column's name.
type Table = Vec<BTreeMap<&'static str, String>>;

async fn table(bed: &Bed, name: &str) -> Table {
    let columns = COLUMNS.iter().find(|(table, _)| *table == name).unwrap().1;
    let rows = bed.cells(name, columns).await.into_iter();
    rows.map(|row| columns.iter().copied().zip(row).collect()).collect()
}

async fn dump(bed: &Bed) -> Vec<Table> {
    let mut all = Vec::new();
    for (name, _) in COLUMNS {
        all.push(table(bed, name).await);
    }
    all
}

/// Random things, one after the other.
struct Dice(TestRunner);

impl Dice {
    fn any<S: Strategy>(&mut self, strategy: S) -> S::Value {
        strategy.new_tree(&mut self.0).unwrap().current()
    }

    fn below(&mut self, end: usize) -> usize {
        self.any(0..end)
    }

    /// Text as hospitals have it, and as they should not.
    fn text(&mut self, longest: usize) -> String {
        let text = match self.below(6) {
            0 => "Ñandú  José".to_owned(),
            1 => "O'Brien \\ \"x\" % _ ; --".to_owned(),
            2 => "😀 e\u{301} 李 \u{202e}x".to_owned(),
            3 => String::new(),
            4 => self.any("[A-Za-z áéñ'\\\\]{1,20}"),
            _ => self.any("[ -~]{0,12}[\u{a1}-\u{17f}]{0,8}"),
        };
        text.chars().take(longest).collect()
    }

    fn date(&mut self) -> (i32, u32, u32) {
        (self.any(1900..2030), self.any(1_u32..13), self.any(1_u32..29))
    }
}

/// A literal of the engine's.
fn quoted(engine: Engine, text: &str) -> String {
    let text = text.replace('\'', "''");
    format!("'{}'", if engine == Engine::MySql { text.replace('\\', "\\\\") } else { text })
}

/// Fills the tables.
async fn fill(bed: &Bed, dice: &mut Dice, people: usize) {
    let mut sql = String::new();
    let engine = bed.engine();
    for id in 1..=people {
        let mut cells = vec![id.to_string()];
        cells.push(quoted(engine, &format!("M-{id}")));
        let (y, m, d) = dice.date();
        let given = dice.text(80);
        let dead = match dice.below(6) {
            0 => format!("{d:02}/{m:02}/{y}"),
            1 => format!("{m:02}/{y}"),
            2 => y.to_string(),
            3 => "31/02/2020".to_owned(),
            _ => String::new(),
        };
        let words = ["S", "N", "1", "0", "?", ""];
        let texts = [
            dice.text(60),
            given,
            ["F", "M", "X", "?", ""][dice.below(5)].to_owned(),
            format!("{y}-{m:02}-{d:02}"),
            dead,
            words[dice.below(words.len())].to_owned(),
            format!("{}.{:02}", dice.below(900_000), dice.below(100)),
            dice.below(2000).to_string(),
            dice.text(30),
            dice.text(60),
        ];
        for text in texts {
            let null = dice.below(5) == 0;
            cells.push(if null { "NULL".to_owned() } else { quoted(engine, &text) });
        }
        cells.push(dice.below(2_000_000).to_string());
        let _infallible = write!(sql, "INSERT INTO people VALUES ({});", cells.join(", "));
        for _ in 0..dice.below(4) {
            let (kind, value, secret) =
                (["T", "E", "?", ""][dice.below(4)], dice.text(60), dice.text(20));
            let [kind, value, secret] = [kind, &value, &secret].map(|text| quoted(engine, text));
            let _infallible = write!(
                sql,
                "INSERT INTO contact (person, kind, value, secret) VALUES ({id}, {kind}, {value}, {secret});"
            );
        }
        let (y, m, d) = dice.date();
        let time = format!("{:02}:{:02}:{:02}", dice.below(24), dice.below(60), dice.below(60));
        let (code, kind) = (["HR", "BT", "?"][dice.below(3)], ["N", "T", "?"][dice.below(3)]);
        let (number, secret) = (dice.below(9_999_999), quoted(engine, &dice.text(20)));
        let (word, sign) = (quoted(engine, &dice.text(30)), ["", "-"][dice.below(2)]);
        let _infallible = write!(
            sql,
            "INSERT INTO result (person, code, kind, num, word, taken, secret) VALUES \
             ({id}, '{code}', '{kind}', {sign}{number}.{:03}, {word}, '{y}-{m:02}-{d:02} {time}', {secret});\
             INSERT INTO stay VALUES ('W.{}', {id}, {id}, '{y}-{m:02}-{d:02} {time}', '{d:02}/{m:02}/{y} {}', {secret});",
            dice.below(1000),
            dice.below(3),
            &time[..5],
        );
    }
    bed.sql(&sql).await;
}

/// Without what the server keeps itself, lists without an order of their own sorted, numbers by value.
fn plain(resource: &Value) -> Value {
    fn walk(value: &Value, name: &str) -> Value {
        match value {
            Value::Object(members) => {
                let members = members.iter().filter(|(name, _)| *name != "meta");
                members.map(|(name, value)| (name.clone(), walk(value, name))).collect()
            }
            Value::Array(items) => {
                let mut items: Vec<Value> = items.iter().map(|item| walk(item, name)).collect();
                if name == "telecom" {
                    items.sort_by_key(ToString::to_string);
                }
                Value::Array(items)
            }
            Value::Number(number) => json!(number.as_f64()),
            Value::String(text) => json!(text.trim_matches(' ')),
            other => other.clone(),
        }
    }
    walk(resource, "")
}

/// Every resource that is shown, by its path.
async fn shown(bed: &Bed) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for ty in ["Patient", "Observation", "Encounter"] {
        let mut path = Some(format!("/{ty}?_count=50"));
        while let Some(next) = path {
            let reply = bed.gateway.get(&bed.token, &next).await;
            assert_eq!(reply.status, 200, "{reply:?}");
            for resource in reply.resources() {
                if let Some(id) = resource["id"].as_str() {
                    all.push((format!("/{ty}/{id}"), resource.clone()));
                }
            }
            path = reply.next();
        }
    }
    all
}

fn runner() -> Dice {
    Dice(TestRunner::default())
}

async fn beds() -> Vec<Bed> {
    Bed::all(TABLES, MAPPING).await
}
