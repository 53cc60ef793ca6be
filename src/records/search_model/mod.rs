//! Random small tables and random queries: what a search finds is what a naive reading of every
//! rendered resource says it must. Nothing is left to either side alone: the naive side sees only JSON,
//! the other only SQL.

mod beside;
mod further;
mod hospital;
mod naive;

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::Value as Json;
use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;

use crate::fhir::SearchQuery;
use crate::mapping::{
    Compiled, Document, PageRequest, PlanFault, Position, RenderReport, RowOutcome, SearchPlan,
    Shown, compile, merge, resume,
};
use crate::store::run::{TenantConn, fetch_counts_on, fetch_page_on, fetch_row_on};
use crate::store::{Flavour, introspect_on};
use hospital::{DOCUMENT, Row, rows, schema};

const BASE: &str = "http://x/fhir";

struct Bed {
    conn: SqliteConnection,
    compiled: Compiled,
}

impl Bed {
    async fn new(rows: &[Row]) -> Self {
        let mut conn = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::raw_sql(&schema(rows)).execute(&mut conn).await.unwrap();
        let catalog = introspect_on(&mut TenantConn::Sqlite(&mut conn)).await.unwrap().unwrap();
        let compiled = match compile(&Document::parse(DOCUMENT).unwrap(), &catalog) {
            Ok(compiled) => compiled,
            Err(problems) => panic!("{problems:?}"),
        };
        Self { conn, compiled }
    }

    /// Every resource a search gives, page by page, and the total it names.
    async fn search(
        &mut self,
        ty: &str,
        query: &str,
    ) -> Result<(Vec<Json>, Option<u64>), PlanFault> {
        let query = SearchQuery::parse(query).unwrap();
        let mut found = Vec::new();
        let mut after: Option<Position> = None;
        let mut total = None;
        loop {
            let page = PageRequest { count: 3, after: after.as_ref(), base: BASE };
            let plan = self.compiled.plan_search(ty, &query, &page)?;
            if let Some(counts) = plan.counts.as_ref().filter(|_| after.is_none()) {
                let mut conn = TenantConn::Sqlite(&mut self.conn);
                let counted = fetch_counts_on(&mut conn, counts, Flavour::Sqlite).await;
                total = Some(counted.unwrap().unwrap());
            }
            after = None;
            if plan.merged {
                after = self.merged(&plan, &mut found).await;
                match after {
                    Some(_) => continue,
                    None => return Ok((found, total)),
                }
            }
            for planned in &plan.sources {
                let mut conn = TenantConn::Sqlite(&mut self.conn);
                let fetched =
                    fetch_page_on(&mut conn, &planned.plan, Flavour::Sqlite, 1 << 20).await;
                let fetched = fetched.unwrap().unwrap();
                let part = planned.page(&fetched.page, &fetched.children);
                for row in 0..part.len().min(3) {
                    let (mut out, mut report) = (Vec::new(), RenderReport::default());
                    let outcome = part.write(row, &Shown::All, &mut out, &mut report);
                    if let Some(RowOutcome::Written { .. }) = outcome {
                        found.push(serde_json::from_slice(&out).unwrap());
                    }
                }
                if part.len() > 3 {
                    after = Some(planned.position(&fetched.page, 2).unwrap());
                    break;
                }
            }
            if after.is_none() {
                return Ok((found, total));
            }
        }
    }

    /// A page put together from several sources, and where the next begins.
    async fn merged(&mut self, plan: &SearchPlan, found: &mut Vec<Json>) -> Option<Position> {
        let mut fetched = Vec::new();
        for planned in &plan.sources {
            let mut conn = TenantConn::Sqlite(&mut self.conn);
            let one = fetch_page_on(&mut conn, &planned.plan, Flavour::Sqlite, 1 << 20).await;
            fetched.push(one.unwrap().unwrap());
        }
        let parts: Vec<_> =
            plan.sources.iter().zip(&fetched).map(|(p, fetched)| (p, &fetched.page)).collect();
        let order = merge(&parts, 3);
        for (part, row) in &order {
            let page = plan.sources[*part].page(&fetched[*part].page, &fetched[*part].children);
            let (mut out, mut report) = (Vec::new(), RenderReport::default());
            let outcome = page.write(*row, &Shown::All, &mut out, &mut report);
            if let Some(RowOutcome::Written { .. }) = outcome {
                found.push(serde_json::from_slice(&out).unwrap());
            }
        }
        resume(&parts, &order).unwrap()
    }

    /// What a read by id gives.
    async fn read(&mut self, ty: &str, id: &str) -> Option<Json> {
        for read in self.compiled.plan_read(ty, id) {
            let mut conn = TenantConn::Sqlite(&mut self.conn);
            let fetched =
                fetch_row_on(&mut conn, &read.read, &read.key, Flavour::Sqlite, 1 << 20).await;
            let fetched = fetched.unwrap().unwrap();
            let page = read.page(&fetched.page, &fetched.children);
            for row in 0..page.len() {
                let (mut out, mut report) = (Vec::new(), RenderReport::default());
                let outcome = page.write(row, &Shown::All, &mut out, &mut report);
                if matches!(outcome, Some(RowOutcome::Written { .. })) && page.has_id(row, id) {
                    return serde_json::from_slice(&out).ok();
                }
            }
        }
        None
    }
}

fn ids(found: &[Json]) -> BTreeSet<String> {
    found.iter().map(|r| r["id"].as_str().unwrap().to_owned()).collect()
}

/// How often each parameter was answered, so that a refusal of everything is no success.
#[derive(Default)]
struct Answered {
    yes: u32,
    no: u32,
    /// Answers with something in them.
    some: u32,
}

async fn agree(rows: &[Row], queries: &[(String, String, String)], answered: &mut Answered) {
    let mut bed = Bed::new(rows).await;
    for ty in further::TYPES {
        let (all, _) = bed.search(ty, "").await.unwrap();
        for resource in &all {
            let read = bed.read(ty, resource["id"].as_str().unwrap()).await;
            assert_eq!(read.as_ref(), Some(resource));
        }
        for (name, modifier, value) in queries {
            let Some(test) = naive::test(ty, name, modifier, value) else { continue };
            let colon = if modifier.is_empty() { "" } else { ":" };
            let encoded = value.replace(' ', "%20").replace('+', "%2B");
            let query = format!("{name}{colon}{modifier}={encoded}");
            let with_total = format!("{query}&_total=accurate");
            let Ok((found, _)) = bed.search(ty, &query).await else {
                answered.no += 1;
                continue;
            };
            answered.yes += 1;
            let expected: Vec<Json> = all.iter().filter(|r| test(r)).cloned().collect();
            assert_eq!(ids(&found), ids(&expected), "{ty}?{query} over {all:#?}");
            assert_eq!(found.len(), expected.len(), "{ty}?{query} gives a resource twice");
            if let Ok((_, total)) = bed.search(ty, &with_total).await {
                assert_eq!(total, Some(expected.len() as u64), "{ty}?{query}: total");
            }
        }
    }
}

#[test]
fn a_search_finds_what_a_naive_reading_of_all_resources_finds() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 100,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    });
    let answered = std::cell::RefCell::new(Answered::default());
    let queries = prop::collection::vec(naive::query(), 40);
    let checked = runner.run(&(rows(), queries), |(rows, queries)| {
        runtime.block_on(agree(&rows, &queries, &mut answered.borrow_mut()));
        Ok(())
    });
    if let Err(fault) = checked {
        panic!("{fault}");
    }
    let answered = answered.into_inner();
    assert!(answered.yes > answered.no * 2, "{} answered, {} refused", answered.yes, answered.no);
}
