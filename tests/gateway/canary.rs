//! Words that must never leave: planted in every input and column, then looked for in everything the
//! gateway writes, at the most talkative log level there is.

use std::path::Path;

use reqwest::Method;
use serde_json::json;

use crate::support::{Gateway, Options, Reply, TestIssuer, sqlite_hospital};
use crate::world;

mod claims;
mod stored;

const PATIENT: &str = "canarypatientname";
const SECRETS: [&str; 9] = [
    "canarydbuser",
    "canarydbpassword",
    "canarydbname",
    "canarysearch",
    "canaryform",
    "canaryheader",
    "canarybody",
    "canarytoken",
    "canarypath",
];

#[tokio::test]
async fn nothing_planted_is_found_outside_the_answers() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let options = Options { egress: vec!["127.0.0.1/32:1".to_owned()], ..Options::default() };
    let gateway = world::hospitals(&issuer, &["north"], options).await;
    let file = gateway.folder().join("sqlite/canary.db");
    sqlite_hospital(&file, PATIENT, 1001..1006).await;
    gateway.change(Method::PUT, "north", "connection", json!({ "url": "sqlite:canary.db" })).await;
    let token = issuer.token("north");
    // Positive control: the rows do come, to whom they belong.
    let read = gateway.get(&token, "/Patient/1001").await;
    assert!(read.status == 200 && read.body.contains(PATIENT), "{read:?}");

    let mut refused = plant_in_requests(&gateway, &token).await;
    refused.extend(plant_in_orders(&gateway).await);
    let words: Vec<&str> = SECRETS.iter().copied().chain([PATIENT]).collect();
    unanswered(&refused, &words);
    let signature = token.rsplit('.').next().unwrap();
    let words: Vec<&str> = SECRETS.iter().copied().chain([PATIENT, signature]).collect();
    nowhere(&sinks(&gateway, &["registry.db", "registry.db-wal"]).await, &words);
}

/// Everything the gateway writes or shows of itself: its log, its metrics, the access log with its
/// checkpoints, the keys, and more of its folder's files; its command line and environment.
async fn sinks(gateway: &Gateway, more: &[&str]) -> Vec<(String, String)> {
    assert!(gateway.runs(), "the gateway died");
    // A refusal is told at DEBUG: the log does show more than it would in production.
    let refused = Reply::of(gateway.http.get(format!("{}/Patient", gateway.fhir))).await.unwrap();
    assert_eq!(refused.status, 401, "{refused:?}");
    let log = gateway.log().await;
    assert!(log.contains("\"TRACE\"") || log.contains("\"DEBUG\""), "the log is not talkative");
    let metrics = Reply::of(gateway.http.get(format!("{}/metrics", gateway.admin))).await.unwrap();
    assert!(metrics.body.contains("wardgate_"), "{metrics:?}");
    let mut sinks = vec![("log".to_owned(), log), ("metrics".to_owned(), metrics.body)];
    for place in ["audit", "checkpoints", "keys"].iter().chain(more) {
        files(&gateway.folder().join(place), &mut sinks);
    }
    let process = Path::new("/proc").join(gateway.pid().to_string());
    files(&process.join("cmdline"), &mut sinks);
    files(&process.join("environ"), &mut sinks);
    assert!(sinks.iter().any(|(name, text)| name.contains("audit") && !text.is_empty()));
    sinks
}

/// None of the words is anywhere.
fn nowhere(sinks: &[(String, String)], words: &[&str]) {
    for (name, text) in sinks {
        for word in words {
            let at = text.find(word);
            let near = at.map(|at| text[..at].chars().rev().take(300).collect::<Vec<_>>());
            let near: String = near.unwrap_or_default().into_iter().rev().collect();
            assert!(at.is_none(), "{word} in {name}, after: {near}");
        }
    }
}

/// None of the words is in an answer, its headers included.
fn unanswered(replies: &[Reply], words: &[&str]) {
    for reply in replies {
        let shown = format!("{:?} {}", reply.headers, reply.body);
        for word in words {
            assert!(!shown.contains(word), "{word} in an answer: {reply:?}");
        }
    }
}

/// Requests of the data plane with something planted; all of their answers must be free of it.
async fn plant_in_requests(gateway: &Gateway, token: &str) -> Vec<Reply> {
    let mut replies = Vec::new();
    for path in [
        "/Patient/canarypath",
        "/canarypath/1",
        "/Patient?nonsense=canarysearch&family=x",
        "/Patient?family:nonsense=canarysearch",
        "/Patient?birthdate=canarysearch",
        "/Patient?_cursor=canarysearch",
        "/Patient?_count=canarysearch",
        "/Patient?_id=canarysearch",
        "/Patient/1001/canarypath",
        "/Patient?access_token=canarytoken",
    ] {
        let mut reply = gateway.get(token, path).await;
        // The caller's own words come back in the links of a bundle.
        if reply.status < 300 {
            "".clone_into(&mut reply.body);
        }
        replies.push(reply);
    }
    // A search that finds nothing runs with the word as a bound value.
    let found = gateway.get(token, "/Patient?family=canarysearch").await;
    assert_eq!(found.status, 200, "{found:?}");
    for bad in ["canarytoken", "canarytoken.canarytoken.canarytoken"] {
        replies.push(gateway.get(bad, "/Patient/1001").await);
    }
    let url = format!("{}/Patient", gateway.fhir);
    for name in [
        "x-canary",
        "cookie",
        "accept",
        "if-none-match",
        "prefer",
        "user-agent",
        "traceparent",
        "x-forwarded-for",
        "x-request-id",
        "referer",
    ] {
        let request = gateway.http.get(format!("{url}/999")).bearer_auth(token);
        replies.push(Reply::of(request.header(name, "canaryheader")).await.unwrap());
    }
    let form = |body: &'static str| {
        let request = gateway.http.post(format!("{url}/_search")).bearer_auth(token);
        request.header("content-type", "application/x-www-form-urlencoded").body(body)
    };
    for body in ["birthdate=canaryform", "access_token=canarytoken", "_count=canaryform"] {
        replies.push(Reply::of(form(body)).await.unwrap());
    }
    let put = gateway.http.put(format!("{url}/1001")).bearer_auth(token).body("canarybody");
    replies.push(Reply::of(put).await.unwrap());
    replies
}

/// Orders of the control plane with secrets in them, sound and malformed.
async fn plant_in_orders(gateway: &Gateway) -> Vec<Reply> {
    const URL: &str = "postgres://canarydbuser:canarydbpassword@127.0.0.1:1/canarydbname";
    let mut replies = Vec::new();
    let order = async |method: Method, path: &str, body: String| {
        let generation = gateway.view("tenants/north").await["generation"].as_u64();
        gateway.operate(method, path, generation, Some(("application/json", body))).await
    };
    let put = "tenants/north/connection";
    for body in [
        json!({ "url": format!("{URL}?tls=loopback-plaintext") }).to_string(),
        json!({ "url": format!("{URL}?tls=canarydbname") }).to_string(),
        json!({ "url": format!("{URL}#canarydbpassword") }).to_string(),
        json!({ "url": URL, "canarybody": true }).to_string(),
        json!({ "url": ["canarydbpassword"] }).to_string(),
        format!("{{\"url\": \"{URL}"),
        "canarybody".to_owned(),
    ] {
        let reply = order(Method::PUT, put, body).await;
        assert!(reply.status >= 400, "{reply:?}");
        replies.push(reply);
    }
    // Sealed without being tried, and then used by requests and checks.
    let sealed = json!({ "url": format!("{URL}?tls=loopback-plaintext"), "check": false });
    let sealed = order(Method::PUT, put, sealed.to_string()).await;
    assert_eq!(sealed.status, 200, "{sealed:?}");
    replies.push(sealed);
    replies.push(gateway.operate(Method::POST, "tenants/north/check", None, None).await);
    for path in
        ["tenants/north", put, "tenants/north/pool", "tenants/north/breaker", "events", "keys"]
    {
        replies.push(gateway.operate(Method::GET, path, None, None).await);
    }
    replies.push(order(Method::POST, "tenants/north/mappings", "canarybody: [".to_owned()).await);
    replies
}

/// The texts of a file, or of all files below a folder.
fn files(place: &Path, into: &mut Vec<(String, String)>) {
    if place.is_dir() {
        for entry in std::fs::read_dir(place).unwrap() {
            files(&entry.unwrap().path(), into);
        }
    } else if let Ok(bytes) = std::fs::read(place) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        into.push((place.display().to_string(), text));
    }
}
