//! What a hospital's own administrator may do: her own mapping and access log, and nothing else.

use reqwest::Method;
use serde_json::Value;

use crate::support::issuer::clinician;
use crate::support::{Gateway, Options, Reply, TestIssuer, mapping};
use crate::world;

async fn start() -> (TestIssuer, Gateway) {
    let users = vec![
        clinician("reader", "north", &["fhir-read"]),
        clinician("chief", "north", &["fhir-admin"]),
        clinician("other", "south", &["fhir-admin"]),
        clinician("south", "south", &["fhir-read"]),
    ];
    let issuer = TestIssuer::start(users).await;
    let gateway = world::hospitals(&issuer, &["north", "south"], Options::default()).await;
    (issuer, gateway)
}

async fn ask(
    gateway: &Gateway,
    token: &str,
    method: Method,
    path: &str,
    tag: Option<&str>,
    body: &str,
) -> Reply {
    let base = gateway.fhir.trim_end_matches("/fhir");
    let mut request = gateway
        .http
        .request(method, format!("{base}/tenant/v1/{path}"))
        .bearer_auth(token)
        .header("content-type", "application/yaml")
        .body(body.to_owned());
    if let Some(tag) = tag {
        request = request.header("if-match", tag);
    }
    Reply::of(request).await.expect("an answer")
}

async fn get(gateway: &Gateway, token: &str, path: &str) -> Reply {
    ask(gateway, token, Method::GET, path, None, "").await
}

#[tokio::test]
async fn she_publishes_and_takes_back_her_own_mapping_and_no_others() {
    let (issuer, gateway) = start().await;
    let (chief, reader) = (issuer.token("chief"), issuer.token("reader"));
    let system = async || {
        let read = gateway.get(&reader, "/Patient/1001").await;
        read.json()["identifier"][0]["system"].as_str().unwrap().to_owned()
    };
    let faulty =
        ask(&gateway, &chief, Method::POST, "mappings", None, "mapping: 1\nresources: 3\n");
    let faulty = faulty.await;
    assert_eq!(faulty.status, 422, "{faulty:?}");
    assert!(!faulty.json()["problems"].as_array().unwrap().is_empty(), "{faulty:?}");

    let stored = ask(&gateway, &chief, Method::POST, "mappings", None, &mapping("own")).await;
    assert_eq!((stored.status, stored.json()["version"].as_u64()), (201, Some(2)), "{stored:?}");
    assert_eq!(system().await, "urn:mapping:1", "a draft is not in force");
    let text = get(&gateway, &chief, "mappings/2").await;
    assert_eq!((text.status, text.body), (200, mapping("own")));

    let blind = ask(&gateway, &chief, Method::POST, "mappings/2/publish", None, "").await;
    assert_eq!(blind.status, 428, "{blind:?}");
    let list = get(&gateway, &chief, "mappings").await;
    let tag = list.header("etag").to_owned();
    let published = ask(&gateway, &chief, Method::POST, "mappings/2/publish", Some(&tag), "").await;
    assert_eq!(published.json()["mapping"]["active"], 2, "{published:?}");
    for hidden in ["connection", "identities", "reason", "limits"] {
        assert!(published.json().get(hidden).is_none(), "{hidden}: {published:?}");
    }
    assert_eq!(system().await, "urn:mapping:own");
    let stale = ask(&gateway, &chief, Method::POST, "mappings/rollback", Some(&tag), "").await;
    assert_eq!(stale.status, 412, "{stale:?}");
    let tag = published.header("etag").to_owned();
    let back = ask(&gateway, &chief, Method::POST, "mappings/rollback", Some(&tag), "").await;
    assert_eq!(back.json()["mapping"]["active"], 1, "{back:?}");
    assert_eq!(system().await, "urn:mapping:1");

    // The other hospital saw nothing of it, and operators see who did it.
    let other = get(&gateway, &issuer.token("other"), "mappings").await.json();
    assert_eq!(other.as_array().unwrap().len(), 1, "{other}");
    let events = gateway.view("events").await;
    let actors = events["events"].as_array().unwrap().iter().filter(|event| {
        event["actor"].as_str().is_some_and(|actor| actor.starts_with("hospital:http"))
    });
    assert_eq!(actors.count(), 3, "stored, published, rolled back: {events}");
}

#[tokio::test]
async fn others_are_refused_in_the_form_of_the_admin_api() {
    let (issuer, gateway) = start().await;
    for (user, status) in [("reader", 403), (crate::support::OPERATOR, 401)] {
        for path in ["mappings", "mappings/1", "access-log"] {
            let refused = get(&gateway, &issuer.token(user), path).await;
            assert_eq!(refused.status, status, "{user} {path}: {refused:?}");
            let kind = refused.header("content-type");
            assert!(kind.starts_with("application/problem+json"), "{refused:?}");
            assert!(!refused.header("www-authenticate").is_empty() || status == 403);
        }
    }
    // Managing is not reading.
    assert_eq!(gateway.get(&issuer.token("chief"), "/Patient/1001").await.status, 403);
}

#[tokio::test]
async fn she_reads_her_own_access_log_page_by_page_and_that_is_written_down() {
    let (issuer, gateway) = start().await;
    let (chief, reader) = (issuer.token("chief"), issuer.token("reader"));
    let mut asked = Vec::new();
    for _ in 0..9 {
        let read = gateway.get(&reader, "/Patient/1001").await;
        asked.push(read.header("x-request-id").to_owned());
        assert_eq!(gateway.get(&issuer.token("south"), "/Patient/2001").await.status, 200);
    }
    let find = gateway.get(&reader, "/Patient?family=mark-north").await;
    assert_eq!(find.status, 200, "{find:?}");
    asked.push(find.header("x-request-id").to_owned());
    // Filed soon after it is durable.
    let mut first = get(&gateway, &chief, "access-log?limit=200").await.json();
    let seen = |page: &Value| page.to_string().contains(asked.last().unwrap());
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while !seen(&first) {
        assert!(tokio::time::Instant::now() < deadline, "{first}");
        first = get(&gateway, &chief, "access-log?limit=200").await.json();
    }
    let (mut events, mut cursor) = (Vec::<Value>::new(), String::new());
    loop {
        let reply = get(&gateway, &chief, &format!("access-log?limit=4{cursor}")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(!reply.body.contains("mark-") && !reply.body.contains("1001\""), "{reply:?}");
        let page = reply.json();
        let of_page = page["events"].as_array().unwrap();
        assert!(of_page.len() <= 4, "{page}");
        events.extend(of_page.iter().cloned());
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let numbers: Vec<u64> = events.iter().map(|event| event["n"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a > b), "newest first, each once: {numbers:?}");
    let north = gateway.view("tenants/north").await["id"].clone();
    assert!(events.iter().all(|event| event["tenant"] == north), "{events:?}");
    // That her rows were counted when the mapping was stored stands in it too.
    assert_eq!(events.last().unwrap()["action"], "mapping.check", "{events:?}");
    let own = ["access_log.read", "mapping.check"];
    let requests: Vec<&str> = events
        .iter()
        .filter(|event| !own.contains(&event["action"].as_str().unwrap()))
        .map(|event| event["request"].as_str().unwrap())
        .collect();
    assert_eq!(requests, asked.iter().rev().map(String::as_str).collect::<Vec<_>>());
    // Her own readings are filed soon as well.
    let reading = |page: &Value| page.to_string().contains("access_log.read");
    while !reading(&first) {
        assert!(tokio::time::Instant::now() < deadline, "{first}");
        first = get(&gateway, &chief, "access-log?limit=200").await.json();
    }
    for bad in ["cursor=nonsense", "limit=many", "tenant=south"] {
        let refused = get(&gateway, &chief, &format!("access-log?{bad}")).await;
        assert_eq!(refused.status, 400, "{bad}: {refused:?}");
    }
}

/// The mapping over a named source with this statement.
fn over(sql: &str, version: &str) -> String {
    let text = mapping(version).replace("{table: patients}", "{source: people}");
    format!("{text}sources:\n  people: {{key: id, sql: \"{sql}\"}}\n")
}

#[tokio::test]
async fn what_a_mapping_brings_as_sql_an_operator_answers_for() {
    let (issuer, gateway) = start().await;
    let (chief, reader) = (issuer.token("chief"), issuer.token("reader"));
    let store =
        async |text: &str| ask(&gateway, &chief, Method::POST, "mappings", None, text).await;
    let codes = |reply: &Reply| -> Vec<String> {
        let problems = reply.json()["problems"].as_array().cloned().unwrap_or_default();
        let errors = problems.iter().filter(|problem| problem["severity"] == "error");
        errors.map(|p| p["code"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let (own, other) = ("SELECT * FROM patients", "SELECT * FROM patients WHERE id > 0");
    let refused = store(&over(own, "2")).await;
    assert_eq!((refused.status, codes(&refused)), (422, vec!["source-not-approved".to_owned()]));

    // An operator puts it in force.
    gateway.publish("north", &over(own, "3")).await;
    let read = gateway.get(&reader, "/Patient/1001").await;
    assert_eq!(read.json()["identifier"][0]["system"], "urn:mapping:3", "{read:?}");

    // The same statement may go on; another, or one more, may not.
    let stored = store(&over(own, "4")).await;
    assert_eq!(stored.status, 201, "{stored:?}");
    let more = over(own, "5") + "  more: {sql: \"SELECT 1 AS a\"}\n";
    for text in [over(other, "5"), over("SELECT  * FROM patients", "5"), more] {
        let refused = store(&text).await;
        assert_eq!(
            (refused.status, codes(&refused)),
            (422, vec!["source-not-approved".to_owned()])
        );
    }

    // What an operator has only stored is not hers to publish.
    let body = Some(("application/yaml", over(other, "6")));
    let drafted = gateway.operate(Method::POST, "tenants/north/mappings", None, body).await;
    let version = drafted.json()["version"].as_u64().expect("a version");
    let tag = get(&gateway, &chief, "mappings").await.header("etag").to_owned();
    let path = format!("mappings/{version}/publish");
    let refused = ask(&gateway, &chief, Method::POST, &path, Some(&tag), "").await;
    assert!((400..500).contains(&refused.status), "{refused:?}");
    assert!(!refused.body.contains("SELECT"), "{refused:?}");
    let read = gateway.get(&reader, "/Patient/1001").await;
    assert_eq!(read.json()["identifier"][0]["system"], "urn:mapping:3", "{read:?}");

    // Nor does an operator's text write, or run as two.
    for bad in ["DELETE FROM patients", "SELECT 1; DROP TABLE patients", "SELECT 1 AS id -- x"] {
        let body = Some(("application/yaml", over(bad, "7")));
        let refused = gateway.operate(Method::POST, "tenants/north/mappings", None, body).await;
        assert_eq!((refused.status, codes(&refused)[0].as_str()), (422, "source"), "{refused:?}");
    }
    let twice = "SELECT 1 AS id, mrn, family_name, given_names FROM patients";
    let body = Some(("application/yaml", over(twice, "8")));
    let refused = gateway.operate(Method::POST, "tenants/north/mappings", None, body).await;
    assert_eq!((refused.status, codes(&refused)[0].as_str()), (422, "key-not-unique"));
}
