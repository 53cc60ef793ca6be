//! Dates whose year, month and day stand in columns of their own, compared part by part.

use jiff::civil::Date;

use crate::fhir::primitive::Precision;
use crate::mapping::catalog::SqlType;
use crate::mapping::lens::columns::YEARS;
use crate::mapping::lens::predicate::{all, any, column_in, not};
use crate::mapping::lens::{Reading, Slot, blank, typed};
use crate::mapping::plan::{ColumnRef, CompareOp, Expr, Predicate};

use super::stored::Stored;

/// Years whose leap days are found; those of other years are missed.
const LEAP_YEARS: std::ops::RangeInclusive<i64> = 1800..=2200;

/// The three ways of a date in three columns: known to the year, to the month, to the day. `None` where one
/// of them holds no whole numbers.
pub(super) fn stored<'l>(reading: &'l Reading, slots: &'l [Slot]) -> Option<Vec<Stored<'l>>> {
    let whole = |slot: &Slot| matches!(slot.column.ty, SqlType::Integer { .. });
    let [year, month, day] = slots else { return None };
    if !slots.iter().all(whole) {
        return None;
    }
    let among = |slot: &Slot, numbers: &mut dyn Iterator<Item = i64>| {
        let texts: Vec<String> = numbers.map(|n| n.to_string()).collect();
        all([column_in(&slot.column, &texts), not(blank(reading, slot))])
    };
    let none =
        |slot: &Slot| any([blank(reading, slot), column_in(&slot.column, &["0".to_owned()])]);
    let of = |slot: &Slot, numbers: &[i64]| among(slot, &mut numbers.iter().copied());
    let known = all([
        bound(&year.column, CompareOp::Ge, *YEARS.start()),
        bound(&year.column, CompareOp::Le, *YEARS.end()),
        not(blank(reading, year)),
    ]);
    let leap = |year: &i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let in_month = any([
        all([among(month, &mut (1..=12)), among(day, &mut (1..=28))]),
        all([of(month, &[1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]), of(day, &[29, 30])]),
        all([of(month, &[1, 3, 5, 7, 8, 10, 12]), of(day, &[31])]),
        all([of(month, &[2]), of(day, &[29]), among(year, &mut LEAP_YEARS.filter(leap))]),
    ]);
    let each = [
        (Precision::Year, none(month)),
        (Precision::Month, all([among(month, &mut (1..=12)), none(day)])),
        (Precision::Day, in_month),
    ];
    let left = || Expr::Column(year.column.clone());
    let form = |(grain, shape)| {
        Stored::of_columns(slots, left(), grain, all([known.clone(), shape]), &reading.zone)
    };
    Some(each.into_iter().map(form).collect())
}

/// The columns as far as the grain goes, beside the parts of a boundary.
pub(super) fn compare(
    slots: &[Slot],
    grain: Precision,
    op: CompareOp,
    at: Date,
) -> Option<Predicate> {
    let strict = if op == CompareOp::Ge { CompareOp::Gt } else { CompareOp::Lt };
    let parts = [i64::from(at.year()), i64::from(at.month()), i64::from(at.day())];
    let depth = match grain {
        Precision::Year => 1,
        Precision::Month => 2,
        _ => 3,
    };
    let mut pairs = slots.iter().zip(parts).take(depth).rev();
    let (last, part) = pairs.next()?;
    let mut found = bound(&last.column, op, part);
    for (slot, part) in pairs {
        let same = all([bound(&slot.column, CompareOp::Eq, part), found]);
        found = any([bound(&slot.column, strict, part), same]);
    }
    Some(found)
}

/// A column beside a number, also one that it cannot hold.
fn bound(column: &ColumnRef, op: CompareOp, number: i64) -> Predicate {
    match typed::value(column.ty, &number.to_string()) {
        Some(right) => Predicate::Compare { left: Expr::Column(column.clone()), op, right },
        // A part of a date is above zero, so what does not fit is beyond what the column holds.
        None if matches!(op, CompareOp::Lt | CompareOp::Le) => Predicate::Always,
        None => Predicate::Never,
    }
}
