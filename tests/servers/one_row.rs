//! A change reaches the row that was meant, and no other: versions made of times, tables that inherit from
//! others, keys that the database takes from elsewhere.

use reqwest::Method;
use serde_json::json;
use wardgate::base::Engine;

use crate::harness::{MariaDb, Postgres};
use crate::write_bed::Bed;

const MAPPING: &str = r#"
mapping: 1
database: {timezone: Europe/Madrid}
resources:
  - type: Patient
    from: {table: people, filter: {gone: "0"}}
    key: id
    id: "$id"
    version: "$changed"
    last_updated: "$changed | datetime('yyyyMMddHHmmss')"
    map:
      active: true
      name: [{family: "$family"}]
      telecom:
        - each: {table: phone, match: {person: id}, order: [id]}
          item: {system: phone, value: "$number"}
    write:
      create: {key: auto_increment, set: {gone: "0"}}
      update: {touch: changed}
      delete: hard
      children: {phone: {mode: replace, key: auto_increment}}
"#;

const TABLES: &str = "
CREATE TABLE people (id SERIAL_KEY, family VARCHAR(40), gone INT NOT NULL DEFAULT 0, changed VARCHAR(14));
CREATE TABLE phone (id SERIAL_KEY, person INT NOT NULL, number VARCHAR(20));
INSERT INTO people (id, family, changed) VALUES (1, 'Arce', '20200102030405');";

fn patient(id: Option<u32>, family: &str, number: Option<&str>) -> String {
    let mut patient =
        json!({"resourceType": "Patient", "active": true, "name": [{"family": family}]});
    if let Some(id) = id {
        patient["id"] = json!(id.to_string());
    }
    if let Some(number) = number {
        patient["telecom"] = json!([{"system": "phone", "value": number}]);
    }
    patient.to_string()
}

impl Bed {
    /// Changes Patient 1 where she still has that version; the status and her version then.
    async fn change(&self, version: &str, family: &str) -> (u16, String) {
        let url = format!("{}/Patient/1", self.gateway.fhir);
        let request = self.gateway.http.put(url).bearer_auth(&self.token);
        let request = request.header("content-type", "application/fhir+json");
        let request = request.header("if-match", version).body(patient(Some(1), family, None));
        let reply = request.send().await.expect("an answer");
        let tag = reply.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
        (reply.status().as_u16(), tag.unwrap_or_default())
    }
}

#[tokio::test]
async fn two_changes_within_a_second_are_two_versions() {
    for bed in Bed::all(TABLES, MAPPING).await {
        let engine = bed.engine();
        let url = format!("{}/Patient/1", bed.gateway.fhir);
        let reply = bed.gateway.http.get(url).bearer_auth(&bed.token).send().await.unwrap();
        let first = reply.headers()["etag"].to_str().unwrap().to_owned();
        let mut versions = vec![first];
        for number in 0..4 {
            let last = versions.last().unwrap().clone();
            let (status, version) = bed.change(&last, &format!("Name{number}")).await;
            assert_eq!(status, 200, "{engine:?}");
            assert!(!versions.contains(&version), "{engine:?}: {version} came twice");
            versions.push(version);
        }
        for old in &versions[..4] {
            assert_eq!(bed.change(old, "Lost").await.0, 412, "{engine:?}: {old}");
        }
        assert_eq!(bed.rows("SELECT family FROM people").await, ["Name3"]);
    }
}

#[tokio::test]
async fn rows_of_tables_that_inherit_are_not_changed_with_their_parents() {
    let bed = Bed::open(Some(Postgres::database().await), TABLES).await;
    bed.sql(
        "CREATE TABLE archive () INHERITS (people);
         INSERT INTO archive VALUES (1, 'Kept', 1, '20190101000000');
         CREATE TABLE old_phone () INHERITS (phone)",
    )
    .await;
    bed.gateway.publish("north", MAPPING).await;
    let rows = async || bed.rows("SELECT family FROM people ORDER BY family").await;
    for (method, body) in
        [(Method::PUT, patient(Some(1), "Changed", None)), (Method::DELETE, String::new())]
    {
        let reply = bed.send(method.clone(), "/Patient/1", body).await;
        assert_eq!(reply.status, 500, "{method}: {:?}", reply.body);
        assert_eq!(rows().await, ["Arce", "Kept"], "{method}");
    }
    bed.sql("DELETE FROM archive").await;
    let reply = bed.send(Method::PUT, "/Patient/1", patient(Some(1), "Changed", None)).await;
    assert_eq!(reply.status, 200, "{:?}", reply.body);
    assert_eq!(rows().await, ["Changed"]);
}

/// A hospital's own way to keep what is taken away.
#[tokio::test]
async fn a_rule_of_the_hospitals_own_stands_in_place_of_a_change() {
    let bed = Bed::open(Some(Postgres::database().await), TABLES).await;
    bed.sql(
        "CREATE RULE keep AS ON DELETE TO people DO INSTEAD UPDATE people SET gone = 1 WHERE id = OLD.id",
    )
    .await;
    bed.gateway.publish("north", MAPPING).await;
    let reply = bed.send(Method::DELETE, "/Patient/1", String::new()).await;
    assert_eq!(reply.status, 204, "{:?}", reply.body);
    assert_eq!(bed.rows("SELECT CAST(gone AS TEXT) FROM people").await, ["1"]);
}

/// What MySQL says of the last row that was given a number stays until another row is given one.
#[tokio::test]
async fn a_key_that_comes_from_elsewhere_is_not_taken_for_another_rows() {
    let tables = TABLES.replace("CREATE TABLE people (id SERIAL_KEY", "CREATE SEQUENCE s START WITH 500; CREATE TABLE people (id INT NOT NULL DEFAULT NEXTVAL(s) PRIMARY KEY");
    let bed = Bed::open(Some(MariaDb::database().await), &tables).await;
    assert_eq!(bed.engine(), Engine::MySql);
    bed.gateway.publish("north", MAPPING).await;
    // The row of her number is the first of its table, as she is of hers.
    let reply = bed.send(Method::PUT, "/Patient/1", patient(Some(1), "Arce", Some("555"))).await;
    assert_eq!(reply.status, 200, "{:?}", reply.body);
    assert_eq!(bed.rows("SELECT CAST(id AS CHAR) FROM phone").await, ["1"]);
    let reply = bed.send(Method::POST, "/Patient", patient(None, "Arce", None)).await;
    assert_eq!(reply.status, 500, "{:?}", reply.body);
    assert!(reply.body.contains("OperationOutcome"), "{}", reply.body);
    assert_eq!(bed.rows("SELECT number FROM phone").await, ["555"]);
    assert_eq!(bed.rows("SELECT family FROM people").await, ["Arce"]);
}
