//! Bulk exports that are taken up again, cut down and cancelled.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::exporting::{file, manifest, place, resources, world};
use crate::support::gateway::Stores;
use crate::support::{Gateway, Options, Reply, TestIssuer};

const PEOPLE: u64 = 200;
const TABLES: &str = "
CREATE TABLE person (id INTEGER PRIMARY KEY, family TEXT);
CREATE TABLE visit (id INTEGER PRIMARY KEY, state TEXT);
CREATE TABLE attends (id INTEGER PRIMARY KEY, visit INTEGER, person INTEGER);
CREATE TABLE reading (id INTEGER PRIMARY KEY, person INTEGER, performer INTEGER);
CREATE TABLE ward (id INTEGER PRIMARY KEY);
CREATE TABLE member (id INTEGER PRIMARY KEY, ward INTEGER, person INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
  INSERT INTO person SELECT i, 'x' FROM n;
INSERT INTO ward VALUES (1);
INSERT INTO member SELECT id, 1, id FROM person WHERE id % 4 <> 0;
INSERT INTO visit SELECT id, 'booked' FROM person;
INSERT INTO attends SELECT id, id, id FROM person;
INSERT INTO attends SELECT id + 1000, id, id * 7 % 200 + 1 FROM person;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
  INSERT INTO reading SELECT i, i % 200 + 1, i * 3 % 200 + 1 FROM n;
";

const MAPPING: &str = r#"
mapping: 1
resources:
  - {type: Patient, from: {table: person}, key: [id], id: "$id", map: {name: [{family: "$family"}]}}
  - type: Observation
    from: {table: reading}
    key: [id]
    id: "$id"
    map:
      status: final
      code: {text: pulse}
      subject: "$person | ref(Patient)"
      performer: ["$performer | ref(Patient)"]
  - type: Appointment
    from: {table: visit}
    key: [id]
    id: "$id"
    map:
      status: "$state"
      participant:
        - each: {table: attends, match: {visit: id}, order: [id]}
          item: {status: accepted, actor: "$person | ref(Patient)"}
  - type: Group
    from: {table: ward}
    key: [id]
    id: "$id"
    map:
      type: person
      actual: true
      member:
        - each: {table: member, match: {ward: id}, order: [id]}
          item: {entity: "$person | ref(Patient)"}
"#;

async fn database(gateway: &Gateway) -> SqliteConnection {
    let file = gateway.folder().join("sqlite/north.db");
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    options.connect().await.unwrap()
}

fn ids(resources: &[Value]) -> Vec<u64> {
    let ids: Vec<u64> =
        resources.iter().map(|r| r["id"].as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "a resource came twice");
    ids
}

#[tokio::test]
async fn a_groups_file_is_taken_up_again_wherever_it_broke_off() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = Gateway::start(&issuer, Options::default()).await;
    let mut connection = database(&gateway).await;
    sqlx::raw_sql(TABLES).execute(&mut connection).await.unwrap();
    gateway.register("north", json!({ "url": "sqlite:north.db" })).await;
    gateway.publish("north", MAPPING).await;
    let token = issuer.token("north");
    let (_, ward) = manifest(&gateway, &token, "/Group/1/$export").await;
    let member = |id: u64| !id.is_multiple_of(4);
    let of = |ty: &str| -> BTreeSet<u64> {
        match ty {
            "Patient" => (1..=PEOPLE).filter(|id| member(*id)).collect(),
            "Observation" => (1..=3000).filter(|id| member(id % 200 + 1)).collect(),
            // Two attend each: it is given once, though they may be in different parts.
            _ => (1..=PEOPLE).filter(|id| member(*id) || member(id * 7 % 200 + 1)).collect(),
        }
    };
    for ty in ["Patient", "Observation", "Appointment"] {
        let path = file(&ward, ty).unwrap();
        let whole = ids(&resources(&gateway, &token, &path).await);
        assert_eq!(whole.iter().copied().collect::<BTreeSet<_>>(), of(ty), "{ty}");
        let last = whole.len() - 1;
        for at in [0, 1, last / 3, last / 2, last - 1, last] {
            let rest = resources(&gateway, &token, &format!("{path}?_after={}", whole[at])).await;
            assert_eq!(ids(&rest), whole[at + 1..], "{ty} behind {}", whole[at]);
        }
        for nowhere in ["nobody", "999999", "%20", ".."] {
            let refused = gateway.get(&token, &format!("{path}?_after={nowhere}")).await;
            // A patient's id alone says where it would stand, whether or not she is there.
            let there = ty == "Patient" && nowhere == "999999";
            let status = if there { 200 } else { 400 };
            assert_eq!(refused.status, status, "{ty} {nowhere}: {refused:?}");
        }
    }

    // Others come and go meanwhile: nobody who stays is missed, and nothing comes twice.
    let path = file(&ward, "Observation").unwrap();
    let whole = ids(&resources(&gateway, &token, &path).await);
    let change = "DELETE FROM member WHERE person < 60;
        INSERT INTO member SELECT 5000 + id, 1, id FROM person WHERE id % 4 = 0 AND id > 150;";
    sqlx::raw_sql(change).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let stays = |id: &&u64| (id.to_owned() % 200 + 1) >= 60;
    let at = (whole.len() / 2..whole.len()).find(|at| stays(&&whole[*at])).unwrap();
    let rest = ids(&resources(&gateway, &token, &format!("{path}?_after={}", whole[at])).await);
    let given: BTreeSet<u64> = rest.iter().copied().collect();
    for id in whole[at + 1..].iter().filter(stays) {
        assert!(given.contains(id), "Observation/{id} was missed");
    }
    for id in &whole[..=at] {
        assert!(!given.contains(id), "Observation/{id} came again");
    }
    let gone = whole.iter().find(|id| !stays(id)).unwrap();
    let lost = gateway.get(&token, &format!("{path}?_after={gone}")).await;
    assert_eq!(lost.status, 400, "{lost:?}");
    assert!(lost.body.contains("_after"), "{lost:?}");
}

#[tokio::test]
async fn elements_are_those_asked_for_and_what_fhir_demands() {
    let (issuer, gateway) = world(0).await;
    let token = issuer.token("ana");
    let path = "/$export?_type=Patient,Observation&_elements=id,Observation.subject";
    let (_, all) = manifest(&gateway, &token, path).await;
    let patients = resources(&gateway, &token, &file(&all, "Patient").unwrap()).await;
    let one = patients.first().unwrap().as_object().unwrap();
    let keys: BTreeSet<&str> = one.keys().map(String::as_str).collect();
    assert_eq!(keys, BTreeSet::from(["id", "meta", "resourceType"]));
    assert_eq!(one["meta"]["tag"][0]["code"], "SUBSETTED");
    let found = resources(&gateway, &token, &file(&all, "Observation").unwrap()).await;
    let one = found.first().unwrap().as_object().unwrap();
    let keys: BTreeSet<&str> = one.keys().map(String::as_str).collect();
    assert_eq!(keys, BTreeSet::from(["code", "id", "meta", "resourceType", "status", "subject"]));
    assert_eq!(found.len(), 900);
}

#[tokio::test]
async fn a_cancelled_order_ends_its_files_and_no_others() {
    // Far more than sockets hold between here and there.
    let (issuer, gateway) = world(2500).await;
    let token = issuer.token("ana");
    let (place, all) = manifest(&gateway, &token, "/$export").await;
    let url = format!("{}{}", gateway.fhir, file(&all, "Patient").unwrap());
    let fetch = || gateway.http.get(&url).bearer_auth(&token).send();
    let mut under_way = Vec::new();
    for _ in 0..2 {
        let mut one = fetch().await.unwrap();
        assert_eq!(one.status(), 200);
        assert!(!one.chunk().await.unwrap().expect("a first page").is_empty());
        under_way.push(one);
    }
    assert_eq!(fetch().await.unwrap().status(), 429);
    let other = gateway.get(&issuer.token("uli"), "/Patient/1").await;
    assert_eq!(other.status, 200, "another hospital");

    let cancelled = gateway.http.delete(format!("{}{place}", gateway.fhir)).bearer_auth(&token);
    assert_eq!(Reply::of(cancelled).await.unwrap().status, 202);
    for one in under_way {
        assert!(breaks_off(one).await, "a file of a cancelled order ended as if it were whole");
    }
    assert_eq!(fetch().await.unwrap().status(), 404);
    // Another order is not touched, once the places are free again.
    let (_, again) = manifest(&gateway, &token, "/$export?_type=Group").await;
    let path = file(&again, "Group").unwrap();
    loop {
        let reply = gateway.get(&token, &path).await;
        if reply.status != 429 {
            assert_eq!(reply.body.lines().count(), 2, "{reply:?}");
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Reads what is left of an answer: whether it broke off.
async fn breaks_off(mut answer: reqwest::Response) -> bool {
    loop {
        match answer.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}

#[tokio::test]
async fn what_is_switched_off_leaves_no_further_page() {
    // Far more than sockets hold between here and there.
    let (issuer, gateway) = world(2500).await;
    let token = issuer.token("ana");
    let (_, all) = manifest(&gateway, &token, "/$export").await;
    let url = format!("{}{}", gateway.fhir, file(&all, "Patient").unwrap());
    let begin = async || {
        let mut one = gateway.http.get(&url).bearer_auth(&token).send().await.unwrap();
        assert_eq!(one.status(), 200);
        assert!(!one.chunk().await.unwrap().expect("a first page").is_empty());
        one
    };
    let switch = async |flag: &str| {
        let body = json!({ "flags": { (flag): "off" } });
        gateway.change(Method::PATCH, "north", "", body).await
    };
    let whole = begin().await;
    switch("fhir.everything").await;
    assert!(!breaks_off(whole).await, "another change of the hospital is none of the export");
    let cut = begin().await;
    switch("fhir.export").await;
    assert!(breaks_off(cut).await, "pages left after exports were switched off");
    let refused = gateway.http.get(&url).bearer_auth(&token).send().await.unwrap();
    assert_eq!(refused.status(), 404);
}

/// A file under way ends with what its reader was let in by.
#[tokio::test]
async fn whoever_is_let_in_no_more_gets_no_further_page() {
    let (issuer, gateway) = world(2500).await;
    let token = issuer.token("ana");
    let (_, all) = manifest(&gateway, &token, "/$export").await;
    let url = format!("{}{}", gateway.fhir, file(&all, "Patient").unwrap());
    let mut under_way = gateway.http.get(&url).bearer_auth(&token).send().await.unwrap();
    assert_eq!(under_way.status(), 200);
    assert!(!under_way.chunk().await.unwrap().expect("a first page").is_empty());
    let identity = json!({ "identities":
        [{ "issuer": issuer.hospitals(), "claim_value": "north", "azp": ["another-app"] }] });
    gateway.change(Method::PATCH, "north", "", identity).await;
    assert_eq!(gateway.get(&token, "/Patient/1").await.status, 403);
    assert!(breaks_off(under_way).await, "pages left for who is not let in");
}

/// What was cancelled before the gateway began is known before anything of an order is given out.
#[tokio::test]
async fn what_was_cancelled_stays_so_over_a_new_beginning() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let folder = tempfile::tempdir().unwrap();
    let stores = Stores::in_folder(folder.path());
    let options = |fresh| Options { stores: Some(stores.clone()), fresh, ..Options::default() };
    let first = Gateway::start(&issuer, options(true)).await;
    let mut connection = database(&first).await;
    sqlx::raw_sql(TABLES).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    first.register("north", json!({ "url": "sqlite:north.db" })).await;
    first.publish("north", MAPPING).await;
    let token = issuer.token("north");
    let (cancelled, _) = manifest(&first, &token, "/$export?_type=Patient").await;
    let (kept, _) = manifest(&first, &token, "/$export?_type=Group").await;
    let end = first.http.delete(format!("{}{cancelled}", first.fhir)).bearer_auth(&token);
    assert_eq!(Reply::of(end).await.unwrap().status, 202);
    drop(first);

    let rename = async |from: &str, to: &str| {
        let file = SqliteConnectOptions::new().filename(folder.path().join("registry.db"));
        let mut registry = file.connect().await.unwrap();
        let sql = format!("ALTER TABLE {from} RENAME TO {to}");
        sqlx::raw_sql(&sql).execute(&mut registry).await.unwrap();
        registry.close().await.unwrap();
    };
    rename("cancelled_exports", "elsewhere").await;
    let second = Gateway::start(&issuer, options(false)).await;
    for order in [&cancelled, &kept] {
        let unknown = second.get(&token, order).await;
        assert_eq!(unknown.status, 503, "{unknown:?}");
    }
    assert_eq!(second.get(&token, "/metadata").await.status, 200, "nothing else waits for it");
    rename("elsewhere", "cancelled_exports").await;
    let begun = std::time::Instant::now();
    while second.get(&token, &kept).await.status != 200 {
        assert!(begun.elapsed() < Duration::from_mins(1), "what can be read is not read");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(second.get(&token, &cancelled).await.status, 404);
    drop(second);
    let third = Gateway::start(&issuer, options(false)).await;
    assert_eq!(third.get(&token, &cancelled).await.status, 404, "the first thing asked of it");
    assert_eq!(third.get(&token, &kept).await.status, 200);
}

async fn post(gateway: &Gateway, token: &str, path: &str, kind: &str, body: &str) -> Reply {
    let request = gateway.http.post(format!("{}{path}", gateway.fhir)).bearer_auth(token);
    let request = request.header("prefer", "respond-async").header("content-type", kind);
    Reply::of(request.body(body.to_owned())).await.unwrap()
}

#[tokio::test]
async fn an_order_by_body_is_the_same_as_by_address() {
    let (issuer, gateway) = world(0).await;
    let token = issuer.token("ana");
    let fhir = "application/fhir+json";
    let of = |items: Value| json!({"resourceType": "Parameters", "parameter": items}).to_string();
    let body = of(json!([
        {"name": "_outputFormat", "valueString": "application/fhir+ndjson"},
        {"name": "_type", "valueString": "Observation"},
        {"name": "_since", "valueInstant": "2024-01-01T00:00:00+00:00"},
        {"name": "_typeFilter", "valueString": "Observation?code=8867-4"},
    ]));
    let path = "/$export?_type=Observation&_since=2024-01-01T00:00:00Z&_typeFilter=Observation%3Fcode%3D8867-4";
    let (_, by_address) = manifest(&gateway, &token, path).await;
    let ordered = post(&gateway, &token, "/$export", fhir, &body).await;
    let by_body = gateway.get(&token, &place(&ordered)).await.json();
    // The address alone: what a body said is not in it.
    assert_eq!(by_body["request"], "http://gateway.test/fhir/$export");
    let mut found = Vec::new();
    for manifest in [&by_address, &by_body] {
        let all = resources(&gateway, &token, &file(manifest, "Observation").unwrap()).await;
        found.push(ids(&all));
    }
    assert!(!found[0].is_empty() && found[0] == found[1], "{found:?}");
    assert_eq!(by_body["output"].as_array().unwrap().len(), 1);
    for (path, types) in [("/Patient/$export", 2), ("/Group/1/$export", 2)] {
        let body = of(json!([{"name": "_type", "valueString": "Patient,Observation"}]));
        let ordered = post(&gateway, &token, path, fhir, &body).await;
        let manifest = gateway.get(&token, &place(&ordered)).await.json();
        assert_eq!(manifest["output"].as_array().unwrap().len(), types, "{path}: {manifest}");
    }
    let one = |item: Value| of(json!([item]));
    for (path, kind, body, status, named) in [
        ("/$export", fhir, one(json!({"name": "_type"})), 400, "_type"),
        ("/$export", fhir, one(json!({"name": "_type", "valueString": " "})), 400, "_type"),
        ("/$export", fhir, one(json!({"name": "_type", "valueInteger": 1})), 400, "_type"),
        ("/$export", fhir, one(json!({"name": "_since", "valueString": "soon"})), 400, "_since"),
        (
            "/Patient/$export",
            fhir,
            one(json!({"name": "patient", "valueReference": {"display": "Ana"}})),
            400,
            "patient",
        ),
        ("/$export", fhir, one(json!({"valueString": "x"})), 400, "Parameters"),
        ("/$export", fhir, "{\"resourceType\":\"Patient\"}".to_owned(), 400, "Parameters"),
        ("/$export?_type=Patient", fhir, of(json!([])), 400, "body"),
        ("/$export", "text/plain", of(json!([])), 415, "application/fhir+json"),
        ("/$export", fhir, "{".to_owned(), 400, ""),
    ] {
        let reply = post(&gateway, &token, path, kind, &body).await;
        assert_eq!(reply.status, status, "{path} {body}: {reply:?}");
        assert_eq!(reply.json()["resourceType"], "OperationOutcome", "{reply:?}");
        let said = reply.json()["issue"][0]["diagnostics"].to_string();
        assert!(said.contains(named), "{path} {body}: {said}");
    }
}
