//! One hospital asks twenty times its share: what the others notice. Once of its rate, where nearly all of it is
//! turned away, and once of the gateway's connections, where all that it asks is let in and more of them are
//! wanted than there are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{Database, Postgres};
use crate::shared::{Arguments, Report, Times, Wire, get, median, millis};
use crate::support::hospital::patients_sql;
use crate::support::{Gateway, Options, TestIssuer, mapping};
use crate::world::address;

/// Hospitals beside the loud one.
const OTHERS: usize = 8;
/// How often each of their callers asks: a fifth of the share.
const PACE: Duration = Duration::from_millis(100);
/// Requests a second that every hospital may ask.
const SHARE: u32 = 50;
/// How many times its share the loud one asks.
const TIMES: u32 = 20;
/// Its callers, who together keep that pace.
const LOUD_CALLERS: u32 = 20;

struct Case {
    name: &'static str,
    settings: String,
    /// Whether the loud one's own limits let everything in.
    unbound: bool,
    path: &'static str,
}

struct Ward {
    gateway: Gateway,
    loud: Vec<u8>,
    others: Vec<Vec<u8>>,
    _issuer: TestIssuer,
    _databases: Vec<Database>,
}

/// How long the others waited, and what the loud one was told.
struct Heard {
    others: Times,
    refused: usize,
    loud: BTreeMap<u16, u64>,
}

impl Ward {
    async fn open(case: &Case) -> Self {
        let mut names = vec!["loud".to_owned()];
        names.extend((0..OTHERS).map(|n| format!("ward-{n}")));
        let issuer = TestIssuer::for_tenants(&names).await;
        let mut databases = Vec::new();
        for _ in &names {
            databases.push(Postgres::database().await);
        }
        let port = databases[0].server.port;
        let options = Options {
            egress: vec![format!("127.0.0.1/32:{port}")],
            settings: case.settings.clone(),
            log_level: Some("warn"),
            ..Options::default()
        };
        let gateway = Gateway::start(&issuer, options).await;
        for (name, database) in names.iter().zip(&databases) {
            database.execute(&patients_sql("mark", 1..200)).await;
            gateway.register(name, database.connection(port)).await;
            gateway.publish(name, &mapping("1")).await;
        }
        if case.unbound {
            let limits = json!({ "requests_per_second": 1_000_000, "concurrent_requests": 1000,
                "max_connections": 2 * OTHERS });
            gateway.change(reqwest::Method::PATCH, "loud", "", json!({ "limits": limits })).await;
        }
        let request = |name: &String| get(case.path, Some(&issuer.token(name)));
        let loud = request(&names[0]);
        let others = names[1..].iter().map(request).collect();
        let ward = Self { gateway, loud, others, _issuer: issuer, _databases: databases };
        for request in &ward.others {
            let answered = ward.wire().await.send(request).await.unwrap();
            assert_eq!(answered.status, 200);
        }
        ward
    }

    async fn wire(&self) -> Wire {
        Wire::open(address(&self.gateway.fhir)).await.unwrap()
    }

    /// The others' callers for a while, with the loud one's or without.
    async fn load(&self, span: Duration, loud: bool) -> Heard {
        let (stop, mut tasks) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
        let every = Duration::from_secs(1) * LOUD_CALLERS / (SHARE * TIMES);
        let louds = if loud { LOUD_CALLERS as usize } else { 0 };
        for caller in 0..OTHERS + louds {
            let is_loud = caller >= OTHERS;
            let request = self.others.get(caller).unwrap_or(&self.loud).clone();
            let pace = if is_loud { every } else { PACE };
            let (stop, mut wire) = (Arc::clone(&stop), self.wire().await);
            tasks.spawn(async move {
                let mut heard = Vec::new();
                // A tick apart, whatever the answer takes, and not all on the same one.
                let phase = pace * caller as u32 / (OTHERS as u32 + LOUD_CALLERS);
                let mut ticks = tokio::time::interval_at((Instant::now() + phase).into(), pace);
                while !stop.load(Ordering::Relaxed) {
                    ticks.tick().await;
                    let answered = wire.send(&request).await.unwrap();
                    heard.push((answered.status, answered.whole));
                }
                (is_loud, heard)
            });
        }
        tokio::time::sleep(span).await;
        stop.store(true, Ordering::Relaxed);
        let (mut times, mut refused, mut loud) = (Vec::new(), 0, BTreeMap::new());
        while let Some(done) = tasks.join_next().await {
            let (is_loud, heard) = done.unwrap();
            for (status, whole) in heard {
                if is_loud {
                    *loud.entry(status).or_insert(0) += 1;
                } else {
                    times.push(whole);
                    refused += usize::from(status != 200);
                }
            }
        }
        Heard { others: Times::of(times), refused, loud }
    }
}

pub async fn run(arguments: &Arguments, report: &mut Report) -> Value {
    let rate = format!("[limits]\nrequests_per_second = {SHARE}\n");
    // One connection for each of the others, and as many again.
    let few = format!("{rate}[pool]\ntotal_connections = {}\n", 2 * OTHERS);
    let cases = [
        Case { name: "rate", settings: rate, unbound: false, path: "/fhir/Patient/1" },
        Case { name: "connections", settings: few, unbound: true, path: "/fhir/Patient/1" },
    ];
    let mut all = serde_json::Map::new();
    for case in cases {
        let found = measure(&case, arguments, report).await;
        all.insert(case.name.to_owned(), found);
    }
    all.into()
}

async fn measure(case: &Case, arguments: &Arguments, report: &mut Report) -> Value {
    let ward = Ward::open(case).await;
    let rounds = arguments.number("rounds", 1, 5);
    let span = Duration::from_secs(arguments.number("fairness-seconds", 3, 10));
    ward.load(Duration::from_secs(2), false).await;
    let (mut before, mut during, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut refused, mut told) = (0, BTreeMap::<String, u64>::new());
    for _ in 0..rounds {
        let (quiet, loud) = (ward.load(span, false).await, ward.load(span, true).await);
        let [a, b] = [&quiet, &loud].map(|heard| millis(heard.others.at(0.99)));
        before.push(a);
        during.push(b);
        ratios.push(b / a);
        refused += quiet.refused + loud.refused;
        for (status, count) in loud.loud {
            *told.entry(status.to_string()).or_default() += count;
        }
    }
    let [before, during, ratio] = [before, during, ratios].map(median);
    report.line(format!(
        "{}: one hospital at {TIMES} times its share (answers {told:?}): the others' p99 {before:.2} ms -> \
         {during:.2} ms, {ratio:.2} times ({rounds} rounds of {} s, medians); {refused} of them refused",
        case.name,
        span.as_secs()
    ));
    json!({ "others_p99_alone_ms": before, "others_p99_ms": during, "ratio": ratio,
        "others_refused": refused, "loud_answers": told })
}
