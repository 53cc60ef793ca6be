//! A page inside the gateway, step by step, in one thread: the statements, and writing their rows as a
//! Bundle. The same code the gateway runs, without HTTP, tokens and the access log around it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wardgate::base::{Deadline, SystemClock};
use wardgate::fhir::SearchQuery;
use wardgate::fhir::bundle::SearchSet;
use wardgate::mapping::{Document, PageRequest, RenderReport, Shown, compile};
use wardgate::pool::dial::{DialConfig, Dialer, EgressRules, SessionSettings, TenantConnection};
use wardgate::store::run::{TenantConn, fetch_page_on};
use wardgate::store::{Flavour, introspect_on};

use crate::data::MAPPING;
use crate::harness::Database;
use crate::shared::{Report, Times, micros};

/// Medians, in microseconds.
pub struct Inside {
    pub plan_us: f64,
    pub sql_us: f64,
    pub render_us: f64,
    pub bytes: usize,
}

impl Inside {
    pub fn json(&self) -> Value {
        json!({
            "plan_us": self.plan_us, "sql_us": self.sql_us, "render_us": self.render_us, "bundle_bytes": self.bytes,
        })
    }
}

/// Plans, fetches and writes the first page of 50 patients many times.
pub async fn page(report: &mut Report, database: &Database) -> Inside {
    let egress = EgressRules::parse(&["127.0.0.0/8:*"]).unwrap();
    let dialer = Dialer::new(DialConfig { egress, ..DialConfig::default() }, Arc::new(SystemClock));
    let mut record = database.server_record();
    record.tls.policy = wardgate::base::TlsPolicy::LoopbackPlaintext;
    let record = wardgate::base::ConnectionRecord::Server(record);
    let deadline = Deadline::after(Duration::from_mins(1));
    let opened = dialer.open(&record, &SessionSettings::default(), deadline).await;
    let Ok(TenantConnection::Postgres(mut session)) = opened.map(|opened| opened.connection) else {
        panic!("no session")
    };
    let catalog = introspect_on(&mut TenantConn::Postgres(&mut session)).await.unwrap().unwrap();
    let compiled = compile(&Document::parse(MAPPING).unwrap(), &catalog).unwrap();
    let asked = SearchQuery::parse("").unwrap();
    let base = "http://127.0.0.1:8080/fhir";
    let request = PageRequest { count: 50, after: None, base };
    let (mut plans, mut fetches, mut renders, mut bytes) = (vec![], vec![], vec![], 0);
    for _ in 0..2000 {
        let begun = Instant::now();
        let mut plan = compiled.plan_search("Patient", &asked, &request).unwrap();
        let planned = plan.sources.pop().unwrap();
        let mut page = Arc::clone(&planned.plan);
        Arc::make_mut(&mut page).page.limit = Some(51);
        plans.push(begun.elapsed());
        let begun = Instant::now();
        let conn = &mut TenantConn::Postgres(&mut session);
        let fetched =
            fetch_page_on(conn, &page, Flavour::Postgres, 1 << 24).await.unwrap().unwrap();
        fetches.push(begun.elapsed());
        let begun = Instant::now();
        let written = planned.page(&fetched.page, &fetched.children);
        let links = [("self", format!("{base}/Patient?_count=50"))];
        let (mut bundle, mut seen) =
            (SearchSet::begin(base, None, &links), RenderReport::default());
        let mut id = String::new();
        for row in 0..50 {
            written.id(row, &mut id);
            bundle.entry("Patient", &id, |out| {
                written.write_as(&id, row, &Shown::All, out, &mut seen).is_some()
            });
        }
        bytes = std::hint::black_box(bundle.finish()).len();
        renders.push(begun.elapsed());
    }
    let p50 = |times| micros(Times::of(times).at(0.5));
    let inside =
        Inside { plan_us: p50(plans), sql_us: p50(fetches), render_us: p50(renders), bytes };
    report.line(format!(
        "a page of 50 inside the gateway: plan {:.1} us, statements {:.0} us, rendering {:.1} us ({} bytes)",
        inside.plan_us, inside.sql_us, inside.render_us, inside.bytes
    ));
    inside
}
