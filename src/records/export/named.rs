//! The patients an order names (HL7 FHIR Bulk Data Access 2.0, `patient`).

use std::collections::BTreeSet;

use super::ExportLevel;
use crate::audit::{Action, Outcome, Target};
use crate::auth::{FhirRead, Interaction};
use crate::fhir::bulk::BulkQuery;
use crate::fhir::query::pair;
use crate::fhir::{QueryFault, SearchQuery, primitive};
use crate::mapping::{PageRequest, PlanFault};
use crate::records::answer::{Access, write_down};
use crate::records::fault::RecordsFault;
use crate::records::gather::fetch;
use crate::tenant::Session;

/// Patients an order may name: they are in the addresses of its files.
const MOST: usize = 100;
const TOO_MANY: RecordsFault = RecordsFault::Request(
    "patient: an order names 100 patients at most; order those of a Group instead.",
);
const NOT_HERE: RecordsFault =
    RecordsFault::Request("patient: some of the patients named are not here.");

impl Session<FhirRead> {
    /// The ids of the patients an order names, each of them here; nobody where it names none.
    pub(super) async fn named(
        &self,
        level: &ExportLevel,
        asked: &BulkQuery,
        base: &str,
    ) -> Result<BTreeSet<String>, RecordsFault> {
        let ids = ids(&asked.patients, base)?;
        if ids.is_empty() {
            return Ok(ids);
        }
        if *level == ExportLevel::System {
            let parameter = "patient, of an export of everything".to_owned();
            return Err(PlanFault::Unsupported { parameter }.into());
        }
        if !self.permit().allows("Patient", Interaction::Search) {
            return self.no_export("Patient").await;
        }
        let mapping = self.mapping()?;
        let mut search = String::new();
        let listed: Vec<&str> = ids.iter().map(String::as_str).collect();
        pair(&mut search, "_id", &listed.join(","));
        let count = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        let request = PageRequest { count, after: None, base: "" };
        let search = SearchQuery::parse(&search)?;
        let mut plan = mapping.compiled.plan_search("Patient", &search, &request)?;
        let (mut lease, what) = (None, ("Patient", "export"));
        let fetched = fetch(self, &mut lease, &mut plan, what, ids.len()).await;
        let fetched = self.explained(&mapping, &mut lease, fetched).await?;
        drop(lease);
        let (mut here, mut id) = (BTreeSet::new(), String::new());
        for (planned, rows) in &fetched.parts {
            let page = planned.page(&rows.page, &rows.children);
            for row in 0..page.len() {
                if page.id(row, &mut id) {
                    here.insert(id.clone());
                }
            }
        }
        let target = Target::Count(here.len() as u64);
        let looked = Access { action: Action::Export, resource_type: "Patient", target };
        // Case and padding: what the database calls equal may still be another id.
        if ids.is_subset(&here) {
            write_down(self, looked, Outcome::Success, 202).await?;
            return Ok(ids);
        }
        write_down(self, looked, Outcome::Rejected, 400).await?;
        Err(NOT_HERE)
    }
}

/// The ids of references to patients of this server.
fn ids(references: &[String], base: &str) -> Result<BTreeSet<String>, RecordsFault> {
    let mut ids = BTreeSet::new();
    for reference in references {
        let local = reference.strip_prefix(base).and_then(|rest| rest.strip_prefix('/'));
        let id = local.unwrap_or(reference).strip_prefix("Patient/");
        let Some(id) = id.filter(|id| primitive::is_id(id)) else {
            let expected = "references such as Patient/1";
            let parameter = "patient".to_owned();
            return Err(QueryFault::BadValue { parameter, expected }.into());
        };
        ids.insert(id.to_owned());
    }
    if ids.len() > MOST { Err(TOO_MANY) } else { Ok(ids) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patients_are_named_by_references_to_this_server() {
        let of = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            ids(&texts, "https://b/fhir")
        };
        let both = of(&["Patient/b", "https://b/fhir/Patient/a", "Patient/b"]).unwrap();
        assert!(both.iter().eq(["a", "b"]), "{both:?}");
        for bad in
            ["1", "Group/1", "https://c/fhir/Patient/1", "Patient/", "Patient/a b", "Patient/1/x"]
        {
            assert!(of(&["Patient/1", bad]).is_err(), "{bad}");
        }
        let many: Vec<String> = (0..=MOST).map(|n| format!("Patient/{n}")).collect();
        assert!(ids(&many, "").is_err() && ids(&many[1..], "").is_ok());
    }
}
