//! An order of the admin API is carried out wholly or not at all, and its limits are within bounds.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Gateway, Options, Reply, TestIssuer};
use crate::world;

async fn patch(gateway: &Gateway, tenant: &str, body: Value) -> Reply {
    let path = format!("tenants/{tenant}");
    let generation = gateway.view(&path).await["generation"].as_u64();
    let body = Some(("application/json", body.to_string()));
    gateway.operate(Method::PATCH, &path, generation, body).await
}

#[tokio::test]
async fn a_patch_with_one_bad_part_changes_nothing() {
    let issuer = TestIssuer::for_tenants(&["north", "south"]).await;
    let gateway = world::hospitals(&issuer, &["north", "south"], Options::default()).await;
    let identity = |value: &str| json!({ "issuer": issuer.hospitals(), "claim_value": value, "azp": ["ward-app"] });
    let before = gateway.view("tenants/north").await;
    let good = || json!({ "display_name": "Another", "limits": { "page_size": 7 } });
    for (part, value, status) in [
        ("identities", json!([identity("north"), identity("south")]), 409),
        ("identities", json!([identity("North")]), 400),
        ("identities", json!([identity("north "), identity("north")]), 400),
        ("limits", json!({ "page_size_max": u32::MAX }), 400),
        ("limits", json!({ "page_size": 10_001 }), 400),
        ("limits", json!({ "page_size": 20, "page_size_max": 10 }), 400),
        ("limits", json!({ "concurrent_requests": 0 }), 400),
        ("display_name", json!(""), 400),
    ] {
        let mut body = good();
        body[part] = value;
        let refused = patch(&gateway, "north", body.clone()).await;
        assert_eq!(refused.status, status, "{body}: {refused:?}");
        assert_eq!(gateway.view("tenants/north").await, before, "{body}");
    }
    let done = patch(&gateway, "north", good()).await;
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!(done.json()["display_name"], "Another");
    assert_eq!(done.json()["limits"]["page_size"], 7);
    assert_eq!(gateway.get(&issuer.token("north"), "/Patient/1001").await.status, 200);
}

#[tokio::test]
async fn a_tenant_that_is_refused_is_not_there() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = Gateway::start(&issuer, Options::default()).await;
    let identity = |value: &str| json!({ "issuer": issuer.hospitals(), "claim_value": value, "azp": ["ward-app"] });
    for (value, limits, connection) in [
        ("Upper", json!({}), Value::Null),
        ("north", json!({ "page_size_max": u32::MAX }), Value::Null),
        ("north", json!({}), json!({ "url": "sqlite:absent.db" })),
    ] {
        let body = json!({ "name": "north", "identities": [identity(value)], "limits": limits,
            "connection": connection });
        let sent = Some(("application/json", body.to_string()));
        let refused = gateway.operate(Method::POST, "tenants", None, sent).await;
        assert_eq!(refused.status, 400, "{body}: {refused:?}");
        assert_eq!(gateway.view("tenants").await["tenants"], json!([]), "{body}");
    }
}
