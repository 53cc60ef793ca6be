//! A column that went away after the mapping was published: a change says which part of the mapping it is, stores
//! nothing, and what does not need the column goes on.

use reqwest::Method;
use serde_json::{Value, json};

use super::{World, patient};
use crate::support::Reply;

fn named(reply: &Reply) -> String {
    assert_eq!(reply.status, 500, "{reply:?}");
    let outcome = reply.json();
    assert_eq!(outcome["resourceType"], "OperationOutcome", "{reply:?}");
    outcome["issue"][0]["diagnostics"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_change_names_the_part_of_the_mapping_that_fits_no_more() {
    let world = World::start().await;
    let stored = world.read("/Patient/1").await;
    let new = patient("M-9", "Neu");
    world.sql("ALTER TABLE people RENAME COLUMN family TO surname").await;
    let before = (world.rows("people").await, world.rows("contact").await);
    let entry = |kind: &str| {
        let request = json!({"method": "POST", "url": "Patient"});
        json!({"resourceType": "Bundle", "type": kind, "entry": [{"resource": new, "request": request}]})
    };
    for (method, path, body) in [
        (Method::PUT, "/Patient/1", &stored),
        (Method::POST, "/Patient", &new),
        (Method::DELETE, "/Patient/1", &Value::Null),
        (Method::POST, "/", &entry("transaction")),
    ] {
        let said = named(&world.send(method.clone(), path, body).await);
        assert!(said.contains("Patient.name.family"), "{method} {path}: {said}");
        assert!(!said.contains("surname") && !said.contains("people"), "{said}");
    }
    let batch = world.send(Method::POST, "/", &entry("batch")).await.json();
    let response = &batch["entry"][0]["response"];
    assert!(response["status"].as_str().unwrap().starts_with("500"), "{batch}");
    let said = response["outcome"]["issue"][0]["diagnostics"].as_str().unwrap();
    assert!(said.contains("Patient.name.family"), "{batch}");
    assert_eq!((world.rows("people").await, world.rows("contact").await), before);
    // The database answered all the time.
    let other = json!({
        "resourceType": "Observation", "status": "final", "subject": {"reference": "Patient/1"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "effectiveDateTime": "2026-05-06T10:00:00Z", "valueQuantity": {"value": 60, "unit": "/min"},
    });
    assert_eq!(world.send(Method::POST, "/Observation", &other).await.status, 201);
    world.sql("ALTER TABLE people RENAME COLUMN surname TO family").await;
    assert_eq!(world.send(Method::PUT, "/Patient/1", &stored).await.status, 200);
}

#[tokio::test]
async fn what_only_a_change_needs_is_named_as_well() {
    let mapping = super::MAPPING.replace(
        "create: {key: auto_increment}\n      update: {version_column: rev",
        "create: {key: auto_increment, set: {note: fhir}}\n      update: {version_column: rev",
    );
    assert_ne!(mapping, super::MAPPING);
    let world = World::with(super::TABLES, &mapping).await;
    world.sql("ALTER TABLE people DROP COLUMN note").await;
    assert_eq!(world.read("/Patient/1").await["id"], "1");
    let said = named(&world.send(Method::POST, "/Patient", &patient("M-9", "Neu")).await);
    assert!(said.contains("Patient (write)"), "{said}");
}
