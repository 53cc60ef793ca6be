//! Dashboards, alert rules and the operators' handbook speak of metrics that there are, by labels they
//! have, and leave none out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;

use crate::support::{Options, Reply, TestIssuer};
use crate::world;

const RULES: &str = include_str!("../../config/prometheus/wardgate.rules.yml");
const DASHBOARD: &str = include_str!("../../config/grafana/wardgate.json");
const HANDBOOK: &str = include_str!("../../docs/OPERATIONS.md");
/// Where a metric's name is written, once.
const SOURCES: [&str; 2] = [
    include_str!("../../src/telemetry/metric.rs"),
    include_str!("../../src/telemetry/pool_metrics.rs"),
];

/// The metrics' names in a text; what a histogram is scraped as counts as the histogram.
fn named(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let mut names = BTreeSet::new();
    for (at, _) in text.match_indices("wardgate_") {
        // A recorded series is `level:name:operations`; its name is none of the gateway's.
        if text[..at].ends_with(|c: char| word(c) || c == ':') {
            continue;
        }
        let rest = &text[at..];
        let name = &rest[..rest.find(|c| !word(c)).unwrap_or(rest.len())];
        let name =
            ["_bucket", "_sum", "_count"].iter().find_map(|s| name.strip_suffix(s)).unwrap_or(name);
        names.insert(name.to_owned());
    }
    names
}

fn known() -> BTreeSet<String> {
    let quoted = |source: &str| {
        let texts = source.split('"').skip(1).step_by(2).filter(|t| t.starts_with("wardgate_"));
        texts.map(str::to_owned).collect::<Vec<_>>()
    };
    SOURCES.iter().flat_map(|source| quoted(source)).collect()
}

#[test]
fn what_is_drawn_and_alarmed_is_measured() {
    let known = known();
    assert!(known.len() > 20, "{known:?}");
    for (place, text) in [("rules", RULES), ("dashboard", DASHBOARD), ("handbook", HANDBOOK)] {
        let named = named(text);
        let none: Vec<_> = named.difference(&known).collect();
        assert!(none.is_empty(), "the {place} names metrics that are none: {none:?}");
    }
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    assert!(
        panels.iter().all(|panel| !panel["targets"][0]["expr"].as_str().unwrap_or("").is_empty())
    );
    let shown: BTreeSet<_> = [DASHBOARD, RULES].into_iter().flat_map(named).collect();
    let unseen: Vec<_> = known.difference(&shown).collect();
    assert!(unseen.is_empty(), "neither drawn nor alarmed: {unseen:?}");
    let explained = named(HANDBOOK);
    let missing: Vec<_> = known.difference(&explained).collect();
    assert!(missing.is_empty(), "OPERATIONS.md does not explain {missing:?}");
}

/// The labels each metric has on the page.
fn scraped(page: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("wardgate_")) {
        let (series, _value) = line.rsplit_once(' ').expect("a value");
        let (name, inside) = series.split_once('{').unwrap_or((series, ""));
        let pairs = inside.trim_end_matches('}').split(',').filter_map(|pair| pair.split_once('='));
        labels.entry(name.to_owned()).or_default().extend(pairs.map(|(label, _)| label.to_owned()));
    }
    labels
}

#[tokio::test]
async fn a_gateway_at_work_shows_them_with_the_labels_that_are_asked_for() {
    let issuer = TestIssuer::for_tenants(&["north"]).await;
    let gateway = world::hospitals(&issuer, &["north"], Options::default()).await;
    let token = issuer.token("north");
    for (path, status) in [("/Patient/1001", 200), ("/Patient/nobody", 404)] {
        assert_eq!(gateway.get(&token, path).await.status, status, "{path}");
    }
    assert_eq!(gateway.get("no token", "/Patient/1001").await.status, 401);
    let ready = Reply::of(gateway.http.get(format!("{}/readyz", gateway.admin))).await;
    assert_eq!(ready.expect("an answer").status, 200);
    let drained = gateway.operate(Method::POST, "tenants/north/pool/drain", None, None).await;
    assert_eq!(drained.status, 204, "{drained:?}");
    let scrape = async || {
        let page = gateway.http.get(format!("{}/metrics", gateway.admin));
        Reply::of(page).await.expect("the page").body
    };
    let begun = Instant::now();
    let page = loop {
        let page = scrape().await;
        // Closed is closed a moment after the answer.
        if page.contains("wardgate_pool_closes_total{") || begun.elapsed() > Duration::from_mins(1)
        {
            break page;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let labels = scraped(&page);
    let with = |name: &str, wanted: &[&str]| {
        let has = labels.get(name).unwrap_or_else(|| panic!("{name} is not in\n{page}"));
        assert!(wanted.iter().all(|label| has.contains(*label)), "{name} has {has:?}");
    };
    with("wardgate_requests_total", &["interaction", "status"]);
    with("wardgate_request_seconds_bucket", &["interaction", "le"]);
    with("wardgate_tenant_requests_total", &["tenant", "status"]);
    with("wardgate_tenant_latency_seconds", &["tenant", "quantile"]);
    with("wardgate_tenant_info", &["tenant", "name"]);
    with("wardgate_refusals_total", &["reason"]);
    with("wardgate_config_loads_total", &["outcome"]);
    with("wardgate_pool_connects_total", &["tenant"]);
    with("wardgate_pool_closes_total", &["tenant"]);
    with("wardgate_breaker_state", &["tenant"]);
    with("wardgate_operations", &["kind", "state"]);
    with("wardgate_operations_oldest_age_seconds", &["kind", "state"]);
    with("wardgate_operations_ended_total", &["kind", "state"]);
    with("wardgate_access_log_ready", &[]);
    with("wardgate_integrity_events_total", &[]);
    let known = known();
    for name in labels.keys() {
        let name =
            ["_bucket", "_sum", "_count"].iter().find_map(|s| name.strip_suffix(s)).unwrap_or(name);
        assert!(known.contains(name), "{name} is on the page and nowhere named");
    }
    let tenant = gateway.view("tenants/north").await["id"].as_str().expect("an id").to_owned();
    assert!(
        page.contains(&format!("wardgate_tenant_info{{tenant=\"{tenant}\",name=\"north\"}} 1")),
        "{page}"
    );
    let ok = format!("wardgate_tenant_requests_total{{tenant=\"{tenant}\",status=\"2xx\"}} 1");
    assert!(page.contains(&ok), "{page}");
    assert!(!page.contains("1001"), "an id is on the page");
}
