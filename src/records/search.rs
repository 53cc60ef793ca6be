use std::fmt::Write as _;
use std::sync::Arc;

use super::answer::{Access, Answer, Unreleased, release, write_down};
use super::cursor::Binding;
use super::fault::RecordsFault;
use super::page::{self, shown};
use crate::audit::{Action, Outcome, Target};
use crate::auth::{FhirRead, Interaction};
use crate::fhir::SearchQuery;
use crate::fhir::bundle::SearchSet;
use crate::fhir::capability::{self, ServerDescription};
use crate::fhir::query::{CURSOR, Handling};
use crate::mapping::{
    PageRequest, PlannedSource, Position, RenderReport, RowOutcome, SearchPlan, Shown,
};
use crate::store::{self, run::FetchedPage};
use crate::tenant::{ActiveMapping, Session};

/// The rows of a page, source by source, and where the next page begins.
#[derive(Default)]
pub(super) struct Fetched {
    pub(super) parts: Vec<(PlannedSource, FetchedPage, usize)>,
    pub(super) next: Option<Position>,
    total: Option<u64>,
}

impl Session<FhirRead> {
    /// Searches resources of a type (FHIR R4, 3.1.1). `base` is the FHIR base URL for links.
    pub async fn search(
        &self,
        resource: &str,
        query: &str,
        lenient: bool,
        base: &str,
    ) -> Result<Answer, RecordsFault> {
        if !self.permit().allows(resource, Interaction::Search) {
            let denied =
                Access { action: Action::Search, resource_type: resource, target: Target::None };
            write_down(self, denied, Outcome::Denied, 403).await?;
            return Err(RecordsFault::Scope);
        }
        let mapping = self.mapping()?;
        if !mapping.compiled.maps(resource) {
            return Err(RecordsFault::NoSuchType);
        }
        let handling = if lenient { Handling::Lenient } else { Handling::Strict };
        let parsed = SearchQuery::parse_parts(&[query], handling)?;
        let shown = shown(&parsed)?;
        let config = self.config();
        let size = parsed.count.unwrap_or(config.page_size).clamp(1, config.page_size_max);
        let asked = canonical(resource, &parsed);
        let binding = Binding { mapping: mapping.version, query: &asked };
        let read = |cursor: &String| binding.read(self, cursor).ok_or(RecordsFault::Cursor);
        let after = parsed.cursor.as_ref().map(read).transpose()?;
        let request = PageRequest { count: size, after: after.as_ref(), base };
        let plan = mapping.compiled.plan_search(resource, &parsed, &request)?;
        let asked = canonical(resource, &plan.query);
        let (ignored, count_only) = (!plan.query.ignored.is_empty(), plan.count_only);
        let page = self.fetch(&mapping, plan, size as usize).await?;
        let binding = Binding { mapping: mapping.version, query: &asked };
        let size = if count_only { parsed.count } else { Some(size) };
        let mut links = vec![("self", link(base, &asked, size, None))];
        if let Some(next) = &page.next {
            let cursor = binding.write(self, next).ok_or(RecordsFault::NoKey)?;
            links.push(("next", link(base, &asked, size, Some(&cursor))));
        }
        let mut bundle = SearchSet::begin(base, page.total, &links);
        let (written, report) = write_entries(&mut bundle, resource, &page, &shown);
        if ignored {
            let message =
                "Parameters this server does not know were ignored, as asked; see the self link.";
            bundle.outcome(message);
        }
        page::count(self, &report);
        let access = Access {
            action: Action::Search,
            resource_type: resource,
            target: Target::Count(written),
        };
        let found = Unreleased { body: bundle.finish(), version: None, last_modified: None };
        Ok(release(self, access, found).await?)
    }

    /// Counts where a number is wanted, then fetches source after source until the page is full. One row
    /// more than the page is asked for, to know whether there is a next one.
    pub(super) async fn fetch(
        &self,
        mapping: &ActiveMapping,
        plan: SearchPlan,
        size: usize,
    ) -> Result<Fetched, RecordsFault> {
        let SearchPlan { sources, counts, .. } = plan;
        let mut page = Fetched::default();
        let nothing = counts.as_ref().is_none_or(Vec::is_empty);
        page.total = counts.as_ref().map(|_| 0);
        if sources.is_empty() && nothing {
            return Ok(page);
        }
        let mut lease = self.lease().await?;
        if let Some(counts) = counts.filter(|_| !nothing) {
            let counted = store::fetch_counts(&mut lease, counts, self.deadline()).await;
            match counted {
                Ok(total) => page.total = Some(total),
                Err(fault) => {
                    drop(lease);
                    return Err(self.refused(mapping, fault).await);
                }
            }
        }
        let mut left = size;
        for mut planned in sources {
            if left == 0 {
                // The page is full exactly at a source's end: the next begins with this one.
                page.next = Some(Position { source: planned.number, after: None });
                break;
            }
            Arc::make_mut(&mut planned.plan).page.limit = u32::try_from(left + 1).ok();
            let fetched = match store::fetch_page(&mut lease, &planned.plan, self.deadline()).await
            {
                Ok(fetched) => fetched,
                Err(fault) => {
                    drop(lease);
                    return Err(self.refused(mapping, fault).await);
                }
            };
            let rows = fetched.page.len().min(left);
            if fetched.page.len() > left {
                let last = planned.position(&fetched.page, rows.saturating_sub(1));
                page.next = Some(last.ok_or(RecordsFault::NoKey)?);
            }
            left -= rows;
            page.parts.push((planned, fetched, rows));
            if page.next.is_some() {
                break;
            }
        }
        Ok(page)
    }

    /// The tenant's own CapabilityStatement.
    pub fn capability(&self, server: &ServerDescription) -> Result<String, RecordsFault> {
        let mapping = self.mapping()?;
        Ok(capability::statement(server, &mapping.compiled.capability()))
    }
}

/// Writes a page's resources; tells how many there are and what could not be shown.
fn write_entries(
    bundle: &mut SearchSet,
    resource: &str,
    page: &Fetched,
    shown: &Shown,
) -> (u64, RenderReport) {
    let (mut written, mut report, mut id) = (0, RenderReport::default(), String::new());
    for (planned, fetched, rows) in &page.parts {
        let part = planned.page(&fetched.page, &fetched.children);
        for row in 0..*rows {
            part.id(row, &mut id);
            let mut there = false;
            bundle.entry(resource, &id, |out| {
                let outcome = part.write(row, shown, out, &mut report);
                there = matches!(outcome, Some(RowOutcome::Written { .. }));
                there
            });
            if there {
                written += 1;
            } else {
                bundle.outcome(
                    "A record was left out because it lacks an element that FHIR demands.",
                );
            }
        }
    }
    (written, report)
}

/// The CapabilityStatement for callers who have not signed in.
pub fn generic_capability(server: &ServerDescription) -> String {
    capability::statement(server, &[])
}

/// The query as it was understood, for links and cursors: type and parameters, without the page's size.
fn canonical(resource: &str, query: &SearchQuery) -> String {
    let unsized_query = SearchQuery { count: None, ..query.clone() };
    let parameters = unsized_query.to_query_string();
    if parameters.is_empty() { resource.to_owned() } else { format!("{resource}?{parameters}") }
}

fn link(base: &str, asked: &str, size: Option<u32>, cursor: Option<&str>) -> String {
    let mut url = format!("{base}/{asked}");
    let mut separator = if asked.contains('?') { '&' } else { '?' };
    if let Some(size) = size {
        let _infallible = write!(url, "{separator}_count={size}");
        separator = '&';
    }
    if let Some(cursor) = cursor {
        let _infallible = write!(url, "{separator}{CURSOR}={cursor}");
    }
    url
}
