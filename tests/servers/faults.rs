//! One hospital's database falls ill in every way that can be made here. Its callers are answered in
//! bounded time, the others' see nothing of it, and it comes back by itself.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;
use sqlx::{Connection, Row};

use crate::fault_proxy::{Fault, FaultProxy, Side};
use crate::harness::{Database, MariaDb, Postgres, number_from_env};
use crate::support::hospital::patients_sql;
use crate::support::{Gateway, Options, TestIssuer, mapping, sqlite_hospital};

/// The longest a caller of the sick hospital waits. 1.5 s is promised; the rest is room for a busy machine.
const BOUND: Duration = Duration::from_secs(12);
/// The longest until it is served again, counted from the fault's end: the breaker stays open 4 s at most.
const RECOVERY: Duration = Duration::from_secs(40);

struct Ward {
    gateway: Gateway,
    issuer: TestIssuer,
    /// Behind the proxy.
    database: Database,
    proxy: FaultProxy,
    /// Another database on the same server.
    _well: Database,
}

impl Ward {
    async fn open(database: Database, well: Database) -> Self {
        let issuer = TestIssuer::for_tenants(&["sick", "well", "file"]).await;
        let server = ([127, 0, 0, 1], database.server.port).into();
        let proxy = FaultProxy::start(server).await;
        let ports = [database.server.port, proxy.address().port()];
        let options = Options {
            egress: ports.iter().map(|port| format!("127.0.0.1/32:{port}")).collect(),
            settings:
                "[pool]\nmax_connections = 3\nconnect_timeout = \"1s\"\nacquire_timeout = \"1s\"\n\
                       statement_timeout = \"2s\"\n\
                       [breaker]\nfailures = 3\nopen_for = \"2s\"\nopen_at_most = \"4s\"\n\
                       [limits]\nrequests_per_second = 100000\nrequest_timeout = \"3s\"\n"
                    .to_owned(),
            ..Options::default()
        };
        let gateway = Gateway::start(&issuer, options).await;
        let file = gateway.folder().join("sqlite/file.db");
        sqlite_hospital(&file, "mark-file", 1..4).await;
        for (one, mark) in [(&database, "mark-sick"), (&well, "mark-well")] {
            one.execute(&patients_sql(mark, 1..4)).await;
        }
        for (name, connection) in [
            ("sick", database.connection(proxy.address().port())),
            ("well", well.connection(well.server.port)),
            ("file", serde_json::json!({ "url": "sqlite:file.db" })),
        ] {
            gateway.register(name, connection).await;
            gateway.publish(name, &mapping("1")).await;
        }
        let ward = Self { gateway, issuer, database, proxy, _well: well };
        ward.others_are_served().await;
        ward.recovers().await;
        ward
    }

    async fn ask(&self, name: &str) -> u16 {
        let reply = self.gateway.get(&self.issuer.token(name), "/Patient/1").await;
        if reply.status == 200 {
            assert!(reply.body.contains(&format!("mark-{name}")), "{reply:?}");
        } else {
            assert!(!reply.body.contains("mark-"), "{reply:?}");
            // Whoever is told to come back is told when, and not at once.
            let wait = reply.header("retry-after").parse::<u64>().unwrap_or(0);
            assert!(reply.status != 503 || wait > 0, "{reply:?}");
        }
        reply.status
    }

    async fn others_are_served(&self) {
        for name in ["well", "file"] {
            assert_eq!(self.ask(name).await, 200, "{name} suffers with the sick one");
        }
    }

    /// Several callers at once of the sick hospital, each answered within the bound with a status that
    /// tells them to come back, and the others served all the while.
    async fn suffers(&self, what: &str) {
        for _ in 0..3 {
            let asked = async {
                let begun = Instant::now();
                let status = self.ask("sick").await;
                assert!(begun.elapsed() < BOUND, "{what}: waited {:?}", begun.elapsed());
                assert!(matches!(status, 503 | 504), "{what}: {status}");
            };
            let second = async {
                let begun = Instant::now();
                let status = self.ask("sick").await;
                assert!(begun.elapsed() < BOUND, "{what}: waited {:?}", begun.elapsed());
                assert!(matches!(status, 503 | 504), "{what}: {status}");
            };
            tokio::join!(asked, second, self.others_are_served());
        }
    }

    /// Served again within the bound, and nothing of the lane is lost.
    async fn recovers(&self) {
        let begun = Instant::now();
        while self.ask("sick").await != 200 {
            assert!(begun.elapsed() < RECOVERY, "not served again: {}", self.breaker().await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let begun = Instant::now();
        loop {
            let pool = self.gateway.view("tenants/sick/pool").await;
            if pool["in_use"] == 0 && pool["waiting"] == 0 {
                assert!(pool["connections"].as_u64() <= pool["max"].as_u64(), "{pool}");
                break;
            }
            assert!(begun.elapsed() < RECOVERY, "permits are lost: {pool}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // As many callers as there are connections are served at once.
        let (one, two, three) = tokio::join!(self.ask("sick"), self.ask("sick"), self.ask("sick"));
        assert_eq!((one, two, three), (200, 200, 200));
        self.others_are_served().await;
    }

    async fn breaker(&self) -> Value {
        self.gateway.view("tenants/sick/breaker").await
    }

    /// Ends the sick hospital's sessions in the server.
    async fn end_sessions(&self) {
        let mut admin = Postgres::admin().await;
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1";
        sqlx::query(sql).bind(&self.database.user).execute(&mut admin).await.unwrap();
        admin.close().await.unwrap();
    }

    async fn as_admin(&self, sql: &str) {
        let mut admin = Postgres::admin().await;
        sqlx::raw_sql(sql).execute(&mut admin).await.unwrap();
        admin.close().await.unwrap();
    }
}

async fn postgres() -> Ward {
    Ward::open(Postgres::database().await, Postgres::database().await).await
}

async fn mariadb() -> Ward {
    Ward::open(MariaDb::database().await, MariaDb::database().await).await
}

/// Faults in the network, over and over.
async fn network(ward: &Ward) {
    for cycle in 0..number_from_env("WARDGATE_FAULT_CYCLES", 2) {
        for fault in [
            Fault::Refuse,
            Fault::Reset,
            Fault::Freeze { side: Side::Server, after: 0 },
            Fault::Freeze { side: Side::Both, after: 0 },
            Fault::HalfClose,
        ] {
            ward.proxy.set(fault).await;
            if fault == Fault::Refuse {
                ward.proxy.reset_open().await;
            }
            ward.suffers(&format!("cycle {cycle}, {fault:?}")).await;
            ward.proxy.heal().await;
            ward.recovers().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_behind_a_broken_network() {
    network(&postgres().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_behind_a_broken_network() {
    network(&mariadb().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_open_breaker_lets_one_probe_through() {
    let ward = postgres().await;
    ward.proxy.set(Fault::Reset).await;
    ward.suffers("reset").await;
    let begun = Instant::now();
    while ward.breaker().await["state"] != "open" {
        assert!(begun.elapsed() < BOUND, "the breaker does not open: {}", ward.breaker().await);
        let _failed = ward.ask("sick").await;
    }
    let (knocks, opened) = (ward.proxy.counts().accepted, opened(&ward.breaker().await));
    let begun = Instant::now();
    // Many callers through several half-open moments.
    while opened_since(&ward, opened).await < 3 {
        assert!(begun.elapsed() < Duration::from_secs(30), "no probes: {}", ward.breaker().await);
        let all = (0..16).map(|_| ward.ask("sick"));
        for status in futures_util::future::join_all(all).await {
            assert_eq!(status, 503);
        }
    }
    let knocks = ward.proxy.counts().accepted - knocks;
    let probes = opened_since(&ward, opened).await;
    // One more may be under way, or be between its failure and the breaker's count.
    assert!((1..=probes + 1).contains(&knocks), "{knocks} connections for {probes} probes");
    ward.proxy.heal().await;
    ward.recovers().await;
}

fn opened(breaker: &Value) -> u64 {
    breaker["opened_total"].as_u64().unwrap()
}

async fn opened_since(ward: &Ward, before: u64) -> u64 {
    opened(&ward.breaker().await) - before
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_account_is_not_tried_again_and_again() {
    let ward = postgres().await;
    ward.as_admin(&format!("ALTER ROLE {} PASSWORD 'another'", ward.database.user)).await;
    ward.end_sessions().await;
    let knocks = ward.proxy.counts().accepted;
    // The first request may meet the ended session.
    let _ended = ward.ask("sick").await;
    ward.suffers("wrong password").await;
    ward.suffers("wrong password").await;
    let knocks = ward.proxy.counts().accepted - knocks;
    assert!(knocks <= 4, "{knocks} attempts would lock an account");
    let restore =
        format!("ALTER ROLE {} PASSWORD '{}'", ward.database.user, ward.database.password);
    ward.as_admin(&restore).await;
    // The breaker waits minutes here; an operator who mended it need not.
    let reset = "tenants/sick/breaker/reset";
    assert_eq!(ward.gateway.operate(Method::POST, reset, None, None).await.status, 204);
    ward.recovers().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_back_ends_are_replaced() {
    let ward = postgres().await;
    for _ in 0..number_from_env("WARDGATE_FAULT_CYCLES", 5) {
        ward.end_sessions().await;
        ward.recovers().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_is_waited_for() {
    let ward = postgres().await;
    for _ in 0..number_from_env("WARDGATE_FAULT_CYCLES", 2) {
        let role = &ward.database.user;
        ward.end_sessions().await;
        ward.as_admin(&format!("ALTER ROLE {role} CONNECTION LIMIT 1")).await;
        // Another application of the hospital has the only place.
        let holder = ward.hold_the_only_place().await;
        ward.suffers("no place left").await;
        holder.close().await.unwrap();
        ward.as_admin(&format!("ALTER ROLE {role} CONNECTION LIMIT -1")).await;
        ward.recovers().await;
    }
}

impl Ward {
    /// The gateway may be quicker, so its sessions are ended until the place is ours.
    async fn hold_the_only_place(&self) -> sqlx::postgres::PgConnection {
        for _ in 0..50 {
            self.end_sessions().await;
            if let Ok(held) = self.database.try_postgres().await {
                return held;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the place was never free");
    }
}

/// Continues stopped processes whatever happens to the test.
struct Stopped(Vec<rustix::process::Pid>);

impl Drop for Stopped {
    fn drop(&mut self) {
        for pid in &self.0 {
            let _gone = rustix::process::kill_process(*pid, rustix::process::Signal::CONT).is_err();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_back_ends_hold_nobody_for_long() {
    let ward = postgres().await;
    for _ in 0..number_from_env("WARDGATE_FAULT_CYCLES", 2) {
        let mut admin = Postgres::admin().await;
        let sql = "SELECT pid FROM pg_stat_activity WHERE usename = $1";
        let rows = sqlx::query(sql).bind(&ward.database.user).fetch_all(&mut admin).await.unwrap();
        admin.close().await.unwrap();
        let mut stopped = Stopped(Vec::new());
        for row in rows {
            let pid = rustix::process::Pid::from_raw(row.get(0)).expect("a process");
            rustix::process::kill_process(pid, rustix::process::Signal::STOP)
                .expect("the test may signal the test server");
            stopped.0.push(pid);
        }
        assert!(!stopped.0.is_empty(), "the sick hospital had no session to stop");
        // The server still takes connections, so callers may be served again while these stand still.
        for _ in 0..3 {
            let begun = Instant::now();
            let status = ward.ask("sick").await;
            assert!(begun.elapsed() < BOUND, "waited {:?}", begun.elapsed());
            assert!(matches!(status, 200 | 503 | 504), "{status}");
            ward.others_are_served().await;
        }
        ward.recovers().await;
        drop(stopped);
        ward.recovers().await;
    }
}
