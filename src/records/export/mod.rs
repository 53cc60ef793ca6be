//! Bulk exports (HL7 FHIR Bulk Data Access 2.0). Nothing is prepared and nothing is kept: an order is a
//! signed text in the addresses of its files, and a file is read from the hospital's database while it
//! is fetched, a page at a time by keyset. So an export survives a restart, any gateway can serve it, and
//! no patient's data lies on the gateway's disk.

mod file;
mod group;
mod named;
mod places;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::file::ExportPart;
pub use self::places::Exports;
use super::answer::{Access, http_date, write_down};
use super::fault::RecordsFault;
use crate::audit::{Action, Outcome, Target};
use crate::auth::{FhirRead, Interaction};
use crate::base::{Flag, Timestamp};
use crate::fhir::bulk::BulkQuery;
use crate::fhir::compartment::Compartment;
use crate::fhir::query::{Handling, Summary, Total, pair};
use crate::fhir::{QueryFault, SearchQuery};
use crate::mapping::{Compiled, PageRequest, PlanFault, Shown};
use crate::tenant::Session;

/// How long an order's files may be fetched.
const VALID: Duration = Duration::from_hours(24);

/// What an order is known by: its signature.
type Tag = [u8; 32];

/// Of what an export is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExportLevel {
    /// Everything that is mapped.
    System,
    /// Patients and what can be in their compartments.
    Patient,
    /// The same of the patients of one group.
    Group(String),
}

/// One file of an order: a type, and the search that selects its resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct File {
    #[serde(rename = "t")]
    ty: String,
    #[serde(rename = "s", default, skip_serializing_if = "String::is_empty")]
    search: String,
    /// Searches of which any may find a resource, where there are some.
    #[serde(rename = "o", default, skip_serializing_if = "Vec::is_empty")]
    any_of: Vec<String>,
    /// The parameter that leads to the patient, for groups and for patients who are named.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    patient: Option<String>,
    /// The elements wanted, empty for all.
    #[serde(rename = "e", default, skip_serializing_if = "Vec::is_empty")]
    elements: Vec<String>,
}

/// An order of an export, as the addresses of its files carry it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    level: ExportLevel,
    /// When it was ordered, in seconds since 1970.
    at: i64,
    /// The request that ordered it: the same asked for again is another order.
    #[serde(rename = "i", default)]
    id: Uuid,
    request: String,
    files: Vec<File>,
    /// In how many parts a group's patients are asked about.
    #[serde(rename = "n", default)]
    parts: u32,
    /// The patients who were named, by their ids; empty where nobody was.
    #[serde(rename = "l", default, skip_serializing_if = "Vec::is_empty")]
    patients: Vec<String>,
    #[serde(skip)]
    tag: Tag,
}

impl Export {
    /// When it was ordered, as a FHIR instant.
    pub fn transaction_time(&self) -> String {
        jiff::Timestamp::from_second(self.at).unwrap_or_default().to_string()
    }

    /// The day it was ordered on, in UTC.
    fn day(&self) -> jiff::civil::Date {
        let at = jiff::Timestamp::from_second(self.at).unwrap_or_default();
        jiff::tz::Offset::UTC.to_datetime(at).date()
    }

    /// When its files can be fetched no more, as an HTTP date.
    pub fn expires(&self) -> Option<String> {
        http_date(&self.until().to_string())
    }

    /// The address it was ordered at.
    pub fn request(&self) -> &str {
        &self.request
    }

    /// The types it has a file of.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.ty.as_str())
    }

    fn until(&self) -> Timestamp {
        Timestamp::from_secs(self.at).plus(VALID)
    }

    /// Whether it counts at that time.
    fn counts_at(&self, now: Timestamp) -> bool {
        now <= self.until()
    }
}

impl Session<FhirRead> {
    /// Takes an order: everything it asks for is planned, so that what cannot be given is refused now and
    /// not in the middle of a file. `base` is the FHIR base URL, and `request` the address below it that
    /// the order was given at.
    pub async fn order_export(
        &self,
        level: ExportLevel,
        query: &str,
        handling: Handling,
        (base, request): (&str, &str),
        now: Timestamp,
    ) -> Result<String, RecordsFault> {
        self.offered(Flag::Export)?;
        let asked = BulkQuery::parse(query, handling)?;
        let named = self.named(&level, &asked, base).await?;
        let group = match &level {
            ExportLevel::Group(id) => Some(self.read("Group", id, "").await?),
            ExportLevel::System | ExportLevel::Patient => None,
        };
        let parts = match (&group, named.is_empty()) {
            (None, true) => 0,
            _ => group::parts_of(group.as_ref(), &named)?,
        };
        let compiled = &self.mapping()?.compiled;
        let files = self.files(compiled, &level, &asked).await?;
        let (at, id, tag) = (now.as_secs(), self.request(), Tag::default());
        let (request, patients) = (format!("{base}/{request}"), named.into_iter().collect());
        let order = Export { level, at, id, request, files, parts, patients, tag };
        let payload = serde_json::to_vec(&order).map_err(|_| RecordsFault::NoKey)?;
        let tag = self.sign_export(&self.signed(&payload));
        Ok(URL_SAFE_NO_PAD.encode([tag.as_slice(), &payload].concat()))
    }

    /// The order a text stands for, if this user gave it lately at this hospital with this application, and
    /// has not cancelled it.
    pub fn export(&self, order: &str, now: Timestamp) -> Result<Export, RecordsFault> {
        self.offered(Flag::Export)?;
        let bytes = URL_SAFE_NO_PAD.decode(order).map_err(|_| RecordsFault::NotFound)?;
        let (tag, payload) = bytes.split_first_chunk::<32>().ok_or(RecordsFault::NotFound)?;
        if !self.verify_export(&self.signed(payload), tag) {
            return Err(RecordsFault::NotFound);
        }
        let order: Export = serde_json::from_slice(payload).map_err(|_| RecordsFault::NotFound)?;
        if self.is_cancelled(tag)? || !order.counts_at(now) {
            return Err(RecordsFault::NotFound);
        }
        Ok(Export { tag: *tag, ..order })
    }

    /// Ends an order: none of its files can be fetched any more, and those being fetched break off; here at
    /// once, on other gateways within seconds.
    pub async fn cancel_export(&self, order: &Export) -> Result<(), RecordsFault> {
        Ok(self.cancel_order(order.tag, order.until()).await?)
    }

    /// An order belongs to whom it was given, and to the application she gave it with.
    fn signed(&self, payload: &[u8]) -> Vec<u8> {
        let principal = self.permit().principal();
        let mut message = Vec::with_capacity(payload.len() + 192);
        for part in [principal.issuer(), principal.subject(), principal.azp()] {
            message.extend_from_slice(&(part.len() as u64).to_be_bytes());
            message.extend_from_slice(part.as_bytes());
        }
        message.extend_from_slice(payload);
        message
    }

    async fn files(
        &self,
        compiled: &Compiled,
        level: &ExportLevel,
        asked: &BulkQuery,
    ) -> Result<Vec<File>, RecordsFault> {
        let named = !asked.types.is_empty();
        let types: Vec<&str> = if named {
            asked.types.iter().map(String::as_str).collect()
        } else {
            compiled.resource_types()
        };
        let mut files = Vec::new();
        for ty in types {
            if !compiled.maps(ty) {
                let parameter = format!("_type={ty}");
                return Err(QueryFault::Unsupported { parameter }.into());
            }
            if !self.permit().allows(ty, Interaction::Search) {
                if !named {
                    continue;
                }
                return self.no_export(ty).await;
            }
            let Some(patient) = by_patient(compiled, level, asked, ty) else {
                if named {
                    return Err(RecordsFault::NotByPatient(ty.to_owned()));
                }
                continue;
            };
            let file = File::of(ty, level, patient, asked);
            file.searches()?.iter_mut().try_for_each(|search| self.narrow(search))?;
            let plan = file.planned(compiled).map_err(|fault| of_since(fault, ty, asked))?;
            if !self.may_look(&plan) {
                return self.no_export(ty).await;
            }
            files.push(file);
        }
        for (ty, _) in &asked.filters {
            if !files.iter().any(|file| file.ty == *ty) {
                let parameter = format!("_typeFilter={ty}");
                return Err(QueryFault::Unsupported { parameter }.into());
            }
        }
        Ok(files)
    }

    /// Writes down that the token's scopes leave no room for an export.
    async fn no_export<T>(&self, ty: &str) -> Result<T, RecordsFault> {
        let denied = Access { action: Action::Export, resource_type: ty, target: Target::None };
        write_down(self, denied, Outcome::Denied, 403).await?;
        Err(RecordsFault::Scope)
    }
}

/// The parameter that leads from a type's resources to their patient, where the level wants one. `None`
/// when there is none that can be searched.
#[expect(clippy::option_option, reason = "cannot be told, need not be told, this one")]
fn by_patient(
    compiled: &Compiled,
    level: &ExportLevel,
    asked: &BulkQuery,
    ty: &str,
) -> Option<Option<&'static str>> {
    match (level, ty) {
        (ExportLevel::System, _) => Some(None),
        (ExportLevel::Patient, "Patient") if asked.patients.is_empty() => Some(None),
        (_, "Patient") => Some(Some("_id")),
        _ => {
            let compartment = Compartment::patient();
            let params = compartment.params(ty).iter();
            params.copied().find(|name| compiled.can_search(ty, name)).map(Some)
        }
    }
}

/// A refusal in the words of whoever ordered.
fn of_since(fault: RecordsFault, ty: &str, asked: &BulkQuery) -> RecordsFault {
    match fault {
        RecordsFault::Plan(PlanFault::Unsupported { parameter })
            if asked.since.is_some() && parameter == "_lastUpdated" =>
        {
            PlanFault::Unsupported { parameter: format!("_since, of {ty}") }.into()
        }
        fault => fault,
    }
}

impl File {
    fn of(ty: &str, level: &ExportLevel, patient: Option<&str>, asked: &BulkQuery) -> Self {
        let mut search = String::new();
        if let Some(since) = &asked.since {
            pair(&mut search, "_lastUpdated", &format!("ge{since}"));
        }
        let all = *level == ExportLevel::Patient && asked.patients.is_empty();
        if let Some(name) = patient.filter(|_| all) {
            pair(&mut search, &format!("{name}:missing"), "false");
        }
        let patient = patient.filter(|_| !all);
        let filters = asked.filters.iter().filter(|(of, _)| of == ty);
        let elements =
            asked.elements.iter().filter(|(of, _)| of.as_ref().is_none_or(|of| of == ty));
        Self {
            ty: ty.to_owned(),
            search,
            any_of: filters.map(|(_, filter)| filter.clone()).collect(),
            patient: patient.map(str::to_owned),
            elements: elements.map(|(_, name)| name.clone()).collect(),
        }
    }

    /// A trial of the file's search, to know that it can be run and what it looks at.
    fn planned(&self, compiled: &Compiled) -> Result<crate::mapping::SearchPlan, RecordsFault> {
        let (trial, any_of) = (self.search_of(&["0".to_owned()])?, self.any_of()?);
        if let Some(name) = any_of.iter().find_map(about_the_answer) {
            // HL7 FHIR Bulk Data Access 2.0, "_typeFilter": no search result parameters.
            let parameter = format!("{name} in _typeFilter");
            return Err(QueryFault::Unsupported { parameter }.into());
        }
        let request = PageRequest { count: 1, after: None, base: "" };
        Ok(compiled.plan_any(&self.ty, &trial, &any_of, &request)?)
    }

    /// Every search in it.
    fn searches(&self) -> Result<Vec<SearchQuery>, QueryFault> {
        let mut all = self.any_of()?;
        all.push(self.search_of(&["0".to_owned()])?);
        Ok(all)
    }

    /// The searches of which any may find a resource.
    fn any_of(&self) -> Result<Vec<SearchQuery>, QueryFault> {
        self.any_of.iter().map(|search| SearchQuery::parse(search)).collect()
    }

    /// The search of its resources, of these patients where it is a group's.
    fn search_of(&self, patients: &[String]) -> Result<SearchQuery, QueryFault> {
        let mut search = self.search.clone();
        if let Some(name) = &self.patient {
            pair(&mut search, name, &patients.join(","));
        }
        SearchQuery::parse(&search)
    }

    fn shown(&self) -> Shown {
        if self.elements.is_empty() { Shown::All } else { Shown::Only(self.elements.clone()) }
    }
}

/// A parameter of a search that is about its answer and not about what is found.
fn about_the_answer(search: &SearchQuery) -> Option<&'static str> {
    let there = [
        ("_count", search.count.is_some()),
        ("_sort", !search.sort.is_empty()),
        ("_summary", search.summary != Summary::False),
        ("_total", search.total != Total::None),
        ("_elements", !search.elements.is_empty()),
        ("_include", !search.include.is_empty()),
        ("_revinclude", !search.revinclude.is_empty()),
        ("_cursor", search.cursor.is_some()),
    ];
    there.into_iter().find_map(|(name, there)| there.then_some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_ends_after_a_day() {
        let (level, request) = (ExportLevel::System, String::new());
        let tag = Tag::default();
        let (id, files) = (Uuid::nil(), Vec::new());
        let patients = Vec::new();
        let order = Export { level, at: 1_000_000, id, request, files, parts: 0, patients, tag };
        let at = |after: i64| Timestamp::from_secs(1_000_000 + after);
        assert!(order.counts_at(at(0)) && order.counts_at(at(86_400)));
        assert!(!order.counts_at(at(86_401)));
        assert_eq!(order.expires().unwrap(), "Tue, 13 Jan 1970 13:46:40 GMT");
    }

    #[test]
    fn what_is_about_the_answer_is_told_by_name() {
        for (search, name) in [
            ("code=1&_sort=date", Some("_sort")),
            ("_summary=count", Some("_summary")),
            ("_elements=id", Some("_elements")),
            ("_include=Observation:patient", Some("_include")),
            ("_count=3", Some("_count")),
            ("code=1&subject:Patient.family=x", None),
        ] {
            let parsed = SearchQuery::parse(search).unwrap();
            assert_eq!(about_the_answer(&parsed), name, "{search}");
        }
    }
}
