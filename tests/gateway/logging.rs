//! What the log says of a request: enough to find it again, nothing of what was asked for.

use serde_json::Value;

use crate::support::issuer::clinician;
use crate::support::{Gateway, Options, Reply, TestIssuer};
use crate::world;

/// The line at the end of a request, which is the one that has its status.
async fn line(gateway: &Gateway, reply: &Reply) -> Value {
    let request = reply.header("x-request-id").to_owned();
    let log = gateway.log().await;
    let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let line = lines.find(|l| l["request"] == *request && !l["status"].is_null());
    line.unwrap_or_else(|| panic!("no line names request {request}: {log}"))
}

#[tokio::test]
async fn a_refused_request_is_found_by_its_id_and_a_good_one_leaves_no_line() {
    let users = vec![
        clinician("reader", "north", &["fhir-read"]),
        clinician("writer", "north", &["fhir-write"]),
        clinician("stranger", "nowhere", &["fhir-read"]),
    ];
    let issuer = TestIssuer::start(users).await;
    let options = Options { log_level: Some("info"), ..Options::default() };
    let gateway = world::hospitals(&issuer, &["north"], options).await;
    let tenant = gateway.view("tenants/north").await["id"].clone();

    let good = gateway.get(&issuer.token("reader"), "/Patient?family=mark-north").await;
    assert_eq!(good.status, 200, "{good:?}");
    let refused = gateway.get(&issuer.token("writer"), "/Patient?family=mark-north").await;
    let told = line(&gateway, &refused).await;
    assert_eq!((&told["status"], &told["tenant"]), (&403.into(), &tenant), "{told}");
    assert_eq!(
        (&told["method"], &told["decision"]),
        (&"GET".into(), &"forbidden".into()),
        "{told}"
    );
    assert_eq!(
        (&told["level"], &told["route"]),
        (&"INFO".into(), &"/fhir/{resource}".into()),
        "{told}"
    );
    assert!(told["millis"].is_u64() && !told["reason"].as_str().unwrap().is_empty(), "{told}");

    let stranger = gateway.get(&issuer.token("stranger"), "/Patient/1001").await;
    let told = line(&gateway, &stranger).await;
    assert_eq!((&told["status"], &told["tenant"]), (&403.into(), &Value::Null), "{told}");
    let bad = line(&gateway, &gateway.get("no.token.x", "/Patient/1001").await).await;
    assert_eq!(
        (&bad["status"], &bad["decision"]),
        (&401.into(), &"unauthenticated".into()),
        "{bad}"
    );

    // The control plane's as well, where an operator's mistake is no news.
    let unknown = gateway.http.get(format!("{}/admin/v1/tenants", gateway.admin));
    let unknown = Reply::of(unknown.bearer_auth(issuer.token("reader"))).await.unwrap();
    let told = line(&gateway, &unknown).await;
    assert_eq!((&told["listener"], &told["status"]), (&"admin".into(), &401.into()), "{told}");
    assert_eq!(told["route"], "/admin/v1/tenants", "{told}");

    let log = gateway.log().await;
    assert!(!log.contains(good.header("x-request-id")), "a request that went well has no line");
    assert!(!log.contains("mark-north") && !log.contains("family"), "{log}");
}
