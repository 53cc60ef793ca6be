//! Many registered hospitals, some of them warm: what they cost the gateway in memory and file handles,
//! and that idle ones give it back without anybody asking. The test is the program at a small size;
//! `cargo bench --bench figures -- fleet` runs it at any, in a release build.
//!
//! Warm hospitals are PostgreSQL databases with roles of their own, over verified TLS. Those only
//! registered are SQLite files, which register quickly; while nobody asks for them the gateway holds
//! nothing of either kind.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use serde_json::json;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use crate::harness::{Database, Postgres, number_from_env};
use crate::support::gateway::Stores;
use crate::support::hospital::patients_sql;
use crate::support::{Gateway, Options, TestIssuer, mapping, sqlite_hospital};

/// How large.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Hospitals registered, the warm ones included.
    pub registered: u64,
    /// Hospitals that are asked for, each over one connection.
    pub warm: u64,
    /// `[pool] idle_timeout`. Longer than warming takes, or the first would be cold before the last is
    /// warm.
    pub idle: Duration,
}

/// The process at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reading {
    /// Resident memory that is no file's, in KiB (`RssAnon`).
    pub memory: u64,
    /// All resident memory, in KiB (`VmRSS`).
    pub resident: u64,
    /// Open sockets.
    pub sockets: u64,
    /// Open files of the access log; the log keeps so many at most.
    pub log_files: u64,
    /// Open files of the registry and the key store; connections to them are kept for reuse.
    pub store_files: u64,
    /// Every other handle.
    pub others: u64,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// A gateway that has just started over a registry that knows them all.
    pub started: Reading,
    /// One hospital was asked: whatever is made at the first request is there.
    pub first: Reading,
    /// Every warm hospital was asked once.
    pub once: Reading,
    /// Every warm hospital was asked ten times more.
    pub warm: Reading,
    /// The databases' sessions at that moment.
    pub sessions: u64,
    /// All lanes are closed.
    pub idle: Reading,
    /// From the last answer until the last session was gone.
    pub closed_after: Duration,
    /// Whether sockets and other handles came back to what they were.
    pub handles_back: bool,
}

/// How long beyond the idle time closing may take before this gives up; no figure, only an end.
const PATIENCE: Duration = Duration::from_mins(2);

impl Reading {
    /// Of a process, from `/proc`.
    pub fn of(pid: u32) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).expect("a field");
            line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
        };
        let mut reading =
            Self { memory: field("RssAnon:"), resident: field("VmRSS:"), ..Self::default() };
        let handles = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its handles");
        for handle in handles.filter_map(Result::ok) {
            // One that was closed meanwhile has no target.
            let Ok(target) = std::fs::read_link(handle.path()) else { continue };
            let target = target.to_string_lossy();
            if target.starts_with("socket:") {
                reading.sockets += 1;
            } else if target.contains("/audit/") || target.contains("/checkpoints/") {
                reading.log_files += 1;
            } else if target.contains("registry.db") || target.contains("keys.db") {
                reading.store_files += 1;
            } else {
                reading.others += 1;
            }
        }
        reading
    }

    fn has_handles_of(&self, base: &Self) -> bool {
        self.sockets <= base.sockets && self.others <= base.others
    }
}

/// Runs it.
pub async fn run(plan: Plan) -> Outcome {
    let name = |n: u64| if n < plan.warm { format!("warm-{n}") } else { format!("cold-{n}") };
    let warm: Vec<String> = (0..plan.warm).map(name).collect();
    let issuer = TestIssuer::for_tenants(&warm).await;
    let folder = tempfile::tempdir().expect("make a folder");
    let stores = Stores::in_folder(folder.path());
    let options = |fresh| Options {
        egress: vec![format!("127.0.0.1/32:{}", Postgres::server().port)],
        settings: format!(
            "[pool]\nidle_timeout = \"{}s\"\ntotal_connections = {}\n",
            plan.idle.as_secs(),
            plan.warm.max(400)
        ),
        stores: Some(stores.clone()),
        fresh,
        log_level: Some("warn"),
        ..Options::default()
    };
    let databases = register(&Gateway::start(&issuer, options(true)).await, &plan, &name).await;
    // Another process measures: what registering left in the first one's memory is not the question.
    let gateway = Gateway::start(&issuer, options(false)).await;
    let mut admin = Postgres::admin().await;
    let started = Reading::of(gateway.pid());
    ask(&gateway, &issuer, &warm[..1], 10).await;
    let first = Reading::of(gateway.pid());
    ask(&gateway, &issuer, &warm, 1).await;
    let once = Reading::of(gateway.pid());
    ask(&gateway, &issuer, &warm, 10).await;
    let (answered, reading) = (Instant::now(), Reading::of(gateway.pid()));
    let sessions = self::sessions(&mut admin, &databases).await;

    let mut outcome = Outcome {
        started,
        first,
        once,
        warm: reading,
        sessions,
        idle: reading,
        closed_after: Duration::MAX,
        handles_back: false,
    };
    while answered.elapsed() < plan.idle + PATIENCE {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if self::sessions(&mut admin, &databases).await == 0 {
            outcome.closed_after = answered.elapsed();
            break;
        }
    }
    // Handles of a session that the server has ended are closed a moment later.
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE && !outcome.handles_back {
        outcome.idle = Reading::of(gateway.pid());
        outcome.handles_back = outcome.idle.has_handles_of(&started);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    admin.close().await.expect("close the superuser's connection");
    outcome
}

/// Registers and maps them all; the warm ones' databases come back.
async fn register(gateway: &Gateway, plan: &Plan, name: &impl Fn(u64) -> String) -> Vec<Database> {
    let files = gateway.folder().join("sqlite");
    let first = files.join("first.db");
    sqlite_hospital(&first, "mark", 1..4).await;
    let made = futures_util::stream::iter(0..plan.registered).map(|n| {
        let (files, first, name) = (&files, &first, name(n));
        async move {
            let (database, connection) = if n < plan.warm {
                let database = Postgres::database().await;
                database.execute(&patients_sql("mark", 1..4)).await;
                let connection = database.connection(database.server.port);
                (Some(database), connection)
            } else {
                let file = format!("{name}.db");
                std::fs::copy(first, files.join(&file)).expect("copy a hospital's file");
                (None, json!({ "url": format!("sqlite:{file}") }))
            };
            let tenant = gateway.register(&name, connection).await;
            assert_eq!(tenant["state"], "active", "{tenant}");
            gateway.publish(&name, &mapping("1")).await;
            database
        }
    });
    made.buffer_unordered(4).filter_map(std::future::ready).collect().await
}

/// Reads of each warm hospital, so many, a few hospitals at a time and one request at a time in each.
async fn ask(gateway: &Gateway, issuer: &TestIssuer, warm: &[String], times: usize) {
    // A client of its own: its connections end with it and are not among the handles afterwards.
    let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
    let asked = futures_util::stream::iter(warm).map(|name| {
        let (token, http) = (issuer.token(name), &http);
        async move {
            for _ in 0..times {
                let request = http.get(format!("{}/Patient/1", gateway.fhir)).bearer_auth(&token);
                let answer = request.send().await.expect("an answer");
                assert_eq!(answer.status(), 200, "{name}");
                answer.bytes().await.expect("a body");
            }
        }
    });
    asked.buffer_unordered(4).collect::<()>().await;
}

/// The hospitals' sessions in the server.
async fn sessions(admin: &mut PgConnection, databases: &[Database]) -> u64 {
    let names: Vec<&str> = databases.iter().map(|database| database.name.as_str()).collect();
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = ANY($1)";
    let count: i64 =
        sqlx::query_scalar(sql).bind(names).fetch_one(admin).await.expect("count sessions");
    count.unsigned_abs()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_hospitals_give_everything_back_without_traffic() {
    let plan = Plan {
        registered: number_from_env("WARDGATE_FLEET_REGISTERED", 30),
        warm: number_from_env("WARDGATE_FLEET_WARM", 12),
        idle: Duration::from_secs(number_from_env("WARDGATE_FLEET_IDLE", 10)),
    };
    let outcome = run(plan).await;
    println!("fleet: {plan:?}: {outcome:?}");
    let read = [outcome.started, outcome.first, outcome.once, outcome.warm, outcome.idle];
    assert!(read.iter().all(|r| r.memory > 0 && r.resident >= r.memory), "{outcome:?}");
    assert_eq!(outcome.sessions, plan.warm, "one connection for each warm hospital: {outcome:?}");
    assert!(read.iter().all(|r| r.log_files > 0 && r.store_files > 0), "{outcome:?}");
    assert_ne!(outcome.closed_after, Duration::MAX, "sessions stay open: {outcome:?}");
    assert!(outcome.handles_back, "handles stay open: {outcome:?}");
    // Against the end and not against the start: connections that registering left open may end
    // anywhere in between, and would hide as many sessions from a count that begins with them.
    assert!(outcome.warm.sockets >= outcome.idle.sockets + plan.warm, "{outcome:?}");
}
