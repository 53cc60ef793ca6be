//! Which texts are dates of a layout: every digit, every separator, every day of the calendar. A cell
//! that fails here could not be shown, and what cannot be shown must not be found.

use crate::mapping::catalog::SqlType;
use crate::mapping::lens::layout::{Layout, WIDTHS};
use crate::mapping::lens::predicate::{all, any, not, one_of};
use crate::mapping::plan::{ColumnRef, CompareOp, Expr, Piece, Predicate, Value};

/// Days no month has, and the one of leap years.
const NO_DAYS: [&str; 6] = ["02-30", "02-31", "04-31", "06-31", "09-31", "11-31"];

/// The condition that a column holds a date, or a time alone, of a layout. `loose` lets a blank stand
/// where the layout has a `T`.
pub(super) fn of(column: &ColumnRef, layout: &Layout, loose: bool) -> Predicate {
    let at = Slices { column };
    let [year, month, day, hour, minute, second, _] = layout.fields;
    let mut parts = vec![at.among(&[(layout.length + 1, 1)], &[""])];
    for (place, literal) in &layout.literals {
        let mut texts = vec![literal.to_string()];
        if loose && *literal == 'T' {
            texts.push(" ".to_owned());
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        parts.push(at.among(&[(*place, 1)], &texts));
    }
    let [digits, ..] = layout.widths;
    if let Some(year) = year {
        parts.extend((year..year + digits).map(|place| at.between(place, "0", "9")));
        let first = format!("{:04}", 1 + layout.ahead);
        if layout.ahead >= 0 {
            parts.push(at.compare(&[(year, digits)], CompareOp::Ge, &first));
        }
    }
    parts.extend(layout.unlike.as_ref().map(|(place, text)| {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        not(at.among(&[(*place, length)], &[text]))
    }));
    parts.extend(month.map(|place| at.numbers(place, 1, 12)));
    parts.extend(day.map(|place| at.numbers(place, 1, 31)));
    if let (Some(year), Some(month), Some(day)) = (year, month, day) {
        let in_year = [(month, 2), (day, 2)];
        parts.push(not(at.among(&in_year, &NO_DAYS)));
        parts.push(any([not(at.among(&in_year, &["02-29"])), at.leap(year, digits, layout.ahead)]));
    }
    let [.., hours, minutes, seconds, _] = layout.widths;
    parts.extend(hour.map(|place| match hours {
        1 => at.between(place, "0", "2"),
        _ => at.numbers(place, 0, 23),
    }));
    for (place, digits) in [(minute, minutes), (second, seconds)] {
        let Some(place) = place else { continue };
        parts.push(at.between(place, "0", "5"));
        parts.extend((digits > 1).then(|| at.between(place + 1, "0", "9")));
    }
    all(parts)
}

/// The pieces that make ISO text of a cell; seconds that are not there are none.
pub(super) fn pieces(layout: &Layout) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let between = ["", "-", "-", "T", ":", ":"];
    let digits = layout.widths.iter().zip(WIDTHS);
    for (((place, literal), (length, whole)), number) in
        layout.fields.iter().zip(between).zip(digits).zip(0..)
    {
        let Some(start) = *place else { continue };
        let zeros = || Piece::Literal("0".repeat(whole.saturating_sub(*length) as usize));
        if !literal.is_empty() && !pieces.is_empty() {
            pieces.push(Piece::Literal(literal.to_owned()));
        }
        if number == 0 && *length < whole {
            pieces.push(zeros());
        }
        pieces.push(Piece::Slice { start, length: *length });
        if number > 0 && *length < whole {
            pieces.push(zeros());
        }
    }
    if layout.fields[3].is_some() && layout.fields[5].is_none() {
        let rest = if layout.fields[4].is_some() { ":00" } else { ":00:00" };
        pieces.push(Piece::Literal(rest.to_owned()));
    }
    pieces
}

struct Slices<'c> {
    column: &'c ColumnRef,
}

impl Slices<'_> {
    /// Slices with a hyphen between them.
    fn expr(&self, slices: &[(u32, u32)]) -> Expr {
        let mut pieces = Vec::new();
        for (start, length) in slices {
            if !pieces.is_empty() {
                pieces.push(Piece::Literal("-".to_owned()));
            }
            pieces.push(Piece::Slice { start: *start, length: *length });
        }
        Expr::Pieces { column: self.column.clone(), pieces }
    }

    fn among(&self, slices: &[(u32, u32)], texts: &[&str]) -> Predicate {
        let value = |text: &&str| Value { ty: SqlType::Text, text: (*text).to_owned() };
        one_of(self.expr(slices), texts.iter().map(value).collect())
    }

    fn between(&self, place: u32, low: &str, high: &str) -> Predicate {
        let bound = |op, text| self.compare(&[(place, 1)], op, text);
        // An empty slice is below every digit, and a longer one there is none.
        all([bound(CompareOp::Ge, low), bound(CompareOp::Le, high)])
    }

    fn compare(&self, slices: &[(u32, u32)], op: CompareOp, text: &str) -> Predicate {
        let right = Value { ty: SqlType::Text, text: text.to_owned() };
        Predicate::Compare { left: self.expr(slices), op, right }
    }

    /// Two digits that are a number within bounds.
    fn numbers(&self, place: u32, low: u32, high: u32) -> Predicate {
        let texts: Vec<String> = (low..=high).map(|n| format!("{n:02}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        self.among(&[(place, 2)], &texts)
    }

    /// A leap year, of so many digits that are so many years ahead of ours.
    fn leap(&self, year: u32, digits: u32, ahead: i16) -> Predicate {
        let century = ahead.rem_euclid(100);
        let fours = (0..25).map(|n| (n * 4 + century) % 100).filter(|n| *n != century);
        let fours: Vec<String> = fours.map(|n| format!("{n:02}")).collect();
        let fours: Vec<&str> = fours.iter().map(String::as_str).collect();
        let most = 10_i16.saturating_pow(digits);
        let centuries = (1..25).map(|n| n * 400 + ahead).filter(|n| (0..most).contains(n));
        let centuries: Vec<String> =
            centuries.map(|n| format!("{n:0digits$}", digits = digits as usize)).collect();
        let centuries: Vec<&str> = centuries.iter().map(String::as_str).collect();
        let last = (year + digits - 2, 2);
        any([self.among(&[last], &fours), self.among(&[(year, digits)], &centuries)])
    }
}
