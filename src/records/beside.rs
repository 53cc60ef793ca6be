//! What is shown beside the matches of a page: `_include` and `_revinclude` (FHIR R4, 3.1.1.5.4). One
//! statement for each source that is looked into, whatever the page's size.

use std::collections::{BTreeMap, BTreeSet};

use super::fault::RecordsFault;
use crate::auth::{FhirRead, Interaction};
use crate::fhir::bundle::SearchSet;
use crate::mapping::{Compiled, Included, Page, RenderReport, RowOutcome, Shown};
use crate::pool::Lease;
use crate::store;
use crate::tenant::Session;

/// Most resources shown beside the matches of one page.
pub(super) const MAX_INCLUDED: usize = 1000;

/// What a row left out says.
pub(super) const LEFT_OUT: &str =
    "A record was left out because it lacks an element that FHIR demands, or is too long.";

/// Resources being put beside the matches.
pub(super) struct Beside<'b> {
    pub(super) session: &'b Session<FhirRead>,
    pub(super) mapping: &'b Compiled,
    pub(super) bundle: &'b mut SearchSet,
    pub(super) shown: &'b Shown,
    pub(super) report: &'b mut RenderReport,
    /// What is in the bundle already.
    pub(super) there: BTreeSet<Included>,
    /// How many were added.
    pub(super) added: usize,
    /// Whether some did not fit.
    pub(super) cut: bool,
    /// Types the token's scopes do not allow.
    pub(super) denied: BTreeSet<String>,
}

impl Beside<'_> {
    fn left(&self) -> usize {
        MAX_INCLUDED.saturating_sub(self.added)
    }

    /// What is referred to is read; what refers to something is searched for.
    fn allowed(&mut self, ty: &str, by: Interaction) -> bool {
        let allowed = self.session.permit().allows(ty, by);
        if !allowed && self.mapping.maps(ty) {
            self.denied.insert(ty.to_owned());
        }
        allowed && self.mapping.maps(ty)
    }

    /// Adds what is referred to.
    pub(super) async fn forward(
        &mut self,
        lease: &mut Lease,
        wanted: BTreeSet<Included>,
    ) -> Result<(), RecordsFault> {
        let mut by_type: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (ty, id) in wanted.into_iter().filter(|one| !self.there.contains(one)) {
            by_type.entry(ty).or_default().insert(id);
        }
        for (ty, mut ids) in by_type {
            if !self.allowed(&ty, Interaction::Read) {
                continue;
            }
            while ids.len() > self.left() {
                self.cut = true;
                ids.pop_last();
            }
            for planned in self.mapping.plan_keys(&ty, ids.iter().map(String::as_str)) {
                let (read, keys) = (&planned.read, planned.keys.clone());
                lease.doing(&[&ty, " included"].concat());
                let fetched = store::fetch_keys(lease, read, keys, self.session.deadline()).await?;
                let page = planned.page(&fetched.page, &fetched.children);
                self.add(&ty, &page, page.len(), |id| ids.contains(id));
            }
        }
        Ok(())
    }

    /// Adds what refers to the matches by a parameter.
    pub(super) async fn reverse(
        &mut self,
        lease: &mut Lease,
        (ty, param): (&str, &str),
        matches: &[String],
    ) -> Result<(), RecordsFault> {
        if !self.allowed(ty, Interaction::Search) {
            return Ok(());
        }
        let limit = u32::try_from(MAX_INCLUDED + 1).unwrap_or(u32::MAX);
        for planned in self.mapping.plan_referring((ty, param), matches, limit)? {
            if self.left() == 0 {
                self.cut = true;
                break;
            }
            lease.doing(&format!("{ty} included by {param}"));
            let fetched = store::fetch_page(lease, &planned.plan, self.session.deadline()).await?;
            let page = planned.page(&fetched.page, &fetched.children);
            let rows = page.len().min(MAX_INCLUDED);
            self.cut |= page.len() > rows;
            self.add(ty, &page, rows, |_| true);
        }
        Ok(())
    }

    /// Adds rows that are not there yet, as many as fit.
    fn add(&mut self, ty: &str, page: &Page<'_>, rows: usize, wanted: impl Fn(&str) -> bool) {
        let mut id = String::new();
        for row in 0..rows {
            // What the database calls equal may still be another id (case, padding).
            if !page.id(row, &mut id) || !wanted(&id) {
                continue;
            }
            let one = (ty.to_owned(), id.clone());
            if self.there.contains(&one) {
                continue;
            }
            if self.left() == 0 || self.bundle.is_too_long() {
                self.cut = true;
                return;
            }
            let (mut written, shown, report) = (false, self.shown, &mut *self.report);
            self.bundle.include(ty, &id, |out| {
                let outcome = page.write_as(&id, row, shown, out, report);
                written = matches!(outcome, Some(RowOutcome::Written { .. }));
                written
            });
            if written {
                self.there.insert(one);
                self.added += 1;
            } else {
                self.bundle.outcome(LEFT_OUT);
            }
        }
    }

    /// Says what is not shown, and gives the number of resources added.
    pub(super) fn finish(self) -> u64 {
        if self.cut {
            self.bundle.outcome(&format!(
                "Beside the matches of a page at most {MAX_INCLUDED} resources are shown; there are \
                 more. Ask for fewer matches with _count."
            ));
        }
        for ty in &self.denied {
            self.bundle.outcome(&format!(
                "Resources of type {ty} were left out: the token's scopes do not allow them."
            ));
        }
        self.added as u64
    }
}
