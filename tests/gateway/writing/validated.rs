//! `$validate`: what would be refused is named beforehand, all at once, and no row is touched.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::refused::{elements, values};
use super::{World, issues, paths, patient};
use crate::support::Reply;

const NEW: &str = "/Patient/$validate";

async fn validate(world: &World, path: &str, body: &Value) -> Reply {
    let reply = world.send(Method::POST, path, body).await;
    assert_eq!(reply.status, 200, "{body} {reply:?}");
    assert_eq!(reply.header("content-type"), "application/fhir+json; charset=utf-8");
    reply
}

fn is_fine(reply: &Reply) -> bool {
    let severities = reply.json()["issue"].as_array().unwrap().clone();
    severities.iter().all(|issue| issue["severity"] == "information")
}

async fn everything(world: &World) -> Vec<String> {
    let mut all = world.rows("people").await;
    all.extend(world.rows("contact").await);
    all.extend(world.rows("measure").await);
    all
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_new_resource_is_named_at_once() {
    let world = World::start().await;
    let before = everything(&world).await;
    let good = patient("M-9", "Neu");
    assert!(is_fine(&validate(&world, NEW, &good).await));
    let parameters = |mut more: Vec<Value>, resource: &Value| {
        more.push(json!({"name": "resource", "resource": resource}));
        json!({"resourceType": "Parameters", "parameter": more})
    };
    let own = "http://hl7.org/fhir/StructureDefinition/Patient";
    let more = vec![
        json!({"name": "mode", "valueCode": "create"}),
        json!({"name": "profile", "valueUri": format!("{own}|4.0.1")}),
    ];
    assert!(is_fine(&validate(&world, NEW, &parameters(more, &good)).await));
    let path = format!("{NEW}?mode=create&profile={own}&_format=json");
    assert!(is_fine(&validate(&world, &path, &good).await));

    let bad = json!({
        "resourceType": "Patient", "nmae": 1, "gender": "f", "birthDate": "1985", "active": "yes",
        "maritalStatus": {"text": "x"}, "identifier": [{"system": "urn:mrn"}], "name": [{"family": "x", "use": "nickname"}],
        "telecom": [{"system": "fax", "value": "1"}, {"system": "phone", "value": "1", "use": "home"}, {"system": "phone"}],
        "generalPractitioner": [{"display": "X"}]
    });
    let profile = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient";
    let body = parameters(vec![json!({"name": "profile", "valueCanonical": profile})], &bad);
    let mut found = issues(&validate(&world, NEW, &body).await);
    found.sort();
    let wanted = [
        ("Patient", "not-supported"),
        ("Patient.active", "value"),
        ("Patient.birthDate", "value"),
        ("Patient.gender", "code-invalid"),
        ("Patient.generalPractitioner[0].display", "business-rule"),
        ("Patient.identifier.value", "required"),
        ("Patient.maritalStatus", "not-supported"),
        ("Patient.name.family", "required"),
        ("Patient.name[0]", "not-supported"),
        ("Patient.nmae", "structure"),
        ("Patient.telecom[0].system", "value"),
        ("Patient.telecom[1].use", "not-supported"),
        ("Patient.telecom[2]", "required"),
    ];
    let wanted = wanted.map(|(path, code)| (path.to_owned(), code.to_owned()));
    assert_eq!(found, wanted);
    // A type that takes some orders and not others.
    let observation = json!({"resourceType": "Observation", "status": "final", "code": {"coding": [{"code": "?"}]},
        "subject": {"reference": "Group/1"}, "valueQuantity": {"value": 12345.678}});
    let mut found = paths(&validate(&world, "/Observation/$validate", &observation).await);
    found.sort();
    let wanted = [
        "Observation.code.coding[0].code",
        "Observation.effectiveDateTime",
        "Observation.subject.reference",
        "Observation.valueQuantity.value",
    ];
    assert_eq!(found, wanted);
    assert_eq!(everything(&world).await, before);
}

/// A PUT refused before the database is asked, and the answer to `$validate`, name the same elements.
#[tokio::test]
async fn a_change_is_judged_as_it_would_be() {
    let world = World::start().await;
    let before = everything(&world).await;
    let served = world.read("/Patient/1").await;
    assert!(is_fine(&validate(&world, "/Patient/1/$validate", &served).await));
    for (body, status, wanted) in elements(&served).into_iter().chain(values(&served)) {
        let reply = validate(&world, "/Patient/1/$validate", &body).await;
        let mut found = paths(&reply);
        found.sort();
        let only_the_database_knows = status == 409 || body["name"][0]["family"] == "Forbidden";
        if only_the_database_knows {
            assert!(is_fine(&reply), "{body} {reply:?}");
        } else {
            for path in wanted {
                assert!(found.iter().any(|found| found == path), "{path}: {body} {reply:?}");
            }
        }
        assert!(!reply.body.contains("people") && !reply.body.contains("Rey"), "{reply:?}");
    }
    let nobody = validate(&world, "/Patient/99/$validate", &served).await;
    assert_eq!(issues(&nobody), [("Patient".to_owned(), "not-found".to_owned())]);
    // An end needs no content.
    for (path, fine) in [
        ("/Patient/1/$validate?mode=delete", true),
        ("/Observation/m-100/$validate?mode=delete", true),
        ("/Patient/99/$validate?mode=delete", false),
    ] {
        assert_eq!(is_fine(&validate(&world, path, &Value::Null).await), fine, "{path}");
    }
    assert_eq!(everything(&world).await, before);
}

#[tokio::test]
async fn what_a_display_follows_from_decides() {
    let world = World::start().await;
    let served = world.read("/Observation/m-100").await;
    let with = |code: &str, display: Option<&str>| {
        let mut body = served.clone();
        body["code"]["coding"][0] = json!({"system": "http://loinc.org", "code": code});
        if let Some(display) = display {
            body["code"]["coding"][0]["display"] = json!(display);
        }
        body
    };
    let display = "Observation.code.coding[0].display";
    for (body, wanted) in [
        (with("8867-4", Some("Heart rate")), None),
        (with("8867-4", None), None),
        (with("8310-5", None), None),
        (with("8867-4", Some("Puls")), Some(display)),
        (with("8310-5", Some("Heart rate")), Some(display)),
    ] {
        for (path, id) in
            [("/Observation/$validate", None), ("/Observation/m-100/$validate", Some(()))]
        {
            let reply = validate(&world, path, &body).await;
            match wanted {
                None => assert!(is_fine(&reply), "{id:?} {body} {reply:?}"),
                Some(path) => assert_eq!(paths(&reply), [path], "{id:?} {body}"),
            }
        }
        let put = world.send(Method::PUT, "/Observation/m-100", &body).await;
        assert_eq!(put.status, if wanted.is_some() { 422 } else { 200 }, "{body} {put:?}");
    }
}

#[tokio::test]
async fn what_is_no_question_is_refused_as_such() {
    let world = World::start().await;
    let good = patient("M-9", "Neu");
    let parameters = |list: Value| json!({"resourceType": "Parameters", "parameter": list});
    let resource = json!({"name": "resource", "resource": good});
    for (path, body) in [
        (NEW.to_owned(), Value::Null),
        (NEW.to_owned(), parameters(json!([]))),
        (NEW.to_owned(), parameters(json!([resource, resource]))),
        (NEW.to_owned(), parameters(json!([resource, {"name": "mode", "valueInteger": 1}]))),
        (NEW.to_owned(), parameters(json!([resource, {"name": "other", "valueCode": "x"}]))),
        (format!("{NEW}?mode=update"), good.clone()),
        (format!("{NEW}?mode=delete"), good.clone()),
        (format!("{NEW}?mode=create&mode=create"), good.clone()),
        (format!("{NEW}?strict=true"), good.clone()),
        ("/Patient/1/$validate?mode=create".to_owned(), good.clone()),
        ("/Patient/1/$validate?mode=mend".to_owned(), good.clone()),
    ] {
        let refused = world.send(Method::POST, &path, &body).await;
        assert_eq!((refused.status, issues(&refused).len()), (400, 1), "{path} {body} {refused:?}");
    }
    assert_eq!(world.send(Method::POST, "/Basic/$validate", &good).await.status, 404);
    assert_eq!(world.send(Method::GET, NEW, &Value::Null).await.status, 405);
    let capability = world.read("/metadata").await;
    for resource in capability["rest"][0]["resource"].as_array().unwrap() {
        let operations = resource["operation"].as_array().unwrap();
        assert!(operations.iter().any(|o| o["name"] == "validate"), "{resource}");
    }
}

#[tokio::test]
async fn who_may_ask_and_that_it_is_written_down() {
    let world = World::start().await;
    let good = patient("M-9", "Neu");
    let ask = async |user: &str, path: &str, body: &Value| {
        world.ask(user, Method::POST, path, &[], body).await
    };
    let served = world.read("/Patient/1").await;
    // What a row would not take tells what is in it.
    for (user, path, status) in [
        ("both", NEW, 200),
        ("writer", NEW, 200),
        ("reader", NEW, 403),
        ("both", "/Patient/1/$validate", 200),
        ("writer", "/Patient/1/$validate", 403),
        ("reader", "/Patient/1/$validate", 403),
        ("writer", "/Patient/1/$validate?mode=delete", 403),
    ] {
        let body = if path == NEW { &good } else { &served };
        let reply = ask(user, path, body).await;
        assert_eq!(reply.status, status, "{user} {path} {reply:?}");
    }
    let url = world.gateway.fhir.replace("/fhir", "/tenant/v1/access-log?limit=200");
    let begun = tokio::time::Instant::now();
    let events = loop {
        let log = world.gateway.http.get(&url).bearer_auth(world.issuer.token("chief"));
        let log = Reply::of(log).await.unwrap().json();
        let events: Vec<Value> = log["events"].as_array().unwrap().clone();
        let events: Vec<Value> =
            events.into_iter().filter(|event| event["action"] == "validate").collect();
        if events.len() >= 7 {
            break events;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{log}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let count = |outcome: &str| events.iter().filter(|event| event["outcome"] == outcome).count();
    assert_eq!((count("success"), count("denied"), events.len()), (3, 4, 7), "{events:?}");
    assert!(events.iter().all(|event| event["type"] == "Patient"), "{events:?}");
    assert_eq!(events.iter().filter(|event| event["id"].is_string()).count(), 4, "{events:?}");
}

#[tokio::test]
async fn a_batch_says_of_each_what_it_would_say_alone() {
    let world = World::start().await;
    let before = everything(&world).await;
    let post = |url: &str, resource: &Value| {
        let mut entry = json!({"request": {"method": "POST", "url": url}});
        if !resource.is_null() {
            entry["resource"] = resource.clone();
        }
        entry
    };
    let (good, mut bad) = (patient("M-9", "Neu"), patient("M-9", "Neu"));
    bad["gender"] = json!("f");
    let asked = [
        ("Patient/$validate", good.clone(), "200", "information"),
        ("Patient/$validate", bad.clone(), "200", "code-invalid"),
        ("Patient/1/$validate?mode=delete", Value::Null, "200", "information"),
        ("Patient/99/$validate?mode=delete", Value::Null, "200", "not-found"),
        ("Patient/$validate?mode=update", good.clone(), "400", "invalid"),
        ("Patient/$validate?shoe=1", good.clone(), "400", "invalid"),
        ("Patient/$validate/1", good.clone(), "400", "invalid"),
        ("Patient/1/2/$validate", good.clone(), "400", "invalid"),
        ("Group/$validate", json!({"resourceType": "Group"}), "404", "not-"),
    ];
    let entries: Vec<Value> = asked.iter().map(|(url, body, ..)| post(url, body)).collect();
    let bundle = |kind: &str, entries: &[Value]| json!({"resourceType": "Bundle", "type": kind, "entry": entries});
    let reply = world.send(Method::POST, "/", &bundle("batch", &entries)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let answer = reply.json();
    for ((url, body, status, code), entry) in asked.iter().zip(answer["entry"].as_array().unwrap())
    {
        let own = entry["response"]["status"].as_str().unwrap();
        assert!(own.starts_with(status), "{url}: {entry}");
        let outcome =
            if *status == "200" { &entry["resource"] } else { &entry["response"]["outcome"] };
        assert_eq!(outcome["resourceType"], "OperationOutcome", "{url}: {entry}");
        assert!(outcome.to_string().contains(code), "{url}: {entry}");
        let alone = world.send(Method::POST, &format!("/{url}"), body).await;
        if *status == "200" {
            assert_eq!(&alone.json(), outcome, "{url}");
        }
    }
    let one = [post("Patient/$validate", &good)];
    let whole = world.send(Method::POST, "/", &bundle("transaction", &one)).await;
    assert_eq!(whole.status, 400, "{whole:?}");
    let body = bundle("batch", &one);
    let refused = world.ask("reader", Method::POST, "/", &[], &body).await.json();
    assert!(refused["entry"][0]["response"]["status"].as_str().unwrap().starts_with("403"));
    assert_eq!(everything(&world).await, before);
}
