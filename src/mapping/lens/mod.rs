//! Lenses: how cells become a FHIR value, and how a wanted FHIR value becomes a condition on cells.
//! Each transform is one [`Step`]; reading is in `eval`, the way back in `invert`.

pub(super) mod codes;
pub(super) mod columns;
pub(super) mod cut;
pub(super) mod days;
pub(super) mod decimal;
mod escape;
mod eval;
pub(super) mod format;
pub(super) mod id;
mod invert;
pub(super) mod layout;
pub(super) mod moment;
pub(super) mod nothing;
pub(super) mod packed;
pub(super) mod predicate;
mod presence;
pub(super) mod rewrite;
pub(super) mod typed;

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::plan::ColumnRef;
use crate::base::Engine;
use codes::{CodeMap, Field};
use format::DateIn;
use id::IdTemplate;
use moment::{Combine, Unit};
use rewrite::Rewrite;

pub(super) use invert::{blank, matches};

/// The longest text a value is made of, in bytes: as long as the rows of one answer may be. A mapping can have
/// texts put in each other's place again and again, and each time there are more of them.
const LONGEST: usize = 16 * 1024 * 1024;

/// Indexes that are near a search which ignores case and accents.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Near {
    /// Of the text in small letters.
    pub lowered: bool,
    /// Of the folded text.
    pub folded: bool,
    /// Of the folded text without blanks at its ends.
    pub folded_trimmed: bool,
}

/// A column, and which cell of its row holds it.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub cell: usize,
    pub column: ColumnRef,
    /// Whether an index begins with it: equality then looks at the column as it stands.
    pub indexed: bool,
    /// The indexes of what becomes of its text.
    pub near: Near,
    /// Texts that stand for nothing before the column is put together with others.
    pub nothing: Vec<String>,
}

/// Where a lens begins.
#[derive(Debug, Clone)]
pub(super) enum Gather {
    /// One column.
    Column(Slot),
    /// The columns that hold something, with a separator between them.
    Joined { slots: Vec<Slot>, separator: String },
    /// The first column that holds something.
    First(Vec<Slot>),
    /// Several columns that the first step takes apart itself: date and time, or a composite key.
    Parts(Vec<Slot>),
}

/// One transform.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Trim,
    Upper,
    Lower,
    Prefix(String),
    Suffix(String),
    /// These texts stand for nothing.
    NullIf(Vec<String>),
    /// This text where there is nothing.
    Default(String),
    Bool {
        yes: Vec<String>,
        no: Vec<String>,
    },
    Integer,
    /// With this between whole and fraction.
    Decimal(char),
    Date(DateIn),
    DateTime(DateIn),
    Code(Arc<CodeMap>, Field),
    Reference(Arc<Target>),
    /// Another text, made of this one.
    Rewrite(Arc<Rewrite>),
    /// Columns that come together in one moment.
    Combine(Combine),
    /// A date or time so much later, or earlier.
    Later(i64, Unit),
}

/// What a reference points to.
#[derive(Debug)]
pub(super) struct Target {
    pub resource_type: String,
    pub id: IdTemplate,
}

/// What is written, and what it must look like to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Out {
    Text,
    Base64,
    Code(Option<Vec<String>>),
    Id,
    Uri,
    Boolean,
    Decimal,
    Integer { min: i64, max: i64 },
    Date,
    DateTime,
    Instant,
    Time,
}

/// How cells are read throughout a mapping.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    /// Blanks at both ends do not count.
    pub trim: bool,
    /// An empty text is nothing.
    pub empty_is_null: bool,
    /// The zone of times without one.
    pub zone: TimeZone,
    /// Whose columns they are: a SQLite cell holds what it was given, whatever its column says.
    pub engine: Engine,
    /// The present time, while a request is served.
    pub now: Timestamp,
}

/// Cells to one FHIR value.
#[derive(Debug, Clone)]
pub(super) struct Lens {
    pub gather: Gather,
    pub steps: Vec<Step>,
    /// The value is a list in one text, taken apart here.
    pub split: Option<String>,
    pub out: Out,
    pub reading: Arc<Reading>,
}

impl Lens {
    /// The slots it reads.
    pub fn slots(&self) -> &[Slot] {
        match &self.gather {
            Gather::Column(slot) => std::slice::from_ref(slot),
            Gather::Joined { slots, .. } | Gather::First(slots) | Gather::Parts(slots) => slots,
        }
    }

    /// The same, to be placed elsewhere.
    pub fn slots_mut(&mut self) -> &mut [Slot] {
        match &mut self.gather {
            Gather::Column(slot) => std::slice::from_mut(slot),
            Gather::Joined { slots, .. } | Gather::First(slots) | Gather::Parts(slots) => slots,
        }
    }

    /// Whether what it gives is a date or a time.
    pub fn gives_dates(&self) -> bool {
        matches!(self.out, Out::Date | Out::DateTime | Out::Instant)
    }

    /// The one bare column it shows unchanged in order, for sorting.
    pub fn sort_column(&self) -> Option<&ColumnRef> {
        let Gather::Column(slot) = &self.gather else { return None };
        let keeps = self.steps.iter().all(|step| match step {
            Step::Integer | Step::Decimal('.') | Step::Trim => true,
            Step::Date(from) | Step::DateTime(from) => from.sorts(slot.column.ty),
            _ => false,
        });
        (keeps && self.split.is_none()).then_some(&slot.column)
    }
}

#[cfg(test)]
use eval::Bad;

#[cfg(test)]
mod tests;
