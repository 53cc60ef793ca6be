//! Cold tenants: the first byte of the first request to a hospital this gateway has never seen, and what
//! two hundred of them at once open.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::fault_proxy::FaultProxy;
use crate::harness::{Database, Postgres};
use crate::shared::{Arguments, Report, Times, Wire, get, millis};
use crate::support::gateway::Stores;
use crate::support::hospital::patients_sql;
use crate::support::{Gateway, Options, TestIssuer, mapping};
use crate::world::address;

/// Requests to one cold tenant at once.
const AT_ONCE: usize = 200;

pub async fn run(arguments: &Arguments, report: &mut Report) -> Value {
    let fresh = arguments.number("tenants", 8, 100);
    let crowds = arguments.number("crowds", 1, 5);
    let names: Vec<String> = (0..fresh).map(|n| format!("cold-{n}")).collect();
    let crowded: Vec<String> = (0..crowds).map(|n| format!("crowd-{n}")).collect();
    let all: Vec<&String> = names.iter().chain(&crowded).collect();
    let issuer = TestIssuer::for_tenants(&all).await;
    let folder = tempfile::tempdir().unwrap();
    let stores = Stores {
        registry: format!("sqlite:{}", folder.path().join("registry.db").display()),
        keys: format!("sqlite:{}", folder.path().join("keys.db").display()),
        kek: folder.path().join("kek"),
    };
    let server: std::net::SocketAddr = ([127, 0, 0, 1], Postgres::server().port).into();
    let proxy = FaultProxy::start(server).await;
    let options = |fresh| Options {
        egress: [server, proxy.address()].map(|a| format!("127.0.0.1/32:{}", a.port())).to_vec(),
        // As delivered, but that a crowd is let in and counted at the database, not at the door.
        settings: format!(
            "[limits]\nrequests_per_second = 100000\nconcurrent_requests = {AT_ONCE}\n"
        ),
        stores: Some(stores.clone()),
        fresh,
        log_level: Some("warn"),
        ..Options::default()
    };
    // One gateway registers, another serves: the second knows nothing of them but the registry.
    let mut databases = Vec::new();
    let operator = Gateway::start(&issuer, options(true)).await;
    for name in &all {
        let database = Postgres::database().await;
        database.execute(&patients_sql("mark", 1..20)).await;
        let port = if names.contains(name) { server.port() } else { proxy.address().port() };
        operator.register(name, database.connection(port)).await;
        operator.publish(name, &mapping("1")).await;
        databases.push(database);
    }
    drop(operator);
    let gateway = Gateway::start(&issuer, options(false)).await;
    let first = first_requests(&gateway, &issuer, &names, report).await;
    let mut crowd = Vec::new();
    for (name, database) in crowded.iter().zip(&databases[names.len()..]) {
        crowd.push(many_at_once(&gateway, &issuer, name, database, &proxy, report).await);
    }
    json!({ "first_request": first, "crowd": crowd })
}

/// One request each, one after the other, over connections that stand already.
async fn first_requests(
    gateway: &Gateway,
    issuer: &TestIssuer,
    names: &[String],
    report: &mut Report,
) -> Value {
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    let mut wire = Wire::open(address(&gateway.fhir)).await.unwrap();
    // The first of all makes the gateway ready, not a tenant.
    wire.send(&get("/healthz", None)).await.unwrap();
    for name in names {
        let token = issuer.token(name);
        let request = get("/fhir/Patient/1", Some(&token));
        let answered = wire.send(&request).await.unwrap();
        assert_eq!(answered.status, 200, "{name}");
        cold.push(answered.first);
        let answered = wire.send(&request).await.unwrap();
        assert_eq!(answered.status, 200, "{name}");
        warm.push(answered.first);
    }
    let (cold, warm) = (Times::of(cold), Times::of(warm));
    let [p50, p99, worst] = [0.5, 0.99, 1.0].map(|share| millis(cold.at(share)));
    report.line(format!(
        "cold: first byte of the first request, {} tenants (scram, TLS verified, loopback): p50 {p50:.1} ms, \
         p99 {p99:.1} ms, worst {worst:.1} ms; of the second p50 {:.2} ms",
        cold.len(),
        millis(warm.at(0.5))
    ));
    json!({ "tenants": cold.len(), "p50_ms": p50, "p99_ms": p99, "worst_ms": worst,
        "second_request_p50_ms": millis(warm.at(0.5)) })
}

/// Many first requests to one tenant in the same moment: what the database's side sees of them.
async fn many_at_once(
    gateway: &Gateway,
    issuer: &TestIssuer,
    name: &str,
    database: &Database,
    proxy: &FaultProxy,
    report: &mut Report,
) -> Value {
    let before = proxy.counts().accepted;
    let request = get("/fhir/Patient/1", Some(&issuer.token(name)));
    let mut wires = Vec::new();
    for _ in 0..AT_ONCE {
        let mut wire = Wire::open(address(&gateway.fhir)).await.unwrap();
        wire.send(&get("/healthz", None)).await.unwrap();
        wires.push(wire);
    }
    let asked = wires.iter_mut().map(|wire| wire.send(&request));
    let answers = futures_util::future::join_all(asked).await;
    let (mut times, mut statuses) = (Vec::new(), BTreeMap::new());
    for answered in answers {
        let answered = answered.unwrap();
        times.push(answered.first);
        *statuses.entry(answered.status.to_string()).or_insert(0_u64) += 1;
    }
    // A connection that was on its way when the last was answered still counts.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let connects = proxy.counts().accepted - before;
    let pool = gateway.view(&format!("tenants/{name}/pool")).await;
    let lanes = u64::from(pool["open"] == true);
    let mut admin = Postgres::admin().await;
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1";
    let sessions: i64 =
        sqlx::query_scalar(sql).bind(&database.user).fetch_one(&mut admin).await.unwrap();
    admin.close().await.unwrap();
    let times = Times::of(times);
    let [p50, p99] = [0.5, 0.99].map(|share| millis(times.at(share)));
    report.line(format!(
        "cold: {AT_ONCE} first requests at once: {lanes} lane, {connects} connects seen by the server, \
         {sessions} sessions after; the lane counts {} opened; answers {statuses:?}; p50 {p50:.1} ms, p99 {p99:.1} ms",
        pool["created_total"]
    ));
    json!({ "requests": AT_ONCE, "lanes": lanes, "connects": connects, "sessions": sessions,
        "opened_by_the_lane": pool["created_total"], "statuses": statuses, "p50_ms": p50, "p99_ms": p99 })
}
