//! What hospitals used by month, and how long their statements took by plan.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::gateway::Stores;
use crate::support::{Gateway, Options, Reply, TestIssuer, mapping, sqlite_hospital};
use crate::world;

/// The months of a hospital. Whatever is counted here may fall into two, when one ends during a test.
async fn months(gateway: &Gateway, name: &str) -> Vec<Value> {
    let found = gateway.view(&format!("tenants/{name}/usage")).await;
    found["months"].as_array().expect("months").clone()
}

/// What they have of it together.
fn sum(months: &[Value], what: &str) -> u64 {
    months.iter().map(|month| month[what].as_u64().expect("a number")).sum()
}

/// What a hospital was asked.
async fn requests(gateway: &Gateway, name: &str) -> u64 {
    sum(&months(gateway, name).await, "requests")
}

#[tokio::test]
async fn what_is_asked_is_counted_for_who_asked() {
    let issuer = TestIssuer::for_tenants(&["north", "south"]).await;
    let gateway = world::hospitals(&issuer, &["north", "south"], Options::default()).await;
    let token = issuer.token("north");
    let mut bytes = 0;
    for path in ["/Patient/1001", "/Patient/1002", "/Patient/nobody", "/Patient?family=mark-north"]
    {
        bytes += gateway.get(&token, path).await.body.len() as u64;
    }
    assert_eq!(gateway.get("no token", "/Patient/1001").await.status, 401, "nobody's request");

    let used = months(&gateway, "north").await;
    // One row each for the two reads, five for the search.
    let found = ["requests", "bytes", "rows"].map(|what| sum(&used, what));
    assert_eq!(found, [4, bytes, 7], "{used:?}");
    let seconds = used.iter().map(|month| month["database_seconds"].as_f64().expect("a number"));
    assert!((f64::MIN_POSITIVE..60.0).contains(&seconds.sum::<f64>()), "{used:?}");
    assert_eq!(months(&gateway, "north").await, used, "asking does not count");
    assert_eq!(months(&gateway, "south").await, Vec::<Value>::new());

    for used in &used {
        assert_eq!(used["name"], "north");
        let month = used["month"].as_str().expect("a month");
        let asked = gateway.view(&format!("tenants/north/usage?month={month}")).await;
        assert_eq!(asked["months"], json!([used]));
        let all = gateway.view(&format!("usage?month={month}")).await;
        assert_eq!((&all["tenants"], &all["next"]), (&json!([used]), &Value::Null));
    }
    let asked = gateway.view("tenants/north/usage?month=1999-12").await;
    assert_eq!((&asked["months"][0]["requests"], &asked["months"][1]), (&0.into(), &Value::Null));
    assert_eq!(gateway.view("usage").await["next"], Value::Null, "the present month");
    for wrong in ["tenants/north/usage?month=2026-13", "usage?month=x", "usage?year=2026"] {
        let path = format!("{}/admin/v1/{wrong}", gateway.admin);
        let reply = Reply::of(gateway.http.get(path).bearer_auth(&gateway.operator)).await;
        assert_eq!(reply.expect("an answer").status, 400, "{wrong}");
    }
    let reply = gateway.operate(Method::GET, "tenants/nobody/usage", None, None).await;
    assert_eq!(reply.status, 404);
}

#[tokio::test]
async fn a_compressed_answer_counts_as_it_was_sent() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let url = format!("{}/Patient?family=mark-north", gateway.fhir);
    let asked = gateway.http.get(url).bearer_auth(issuer.token("north"));
    let answer = asked.header("accept-encoding", "gzip").send().await.expect("an answer");
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let sent = answer.bytes().await.expect("a body").len();
    assert_eq!(sum(&months(&gateway, "north").await, "bytes"), sent as u64);
}

#[tokio::test]
async fn usage_outlives_the_gateway_and_is_added_up_over_several() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let stores = Stores::in_folder(folder.path());
    let options = |fresh| Options { stores: Some(stores.clone()), fresh, ..Options::default() };
    let first = Gateway::start(&issuer, options(true)).await;
    let file = first.folder().join("sqlite/north.db");
    sqlite_hospital(&file, "mark-north", 1001..1006).await;
    first.register("north", json!({ "url": "sqlite:north.db" })).await;
    first.publish("north", &mapping("1")).await;
    let token = issuer.token("north");
    for _ in 0..3 {
        assert_eq!(first.get(&token, "/Patient/1001").await.status, 200);
    }
    // Nobody looked: it is the end that adds it up.
    let pid = rustix::process::Pid::from_raw(first.pid().cast_signed()).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("told to end");
    let begun = Instant::now();
    while first.runs() {
        assert!(begun.elapsed() < Duration::from_mins(1), "it does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (second, third) = (
        Gateway::start(&issuer, options(false)).await,
        Gateway::start(&issuer, options(false)).await,
    );
    assert_eq!(requests(&second, "north").await, 3);
    // Refused, for the file is not in their folders; it is a request all the same.
    for gateway in [&second, &third, &third] {
        assert_ne!(gateway.get(&token, "/Patient/1001").await.status, 200);
    }
    // Whoever is asked counts its own at once; the other's may take until its minute is over.
    let own = requests(&third, "north").await;
    assert!(own >= 5, "{own}");
    assert_eq!(requests(&second, "north").await, 6);
    assert_eq!(requests(&third, "north").await, 6);
}

#[tokio::test]
async fn slow_plans_are_told_by_name_and_never_by_value() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let token = issuer.token("north");
    for path in [
        "/Patient/1001",
        "/Patient?family=canary-name&_sort=-family&_total=accurate",
        "/Patient?_id=canary-id",
    ] {
        assert_eq!(gateway.get(&token, path).await.status, 200, "{path}");
    }
    let found = gateway.view("tenants/north/queries").await;
    let text = found.to_string();
    assert!(!text.contains("canary") && !text.contains("1001"), "{text}");
    let queries = found["queries"].as_array().expect("queries");
    let named = |name: &str| {
        let found = queries.iter().find(|query| query["plan"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {queries:?}"))
    };
    let read = named("Patient read");
    assert_eq!((&read["count"], &read["rows"], &read["failed"]), (&1.into(), &1.into(), &0.into()));
    assert!(read["worst_ms"].as_f64() > Some(0.0) && read["p99_ms"].is_number(), "{read}");
    named("Patient search family; sort -family");
    named("Patient search family; sort -family; count");
    assert!(found["window_secs"].is_number());
}
