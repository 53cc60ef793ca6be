//! A database that becomes another one under a lane that is open.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Options, Reply, TestIssuer, sqlite_hospital};
use crate::world;

#[tokio::test]
async fn a_database_exchanged_under_a_warm_lane_is_found_without_traffic() {
    let issuer = TestIssuer::for_tenants(&["north", "south"]).await;
    let settings = "[pool]\nidentity_check = \"1s\"".to_owned();
    let options = Options { settings, ..Options::default() };
    let gateway = world::hospitals(&issuer, &["north", "south"], options).await;
    let token = issuer.token("north");
    assert_eq!(gateway.get(&token, "/Patient/1001").await.status, 200);
    let tenant = gateway.view("tenants/north").await["id"].as_str().expect("an id").to_owned();
    let metric = async |name: &str| {
        let page = gateway.http.get(format!("{}/metrics", gateway.admin));
        let page = Reply::of(page).await.expect("the page").body;
        let series = format!("{name}{{tenant=\"{tenant}\"}} ");
        page.lines().find_map(|line| line.strip_prefix(&series).map(str::to_owned))
    };
    let until = async |name: &str, what: fn(&str) -> bool| {
        let begun = Instant::now();
        while !metric(name).await.is_some_and(|value| what(&value)) {
            assert!(begun.elapsed() < Duration::from_secs(30), "{name}: {:?}", metric(name).await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    until("wardgate_pool_identity_checks_total", |value| value != "0").await;
    assert_eq!(metric("wardgate_pool_wrong_server_total").await, None, "it is the registered one");

    let (other, place) =
        (gateway.folder().join("other.db"), gateway.folder().join("sqlite/north.db"));
    sqlite_hospital(&other, "mark-intruder", 1001..1006).await;
    std::fs::rename(&other, &place).expect("put another file there");
    // Nobody asks anything meanwhile.
    until("wardgate_pool_wrong_server_total", |value| value == "1").await;
    let lane = gateway.view("tenants/north/pool").await;
    assert_eq!(lane["connections"], 0, "{lane}");
    for path in ["/Patient/1001", "/Patient"] {
        let reply = gateway.get(&token, path).await;
        assert_eq!(reply.status, 500, "{reply:?}");
        assert!(!reply.body.contains("mark-"), "{reply:?}");
    }
    let begun = Instant::now();
    while !gateway.log().await.contains("a warm connection reaches another server") {
        assert!(begun.elapsed() < Duration::from_secs(30), "the log does not say it");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(gateway.get(&issuer.token("south"), "/Patient/2001").await.status, 200);
}

#[tokio::test]
async fn a_connection_that_was_sealed_untried_is_watched_from_its_first_check_on() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let token = issuer.token("north");
    let untried = json!({ "url": "sqlite:north.db", "check": false });
    gateway.change(Method::PUT, "north", "connection", untried).await;
    let identity =
        async || gateway.view("tenants/north").await["connection"]["server_identity"].clone();
    assert_eq!(identity().await, Value::Null);
    let check = async || {
        let reply = gateway.operate(Method::POST, "tenants/north/check", None, None).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    };
    assert_eq!(check().await["ok"], true);
    let known = identity().await;
    assert!(known.is_string(), "{known}");
    let generation = async || gateway.view("tenants/north").await["generation"].clone();
    let before = generation().await;
    assert_eq!(check().await["same_server"], true);
    assert_eq!((identity().await, generation().await), (known, before), "noted once");
    assert_eq!(gateway.view("events?limit=1").await["events"][0]["action"], "connection.identify");
    assert_eq!(gateway.get(&token, "/Patient/1001").await.status, 200);

    let (other, place) =
        (gateway.folder().join("other.db"), gateway.folder().join("sqlite/north.db"));
    sqlite_hospital(&other, "mark-intruder", 1001..1006).await;
    std::fs::rename(&other, &place).expect("put another file there");
    gateway.operate(Method::POST, "tenants/north/pool/drain", None, None).await;
    let reply = gateway.get(&token, "/Patient/1001").await;
    assert!(reply.status == 500 && !reply.body.contains("mark-"), "{reply:?}");
    let report = check().await;
    assert_eq!((&report["ok"], &report["class"]), (&json!(false), &json!("wrong_server")));
}
