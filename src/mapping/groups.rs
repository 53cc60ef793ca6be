//! One-to-many rows beside the rows they hang off.

use std::borrow::Cow;
use std::collections::HashMap;

use super::catalog::SqlType;
use super::lens::Slot;
use super::rows::{Row, Rows};

/// One-to-many rows by the key of their parent, each group in the order it was fetched in.
#[derive(Debug)]
pub(super) struct Groups<'p> {
    rows: &'p Rows,
    first: HashMap<Cow<'p, str>, (usize, usize)>,
    next: Vec<usize>,
}

const END: usize = usize::MAX;

/// The key of a row's parent, or of a parent; `None` where a part of it is NULL.
pub(super) fn key_of<'p>(row: Row<'p>, slots: &[Slot]) -> Option<Cow<'p, str>> {
    let cell = |slot: &Slot| {
        let text = row.get(slot.cell)?;
        let padded = slot.column.ty == SqlType::Char;
        Some(if padded { text.trim_end_matches(' ') } else { text })
    };
    if let [slot] = slots {
        return cell(slot).map(Cow::Borrowed);
    }
    let mut key = String::new();
    for slot in slots {
        let text = cell(slot)?;
        key.push_str(&text.len().to_string());
        key.push(':');
        key.push_str(text);
    }
    Some(Cow::Owned(key))
}

impl<'p> Groups<'p> {
    pub fn new(rows: &'p Rows, own: &[Slot]) -> Self {
        let mut groups = Self { rows, first: HashMap::new(), next: vec![END; rows.len()] };
        for (index, row) in rows.iter().enumerate() {
            let Some(key) = key_of(row, own) else { continue };
            let (_, last) = groups.first.entry(key).or_insert((index, index));
            if *last != index {
                if let Some(next) = groups.next.get_mut(*last) {
                    *next = index;
                }
                *last = index;
            }
        }
        groups
    }

    pub fn of(&self, key: &str) -> impl Iterator<Item = Row<'p>> {
        let mut at = self.first.get(key).map_or(END, |(first, _)| *first);
        std::iter::from_fn(move || {
            let row = self.rows.row(at)?;
            at = self.next.get(at).copied().unwrap_or(END);
            Some(row)
        })
    }
}
