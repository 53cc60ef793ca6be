//! Two persons: what destroys, and SQL that a mapping brings, waits for another operator with the approver's
//! role.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Gateway, Options, Reply, TestIssuer, mapping};
use crate::world;

async fn ask(gateway: &Gateway, token: &str, method: Method, path: &str) -> Reply {
    let tenant = path.split('/').nth(1).filter(|_| path.starts_with("tenants/"));
    let mut request = gateway
        .http
        .request(method, format!("{}/admin/v1/{path}", gateway.admin))
        .bearer_auth(token);
    if let Some(tenant) = tenant {
        let tenant = tenant.split('?').next().unwrap();
        let generation = gateway.view(&format!("tenants/{tenant}")).await["generation"].clone();
        request = request.header("if-match", format!("\"{generation}\""));
    }
    Reply::of(request).await.unwrap()
}

async fn waiting(gateway: &Gateway) -> Vec<Value> {
    gateway.view("approvals").await.as_array().unwrap().clone()
}

#[tokio::test]
async fn a_hospital_is_ended_by_two() {
    let issuer = TestIssuer::for_tenants(&["north", "south"]).await;
    let options = Options { two_persons: true, ..Options::default() };
    let gateway = world::hospitals(&issuer, &["north", "south"], options).await;
    let (operator, approver) = (issuer.token("operator"), issuer.token("approver"));
    let asked = ask(&gateway, &operator, Method::DELETE, "tenants/north").await;
    assert_eq!((asked.status, &asked.json()["state"]), (202, &json!("waiting")), "{asked:?}");
    let id = asked.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(ask(&gateway, &operator, Method::DELETE, "tenants/north").await.status, 409);
    assert_eq!(gateway.get(&issuer.token("north"), "/Patient/1001").await.status, 200);
    assert_eq!(waiting(&gateway).await.len(), 1);
    assert_eq!(waiting(&gateway).await[0]["tenant"], "north");

    let decide = async |token: &str, id: &str, verb: &str| {
        ask(&gateway, token, Method::POST, &format!("approvals/{id}/{verb}")).await
    };
    assert_eq!(decide(&operator, &id, "approve").await.status, 403, "without the role");
    assert_eq!(decide(&issuer.token("viewer"), &id, "approve").await.status, 403);
    let nowhere = "123e4567-e89b-42d3-a456-426614174000";
    assert_eq!(decide(&approver, nowhere, "approve").await.status, 404);
    // An approver's own order waits for another approver.
    let own = ask(&gateway, &approver, Method::DELETE, "tenants/south").await.json();
    let own = own["id"].as_str().unwrap().to_owned();
    assert_eq!(decide(&approver, &own, "approve").await.status, 403, "her own");
    assert_eq!(decide(&operator, &own, "refuse").await.json()["state"], "refused");
    assert_eq!(decide(&approver, &own, "approve").await.status, 403);

    let done = decide(&approver, &id, "approve").await;
    assert_eq!((done.status, &done.json()["state"]), (200, &json!("approved")), "{done:?}");
    let operation = format!("operations/{}", done.json()["operation"].as_str().unwrap());
    let ended = async || gateway.view(&operation).await;
    let begun = std::time::Instant::now();
    while ended().await["state"] != "succeeded" {
        assert!(begun.elapsed().as_secs() < 60, "{}", ended().await);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let result = ended().await["result"].clone();
    let certificate: Value = serde_json::from_str(result["certificate"].as_str().unwrap()).unwrap();
    let (by, second) = (&certificate["ordered_by"], &certificate["approved_by"]);
    assert!(by.as_str().unwrap().starts_with("operator:") && second.is_string(), "{certificate}");
    assert_ne!(by, second);
    assert_eq!(decide(&approver, &id, "approve").await.status, 409, "once");
    assert_eq!(gateway.get(&issuer.token("north"), "/Patient/1001").await.status, 403);
    assert_eq!(gateway.get(&issuer.token("south"), "/Patient/2001").await.status, 200);
    let events = gateway.view("events?limit=200").await;
    let actions = events["events"].as_array().unwrap().iter();
    let count = |what: &str| actions.clone().filter(|e| e["action"] == what).count();
    let counts = ["approval.request", "approval.approve", "approval.refuse"].map(count);
    assert_eq!(counts, [2, 1, 1]);
}

#[tokio::test]
async fn sql_that_a_mapping_brings_is_approved_by_another() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let options = Options { two_persons: true, ..Options::default() };
    let gateway = world::hospitals(&issuer, &["north"], options).await;
    let (operator, approver) = (issuer.token("operator"), issuer.token("approver"));
    let source =
        "sources:\n  known: {sql: \"SELECT * FROM patients WHERE id < 1003\", key: id}\nresources:";
    let text =
        mapping("2").replace("resources:", source).replace("{table: patients}", "{source: known}");
    let body = Some(("application/yaml", text));
    let stored = gateway.operate(Method::POST, "tenants/north/mappings", None, body).await;
    let version = stored.json()["version"].as_u64().unwrap_or_else(|| panic!("{stored:?}"));
    let publish = format!("tenants/north/mappings/{version}/publish");
    let asked = ask(&gateway, &operator, Method::POST, &publish).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let view = &waiting(&gateway).await[0];
    assert_eq!((&view["version"], &view["sources"][0]["name"]), (&json!(version), &json!("known")));
    assert!(view["sources"][0]["sql"].as_str().unwrap().contains("1003"), "{view}");
    let found = async || gateway.get(&issuer.token("north"), "/Patient").await.resources().len();
    assert_eq!(found().await, 5, "the one before is in force");
    let approve = format!("approvals/{}/approve", view["id"].as_str().unwrap());
    assert_eq!(ask(&gateway, &operator, Method::POST, &approve).await.status, 403);
    assert_eq!(ask(&gateway, &approver, Method::POST, &approve).await.status, 200);
    assert_eq!(found().await, 2, "in force at once");
    // Without SQL of its own, or with SQL that is in force, nobody is asked.
    gateway.publish("north", &mapping("3")).await;
    assert_eq!(found().await, 5);
    assert!(waiting(&gateway).await.is_empty());
    // It comes back with the version before, which is asked like the first time.
    let back = ask(&gateway, &operator, Method::POST, "tenants/north/mappings/rollback").await;
    assert_eq!((back.status, &back.json()["version"]), (202, &json!(version)), "{back:?}");
    assert_eq!(found().await, 5, "nothing was changed");
    let approve = format!("approvals/{}/approve", back.json()["id"].as_str().unwrap());
    assert_eq!(ask(&gateway, &approver, Method::POST, &approve).await.status, 200);
    assert_eq!(found().await, 2);
    // What was in force before that has none: nobody is asked.
    let back = ask(&gateway, &operator, Method::POST, "tenants/north/mappings/rollback").await;
    assert_eq!((back.status, found().await), (200, 5), "{back:?}");

    // What counts is what would be in force, whatever text it is said to have come from.
    let mut registry = world::registry(&gateway).await;
    for (version, said) in [(90, mapping("4")), (91, "no: [mapping".to_owned())] {
        let sql = format!(
            "INSERT INTO mappings (tenant, version, document, source, catalog, report, created_by, created_at)
               SELECT tenant, {version}, document, ?, catalog, report, created_by, created_at
                 FROM mappings WHERE document LIKE '%1003%' LIMIT 1"
        );
        sqlx::query(&sql).bind(said).execute(&mut registry).await.unwrap();
        let publish = format!("tenants/north/mappings/{version}/publish");
        let asked = ask(&gateway, &operator, Method::POST, &publish).await;
        assert_eq!(asked.status, 202, "{version}: {asked:?}");
        let view = asked.json();
        assert!(view["sources"][0]["sql"].as_str().unwrap().contains("1003"), "{view}");
        let refuse = format!("approvals/{}/refuse", view["id"].as_str().unwrap());
        assert_eq!(ask(&gateway, &approver, Method::POST, &refuse).await.status, 200);
    }
}
