//! One-to-many rows beside the rows they hang off.

use std::borrow::Cow;
use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::HashMap;

use super::catalog::SqlType;
use super::lens::Slot;
use super::rows::{Row, Rows};

/// One-to-many rows by the key of their parent, each group in the order it was fetched in.
#[derive(Debug)]
pub(super) struct Groups<'p> {
    rows: &'p Rows,
    heads: Heads<'p>,
    next: Vec<usize>,
}

/// The first row of each group.
#[derive(Debug)]
enum Heads<'p> {
    /// By key, in one of the orders that a database gives them in; none is there twice. Where the next
    /// one asked for is likely to be: pages mostly come in the same order.
    Sorted { heads: Vec<(Cow<'p, str>, usize)>, order: fn(&str, &str) -> Ordering, at: Cell<usize> },
    /// In any order.
    Any(HashMap<Cow<'p, str>, usize>),
}

/// The order of whole numbers without a sign.
fn as_number(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// The order of letters by their numbers, of UUIDs too.
fn as_text(a: &str, b: &str) -> Ordering {
    a.cmp(b)
}

impl<'p> Heads<'p> {
    fn sorted(runs: &[(Cow<'p, str>, usize)]) -> Option<fn(&str, &str) -> Ordering> {
        let orders: [fn(&str, &str) -> Ordering; 2] = [as_number, as_text];
        orders
            .into_iter()
            .find(|order| runs.windows(2).all(|two| order(&two[0].0, &two[1].0) == Ordering::Less))
    }

    fn each(&mut self, change: impl FnMut(&mut usize)) {
        match self {
            Self::Sorted { heads, .. } => heads.iter_mut().map(|(_, head)| head).for_each(change),
            Self::Any(heads) => heads.values_mut().for_each(change),
        }
    }

    fn of(&self, key: &str) -> usize {
        match self {
            Self::Any(heads) => heads.get(key).copied().unwrap_or(END),
            Self::Sorted { heads, order, at } => {
                let likely = heads.get(at.get()).filter(|(known, _)| known == key);
                let (place, head) = match likely {
                    Some((_, head)) => (at.get(), *head),
                    None => match heads.binary_search_by(|(known, _)| order(known, key)) {
                        Ok(place) => (place, heads[place].1),
                        Err(_) => return END,
                    },
                };
                at.set(place + 1);
                head
            }
        }
    }
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

/// The order of whole numbers as databases write them.
fn as_integer(a: &str, b: &str) -> Ordering {
    match (a.strip_prefix('-'), b.strip_prefix('-')) {
        (None, None) => as_number(a, b),
        (Some(a), Some(b)) => as_number(b, a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
    }
}

/// Rows of one parent by the numbers in some of their cells, up or down; NULL is last both ways, as in the
/// order of a page.
fn by_cells(rows: &Rows, sorted: &[(usize, bool)], a: usize, b: usize) -> Ordering {
    let (Some(a), Some(b)) = (rows.row(a), rows.row(b)) else { return Ordering::Equal };
    let term = |(cell, down): &(usize, bool)| match (a.get(*cell), b.get(*cell)) {
        (Some(a), Some(b)) if *down => as_integer(b, a),
        (Some(a), Some(b)) => as_integer(a, b),
        (a, b) => a.is_none().cmp(&b.is_none()),
    };
    sorted.iter().map(term).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Puts a group that begins with `head` in an order; gives where it begins then.
fn arranged(head: usize, next: &mut [usize], order: impl Fn(usize, usize) -> Ordering) -> usize {
    let after = |next: &[usize], at: usize| next.get(at).copied().filter(|at| *at != END);
    let mut at = head;
    let in_order = loop {
        match after(next, at) {
            None => break true,
            Some(behind) if order(at, behind).is_gt() => break false,
            Some(behind) => at = behind,
        }
    };
    if in_order {
        return head;
    }
    let mut group: Vec<usize> = std::iter::successors(Some(head), |at| after(next, *at)).collect();
    group.sort_by(|a, b| order(*a, *b));
    let behind = group.iter().skip(1).copied().chain([END]);
    for (at, behind) in group.iter().zip(behind) {
        if let Some(place) = next.get_mut(*at) {
            *place = behind;
        }
    }
    group.first().copied().unwrap_or(END)
}

impl<'p> Groups<'p> {
    /// Groups of rows by the cells of the parent's key; each as it came, or in the order of the numbers in
    /// the cells of `sorted`.
    pub fn new(rows: &'p Rows, own: &[Slot], sorted: &[(usize, bool)]) -> Self {
        let mut next = vec![END; rows.len()];
        // Rows of one parent nearly always follow one another.
        let mut runs: Vec<(Cow<'p, str>, usize)> = Vec::with_capacity(rows.len().min(64));
        let mut tails: Vec<usize> = Vec::with_capacity(rows.len().min(64));
        for (index, row) in rows.iter().enumerate() {
            let Some(key) = key_of(row, own) else { continue };
            match (runs.last(), tails.last_mut()) {
                (Some((same, _)), Some(tail)) if *same == key => {
                    next[*tail] = index;
                    *tail = index;
                }
                _ => {
                    runs.push((key, index));
                    tails.push(index);
                }
            }
        }
        let mut heads = match Heads::sorted(&runs) {
            Some(order) => Heads::Sorted { heads: runs, order, at: Cell::new(0) },
            None => Heads::Any(joined(runs, tails, &mut next)),
        };
        if !sorted.is_empty() {
            let order = |a, b| by_cells(rows, sorted, a, b);
            heads.each(|head| *head = arranged(*head, &mut next, order));
        }
        Self { rows, heads, next }
    }

    pub fn of(&self, key: &str) -> impl Iterator<Item = Row<'p>> {
        let mut at = self.heads.of(key);
        std::iter::from_fn(move || {
            let row = self.rows.row(at)?;
            at = self.next.get(at).copied().unwrap_or(END);
            Some(row)
        })
    }
}

/// Puts runs of one key behind one another; gives where each key's first one begins.
fn joined<'p>(
    runs: Vec<(Cow<'p, str>, usize)>,
    tails: Vec<usize>,
    next: &mut [usize],
) -> HashMap<Cow<'p, str>, usize> {
    // Each key's first row, and the last so far.
    let mut groups: HashMap<Cow<'p, str>, (usize, usize)> = HashMap::with_capacity(runs.len());
    for ((key, head), tail) in runs.into_iter().zip(tails) {
        let group = groups.entry(key).or_insert((head, END));
        if let Some(last) = next.get_mut(group.1) {
            *last = head;
        }
        group.1 = tail;
    }
    groups.into_iter().map(|(key, (head, _))| (key, head)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::lens::Near;
    use crate::mapping::plan::ColumnRef;

    /// The first cell holds the parent's key.
    fn parent() -> Slot {
        let column =
            ColumnRef { relation: 0, name: "p".to_owned(), ty: SqlType::Text, collation: None };
        Slot { cell: 0, column, indexed: false, near: Near::default(), nothing: Vec::new() }
    }

    fn names_of(parents: &[&str], asked: &[&str]) -> Vec<String> {
        let mut rows = Rows::new(2);
        for (number, parent) in parents.iter().enumerate() {
            rows.push(Some(parent)).unwrap();
            rows.push(Some(&number.to_string())).unwrap();
        }
        let groups = Groups::new(&rows, &[parent()], &[]);
        asked.iter().map(|key| groups.of(key).filter_map(|row| row.get(1)).collect()).collect()
    }

    #[test]
    fn groups_are_found_in_whatever_order_they_come_and_are_asked_for() {
        let numbers = ["2", "2", "10", "11", "100"];
        let texts = ["1", "10", "10", "2", "a"];
        let mixed = ["b", "10", "b", "2", "10", "10"];
        for asked in [["2", "10", "b"], ["b", "10", "2"], ["10", "10", "3"]] {
            for parents in [&numbers[..], &texts, &mixed, &[]] {
                let want = asked.map(|key| {
                    let rows = parents.iter().enumerate().filter(|(_, parent)| **parent == key);
                    rows.map(|(number, _)| number.to_string()).collect::<String>()
                });
                assert_eq!(names_of(parents, &asked), want, "{parents:?} {asked:?}");
            }
        }
    }

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
        let groups = Groups::new(&rows, &[parent()], &[]);
        let names = |key: &str| groups.of(key).filter_map(|row| row.get(1)).collect::<String>();
        assert_eq!([names("1"), names("2"), names("3"), names("4")], ["abd", "cf", "e", ""]);
    }

    #[test]
    fn rows_of_a_parent_are_put_in_the_order_of_their_numbers() {
        let numbers = ["10", "-2", "9", "", "-10", "100", "0", "9"];
        let mut rows = Rows::new(3);
        for (place, number) in numbers.iter().enumerate() {
            for parent in ["7", "8"] {
                let shown = format!("{number}{} ", if place == 7 { "'" } else { "" });
                rows.push(Some(parent)).unwrap();
                rows.push((!number.is_empty()).then_some(*number)).unwrap();
                rows.push(Some(&shown)).unwrap();
            }
        }
        for (down, want) in [(false, "-10 -2 0 9 9' 10 100  "), (true, "100 10 9 9' 0 -2 -10  ")] {
            let groups = Groups::new(&rows, &[parent()], &[(1, down)]);
            for parent in ["8", "7"] {
                let got: String = groups.of(parent).filter_map(|row| row.get(2)).collect();
                assert_eq!(got, want);
            }
        }
    }
}
