//! `Patient/{id}/$everything` (FHIR R4, operation `Patient-everything`): the patient, every resource of her
//! compartment, and beside them what those refer to outside of it.

use std::collections::BTreeSet;

use super::answer::{Access, Answer, Unreleased, release, write_down};
use super::beside::Beside;
use super::cursor::Binding;
use super::fault::RecordsFault;
use super::gather::{Fetched, in_turn};
use super::named::Named;
use super::page::{self, shown};
use super::search::{Written, link, write};
use crate::audit::{Action, Outcome, Target};
use crate::auth::{FhirRead, Interaction};
use crate::base::Flag;
use crate::fhir::bundle::SearchSet;
use crate::fhir::primitive::is_id;
use crate::fhir::query::EverythingQuery;
use crate::mapping::{Everything, Includes, PageRequest, RenderReport};
use crate::store;
use crate::tenant::Session;

impl Session<FhirRead> {
    /// Everything of one patient, page by page. `base` is the FHIR base URL for links.
    pub async fn everything(
        &self,
        patient: &str,
        query: &str,
        base: &str,
    ) -> Result<Answer, RecordsFault> {
        const PATIENT: &str = "Patient";
        if !self.permit().allows(PATIENT, Interaction::Read) {
            return self.denied(PATIENT).await;
        }
        self.offered(Flag::Everything)?;
        let mapping = self.mapping()?;
        if !mapping.compiled.maps(PATIENT) {
            return Err(RecordsFault::NoSuchType);
        }
        let mut parsed = EverythingQuery::parse(query)?;
        let (shown, config) = (shown(&mut parsed.result, None)?, self.config());
        let asked_size = parsed.result.count.filter(|count| *count > 0);
        let size = asked_size.unwrap_or(config.page_size).clamp(1, config.page_size_max);
        let parameters = parsed.to_query_string();
        let joiner = if parameters.is_empty() { "" } else { "?" };
        let asked = format!("Patient/{patient}/$everything{joiner}{parameters}");
        let binding = Binding { mapping: mapping.version, query: &asked };
        let read = |cursor: &String| binding.read(self, cursor).ok_or(RecordsFault::Cursor);
        let after = parsed.result.cursor.as_ref().map(read).transpose()?.map(|(after, _)| after);
        let request = PageRequest { count: size, after: after.as_ref(), base };
        let plan = mapping.compiled.plan_everything(patient, &parsed, &request)?;
        let mut lease = self.lease().await?;
        if !self.exists(&mut lease, patient).await? {
            let access = Access {
                action: Action::Read,
                resource_type: PATIENT,
                target: Target::One(patient.to_owned()),
            };
            write_down(self, access, Outcome::Rejected, 404).await?;
            return Err(RecordsFault::NotFound);
        }
        let Everything { sources, left_out } = plan;
        let (sources, denied): (Vec<_>, Vec<_>) = sources
            .into_iter()
            .partition(|s| self.permit().allows(s.resource_type(), Interaction::Search));
        let denied = denied.iter().map(|s| s.resource_type().to_owned()).collect();
        let page = in_turn(self, &mut lease, sources, Named::Everything, size as usize).await?;
        let mut links = vec![("self", link(base, &asked, Some(size), None))];
        if let Some(next) = &page.next {
            let cursor = binding.write(self, next, None).ok_or(RecordsFault::NoKey)?;
            links.push(("next", link(base, &asked, Some(size), Some(&cursor))));
        }
        let mut bundle = SearchSet::begin(base, None, &links);
        let mut report = RenderReport::default();
        let outside = Includes::outside_of_patients();
        let Written { count, matches, wanted } =
            write(&mut bundle, &page, &shown, (true, Some(&outside)), &mut report).await;
        drop::<Fetched>(page);
        let mut written = count;
        let mut beside = Beside {
            session: self,
            mapping: &mapping.compiled,
            bundle: &mut bundle,
            shown: &shown,
            report: &mut report,
            there: matches,
            added: 0,
            cut: false,
            denied,
        };
        beside.forward(&mut lease, wanted).await?;
        written += beside.finish();
        for ty in left_out.iter().collect::<BTreeSet<_>>() {
            bundle.outcome(&format!(
                "Resources of type {ty} were left out: which of them belong to a patient cannot be \
                 asked of this hospital's tables."
            ));
        }
        page::count(self, &report);
        let target = Target::Count(written);
        let access = Access { action: Action::Search, resource_type: PATIENT, target };
        let found = Unreleased { body: page::whole(bundle)?, version: None, last_modified: None };
        Ok(release(self, access, found).await?)
    }

    /// Whether there is such a patient.
    async fn exists(
        &self,
        lease: &mut crate::pool::Lease,
        patient: &str,
    ) -> Result<bool, RecordsFault> {
        if !is_id(patient) {
            return Ok(false);
        }
        for mut read in self.mapping()?.compiled.plan_read("Patient", patient) {
            let key = std::mem::take(&mut read.key);
            lease.doing("Patient of $everything");
            let fetched = store::fetch_row(lease, &read.read, key, self.deadline()).await?;
            let rows = read.page(&fetched.page, &fetched.children);
            if (0..rows.len()).any(|row| rows.has_id(row, patient)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
