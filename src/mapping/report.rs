//! What is wanted of a row, and what became of it.

use std::ops::Range;

use super::tree::Member;

/// What could not be shown, by element path and without values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RenderReport {
    pub(super) bad: Vec<(String, u32)>,
    pub(super) left_out: Vec<(String, u32)>,
}

impl RenderReport {
    /// Cells that did not fit what the mapping says they are, by the path of the element they would
    /// have filled.
    pub fn bad_cells(&self) -> impl Iterator<Item = (&str, u32)> {
        self.bad.iter().map(|(path, count)| (path.as_str(), *count))
    }

    /// Rows that could not be shown at all, by the path of the required element that was missing.
    pub fn rows_left_out(&self) -> impl Iterator<Item = (&str, u32)> {
        self.left_out.iter().map(|(path, count)| (path.as_str(), *count))
    }

    pub(super) fn count(list: &mut Vec<(String, u32)>, path: &str) {
        match list.iter_mut().find(|(known, _)| known == path) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => list.push((path.to_owned(), 1)),
        }
    }
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowOutcome<'p> {
    /// The resource is written; its id lies in that range of the buffer.
    Written {
        /// Where the id lies in the buffer.
        id: Range<usize>,
    },
    /// Nothing is written: a required element has no value, or the key makes no FHIR id.
    LeftOut {
        /// The element's path.
        path: &'p str,
    },
}

/// Which of a resource's elements are wanted (R4 section 3.1.1.5.8 and .9).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Shown {
    /// All.
    #[default]
    All,
    /// These, and what FHIR demands.
    Only(Vec<String>),
    /// All but the narrative.
    NoText,
    /// What R4 marks as belonging to the summary, and what it demands.
    Summary,
}

impl Shown {
    /// Whether an element of the resource itself is written.
    pub(super) fn has(&self, member: &Member) -> bool {
        let named = |name: &String| *name == member.name || *name == member.element;
        match self {
            Self::All => true,
            Self::Only(names) => member.required || names.iter().any(named),
            Self::Summary => member.required || member.summary,
            Self::NoText => member.name != "text",
        }
    }
}
