//! Batches and transactions.

use reqwest::Method;
use serde_json::{Value, json};

use super::{World, paths, patient};

const URN: &str = "urn:uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8";

fn observation(subject: &str, value: f64) -> Value {
    json!({
        "resourceType": "Observation", "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": subject}, "effectiveDateTime": "2026-05-06T10:00:00Z",
        "valueQuantity": {"value": value, "unit": "/min"}
    })
}

fn post(url: &str, name: Option<&str>, resource: &Value) -> Value {
    json!({"fullUrl": name, "resource": resource, "request": {"method": "POST", "url": url}})
}

fn bundle(kind: &str, entries: &[Value]) -> Value {
    json!({"resourceType": "Bundle", "type": kind, "entry": entries})
}

#[tokio::test]
async fn a_transaction_is_whole_and_a_batch_is_not() {
    let world = World::start().await;
    let urn = URN;
    let good = bundle(
        "transaction",
        &[
            json!({"request": {"method": "GET", "url": "Patient/2"}}),
            post("Observation", None, &observation(urn, 61.0)),
            post("Patient", Some(urn), &patient("M-7", "Neu")),
            post("Observation", None, &observation("Patient?identifier=urn:mrn|M-1", 62.5)),
            json!({"request": {"method": "DELETE", "url": "Observation/m-100"}}),
        ],
    );
    let done = world.send(Method::POST, "/", &good).await;
    assert_eq!(done.status, 200, "{done:?}");
    let answer = done.json();
    assert_eq!(answer["type"], "transaction-response");
    let statuses: Vec<&str> = answer["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["response"]["status"].as_str().unwrap())
        .collect();
    assert_eq!(
        statuses,
        ["200 OK", "201 Created", "201 Created", "201 Created", "204 No Content"],
        "{answer}"
    );
    assert_eq!(answer["entry"][1]["resource"]["subject"]["reference"], "Patient/4");
    assert_eq!(answer["entry"][0]["resource"]["id"], "2");
    assert_eq!(
        world.rows("measure").await,
        ["1|4|HR|61|/min|06/05/2026 06:00", "2|1|HR|62.5|/min|06/05/2026 06:00"]
    );
}

#[tokio::test]
async fn one_bad_entry_undoes_a_transaction() {
    let world = World::start().await;
    let before = (world.rows("people").await, world.rows("measure").await);
    for (bad, status, path) in [
        (
            post("Patient", None, &patient("M-1", "Doppelt")),
            409,
            "Bundle.entry[1].resource.identifier[0].value",
        ),
        (
            post("Observation", None, &observation("Patient/999", 1.0)),
            409,
            "Bundle.entry[1].resource",
        ),
        (
            post("Patient", None, &json!({"resourceType": "Patient", "photo": [{"title": "x"}]})),
            422,
            "Bundle.entry[1].resource.photo",
        ),
        (post("Observation", None, &observation("Patient?gender=unknown,female", 1.0)), 412, ""),
        (json!({"request": {"method": "GET", "url": "Patient/999"}}), 404, ""),
        (json!({"request": {"method": "GET", "url": "Patient?gender=male"}}), 400, ""),
        (json!({"request": {"method": "POST", "url": "Patient/1"}}), 400, ""),
    ] {
        let refused =
            bundle("transaction", &[post("Patient", None, &patient("M-8", "Neu")), bad.clone()]);
        let refused = world.send(Method::POST, "", &refused).await;
        assert_eq!(refused.status, status, "{bad} {refused:?}");
        assert!(paths(&refused).iter().any(|p| p == path), "{refused:?}");
    }
    assert_eq!((world.rows("people").await, world.rows("measure").await), before);
}

#[tokio::test]
async fn a_batch_carries_each_entry_out_by_itself() {
    let world = World::start().await;
    let batch = bundle(
        "batch",
        &[
            post("Patient", None, &patient("M-1", "Doppelt")),
            post("Patient", None, &patient("M-8", "Neu")),
            json!({"request": {"method": "GET", "url": "Patient?identifier=M-8"}}),
            json!({"request": {"method": "GET", "url": "Patient/777"}}),
            json!({"request": {"method": "BREW", "url": "Patient"}}),
            json!({"request": {"method": "DELETE", "url": "Patient/2"}}),
            json!({"request": {"method": "GET", "url": "Patient/1/$everything?_count=1"}}),
            json!({"request": {"method": "GET", "url": "Patient/1/Observation"}}),
            json!({"request": {"method": "GET", "url": "Observation/m-1/$everything"}}),
        ],
    );
    let done = world.send(Method::POST, "", &batch).await.json();
    let statuses: Vec<&str> = done["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["response"]["status"].as_str().unwrap()[..3])
        .collect();
    let wanted = ["409", "201", "200", "404", "400", "204", "200", "200", "400"];
    assert_eq!(statuses, wanted, "{done}");
    assert_eq!(done["entry"][6]["resource"]["entry"][0]["resource"]["id"], "1", "{done}");
    let alone = world.read("/Patient/1/Observation").await;
    assert_eq!(done["entry"][7]["resource"], alone);
    assert_eq!(
        done["entry"][2]["resource"]["entry"][0]["resource"]["name"][0]["family"], "Neu",
        "{done}"
    );
    // A writer's batch reads nothing, a reader's writes nothing.
    let statuses = async |user: &str| {
        let done = world.ask(user, Method::POST, "", &[], &batch).await.json();
        let entries = done["entry"].as_array().unwrap().clone();
        assert!(user == "reader" || entries.iter().all(|e| e.get("resource").is_none()), "{done}");
        entries
            .iter()
            .map(|e| e["response"]["status"].as_str().unwrap()[..3].to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        statuses("reader").await,
        ["403", "403", "200", "404", "400", "403", "200", "200", "400",]
    );
    assert_eq!(
        statuses("writer").await,
        ["409", "409", "403", "403", "400", "204", "403", "403", "400",]
    );
}
