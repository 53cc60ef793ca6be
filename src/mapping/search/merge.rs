//! Several sources in one order: each gives its rows sorted, and the next row is the smallest of those at
//! the head. What is compared is what is shown, so that a table that keeps dates as text and one that
//! keeps them as dates go together.

use std::cmp::Ordering;

use jiff::civil::DateTime;

use crate::fhir::primitive::DateInterval;
use crate::mapping::compiled::PlannedSource;
use crate::mapping::lens::Lens;
use crate::mapping::rows::Rows;

use super::plan::Position;

/// A row's key cannot be found again, so that there is no next page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a row's key cannot be found again")]
pub struct LostPlace;

/// What a row is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
enum Key {
    /// Cannot be told: the cell does not fit, and stands where its database put it.
    Here,
    Number(f64),
    Moment(DateTime),
    /// Nothing is there; such rows come last, whatever the direction.
    Nothing,
}

fn key(lens: &Lens, planned: &PlannedSource, rows: &Rows, index: usize) -> Key {
    let Some(row) = rows.row(index) else { return Key::Nothing };
    if lens.slots().iter().all(|slot| row.get(slot.cell).is_none()) {
        return Key::Nothing;
    }
    let Ok(Some(text)) = lens.read(row) else { return Key::Here };
    let found = if lens.gives_dates() {
        let interval = DateInterval::parse(&text);
        // An hour that comes twice has one local time.
        interval.map(|i| Key::Moment(i.utc(&planned.reading.zone).0))
    } else {
        text.parse().ok().map(Key::Number)
    };
    found.unwrap_or(Key::Here)
}

fn compare(a: Key, b: Key, descending: bool) -> Ordering {
    match (a, b) {
        (Key::Nothing, Key::Nothing) | (Key::Here, Key::Here) => Ordering::Equal,
        (Key::Nothing, _) | (Key::Moment(_) | Key::Number(_), Key::Here) => Ordering::Greater,
        (_, Key::Nothing) | (Key::Here, _) => Ordering::Less,
        _ => {
            let order = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
            if descending { order.reverse() } else { order }
        }
    }
}

/// Which row of which source comes when: the first `count` of them. Each source gives its rows in order,
/// one more than `count` where it has so many.
pub fn merge(parts: &[(&PlannedSource, &Rows)], count: usize) -> Vec<(usize, usize)> {
    let mut heads = vec![0_usize; parts.len()];
    let keys = |part: usize, at: usize| -> Vec<(Key, bool)> {
        let Some((planned, rows)) = parts.get(part) else { return Vec::new() };
        let sort = planned.sort.iter();
        sort.map(|(lens, down)| (key(lens, planned, rows, at), *down)).collect()
    };
    let mut current: Vec<Vec<(Key, bool)>> = (0..parts.len()).map(|part| keys(part, 0)).collect();
    let mut order = Vec::with_capacity(count);
    while order.len() < count {
        let open = (0..parts.len()).filter(|part| {
            let rows = parts.get(*part).map_or(0, |(_, rows)| rows.len());
            heads.get(*part).is_some_and(|at| *at < rows)
        });
        let first = open.min_by(|a, b| match (current.get(*a), current.get(*b)) {
            (Some(a), Some(b)) => {
                let pairs = a.iter().zip(b).map(|((a, down), (b, _))| compare(*a, *b, *down));
                pairs.fold(Ordering::Equal, Ordering::then)
            }
            _ => Ordering::Equal,
        });
        let Some(part) = first else { break };
        let Some(at) = heads.get_mut(part) else { break };
        order.push((part, *at));
        *at += 1;
        if let Some(next) = current.get_mut(part) {
            *next = keys(part, *at);
        }
    }
    order
}

/// Where each source stands after the rows of a merged page, for the cursor; `None` when nothing is
/// left.
pub fn resume(
    parts: &[(&PlannedSource, &Rows)],
    order: &[(usize, usize)],
) -> Result<Option<Position>, LostPlace> {
    let mut left = Vec::new();
    for (part, (planned, rows)) in parts.iter().enumerate() {
        let taken = order.iter().filter(|(of, _)| *of == part).count();
        if taken >= rows.len() {
            continue;
        }
        left.push(match taken.checked_sub(1) {
            Some(last) => planned.position(rows, last).ok_or(LostPlace)?,
            None => {
                Position { source: planned.number, after: planned.begun.clone(), also: Vec::new() }
            }
        });
    }
    let mut left = left.into_iter();
    Ok(left.next().map(|first| Position { also: left.collect(), ..first }))
}
