//! A change the admin API has acknowledged counts for every request that begins afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;
use wardgate::base::{Clock, ManualClock, SystemClock};

use crate::support::issuer::clinician;
use crate::support::{Gateway, Options, Reply, TestIssuer, mapping, sqlite_hospital};
use crate::world;

/// Changes of each kind, made while others read without pause.
const ROUNDS: usize = 20;

async fn loaded() -> (TestIssuer, Arc<Gateway>, Readers) {
    let issuer = TestIssuer::for_tenants(&["north", "south"]).await;
    // No limit may stand between a change and what it is about.
    let settings = "[limits]\nrequests_per_second = 100000\n".to_owned();
    let options = Options { settings, ..Options::default() };
    let gateway = Arc::new(world::hospitals(&issuer, &["north", "south"], options).await);
    let readers = Readers::start(&gateway, &issuer.token("north"));
    (issuer, gateway, readers)
}

/// Requests that never stop, so that changes land in the middle of loads.
struct Readers {
    tasks: JoinSet<()>,
    stop: Arc<AtomicBool>,
}

impl Readers {
    fn start(gateway: &Arc<Gateway>, token: &str) -> Self {
        let (mut tasks, stop) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
        for _ in 0..3 {
            let (gateway, token, stop) = (Arc::clone(gateway), token.to_owned(), Arc::clone(&stop));
            tasks.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let reply = gateway.get(&token, "/Patient/1001").await;
                    assert!(!reply.body.contains("mark-south"), "{reply:?}");
                }
            });
        }
        Self { tasks, stop }
    }

    async fn end(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("a reader saw only its own tenant");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suspending_and_resuming_count_at_once() {
    let (issuer, gateway, readers) = loaded().await;
    let (north, south) = (issuer.token("north"), issuer.token("south"));
    for round in 0..ROUNDS {
        gateway.suspend("north").await;
        for path in ["/Patient/1001", "/Patient", "/metadata"] {
            let reply = gateway.get(&north, path).await;
            assert_eq!(reply.status, 403, "round {round}, {path}: {reply:?}");
        }
        assert_eq!(gateway.get(&south, "/Patient/2001").await.status, 200);
        gateway.resume("north").await;
        let reply = gateway.get(&north, "/Patient/1001").await;
        assert_eq!(reply.status, 200, "round {round}: {reply:?}");
    }
    readers.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_published_mapping_counts_at_once() {
    let (issuer, gateway, readers) = loaded().await;
    let north = issuer.token("north");
    for round in 2..ROUNDS + 2 {
        gateway.publish("north", &mapping(&round.to_string())).await;
        let read = gateway.get(&north, "/Patient/1001").await;
        let system = read.json()["identifier"][0]["system"].clone();
        assert_eq!(system, format!("urn:mapping:{round}"), "{read:?}");
    }
    gateway.change(Method::POST, "north", "mappings/rollback", json!({})).await;
    let read = gateway.get(&north, "/Patient/1001").await;
    assert_eq!(read.json()["identifier"][0]["system"], format!("urn:mapping:{ROUNDS}"));
    readers.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_connection_counts_at_once() {
    let (issuer, gateway, readers) = loaded().await;
    let north = issuer.token("north");
    let moved = gateway.folder().join("sqlite/moved.db");
    sqlite_hospital(&moved, "mark-moved", 1001..1006).await;
    for round in 0..ROUNDS {
        let (file, mark) = [("moved.db", "mark-moved"), ("north.db", "mark-north")][round % 2];
        let connection = json!({ "url": format!("sqlite:{file}") });
        gateway.change(Method::PUT, "north", "connection", connection).await;
        let read = gateway.get(&north, "/Patient/1001").await;
        assert_eq!(read.json()["name"][0]["family"], mark, "round {round}: {read:?}");
    }
    readers.end().await;
}

#[tokio::test]
async fn invalidating_and_removed_identities_count_at_once() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let north = issuer.token("north");
    let before = gateway.view("tenants/north").await;
    let after = gateway.change(Method::POST, "north", "invalidate", json!({})).await;
    assert!(after["generation"].as_u64() > before["generation"].as_u64(), "{after}");
    assert_eq!(gateway.get(&north, "/Patient/1001").await.status, 200);

    let identity = |azp: &str| {
        let issuer = issuer.hospitals();
        json!({ "identities": [{ "issuer": issuer, "claim_value": "north", "azp": [azp] }] })
    };
    for (azp, status) in [("another-app", 403), ("ward-app", 200)] {
        let generation = gateway.view("tenants/north").await["generation"].as_u64();
        let body = Some(("application/json", identity(azp).to_string()));
        let patched = gateway.operate(Method::PATCH, "tenants/north", generation, body).await;
        assert_eq!(patched.status, 200, "{patched:?}");
        let reply = gateway.get(&north, "/Patient/1001").await;
        assert_eq!(reply.status, status, "{azp}: {reply:?}");
    }
}

/// Tokens have leaked: those that are out are refused, and who signs in anew is let in.
#[tokio::test]
async fn refused_tokens_are_refused_at_once_and_those_issued_later_are_not() {
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let users = ["north", "south"].map(|name| clinician(name, name, &["fhir-read"]));
    let issuer = TestIssuer::of(users.into(), Arc::clone(&clock) as Arc<dyn Clock>).await;
    let gateway = world::hospitals(&issuer, &["north", "south"], Options::default()).await;
    let (leaked, south) = (issuer.token("north"), issuer.token("south"));
    let reads = async |token: &str, patient: &str| {
        gateway.get(token, &format!("/Patient/{patient}")).await.status
    };
    assert_eq!((reads(&leaked, "1001").await, reads(&south, "2001").await), (200, 200));

    let path = "tenants/north/refuse-tokens";
    let seen = gateway.view("tenants/north").await;
    assert!(seen.get("tokens_since").is_none(), "{seen}");
    let generation = seen["generation"].as_u64().unwrap();
    for (expected, status) in [(None, 428), (Some(generation - 1), 412)] {
        let refused = gateway.operate(Method::POST, path, expected, None).await;
        assert_eq!(refused.status, status, "{refused:?}");
    }
    assert_eq!(reads(&leaked, "1001").await, 200);

    let done = gateway.operate(Method::POST, path, Some(generation), None).await;
    assert_eq!(done.status, 200, "{done:?}");
    let reply = gateway.get(&leaked, "/Patient/1001").await;
    assert_eq!(reply.status, 401, "{reply:?}");
    assert!(reply.header("www-authenticate").contains("invalid_token"), "{reply:?}");
    assert_eq!(reads(&south, "2001").await, 200, "another hospital's");
    clock.set(SystemClock.now().plus(Duration::from_secs(2)));
    assert_eq!(reads(&issuer.token("north"), "1001").await, 200, "one that was issued later");
    assert_eq!(reads(&leaked, "1001").await, 401);

    let since = done.json()["tokens_since"].clone();
    let events = gateway.view("events?limit=1").await;
    assert_eq!(events["events"][0]["action"], "tenant.not_before");
    assert_eq!(events["events"][0]["detail"]["not_before"], since);
}

#[tokio::test]
async fn a_stale_generation_changes_nothing() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let seen = gateway.view("tenants/north").await["generation"].as_u64().unwrap();
    let body = || Some(("application/json", json!({ "reason": "test" }).to_string()));
    let path = "tenants/north/suspend";
    let stale = gateway.operate(Method::POST, path, Some(seen - 1), body()).await;
    assert_eq!(stale.status, 412, "{stale:?}");
    let blind = gateway.operate(Method::POST, path, None, body()).await;
    assert_eq!(blind.status, 428, "{blind:?}");
    assert_eq!(gateway.get(&issuer.token("north"), "/Patient/1001").await.status, 200);
    // Whatever there is (RFC 9110, 13.1.1): said by who means it.
    let whatever = gateway
        .http
        .post(format!("{}/admin/v1/{path}", gateway.admin))
        .bearer_auth(&gateway.operator)
        .header("if-match", "*")
        .header("content-type", "application/json")
        .body(json!({ "reason": "test" }).to_string());
    let suspended = Reply::of(whatever).await.expect("an answer of the control plane");
    assert_eq!(suspended.status, 200, "{suspended:?}");
    assert_eq!(gateway.get(&issuer.token("north"), "/Patient/1001").await.status, 403);
}

#[tokio::test]
async fn a_body_that_does_not_fit_is_told_where_and_why() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let body =
        json!({ "name": "west", "identities": [{ "issuer": issuer.hospitals(), "claim": 1 }] });
    let body = Some(("application/json", body.to_string()));
    let reply = gateway.operate(Method::POST, "tenants", None, body).await;
    assert_eq!(reply.status, 400, "{reply:?}");
    let detail = reply.json()["detail"].as_str().unwrap_or_default().to_owned();
    assert!(detail.contains("at `identities[0]`") && detail.contains("`claim_value`"), "{detail}");
}
