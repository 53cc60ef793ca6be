//! A file of an order, read while it is fetched.

use std::time::Duration;

use bytes::Bytes;
use jiff::civil::Date;
use tokio::sync::mpsc;

use super::group::{Members, part_of};
use super::{Export, ExportLevel, Exports, File, Tag};
use crate::audit::{Action, Target};
use crate::auth::{AuthFault, Authority, FhirRead, Interaction};
use crate::base::{Deadline, Flag};
use crate::fhir::bundle::MAX_BUNDLE;
use crate::fhir::query::pair;
use crate::fhir::{SearchQuery, primitive};
use crate::mapping::{Includes, PageRequest, Position, RenderReport, RowOutcome, Shown};
use crate::records::answer::{Access, Unreleased, release};
use crate::records::fault::RecordsFault;
use crate::records::gather::{Fetched, fetch};
use crate::records::page;
use crate::records::slices::Slices;
use crate::store::StoreFault;
use crate::tenant::Session;

/// Resources fetched at a time.
const PAGE: u32 = 1000;
/// How long a reader may leave a page untouched before the export ends.
const UNTOUCHED: Duration = Duration::from_mins(1);
/// How long a file may be sent on after the token it was asked for with has ended: many last for minutes, and
/// a large file for longer.
const BEYOND_TOKEN: Duration = Duration::from_hours(1);

pub(super) const TOO_LARGE: RecordsFault = RecordsFault::Request(
    "The group is too large to be exported at once, or has become so since the export was ordered.",
);
const LOST: RecordsFault = RecordsFault::Request(
    "_after is no resource of this file any more; go on behind the line before it.",
);

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

impl Session<FhirRead> {
    /// Reads a file of an order, page by page as the receiver takes them. `after` is the id of the last
    /// resource that was received whole, to go on where a connection broke off. Each page is written down
    /// before it is sent.
    pub async fn export_file(
        self,
        (exports, authority): (&Exports, &Authority),
        order: Export,
        ty: &str,
        after: Option<&str>,
        patience: Duration,
    ) -> Result<mpsc::Receiver<Part>, RecordsFault> {
        let tenant = self.permit().tenant();
        let day = order.day();
        let Export { level, files, parts, patients, tag, .. } = order;
        let file = files.into_iter().find(|file| file.ty == ty);
        let file = file.ok_or(RecordsFault::NotFound)?;
        let compiled = &self.mapping()?.compiled;
        file.searches()?.iter_mut().try_for_each(|search| self.narrow(search))?;
        // The token may be another one than it was ordered with, and the mapping too.
        if !self.permit().allows(ty, Interaction::Search)
            || !self.may_look(&file.planned(compiled)?)
        {
            return self.no_export(ty).await;
        }
        let after = match after {
            None => None,
            Some(id) if !primitive::is_id(id) => return Err(LOST),
            Some(id) => {
                let position = compiled.position_after(ty, id).ok_or(LOST)?;
                Some(After { id: id.to_owned(), position })
            }
        };
        let place =
            exports.place(tenant, self.config().export_jobs).ok_or(RecordsFault::Exporting)?;
        let group = match &file.patient {
            Some(patient) => {
                let group = match &level {
                    ExportLevel::Group(id) => Some(self.read("Group", id, "").await?),
                    ExportLevel::System | ExportLevel::Patient => None,
                };
                let members = Members::of(group.as_ref(), patients, parts).ok_or(TOO_LARGE)?;
                let by = format!("_include={ty}:{patient}:Patient");
                // Patients' own references are no membership.
                let by = if ty == "Patient" { None } else { Some(includes(compiled, ty, &by)?) };
                Some(Group { members, parts, by })
            }
            None => None,
        };
        let (pages, receiver) = mpsc::channel(1);
        let (shown, any_of) = (file.shown(), file.any_of()?);
        let (session, order, authority) = (self, tag, authority.clone());
        let mut running =
            Running { session, authority, file, any_of, shown, group, pages, patience, order, day };
        let begin = running.begin(after).await?;
        tokio::spawn(async move {
            let _place = place;
            let end = match running.run(begin).await {
                Ok(true) => Ok(ExportPart::Whole),
                // Whoever asked has gone, has not taken a page for too long, or has cancelled it.
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

/// The references of a type by one parameter.
fn includes(
    compiled: &crate::mapping::Compiled,
    ty: &str,
    query: &str,
) -> Result<Includes, RecordsFault> {
    let request = PageRequest { count: 1, after: None, base: "" };
    Ok(compiled.plan_search(ty, &SearchQuery::parse(query)?, &request)?.includes)
}

/// Behind which resource a file goes on.
struct After {
    id: String,
    position: Position,
}

/// Where a file begins: in which part of its group, and behind which row.
#[derive(Default)]
struct Begin {
    part: usize,
    after: Option<Position>,
}

/// The patients whose resources a file has: a group's, or those who were named.
struct Group {
    members: Members,
    parts: u32,
    /// The references that make a resource a patient's; none for the patients themselves.
    by: Option<Includes>,
}

/// A file being read.
struct Running {
    session: Session<FhirRead>,
    authority: Authority,
    file: File,
    /// The searches of which any may find a resource, where there are some.
    any_of: Vec<SearchQuery>,
    shown: Shown,
    group: Option<Group>,
    pages: mpsc::Sender<Part>,
    patience: Duration,
    order: Tag,
    /// The day of the order, from which all its pages measure.
    day: Date,
}

impl Running {
    /// Where to begin. In a group's file that is in the part of the patient the resource belongs to.
    async fn begin(&mut self, after: Option<After>) -> Result<Begin, RecordsFault> {
        let Some(After { id, position }) = after else { return Ok(Begin::default()) };
        let part = match &self.group {
            None => 0,
            Some(Group { parts, by: None, .. }) => part_of(&id, *parts),
            Some(_) => {
                let mut search = self.file.search.clone();
                pair(&mut search, "_id", &id);
                let fetched = self.page(&SearchQuery::parse(&search)?, None).await?;
                whole(&fetched, &id).and_then(|body| self.part(&body)).ok_or(LOST)?
            }
        };
        Ok(Begin { part, after: Some(position) })
    }

    /// The part of its group a resource is given in, though it may be of patients of several.
    fn part(&self, whole: &[u8]) -> Option<usize> {
        let group = self.group.as_ref()?;
        group.members.part(whole, group.by.as_ref()?, group.parts)
    }

    async fn run(&mut self, begin: Begin) -> Result<bool, RecordsFault> {
        let Begin { part: first, mut after } = begin;
        let Some(group) = &self.group else {
            return self.search(&self.file.search_of(&[])?, None, after).await;
        };
        let searches: Result<Vec<_>, RecordsFault> = group
            .members
            .from(first)
            .map(|(part, patients)| Ok((part, self.file.search_of(patients)?)))
            .collect();
        for (part, search) in searches? {
            // Whoever left the group meanwhile may have taken her whole part with her.
            let after = after.take().filter(|_| part == first);
            if !self.search(&search, Some(part), after).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A page of a search.
    async fn page(
        &mut self,
        search: &SearchQuery,
        after: Option<&Position>,
    ) -> Result<Fetched, RecordsFault> {
        self.session.renew(Deadline::after(self.patience));
        let mapping = self.session.mapping()?;
        let request = PageRequest { count: PAGE, after, base: "" };
        let search = SearchQuery { day: Some(self.day), ..search.clone() };
        let mut plan = mapping.compiled.plan_any(&self.file.ty, &search, &self.any_of, &request)?;
        // Given back after each page, for the receiver may be slow.
        let mut lease = None;
        let what = (self.file.ty.as_str(), "export");
        let fetched = fetch(&self.session, &mut lease, &mut plan, what, PAGE as usize).await;
        self.session.explained(&mapping, &mut lease, fetched).await
    }

    /// The resources of a page, a line each, and how many they are; without those that an earlier part of
    /// the group has given.
    async fn lines(&self, fetched: &Fetched, part: Option<usize>) -> (Vec<u8>, u64) {
        let (mut body, mut count) = (Vec::with_capacity(256 * 1024), 0);
        let (mut report, mut scratch) = (RenderReport::default(), Vec::new());
        let parts = fetched.parts.iter();
        let parts: Vec<_> =
            parts.map(|(planned, rows)| planned.page(&rows.page, &rows.children)).collect();
        let mut slices = Slices::begin();
        for (source, row) in &fetched.order {
            slices.next().await;
            if body.len() > MAX_BUNDLE {
                break;
            }
            let (Some(source), begun) = (parts.get(*source), body.len()) else { continue };
            let outcome = source.write(*row, &self.shown, &mut body, &mut report);
            if !matches!(outcome, Some(RowOutcome::Written { .. })) {
                body.truncate(begun);
                continue;
            }
            let whole = match self.shown {
                Shown::All => body.get(begun..).unwrap_or_default(),
                _ if part.is_none() => &[],
                _ => {
                    scratch.clear();
                    source.write(*row, &Shown::All, &mut scratch, &mut RenderReport::default());
                    scratch.as_slice()
                }
            };
            let elsewhere = |part| self.part(whole).is_some_and(|first| first < part);
            if of_several(whole) && part.is_some_and(elsewhere) {
                body.truncate(begun);
                continue;
            }
            body.push(b'\n');
            count += 1;
        }
        page::count(&self.session, &report);
        (body, count)
    }

    /// Fails when whoever asked would not be let in any more: logged out, say, or taken from the hospital. What
    /// cannot be asked at present is not held against her; the page itself shows whether she is served.
    async fn still_stands(&self) -> Result<(), RecordsFault> {
        let principal = self.session.permit().principal();
        let by = Deadline::after(self.patience);
        match self.authority.still_stands(principal, BEYOND_TOKEN, by).await {
            Ok(()) | Err(AuthFault::Unavailable { .. }) => Ok(()),
            Err(fault) => Err(RecordsFault::Ended(fault)),
        }
    }

    /// All pages of one search. Whether the receiver is still there.
    async fn search(
        &mut self,
        search: &SearchQuery,
        part: Option<usize>,
        mut after: Option<Position>,
    ) -> Result<bool, RecordsFault> {
        loop {
            if self.session.is_cancelled(&self.order)? {
                return Ok(false);
            }
            self.still_stands().await?;
            // Switched off in the middle: whoever did so wants no further page to leave.
            if !self.session.still_offers(Flag::Export).await? {
                return Err(RecordsFault::SwitchedOff(Flag::Export));
            }
            let fetched = self.page(search, after.as_ref()).await?;
            let (body, count) = self.lines(&fetched, part).await;
            if body.len() > MAX_BUNDLE {
                return Err(StoreFault::TooLarge { limit: MAX_BUNDLE }.into());
            }
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

/// The resource of that id on a page, whole.
fn whole(fetched: &Fetched, id: &str) -> Option<Vec<u8>> {
    fetched.order.iter().find_map(|(part, row)| {
        let (planned, rows) = fetched.parts.get(*part)?;
        let page = planned.page(&rows.page, &rows.children);
        let mut body = Vec::new();
        // What the database calls equal may still be another id (case, padding).
        page.has_id(*row, id).then_some(())?;
        page.write(*row, &Shown::All, &mut body, &mut RenderReport::default())?;
        Some(body)
    })
}

/// Whether a resource may be of several patients: most are not, and need no second look.
fn of_several(resource: &[u8]) -> bool {
    let text = std::str::from_utf8(resource).unwrap_or_default();
    text.match_indices("\"Patient/").nth(1).is_some()
}
