//! An order sent again with its `Idempotency-Key` is not carried out again.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Gateway, Options, Reply, TestIssuer, mapping};
use crate::world;

async fn post(gateway: &Gateway, key: &str, path: &str, body: &Value) -> Reply {
    let url = format!("{}/admin/v1/{path}", gateway.admin);
    let mut request = gateway
        .http
        .post(url)
        .bearer_auth(&gateway.operator)
        .header("idempotency-key", key)
        .header("content-type", "application/json")
        .body(body.to_string());
    if path != "tenants" {
        let tenant = path.rsplit_once('/').unwrap().0;
        let generation = gateway.view(tenant).await["generation"].as_u64().unwrap();
        request = request.header("if-match", format!("\"{generation}\""));
    }
    Reply::of(request).await.expect("an answer")
}

fn hospital(issuer: &TestIssuer, name: &str) -> Value {
    let identity =
        json!({ "issuer": issuer.hospitals(), "claim_value": name, "azp": ["ward-app"] });
    json!({ "name": name, "identities": [identity] })
}

#[tokio::test]
async fn the_same_order_gives_the_same_answer_and_is_done_once() {
    let issuer = TestIssuer::for_tenants(&["north", "south"]).await;
    let gateway = Gateway::start(&issuer, Options::default()).await;
    let north = hospital(&issuer, "north");
    let first = post(&gateway, "key-1", "tenants", &north).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (201, ""), "{first:?}");
    for _ in 0..3 {
        let again = post(&gateway, "key-1", "tenants", &north).await;
        assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"));
        assert_eq!((&again.body, again.header("etag")), (&first.body, first.header("etag")));
        assert_eq!(again.header("content-type"), first.header("content-type"));
        assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
    }
    assert_eq!(gateway.view("tenants").await["tenants"].as_array().unwrap().len(), 1);

    let other_body = post(&gateway, "key-1", "tenants", &hospital(&issuer, "south")).await;
    assert_eq!(other_body.status, 422, "{other_body:?}");
    let other_route = post(&gateway, "key-1", "tenants/north/invalidate", &north).await;
    assert_eq!(other_route.status, 422, "{other_route:?}");
    // Without a key it is an order of its own.
    let body = Some(("application/json", north.to_string()));
    assert_eq!(gateway.operate(Method::POST, "tenants", None, body).await.status, 409);
}

#[tokio::test]
async fn another_query_is_another_address() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let compared = async |query: &str| {
        let url = format!("{}/admin/v1/tenants/north/mappings/diff{query}", gateway.admin);
        let request = gateway.http.post(url).bearer_auth(&gateway.operator);
        let request = request.header("idempotency-key", "key-1").body(mapping("2"));
        Reply::of(request.header("content-type", "application/yaml")).await.unwrap()
    };
    let first = compared("?from=1").await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (200, ""), "{first:?}");
    let again = compared("?from=1").await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, "true"), "{again:?}");
    let other = compared("?from=1&to=1").await;
    assert_eq!(other.status, 422, "{other:?}");
}

#[tokio::test]
async fn a_refused_order_leaves_its_key_free_and_an_invalid_key_is_refused() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let suspend = "tenants/north/suspend";
    let refused = post(&gateway, "key-1", suspend, &json!({ "reason": "" })).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    let done = post(&gateway, "key-1", suspend, &json!({ "reason": "test" })).await;
    assert_eq!((done.status, done.header("idempotency-replayed")), (200, ""), "{done:?}");
    // The tenant is suspended already; only a replay answers 200, also under a newer ETag.
    let again = post(&gateway, "key-1", suspend, &json!({ "reason": "test" })).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, "true"), "{again:?}");
    let long = post(&gateway, &"k".repeat(129), suspend, &json!({ "reason": "test" })).await;
    assert_eq!(long.status, 400, "{long:?}");
    let stranger = gateway
        .http
        .post(format!("{}/admin/v1/{suspend}", gateway.admin))
        .bearer_auth(issuer.token("north"))
        .header("idempotency-key", "key-1");
    assert_eq!(Reply::of(stranger).await.unwrap().status, 401, "no answer for others");
}

/// Two operators who chose the same key ordered two things.
#[tokio::test]
async fn keys_of_different_operators_never_meet() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let drain = format!("{}/admin/v1/tenants/north/invalidate", gateway.admin);
    let order = async |user: &str| {
        let request = gateway.http.post(&drain).bearer_auth(issuer.token(user));
        Reply::of(request.header("idempotency-key", "key-1")).await.unwrap()
    };
    let first = order("operator").await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (200, ""), "{first:?}");
    let other = order("approver").await;
    assert_eq!((other.status, other.header("idempotency-replayed")), (200, ""), "{other:?}");
    assert!(other.json()["generation"].as_u64() > first.json()["generation"].as_u64());
    let again = order("operator").await;
    assert_eq!((again.header("idempotency-replayed"), &again.body), ("true", &first.body));
}

#[tokio::test]
async fn one_of_several_at_once_is_carried_out() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = Gateway::start(&issuer, Options::default()).await;
    let north = hospital(&issuer, "north");
    let sent = (0..10).map(|_| post(&gateway, "key-1", "tenants", &north));
    let replies = futures_util::future::join_all(sent).await;
    let first =
        replies.iter().filter(|r| r.status == 201 && r.header("idempotency-replayed").is_empty());
    assert_eq!(first.count(), 1, "{replies:?}");
    assert!(replies.iter().all(|reply| matches!(reply.status, 201 | 409)), "{replies:?}");
    for waiting in replies.iter().filter(|reply| reply.status == 409) {
        assert_eq!(waiting.header("retry-after"), "1", "{waiting:?}");
    }
    let document = gateway.http.get(format!("{}/admin/v1/openapi.json", gateway.admin));
    let document = Reply::of(document).await.unwrap().json();
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(post) = item.get("post") else { continue };
        let parameters = post["parameters"].as_array().unwrap();
        assert!(parameters.iter().any(|p| p["name"] == "Idempotency-Key"), "{path}");
    }
}

#[tokio::test]
async fn an_answer_that_another_hand_wrote_is_not_given() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let suspend = "tenants/north/suspend";
    let body = json!({ "reason": "test" });
    let order = async |key: &str| post(&gateway, key, suspend, &body).await;
    assert_eq!(order("key-1").await.status, 200);
    gateway.resume("north").await;
    assert_eq!(order("key-2").await.status, 200);
    let again = order("key-1").await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, "true"), "{again:?}");
    let mut registry = world::registry(&gateway).await;
    for (what, sql) in [
        (
            "edited",
            "UPDATE idempotency_keys SET response = replace(response, 'suspended', 'active')",
        ),
        (
            "another order's",
            "UPDATE idempotency_keys SET response =
               (SELECT response FROM idempotency_keys WHERE key = 'key-2') WHERE key = 'key-1'",
        ),
        ("without a mark", "UPDATE idempotency_keys SET response = '{\"status\":200}'"),
    ] {
        let keep = "CREATE TABLE kept AS SELECT * FROM idempotency_keys";
        sqlx::raw_sql(keep).execute(&mut registry).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut registry).await.unwrap();
        let forged = order("key-1").await;
        assert_eq!(forged.status, 409, "{what}: {forged:?}");
        assert!(forged.header("idempotency-replayed").is_empty(), "{what}: {forged:?}");
        let back = "DELETE FROM idempotency_keys; INSERT INTO idempotency_keys SELECT * FROM kept; DROP TABLE kept";
        sqlx::raw_sql(back).execute(&mut registry).await.unwrap();
    }
    assert_eq!(order("key-1").await.status, 200);
}
