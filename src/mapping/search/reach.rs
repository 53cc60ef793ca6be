//! From a reference to the rows it leads to, and back: the columns that hold it beside the key they
//! stand for.

use std::sync::Arc;

use crate::mapping::catalog::SqlType;
use crate::mapping::lens::predicate::{all, not};
use crate::mapping::lens::{Gather, Lens, Reading, Slot, Step, Target, blank};
use crate::mapping::plan::{ColumnRef, Expr, IdText, Predicate, Rowset};
use crate::mapping::tree::Source;

use super::Unable;

/// A leaf that holds a reference.
pub(super) struct Pointer {
    /// The columns that hold the target's key, in its order.
    pub columns: Vec<Expr>,
    /// They hold something.
    pub there: Predicate,
}

impl Pointer {
    pub fn of(lens: &Lens) -> Result<Self, Unable> {
        let Some((Step::Reference(target), before)) = lens.steps.split_last() else {
            return Err(Unable);
        };
        let reading = &lens.reading;
        let plain = |step: &Step| match step {
            Step::NullIf(_) => true,
            Step::Trim => reading.trim,
            Step::Integer => lens.slots().iter().all(|s| whole(&s.column)),
            _ => false,
        };
        if !before.iter().all(plain) || lens.slots().len() != target.id.key.len() {
            return Err(Unable);
        }
        let there = match &lens.gather {
            Gather::Column(_) => lens.holds(before.len()).ok_or(Unable)?,
            Gather::Parts(slots) if before.is_empty() => {
                all(slots.iter().map(|slot| not(blank(reading, slot))))
            }
            _ => return Err(Unable),
        };
        let columns = lens.slots().iter().map(|slot| shown(reading, slot)).collect();
        Ok(Self { columns, there })
    }
}

const fn whole(column: &ColumnRef) -> bool {
    matches!(column.ty, SqlType::Integer { .. })
}

/// A column as a reference shows it. One with an index is compared as it stands, so that its index serves.
pub(super) fn shown(reading: &Reading, slot: &Slot) -> Expr {
    let column = Expr::Column(slot.column.clone());
    let loose = matches!(slot.column.ty, SqlType::Text | SqlType::Enum | SqlType::Any);
    if loose && reading.trim && !slot.indexed { Expr::Trimmed(Box::new(column)) } else { column }
}

/// The source a target belongs to. No two sources of a type give the same id.
pub(super) fn source_of<'s>(
    sources: &'s [Arc<Source>],
    target: &Target,
) -> Option<&'s Arc<Source>> {
    sources.iter().find(|s| s.resource_type == target.resource_type && s.id == target.id)
}

/// The key of a source's rows.
pub(super) fn key(source: &Source) -> Vec<Expr> {
    source.key.iter().map(|slot| Expr::Column(slot.column.clone())).collect()
}

/// The rows of a source that are resources and meet a condition.
pub(super) fn rows(
    source: &Source,
    reading: &Reading,
    condition: Predicate,
) -> Result<Rowset, Unable> {
    // Which rows are shown may depend on the present time.
    let timed = source.timed.then(|| super::shown(source, reading));
    let shown = timed.unwrap_or_else(|| source.shown.clone()).ok_or(Unable)?;
    Ok(Rowset {
        from: Arc::clone(&source.from),
        joins: Arc::clone(&source.joins),
        filter: all([source.filter.clone(), condition, shown]),
    })
}

/// The rows whose key makes a FHIR id; without, there is no resource.
pub(super) fn identified(source: &Source) -> Predicate {
    if source.id.fits_every_key() {
        return Predicate::Always;
    }
    let id = &source.id;
    let decimal = |n: usize| id.key.get(n).is_some_and(|column| column.ty == SqlType::Decimal);
    let part = |(n, text)| {
        let (escaped, apart, number) = (id.escapes(n), id.apart(n), decimal(n));
        IdText { text, escaped, apart, number }
    };
    let parts = key(source).into_iter().enumerate().map(part).collect();
    let numbers = id.key.iter().filter(|column| column.ty == SqlType::Decimal);
    let own = numbers.map(|column| Predicate::OwnKind(column.clone()));
    all(own.chain([Predicate::Id { parts, room: id.room() }]))
}
