//! Resources of a mapping that is not in force, from live rows: for a hospital's own administrator who may
//! also read its patients. Nobody else sees a row through a draft.

use std::time::Instant;

use serde::Serialize;
use serde_json::value::RawValue;

use super::answer::{Answer, Unreleased, actor};
use super::fault::RecordsFault;
use crate::audit::{AccessEvent, Action, Outcome, Target};
use crate::auth::{FhirAdmin, FhirRead, Interaction, Permit};
use crate::fhir::bundle::MAX_BUNDLE;
use crate::mapping::tally::Tally;
use crate::mapping::{
    Compiled, Document, MappingProblem, Page, ProblemSeverity, RenderReport, RowOutcome, Shown,
    compile,
};
use crate::store;
use crate::tenant::Session;

/// The most resources of each source that are shown.
pub const MOST_SHOWN: u32 = 20;
/// The most resources that can be asked for by id.
const MOST_IDS: usize = 20;

/// What is wanted of a preview.
#[derive(Debug, Clone, Default)]
pub struct PreviewOf {
    /// Rows of each source.
    pub rows: u32,
    /// `Type/id`; when there are any, only these are shown.
    pub ids: Vec<String>,
    /// Only this type.
    pub resource_type: Option<String>,
}

/// What a preview shows, gathered.
#[derive(Default, Serialize)]
struct Seen {
    resources: Vec<Rendered>,
    sources: Vec<Tried>,
    #[serde(skip)]
    shown: u64,
    /// Bytes of the resources.
    #[serde(skip)]
    bytes: usize,
}

/// What one row gave: the resource as it would be served, or the element it lacks.
#[derive(Serialize)]
struct Rendered {
    resource: Option<Box<RawValue>>,
    do_not_fit: Vec<Misfit>,
    lacks: Option<String>,
}

/// Cells that did not fit an element.
#[derive(Serialize)]
struct Misfit {
    path: String,
    count: u32,
}

/// What became of a source's rows, in numbers.
#[derive(Serialize)]
struct Tried {
    #[serde(rename = "type")]
    resource_type: String,
    millis: u64,
    statements: usize,
    tally: Tally,
}

/// The whole answer.
#[derive(Serialize)]
struct Body<'b> {
    tenant: String,
    ok: bool,
    problems: &'b [MappingProblem],
    #[serde(flatten)]
    seen: &'b Seen,
}

impl Session<FhirRead> {
    /// Renders some live rows with a mapping that need not be in force. `_proof` shows that the caller
    /// manages her hospital's mapping; the session, that she may read its patients. That she looked is in
    /// the access log before anything is given out.
    pub async fn preview(
        &self,
        _proof: &Permit<FhirAdmin>,
        text: &str,
        wanted: &PreviewOf,
    ) -> Result<Answer, RecordsFault> {
        let document = match Document::parse(text) {
            Ok(document) => document,
            Err(problems) => return self.previewed(false, &problems, Seen::default()).await,
        };
        if !document.sources().is_empty() {
            let problem = MappingProblem {
                pointer: "/sources".to_owned(),
                code: "source-in-preview",
                message: "A preview runs no named source: an operator approves it by storing the mapping.".to_owned(),
                hint: "Store the mapping, or leave the entries over named sources out.".to_owned(),
                severity: ProblemSeverity::Error,
            };
            return self.previewed(false, &[problem], Seen::default()).await;
        }
        let mut lease = self.lease().await?;
        lease.doing("preview");
        let catalog = store::introspect(&mut lease, self.deadline()).await?;
        let compiled = match compile(&document, &catalog) {
            Ok(compiled) => compiled,
            Err(problems) => return self.previewed(false, &problems, Seen::default()).await,
        };
        let mut seen = Seen::default();
        if wanted.ids.is_empty() {
            self.pages(&compiled, &mut lease, wanted, &mut seen).await?;
        } else {
            self.ids(&compiled, &mut lease, wanted, &mut seen).await?;
        }
        drop(lease);
        self.previewed(true, compiled.warnings(), seen).await
    }

    async fn pages(
        &self,
        compiled: &Compiled,
        lease: &mut crate::pool::Lease,
        wanted: &PreviewOf,
        seen: &mut Seen,
    ) -> Result<(), RecordsFault> {
        for (ty, planned) in compiled.first_pages(wanted.rows.clamp(1, MOST_SHOWN)) {
            let other = wanted.resource_type.as_ref().is_some_and(|only| *only != ty);
            if other || !self.permit().allows(&ty, Interaction::Search) {
                continue;
            }
            let began = Instant::now();
            let fetched = store::fetch_page(lease, &planned.plan, self.deadline()).await?;
            let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let page = planned.page(&fetched.page, &fetched.children);
            for row in 0..page.len() {
                seen.row(&page, row);
            }
            let tally = planned.tally(&fetched.page, &fetched.children);
            let statements = 1 + planned.plan.children.len();
            seen.sources.push(Tried { resource_type: ty, millis, statements, tally });
        }
        Ok(())
    }

    async fn ids(
        &self,
        compiled: &Compiled,
        lease: &mut crate::pool::Lease,
        wanted: &PreviewOf,
        seen: &mut Seen,
    ) -> Result<(), RecordsFault> {
        for asked in wanted.ids.iter().take(MOST_IDS) {
            let Some((ty, id)) = asked.split_once('/') else { continue };
            if !self.permit().allows(ty, Interaction::Read) {
                continue;
            }
            for mut read in compiled.plan_read(ty, id) {
                let key = std::mem::take(&mut read.key);
                let fetched = store::fetch_row(lease, &read.read, key, self.deadline()).await?;
                let page = read.page(&fetched.page, &fetched.children);
                if let Some(row) = (0..page.len()).find(|row| page.has_id(*row, id)) {
                    seen.row(&page, row);
                }
            }
        }
        Ok(())
    }

    /// Writes the look down and gives out what was seen.
    async fn previewed(
        &self,
        ok: bool,
        problems: &[MappingProblem],
        seen: Seen,
    ) -> Result<Answer, RecordsFault> {
        let event = AccessEvent {
            tenant: self.permit().tenant(),
            request: self.request(),
            actor: actor(self.permit().principal()),
            action: Action::Operate("mapping.preview"),
            resource_type: None,
            target: Target::Count(seen.shown),
            outcome: Outcome::Success,
            status: 200,
            generation: self.config().generation,
            purpose: None,
        };
        let receipt = self.record(event).await?;
        let tenant = self.config().name.to_string();
        let body = Body { tenant, ok, problems, seen: &seen };
        // Plain data: writing it cannot fail.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        Ok(Unreleased { body, version: None, last_modified: None }.release(self, &receipt))
    }
}

impl Seen {
    /// Adds what a row gives: the resource as it would be served, and what of it did not fit.
    fn row(&mut self, page: &Page<'_>, row: usize) {
        let (mut out, mut report) = (Vec::with_capacity(2048), RenderReport::default());
        let room = self.bytes <= MAX_BUNDLE;
        let outcome = if room { page.write(row, &Shown::All, &mut out, &mut report) } else { None };
        self.bytes += out.len();
        let bad = report.bad_cells().map(|(path, count)| Misfit { path: path.to_owned(), count });
        let lacks = match outcome {
            Some(RowOutcome::Written { .. }) => None,
            None => Some("(too long)".to_owned()),
            Some(RowOutcome::LeftOut { path }) => Some(path.to_owned()),
        };
        // As it stands: numbers keep their digits.
        let text = String::from_utf8(out).ok().filter(|_| lacks.is_none());
        let resource = text.and_then(|text| RawValue::from_string(text).ok());
        self.shown += u64::from(resource.is_some());
        self.resources.push(Rendered { resource, do_not_fit: bad.collect(), lacks });
    }
}
