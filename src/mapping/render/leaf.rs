//! Values, and how long they may make a resource.

use crate::fhir::json;
use crate::mapping::lens::Lens;
use crate::mapping::report::{RenderReport, Shown};
use crate::mapping::rows::Row;
use crate::mapping::tree::Leaf;

use super::{Page, Writer, Wrote};

/// The longest resource, in bytes of JSON: twice what the rows of one answer may hold. A mapping's constants can
/// make more of less, and what is made lies in the gateway's memory.
const MAX_RESOURCE: usize = 32 * 1024 * 1024;

/// How many bytes of text one resource is made of, each value counted once for each of its transforms and once
/// more: some tenths of a second, in which its thread does nothing else.
const MAX_TEXT: usize = 256 * 1024 * 1024;

/// In place of the path of an element that lacks.
pub(super) const TOO_LONG: &str = "(too long)";

impl<'w, 'p> Writer<'w, 'p> {
    pub(super) fn new(
        page: &'w Page<'p>,
        shown: &'w Shown,
        out: &'w mut Vec<u8>,
        report: &'w mut RenderReport,
    ) -> Self {
        let most = out.len() + MAX_RESOURCE;
        Self { page, shown, out, report, most, text: 0, full: false }
    }

    /// Whether the resource has become too long or too much work: then nothing is added to it any more.
    pub(super) const fn is_full(&mut self) -> bool {
        self.full |= self.out.len() > self.most || self.text > MAX_TEXT;
        self.full
    }

    /// Writes a value, or the items of a list that stands in one text.
    pub(super) fn leaf(&mut self, leaf: &'p Leaf, row: Row<'_>, in_list: bool) -> Wrote {
        if self.is_full() {
            return Wrote::Nothing;
        }
        let Ok(text) = leaf.lens.read_counted(row, &mut self.text) else {
            self.bad(leaf.path);
            return Wrote::Nothing;
        };
        let Some(text) = text else { return Wrote::Nothing };
        let Some(separator) = &leaf.lens.split else {
            if in_list {
                json::separate(self.out);
            }
            self.value(&leaf.lens, &text);
            return Wrote::Value;
        };
        // A search for one character needs no preparation, which is longer than most texts.
        match *separator.as_bytes() {
            [one] if one.is_ascii() => self.parts(leaf, text.split(char::from(one))),
            _ => self.parts(leaf, text.split(separator.as_str())),
        }
    }

    fn parts<'t>(&mut self, leaf: &'p Leaf, parts: impl Iterator<Item = &'t str>) -> Wrote {
        let mut wrote = Wrote::Nothing;
        for part in parts.map(str::trim).filter(|part| !part.is_empty()) {
            if leaf.lens.out.fits(part) {
                json::separate(self.out);
                self.value(&leaf.lens, part);
                wrote = Wrote::Value;
            } else {
                self.bad(leaf.path);
            }
        }
        wrote
    }

    fn value(&mut self, lens: &Lens, text: &str) {
        if lens.out.bare() {
            self.out.extend_from_slice(text.as_bytes());
        } else {
            json::write_string(self.out, text);
        }
    }
}
