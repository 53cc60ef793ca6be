//! What is refused, by which element, and that nothing is stored of it.

use reqwest::Method;
use serde_json::{Value, json};

use super::{World, paths};
use crate::support::Reply;

/// A changed body, the status, and the elements that are named.
pub(super) type Case = (Value, u16, Vec<&'static str>);

fn with(served: &Value, change: impl FnOnce(&mut Value)) -> Value {
    let mut body = served.clone();
    change(&mut body);
    body
}

/// Elements the mapping has no way for.
pub(super) fn elements(served: &Value) -> Vec<Case> {
    vec![
        (
            with(served, |b| b["maritalStatus"] = json!({"text": "x"})),
            422,
            vec!["Patient.maritalStatus"],
        ),
        (
            with(served, |b| b["name"][0]["suffix"] = json!(["Jr"])),
            422,
            vec!["Patient.name[0].suffix"],
        ),
        (with(served, |b| b["name"][0]["use"] = json!("nickname")), 422, vec!["Patient.name[0]"]),
        (
            with(served, |b| b["identifier"][0]["system"] = json!("urn:x")),
            422,
            vec!["Patient.identifier[0]"],
        ),
        (
            with(served, |b| b["generalPractitioner"][0]["display"] = json!("X")),
            422,
            vec!["Patient.generalPractitioner[0].display"],
        ),
        (
            with(served, |b| drop(b.as_object_mut().unwrap().remove("generalPractitioner"))),
            422,
            vec!["Patient.generalPractitioner.display"],
        ),
        (with(served, |b| b["gender"] = json!("unknown")), 422, vec!["Patient.gender"]),
        (with(served, |b| b["birthDate"] = json!("1985")), 422, vec!["Patient.birthDate"]),
        (
            with(served, |b| b["identifier"][0]["value"] = json!("0123456789012")),
            422,
            vec!["Patient.identifier[0].value"],
        ),
        (
            with(served, |b| b["identifier"][0]["value"] = json!("M-2")),
            409,
            vec!["Patient.identifier[0].value"],
        ),
    ]
}

/// Values the database or FHIR does not take.
pub(super) fn values(served: &Value) -> Vec<Case> {
    vec![
        (
            with(served, |b| b["name"] = json!([{"given": ["x"]}])),
            422,
            vec!["Patient.name[0].family"],
        ),
        (with(served, |b| b["name"][0]["family"] = json!("Forbidden")), 422, vec!["Patient"]),
        (
            with(served, |b| b["telecom"][0]["system"] = json!("fax")),
            422,
            vec!["Patient.telecom[0].system"],
        ),
        (
            with(served, |b| b["telecom"][0]["use"] = json!("home")),
            422,
            vec!["Patient.telecom[0].use"],
        ),
        (
            with(served, |b| b["text"] = json!({"status": "additional", "div": "<div>x</div>"})),
            422,
            vec!["Patient.text"],
        ),
        (
            with(served, |b| b["extension"] = json!([{"url": "urn:a", "valueString": "x"}])),
            422,
            vec!["Patient.extension"],
        ),
        (with(served, |b| b["id"] = json!("2")), 400, vec!["Patient.id"]),
        (
            with(served, |b| {
                b["gender"] = json!("f");
                b["birthDate"] = json!("31.12.2001");
                b["nmae"] = json!(1);
            }),
            400,
            vec!["Patient.birthDate", "Patient.gender", "Patient.nmae"],
        ),
        (json!({"resourceType": "Observation", "id": "1"}), 400, vec!["Patient"]),
    ]
}

#[tokio::test]
async fn what_cannot_be_stored_is_named_and_nothing_is() {
    let world = World::start().await;
    let before = (world.rows("people").await, world.rows("contact").await);
    let served = world.read("/Patient/1").await;
    let cases = elements(&served).into_iter().chain(values(&served));
    for (body, status, wanted) in cases {
        let refused = world.send(Method::PUT, "/Patient/1", &body).await;
        let mut found = paths(&refused);
        found.sort();
        assert_eq!(
            (refused.status, found),
            (status, wanted.iter().map(|p| (*p).to_owned()).collect()),
            "{body} {refused:?}"
        );
        assert!(
            !refused.body.contains("people") && !refused.body.contains("UNIQUE"),
            "{refused:?}"
        );
    }
    assert_eq!((world.rows("people").await, world.rows("contact").await), before);
    // The database's rules opened no breaker.
    assert_eq!(world.gateway.view("tenants/north/breaker").await["state"], "closed");
}

#[tokio::test]
async fn bodies_and_addresses_that_make_no_sense() {
    let world = World::start().await;
    let before = (world.rows("people").await, world.rows("contact").await);
    let served = world.read("/Patient/1").await;
    for bad in [
        "{",
        "[1]",
        "{\"resourceType\":\"Patient\",\"resourceType\":\"Patient\"}",
        "\"x\"",
        "null",
        "\u{feff}{}",
    ] {
        let request = world.gateway.http.put(format!("{}/Patient/1", world.gateway.fhir));
        let request = request
            .bearer_auth(world.issuer.token("both"))
            .header("content-type", "application/json");
        let refused = Reply::of(request.body(bad)).await.unwrap();
        assert_eq!(refused.status, 400, "{bad}: {refused:?}");
    }
    let xml = world
        .ask(
            "both",
            Method::POST,
            "/Patient",
            &[("content-type", "application/fhir+xml")],
            &json!({}),
        )
        .await;
    assert_eq!(xml.status, 415, "{xml:?}");
    for (method, path, status) in [
        (Method::PUT, "/Patient/99", 405),
        (Method::PUT, "/Patient/3", 405),
        (Method::POST, "/Nothing", 404),
        (Method::POST, "/Patient?identifier=M-1", 400),
        (Method::PUT, "/Patient", 412),
        (Method::DELETE, "/Patient", 412),
    ] {
        let refused = world
            .send(
                method.clone(),
                path,
                &with(&served, |b| b["id"] = json!(path.trim_start_matches("/Patient/"))),
            )
            .await;
        assert_eq!(refused.status, status, "{method} {path} {refused:?}");
    }
    assert_eq!((world.rows("people").await, world.rows("contact").await), before);
}

#[tokio::test]
async fn a_change_the_database_refuses_leaves_no_transaction_behind() {
    let world = World::start().await;
    let mut body = world.read("/Patient/1").await;
    body["birthDate"] = json!("1985-03-06");
    // The schema changes under the mapping: statements fail inside the transaction.
    world.sql("ALTER TABLE people RENAME COLUMN sex TO gender").await;
    for _ in 0..3 {
        let put = world.send(Method::PUT, "/Patient/1", &body).await;
        assert_eq!(put.status, 500, "{put:?}");
        let post = world.send(Method::POST, "/Patient", &super::patient("M-9", "Rey")).await;
        assert_eq!(post.status, 500, "{post:?}");
        // What the hospital's own program writes meanwhile is not locked out.
        world.sql("UPDATE people SET note = note || '.'").await;
    }
    world.sql("ALTER TABLE people RENAME COLUMN gender TO sex").await;
    let put = world.send(Method::PUT, "/Patient/1", &body).await;
    assert_eq!(put.status, 200, "{put:?}");
}
