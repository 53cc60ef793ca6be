//! Complete mappings over real hospital schemas, tried on every row: `WARDGATE_FIXTURES` names the folder of
//! the databases, whose mappings and searches lie in `tests/fixtures`.
//!
//! With `WARDGATE_RENDERED` every resource is also written to that folder, one a line, for a validator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::Value as Json;
use wardgate::base::{
    ConnectionRecord, ConnectionRevision, Deadline, Engine, SystemClock, TenantId,
};
use wardgate::fhir::SearchQuery;
use wardgate::mapping::{
    Compiled, Document, PageRequest, PlanFault, PlannedSource, Position, ProblemSeverity,
    RenderReport, RowOutcome, Shown, compile, merge, resume,
};
use wardgate::pool::dial::{DialConfig, Dialer, EgressRules};
use wardgate::pool::{
    Dial, LaneLimits, LaneSpec, Lease, PoolConfig, Pools, RecordFault, RecordMark, RecordSource,
};
use wardgate::store::{catalog, fetch_counts, fetch_page, fetch_row};

use crate::harness::optional_from_env;

mod drafts;
pub mod load;
mod omop;
mod openmrs;
mod synthea;

struct Source(ConnectionRecord);

impl RecordSource for Source {
    fn record(&self) -> BoxFuture<'_, Result<ConnectionRecord, RecordFault>> {
        async { Ok(self.0.clone()) }.boxed()
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_mins(2))
}

/// A database behind a lease of the gateway's own, with a mapping in force.
pub struct Hospital {
    lease: Lease,
    pools: Pools,
    compiled: Compiled,
    report: RenderReport,
    _folder: tempfile::TempDir,
}

/// A search and the statement that must find the same ids.
pub struct Asked {
    sorted: bool,
    ty: &'static str,
    query: &'static str,
    pub sql: String,
}

/// The lines `Type?query = SELECT …` of a file.
pub fn searches(text: &'static str) -> Vec<Asked> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (asked, sql) = line.split_once(" = SELECT ").expect("a search and its SQL");
            let bare = asked.strip_prefix("sorted ");
            let (ty, query) = bare.unwrap_or(asked).split_once('?').expect("a type and a query");
            Asked { sorted: bare.is_some(), ty, query, sql: format!("SELECT {sql}") }
        })
        .collect()
}

/// A lease of the gateway's own on a database. `folder` is where a SQLite file lies.
async fn lease(
    engine: Engine,
    record: ConnectionRecord,
    folder: &std::path::Path,
) -> (Lease, Pools) {
    let dial = DialConfig {
        connect_timeout: Duration::from_secs(20),
        egress: EgressRules::parse(&["127.0.0.1/32:*"]).expect("a rule"),
        socket_dir: folder.to_owned(),
        sqlite_dir: Some(folder.to_owned()),
        ..DialConfig::default()
    };
    let clock = Arc::new(SystemClock);
    let dialer: Arc<dyn Dial> = Arc::new(Dialer::new(dial, Arc::clone(&clock) as _));
    let config = PoolConfig { connect_timeout: Duration::from_secs(20), ..Default::default() };
    let pools = Pools::new(config, dialer, clock);
    let mut limits = LaneLimits::with_connections(1);
    limits.acquire_timeout = Duration::from_secs(20);
    limits.session.statement_timeout = Duration::from_mins(1);
    let spec = LaneSpec {
        tenant: TenantId::random(),
        revision: ConnectionRevision(1),
        engine,
        limits,
        expected: None,
        record: RecordMark::default(),
        source: Arc::new(Source(record)),
    };
    let lease = pools.lease(&spec, soon()).await.unwrap();
    (lease, pools)
}

impl Hospital {
    /// `folder` is where a SQLite file lies.
    pub async fn open(
        engine: Engine,
        record: ConnectionRecord,
        folder: tempfile::TempDir,
        mapping: &str,
    ) -> Self {
        let (mut lease, pools) = lease(engine, record, folder.path()).await;
        let document = Document::parse(mapping).expect("a document");
        let catalog = catalog(&mut lease, document.sources(), soon()).await.unwrap();
        let compiled = compile(&document, &catalog).unwrap_or_else(|problems| {
            let errors = problems.iter().filter(|p| p.severity == ProblemSeverity::Error);
            panic!("{:#?}", errors.collect::<Vec<_>>())
        });
        Self { lease, pools, compiled, report: RenderReport::default(), _folder: folder }
    }

    /// Every resource a search finds, in order, in pages of `count`, and the total the gateway would give.
    async fn search(&mut self, ty: &str, query: &str, count: u32) -> (Vec<(String, String)>, u64) {
        let joiner = if query.is_empty() { "" } else { "&" };
        let asked = SearchQuery::parse(&format!("{query}{joiner}_total=accurate"));
        let mut asked = asked.unwrap_or_else(|e| panic!("{ty}?{query}: {e}"));
        // Where a reference hangs on a text that need not be an id, the number of matches cannot be asked.
        let first = PageRequest { count, after: None, base: "http://x" };
        let counted = !self.compiled.plan_search(ty, &asked, &first).is_err_and(
            |e| matches!(&e, PlanFault::Unsupported { parameter } if parameter == "_total=accurate"),
        );
        if !counted {
            asked = SearchQuery::parse(query).unwrap_or_else(|e| panic!("{ty}?{query}: {e}"));
        }
        let (mut found, mut after, mut total) = (Vec::new(), None::<Position>, None);
        loop {
            let page = PageRequest { count, after: after.as_ref(), base: "http://x" };
            let plan = self.compiled.plan_search(ty, &asked, &page);
            let plan = plan.unwrap_or_else(|e| panic!("{ty}?{query}: {e}"));
            if total.is_none() && counted {
                let counts = plan.counts.expect("counts");
                total = Some(if counts.is_empty() {
                    0
                } else {
                    fetch_counts(&mut self.lease, counts, soon()).await.unwrap()
                });
            }
            if plan.merged {
                after = self.merged(&plan.sources, count as usize, &mut found).await;
                if after.is_none() {
                    return (found, total.expect("a total"));
                }
                continue;
            }
            let (mut left, mut next) = (count as usize, None);
            for mut source in plan.sources {
                if left == 0 {
                    next = Some(Position { source: source.number, after: None, also: Vec::new() });
                    break;
                }
                Arc::make_mut(&mut source.plan).page.limit = u32::try_from(left + 1).ok();
                let fetched = fetch_page(&mut self.lease, &source.plan, soon()).await;
                let fetched = fetched.unwrap_or_else(|e| panic!("{ty}?{query}: {e}"));
                assert_eq!(fetched.undecodable, 0, "{ty}?{query}");
                let rows = fetched.page.len().min(left);
                if fetched.page.len() > left {
                    next = Some(source.position(&fetched.page, rows - 1).expect("a key"));
                }
                let page = source.page(&fetched.page, &fetched.children);
                for row in 0..rows {
                    let mut out = Vec::new();
                    let outcome = page.write(row, &Shown::All, &mut out, &mut self.report);
                    let Some(RowOutcome::Written { id }) = outcome else { continue };
                    let text = String::from_utf8(out).expect("UTF-8");
                    found.push((text[id].to_owned(), text));
                }
                left -= rows;
                if next.is_some() {
                    break;
                }
            }
            after = next;
            if after.is_none() {
                let total = total.unwrap_or(found.len() as u64);
                return (found, total);
            }
        }
    }

    /// A page put together from several sources, and where the next begins.
    async fn merged(
        &mut self,
        sources: &[PlannedSource],
        count: usize,
        found: &mut Vec<(String, String)>,
    ) -> Option<Position> {
        let mut fetched = Vec::new();
        for source in sources {
            fetched.push(fetch_page(&mut self.lease, &source.plan, soon()).await.unwrap());
        }
        let parts: Vec<_> = sources.iter().zip(&fetched).map(|(s, f)| (s, &f.page)).collect();
        let order = merge(&parts, count);
        for (part, row) in &order {
            let page = sources[*part].page(&fetched[*part].page, &fetched[*part].children);
            let mut out = Vec::new();
            let outcome = page.write(*row, &Shown::All, &mut out, &mut self.report);
            let Some(RowOutcome::Written { id }) = outcome else { continue };
            let text = String::from_utf8(out).expect("UTF-8");
            found.push((text[id].to_owned(), text));
        }
        resume(&parts, &order).expect("a key")
    }

    /// Every resource of a type: counted, unique, readable by its id.
    async fn whole(&mut self, ty: &str, rows: usize) -> BTreeMap<String, String> {
        let (found, total) = self.search(ty, "", 499).await;
        assert_eq!((found.len(), total), (rows, rows as u64), "{ty}: {:?}", self.report);
        let all: BTreeMap<String, String> = found.into_iter().collect();
        assert_eq!(all.len(), rows, "{ty}: ids are not unique");
        // Of large tables a part, spread evenly, that has no divisor in common with a page.
        for (id, text) in all.iter().step_by(if rows > 2000 { 13 } else { 1 }) {
            let mut read = 0;
            for mut planned in self.compiled.plan_read(ty, id) {
                let key = std::mem::take(&mut planned.key);
                let fetched = fetch_row(&mut self.lease, &planned.read, key, soon()).await.unwrap();
                let page = planned.page(&fetched.page, &fetched.children);
                for row in (0..page.len()).filter(|row| page.has_id(*row, id)) {
                    let mut out = Vec::new();
                    page.write(row, &Shown::All, &mut out, &mut RenderReport::default());
                    assert_eq!(String::from_utf8(out).unwrap(), *text, "{ty}/{id}");
                    read += 1;
                }
            }
            assert_eq!(read, 1, "{ty}/{id} cannot be read by its id");
        }
        all
    }

    /// All resources of all types, whose numbers an independent statement gave. Of the cells that do not
    /// fit, only those named are allowed.
    pub async fn everything(
        &mut self,
        fixture: &str,
        rows: &[(&str, usize)],
        bad: &[(&str, u32)],
    ) -> BTreeMap<String, String> {
        let types: Vec<&str> = rows.iter().map(|(ty, _)| *ty).collect();
        let mut mapped = self.compiled.resource_types();
        let mut named = types.clone();
        named.sort_unstable();
        mapped.sort_unstable();
        assert_eq!(mapped, named);
        let mut all = BTreeMap::new();
        for (ty, rows) in rows {
            all.insert(*ty, self.whole(ty, *rows).await);
        }
        assert_eq!(self.report.rows_left_out().collect::<Vec<_>>(), [], "rows left out");
        assert_eq!(self.report.bad_cells().collect::<Vec<_>>(), bad, "cells that do not fit");
        let mut seen = BTreeSet::new();
        for text in all.values().flat_map(BTreeMap::values) {
            let resource = serde_json::from_str(text).expect("JSON");
            references(&resource, &mut |target| {
                let (ty, id) = target.split_once('/').expect("a type and an id");
                assert!(all.get(ty).is_some_and(|all| all.contains_key(id)), "{target}: {text}");
                seen.insert(ty.to_owned());
            });
        }
        assert!(seen.len() >= 3, "hardly a reference: {seen:?}");
        if let Some(folder) = optional_from_env("WARDGATE_RENDERED") {
            let lines: Vec<&str> =
                all.values().flat_map(BTreeMap::values).map(String::as_str).collect();
            let file = std::path::Path::new(&folder).join(format!("{fixture}.ndjson"));
            std::fs::write(file, lines.join("\n")).expect("write what was rendered");
        }
        let named = all.into_iter().flat_map(|(ty, all)| {
            all.into_iter().map(move |(id, text)| (format!("{ty}/{id}"), text))
        });
        named.collect()
    }

    /// Asks each search in pages of two sizes; all that differ are told together.
    pub async fn ask(&mut self, asked: &[Asked], wanted: &[Vec<String>]) {
        let mut wrong = Vec::new();
        for (Asked { sorted, ty, query, sql }, wanted) in asked.iter().zip(wanted) {
            // A small page where that does not mean thousands of them.
            for count in [if wanted.len() > 100 { 97 } else { 3 }, 1000] {
                let (found, total) = self.search(ty, query, count).await;
                let mut ids: Vec<&str> = found.iter().map(|(id, _)| id.as_str()).collect();
                let mut wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
                if !sorted {
                    ids.sort_unstable();
                    wanted.sort_unstable();
                }
                if ids != wanted || total != wanted.len() as u64 {
                    let head =
                        |ids: &[&str]| ids.iter().take(8).copied().collect::<Vec<_>>().join(" ");
                    wrong.push(format!(
                        "{ty}?{query} in pages of {count}: {} of {total} ({}), not {} ({}) as in {sql}",
                        ids.len(), head(&ids), wanted.len(), head(&wanted),
                    ));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(asked.len() >= 30, "only {} searches", asked.len());
        let some = wanted.iter().filter(|ids| !ids.is_empty()).count();
        assert!(
            some * 4 >= asked.len() * 3,
            "only {some} of {} searches find anything",
            asked.len()
        );
    }

    pub async fn close(self) {
        drop(self.lease);
        self.pools.close(soon()).await;
    }
}

/// Calls `each` with every reference below a value.
fn references(value: &Json, each: &mut impl FnMut(&str)) {
    match value {
        Json::Object(members) => {
            for (name, value) in members {
                match value {
                    Json::String(target) if name == "reference" => each(target),
                    value => references(value, each),
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| references(item, each)),
        _ => {}
    }
}
