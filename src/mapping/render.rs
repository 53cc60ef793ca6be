//! Rows to FHIR JSON, straight into a byte buffer. Parts that turn out empty are rolled back.

mod back;
mod leaf;

use std::borrow::Cow;

use crate::fhir::json;

use self::leaf::TOO_LONG;

use super::groups::{Groups, key_of};
use super::lens::{Lens, Reading};
use super::period;
use super::report::{RenderReport, RowOutcome, Shown};
use super::rows::{Row, Rows};
use super::tree::{Branch, Each, EachRows, Member, Object, Source, Tree};

/// What says that elements were left out (R4 section 3.1.1.5.9).
const SUBSETTED: &[u8] = b"\"tag\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/v3-ObservationValue\",\"code\":\"SUBSETTED\"}]";

/// A fetched page of one source, ready to be written row by row.
#[derive(Debug)]
pub struct Page<'p> {
    source: &'p Source,
    reading: &'p Reading,
    rows: &'p Rows,
    children: Vec<Groups<'p>>,
}

/// What writing a part came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrote {
    /// Nothing is there.
    Nothing,
    /// Only what is always there.
    Constant,
    /// Something of the row.
    Value,
}

struct Writer<'w, 'p> {
    page: &'w Page<'p>,
    shown: &'w Shown,
    out: &'w mut Vec<u8>,
    report: &'w mut RenderReport,
    /// Up to where `out` may grow, and whether it did.
    most: usize,
    /// How many bytes of text were looked at so far.
    text: usize,
    full: bool,
}

impl<'p> Page<'p> {
    pub(super) fn new(
        source: &'p Source,
        reading: &'p Reading,
        rows: &'p Rows,
        children: &'p [Rows],
    ) -> Self {
        let children = source.children.iter().zip(children);
        let children =
            children.map(|(child, rows)| Groups::new(rows, &child.own, &child.sorted)).collect();
        Self { source, reading, rows, children }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes the id of a row over `id`; `false` when its key makes no FHIR id.
    pub fn id(&self, index: usize, id: &mut String) -> bool {
        id.clear();
        self.rows.row(index).is_some_and(|row| self.write_id(row, id))
    }

    /// Whether a row's id is this one, letter by letter, whatever the database takes for equal.
    pub fn has_id(&self, index: usize, wanted: &str) -> bool {
        let mut id = String::with_capacity(64);
        self.id(index, &mut id) && id == wanted
    }

    /// The version a row's resource shows.
    pub fn version(&self, index: usize) -> Option<String> {
        self.lens(self.source.version.as_ref(), index)
    }

    /// When a row was last updated, as a FHIR instant.
    pub fn modified(&self, index: usize) -> Option<String> {
        self.lens(self.source.modified.as_ref(), index)
    }

    fn lens(&self, lens: Option<&Lens>, index: usize) -> Option<String> {
        let read = lens?.read(self.rows.row(index)?);
        read.ok().flatten().map(Cow::into_owned)
    }

    fn write_id(&self, row: Row<'_>, id: &mut String) -> bool {
        let key = &self.source.key;
        self.source.id.write(id, |n| key.get(n).and_then(|slot| row.get(slot.cell)))
    }

    /// Appends the resource of a row to the buffer; `None` when there is no such row.
    pub fn write(
        &self,
        index: usize,
        shown: &Shown,
        out: &mut Vec<u8>,
        report: &mut RenderReport,
    ) -> Option<RowOutcome<'p>> {
        let mut id = String::with_capacity(64);
        self.id(index, &mut id);
        self.write_as(&id, index, shown, out, report)
    }

    /// The same for a row of which the caller has the id that [`id`](Self::id) gave.
    pub fn write_as(
        &self,
        id: &str,
        index: usize,
        shown: &Shown,
        out: &mut Vec<u8>,
        report: &mut RenderReport,
    ) -> Option<RowOutcome<'p>> {
        let row = self.rows.row(index)?;
        let start = out.len();
        if id.is_empty() {
            RenderReport::count(&mut report.left_out, "id");
            return Some(RowOutcome::LeftOut { path: "id" });
        }
        out.extend_from_slice(b"{\"resourceType\":\"");
        out.extend_from_slice(self.source.resource_type.as_bytes());
        out.extend_from_slice(b"\",\"id\":\"");
        let from = out.len();
        out.extend_from_slice(id.as_bytes());
        let id = from..out.len();
        out.push(b'"');
        let mut writer = Writer::new(self, shown, out, report);
        if *shown != Shown::All {
            writer.subset_meta(row);
        }
        let written = writer.members(&self.source.root, row);
        let written = if writer.is_full() { Err(None) } else { written.map_err(Some) };
        match written {
            Ok(_) => {
                out.push(b'}');
                Some(RowOutcome::Written { id })
            }
            Err(path) => {
                out.truncate(start);
                let path =
                    path.map_or(Some(TOO_LONG), |at| self.source.paths.get(at).map(String::as_str));
                let path = path.unwrap_or("");
                RenderReport::count(&mut report.left_out, path);
                Some(RowOutcome::LeftOut { path })
            }
        }
    }
}

impl<'p> Writer<'_, 'p> {
    fn bad(&mut self, path: usize) {
        let path = self.page.source.paths.get(path).map_or("", String::as_str);
        RenderReport::count(&mut self.report.bad, path);
    }

    /// Writes the members of an object; the error is the path of a required one that has no value.
    fn members(&mut self, object: &'p Object, row: Row<'_>) -> Result<Wrote, usize> {
        let mut wrote = Wrote::Nothing;
        let mut missing = None;
        let mut chosen = 0_u64;
        let root = object.root;
        let subset = root && *self.shown != Shown::All;
        let mut start: Option<std::ops::Range<usize>> = None;
        for (place, member) in object.members.iter().enumerate() {
            if subset && (member.name == "meta" || !self.shown.has(member)) {
                continue;
            }
            let choice = member.choice.map(|n| 1_u64 << (n % 64));
            if choice.is_some_and(|bit| chosen & bit != 0) {
                continue;
            }
            let mark = self.out.len();
            member.begin(self.out);
            let value = self.out.len();
            match self.tree(&member.value, row) {
                Wrote::Nothing => {
                    self.out.truncate(mark);
                    if member.required && choice.is_none() {
                        missing = missing.or(Some(member.path));
                    }
                    continue;
                }
                Wrote::Constant if wrote == Wrote::Nothing => wrote = Wrote::Constant,
                Wrote::Constant => {}
                Wrote::Value => wrote = Wrote::Value,
            }
            match object.period {
                Some((first, _)) if first == place => start = Some(value..self.out.len()),
                Some((_, last)) if last == place => {
                    let first = start.clone().and_then(|start| self.out.get(start));
                    let zone = &self.page.reading.zone;
                    if period::backwards(first, self.out.get(value..), zone) {
                        self.bad(member.path);
                        self.out.truncate(mark);
                    }
                }
                _ => {}
            }
            chosen |= choice.unwrap_or(0);
        }
        let unchosen = |member: &&Member| {
            member.required && member.choice.is_some_and(|n| chosen & (1 << (n % 64)) == 0)
        };
        let unchosen =
            if object.choice_required { object.members.iter().find(unchosen) } else { None };
        match missing.or(unchosen.map(|member| member.path)) {
            Some(path) if wrote == Wrote::Value || root => Err(path),
            Some(_) => Ok(Wrote::Nothing),
            None => Ok(wrote),
        }
    }

    /// The resource's own `meta` with the tag that says that elements were left out.
    fn subset_meta(&mut self, row: Row<'_>) {
        let meta = self.page.source.root.member("meta");
        self.out.extend_from_slice(b",\"meta\":");
        let start = self.out.len();
        let wrote = meta.map_or(Wrote::Nothing, |meta| self.tree(&meta.value, row));
        let tagged = meta.is_some_and(
            |meta| matches!(&meta.value, Tree::Object(object) if object.member("tag").is_some()),
        );
        if wrote == Wrote::Nothing {
            self.out.truncate(start);
            self.out.push(b'{');
        } else if tagged {
            return;
        } else {
            self.out.pop();
            self.out.push(b',');
        }
        self.out.extend_from_slice(SUBSETTED);
        self.out.push(b'}');
    }

    fn tree(&mut self, tree: &'p Tree, row: Row<'_>) -> Wrote {
        if self.is_full() {
            return Wrote::Nothing;
        }
        match tree {
            Tree::Const(constant) => {
                self.out.extend_from_slice(&constant.json);
                Wrote::Constant
            }
            Tree::Leaf(leaf) => self.leaf(leaf, row, false),
            Tree::Object(object) => self.object(object, row),
            Tree::Each(each) => self.each(each, row, true),
            Tree::List(items) => self.list(items, row),
            // Which constant it is depends on the row, so it says something of it.
            Tree::Case(branches) => match self.case(branches, row).map(|t| self.tree(t, row)) {
                Some(Wrote::Value | Wrote::Constant) => Wrote::Value,
                Some(Wrote::Nothing) | None => Wrote::Nothing,
            },
        }
    }

    fn object(&mut self, object: &'p Object, row: Row<'_>) -> Wrote {
        if let Some(constant) = &object.constant {
            self.out.extend_from_slice(constant);
            return Wrote::Constant;
        }
        let reading = self.page.reading;
        if !object.when.iter().all(|c| c.holds(reading, row)) {
            return Wrote::Nothing;
        }
        let start = self.out.len();
        self.out.push(b'{');
        match self.members(object, row) {
            Err(path) => {
                self.bad(path);
                self.out.truncate(start);
                Wrote::Nothing
            }
            Ok(Wrote::Value) => {
                self.out.push(b'}');
                Wrote::Value
            }
            Ok(Wrote::Constant) if !object.when.is_empty() || object.standing() => {
                self.out.push(b'}');
                Wrote::Value
            }
            Ok(_) => {
                self.out.truncate(start);
                Wrote::Nothing
            }
        }
    }

    fn list(&mut self, items: &'p [Tree], row: Row<'_>) -> Wrote {
        let start = self.out.len();
        self.out.push(b'[');
        let mut wrote = Wrote::Nothing;
        for item in items {
            let mark = self.out.len();
            let item = match item {
                Tree::Each(each) => self.each(each, row, false),
                Tree::Leaf(leaf) => self.leaf(leaf, row, true),
                item => {
                    json::separate(self.out);
                    self.tree(item, row)
                }
            };
            match item {
                Wrote::Nothing => self.out.truncate(mark),
                Wrote::Constant if wrote == Wrote::Nothing => wrote = Wrote::Constant,
                Wrote::Constant => {}
                Wrote::Value => wrote = Wrote::Value,
            }
        }
        if wrote == Wrote::Nothing {
            self.out.truncate(start);
        } else {
            self.out.push(b']');
        }
        wrote
    }

    /// Writes the items of one-to-many rows, or only the first where one alone may stand.
    fn each(&mut self, each: &'p Each, row: Row<'_>, alone: bool) -> Wrote {
        let page = self.page;
        let mut written = 0;
        match &each.rows {
            EachRows::Child(number) => {
                let (Some(child), Some(groups)) =
                    (page.source.children.get(*number), page.children.get(*number))
                else {
                    return Wrote::Nothing;
                };
                let Some(key) = key_of(row, &child.parent) else { return Wrote::Nothing };
                for row in groups.of(&key) {
                    if written >= each.max {
                        break;
                    }
                    written += usize::from(self.each_item(&each.item, row, alone));
                }
            }
            EachRows::Parts { lens, cut, path } => {
                let read = lens.read(row);
                let Ok(rows) = read.and_then(|text| cut.rows(text.as_deref().unwrap_or_default()))
                else {
                    self.bad(*path);
                    return Wrote::Nothing;
                };
                for row in (0..rows.len()).filter_map(|at| rows.row(at)) {
                    if written < each.max {
                        written += usize::from(self.each_item(&each.item, row, alone));
                    }
                }
            }
        }
        if written > 0 { Wrote::Value } else { Wrote::Nothing }
    }

    /// Writes one item; whether there is anything of it.
    fn each_item(&mut self, item: &'p Tree, row: Row<'_>, alone: bool) -> bool {
        let mark = self.out.len();
        let wrote = match item {
            Tree::Leaf(leaf) if !alone => self.leaf(leaf, row, true),
            item => {
                if !alone {
                    json::separate(self.out);
                }
                self.tree(item, row)
            }
        };
        if wrote == Wrote::Nothing {
            self.out.truncate(mark);
        }
        wrote != Wrote::Nothing
    }

    /// The branch a row takes.
    fn case(&self, branches: &'p [Branch], row: Row<'_>) -> Option<&'p Tree> {
        let reading = self.page.reading;
        let own = branches.iter().find(|b| b.when.iter().all(|c| c.holds(reading, row)))?;
        own.tree.as_ref()
    }
}
