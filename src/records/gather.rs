//! Fetching a page: source after source until it is full, or from all of them in one order.

use std::sync::Arc;

use super::fault::RecordsFault;
use super::named::{self, Named};
use crate::auth::FhirRead;
use crate::mapping::{self, PlannedSource, Position, SearchPlan};
use crate::pool::Lease;
use crate::store::{self, run::FetchedPage};
use crate::tenant::Session;

/// The rows of a page, the order they are shown in, and where the next page begins.
#[derive(Default)]
pub(super) struct Fetched {
    pub(super) parts: Vec<(PlannedSource, FetchedPage)>,
    /// Which row of which part, one after the other.
    pub(super) order: Vec<(usize, usize)>,
    pub(super) next: Option<Position>,
    pub(super) total: Option<u64>,
}

/// The lease of a request, taken when it is first needed.
pub(super) async fn leased<'l>(
    session: &Session<FhirRead>,
    lease: &'l mut Option<Lease>,
) -> Result<&'l mut Lease, RecordsFault> {
    if lease.is_none() {
        *lease = Some(session.lease().await?);
    }
    lease.as_mut().ok_or(RecordsFault::NotFound)
}

/// Counts where a number is wanted, then fetches the page. `verb` says on whose behalf.
pub(super) async fn fetch(
    session: &Session<FhirRead>,
    lease: &mut Option<Lease>,
    plan: &mut SearchPlan,
    (resource, verb): (&str, &str),
    size: usize,
) -> Result<Fetched, RecordsFault> {
    let name = named::search(resource, verb, &plan.query);
    let mut total = plan.counts.as_ref().map(|_| 0);
    if let Some(counts) = plan.counts.take().filter(|counts| !counts.is_empty()) {
        let lease = leased(session, lease).await?;
        lease.doing(&format!("{name}; count"));
        total = Some(store::fetch_counts(lease, counts, session.deadline()).await?);
    }
    let sources = std::mem::take(&mut plan.sources);
    if sources.is_empty() {
        return Ok(Fetched { total, ..Fetched::default() });
    }
    let lease = leased(session, lease).await?;
    let page = if plan.merged {
        merged(session, lease, sources, Named::Search(&name), size).await?
    } else {
        in_turn(session, lease, sources, Named::Search(&name), size).await?
    };
    Ok(Fetched { total, ..page })
}

/// Source after source until the page is full. One row more than the page is asked for, to know whether
/// there is a next one.
pub(super) async fn in_turn(
    session: &Session<FhirRead>,
    lease: &mut Lease,
    sources: Vec<PlannedSource>,
    name: Named<'_>,
    size: usize,
) -> Result<Fetched, RecordsFault> {
    let mut page = Fetched::default();
    let mut left = size;
    for mut planned in sources {
        if left == 0 {
            // The page is full exactly at a source's end: the next begins with this one.
            let source = planned.number;
            page.next = Some(Position { source, after: None, also: Vec::new() });
            break;
        }
        Arc::make_mut(&mut planned.plan).page.limit = u32::try_from(left + 1).ok();
        lease.doing(&name.source(&planned));
        let fetched = store::fetch_page(lease, &planned.plan, session.deadline()).await?;
        let mut rows = fetched.page.len().min(left);
        if fetched.page.len() > left {
            // One whose key does not read cannot be found again: the page ends before it, and the next begins
            // with it.
            let place = |row| Some((row + 1, planned.position(&fetched.page, row)?));
            let (count, last) = (0..rows).rev().find_map(place).ok_or(RecordsFault::NoKey)?;
            (rows, page.next) = (count, Some(last));
        }
        left -= rows;
        let part = page.parts.len();
        page.order.extend((0..rows).map(|row| (part, row)));
        page.parts.push((planned, fetched));
        if page.next.is_some() {
            break;
        }
    }
    Ok(page)
}

/// Every source as if the page were its own, then the first of all their rows.
async fn merged(
    session: &Session<FhirRead>,
    lease: &mut Lease,
    sources: Vec<PlannedSource>,
    name: Named<'_>,
    size: usize,
) -> Result<Fetched, RecordsFault> {
    let mut parts = Vec::with_capacity(sources.len());
    for planned in sources {
        lease.doing(&name.source(&planned));
        let fetched = store::fetch_page(lease, &planned.plan, session.deadline()).await?;
        parts.push((planned, fetched));
    }
    let rows: Vec<_> = parts.iter().map(|(planned, fetched)| (planned, &fetched.page)).collect();
    let order = mapping::merge(&rows, size);
    let next = mapping::resume(&rows, &order).map_err(|_| RecordsFault::NoKey)?;
    Ok(Fetched { parts, order, next, total: None })
}
