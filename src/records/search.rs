use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::answer::{Access, Answer, Unreleased, release, write_down};
use super::beside::{Beside, LEFT_OUT};
use super::cursor::Binding;
use super::fault::RecordsFault;
use super::gather::{Fetched, fetch, leased};
use super::page::{self, shown};
use super::slices::Slices;
use crate::audit::{Action, Outcome, Target};
use crate::auth::{FhirRead, Interaction};
use crate::fhir::bundle::SearchSet;
use crate::fhir::capability::{self, ServerDescription};
use crate::fhir::primitive::is_id;
use crate::fhir::query::{CURSOR, Handling, Summary};
use crate::fhir::{QueryFault, SearchQuery};
use crate::mapping::{
    Included, Includes, PageRequest, RenderReport, RowOutcome, SearchPlan, Shown,
};
use crate::pool::Lease;
use crate::tenant::Session;

/// What is searched.
#[derive(Debug, Clone, Copy)]
pub struct Searched<'a> {
    /// The resource type.
    pub resource: &'a str,
    /// Only resources of that patient's compartment (FHIR R4, 2.36).
    pub patient: Option<&'a str>,
}

impl Searched<'_> {
    /// The address below the FHIR base.
    fn address(&self) -> String {
        match self.patient {
            Some(patient) => format!("Patient/{patient}/{}", self.resource),
            None => self.resource.to_owned(),
        }
    }
}

impl Session<FhirRead> {
    /// Searches resources of a type (FHIR R4, 3.1.1). `base` is the FHIR base URL for links.
    pub async fn search(
        &self,
        what: Searched<'_>,
        query: &str,
        lenient: bool,
        base: &str,
    ) -> Result<Answer, RecordsFault> {
        let resource = what.resource;
        if !self.permit().allows(resource, Interaction::Search) {
            return self.denied(resource).await;
        }
        let mapping = self.mapping()?;
        if !mapping.compiled.maps(resource) {
            return Err(RecordsFault::NoSuchType);
        }
        let handling = if lenient { Handling::Lenient } else { Handling::Strict };
        let mut parsed = SearchQuery::parse_parts(&[query], handling)?;
        self.narrow(&mut parsed)?;
        let alone = parsed.include.is_empty() && parsed.revinclude.is_empty();
        let shown = shown(&mut parsed, Some(resource).filter(|_| alone))?;
        let narrative = parsed.summary == Summary::Text;
        if narrative && !alone {
            // FHIR R4, 3.1.1.5.8.
            let parameter = "_include with _summary=text".to_owned();
            return Err(QueryFault::Unsupported { parameter }.into());
        }
        let config = self.config();
        let size = parsed.count.unwrap_or(config.page_size).clamp(1, config.page_size_max);
        let asked = canonical(&what, &parsed);
        let binding = Binding { mapping: mapping.version, query: &asked };
        let read = |cursor: &String| binding.read(self, cursor).ok_or(RecordsFault::Cursor);
        let after = match parsed.cursor.as_ref().map(read).transpose()? {
            None => None,
            Some((position, day)) => {
                parsed.day = day;
                Some(position)
            }
        };
        let request = PageRequest { count: size, after: after.as_ref(), base };
        let mut plan = match what.patient {
            None => mapping.compiled.plan_search(resource, &parsed, &request)?,
            Some(id) if is_id(id) => {
                mapping.compiled.plan_in_patient(id, resource, &parsed, &request)?
            }
            Some(_) => return Err(RecordsFault::NotFound),
        };
        if !self.may_look(&plan) {
            return self.denied(resource).await;
        }
        let asked = canonical(&what, &plan.query);
        let mut lease = None;
        let verb = if what.patient.is_some() { "of patient search" } else { "search" };
        let page = fetch(self, &mut lease, &mut plan, (resource, verb), size as usize).await;
        let page = self.explained(&mapping, &mut lease, page).await?;
        let binding = Binding { mapping: mapping.version, query: &asked };
        let size = if plan.count_only { parsed.count } else { Some(size) };
        let mut links = vec![("self", link(base, &asked, size, None))];
        if let Some(next) = &page.next {
            let cursor = binding.write(self, next, plan.query.day).ok_or(RecordsFault::NoKey)?;
            links.push(("next", link(base, &asked, size, Some(&cursor))));
        }
        let bundle = SearchSet::begin(base, page.total, &links);
        let (body, written) = self.bundle(bundle, &mut lease, &plan, page, &shown).await?;
        let access = Access {
            action: Action::Search,
            resource_type: resource,
            target: Target::Count(written),
        };
        let found = Unreleased { body, version: None, last_modified: None };
        Ok(release(self, access, found).await?)
    }

    /// Whether the token's scopes leave room for what the conditions of a search look at: a condition on
    /// other resources tells something of them.
    pub(super) fn may_look(&self, plan: &SearchPlan) -> bool {
        plan.reached.iter().all(|ty| self.permit().allows(ty, Interaction::Search))
    }

    /// Writes down that the token's scopes leave no room for a search.
    pub(super) async fn denied(&self, resource: &str) -> Result<Answer, RecordsFault> {
        let action = Action::Search;
        let denied = Access { action, resource_type: resource, target: Target::None };
        write_down(self, denied, Outcome::Denied, 403).await?;
        Err(RecordsFault::Scope)
    }

    /// The bundle of a page with what belongs beside it, and how many resources are in it.
    async fn bundle(
        &self,
        mut bundle: SearchSet,
        lease: &mut Option<Lease>,
        plan: &SearchPlan,
        page: Fetched,
        shown: &Shown,
    ) -> Result<(Vec<u8>, u64), RecordsFault> {
        let mapping = self.mapping()?;
        let mut report = RenderReport::default();
        let looks_at = Some(&plan.includes).filter(|includes| includes.looks_at_matches());
        let listed = !plan.includes.is_empty();
        let Written { count, matches, wanted } =
            write(&mut bundle, &page, shown, (listed, looks_at), &mut report).await;
        drop(page);
        let mut written = count;
        if !matches.is_empty() && !bundle.is_too_long() {
            let references: Vec<String> =
                matches.iter().map(|(ty, id)| format!("{ty}/{id}")).collect();
            let lease = leased(self, lease).await?;
            let mut beside = Beside {
                session: self,
                mapping: &mapping.compiled,
                bundle: &mut bundle,
                shown,
                report: &mut report,
                there: matches,
                added: 0,
                cut: false,
                denied: BTreeSet::new(),
            };
            beside.forward(lease, wanted).await?;
            for (ty, param) in plan.includes.reverse() {
                beside.reverse(lease, (ty, param), &references).await?;
            }
            written += beside.finish();
        }
        if !plan.query.ignored.is_empty() {
            let names = plan.query.ignored.iter().collect::<BTreeSet<_>>();
            let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
            bundle.outcome(&format!(
                "Ignored, as asked, because they are not served: {}. The self link shows what counted.",
                names.join(", ")
            ));
        }
        page::count(self, &report);
        Ok((page::whole(bundle)?, written))
    }

    /// The tenant's own CapabilityStatement, of what it offers this user.
    pub fn capability(&self, server: &ServerDescription) -> Result<String, RecordsFault> {
        let mapping = self.mapping()?;
        let (types, offered) = self.left_of(mapping.compiled.capability());
        Ok(capability::statement(server, &types, offered))
    }
}

/// What was written of a page.
pub(super) struct Written {
    /// How many matches.
    pub(super) count: u64,
    /// Which they are, where a list is wanted.
    pub(super) matches: BTreeSet<Included>,
    /// What they refer to and should be shown.
    pub(super) wanted: BTreeSet<Included>,
}

/// Writes a page's resources, and lists them where that is wanted; `includes` says which of their
/// references are looked at.
pub(super) async fn write(
    bundle: &mut SearchSet,
    page: &Fetched,
    shown: &Shown,
    (listed, includes): (bool, Option<&Includes>),
    report: &mut RenderReport,
) -> Written {
    let mut found = Written { count: 0, matches: BTreeSet::new(), wanted: BTreeSet::new() };
    let (mut id, mut whole) = (String::new(), Vec::new());
    let parts: Vec<_> = page
        .parts
        .iter()
        .map(|(planned, rows)| (planned.resource_type(), planned.page(&rows.page, &rows.children)))
        .collect();
    let mut slices = Slices::begin();
    for (part, row) in &page.order {
        if bundle.is_too_long() {
            break;
        }
        slices.next().await;
        let Some((resource, rows)) = parts.get(*part) else { continue };
        rows.id(*row, &mut id);
        let mut there = false;
        bundle.entry(resource, &id, |out| {
            let outcome = rows.write_as(&id, *row, shown, out, report);
            there = matches!(outcome, Some(RowOutcome::Written { .. }));
            there
        });
        if !there {
            bundle.outcome(LEFT_OUT);
            continue;
        }
        found.count += 1;
        if listed {
            found.matches.insert(((*resource).to_owned(), id.clone()));
        }
        if let Some(includes) = includes {
            // As it is shown whole: elements that are left out still refer to something.
            whole.clear();
            rows.write_as(&id, *row, &Shown::All, &mut whole, &mut RenderReport::default());
            if let Ok(resource) = serde_json::from_slice(&whole) {
                includes.of(&resource, &mut found.wanted);
            }
        }
    }
    found
}

/// The CapabilityStatement for callers who have not signed in.
pub fn generic_capability(server: &ServerDescription) -> String {
    let offered = capability::Offered { export: false, transaction: false };
    capability::statement(server, &[], offered)
}

/// The query as it was understood, for links and cursors: address and parameters, without the page's size.
fn canonical(what: &Searched<'_>, query: &SearchQuery) -> String {
    let unsized_query = SearchQuery { count: None, ..query.clone() };
    let (address, parameters) = (what.address(), unsized_query.to_query_string());
    if parameters.is_empty() { address } else { format!("{address}?{parameters}") }
}

pub(super) fn link(base: &str, asked: &str, size: Option<u32>, cursor: Option<&str>) -> String {
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
