//! One database, and what the gateway answers from it.

use std::future::Future;

use serde_json::Value as Json;
use wardgate::fhir::SearchQuery;
use wardgate::mapping::plan::SourcePlan;
use wardgate::mapping::{
    Compiled, Document, Page, PageRequest, PlanFault, Position, RenderReport, RowOutcome,
    SearchPlan, Shown, compile, merge, resume,
};
use wardgate::store::run::{
    FetchedPage, Outcome, TenantConn, fetch_counts_on, fetch_page_on, fetch_row_on,
};
use wardgate::store::{Flavour, introspect_on};

use super::document::DOCUMENT;
use super::odd;
use super::{BASE, TODAY, ZONES, tables};

/// How many rows of a source a page holds.
const PAGE: usize = 3;

/// A database to search in.
pub trait Place {
    /// The gateway's connection to it.
    fn conn(&mut self) -> (TenantConn<'_>, Flavour);

    /// Runs statements that fill it.
    fn run(&mut self, sql: &str) -> impl Future<Output = ()>;
}

/// A database that holds the tables, and the mapping compiled for it in each of the zones.
pub struct Bed<P> {
    pub place: P,
    pub flavour: Flavour,
    pub compiled: Vec<Compiled>,
}

/// What a search gives: its resources as they are written, page by page, and the total it names.
pub struct Answer {
    pub texts: Vec<String>,
    pub total: Option<u64>,
}

pub fn parsed(texts: &[String]) -> Vec<Json> {
    texts.iter().map(|text| serde_json::from_str(text).expect("JSON")).collect()
}

/// What was fetched, whatever it was that was asked.
pub fn fetched<T, Q: std::fmt::Debug>(outcome: Outcome<T>, flavour: Flavour, what: Q) -> T {
    match outcome {
        Ok(Ok(fetched)) => fetched,
        Ok(Err(fault)) => panic!("{flavour:?} {what:?}: {fault}"),
        Err(error) => panic!("{flavour:?} {what:?}: {error}"),
    }
}

/// The text of a row's resource; `None` where it is none.
pub fn written(page: &Page<'_>, row: usize) -> Option<String> {
    let (mut out, mut report) = (Vec::new(), RenderReport::default());
    let outcome = page.write(row, &Shown::All, &mut out, &mut report);
    matches!(outcome, Some(RowOutcome::Written { .. }))
        .then(|| String::from_utf8(out).expect("UTF-8"))
}

impl<P: Place> Bed<P> {
    pub async fn new(mut place: P) -> Self {
        let flavour = place.conn().1;
        place.run(&tables::schema(flavour)).await;
        let catalog = introspect_on(&mut place.conn().0).await;
        let catalog = fetched(catalog, flavour, "the catalogue");
        let in_zone = |zone| {
            let document = format!("{DOCUMENT}{}", odd::DOCUMENT);
            let document = document.replace("timezone: UTC", &format!("timezone: {zone}"));
            match compile(&Document::parse(&document).expect("a document"), &catalog) {
                Ok(compiled) => compiled,
                Err(problems) => panic!("{flavour:?}: {problems:?}"),
            }
        };
        Self { compiled: ZONES.map(in_zone).into(), place, flavour }
    }

    pub async fn page_of(&mut self, plan: &SourcePlan, query: &str) -> FetchedPage {
        let (mut conn, flavour) = self.place.conn();
        let found = fetch_page_on(&mut conn, plan, flavour, 1 << 20).await;
        fetched(found, flavour, query)
    }

    pub async fn search(
        &mut self,
        zone: usize,
        (patient, ty): (Option<&str>, &str),
        query: &str,
    ) -> Result<Answer, PlanFault> {
        let asked = SearchQuery::parse(query).expect("a query");
        let asked = SearchQuery { day: Some(TODAY), ..asked };
        let mut found = Answer { texts: Vec::new(), total: None };
        let mut after: Option<Position> = None;
        loop {
            let page = PageRequest { count: 3, after: after.as_ref(), base: BASE };
            let compiled = &self.compiled[zone];
            let plan = match patient {
                Some(patient) => compiled.plan_in_patient(patient, ty, &asked, &page)?,
                None => compiled.plan_search(ty, &asked, &page)?,
            };
            if let Some(counts) = plan.counts.as_ref().filter(|_| after.is_none()) {
                let (mut conn, flavour) = self.place.conn();
                let counted = fetch_counts_on(&mut conn, counts, flavour).await;
                found.total = Some(fetched(counted, flavour, query));
            }
            after = if plan.merged {
                self.merged(&plan, query, &mut found.texts).await
            } else {
                self.in_turn(&plan, query, &mut found.texts).await
            };
            if after.is_none() {
                return Ok(found);
            }
        }
    }

    /// A page of one source after the other, and where the next begins.
    async fn in_turn(
        &mut self,
        plan: &SearchPlan,
        query: &str,
        texts: &mut Vec<String>,
    ) -> Option<Position> {
        for planned in &plan.sources {
            let fetched = self.page_of(&planned.plan, query).await;
            let part = planned.page(&fetched.page, &fetched.children);
            texts.extend((0..part.len().min(PAGE)).filter_map(|row| written(&part, row)));
            if part.len() > PAGE {
                return Some(planned.position(&fetched.page, PAGE - 1).expect("a key"));
            }
        }
        None
    }

    /// A page put together from several sources, and where the next begins.
    async fn merged(
        &mut self,
        plan: &SearchPlan,
        query: &str,
        texts: &mut Vec<String>,
    ) -> Option<Position> {
        let mut fetched = Vec::new();
        for planned in &plan.sources {
            fetched.push(self.page_of(&planned.plan, query).await);
        }
        let parts: Vec<_> =
            plan.sources.iter().zip(&fetched).map(|(p, fetched)| (p, &fetched.page)).collect();
        let order = merge(&parts, PAGE);
        for (part, row) in &order {
            let page = plan.sources[*part].page(&fetched[*part].page, &fetched[*part].children);
            texts.extend(written(&page, *row));
        }
        resume(&parts, &order).expect("a place to go on from")
    }

    /// What a read by id gives.
    pub async fn read(&mut self, zone: usize, ty: &str, id: &str) -> Option<String> {
        for read in self.compiled[zone].plan_read(ty, id) {
            let (mut conn, flavour) = self.place.conn();
            let found = fetch_row_on(&mut conn, &read.read, &read.key, flavour, 1 << 20).await;
            let found = fetched(found, flavour, (ty, id));
            let page = read.page(&found.page, &found.children);
            let mut own = (0..page.len()).filter(|row| page.has_id(*row, id));
            if let Some(text) = own.find_map(|row| written(&page, row)) {
                return Some(text);
            }
        }
        None
    }
}
