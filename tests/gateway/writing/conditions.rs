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
