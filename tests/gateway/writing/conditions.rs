//! Conditions of requests on versions, wherever they stand, and forms of answers, wherever they are asked for.

use reqwest::Method;
use serde_json::{Value, json};

use super::{World, patient};

#[tokio::test]
async fn a_version_of_nothing_is_nobodys() {
    let world = World::start().await;
    let before = world.rows("people").await;
    let path = "/Patient?identifier=M-99";
    for tag in ["W/\"1\"", "*"] {
        let asked = [("if-match", tag)];
        let refused = world.ask("both", Method::PUT, path, &asked, &patient("M-99", "Neu")).await;
        assert_eq!(refused.status, 412, "{tag}: {refused:?}");
    }
    assert_eq!(world.rows("people").await, before);
    let made = world.send(Method::PUT, path, &patient("M-99", "Neu")).await;
    assert_eq!(made.status, 201, "{made:?}");
}

#[tokio::test]
async fn what_the_caller_has_is_not_sent_again_in_a_batch_either() {
    let world = World::start().await;
    let token = world.issuer.token("both");
    let etag = world.gateway.get(&token, "/Patient/1").await.header("etag").to_owned();
    let get =
        |tag: &str| json!({"request": {"method": "GET", "url": "Patient/1", "ifNoneMatch": tag}});
    let entries =
        json!([get(&etag), get("*"), get("W/\"old\""), get(&format!("W/\"old\", {etag}"))]);
    let batch = json!({"resourceType": "Bundle", "type": "batch", "entry": entries});
    let done = world.send(Method::POST, "", &batch).await.json();
    let entries = done["entry"].as_array().unwrap().iter();
    let said: Vec<(&str, bool)> = entries
        .map(|e| (&e["response"]["status"].as_str().unwrap()[..3], e.get("resource").is_some()))
        .collect();
    assert_eq!(said, [("304", false), ("304", false), ("200", true), ("304", false)], "{done}");
    assert_eq!(done["entry"][0]["response"]["etag"], etag.as_str());
    let any = [("if-none-match", "*")];
    let same = world.ask("both", Method::GET, "/Patient/1", &any, &Value::Null).await;
    assert_eq!((same.status, same.body.as_str()), (304, ""), "{same:?}");
    let none = world.ask("both", Method::GET, "/Patient/77", &any, &Value::Null).await;
    assert_eq!(none.status, 404, "{none:?}");
}

#[tokio::test]
async fn a_form_may_ask_for_json_only() {
    let world = World::start().await;
    let form = async |body: &'static str| {
        let url = format!("{}/Patient/_search", world.gateway.fhir);
        let request = world.gateway.http.post(url).bearer_auth(world.issuer.token("both"));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        crate::support::Reply::of(request.body(body)).await.unwrap().status
    };
    assert_eq!(form("_format=application%2Ffhir%2Bjson&gender=female").await, 200);
    assert_eq!(form("_format=xml&gender=female").await, 406);
}

#[tokio::test]
async fn what_must_not_be_there_is_not_overwritten() {
    let world = World::start().await;
    let before = world.rows("people").await;
    let kind = ("content-type", "application/json-patch+json");
    let patch = json!([{"op": "replace", "path": "/gender", "value": "male"}]);
    let mut neu = patient("M-1", "Neu");
    neu["id"] = json!("1");
    for tag in ["*", "W/\"3\"", "\"1\", \"3\""] {
        let asked = [("if-none-match", tag)];
        let both = [("if-none-match", tag), kind];
        let put = world.ask("both", Method::PUT, "/Patient/1", &asked, &neu).await;
        let patched = world.ask("both", Method::PATCH, "/Patient/1", &both, &patch).await;
        let gone = world.ask("both", Method::DELETE, "/Patient/1", &asked, &Value::Null).await;
        for refused in [put, patched, gone] {
            assert_eq!(refused.status, 412, "{tag}: {refused:?}");
        }
        let request = json!({"method": "PUT", "url": "Patient/1", "ifNoneMatch": tag});
        let entries = json!([{"resource": neu, "request": request}]);
        let batch = json!({"resourceType": "Bundle", "type": "batch", "entry": entries});
        let done = world.send(Method::POST, "", &batch).await.json();
        assert_eq!(done["entry"][0]["response"]["status"], "412 Precondition Failed", "{done}");
    }
    assert_eq!(world.rows("people").await, before);
    let other = [("if-none-match", "W/\"2\"")];
    let own = world.read("/Patient/1").await;
    let put = world.ask("both", Method::PUT, "/Patient/1", &other, &own).await;
    assert_eq!(put.status, 200, "{put:?}");
    let none = world
        .ask(
            "both",
            Method::PUT,
            "/Patient?identifier=M-50",
            &[("if-none-match", "*")],
            &patient("M-50", "Neu"),
        )
        .await;
    assert_eq!(none.status, 201, "{none:?}");
}

#[tokio::test]
async fn a_body_of_another_version_of_fhir_is_not_taken() {
    let world = World::start().await;
    for (kind, status) in [
        ("application/fhir+json; fhirVersion=4.0", 201),
        ("application/fhir+json; fhirVersion=3.0", 415),
        ("application/fhir+json; fhirVersion=\"5.0\"", 415),
    ] {
        let kind = [("content-type", kind)];
        let made =
            world.ask("both", Method::POST, "/Patient", &kind, &patient("M-60", "Neu")).await;
        assert_eq!(made.status, status, "{made:?}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_made_under_an_id_of_the_callers() {
    let world = World::start().await;
    let before = world.rows("people").await;
    let mut named = patient("M-70", "Neu");
    named["id"] = json!("70");
    for path in ["/Patient/70", "/Patient?identifier=M-70"] {
        let refused = world.send(Method::PUT, path, &named).await;
        assert_eq!(refused.status, 405, "{path}: {refused:?}");
    }
    // A patch is of what is there.
    let kind = [("content-type", "application/json-patch+json")];
    let patch = json!([{"op": "replace", "path": "/gender", "value": "male"}]);
    for path in ["/Patient/70", "/Patient?identifier=M-70"] {
        let none = world.ask("both", Method::PATCH, path, &kind, &patch).await;
        assert_eq!(none.status, 404, "{path}: {none:?}");
    }
    assert_eq!(world.rows("people").await, before);
}
