//! Bodies of any shape: what is accepted is what is shown afterwards, what is refused leaves no trace.

use proptest::prelude::*;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Dice, beds, dump, fill, plain, runner, shown};
use crate::harness::number_from_env;

/// JSON of no particular shape, as text: what no JSON library would write is there as well.
fn strange(dice: &mut Dice, depth: usize) -> String {
    let fixed = [
        "null",
        "true",
        "[]",
        "{}",
        "\"\"",
        "\" \"",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"\\ud83d\\ude00\"",
        "\"\\u202e\\ufeff\"",
        "1e400",
        "-0",
        "-0.0",
        "1E-400",
        "99999999999999999999999",
        "0.1000000000000000000000000000001",
        "1e2147483648",
        "01",
        "-9223372036854775809",
        "4294967296",
        "12345678.905",
        "\"2020-02-30\"",
        "\"0000-01-01\"",
        "\"9999-12-31T23:59:60Z\"",
        "\"Patient/p-1\"",
        "\"Patient/p-99999999999999999999\"",
        "\"#a\"",
        "\"M-1\"",
        "\"a\\u00a0b\"",
        "{\"a\":1,\"a\":2}",
        "[null]",
    ];
    match dice.below(7) {
        0 | 1 => fixed[dice.below(fixed.len())].to_owned(),
        2 => json!(dice.any("\\PC{0,40}")).to_string(),
        3 => json!("x".repeat(1 << dice.below(17))).to_string(),
        4 if depth > 0 => {
            let items: Vec<String> = (0..dice.below(4)).map(|_| strange(dice, depth - 1)).collect();
            format!("[{}]", items.join(","))
        }
        5 if depth > 0 => {
            let names = [
                "resourceType",
                "id",
                "meta",
                "extension",
                "contained",
                "name",
                "family",
                "value",
                "system",
                "coding",
                "_family",
                "constructor",
                "",
            ];
            let one = |dice: &mut Dice| {
                let name = json!(names[dice.below(names.len())]);
                format!("{name}:{}", strange(dice, depth - 1))
            };
            let members: Vec<String> = (0..dice.below(4)).map(|_| one(dice)).collect();
            format!("{{{}}}", members.join(","))
        }
        6 => {
            let deep = [3, 31, 33, 500, 20_000][dice.below(5)];
            let (open, close) = [("[", "]"), ("{\"a\":", "}")][dice.below(2)];
            format!("{}1{}", open.repeat(deep), close.repeat(deep))
        }
        _ => json!(dice.any(any::<i64>())).to_string(),
    }
}

/// Every place of a tree, as JSON pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| places(value, &format!("{at}/{name}"), found));
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(n, value)| places(value, &format!("{at}/{n}"), found));
        }
        _ => {}
    }
}

/// A real resource with something else in it.
fn mutated(dice: &mut Dice, body: &Value, donor: &Value) -> String {
    const HOLE: &str = "\"\u{1}hole\"";
    let (mut body, mut holes) = (body.clone(), Vec::new());
    for _ in 0..=dice.below(3) {
        let mut all = Vec::new();
        places(&body, "", &mut all);
        let place = all[dice.below(all.len())].clone();
        let (parent, name) = place.rsplit_once('/').unwrap_or(("", ""));
        match dice.below(5) {
            0 => {
                let parent = body.pointer_mut(parent);
                match parent {
                    Some(Value::Object(members)) => drop(members.remove(name)),
                    Some(Value::Array(items)) => {
                        let at: usize = name.parse().unwrap_or(0);
                        if at < items.len() {
                            items.remove(at);
                        }
                    }
                    _ => {}
                }
            }
            1 => {
                if let Some(Value::Array(items)) = body.pointer_mut(parent) {
                    items.extend(items.first().cloned());
                }
            }
            2 => {
                let mut others = Vec::new();
                places(donor, "", &mut others);
                let other = donor.pointer(&others[dice.below(others.len())]).cloned();
                if let (Some(target), Some(other)) = (body.pointer_mut(&place), other) {
                    *target = other;
                }
            }
            _ => {
                if let Some(target) = body.pointer_mut(&place) {
                    *target = json!("\u{1}hole");
                    holes.push(strange(dice, 2));
                }
            }
        }
    }
    let mut text = body.to_string();
    let hole = serde_json::to_string(HOLE.trim_matches('"')).unwrap();
    for value in holes {
        text = text.replacen(&hole, &value, 1);
    }
    text
}

/// Whether everything sent is shown. The server's own is not asked for.
fn is_shown(sent: &Value, shown: &Value) -> bool {
    match (sent, shown) {
        (Value::Object(sent), Value::Object(shown)) => sent.iter().all(|(name, value)| {
            matches!(name.as_str(), "meta" | "text" | "id")
                || shown.get(name).is_some_and(|shown| is_shown(value, shown))
        }),
        (Value::Array(sent), Value::Array(shown)) => {
            sent.len() <= shown.len() && sent.iter().all(|v| shown.iter().any(|s| is_shown(v, s)))
        }
        (sent, shown) => sent == shown,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_any_shape_is_stored_as_it_was_sent_or_not_at_all() {
    for bed in beds().await {
        let mut dice = runner();
        fill(&bed, &mut dice, 12).await;
        let (mut taken, mut refused) = (0, 0);
        for _ in 0..number_from_env("PROPTEST_CASES", 150) {
            let all = shown(&bed).await;
            let (path, body) = &all[dice.below(all.len())];
            let donor = &all[dice.below(all.len())].1;
            let text = match dice.below(12) {
                0 => strange(&mut dice, 4),
                // What is served is taken, so that some are in every run.
                1 => body.to_string(),
                _ => mutated(&mut dice, body, donor),
            };
            let ty = path.split('/').nth(1).unwrap();
            let new = dice.below(3) == 0;
            let (method, path) =
                if new { (Method::POST, format!("/{ty}")) } else { (Method::PUT, path.clone()) };
            let case = format!("{:?} {method} {path} {:.3000}", bed.engine(), text);
            let before = dump(&bed).await;
            let verdict = bed.send(Method::POST, &format!("{path}/$validate"), text.clone()).await;
            assert!(matches!(verdict.status, 200 | 400 | 413), "{case} {verdict:?}");
            assert_eq!(dump(&bed).await, before, "$validate touched a row: {case}");
            let reply = bed.send(method, &path, text.clone()).await;
            match reply.status {
                200 | 201 => {
                    taken += 1;
                    assert!(
                        verdict.status == 200 && verdict.body.contains("\"information\""),
                        "{case} {verdict:?}"
                    );
                    let sent = plain(&serde_json::from_str(&text).unwrap());
                    let id = reply.json()["id"].as_str().unwrap().to_owned();
                    let read = bed.read(&format!("/{ty}/{id}")).await;
                    assert!(is_shown(&sent, &plain(&read)), "{case} {read}");
                }
                400 | 405 | 409 | 413 | 422 => {
                    refused += 1;
                    assert_eq!(dump(&bed).await, before, "{case} {reply:?}");
                    let outcome = reply.json();
                    assert_eq!(outcome["resourceType"], "OperationOutcome", "{case} {reply:?}");
                }
                _ => panic!("{case} {reply:?}"),
            }
        }
        assert!(taken > 0 && refused > 0, "{:?}: {taken} taken, {refused} refused", bed.engine());
        let log = bed.gateway.log_so_far();
        assert!(!log.contains("panicked"), "{log}");
        assert_eq!(bed.gateway.view("tenants/north/breaker").await["state"], "closed");
    }
}
