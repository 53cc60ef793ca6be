//! Two gateways over one PostgreSQL registry: what one is told, or what plain SQL writes, counts on both
//! within 5 seconds.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::harness::{Database, Postgres};
use crate::support::gateway::Stores;
use crate::support::hospital::patients_sql;
use crate::support::{Gateway, Options, TestIssuer, mapping};

/// The documentation promises 5 s; the rest is room for a busy machine. Without being told, a gateway
/// would look again after a minute, and believe what it keeps for five.
const WITHIN: Duration = Duration::from_secs(20);

/// The registry's own URL form for a database.
fn setting(database: &Database) -> String {
    let Database { server, user, password, name, .. } = database;
    let ca = server.ca_file.display();
    format!("postgres://{user}:{password}@{}:{}/{name}?sslrootcert={ca}", server.host, server.port)
}

/// Waits until a gateway answers with that status.
async fn until(gateway: &Gateway, token: &str, status: u16, what: &str) {
    let begun = Instant::now();
    loop {
        let reply = gateway.get(token, "/Patient/1").await;
        if reply.status == status {
            return;
        }
        assert!(begun.elapsed() < WITHIN, "{what}: after {WITHIN:?} still {reply:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Two gateways over one registry, with two hospitals of one database.
struct Pair {
    registry: Database,
    _keys: Database,
    hospital: Database,
    issuer: TestIssuer,
    _folder: tempfile::TempDir,
    one: Gateway,
    two: Gateway,
}

impl Pair {
    async fn start() -> Self {
        let (registry, keys, hospital) =
            (Postgres::database().await, Postgres::database().await, Postgres::database().await);
        hospital.execute(&patients_sql("mark", 1..4)).await;
        let issuer = TestIssuer::for_tenants(&["shared", "other"]).await;
        let folder = tempfile::tempdir().unwrap();
        let stores = Stores {
            registry: setting(&registry),
            keys: setting(&keys),
            kek: folder.path().join("kek"),
        };
        let options = |fresh| Options {
            egress: vec![format!("127.0.0.1/32:{}", hospital.server.port)],
            stores: Some(stores.clone()),
            fresh,
            ..Options::default()
        };
        let one = Gateway::start(&issuer, options(true)).await;
        let two = Gateway::start(&issuer, options(false)).await;
        for name in ["shared", "other"] {
            one.register(name, hospital.connection(hospital.server.port)).await;
            one.publish(name, &mapping("1")).await;
        }
        let (token, other) = (issuer.token("shared"), issuer.token("other"));
        for gateway in [&one, &two] {
            until(gateway, &token, 200, "warming up").await;
            until(gateway, &other, 200, "warming up").await;
        }
        Self { registry, _keys: keys, hospital, issuer, _folder: folder, one, two }
    }
}

/// Waits until `seen` says so.
async fn comes_true(what: &str, seen: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !seen().await {
        assert!(begun.elapsed() < WITHIN, "{what}: not after {WITHIN:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_cancelled_on_either() {
    let pair = Pair::start().await;
    // Far more than sockets hold between here and there.
    let many = "INSERT INTO patients SELECT n, 'mrn-' || n, repeat('x', 80), repeat('y', 80) \
                FROM generate_series(1000, 60000) n";
    pair.hospital.execute(many).await;
    let token = pair.issuer.token("shared");
    let ask = |gateway: &Gateway, method: Method, path: &str| {
        gateway.http.request(method, format!("{}{path}", gateway.fhir)).bearer_auth(&token)
    };
    let order = ask(&pair.one, Method::GET, "/$export").header("prefer", "respond-async");
    let ordered = order.send().await.unwrap();
    assert_eq!(ordered.status(), 202);
    let place = ordered.headers()["content-location"].to_str().unwrap().to_owned();
    let place = &place[place.find("/bulk/").unwrap()..];
    let file = format!("{place}/Patient.ndjson");
    let mut under_way = ask(&pair.one, Method::GET, &file).send().await.unwrap();
    assert_eq!(under_way.status(), 200);
    assert!(!under_way.chunk().await.unwrap().expect("a first page").is_empty());

    let status = async |gateway: &Gateway, method: Method| {
        ask(gateway, method, place).send().await.unwrap().status().as_u16()
    };
    assert_eq!(status(&pair.one, Method::GET).await, 200);
    assert_eq!(status(&pair.two, Method::DELETE).await, 202);
    assert_eq!(status(&pair.two, Method::GET).await, 404, "at once where it was cancelled");
    comes_true("cancelled on the other", async || status(&pair.one, Method::GET).await == 404)
        .await;
    let broken = loop {
        match under_way.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broken, "a file of a cancelled order ended as if it were whole");
    assert_eq!(ask(&pair.one, Method::GET, &file).send().await.unwrap().status(), 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_and_flags_count_at_once_where_they_are_set_and_soon_on_the_other() {
    let pair = Pair::start().await;
    let (token, other) = (pair.issuer.token("shared"), pair.issuer.token("other"));
    let entries = async |gateway: &Gateway, path: &str| {
        let reply = gateway.get(&token, path).await;
        if reply.status == 200 { Some(reply.resources().len()) } else { None }
    };
    let lane = async |gateway: &Gateway| gateway.view("tenants/shared/pool").await["max"].as_u64();
    let throttled = async |gateway: &Gateway| {
        gateway.get(&token, "/Patient/1").await.status == 429
            || gateway.get(&token, "/Patient/1").await.status == 429
    };
    for (teller, follower) in [(&pair.one, &pair.two), (&pair.two, &pair.one)] {
        let set = async |body| teller.change(Method::PATCH, "shared", "", body).await;
        let limits = json!({ "page_size": 1, "page_size_max": 2, "max_connections": 2 });
        set(json!({ "limits": limits, "flags": { "fhir.everything": "off" } })).await;
        for (gateway, at_once) in [(teller, true), (follower, false)] {
            let all = async || {
                entries(gateway, "/Patient").await == Some(1)
                    && entries(gateway, "/Patient?_count=9").await == Some(2)
                    && lane(gateway).await == Some(2)
                    && gateway.get(&token, "/Patient/1/$everything").await.status == 404
            };
            if at_once {
                assert!(all().await, "not at once where it was set");
            } else {
                comes_true("limits and flags set by the other gateway", all).await;
            }
        }
        set(json!({ "limits": { "requests_per_second": 1 }, "flags": {} })).await;
        assert!(throttled(teller).await, "not at once where it was set");
        comes_true("a rate set by the other gateway", async || throttled(follower).await).await;
        assert_eq!(follower.get(&other, "/Patient/1").await.status, 200, "only its own tenant");
        set(json!({ "limits": {} })).await;
        assert_eq!(entries(teller, "/Patient").await, Some(3), "not at once where it was set");
        let whole = async || entries(follower, "/Patient").await == Some(3);
        comes_true("limits taken back by the other gateway", whole).await;
        let offered = gateway_offers(follower, &token).await;
        assert!(offered, "what is on again is served again");
    }
    let sql = "UPDATE limits SET document = '{\"page_size\":2}'";
    pair.registry.execute(sql).await;
    for gateway in [&pair.one, &pair.two] {
        let two = async || entries(gateway, "/Patient").await == Some(2);
        comes_true("a limit set by plain SQL", two).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_and_keys_count_at_once_where_they_are_changed_and_soon_on_the_other() {
    let pair = Pair::start().await;
    let (token, other) = (pair.issuer.token("shared"), pair.issuer.token("other"));
    let moved = Postgres::database().await;
    moved.execute(&patients_sql("moved", 1..4)).await;
    let family = async |gateway: &Gateway, token: &str| {
        let reply = gateway.get(token, "/Patient/1").await;
        reply.json()["name"][0]["family"].as_str().unwrap_or_default().to_owned()
    };
    for (teller, follower, place, mark) in [
        (&pair.one, &pair.two, &moved, "moved"),
        (&pair.two, &pair.one, &pair.hospital, "mark"),
        (&pair.one, &pair.two, &moved, "moved"),
    ] {
        let connection = place.connection(place.server.port);
        teller.change(Method::PUT, "shared", "connection", connection).await;
        assert_eq!(family(teller, &token).await, mark, "not at once where it was changed");
        comes_true("a connection changed by the other gateway", async || {
            family(follower, &token).await == mark
        })
        .await;
        assert_eq!(family(follower, &other).await, "mark", "only its own tenant");
    }
    // A new key-encryption key, new data keys: both go on opening what is sealed under either.
    let settings = pair.one.folder().join("wardgate.toml");
    for words in [&["keys", "rotate"][..], &["keys", "rotate", "--data-keys"]] {
        let done = std::process::Command::new(env!("CARGO_BIN_EXE_wardgate"))
            .args(words)
            .arg("--config")
            .arg(&settings)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        for gateway in [&pair.one, &pair.two] {
            gateway.change(Method::POST, "shared", "invalidate", json!({})).await;
            gateway.operate(Method::POST, "tenants/shared/pool/drain", None, None).await;
        }
        for gateway in [&pair.two, &pair.one] {
            let reads = async || family(gateway, &token).await == "moved";
            comes_true("what is sealed anew is opened", reads).await;
        }
    }
    // What is sealed on one under the new keys is opened by the other.
    let connection = pair.hospital.connection(pair.hospital.server.port);
    pair.two.change(Method::PUT, "shared", "connection", connection).await;
    assert_eq!(family(&pair.two, &token).await, "mark");
    let reads = async || family(&pair.one, &token).await == "mark";
    comes_true("a connection sealed by the other under new keys", reads).await;
}

async fn gateway_offers(gateway: &Gateway, token: &str) -> bool {
    gateway.get(token, "/Patient/1/$everything").await.status == 200
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_follow_a_change_however_it_was_made() {
    let Pair { registry, issuer, one, two, _keys, hospital: _hospital, _folder } =
        Pair::start().await;
    let (token, other) = (issuer.token("shared"), issuer.token("other"));

    for (teller, follower) in [(&one, &two), (&two, &one)] {
        teller.suspend("shared").await;
        assert_eq!(teller.get(&token, "/Patient/1").await.status, 403, "not at once");
        until(follower, &token, 403, "suspended by the other gateway").await;
        teller.resume("shared").await;
        assert_eq!(teller.get(&token, "/Patient/1").await.status, 200, "not at once");
        until(follower, &token, 200, "resumed by the other gateway").await;
    }
    for (state, status) in
        [("suspended", 403), ("active", 200), ("suspended", 403), ("active", 200)]
    {
        let sql = format!("UPDATE tenants SET state = '{state}' WHERE name = 'shared'");
        registry.execute(&sql).await;
        tokio::join!(
            until(&one, &token, status, "changed by plain SQL"),
            until(&two, &token, status, "changed by plain SQL"),
        );
    }
    // A new mapping and a removed identity travel the same way.
    one.publish("shared", &mapping("2")).await;
    let begun = Instant::now();
    while two.get(&token, "/Patient/1").await.json()["identifier"][0]["system"] != "urn:mapping:2" {
        assert!(begun.elapsed() < WITHIN, "the old mapping is still in force");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    one.change(Method::POST, "shared", "refuse-tokens", json!({})).await;
    assert_eq!(one.get(&token, "/Patient/1").await.status, 401, "not at once");
    until(&two, &token, 401, "tokens refused by the other gateway").await;
    assert_eq!(two.get(&other, "/Patient/1").await.status, 200);
    registry.execute("UPDATE tenants SET not_before = NULL WHERE name = 'shared'").await;
    until(&two, &token, 200, "let in again by plain SQL").await;
    registry.execute("DELETE FROM bindings WHERE claim_value = 'shared'").await;
    for gateway in [&one, &two] {
        until(gateway, &token, 403, "its identity removed by plain SQL").await;
        assert_eq!(gateway.get(&other, "/Patient/1").await.status, 200);
    }
}
