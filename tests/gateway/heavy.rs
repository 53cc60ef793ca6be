//! Requests that ask for more than one answer may hold.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;

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

#[tokio::test]
async fn a_mapping_cannot_make_an_answer_of_any_length() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let settings = "[limits]\nrequest_timeout = \"60s\"".to_owned();
    let gateway = Gateway::start(&issuer, Options { settings, ..Options::default() }).await;
    let file = gateway.folder().join("sqlite/north.db");
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let people = PEOPLE.replace("zeroblob(30000)", "zeroblob(3)");
    sqlx::raw_sql(&people).execute(&mut options.connect().await.unwrap()).await.unwrap();
    gateway.register("north", json!({ "url": "sqlite:north.db" })).await;
    // Forty megabytes, and seven hundred bytes of them are the hospital's.
    let long = format!("$family | suffix('{}')", "x".repeat(200_000));
    gateway.publish("north", &MAPPING.replace("$family", &long)).await;
    let token = issuer.token("north");
    let whole = gateway.get(&token, "/Patient?_count=200").await;
    assert_eq!(whole.status, 400, "{}", whole.body.len());
    assert!(whole.body.contains("ask for a smaller page"), "{whole:?}");
    let some = gateway.get(&token, "/Patient?_count=20").await;
    assert_eq!((some.status, some.body.len() / 1_000_000), (200, 4));
}

#[tokio::test]
async fn answers_that_nobody_takes_are_not_piled_up() {
    let issuer = TestIssuer::for_tenants(&["north", "south"]).await;
    let settings = "[limits]\nrequest_timeout = \"60s\"".to_owned();
    let gateway = Gateway::start(&issuer, Options { settings, ..Options::default() }).await;
    for (name, people) in
        [("north", PEOPLE.to_owned()), ("south", PEOPLE.replace("zeroblob(30000)", "zeroblob(3)"))]
    {
        let file = gateway.folder().join(format!("sqlite/{name}.db"));
        let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
        sqlx::raw_sql(&people).execute(&mut options.connect().await.unwrap()).await.unwrap();
        gateway.register(name, json!({ "url": format!("sqlite:{name}.db") })).await;
        gateway.publish(name, MAPPING).await;
    }
    let (north, south) = (issuer.token("north"), issuer.token("south"));
    let one = "/Patient?_count=1";
    let (_, rest) = gateway.fhir.split_once("://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    // Twelve megabytes each, of which the system takes little for whoever reads nothing.
    let mut waiting = Vec::new();
    while gateway.get(&north, one).await.status == 200 {
        assert!(waiting.len() < 40, "{} answers lie there", waiting.len());
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let mut stream = socket.connect(host.parse().unwrap()).await.unwrap();
        let request = format!(
            "GET /{path}/Patient?_count=200 HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {north}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.readable().await.unwrap();
        waiting.push(stream);
    }
    assert!(waiting.len() >= 20, "{} answers", waiting.len());
    let refused = gateway.get(&north, one).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "1"), "{refused:?}");
    assert_eq!(gateway.get(&south, one).await.status, 200);
    drop(waiting);
    let served = async {
        while gateway.get(&north, one).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), served).await.expect("they are gone");
}
