//! Bulk exports: everything, of all patients, of a group; whose they are, and that a file that is not
//! whole does not look whole.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::support::issuer::clinician;
use crate::support::{Gateway, Options, Reply, TestIssuer};

const ROWS: u64 = 12_345;
pub const BASE: &str = "http://gateway.test/fhir";
const MAPPING: &str = r#"
mapping: 1
resources:
  - {type: Patient, from: {table: person}, key: [id], id: "$id", map: {name: [{family: "$family"}]}}
  - type: Observation
    from: {table: reading}
    key: [id]
    id: "$id"
    last_updated: "$stored"
    map:
      status: final
      code: {coding: [{system: "http://loinc.org", code: "$code"}]}
      subject: "$person | ref(Patient)"
  - {type: Organization, from: {table: ward}, key: [id], id: "$id", map: {name: "$name"}}
  - type: Group
    from: {table: ward}
    key: [id]
    id: "$id"
    map:
      type: person
      actual: true
      member:
        - each: {table: member, match: {ward: id}, order: [id]}
          item: {entity: "$person | ref(Patient)", inactive: "$gone | bool('1', '0')"}
"#;

/// Its people's names are at least so long.
async fn hospital(gateway: &Gateway, name: &str, long: usize) {
    let file = gateway.folder().join(format!("sqlite/{name}.db"));
    let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    let tail = "x".repeat(long);
    let sql = format!(
        "CREATE TABLE person (id INTEGER PRIMARY KEY, family TEXT);
         CREATE TABLE reading (id INTEGER PRIMARY KEY, person INTEGER, code TEXT, stored TIMESTAMP);
         CREATE INDEX reading_person ON reading (person);
         CREATE TABLE ward (id INTEGER PRIMARY KEY, name TEXT);
         CREATE TABLE member (id INTEGER PRIMARY KEY, ward INTEGER, person INTEGER, gone INTEGER);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
           INSERT INTO person SELECT i, '{name}-' || i || '{tail}' FROM n;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)
           INSERT INTO reading SELECT i, CASE WHEN i % 9 = 0 THEN NULL ELSE i % 300 + 1 END,
             CASE WHEN i % 2 = 0 THEN '8867-4' ELSE '8310-5' END,
             CASE WHEN i > 800 THEN '2024-05-06 00:00:00' ELSE '2020-01-01 00:00:00' END FROM n;
         INSERT INTO ward VALUES (1, 'first'), (2, 'none');
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120)
           INSERT INTO member SELECT i, 1, i, i % 10 = 0 FROM n;"
    );
    sqlx::raw_sql(&sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let tenant = gateway.register(name, json!({ "url": format!("sqlite:{name}.db") })).await;
    assert_eq!(tenant["state"], "active", "{tenant}");
    gateway.publish(name, MAPPING).await;
}

pub async fn world(long: usize) -> (TestIssuer, Gateway) {
    let reader = |name: &str, claim| clinician(name, claim, &["fhir-read"]);
    let users = vec![reader("ana", "north"), reader("eva", "north"), reader("uli", "south")];
    let issuer = TestIssuer::start(users).await;
    let gateway = Gateway::start(&issuer, Options::default()).await;
    hospital(&gateway, "north", long).await;
    hospital(&gateway, "south", 0).await;
    (issuer, gateway)
}

pub async fn order(gateway: &Gateway, token: &str, path: &str) -> Reply {
    let request = gateway.http.get(format!("{}{path}", gateway.fhir)).bearer_auth(token);
    Reply::of(request.header("prefer", "respond-async")).await.unwrap()
}

/// Where the manifest of an order is.
pub fn place(ordered: &Reply) -> String {
    assert_eq!(ordered.status, 202, "{ordered:?}");
    ordered.header("content-location").strip_prefix(BASE).unwrap().to_owned()
}

/// The manifest of an order, with its address.
pub async fn manifest(gateway: &Gateway, token: &str, path: &str) -> (String, Value) {
    let place = place(&order(gateway, token, path).await);
    let status = gateway.get(token, &place).await;
    assert_eq!(status.status, 200, "{status:?}");
    assert!(status.header("expires").ends_with(" GMT"), "{status:?}");
    let manifest = status.json();
    assert_eq!(manifest["requiresAccessToken"], true);
    assert_eq!(manifest["request"], format!("{BASE}{path}"));
    (place, manifest)
}

pub fn file(manifest: &Value, ty: &str) -> Option<String> {
    let output = manifest["output"].as_array().unwrap().iter().find(|file| file["type"] == ty)?;
    Some(output["url"].as_str().unwrap().strip_prefix(BASE).unwrap().to_owned())
}

pub async fn resources(gateway: &Gateway, token: &str, path: &str) -> Vec<Value> {
    let reply = gateway.get(token, path).await;
    assert_eq!(reply.status, 200, "{path}: {reply:?}");
    assert_eq!(reply.header("content-type"), "application/fhir+ndjson");
    reply.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Their ids, each of which must have come once.
pub fn ids(resources: &[Value]) -> BTreeSet<u64> {
    let ids: BTreeSet<u64> =
        resources.iter().map(|r| r["id"].as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(ids.len(), resources.len(), "a resource came twice");
    ids
}

#[tokio::test]
async fn everything_is_exported_and_one_can_go_on_in_the_middle() {
    let (issuer, gateway) = world(0).await;
    let token = issuer.token("ana");
    let (_, all) = manifest(&gateway, &token, "/$export").await;
    let types: Vec<&str> =
        all["output"].as_array().unwrap().iter().map(|f| f["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["Group", "Observation", "Organization", "Patient"]);
    let path = file(&all, "Patient").unwrap();
    let patients = resources(&gateway, &token, &path).await;
    assert_eq!(ids(&patients), (1..=ROWS).collect());
    assert!(
        patients.iter().all(|p| p["name"][0]["family"].as_str().unwrap().starts_with("north-"))
    );
    let rest = resources(&gateway, &token, &format!("{path}?_after={}", ROWS - 7)).await;
    assert_eq!(ids(&rest), (ROWS - 6..=ROWS).collect());
    assert_eq!(gateway.get(&token, &format!("{path}?_after=nobody")).await.status, 400);
    assert_eq!(resources(&gateway, &token, &file(&all, "Observation").unwrap()).await.len(), 900);

    let path = "/$export?_type=Observation&_since=2024-01-01T00:00:00Z&_typeFilter=Observation%3Fcode%3D8867-4";
    let (_, some) = manifest(&gateway, &token, path).await;
    let found = resources(&gateway, &token, &file(&some, "Observation").unwrap()).await;
    assert_eq!(ids(&found), (801..=900).filter(|i| i % 2 == 0).collect());
    assert_eq!(file(&some, "Patient"), None);
}

#[tokio::test]
async fn patients_and_groups_have_what_is_theirs() {
    let (issuer, gateway) = world(0).await;
    let token = issuer.token("ana");
    let (_, theirs) = manifest(&gateway, &token, "/Patient/$export").await;
    assert_eq!(file(&theirs, "Organization"), None, "no part of a patient's compartment");
    let found = resources(&gateway, &token, &file(&theirs, "Observation").unwrap()).await;
    assert_eq!(ids(&found), (1..=900).filter(|i| i % 9 != 0).collect());
    assert_eq!(resources(&gateway, &token, &file(&theirs, "Patient").unwrap()).await.len(), 12_345);

    let members: BTreeSet<u64> = (1..=120).filter(|i| i % 10 != 0).collect();
    let (_, ward) = manifest(&gateway, &token, "/Group/1/$export").await;
    let found = resources(&gateway, &token, &file(&ward, "Patient").unwrap()).await;
    assert_eq!(ids(&found), members);
    let found = resources(&gateway, &token, &file(&ward, "Observation").unwrap()).await;
    let wanted = (1..=900_u64).filter(|i| i % 9 != 0 && members.contains(&(i % 300 + 1)));
    assert_eq!(ids(&found), wanted.collect());
    let (_, none) = manifest(&gateway, &token, "/Group/2/$export").await;
    assert!(resources(&gateway, &token, &file(&none, "Patient").unwrap()).await.is_empty());
    assert_eq!(order(&gateway, &token, "/Group/3/$export").await.status, 404);
}

#[tokio::test]
async fn an_order_is_its_givers_and_is_refused_at_once_when_it_cannot_be_filled() {
    let (issuer, gateway) = world(0).await;
    let token = issuer.token("ana");
    for (path, status, named) in [
        ("/$export?_tpye=Patient", 400, "_tpye"),
        ("/$export?_type=Patient,Encounter", 400, "_type=Encounter"),
        ("/$export?_type=Patient&_since=2024-01-01T00:00:00Z", 400, "_since, of Patient"),
        ("/$export?_type=Patient&_elements=name.family", 400, "_elements"),
        ("/$export?includeAssociatedData=LatestProvenanceResources", 400, "includeAssociatedData"),
        (
            "/$export?_type=Patient&_typeFilter=Patient%3F_sort%3Dfamily",
            400,
            "_sort in _typeFilter",
        ),
        ("/$export?_typeFilter=Patient%3F_summary%3Dcount", 400, "_summary in _typeFilter"),
        ("/$export?_typeFilter=Observation%3F_include%3DObservation:patient", 400, "_include"),
        ("/$export?_typeFilter=Patient%3Ffamily%3Da,Patient", 400, "_typeFilter"),
        ("/$export?_outputFormat=text/csv", 400, "_outputFormat"),
        ("/$export?_type=Patient&_typeFilter=Observation%3Fcode%3D1", 400, "Observation"),
        ("/$export?_type=Observation&_typeFilter=Observation%3Fcolour%3D1", 400, "colour"),
        ("/Patient/$export?_type=Organization", 400, "Organization"),
    ] {
        let refused = order(&gateway, &token, path).await;
        assert_eq!(refused.status, status, "{path}: {refused:?}");
        assert_eq!(refused.json()["resourceType"], "OperationOutcome", "{path}");
        assert!(refused.body.contains(named), "{path}: {refused:?}");
    }
    assert_eq!(gateway.get(&token, "/$export").await.status, 400, "without Prefer: respond-async");
    let (place, all) = manifest(&gateway, &token, "/$export").await;
    let path = file(&all, "Patient").unwrap();
    for other in ["eva", "uli"] {
        for path in [&place, &path] {
            let refused = gateway.get(&issuer.token(other), path).await;
            assert_eq!(refused.status, 404, "{other} {path}: {refused:?}");
        }
    }
    let mut broken = place.clone().into_bytes();
    let last = broken.len() - 9;
    broken[last] = if broken[last] == b'A' { b'B' } else { b'A' };
    assert_eq!(gateway.get(&token, &String::from_utf8(broken).unwrap()).await.status, 404);
    assert_eq!(gateway.get(&token, &path.replace("Patient.", "Encounter.")).await.status, 404);
    let url = format!("{}{place}", gateway.fhir);
    let cancel = |user: &str| gateway.http.delete(&url).bearer_auth(issuer.token(user));
    assert_eq!(Reply::of(cancel("eva")).await.unwrap().status, 404, "another's");
    assert_eq!(gateway.get(&token, &place).await.status, 200);
    assert_eq!(Reply::of(cancel("ana")).await.unwrap().status, 202);
    for path in [&place, &path] {
        assert_eq!(gateway.get(&token, path).await.status, 404, "{path} after it was cancelled");
    }
    assert_eq!(Reply::of(cancel("ana")).await.unwrap().status, 404, "again");
}

#[tokio::test]
async fn a_file_that_broke_off_does_not_look_whole_and_few_are_fetched_at_once() {
    // Far more than sockets hold between here and there.
    let (issuer, gateway) = world(2500).await;
    let token = issuer.token("ana");
    let (_, all) = manifest(&gateway, &token, "/$export").await;
    let url = format!("{}{}", gateway.fhir, file(&all, "Patient").unwrap());
    let fetch = || gateway.http.get(&url).bearer_auth(&token).send();
    let (mut first, second) = (fetch().await.unwrap(), fetch().await.unwrap());
    let begun = first.chunk().await.unwrap().expect("a first page").len();
    assert!(begun > 0);
    let third = Reply::of(gateway.http.get(&url).bearer_auth(&token)).await.unwrap();
    assert_eq!((third.status, third.header("retry-after")), (429, "60"), "{third:?}");
    gateway.suspend("north").await;
    let mut lines = 0;
    let broken = loop {
        match first.chunk().await {
            Ok(Some(bytes)) => lines += bytes.split(|b| *b == b'\n').count() - 1,
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broken, "a file of {lines} lines and more ended as if it were whole");
    drop((first, second));
    gateway.resume("north").await;
    let again = gateway.http.get(&url).bearer_auth(&token);
    // The places come back a moment after those who held them have gone.
    let whole = loop {
        let reply = Reply::of(again.try_clone().unwrap()).await.unwrap();
        if reply.status != 429 {
            break reply;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(whole.body.lines().count(), 12_345, "{}", whole.status);
}
