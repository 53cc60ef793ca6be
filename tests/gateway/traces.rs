//! Traces, as a collector gets them over OTLP/HTTP.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::support::{Options, Reply, TestIssuer};
use crate::world;

/// A collector that keeps what it gets.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<(HeaderMap, String)>>>);

async fn take(State(kept): State<Collector>, headers: HeaderMap, body: String) -> StatusCode {
    kept.0.lock().unwrap().push((headers, body));
    StatusCode::OK
}

impl Collector {
    async fn start() -> (Self, String) {
        let kept = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let router = Router::new().route("/v1/traces", post(take)).with_state(kept.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (kept, url)
    }

    /// Everything that came, as it came.
    fn raw(&self) -> String {
        self.0.lock().unwrap().iter().map(|(_, body)| body.as_str()).collect()
    }

    fn spans(&self) -> Vec<Value> {
        let mut spans = Vec::new();
        for (headers, body) in &*self.0.lock().unwrap() {
            assert_eq!(headers["content-type"], "application/json");
            assert_eq!(headers["authorization"], "Bearer collector-secret");
            let message: Value = serde_json::from_str(body).expect("JSON");
            for resource in message["resourceSpans"].as_array().expect("resources") {
                let named = attribute(&resource["resource"], "service.name");
                assert_eq!(named.as_deref(), Some("wardgate"), "{resource}");
                for scope in resource["scopeSpans"].as_array().expect("scopes") {
                    spans.extend(scope["spans"].as_array().expect("spans").iter().cloned());
                }
            }
        }
        spans
    }
}

fn attribute(of: &Value, key: &str) -> Option<String> {
    let all = of["attributes"].as_array().expect("attributes");
    let value = &all.iter().find(|one| one["key"] == key)?["value"];
    let value = value.get("stringValue").or_else(|| value.get("intValue"));
    Some(value.expect("a value").as_str().expect("a text").to_owned())
}

fn nanos(span: &Value, key: &str) -> u128 {
    span[key].as_str().expect("a text").parse().expect("a number")
}

#[tokio::test]
async fn requests_and_their_statements_are_traced_without_what_was_asked() {
    let (collector, url) = Collector::start().await;
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let settings = format!(
        "[telemetry]\notlp_endpoint = \"{url}\"\notlp_authorization = \"Bearer collector-secret\""
    );
    let gateway =
        world::hospitals(&issuer, &["north"], Options { settings, ..Options::default() }).await;
    let token = issuer.token("north");
    let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let url = format!("{}/Patient?family=canary-name&_id=canary-id", gateway.fhir);
    let asked = gateway.http.get(url).bearer_auth(&token).header("traceparent", caller);
    assert_eq!(Reply::of(asked).await.expect("an answer").status, 200);
    let read = gateway.get(&token, "/Patient/1001").await;
    let request = read.header("x-request-id").to_owned();
    assert_eq!(gateway.get(&token, "/Patient/canary-id").await.status, 404);
    assert_eq!(gateway.get(&token, "/Patient?canary-parameter=canary-value").await.status, 400);
    assert_eq!(gateway.get("canary-token", "/Patient/1001").await.status, 401);
    assert_eq!(gateway.get(&token, "/canary-type/x/canary/y").await.status, 404);

    let begun = Instant::now();
    let roots = loop {
        let spans = collector.spans();
        let roots: Vec<_> = spans.into_iter().filter(|span| span["kind"] == 2).collect();
        if roots.len() >= 6 {
            break roots;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "only {roots:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let raw = collector.raw();
    for never in ["canary", "1001", "mark-north", token.as_str()] {
        assert!(!raw.contains(never), "{never} is in a trace");
    }
    let tenant = gateway.view("tenants/north").await["id"].as_str().expect("an id").to_owned();
    let spans = collector.spans();
    let of = |id: &str| {
        let found =
            roots.iter().find(|s| attribute(s, "wardgate.request.id").as_deref() == Some(id));
        found.unwrap_or_else(|| panic!("no span of {id} in {roots:?}"))
    };
    let root = of(&request);
    assert_eq!(root["traceId"], request.replace('-', ""));
    assert_eq!(root["name"], "GET /fhir/{resource}/{id}");
    assert_eq!(attribute(root, "http.response.status_code").as_deref(), Some("200"));
    assert_eq!(attribute(root, "wardgate.tenant.id").as_deref(), Some(tenant.as_str()));
    let below: Vec<_> =
        spans.iter().filter(|span| span["parentSpanId"] == root["spanId"]).collect();
    assert_eq!(below.len(), 1, "{below:?}");
    let below = below[0];
    assert_eq!((&below["name"], &below["kind"]), (&"Patient read".into(), &3.into()));
    assert_eq!(below["traceId"], root["traceId"]);
    assert_eq!(attribute(below, "wardgate.tenant.id").as_deref(), Some(tenant.as_str()));
    for span in &spans {
        let (trace, id) = (span["traceId"].as_str().unwrap(), span["spanId"].as_str().unwrap());
        assert_eq!((trace.len(), id.len()), (32, 16), "{span}");
        assert!(nanos(span, "startTimeUnixNano") <= nanos(span, "endTimeUnixNano"), "{span}");
    }
    // A caller's own trace goes on.
    let called = spans.iter().find(|span| span["parentSpanId"] == "b7ad6b7169203331");
    let called = called.expect("the caller's span has a child");
    assert_eq!(called["traceId"], "0af7651916cd43dd8448eb211c80319c");
    let refused: Vec<_> = roots
        .iter()
        .filter(|s| attribute(s, "http.response.status_code").as_deref() == Some("401"))
        .collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(attribute(refused[0], "wardgate.tenant.id"), None);
    assert!(attribute(refused[0], "wardgate.decision").is_some(), "{refused:?}");
}

#[tokio::test]
async fn a_collector_that_never_answers_costs_traces_and_no_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let settings = format!("[telemetry]\notlp_endpoint = \"{url}\"");
    let gateway =
        world::hospitals(&issuer, &["north"], Options { settings, ..Options::default() }).await;
    let token = issuer.token("north");
    let begun = Instant::now();
    loop {
        assert_eq!(gateway.get(&token, "/Patient/1001").await.status, 200);
        let page = gateway.http.get(format!("{}/metrics", gateway.admin));
        let page = Reply::of(page).await.expect("the page").body;
        if page.contains("wardgate_traces_dropped_total{reason=\"collector\"}") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "nothing is given up");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    while !gateway.log().await.contains("the collector does not take traces") {
        assert!(begun.elapsed() < Duration::from_mins(2), "the log does not say it");
    }
}
