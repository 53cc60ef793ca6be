//! The way back: a wanted FHIR value to a condition on the columns. `None` throughout means that a
//! lens cannot be searched that way; `Some(Never)` that no row can match. A condition holds of no row
//! that does not show the value. `strict` demands the other direction as well, which every negation
//! needs: an indexed text column is otherwise compared as it stands, so that its index serves, and a
//! cell with stray blanks at its ends is shown and not found.

use crate::mapping::catalog::SqlType;
use crate::mapping::fold::told;
use crate::mapping::plan::{Alike, Expr, Predicate, TextMatch, Value};

use super::codes::{CodeMap, Coded};
use super::nothing::stands;
use super::predicate::{all, any, column_in, not, one_of};
use super::rewrite::Rewrite;
use super::{Gather, Lens, Near, Reading, Slot, Step, typed};

impl Lens {
    /// The value is one of these texts, exactly.
    pub fn equals(&self, wanted: &[String], strict: bool) -> Option<Predicate> {
        if self.split.is_some() {
            return None;
        }
        let fitting = owned(wanted.iter().map(String::as_str).filter(|w| self.out.fits(w)));
        self.one_of(self.steps.len(), &fitting, strict)
    }

    /// The value's text begins with, is or contains `text`.
    pub fn matches(&self, how: TextMatch, text: &str, alike: Alike) -> Option<Predicate> {
        let how = match &self.split {
            None => how,
            Some(separator) => {
                let mut chars = separator.chars();
                let separator = chars.next().filter(|_| chars.next().is_none())?;
                match how {
                    // No part holds the separator, so no part begins with such a text.
                    TextMatch::StartsWith | TextMatch::Contains if text.contains(separator) => {
                        return Some(Predicate::Never);
                    }
                    TextMatch::StartsWith => TextMatch::StartsWord { separator },
                    TextMatch::Contains => how,
                    _ => return None,
                }
            }
        };
        self.text(self.steps.len(), how, text, alike)
    }

    pub(super) fn step_before(&self, n: usize) -> Option<&Step> {
        n.checked_sub(1).and_then(|n| self.steps.get(n))
    }

    /// What a cell or the joined cells are compared as when the index does not matter.
    fn shown(&self, slot: &Slot) -> Expr {
        shown(&self.reading, slot)
    }

    /// What an index can tell of a text's beginning, where case and accents are ignored.
    fn near(&self, slot: &Slot, begins: &str) -> Predicate {
        let begins = begins.to_owned();
        let Near { lowered, folded, folded_trimmed } = slot.near;
        if if self.reading.trim { folded_trimmed } else { folded } {
            Predicate::Folded { left: self.shown(slot), begins }
        } else if lowered {
            Predicate::Lowered { column: slot.column.clone(), begins }
        } else {
            Predicate::Always
        }
    }

    fn shown_joined(&self, slots: &[Slot], separator: &str) -> Expr {
        let parts = slots.iter().map(|slot| self.shown(slot)).collect();
        Expr::Joined { parts, separator: separator.to_owned() }
    }

    /// The first column that holds something meets its condition.
    fn first(
        &self,
        slots: &[Slot],
        each: impl Iterator<Item = Option<Predicate>>,
    ) -> Option<Predicate> {
        let mut before = Vec::new();
        let mut alternatives = Vec::new();
        for (slot, condition) in slots.iter().zip(each) {
            alternatives.push(all(before.iter().cloned().chain([condition?])));
            before.push(blank(&self.reading, slot));
        }
        Some(any(alternatives))
    }

    /// A cell is one of these texts as [`Reading::cell`] gives it.
    fn cell_in(&self, slot: &Slot, wanted: &[String], strict: bool) -> Option<Predicate> {
        let (column, reading) = (&slot.column, &self.reading);
        let cannot = |w: &str| {
            stands(slot.column.ty, &slot.nothing, w)
                || (reading.empty_is_null && w.is_empty())
                || (reading.trim && (w.starts_with(' ') || w.ends_with(' ')))
        };
        let wanted = owned(wanted.iter().map(String::as_str).filter(|w| !cannot(w)));
        let texts = || {
            let value = |text: &String| Value { ty: SqlType::Text, text: text.clone() };
            one_of(shown(reading, slot), wanted.iter().map(value).collect())
        };
        Some(match column.ty {
            SqlType::Float | SqlType::Json | SqlType::Other => return None,
            // 5 and 5.00 are one number and two texts.
            SqlType::Decimal => all([column_in(column, &wanted), texts()]),
            SqlType::Enum if reading.trim => texts(),
            SqlType::Enum => column_in(column, &wanted),
            SqlType::Text | SqlType::Char | SqlType::Any
                if reading.trim && (strict || !slot.indexed) =>
            {
                texts()
            }
            _ => {
                let own = |w: &&str| typed::for_column(column, w).is_some_and(|v| v.text == **w);
                column_in(column, &owned(wanted.iter().map(String::as_str).filter(own)))
            }
        })
    }

    /// The value after `n` steps is one of these texts.
    pub(in crate::mapping) fn one_of(
        &self,
        n: usize,
        wanted: &[String],
        strict: bool,
    ) -> Option<Predicate> {
        let Some(step) = self.step_before(n) else { return self.gathered(wanted, strict) };
        match step {
            Step::Trim if self.reading.trim => self.one_of(n - 1, wanted, strict),
            Step::Trim => match &self.gather {
                Gather::Column(slot) if n == 1 && typed::is_text(slot.column.ty) => {
                    let left = Expr::Trimmed(Box::new(Expr::Column(slot.column.clone())));
                    let value = |w: &String| Value { ty: SqlType::Text, text: w.clone() };
                    Some(one_of(left, wanted.iter().map(value).collect()))
                }
                _ => None,
            },
            Step::Prefix(prefix) => {
                let inner = wanted.iter().filter_map(|w| w.strip_prefix(prefix.as_str()));
                self.one_of(n - 1, &owned(inner), strict)
            }
            Step::Suffix(suffix) => {
                let inner = wanted.iter().filter_map(|w| w.strip_suffix(suffix.as_str()));
                self.one_of(n - 1, &owned(inner), strict)
            }
            Step::NullIf(list) => {
                let inner = wanted.iter().filter(|w| !stands(self.compared(), list, w));
                self.one_of(n - 1, &owned(inner.map(String::as_str)), strict)
            }
            Step::Default(text) => {
                let mut parts = vec![self.one_of(n - 1, wanted, strict)?];
                if wanted.contains(text) {
                    parts.push(self.none(n - 1)?);
                }
                Some(any(parts))
            }
            Step::Bool { yes, no } => {
                let mut words = Vec::new();
                if wanted.iter().any(|w| w == "true") {
                    words.extend_from_slice(yes);
                }
                if wanted.iter().any(|w| w == "false") {
                    words.extend(no.iter().filter(|word| !yes.contains(word)).cloned());
                }
                self.one_of(n - 1, &words, strict)
            }
            Step::Integer if self.whole_number() => self.one_of(n - 1, wanted, strict),
            Step::Code(map, field) => self.coded(n, map, strict, |c| {
                c.field(*field).is_some_and(|t| wanted.iter().any(|w| w == t))
            }),
            Step::Rewrite(rewrite) if matches!(**rewrite, Rewrite::Uuid) => {
                self.uuid_in(n - 1, wanted)
            }
            Step::Rewrite(rewrite) => {
                let head = rewrite.cuts()?;
                let shown = |w: &&String| !w.trim().is_empty() && !w.contains('\n');
                let inner: Vec<String> =
                    wanted.iter().filter(shown).map(|w| format!("{head}{w}")).collect();
                self.one_of(n - 1, &inner, strict)
            }
            Step::Upper | Step::Lower => {
                let own = cased(step);
                let can = |w: &&String| !w.is_empty() && told(w, own) == **w;
                let equals = |w: &String| self.text(n - 1, TextMatch::Equals, w, own);
                // Asked even where nothing can be it, so that what is served does not depend on the value.
                equals(&"1".to_owned())?;
                let each = wanted.iter().filter(can).map(equals);
                Some(any(each.collect::<Option<Vec<_>>>()?))
            }
            // Several spellings come to one number.
            Step::Integer
            | Step::Decimal(_)
            | Step::Reference(_)
            | Step::Combine(_)
            | Step::Later(..)
            | Step::Date(_)
            | Step::DateTime(_) => None,
        }
    }

    /// The bytes of a column are one of these UUIDs.
    fn uuid_in(&self, n: usize, wanted: &[String]) -> Option<Predicate> {
        let Gather::Column(slot) = &self.gather else { return None };
        if n != 0 || slot.column.ty != SqlType::Binary {
            return None;
        }
        let hex = |text: &String| {
            let uuid = uuid::Uuid::try_parse(text).ok()?;
            (uuid.hyphenated().to_string() == *text).then(|| uuid.simple().to_string())
        };
        let wanted: Vec<String> = wanted.iter().filter_map(hex).collect();
        Some(column_in(&slot.column, &wanted))
    }

    fn gathered(&self, wanted: &[String], strict: bool) -> Option<Predicate> {
        match &self.gather {
            Gather::Column(slot) => self.cell_in(slot, wanted, strict),
            Gather::First(slots) => {
                let each = slots.iter().map(|slot| self.cell_in(slot, wanted, strict));
                self.first(slots, each)
            }
            Gather::Joined { slots, .. } if slots.iter().any(|s| !s.nothing.is_empty()) => None,
            Gather::Joined { slots, separator } => {
                let left = self.shown_joined(slots, separator);
                let value = |w: &String| Value { ty: SqlType::Text, text: w.clone() };
                Some(one_of(left, wanted.iter().map(value).collect()))
            }
            Gather::Parts(_) => None,
        }
    }

    /// The rows whose code is a wanted one.
    pub(super) fn coded(
        &self,
        n: usize,
        map: &CodeMap,
        strict: bool,
        wanted: impl Fn(&Coded) -> bool,
    ) -> Option<Predicate> {
        let keys = map.entries.iter().filter(|(_, c)| wanted(c)).map(|(key, _)| key.as_str());
        let mut parts = vec![self.keys(n - 1, map, &owned(keys), strict)?];
        if map.otherwise.as_ref().is_some_and(&wanted) {
            let every = owned(map.entries.iter().map(|(key, _)| key.as_str()));
            let known = self.keys(n - 1, map, &every, true)?;
            parts.push(all([not(known), self.some(n - 1)?]));
        }
        if map.missing.as_ref().is_some_and(&wanted) {
            parts.push(self.none(n - 1)?);
        }
        Some(any(parts))
    }

    fn keys(&self, n: usize, map: &CodeMap, keys: &[String], strict: bool) -> Option<Predicate> {
        let textual = self.slots().iter().all(|slot| typed::is_text(slot.column.ty));
        if !map.ignore_case || !textual {
            return self.one_of(n, keys, strict);
        }
        let each = keys.iter().map(|key| self.text(n, TextMatch::Equals, key, Alike::Folded));
        Some(any(each.collect::<Option<Vec<_>>>()?))
    }

    pub(super) fn text(
        &self,
        n: usize,
        how: TextMatch,
        text: &str,
        alike: Alike,
    ) -> Option<Predicate> {
        let Some(step) = self.step_before(n) else {
            let on = |left: Expr| Predicate::Text { left, how, text: text.to_owned(), alike };
            let textual = self.slots().iter().all(|slot| typed::is_text(slot.column.ty));
            let begins = matches!(how, TextMatch::StartsWith | TextMatch::Equals);
            let near = |slot: &Slot| {
                // Of ASCII, whatever comes to a letter is folded as it is.
                let known = match alike {
                    Alike::Exact => false,
                    Alike::Folded => true,
                    Alike::Capital | Alike::Small => text.is_ascii(),
                };
                if known && begins { self.near(slot, text) } else { Predicate::Always }
            };
            return match &self.gather {
                _ if !textual => None,
                Gather::Column(slot) if how == TextMatch::Equals && alike == Alike::Exact => {
                    self.cell_in(slot, &[text.to_owned()], false)
                }
                Gather::Joined { slots, .. } if slots.iter().any(|s| !s.nothing.is_empty()) => None,
                Gather::Column(slot) => {
                    let shown = all([on(self.shown(slot)), near(slot)]);
                    Some(all([shown, not(stands_for_nothing(&self.reading, slot))]))
                }
                Gather::Joined { slots, separator } => {
                    Some(on(self.shown_joined(slots, separator)))
                }
                Gather::First(slots) => self.first(
                    slots,
                    slots.iter().map(|slot| {
                        let nothing = stands_for_nothing(&self.reading, slot);
                        Some(all([on(self.shown(slot)), near(slot), not(nothing)]))
                    }),
                ),
                Gather::Parts(_) => None,
            };
        };
        match step {
            Step::Trim if self.reading.trim => self.text(n - 1, how, text, alike),
            Step::Upper | Step::Lower => {
                let own = cased(step);
                match alike {
                    Alike::Exact => self.text(n - 1, how, text, own),
                    Alike::Folded => self.text(n - 1, how, text, alike),
                    Alike::Capital | Alike::Small if own == alike => {
                        self.text(n - 1, how, text, alike)
                    }
                    Alike::Capital | Alike::Small => None,
                }
            }
            Step::NullIf(list) => {
                let inner = self.text(n - 1, how, text, alike)?;
                Some(all([inner, not(self.stood_for(n - 1, list)?)]))
            }
            Step::Default(default) => {
                let mut parts = vec![self.text(n - 1, how, text, alike)?];
                if matches(default, how, text, alike) {
                    parts.push(self.none(n - 1)?);
                }
                Some(any(parts))
            }
            Step::Rewrite(rewrite) if matches!(alike, Alike::Exact | Alike::Folded) => {
                let head = rewrite.cuts()?;
                let text = match how {
                    TextMatch::Equals | TextMatch::StartsWith => format!("{head}{text}"),
                    // What is nowhere in what is cut off is in the rest if it is there at all.
                    TextMatch::Contains
                        if alike == Alike::Exact && !text.chars().any(|c| head.contains(c)) =>
                    {
                        text.to_owned()
                    }
                    TextMatch::Contains | TextMatch::StartsWord { .. } => return None,
                };
                Some(all([self.text(n - 1, how, &text, alike)?, self.after_head(n)?]))
            }
            Step::Code(map, field) => self.coded(n, map, false, |c| {
                c.field(*field).is_some_and(|value| matches(value, how, text, alike))
            }),
            _ => None,
        }
    }
}

/// The letters that a step makes one letter of.
fn cased(step: &Step) -> Alike {
    if matches!(step, Step::Upper) { Alike::Capital } else { Alike::Small }
}

/// A column as it is shown: without blanks at its ends where they do not count.
pub(super) fn shown(reading: &Reading, slot: &Slot) -> Expr {
    let column = Expr::Column(slot.column.clone());
    if reading.trim { Expr::Trimmed(Box::new(column)) } else { column }
}

/// A cell holds a text that stands for nothing.
fn stands_for_nothing(reading: &Reading, slot: &Slot) -> Predicate {
    if !typed::is_text(slot.column.ty) {
        return column_in(&slot.column, &slot.nothing);
    }
    let value = |text: &String| Value { ty: SqlType::Text, text: text.clone() };
    one_of(shown(reading, slot), slot.nothing.iter().map(value).collect())
}

/// A cell holds nothing: NULL, only blanks where those count as nothing, or a text that stands for it.
pub(in crate::mapping) fn blank(reading: &Reading, slot: &Slot) -> Predicate {
    let null = Predicate::IsNull(Expr::Column(slot.column.clone()));
    let nothing = stands_for_nothing(reading, slot);
    if !reading.empty_is_null || !typed::is_text(slot.column.ty) {
        return any([null, nothing]);
    }
    let empty = Value { ty: SqlType::Text, text: String::new() };
    any([null, one_of(shown(reading, slot), vec![empty]), nothing])
}

fn owned<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    texts.map(str::to_owned).collect()
}

/// The same match on a text that is known already.
pub(in crate::mapping) fn matches(value: &str, how: TextMatch, text: &str, alike: Alike) -> bool {
    let value = told(value, alike);
    let text = if alike == Alike::Folded { told(text, alike) } else { text.to_owned() };
    match how {
        TextMatch::Equals => value == text,
        TextMatch::StartsWith => value.starts_with(&text),
        TextMatch::Contains => value.contains(&text),
        TextMatch::StartsWord { separator } => {
            value.split(separator).any(|word| word.starts_with(&text)) || value.starts_with(&text)
        }
    }
}
