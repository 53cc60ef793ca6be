//! Requests that ask for more than one answer may hold.

use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use crate::support::{Gateway, Options, Reply, TestIssuer};

/// Twelve megabytes of names.
const PEOPLE: &str = "CREATE TABLE person (id INTEGER PRIMARY KEY, family TEXT);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
      INSERT INTO person SELECT i, hex(zeroblob(30000)) FROM n;";
const MAPPING: &str = "mapping: 1
resources:
  - {type: Patient, from: {table: person}, key: [id], id: \"$id\", map: {name: [{family: \"$family\"}]}}
";

#[tokio::test]
async fn a_batch_of_large_answers_ends_where_the_memory_of_others_begins() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let settings = "[limits]\nrequest_timeout = \"60s\"".to_owned();
    let gateway = Gateway::start(&issuer, Options { settings, ..Options::default() }).await;
    let file = gateway.folder().join("sqlite/north.db");
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    sqlx::raw_sql(PEOPLE).execute(&mut options.connect().await.unwrap()).await.unwrap();
    gateway.register("north", json!({ "url": "sqlite:north.db" })).await;
    gateway.publish("north", MAPPING).await;
    let batch = async |count: usize, search: &str| -> Vec<Value> {
        let entry = json!({ "request": { "method": "GET", "url": search } });
        let bundle =
            json!({ "resourceType": "Bundle", "type": "batch", "entry": vec![entry; count] });
        let request = gateway.http.post(&gateway.fhir).bearer_auth(issuer.token("north"));
        let request = request.header("content-type", "application/fhir+json");
        let reply = Reply::of(request.body(bundle.to_string())).await.unwrap();
        assert_eq!(reply.status, 200);
        let statuses = reply.json()["entry"].as_array().unwrap().clone();
        statuses.into_iter().map(|entry| entry["response"].clone()).collect()
    };
    let all = batch(6, "Patient?_count=200").await;
    let fine = all.iter().filter(|response| response["status"] == "200 OK").count();
    assert_eq!(fine, 3, "36 of the 32 megabytes that are enough");
    for refused in &all[fine..] {
        assert_eq!(refused["status"], "413 Payload Too Large");
        assert_eq!(refused["outcome"]["issue"][0]["code"], "too-costly", "{refused}");
    }
    let small = batch(100, "Patient?_count=1").await;
    assert!(small.iter().all(|response| response["status"] == "200 OK"));
}
