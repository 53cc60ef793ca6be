//! The isolation program: many tenants over all engines, requests that are cut off at random, lanes that
//! come and go, and configuration that changes all the while. Every row carries its database's mark, every
//! resource its mapping's version, and every answer is held against what was in force.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::harness::number_from_env;
use crate::isolation_model::{Config, Hospital, Random};
use crate::support::{Gateway, Options, Reply, TestIssuer, mapping};

/// Callers at once.
const WORKERS: u64 = 12;
/// Rows of each hospital.
pub const ROWS: u64 = 5;

/// What came of the requests.
#[derive(Default)]
struct Tally {
    answered: AtomicU64,
    refused: AtomicU64,
    cancelled: AtomicU64,
    unavailable: AtomicU64,
    foreign: AtomicU64,
    stale: AtomicU64,
    changes: AtomicU64,
}

struct Program {
    gateway: Gateway,
    tenants: Vec<Hospital>,
    tally: Tally,
    done: AtomicBool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_row_and_no_configuration_of_another_or_of_yesterday() {
    let tenants = number_from_env("WARDGATE_ISOLATION_TENANTS", 12);
    let requests = number_from_env("WARDGATE_ISOLATION_REQUESTS", 6000);
    let seed = number_from_env("WARDGATE_ISOLATION_SEED", Uuid::new_v4().as_u64_pair().0);
    println!("isolation: seed {seed}");
    let names: Vec<String> = (0..tenants).map(|n| format!("tenant-{n}")).collect();
    let issuer = TestIssuer::for_tenants(&names).await;
    let program = Arc::new(prepare(&issuer, &names).await);

    let mut churn = JoinSet::new();
    for (worker, half) in [(0, 0), (1, 1)] {
        let (program, random) = (Arc::clone(&program), Random::new(seed ^ (0xC0FF_EE00 + worker)));
        churn.spawn(async move { program.churn(half, random).await });
    }
    let mut callers = JoinSet::new();
    for worker in 0..WORKERS {
        let (program, random) = (Arc::clone(&program), Random::new(seed.wrapping_add(worker)));
        let share = requests / WORKERS + u64::from(worker < requests % WORKERS);
        callers.spawn(async move { program.call(share, random).await });
    }
    while let Some(ended) = callers.join_next().await {
        ended.expect("a caller ended well");
    }
    program.done.store(true, Ordering::SeqCst);
    while let Some(ended) = churn.join_next().await {
        ended.expect("the changes ended well");
    }
    program.close(seed, requests).await;
}

async fn prepare(issuer: &TestIssuer, names: &[String]) -> Program {
    let ports = [crate::harness::Postgres::server().port, crate::harness::MariaDb::server().port];
    let options = Options {
        egress: ports.iter().map(|port| format!("127.0.0.1/32:{port}")).collect(),
        settings: "[pool]\nmax_connections = 3\nidle_timeout = \"1s\"\nacquire_timeout = \"5s\"\n\
                   [limits]\nrequests_per_second = 100000\nconcurrent_requests = 64\n"
            .to_owned(),
        ..Options::default()
    };
    let gateway = Gateway::start(issuer, options).await;
    let mut tenants = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let sqlite = gateway.folder().join("sqlite");
        let hospital = Hospital::build(at, name, issuer.token(name), &sqlite).await;
        gateway.register(name, hospital.connection(0)).await;
        gateway.publish(name, &mapping(&format!("{name}-1"))).await;
        tenants.push(hospital);
    }
    Program { gateway, tenants, tally: Tally::default(), done: AtomicBool::new(false) }
}

impl Program {
    async fn call(&self, share: u64, mut random: Random) {
        for _ in 0..share {
            let own = random.below(self.tenants.len() as u64);
            let tenant = &self.tenants[usize::try_from(own).unwrap()];
            let other =
                &self.tenants[usize::try_from(random.below(self.tenants.len() as u64)).unwrap()];
            let (kind, path) = request(tenant, other, &mut random);
            let cut = (random.below(10) < 3).then(|| Duration::from_micros(random.below(30_000)));
            let acknowledged = tenant.state.acknowledged();
            let url = format!("{}{path}", self.gateway.fhir);
            let request = self.gateway.http.get(url).bearer_auth(&tenant.token);
            // A header that names somebody else changes nothing.
            let request = request.header("x-tenant", &other.name);
            let reply = match cut {
                Some(after) => tokio::time::timeout(after, Reply::of(request)).await.ok(),
                None => Some(Reply::of(request).await),
            };
            let Some(reply) = reply else {
                self.tally.cancelled.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            let reply = reply.expect("the gateway answers");
            let in_force = tenant.state.since(acknowledged);
            self.judge(tenant, &in_force, kind, &path, &reply);
            if kind == Kind::Page && reply.status == 200 {
                self.follow(tenant, &reply).await;
            }
        }
    }

    /// The page after a page. A link made under another mapping may be refused, never answered wrongly.
    async fn follow(&self, tenant: &Hospital, page: &Reply) {
        let next = page.next().expect("there are more rows than a page holds");
        let acknowledged = tenant.state.acknowledged();
        let reply = self.gateway.get(&tenant.token, &next).await;
        let in_force = tenant.state.since(acknowledged);
        if !matches!(reply.status, 400 | 410) {
            self.judge(tenant, &in_force, Kind::Page, "the next page", &reply);
        }
    }

    /// Holds an answer against every configuration that was in force while it was made.
    fn judge(&self, tenant: &Hospital, in_force: &[Config], kind: Kind, path: &str, reply: &Reply) {
        let count = |what: &AtomicU64| what.fetch_add(1, Ordering::Relaxed);
        let wrong = |what: &AtomicU64, word: &str| {
            count(what);
            println!(
                "isolation: {word} answer of {} to {path}: {reply:?}; in force {in_force:?}",
                tenant.name
            );
        };
        match reply.status {
            200 | 404 if !in_force.iter().any(|c| c.active) => wrong(&self.tally.stale, "a stale"),
            200 => {
                count(&self.tally.answered);
                let resources = kind.resources(reply);
                for resource in &resources {
                    let (mark, version) = signs(resource);
                    if !mark.starts_with(&format!("mark-{}-", tenant.name)) {
                        wrong(&self.tally.foreign, "a foreign");
                    } else if !in_force.iter().any(|c| c.active && c.shows(tenant, &mark, &version))
                    {
                        wrong(&self.tally.stale, "a stale");
                    }
                }
                let expected = kind.expected();
                assert_eq!(resources.len() as u64, expected, "{path}: {reply:?}");
            }
            404 => {
                count(&self.tally.answered);
                assert_eq!(kind, Kind::Absent, "{path}: {reply:?}");
            }
            403 if in_force.iter().any(|c| !c.active) => {
                count(&self.tally.refused);
            }
            403 => wrong(&self.tally.stale, "a stale"),
            429 | 503 | 504 => {
                count(&self.tally.unavailable);
            }
            _ => panic!("{path} of {}: {reply:?}", tenant.name),
        }
        let marks = reply.body.matches("mark-").count();
        let own = reply.body.matches(&format!("mark-{}-", tenant.name)).count();
        if marks != own {
            wrong(&self.tally.foreign, "a foreign");
        }
    }

    /// Changes tenants of one half (by number, even or odd) until the callers are done.
    async fn churn(&self, half: usize, mut random: Random) {
        let mine: Vec<&Hospital> = self.tenants.iter().skip(half).step_by(2).collect();
        while !self.done.load(Ordering::SeqCst) {
            let at = usize::try_from(random.below(mine.len() as u64)).unwrap();
            self.one_change(mine[at], random.below(6)).await;
            self.tally.changes.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(random.below(20))).await;
        }
    }

    async fn one_change(&self, tenant: &Hospital, which: u64) {
        let (name, gateway) = (tenant.name.as_str(), &self.gateway);
        let now = tenant.state.now();
        match which {
            0 => {
                tenant.state.begin(Config { active: false, ..now.clone() });
                gateway.suspend(name).await;
                tenant.state.acknowledge();
                tenant.state.begin(Config { active: true, ..now });
                gateway.resume(name).await;
                tenant.state.acknowledge();
            }
            1 => {
                gateway.change(Method::POST, name, "invalidate", json!({})).await;
            }
            2 => {
                let version = now.version + 1;
                tenant.state.begin(Config { version, ..now });
                gateway.publish(name, &mapping(&format!("{name}-{version}"))).await;
                tenant.state.acknowledge();
            }
            3 => {
                let database = 1 - now.database;
                tenant.state.begin(Config { database, ..now });
                let connection = tenant.connection(database);
                gateway.change(Method::PUT, name, "connection", connection).await;
                tenant.state.acknowledge();
            }
            _ => {
                let path = format!("tenants/{name}/pool/drain");
                let drained = gateway.operate(Method::POST, &path, None, None).await;
                assert_eq!(drained.status, 204, "{drained:?}");
            }
        }
    }

    /// The summary, and what must hold at the end.
    async fn close(&self, seed: u64, requests: u64) {
        let read = |what: &AtomicU64| what.load(Ordering::SeqCst);
        let tally = &self.tally;
        println!(
            "isolation: {requests} requests, {} tenants, seed {seed}: {} answered, {} refused, {} cut off, \
             {} unavailable, {} changes; {} foreign, {} stale",
            self.tenants.len(),
            read(&tally.answered),
            read(&tally.refused),
            read(&tally.cancelled),
            read(&tally.unavailable),
            read(&tally.changes),
            read(&tally.foreign),
            read(&tally.stale),
        );
        assert_eq!(read(&tally.foreign), 0, "rows of another tenant");
        assert_eq!(read(&tally.stale), 0, "answers older than an acknowledged change");
        // The figures above mean something only if the gateway really answered.
        let (answered, unavailable) = (read(&tally.answered), read(&tally.unavailable));
        assert!(answered * 2 > requests, "only {answered} of {requests} were answered");
        assert!(unavailable * 20 < requests, "{unavailable} of {requests} found no connection");
        assert!(read(&tally.changes) > 0 && read(&tally.cancelled) > 0);
        assert!(self.gateway.runs(), "the gateway died");
        for tenant in &self.tenants {
            let pool = self.settled(&tenant.name).await;
            assert!(
                pool["connections"].as_u64() <= pool["max"].as_u64(),
                "{}: {pool}",
                tenant.name
            );
        }
    }

    /// The tenant's lane once nothing is under way in it.
    async fn settled(&self, name: &str) -> Value {
        let mut pool = Value::Null;
        for _ in 0..100 {
            pool = self.gateway.view(&format!("tenants/{name}/pool")).await;
            if pool["in_use"] == 0 && pool["waiting"] == 0 {
                return pool;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{name}: permits are lost: {pool}");
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Absent,
    All,
    Page,
}

impl Kind {
    const fn expected(self) -> u64 {
        match self {
            Self::Absent => 0,
            Self::Read => 1,
            Self::Page => 2,
            Self::All => ROWS,
        }
    }

    fn resources(self, reply: &Reply) -> Vec<Value> {
        if self == Self::Read { vec![reply.json()] } else { reply.resources() }
    }
}

fn request(tenant: &Hospital, other: &Hospital, random: &mut Random) -> (Kind, String) {
    let row = random.below(ROWS);
    match random.below(6) {
        0 | 1 => (Kind::Read, format!("/Patient/{}", tenant.first + row)),
        // Ids are never shared, so another tenant's row is absent like any other.
        2 if tenant.first != other.first => {
            (Kind::Absent, format!("/Patient/{}", other.first + row))
        }
        2 | 3 => (Kind::All, "/Patient".to_owned()),
        4 => (Kind::All, format!("/Patient?family=mark-{}-", tenant.name)),
        _ => (Kind::Page, "/Patient?_count=2".to_owned()),
    }
}

/// The database's mark and the mapping's version in a resource.
fn signs(resource: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let version = text(&resource["identifier"][0]["system"]);
    (text(&resource["name"][0]["family"]), version)
}
