//! What is served is taken back and changes no cell; a change reaches its own cells only.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Dice, beds, dump, fill, plain, runner, shown, table};
use crate::harness::number_from_env;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_served_is_taken_back_and_no_cell_changes() {
    for bed in beds().await {
        let mut dice = runner();
        fill(&bed, &mut dice, 40).await;
        let mut before = dump(&bed).await;
        let all = shown(&bed).await;
        assert!(all.len() > 60, "{:?}: {}", bed.engine(), all.len());
        for (path, served) in &all {
            let again = bed.send(Method::PUT, path, served.to_string()).await;
            assert_eq!((again.status, &again.json()), (200, served), "{:?} {path}", bed.engine());
            let asked = format!("{path}/$validate");
            let verdict = bed.send(Method::POST, &asked, served.to_string()).await.json();
            assert_eq!(verdict["issue"][0]["severity"], "information", "{path} {verdict}");
            let now = dump(&bed).await;
            let other = before.iter().flatten().zip(now.iter().flatten()).find(|(a, b)| a != b);
            assert!(other.is_none(), "{:?} {served} {other:?}", bed.engine());
            let rows = |all: &[super::Table]| all.iter().map(Vec::len).sum::<usize>();
            assert_eq!(rows(&now), rows(&before), "{:?} {served}", bed.engine());
            before = now;
        }
    }
}

/// A change of one element of a Patient, and what its cells are to be then.
fn change(dice: &mut Dice, body: &mut Value) -> Vec<(&'static str, String)> {
    let word = dice.any("[A-Za-zñé]{1,12}");
    let (y, m, d) = dice.date();
    let absent = dice.below(4) == 0;
    let gone = || "~".to_owned();
    let name = |body: &mut Value, part: &str, value: Value| {
        if !body["name"][0].is_object() {
            body["name"] = json!([{}]);
        }
        body["name"][0][part] = value;
    };
    match dice.below(9) {
        0 => {
            name(body, "family", json!(word));
            vec![("family", word)]
        }
        1 => {
            name(body, "given", json!([word, "Luz"]));
            vec![("given", format!("{word} Luz"))]
        }
        2 => {
            let (code, cell) = [("female", "F"), ("male", "M"), ("other", "X")][dice.below(3)];
            body["gender"] = json!(code);
            vec![("sex", cell.to_owned())]
        }
        3 if absent => {
            body.as_object_mut().unwrap().remove("birthDate");
            vec![("born", gone())]
        }
        3 => {
            body["birthDate"] = json!(format!("{y}-{m:02}-{d:02}"));
            vec![("born", format!("{y}-{m:02}-{d:02}"))]
        }
        4 => {
            let (said, cell) = match dice.below(3) {
                0 => (format!("{y}-{m:02}-{d:02}"), format!("{d:02}/{m:02}/{y}")),
                1 => (format!("{y}-{m:02}"), format!("{m:02}/{y}")),
                _ => (y.to_string(), y.to_string()),
            };
            body["deceasedDateTime"] = json!(said);
            vec![("dead", cell)]
        }
        5 => {
            body["active"] = json!(absent);
            vec![("active", if absent { "S" } else { "N" }.to_owned())]
        }
        6 => {
            let number = dice.below(90_000_000);
            let text = format!("{}.{:02}", number / 100, number % 100);
            let value: Value = serde_json::from_str(&text).unwrap();
            body["extension"] = json!([{"url": "urn:weight", "valueDecimal": value}]);
            vec![("weight", text)]
        }
        7 => {
            body["multipleBirthInteger"] = json!(m);
            vec![("kids", m.to_string())]
        }
        _ => {
            body["identifier"][0]["value"] = json!(format!("X{word}"));
            vec![("mrn", word)]
        }
    }
}

/// Cells that mean the same number are the same.
fn cell(name: &str, text: &str) -> String {
    match (name, text.parse::<f64>()) {
        ("weight" | "num", Ok(number)) => format!("{number:.3}"),
        _ => text.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_reaches_its_cells_and_no_others() {
    for bed in beds().await {
        let mut dice = runner();
        fill(&bed, &mut dice, 25).await;
        let patients: Vec<String> = shown(&bed).await.into_iter().map(|(path, _)| path).collect();
        let patients: Vec<&String> =
            patients.iter().filter(|p| p.starts_with("/Patient/")).collect();
        for _ in 0..number_from_env("PROPTEST_CASES", 60) {
            let path = patients[dice.below(patients.len())];
            let id = path.rsplit('-').next().unwrap().to_owned();
            let mut body = bed.read(path).await;
            let (before, others) = (table(&bed, "people").await, dump(&bed).await[1..].to_vec());
            let mut cells = BTreeMap::new();
            for _ in 0..=dice.below(3) {
                cells.extend(change(&mut dice, &mut body));
            }
            let engine = bed.engine();
            let put = bed.send(Method::PUT, path, body.to_string()).await;
            assert_eq!(put.status, 200, "{engine:?} {body} {put:?}");
            assert_eq!(plain(&put.json()), plain(&body), "{engine:?}");
            assert_eq!(bed.read(path).await, put.json(), "{engine:?}");
            assert_eq!(dump(&bed).await[1..], others, "{engine:?} {body}");
            for (old, new) in before.iter().zip(table(&bed, "people").await) {
                let mut wanted = old.clone();
                if old["id"] == id {
                    let stood = |(name, text): (&&'static str, &String)| {
                        let name: &&str = name;
                        // A code that shows the same may stand in another word.
                        cell(name, &old[*name]) == cell(name, text)
                            || (*name == "active"
                                && old["active"] == if text == "S" { "1" } else { "0" })
                            || (matches!(*name, "born" | "dead")
                                && old[*name].is_empty()
                                && text == "~")
                    };
                    let changed = !cells.iter().all(stood);
                    for (name, text) in cells.iter().filter(|(n, t)| !stood((n, t))) {
                        wanted.insert(name, text.clone());
                    }
                    if changed {
                        let rev: i64 = old["rev"].parse().unwrap();
                        wanted.insert("rev", (rev + 1).to_string());
                    }
                }
                for (name, text) in &wanted {
                    assert_eq!(
                        cell(name, &new[name]),
                        cell(name, text),
                        "{engine:?} {name}: {old:?} {body}"
                    );
                }
            }
        }
    }
}
