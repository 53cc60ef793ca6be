//! Bulk exports (HL7 FHIR Bulk Data Access 2.0). Nothing is prepared and nothing is kept: an order is a
//! signed text in the addresses of its files, and a file is read from the hospital's database while it
//! is fetched, a page at a time by keyset. So an export survives a restart, any gateway can serve it, and
//! no patient's data lies on the gateway's disk.

mod places;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

pub use self::places::Exports;
use super::answer::{Access, Answer, Unreleased, release, write_down};
use super::fault::RecordsFault;
use super::gather::fetch;
use super::page;
use crate::audit::{Action, Outcome, Target};
use crate::auth::{FhirRead, Interaction};
use crate::base::{Deadline, Flag, Timestamp};
use crate::fhir::bulk::BulkQuery;
use crate::fhir::compartment::Compartment;
use crate::fhir::query::{Handling, pair};
use crate::fhir::{QueryFault, SearchQuery, primitive};
use crate::mapping::{Compiled, PageRequest, Position, RenderReport, RowOutcome, Shown};
use crate::tenant::Session;

/// How long an order's files may be fetched.
const VALID: Duration = Duration::from_hours(24);
/// Resources fetched at a time.
const PAGE: u32 = 1000;
/// Patients of a group asked about in one search.
const PATIENTS: usize = 50;
/// Patients a group may have.
const GROUP: usize = 100_000;
/// How long a reader may leave a page untouched before the export ends.
const UNTOUCHED: Duration = Duration::from_mins(1);

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
    /// The parameter that leads to the patient, for groups.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    patient: Option<String>,
}

/// A part of a file: some resources, a line each, or that the file is whole. A channel that closes
/// without the latter has not given all there is.
#[derive(Debug)]
pub enum ExportPart {
    /// Lines.
    Lines(Bytes),
    /// There are no more.
    Whole,
}

type Part = Result<ExportPart, RecordsFault>;

/// An order of an export, as the addresses of its files carry it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    level: ExportLevel,
    /// When it was ordered, in seconds since 1970.
    at: i64,
    request: String,
    files: Vec<File>,
}

impl Export {
    /// When it was ordered, as a FHIR instant.
    pub fn transaction_time(&self) -> String {
        jiff::Timestamp::from_second(self.at).unwrap_or_default().to_string()
    }

    /// The address it was ordered at.
    pub fn request(&self) -> &str {
        &self.request
    }

    /// The types it has a file of.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.ty.as_str())
    }
}

impl Session<FhirRead> {
    /// Takes an order: everything it asks for is planned, so that what cannot be given is refused now and
    /// not in the middle of a file. `request` is the address it was ordered at.
    pub async fn order_export(
        &self,
        level: ExportLevel,
        query: &str,
        handling: Handling,
        request: String,
        now: Timestamp,
    ) -> Result<String, RecordsFault> {
        self.offered(Flag::Export)?;
        let asked = BulkQuery::parse(query, handling)?;
        if let ExportLevel::Group(id) = &level {
            self.read("Group", id, "").await?;
        }
        let compiled = &self.mapping()?.compiled;
        let files = self.files(compiled, &level, &asked).await?;
        let order = Export { level, at: now.as_secs(), request, files };
        let payload = serde_json::to_vec(&order).map_err(|_| RecordsFault::NoKey)?;
        let tag = self.sign_export(&self.signed(&payload));
        Ok(URL_SAFE_NO_PAD.encode([tag.as_slice(), &payload].concat()))
    }

    /// The order a text stands for, if this user gave it lately at this hospital.
    pub fn export(&self, order: &str, now: Timestamp) -> Result<Export, RecordsFault> {
        self.offered(Flag::Export)?;
        let bytes = URL_SAFE_NO_PAD.decode(order).map_err(|_| RecordsFault::NotFound)?;
        let (tag, payload) = bytes.split_at_checked(32).ok_or(RecordsFault::NotFound)?;
        if !self.verify_export(&self.signed(payload), tag) {
            return Err(RecordsFault::NotFound);
        }
        let order: Export = serde_json::from_slice(payload).map_err(|_| RecordsFault::NotFound)?;
        let begun = Timestamp::from_secs(order.at);
        if now.since(begun) > VALID { Err(RecordsFault::NotFound) } else { Ok(order) }
    }

    /// An order belongs to whom it was given.
    fn signed(&self, payload: &[u8]) -> Vec<u8> {
        let principal = self.permit().principal();
        let mut message = Vec::with_capacity(payload.len() + 128);
        for part in [principal.issuer(), principal.subject()] {
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
        let compartment = Compartment::patient();
        let mut files = Vec::new();
        for ty in types {
            if !compiled.maps(ty) {
                return Err(RecordsFault::NoSuchType);
            }
            if !self.permit().allows(ty, Interaction::Search) {
                if !named {
                    continue;
                }
                let target = Target::None;
                let denied = Access { action: Action::Export, resource_type: ty, target };
                write_down(self, denied, Outcome::Denied, 403).await?;
                return Err(RecordsFault::Scope);
            }
            let mut search = String::new();
            if let Some(since) = &asked.since {
                pair(&mut search, "_lastUpdated", &format!("ge{since}"));
            }
            if let Some((_, filter)) = asked.filters.iter().find(|(of, _)| of == ty) {
                search =
                    if search.is_empty() { filter.clone() } else { format!("{search}&{filter}") };
            }
            let patient = match (level, ty) {
                (ExportLevel::System, _) | (ExportLevel::Patient, "Patient") => None,
                (ExportLevel::Group(_), "Patient") => Some("_id"),
                _ => {
                    let params = compartment.params(ty).iter();
                    let served = params.copied().find(|name| compiled.can_search(ty, name));
                    match served {
                        Some(name) => Some(name),
                        None if named => return Err(RecordsFault::NotByPatient(ty.to_owned())),
                        None => continue,
                    }
                }
            };
            if let (ExportLevel::Patient, Some(name)) = (level, patient) {
                pair(&mut search, &format!("{name}:missing"), "false");
            }
            let patient = patient.filter(|_| matches!(level, ExportLevel::Group(_)));
            let file = File { ty: ty.to_owned(), search, patient: patient.map(str::to_owned) };
            let mut trial = file.search_of(&["0".to_owned()])?;
            self.narrow(&mut trial)?;
            let request = PageRequest { count: 1, after: None, base: "" };
            compiled.plan_search(ty, &trial, &request)?;
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

    /// Reads a file of an order, page by page as the receiver takes them. `after` is the id of the last
    /// resource that was received whole, to go on where a connection broke off. Each page is written down
    /// before it is sent.
    pub async fn export_file(
        self,
        exports: &Exports,
        order: Export,
        ty: &str,
        after: Option<&str>,
        patience: Duration,
    ) -> Result<mpsc::Receiver<Part>, RecordsFault> {
        let tenant = self.permit().tenant();
        let file = order.files.into_iter().find(|file| file.ty == ty);
        let file = file.ok_or(RecordsFault::NotFound)?;
        if !self.permit().allows(ty, Interaction::Search) {
            let denied = Access { action: Action::Export, resource_type: ty, target: Target::None };
            write_down(&self, denied, Outcome::Denied, 403).await?;
            return Err(RecordsFault::Scope);
        }
        let after = match after {
            None => None,
            // A group's patients are asked for by and by; no id says how far that had come.
            Some(_) if file.patient.is_some() => return Err(RecordsFault::Cursor),
            Some(id) if !primitive::is_id(id) => return Err(RecordsFault::Cursor),
            Some(id) => {
                let compiled = &self.mapping()?.compiled;
                Some(compiled.position_after(ty, id).ok_or(RecordsFault::Cursor)?)
            }
        };
        let place =
            exports.place(tenant, self.config().export_jobs).ok_or(RecordsFault::Exporting)?;
        let patients = match (&order.level, &file.patient) {
            (ExportLevel::Group(id), Some(_)) => members(&self.read("Group", id, "").await?),
            _ => Vec::new(),
        };
        let (pages, receiver) = mpsc::channel(1);
        let mut running = Running { session: self, file, pages, patience };
        tokio::spawn(async move {
            let _place = place;
            let end = match running.run(&patients, after).await {
                Ok(true) => Ok(ExportPart::Whole),
                // Whoever asked has gone, or has not taken a page for too long.
                Ok(false) => return,
                Err(fault) => {
                    tracing::warn!(target: "wardgate::records", %tenant, reason = %fault, "an export broke off");
                    Err(fault)
                }
            };
            let _gone = tokio::time::timeout(UNTOUCHED, running.pages.send(end)).await;
        });
        Ok(receiver)
    }
}

impl File {
    /// The search of its resources, of these patients where it is a group's.
    fn search_of(&self, patients: &[String]) -> Result<SearchQuery, QueryFault> {
        let mut search = self.search.clone();
        if let Some(name) = &self.patient {
            pair(&mut search, name, &patients.join(","));
        }
        SearchQuery::parse(&search)
    }
}

/// The ids of the patients who are active members of a group.
fn members(group: &Answer) -> Vec<String> {
    let group: serde_json::Value = serde_json::from_slice(group.body()).unwrap_or_default();
    let members = group["member"].as_array().into_iter().flatten();
    let active = members.filter(|member| member["inactive"] != true);
    let ids = active.filter_map(|member| {
        let reference = member["entity"]["reference"].as_str()?;
        let id = reference.strip_prefix("Patient/")?;
        primitive::is_id(id).then(|| id.to_owned())
    });
    let mut ids: Vec<String> = ids.take(GROUP).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// A file being read.
struct Running {
    session: Session<FhirRead>,
    file: File,
    pages: mpsc::Sender<Part>,
    patience: Duration,
}

impl Running {
    async fn run(
        &mut self,
        patients: &[String],
        after: Option<Position>,
    ) -> Result<bool, RecordsFault> {
        if self.file.patient.is_none() {
            let mut search = self.file.search_of(&[])?;
            self.session.narrow(&mut search)?;
            return self.search(&search, after).await;
        }
        for some in patients.chunks(PATIENTS) {
            let mut search = self.file.search_of(some)?;
            self.session.narrow(&mut search)?;
            if !self.search(&search, None).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// All pages of one search. Whether the receiver is still there.
    async fn search(
        &mut self,
        search: &SearchQuery,
        mut after: Option<Position>,
    ) -> Result<bool, RecordsFault> {
        let mapping = self.session.mapping()?;
        loop {
            self.session.renew(Deadline::after(self.patience));
            let request = PageRequest { count: PAGE, after: after.as_ref(), base: "" };
            let mut plan = mapping.compiled.plan_search(&self.file.ty, search, &request)?;
            // Given back after each page, for the receiver may be slow.
            let mut lease = None;
            let fetched = fetch(&self.session, &mut lease, &mut plan, PAGE as usize).await;
            let fetched = self.session.explained(&mapping, &mut lease, fetched).await?;
            drop(lease);
            let (mut body, mut count) = (Vec::with_capacity(256 * 1024), 0);
            let mut report = RenderReport::default();
            let parts = fetched.parts.iter();
            let parts: Vec<_> =
                parts.map(|(planned, rows)| planned.page(&rows.page, &rows.children)).collect();
            for (part, row) in &fetched.order {
                let (Some(part), begun) = (parts.get(*part), body.len()) else { continue };
                match part.write(*row, &Shown::All, &mut body, &mut report) {
                    Some(RowOutcome::Written { .. }) => {
                        body.push(b'\n');
                        count += 1;
                    }
                    _ => body.truncate(begun),
                }
            }
            drop(parts);
            page::count(&self.session, &report);
            after = fetched.next;
            let target = Target::Count(count);
            let access = Access { action: Action::Export, resource_type: &self.file.ty, target };
            let found = Unreleased { body, version: None, last_modified: None };
            let answer = release(&self.session, access, found).await?;
            if !answer.body().is_empty() {
                let sent = self.pages.send(Ok(ExportPart::Lines(answer.body().clone())));
                match tokio::time::timeout(UNTOUCHED, sent).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) | Err(_) => return Ok(false),
                }
            }
            if after.is_none() {
                return Ok(true);
            }
        }
    }
}
