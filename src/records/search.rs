use std::fmt::Write as _;

use super::answer::{Access, Answer, Unreleased, release};
use super::cursor::Binding;
use super::fault::RecordsFault;
use super::page;
use crate::audit::{Action, Target};
use crate::auth::{FhirRead, Interaction};
use crate::fhir::bundle::SearchSet;
use crate::fhir::capability::{self, ServerDescription};
use crate::fhir::query::{CURSOR, SearchQuery};
use crate::mapping::{Compiled, PlannedSource, Position, Rendered};
use crate::store::{self, run::FetchedPage};
use crate::tenant::Session;

/// The rows of a page, source by source, and where the next page begins.
struct Page<'m> {
    parts: Vec<(PlannedSource<'m>, FetchedPage, usize)>,
    next: Option<Position>,
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
            return Err(RecordsFault::Scope);
        }
        let mapping = self.mapping()?;
        if !mapping.compiled.maps(resource) {
            return Err(RecordsFault::NoSuchType);
        }
        let mut parsed = SearchQuery::parse(query)?;
        let ignored =
            if lenient { take_unknown(&mut parsed, &mapping.compiled, resource) } else { 0 };
        let config = self.config();
        let size = parsed.count.unwrap_or(config.page_size).clamp(1, config.page_size_max);
        let asked = canonical(resource, &parsed);
        let binding = Binding { mapping: mapping.version, query: &asked };
        let from = match &parsed.cursor {
            None => Position { source: 0, key: None },
            Some(cursor) => binding.read(self, cursor).ok_or(RecordsFault::Cursor)?,
        };
        let plans =
            mapping.compiled.plan_search(resource, &parsed, lenient, base, &from, size + 1)?;
        let page = self.fetch(plans, size as usize).await?;
        let mut links = vec![("self", link(base, &asked, size, None))];
        if let Some(next) = &page.next {
            links.push(("next", link(base, &asked, size, Some(&binding.write(self, next)))));
        }
        let mut bundle = SearchSet::begin(base, None, &links);
        let (mut shown, mut bad) = (0, Vec::new());
        for (planned, fetched, rows) in &page.parts {
            let grouped = planned.group(&fetched.children);
            for row in fetched.page.iter().take(*rows) {
                let id = planned.id(&row).unwrap_or_default();
                let mut written = false;
                bundle.entry(resource, &id, |out| {
                    written = planned.render(row, &grouped, out, &mut bad) == Rendered::Written;
                    written
                });
                if written {
                    shown += 1;
                } else {
                    page::count_left_out(self);
                    bundle.outcome(
                        "A record was left out because it lacks an element that FHIR demands.",
                    );
                }
            }
        }
        if ignored > 0 {
            let message =
                "Parameters this server does not know were ignored, as asked; see the self link.";
            bundle.outcome(message);
        }
        page::count_bad(self, &mapping, &bad);
        let access = Access {
            action: Action::Search,
            resource_type: resource,
            target: Target::Count(shown),
        };
        let found = Unreleased { body: bundle.finish(), version: None, last_modified: None };
        Ok(release(self, access, found).await?)
    }

    /// Fetches source after source until the page is full. One row more than the page is asked for, to
    /// know whether there is a next one.
    async fn fetch<'m>(
        &self,
        plans: Vec<PlannedSource<'m>>,
        size: usize,
    ) -> Result<Page<'m>, RecordsFault> {
        let mut page = Page { parts: Vec::new(), next: None };
        let mut left = size;
        if plans.is_empty() {
            return Ok(page);
        }
        let mut lease = self.lease().await?;
        for mut planned in plans {
            if left == 0 {
                // The page is full exactly at a source's end: the next begins with this one.
                page.next = Some(Position { source: planned.number(), key: None });
                break;
            }
            planned.plan.page.limit = u32::try_from(left + 1).ok();
            let fetched = store::fetch_page(&mut lease, &planned.plan, self.deadline()).await?;
            let rows = fetched.page.len().min(left);
            if fetched.page.len() > left {
                let last = fetched.page.row(rows.saturating_sub(1));
                let key = last.and_then(|row| planned.key(&row));
                page.next = Some(Position { source: planned.number(), key });
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

/// Takes out what is not known, so that the self link says what was searched by; tells how many.
fn take_unknown(query: &mut SearchQuery, compiled: &Compiled, resource: &str) -> usize {
    let before = query.params.len() + query.unsupported.len();
    query.unsupported.clear();
    query.params.retain(|param| compiled.knows(resource, param));
    before - query.params.len()
}

/// The CapabilityStatement for callers who have not signed in.
pub fn generic_capability(server: &ServerDescription) -> String {
    capability::statement(server, &[])
}

/// The query as it was understood, for links and cursors: type and search parameters, nothing else.
fn canonical(resource: &str, query: &SearchQuery) -> String {
    let mut text = resource.to_owned();
    for (at, param) in query.params.iter().enumerate() {
        text.push(if at == 0 { '?' } else { '&' });
        text.push_str(&encode(&param.name));
        if let Some(modifier) = &param.modifier {
            text.push(':');
            text.push_str(&encode(modifier));
        }
        text.push('=');
        let values: Vec<String> = param.values.iter().map(|value| encode(value)).collect();
        text.push_str(&values.join(","));
    }
    text
}

fn link(base: &str, asked: &str, size: u32, cursor: Option<&str>) -> String {
    let mut url = format!("{base}/{asked}");
    let separator = if asked.contains('?') { '&' } else { '?' };
    let _infallible = write!(url, "{separator}_count={size}");
    if let Some(cursor) = cursor {
        let _infallible = write!(url, "&{CURSOR}={cursor}");
    }
    url
}

/// Percent-encoding of what may not stand in a query (RFC 3986, 3.4).
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/|\\$".contains(&byte) && byte != b'\\' {
            out.push(char::from(byte));
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}
