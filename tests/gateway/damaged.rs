//! A tenant whose stored configuration does not read is named and refused; the others are listed, served and
//! followed as if it were not there.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::{Gateway, Options, Reply, TestIssuer};
use crate::world::{self, in_registry};

/// Damages of `north`, what they are called, and what mends them.
const DAMAGES: [(&str, &str, &str, &str); 3] = [
    (
        "UPDATE connections SET server_identity = '[1]' WHERE tenant = \
         (SELECT id FROM tenants WHERE name = 'north')",
        "server identity",
        "connection",
        r#"{"url": "sqlite:north.db"}"#,
    ),
    (
        "INSERT INTO limits (tenant, document) \
         SELECT id, '{\"requests_per_second\": \"many\"}' FROM tenants WHERE name = 'north'",
        "limits document",
        "",
        r#"{"limits": {}}"#,
    ),
    (
        "UPDATE bindings SET azp = '{}' WHERE claim_value = 'north'",
        "list of clients",
        "",
        r#"{"identities": [{"issuer": "ISSUER", "claim_value": "north", "azp": ["ward-app"]}]}"#,
    ),
];

/// Asks until the answer is as it should be; what plain SQL wrote is followed within 5 s.
async fn until(gateway: &Gateway, token: &str, path: &str, wanted: fn(u16) -> bool) -> Reply {
    for _ in 0..200 {
        let reply = gateway.get(token, path).await;
        if wanted(reply.status) {
            return reply;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{path} was not answered as it should be in 10 s");
}

async fn listed(gateway: &Gateway) -> Reply {
    gateway.operate(Method::GET, "tenants", None, None).await
}

#[tokio::test]
async fn one_damaged_tenant_is_named_and_refused_and_the_others_are_served() {
    let issuer = TestIssuer::for_tenants(&["north", "south"]).await;
    let gateway = world::hospitals(&issuer, &["north", "south"], Options::default()).await;
    let (north, south) = (issuer.token("north"), issuer.token("south"));
    let own = json!({"limits": {"page_size": 7}, "flags": {"fhir.export": "25%"}});
    gateway.change(Method::PATCH, "south", "", own).await;
    for (damage, what, address, mended) in DAMAGES {
        in_registry(&gateway, damage).await;
        let list = listed(&gateway).await;
        assert_eq!(list.status, 200, "{what}: {list:?}");
        let tenants = &list.json()["tenants"];
        assert_eq!(tenants[0]["damaged"], what, "{tenants}");
        assert_eq!((&tenants[1]["damaged"], &tenants[1]["name"]), (&json!(null), &json!("south")));
        // Alone or in a list, the same is told of a tenant.
        for tenant in tenants.as_array().unwrap() {
            let name = tenant["name"].as_str().unwrap();
            let mut alone = gateway.view(&format!("tenants/{name}")).await;
            alone.as_object_mut().unwrap().remove("same_database");
            assert_eq!(alone, *tenant, "{what}");
        }
        let shown = gateway.operate(Method::GET, "tenants/north", None, None).await;
        assert_eq!((shown.status, &shown.json()["damaged"]), (200, &json!(what)), "{shown:?}");
        let refused = until(&gateway, &north, "/Patient/1001", |status| status >= 500).await;
        assert!(!refused.body.contains("mark-"), "{what}: {refused:?}");
        assert_eq!(gateway.get(&south, "/Patient/2001").await.status, 200, "{what}");

        let (method, path) = match address {
            "" => (Method::PATCH, "tenants/north".to_owned()),
            address => (Method::PUT, format!("tenants/north/{address}")),
        };
        let body = mended.replace("ISSUER", &issuer.hospitals());
        let generation = shown.json()["generation"].as_u64();
        let body = Some(("application/json", body));
        let done = gateway.operate(method, &path, generation, body).await;
        assert_eq!((done.status, &done.json()["damaged"]), (200, &json!(null)), "{what}: {done:?}");
        assert_eq!(gateway.get(&north, "/Patient/1001").await.status, 200, "{what} mended");
    }
}

/// A row without a readable identity is worse: nobody can be told what changed of it.
#[tokio::test]
async fn a_tenant_without_a_readable_identity_keeps_no_change_of_another_away() {
    let issuer = TestIssuer::for_tenants(&["south"]).await;
    let gateway = world::hospitals(&issuer, &["south"], Options::default()).await;
    let south = issuer.token("south");
    let sql = "INSERT INTO tenants (id, name, display_name, state, ownership, placement, created_at, \
               updated_at) VALUES ('not-a-uuid-but-thirty-six-characters', 'North Clinic!', 'x', 'active', \
               'attached', 'database', 0, 0)";
    in_registry(&gateway, sql).await;
    let list = listed(&gateway).await;
    let tenants = list.json()["tenants"].clone();
    assert_eq!((list.status, &tenants[0]["state"]), (200, &json!("damaged")), "{list:?}");
    assert_eq!(
        (&tenants[0]["name"], &tenants[1]["name"]),
        (&json!("North Clinic!"), &json!("south"))
    );
    // A suspension by another hand arrives over the feed, which holds that row's entry too.
    in_registry(&gateway, "UPDATE tenants SET state = 'suspended' WHERE name = 'south'").await;
    until(&gateway, &south, "/Patient/1001", |status| status == 403).await;
}
