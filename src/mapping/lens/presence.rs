//! Whether a lens gives anything, as a condition on the columns.

use crate::mapping::catalog::SqlType;
use crate::mapping::plan::{
    Alike, ColumnRef, CompareOp, Expr, IdText, Predicate, TextMatch, Value,
};

use super::codes::Coded;
use super::invert::{blank, shown};
use super::predicate::{all, any, column_in, not};
use super::{Gather, Lens, Out, Slot, Step, Target, typed};

impl Lens {
    /// There is a value. Dates are for `search::date` to say.
    pub fn present(&self) -> Option<Predicate> {
        let n = self.steps.len();
        if let Some(separator) = &self.split {
            // Any other separator may stand alone in a cell.
            let blank = separator == " " && self.reading.trim;
            return if blank && self.out == Out::Text { self.some(n) } else { None };
        }
        let mapped = matches!(self.steps.last(), Some(Step::Code(..)));
        match &self.out {
            Out::Text | Out::Boolean => self.some(n),
            Out::Code(None) | Out::Id | Out::Uri if mapped => self.some(n),
            Out::Code(None) | Out::Id | Out::Uri if self.whole_number() => self.number_within(None),
            Out::Code(Some(codes)) => self.one_of(n, codes, true),
            Out::Code(None) => self.without(&["  ", "\t", "\n", "\r", "\u{b}", "\u{c}"]),
            Out::Uri => self.without(&[" ", "\t", "\n", "\r", "\u{b}", "\u{c}"]),
            Out::Integer { min, max } => self.number_within(Some((*min, *max))),
            Out::Decimal => self.number_within(None),
            Out::Base64 | Out::Id | Out::Date | Out::DateTime | Out::Instant | Out::Time => None,
        }
    }

    /// There is something after `n` steps, and it fits.
    pub(in crate::mapping) fn holds(&self, n: usize) -> Option<Predicate> {
        self.some(n)
    }

    /// There is a text, and none of these is in it.
    fn without(&self, never: &[&str]) -> Option<Predicate> {
        let n = self.steps.len();
        let mut parts = vec![self.some(n)?];
        for text in never {
            parts.push(not(self.text(n, TextMatch::Contains, text, Alike::Exact)?));
        }
        Some(all(parts))
    }

    /// Whether it shows a column of whole numbers as they are.
    pub(super) fn whole_number(&self) -> bool {
        let whole = |slot: &Slot| matches!(slot.column.ty, SqlType::Integer { .. });
        matches!(&self.gather, Gather::Column(slot) if whole(slot))
            && self.steps.iter().all(|s| matches!(s, Step::Integer | Step::NullIf(_) | Step::Trim))
    }

    /// A number column holds a number, within these bounds.
    fn number_within(&self, bounds: Option<(i64, i64)>) -> Option<Predicate> {
        let Gather::Column(slot) = &self.gather else { return None };
        let column = &slot.column;
        let integer = matches!(column.ty, SqlType::Integer { .. });
        let fraction = matches!(column.ty, SqlType::Decimal | SqlType::Float);
        if !integer && (bounds.is_some() || !fraction) {
            return None;
        }
        let mut parts = Vec::new();
        for step in &self.steps {
            match step {
                Step::Integer | Step::Decimal('.') | Step::Trim => {}
                Step::NullIf(list) => parts.push(not(column_in(column, list))),
                _ => return None,
            }
        }
        let compare = |op, text: String| Predicate::Compare {
            left: Expr::Column(column.clone()),
            op,
            right: Value { ty: column.ty, text },
        };
        match bounds {
            Some((min, max)) => {
                for (op, bound) in [(CompareOp::Ge, min), (CompareOp::Le, max)] {
                    let fits = typed::value(column.ty, &bound.to_string()).is_some();
                    parts.extend(fits.then(|| compare(op, bound.to_string())));
                }
                parts.push(not(Predicate::IsNull(Expr::Column(column.clone()))));
            }
            // A comparison leaves out what a SQLite cell may hold beside numbers.
            None if integer => parts.push(compare(CompareOp::Ge, i64::MIN.to_string())),
            // Nor is NaN or infinity between these, or a number of more digits than are shown.
            None if column.ty == SqlType::Float => {
                parts.push(compare(CompareOp::Ge, "-1e58".to_owned()));
                parts.push(compare(CompareOp::Le, "1e58".to_owned()));
            }
            None => {
                let most = "9".repeat(35);
                parts.push(compare(CompareOp::Ge, format!("-{most}")));
                parts.push(compare(CompareOp::Le, most));
            }
        }
        Some(all(parts))
    }

    /// There is nothing after `n` steps; a cell that does not fit is something.
    pub(super) fn none(&self, n: usize) -> Option<Predicate> {
        let Some(step) = self.step_before(n) else {
            return match &self.gather {
                Gather::Column(slot) => Some(blank(&self.reading, slot)),
                Gather::First(slots) | Gather::Joined { slots, .. } => {
                    Some(all(slots.iter().map(|slot| blank(&self.reading, slot))))
                }
                Gather::Parts(_) => None,
            };
        };
        match step {
            Step::Trim if !self.reading.trim => None,
            Step::NullIf(list) => Some(any([self.none(n - 1)?, self.stood_for(n - 1, list)?])),
            Step::Default(_) => Some(Predicate::Never),
            Step::Code(map, field) => {
                let unset = |c: &Coded| c.field(*field).is_none();
                let mut parts = vec![self.coded(n, map, true, unset)?];
                if map.missing.is_none() {
                    parts.push(self.none(n - 1)?);
                }
                Some(any(parts))
            }
            Step::Date(_)
            | Step::DateTime(_)
            | Step::Reference(_)
            | Step::Rewrite(_)
            | Step::Combine(_)
            | Step::Later(..) => None,
            Step::Trim
            | Step::Upper
            | Step::Lower
            | Step::Prefix(_)
            | Step::Suffix(_)
            | Step::Bool { .. }
            | Step::Integer
            | Step::Decimal(_) => self.none(n - 1),
        }
    }

    /// There is a key before the reference, step `n`, and it makes an id.
    fn refers(&self, n: usize, target: &Target) -> Option<Predicate> {
        let slots = self.slots();
        let there = match &self.gather {
            Gather::Parts(_) if n == 1 => {
                all(slots.iter().map(|slot| not(blank(&self.reading, slot))))
            }
            Gather::Column(_) => self.some(n - 1)?,
            _ => return None,
        };
        if target.id.fits_every_key() {
            return Some(there);
        }
        // What is made of the columns before is no column any more.
        let kept = |step: &Step| matches!(step, Step::Trim | Step::NullIf(_));
        if slots.len() != target.id.key.len() || !self.steps.iter().take(n - 1).all(kept) {
            return None;
        }
        let part = |(number, (slot, key)): (usize, (&Slot, &ColumnRef))| {
            let whole = |ty: SqlType| match ty {
                SqlType::Integer { bits, unsigned } => Some((bits, unsigned)),
                _ => None,
            };
            let sure = match (whole(slot.column.ty), whole(key.ty)) {
                (own, Some((bits, unsigned))) => {
                    own.is_some_and(|(own, sign)| own <= bits && sign == unsigned)
                }
                // Each is written as its column has it, with the zeros behind the point.
                (_, None) if key.ty == SqlType::Decimal => {
                    matches!(slot.column.ty, SqlType::Decimal | SqlType::Integer { .. })
                }
                (_, None) => typed::is_text(key.ty),
            };
            let text = shown(&self.reading, slot);
            let (escaped, apart) = (target.id.escapes(number), target.id.apart(number));
            let number = slot.column.ty == SqlType::Decimal;
            sure.then_some(IdText { text, escaped, apart, number })
        };
        let parts: Option<Vec<IdText>> =
            slots.iter().zip(&target.id.key).enumerate().map(part).collect();
        let decimal = |slot: &&Slot| slot.column.ty == SqlType::Decimal;
        let own = slots.iter().filter(decimal).map(|slot| Predicate::OwnKind(slot.column.clone()));
        let there = all(std::iter::once(there).chain(own));
        Some(all([there, Predicate::Id { parts: parts?, room: target.id.room() }]))
    }

    /// There is something after `n` steps, and it fits.
    pub(super) fn some(&self, n: usize) -> Option<Predicate> {
        let Some(step) = self.step_before(n) else { return self.none(0).map(not) };
        match step {
            Step::Trim if !self.reading.trim => None,
            Step::Trim | Step::Upper | Step::Lower | Step::Prefix(_) | Step::Suffix(_) => {
                self.some(n - 1)
            }
            Step::NullIf(list) => Some(all([self.some(n - 1)?, not(self.stood_for(n - 1, list)?)])),
            Step::Default(_) => Some(any([self.some(n - 1)?, self.none(n - 1)?])),
            Step::Bool { yes, no } => {
                let words: Vec<String> = yes.iter().chain(no).cloned().collect();
                self.one_of(n - 1, &words, true)
            }
            Step::Code(map, field) => self.coded(n, map, true, |c| c.field(*field).is_some()),
            Step::Integer | Step::Decimal('.') if n == self.steps.len() => self.number_within(None),
            Step::Reference(target) => self.refers(n, target),
            Step::Rewrite(_) => self.after_head(n),
            Step::Integer
            | Step::Decimal(_)
            | Step::Combine(_)
            | Step::Later(..)
            | Step::Date(_)
            | Step::DateTime(_) => None,
        }
    }

    /// There is something behind the text that a capture cuts off the beginning.
    pub(super) fn after_head(&self, n: usize) -> Option<Predicate> {
        let Some(Step::Rewrite(rewrite)) = self.step_before(n) else { return None };
        let head = rewrite.cuts()?;
        let (inner, column) = (n - 1, matches!(self.gather, Gather::Column(_)));
        if !column || !self.reading.trim || !head.trim_end().eq(head.as_str()) {
            return None;
        }
        Some(all([
            self.text(inner, TextMatch::StartsWith, &head, Alike::Exact)?,
            not(self.text(inner, TextMatch::Equals, &head, Alike::Exact)?),
            not(self.text(inner, TextMatch::Contains, "\n", Alike::Exact)?),
        ]))
    }
}
