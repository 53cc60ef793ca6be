//! Mappings of less usual shape: several sources of one type, conditions, keys of several columns, columns
//! that may not be NULL.

use reqwest::Method;
use serde_json::{Value, json};

use super::{World, issues, paths};
use crate::support::Reply;

async fn sent(world: &World, method: Method, path: &str, body: &Value, status: u16) -> Reply {
    let reply = world.send(method, path, body).await;
    assert_eq!(reply.status, status, "{path} {body} {reply:?}");
    reply
}

#[tokio::test]
async fn of_several_sources_the_one_that_has_a_place_for_it_takes_it() {
    const TABLES: &str = "
CREATE TABLE adult (id INTEGER PRIMARY KEY, family TEXT NOT NULL, job TEXT, rest TEXT DEFAULT 'a');
CREATE TABLE child (id INTEGER PRIMARY KEY, family TEXT NOT NULL, twin INTEGER, rest TEXT DEFAULT 'c');
CREATE TABLE guest (id INTEGER PRIMARY KEY, family TEXT NOT NULL);
INSERT INTO adult VALUES (1, 'Soto', 'cook', 'x');
INSERT INTO child VALUES (1, 'Paz', 2, 'y');
INSERT INTO guest VALUES (1, 'Rey');";
    const MAPPING: &str = r#"
mapping: 1
resources:
  - {name: adult, type: Patient, from: {table: adult}, key: id, id: "a-$id",
     map: {name: [{family: "$family", suffix: ["$job"]}]}, write: {create: {key: auto_increment}, update: {}, delete: hard}}
  - {name: child, type: Patient, from: {table: child}, key: id, id: "c-$id",
     map: {name: [{family: "$family"}], multipleBirthInteger: "$twin"}, write: {create: {key: auto_increment}, update: {}, delete: hard}}
  - {name: guest, type: Patient, from: {table: guest}, key: id, id: "g-$id", map: {name: [{family: "$family"}]}}
"#;
    let world = World::with(TABLES, MAPPING).await;
    let patient = |more: Value| {
        let mut body = json!({"resourceType": "Patient", "name": [{"family": "Neu"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let made = sent(&world, Method::POST, "/Patient", &patient(json!({})), 201).await;
    assert_eq!(made.json()["id"], "a-2");
    let twin = patient(json!({"multipleBirthInteger": 1}));
    let made = sent(&world, Method::POST, "/Patient", &twin, 201).await;
    assert_eq!(made.json()["id"], "c-2");
    let both = json!({"multipleBirthInteger": 1, "name": [{"family": "x", "suffix": ["y"]}]});
    let refused = sent(&world, Method::POST, "/Patient", &patient(both), 422).await;
    assert_eq!(paths(&refused).len(), 1, "{refused:?}");
    // Each is changed where it is.
    for (id, status) in [("a-1", 200), ("c-1", 200), ("g-1", 405)] {
        let body = patient(json!({"id": id}));
        sent(&world, Method::PUT, &format!("/Patient/{id}"), &body, status).await;
        let path = format!("/Patient/{id}/$validate");
        let verdict = sent(&world, Method::POST, &path, &body, 200).await;
        assert_eq!(verdict.body.contains("\"error\""), status == 405, "{verdict:?}");
    }
    sent(&world, Method::DELETE, "/Patient/c-1", &Value::Null, 204).await;
    sent(&world, Method::DELETE, "/Patient/g-1", &Value::Null, 405).await;
    assert_eq!(world.rows("adult").await, ["1|Neu|-|x", "2|Neu|-|a"]);
    assert_eq!(world.rows("child").await, ["2|Neu|1|c"]);
    assert_eq!(world.rows("guest").await, ["1|Rey"]);
}

const RESULTS: &str = "
CREATE TABLE result (id INTEGER PRIMARY KEY, kind TEXT, num DECIMAL(8,2), word TEXT, flag TEXT, note TEXT DEFAULT 'n');
INSERT INTO result VALUES (1, 'N', 7.5, NULL, NULL, 'x'), (2, 'T', NULL, 'high', 'Q', 'y');";
const RESULT: &str = r#"
mapping: 1
resources:
  - type: Observation
    from: {table: result}
    key: id
    id: "$id"
    map:
      status: final
      code: {text: x}
      valueQuantity: {if: {kind: "N"}, value: "$num", unit: u}
      valueCodeableConcept: {if: {kind: "T"}, text: "$word"}
      method: {if: {flag: ["P", "Q"]}, text: by hand}
    write: {create: {key: auto_increment}, update: {}, delete: hard}
"#;

#[tokio::test]
async fn a_condition_is_made_true_where_one_value_does() {
    let world = World::with(RESULTS, RESULT).await;
    let result = |id: Option<&str>, more: Value| {
        let mut body =
            json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}});
        if let Some(id) = id {
            body["id"] = json!(id);
        }
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let (number, word) = (
        json!({"valueQuantity": {"value": 8.25, "unit": "u"}}),
        json!({"valueCodeableConcept": {"text": "low"}}),
    );
    sent(&world, Method::POST, "/Observation", &result(None, number.clone()), 201).await;
    sent(&world, Method::POST, "/Observation", &result(None, word.clone()), 201).await;
    // From one kind to the other, and nothing of the first is left.
    sent(&world, Method::PUT, "/Observation/1", &result(Some("1"), word), 200).await;
    let method =
        json!({"valueQuantity": {"value": 8.25, "unit": "u"}, "method": {"text": "by hand"}});
    sent(&world, Method::PUT, "/Observation/2", &result(Some("2"), method.clone()), 200).await;
    let rows = ["1|T|-|low|-|x", "2|N|8.25|-|Q|y", "3|N|8.25|-|-|n", "4|T|-|low|-|n"];
    assert_eq!(world.rows("result").await, rows);
    // Which of several values it should be, nobody knows; nor which takes it away.
    let refused = sent(&world, Method::POST, "/Observation", &result(None, method), 422).await;
    assert_eq!(paths(&refused), ["Observation.method"], "{refused:?}");
    let refused =
        sent(&world, Method::PUT, "/Observation/2", &result(Some("2"), number), 422).await;
    assert_eq!(paths(&refused), ["Observation.method"], "{refused:?}");
    assert_eq!(world.rows("result").await, rows);
}

const STAYS: &str = "
CREATE TABLE stay (ward VARCHAR(10) NOT NULL, num INTEGER NOT NULL, doctor TEXT, secret TEXT DEFAULT 's', PRIMARY KEY (ward, num));
CREATE TABLE sign (id INTEGER PRIMARY KEY, ward VARCHAR(10), num INTEGER, pulse INTEGER NOT NULL,
  FOREIGN KEY (ward, num) REFERENCES stay (ward, num));
INSERT INTO stay VALUES ('W1', 1, 'Rey', 'x'), ('W1', 2, NULL, 'y'), ('W-2', 1, NULL, 'z');
INSERT INTO sign VALUES (1, 'W1', 2, 70);";
const STAY: &str = r#"
mapping: 1
resources:
  - type: Encounter
    from: {table: stay}
    key: [ward, num]
    id: "e.$ward.$num"
    map:
      identifier: [{system: "urn:ward", value: "$ward"}, {system: "urn:num", value: "$num"}]
      status: finished
      class: {code: IMP}
      participant: [{individual: {display: "$doctor"}}]
    write: {create: {key: body}, update: {}, delete: hard}
  - type: Observation
    from: {table: sign}
    key: id
    id: "$id"
    map:
      status: final
      code: {text: pulse}
      encounter: "$ward, $num | ref(Encounter)"
      valueInteger: "$pulse"
    write: {create: {key: auto_increment}, update: {}, delete: hard}
"#;

#[tokio::test]
async fn a_key_of_several_columns() {
    let world = World::with(STAYS, STAY).await;
    let stay = |ward: &str, num: &str, doctor: &str| {
        json!({"resourceType": "Encounter", "status": "finished", "class": {"code": "IMP"},
            "identifier": [{"system": "urn:num", "value": num}, {"system": "urn:ward", "value": ward}],
            "participant": [{"individual": {"display": doctor}}]})
    };
    let with_id = |mut body: Value, id: &str| {
        body["id"] = json!(id);
        body
    };
    let made = sent(&world, Method::POST, "/Encounter", &stay("W1", "9", "Luz"), 201).await;
    assert_eq!(made.json()["id"], "e.W1.9");
    sent(&world, Method::POST, "/Encounter", &stay("W1", "9", "Luz"), 409).await;
    // One column of two says nothing of the other row.
    sent(&world, Method::PUT, "/Encounter/e.W1.2", &with_id(stay("W1", "2", "Sol"), "e.W1.2"), 200)
        .await;
    let moved = with_id(stay("W1", "3", "Sol"), "e.W1.2");
    let refused = sent(&world, Method::PUT, "/Encounter/e.W1.2", &moved, 422).await;
    assert_eq!(paths(&refused), ["Encounter.identifier[0].value"], "{refused:?}");
    for (ward, num) in [("W 1", "1"), ("W1", "x"), ("W1", "1.5"), ("", "1")] {
        let refused = world.send(Method::POST, "/Encounter", &stay(ward, num, "x")).await;
        assert!(matches!(refused.status, 400 | 422), "{ward} {num} {refused:?}");
    }
    sent(&world, Method::DELETE, "/Encounter/e.W1.2", &Value::Null, 409).await;
    let sign = |to: &str| {
        json!({"resourceType": "Observation", "id": "1", "status": "final", "code": {"text": "pulse"},
            "encounter": {"reference": to}, "valueInteger": 80})
    };
    sent(&world, Method::PUT, "/Observation/1", &sign("Encounter/e.W1.9"), 200).await;
    for (to, status) in
        [("Encounter/e.W1.5", 409), ("Encounter/W1", 422), ("Encounter/e.W1.9.9", 409)]
    {
        let refused = sent(&world, Method::PUT, "/Observation/1", &sign(to), status).await;
        assert!(paths(&refused)[0].starts_with("Observation"), "{refused:?}");
    }
    sent(&world, Method::DELETE, "/Encounter/e.W1.2", &Value::Null, 204).await;
    assert_eq!(world.rows("stay").await, ["W-2|1|-|z", "W1|1|Rey|x", "W1|9|Luz|s"]);
    assert_eq!(world.rows("sign").await, ["1|W1|9|80"]);
}

#[tokio::test]
async fn what_may_not_be_null_is_emptied_by_what_stands_for_nothing() {
    const TABLES: &str = "
CREATE TABLE people (id INTEGER PRIMARY KEY, family TEXT NOT NULL, phone VARCHAR(20) NOT NULL DEFAULT '-', job TEXT NOT NULL,
  active INTEGER NOT NULL DEFAULT 1, twin INTEGER NOT NULL DEFAULT 0, note TEXT NOT NULL DEFAULT 'n');
INSERT INTO people VALUES (1, 'Soto', '555', 'cook', 0, 2, 'x');";
    const MAPPING: &str = r#"
mapping: 1
resources:
  - type: Patient
    from: {table: people}
    key: id
    id: "$id"
    map:
      active: "$active | bool('1', '0')"
      name: [{family: "$family", suffix: ["$job | null('none', '')"]}]
      telecom: [{system: phone, value: "$phone | null('-')"}]
      multipleBirthInteger: "$twin | null('0')"
    write: {create: {key: auto_increment}, update: {}, delete: hard}
"#;
    let world = World::with(TABLES, MAPPING).await;
    let body =
        json!({"resourceType": "Patient", "id": "1", "active": false, "name": [{"family": "Paz"}]});
    sent(&world, Method::PUT, "/Patient/1", &body, 200).await;
    assert_eq!(world.rows("people").await, ["1|Paz|-|none|0|0|x"]);
    // On a new row the default counts, or else what stands for nothing.
    let new = json!({"resourceType": "Patient", "name": [{"family": "Rey"}]});
    let made = sent(&world, Method::POST, "/Patient", &new, 201).await;
    assert_eq!(made.json()["active"], true);
    let rows = ["1|Paz|-|none|0|0|x", "2|Rey|-|none|1|0|n"];
    assert_eq!(world.rows("people").await, rows);
    // A default is no way to take something away: it would be shown.
    let body = json!({"resourceType": "Patient", "id": "1", "name": [{"family": "Paz"}]});
    let refused = sent(&world, Method::PUT, "/Patient/1", &body, 422).await;
    assert_eq!(issues(&refused), [("Patient.active".to_owned(), "required".to_owned())]);
    assert_eq!(world.rows("people").await, rows);
}

/// What cannot be turned around is said before anything is in force.
#[tokio::test]
async fn what_cannot_be_written_is_refused_with_the_mapping() {
    let world = World::with(RESULTS, RESULT).await;
    let entry = |map: &str, write: &str| {
        format!(
            "mapping: 1\nresources:\n  - {{type: Observation, from: {{table: result}}, key: id, id: \"$id\", \
             map: {{status: final, code: {{text: x}}, {map}}}, write: {write}}}\n"
        )
    };
    let plain = "{update: {}}";
    for (text, code) in [
        (entry("valueString: {case: [{if: {kind: N}, then: \"$word\"}]}", plain), "write-one-way"),
        (entry("valueString: \"$word, $note | first\"", plain), "no-way-back"),
        (entry("valueString: \"$word | replace('a', 'b')\"", plain), "no-way-back"),
        (entry("valueString: \"$word\"", "{create: {key: body}}"), "key-not-given"),
        (STAY.replace("{key: body}", "{key: auto_increment}"), "key-not-given"),
        (STAY.replace("{system: \"urn:num\", value: \"$num\"}", "{system: x}"), "key-not-given"),
    ] {
        if text.contains("stay") {
            world
                .sql(
                    &STAYS
                        .replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS")
                        .replace("INSERT", "INSERT OR IGNORE"),
                )
                .await;
        }
        let body = Some(("application/yaml", text.clone()));
        let refused =
            world.gateway.operate(Method::POST, "tenants/north/mappings", None, body).await;
        assert_eq!(refused.status, 422, "{text} {refused:?}");
        let problems = refused.json()["problems"].as_array().unwrap().clone();
        assert!(problems.iter().any(|p| p["code"] == code), "{code}: {text} {refused:?}");
    }
}

#[tokio::test]
async fn a_file_that_somebody_else_is_writing_is_a_conflict_and_then_takes_the_change() {
    let world = World::start().await;
    let body = world.read("/Patient/1").await;
    let mut other = world.connection().await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let busy = world.send(Method::PUT, "/Patient/1", &body).await;
    assert_eq!(busy.status, 409, "{busy:?}");
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    let done = world.send(Method::PUT, "/Patient/1", &body).await;
    assert_eq!(done.status, 200, "{done:?}");
}
