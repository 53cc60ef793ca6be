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

fn put(url: &str, name: Option<&str>, resource: &Value) -> Value {
    json!({"fullUrl": name, "resource": resource, "request": {"method": "PUT", "url": url}})
}

/// The subjects of a bundle's observations, as the answer shows them.
fn subjects(answer: &Value) -> Vec<String> {
    let entries = answer["entry"].as_array().cloned().unwrap_or_default();
    let subject =
        |entry: &Value| entry["resource"]["subject"]["reference"].as_str().map(str::to_owned);
    entries.iter().filter_map(subject).collect()
}

/// A bundle that comes from another server calls its resources by that server's addresses, and refers to them
/// relative to those (R4, Bundle, "Resolving references"): what is `Patient/1` there is nobody's Patient/1 here.
#[tokio::test]
async fn references_mean_the_resources_of_the_bundle_they_came_with() {
    let world = World::start().await;
    let there = "https://other.example/fhir";
    let of = |what: &str| format!("{there}/{what}");
    for reference in ["Patient/1".to_owned(), of("Patient/1"), "Patient/1/_history/2".to_owned()] {
        let mrn = format!("M-{}", reference.len());
        let sent = bundle(
            "transaction",
            &[
                post("Observation", Some(&of("Observation/5")), &observation(&reference, 61.0)),
                post("Patient", Some(&of("Patient/1")), &patient(&mrn, "Neu")),
            ],
        );
        let done = world.send(Method::POST, "", &sent).await;
        assert_eq!(done.status, 200, "{done:?}");
        let answer = done.json();
        let new = format!("Patient/{}", answer["entry"][1]["resource"]["id"].as_str().unwrap());
        assert_ne!(new, "Patient/1");
        assert_eq!(subjects(&answer), [new], "{reference}");
    }
    // By the id in the body alone nobody can tell which one is meant.
    let mut own = patient("M-11", "Neu");
    own["id"] = json!("1");
    let sent =
        [post("Patient", None, &own), post("Observation", None, &observation("Patient/1", 1.0))];
    let refused = world.send(Method::POST, "", &bundle("transaction", &sent)).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(refused.body.contains("Entry 1: A reference names a new resource"), "{refused:?}");
    // Patient/2 of another server, which it does not bring, is not the one here.
    let name = of("Observation/6");
    let sent = [post("Observation", Some(&name), &observation("Patient/2", 3.0))];
    let refused = world.send(Method::POST, "", &bundle("transaction", &sent)).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(refused.body.contains("the bundle does not bring it"), "{refused:?}");
    // Where the full URL is no server's, a relative reference is to what is here.
    let sent = [
        post("Observation", Some(URN), &observation("Patient/1", 2.0)),
        post("Patient", Some(&of("Patient/1")), &patient("M-10", "Neu")),
    ];
    let done = world.send(Method::POST, "", &bundle("transaction", &sent)).await;
    assert_eq!(subjects(&done.json()), ["Patient/1"], "{done:?}");
}

/// A conditional update is the usual way to send a patient with what was found of her.
#[tokio::test]
async fn new_resources_point_to_what_a_condition_finds_or_makes() {
    let world = World::start().await;
    let mut named = patient("M-7", "Neu");
    for status in ["201 Created", "200 OK"] {
        let sent = [
            post("Observation", None, &observation(URN, 61.0)),
            json!({"request": {"method": "GET", "url": "Patient/1"}}),
            put("Patient?identifier=urn:mrn|M-7", Some(URN), &named),
        ];
        let done = world.send(Method::POST, "", &bundle("transaction", &sent)).await;
        assert_eq!(done.status, 200, "{done:?}");
        let answer = done.json();
        assert_eq!(answer["entry"][2]["response"]["status"], status, "{answer}");
        assert_eq!(subjects(&answer), ["Patient/4"], "{answer}");
        named["birthDate"] = json!("1990-01-02");
    }
}

#[tokio::test]
async fn what_only_looks_like_a_name_stays() {
    let world = World::start().await;
    let mut other = world.read("/Patient/1").await;
    other["identifier"][0]["value"] = json!("urn:x");
    other["name"][0]["family"] = json!("urn:x");
    let sent =
        [post("Patient", Some("urn:x"), &patient("M-8", "Neu")), put("Patient/1", None, &other)];
    let done = world.send(Method::POST, "", &bundle("transaction", &sent)).await;
    assert_eq!(done.status, 200, "{done:?}");
    let kept = &done.json()["entry"][1]["resource"];
    for element in [&kept["identifier"][0]["value"], &kept["name"][0]["family"]] {
        assert_eq!(element, "urn:x", "{kept}");
    }
}

#[tokio::test]
async fn a_transaction_says_which_condition_stands_in_its_way() {
    let world = World::start().await;
    let before = (world.rows("people").await, world.rows("measure").await);
    let find = "Patient?identifier=urn:mrn|M-1";
    let one = world.read("/Patient/1").await;
    let mut other = one.clone();
    other["name"][0]["family"] = json!("Zwei");
    let nobody = observation("Patient?identifier=urn:mrn|nobody", 1.0);
    for (entries, status, said) in [
        (vec![post("Observation", None, &nobody)], 412, "finds nothing"),
        (vec![put(find, None, &other), put(find, None, &one)], 400, "once only"),
        (vec![put(find, None, &one), put("Patient/1", None, &other)], 400, "once only"),
    ] {
        let refused = world.send(Method::POST, "", &bundle("transaction", &entries)).await;
        assert_eq!(refused.status, status, "{refused:?}");
        assert!(refused.body.contains(said), "{said}: {refused:?}");
    }
    assert_eq!((world.rows("people").await, world.rows("measure").await), before);
}

#[tokio::test]
async fn the_address_of_an_entry_may_be_the_whole_one() {
    let world = World::start().await;
    let url =
        |base: &str| json!({"request": {"method": "GET", "url": format!("{base}/Patient/1")}});
    let found = world.read("/Patient?_id=1").await;
    let own = found["entry"][0]["fullUrl"].as_str().unwrap().strip_suffix("/Patient/1").unwrap();
    let sent = bundle("batch", &[url(own), url("https://other.example/fhir"), url("")]);
    let done = world.send(Method::POST, "", &sent).await.json();
    let statuses: Vec<_> =
        done["entry"].as_array().unwrap().iter().map(|e| e["response"]["status"].clone()).collect();
    assert_eq!(statuses, ["200 OK", "400 Bad Request", "200 OK"], "{done}");
}
