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
    first: HashMap<Cow<'p, str>, usize>,
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
        let count = rows.len();
        let mut groups =
            Self { rows, first: HashMap::with_capacity(count.min(64)), next: vec![END; count] };
        // The last row so far of the group that begins with a row.
        let mut tails = vec![END; count];
        // Rows of one parent nearly always follow one another; only the first of them is looked up.
        let mut run: Option<(Cow<'p, str>, usize)> = None;
        for (index, row) in rows.iter().enumerate() {
            let Some(key) = key_of(row, own) else { continue };
            let head = match &run {
                Some((same, head)) if *same == key => *head,
                _ => {
                    let head = *groups.first.entry(key.clone()).or_insert(index);
                    run = Some((key, head));
                    head
                }
            };
            if let Some(next) = groups.next.get_mut(tails[head]) {
                *next = index;
            }
            tails[head] = index;
        }
        groups
    }

    pub fn of(&self, key: &str) -> impl Iterator<Item = Row<'p>> {
        let mut at = self.first.get(key).copied().unwrap_or(END);
        std::iter::from_fn(move || {
            let row = self.rows.row(at)?;
            at = self.next.get(at).copied().unwrap_or(END);
            Some(row)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::plan::ColumnRef;

    #[test]
    fn rows_of_a_parent_keep_their_order_together_or_apart() {
        let mut rows = Rows::new(2);
        for (parent, name) in
            [("1", "a"), ("1", "b"), ("2", "c"), ("1", "d"), ("3", "e"), ("2", "f")]
        {
            rows.push(Some(parent)).unwrap();
            rows.push(Some(name)).unwrap();
        }
        rows.push(None).unwrap();
        rows.push(Some("of nobody")).unwrap();
        let column = ColumnRef { relation: 0, name: "p".to_owned(), ty: SqlType::Text };
        let own = [Slot { cell: 0, column, indexed: false, nothing: Vec::new() }];
        let groups = Groups::new(&rows, &own);
        let names = |key: &str| groups.of(key).filter_map(|row| row.get(1)).collect::<String>();
        assert_eq!([names("1"), names("2"), names("3"), names("4")], ["abd", "cf", "e", ""]);
    }
}
