//! The registry goes away while operators work on two gateways, and comes back: what was acknowledged is there,
//! nothing is there by half, and everybody was told in words. Hospitals are served all the while.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::fault_proxy::{Fault, FaultProxy};
use crate::harness::{Database, Postgres};
use crate::support::gateway::Stores;
use crate::support::hospital::patients_sql;
use crate::support::{Gateway, Options, Reply, TestIssuer, mapping};
use crate::visitor::Visitor;

/// Whatever is waited for comes much sooner.
const WITHIN: Duration = Duration::from_mins(2);

/// The registry's own URL form for a database that is reached at that port.
fn setting(database: &Database, port: u16) -> String {
    let Database { server, user, password, name, .. } = database;
    let ca = server.ca_file.display();
    format!("postgres://{user}:{password}@{}:{port}/{name}?sslrootcert={ca}", server.host)
}

/// What one operator was told.
#[derive(Default)]
struct Told {
    done: AtomicU64,
    away: AtomicU64,
}

impl Told {
    async fn until(&self, what: &str, seen: impl Fn(u64, u64) -> bool) {
        let begun = Instant::now();
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        while !seen(read(&self.done), read(&self.away)) {
            let now = (read(&self.done), read(&self.away));
            assert!(begun.elapsed() < WITHIN, "never {what}: {now:?} done and away");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// That the registry is away is said in words, with when to come again, and with nothing of what is behind it.
fn away(reply: &Reply) {
    assert_eq!(reply.status, 503, "{reply:?}");
    assert_eq!(reply.header("content-type"), "application/problem+json", "{reply:?}");
    assert!(reply.header("retry-after").parse::<u64>().is_ok_and(|secs| secs > 0), "{reply:?}");
    let problem = reply.json();
    assert_eq!(problem["detail"], "the gateway's registry is not available", "{reply:?}");
}

/// An operator who sets a limit again and again, each time another one. Gives back which were acknowledged.
async fn operator(
    gateway: &Gateway,
    numbers: &AtomicU64,
    told: &Told,
    stop: &AtomicBool,
) -> BTreeSet<u64> {
    let mut acknowledged = BTreeSet::new();
    while !stop.load(Ordering::Relaxed) {
        let shown = gateway.operate(Method::GET, "tenants/north", None, None).await;
        if shown.status == 503 {
            away(&shown);
            told.away.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let generation = shown.json()["generation"].as_u64();
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        let body = json!({ "limits": { "request_timeout_ms": number } }).to_string();
        let body = Some(("application/json", body));
        let reply = gateway.operate(Method::PATCH, "tenants/north", generation, body).await;
        match reply.status {
            200 => {
                acknowledged.insert(number);
                told.done.fetch_add(1, Ordering::Relaxed);
            }
            // The other was faster.
            412 => {}
            _ => {
                away(&reply);
                told.away.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    acknowledged
}

/// A clinician of a hospital that is known and is not being changed; gives back how often she read.
async fn clinician(gateway: &Gateway, token: &str, stop: &AtomicBool) -> u64 {
    let mut read = 0;
    while !stop.load(Ordering::Relaxed) {
        let reply = gateway.get(token, "/Patient/1").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        read += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    read
}

/// Two gateways over one registry that is reached through a proxy.
struct World {
    proxy: FaultProxy,
    issuer: TestIssuer,
    one: Gateway,
    two: Gateway,
    _folder: tempfile::TempDir,
    _databases: [Database; 3],
}

impl World {
    async fn start() -> Self {
        let (registry, keys, hospital) =
            (Postgres::database().await, Postgres::database().await, Postgres::database().await);
        hospital.execute(&patients_sql("mark", 1..4)).await;
        let address = format!("{}:{}", registry.server.host, registry.server.port);
        let proxy = FaultProxy::start(address.parse().unwrap()).await;
        let issuer = TestIssuer::for_tenants(&["north", "south"]).await;
        let folder = tempfile::tempdir().unwrap();
        let stores = Stores {
            registry: setting(&registry, proxy.address().port()),
            keys: setting(&keys, keys.server.port),
            kek: folder.path().join("kek"),
        };
        let options = |fresh| Options {
            egress: vec![format!("127.0.0.1/32:{}", hospital.server.port)],
            settings: "[limits]\nrequests_per_second = 100000\n".to_owned(),
            stores: Some(stores.clone()),
            panel: true,
            fresh,
            ..Options::default()
        };
        let one = Gateway::start(&issuer, options(true)).await;
        let two = Gateway::start(&issuer, options(false)).await;
        for name in ["north", "south"] {
            one.register(name, hospital.connection(hospital.server.port)).await;
            one.publish(name, &mapping("1")).await;
        }
        let world = Self {
            proxy,
            issuer,
            one,
            two,
            _folder: folder,
            _databases: [registry, keys, hospital],
        };
        for gateway in [&world.one, &world.two] {
            for name in ["north", "south"] {
                world.comes(gateway, name, 200).await;
            }
        }
        world
    }

    /// Waits until a hospital's clinicians get that status.
    async fn comes(&self, gateway: &Gateway, name: &str, status: u16) {
        let (begun, token) = (Instant::now(), self.issuer.token(name));
        while gateway.get(&token, "/Patient/1").await.status != status {
            assert!(begun.elapsed() < WITHIN, "{name}: never {status}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The limits that the operators' log tells of, newest first. Each stands under a generation of its own.
    async fn log(&self) -> Vec<u64> {
        let (mut numbers, mut generations) = (Vec::new(), BTreeSet::new());
        let mut address = "events?limit=200".to_owned();
        loop {
            let page = self.one.view(&address).await;
            for event in page["events"].as_array().unwrap() {
                if event["action"] == "limits.set" {
                    numbers.push(event["detail"]["request_timeout_ms"].as_u64().unwrap());
                    assert!(generations.insert(event["generation"].as_u64()), "twice: {event}");
                }
            }
            let Some(next) = page["next"].as_i64() else { return numbers };
            address = format!("events?limit=200&before={next}");
        }
    }
}

/// What somebody at the panel sees meanwhile.
async fn seen_in_the_panel(visitor: &Visitor, csrf: &str) {
    let page = visitor.get("/panel/tenants/north").await;
    let fields = [("generation", "1")];
    let form = visitor.post("/panel/tenants/north/invalidate", csrf, &fields).await;
    for page in [&page, &form] {
        assert_eq!(page.status, 503, "{page:?}");
        assert!(page.header("retry-after").parse::<u64>().is_ok_and(|secs| secs > 0), "{page:?}");
        for said in ["The gateway's registry is not available.", "served meanwhile"] {
            assert!(page.body.contains(said), "{said}: {}", page.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_are_told_and_nothing_is_written_by_half() {
    let world = World::start().await;
    // Of the hospital that nobody is changing: what is known of one that was changed a moment before the registry
    // went away counts no more, and cannot be asked for.
    let (proxy, token) = (&world.proxy, world.issuer.token("south"));
    let visitor = Visitor::of(&world.one);
    visitor.sign_in("operator").await;
    let csrf = visitor.csrf().await;

    let (numbers, stop) = (AtomicU64::new(100_000), AtomicBool::new(false));
    let (first, second) = (Told::default(), Told::default());
    let outage = async {
        for told in [&first, &second] {
            told.until("a change before", |done, _| done >= 3).await;
        }
        // As a server that is started again: connections break, and new ones are refused.
        proxy.set(Fault::Refuse).await;
        proxy.reset_open().await;
        let before = [&first, &second].map(|told| told.away.load(Ordering::Relaxed));
        for (told, before) in [&first, &second].into_iter().zip(before) {
            told.until("told that it is away", |_, away| away >= before + 20).await;
        }
        seen_in_the_panel(&visitor, &csrf).await;
        let done = [&first, &second].map(|told| told.done.load(Ordering::Relaxed));
        proxy.heal().await;
        for (told, before) in [&first, &second].into_iter().zip(done) {
            told.until("a change afterwards", |done, _| done >= before + 3).await;
        }
        stop.store(true, Ordering::Relaxed);
    };
    let ((), by_one, by_two, read_one, read_two) = tokio::join!(
        outage,
        operator(&world.one, &numbers, &first, &stop),
        operator(&world.two, &numbers, &second, &stop),
        clinician(&world.one, &token, &stop),
        clinician(&world.two, &token, &stop),
    );
    assert!(read_one > 0 && read_two > 0);

    // Every change that was acknowledged stands in the log, none twice, and the last is in force.
    let log = world.log().await;
    let written: BTreeSet<u64> = log.iter().copied().collect();
    assert_eq!(written.len(), log.len(), "a change was made twice");
    let lost: Vec<_> = by_one.iter().chain(&by_two).filter(|n| !written.contains(n)).collect();
    assert!(lost.is_empty(), "acknowledged and not there: {lost:?}");
    for gateway in [&world.one, &world.two] {
        let shown = gateway.view("tenants/north").await;
        let now = shown["limits"]["request_timeout_ms"].as_u64();
        assert_eq!(now, log.first().copied(), "{shown}");
    }

    // Both follow again.
    for (teller, follower) in [(&world.one, &world.two), (&world.two, &world.one)] {
        for (verb, status) in [("suspend", 403), ("resume", 200)] {
            teller.change(Method::POST, "south", verb, json!({ "reason": "test" })).await;
            world.comes(follower, "south", status).await;
        }
    }
}
