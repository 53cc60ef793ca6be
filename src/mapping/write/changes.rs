//! What every change of a row brings with it: the version counted up, the time it was touched.

use crate::mapping::lens::{Reading, typed};
use crate::mapping::plan::{ColumnRef, Value};
use crate::mapping::rows::Row;
use crate::mapping::tree::Source;

use super::moment::{touch, touched};
use super::{Fresh, Rules, Set};

/// So far ahead of the clock a row may have been touched, in milliseconds, to be taken for a time at all.
const HOUR: i64 = 3_600_000;

/// Adds what the mapping itself says to columns nobody set.
pub fn add(sets: &mut Vec<Set>, column: &ColumnRef, value: Option<Value>) {
    let same = |set: &Set| set.column.name == column.name;
    if !sets.iter().any(same) {
        sets.push(Set { column: column.clone(), value, path: String::new() });
    }
}

/// Counts the version up and notes the time. `before` is the row as it stands, if there is one.
pub fn stamp(
    sets: &mut Vec<Set>,
    source: &Source,
    rules: &Rules,
    reading: &Reading,
    fresh: &Fresh,
    before: Option<Row<'_>>,
) {
    if let Some(column) = &rules.version_column {
        let cell = rules.version_cell.and_then(|cell| before?.get(cell));
        let number = cell.and_then(|text| text.trim().parse::<i64>().ok()).unwrap_or(0);
        let next = number.checked_add(1).unwrap_or(1);
        let value = typed::for_column(column, &next.to_string());
        // A full counter begins anew rather than keep its value: what counts is that it changes.
        let value = value.or_else(|| typed::for_column(column, "1"));
        set(sets, column, value, before.is_some());
    }
    if let Some(column) = &rules.touch {
        let lens = source.modified.as_ref();
        // Two changes within one second are two versions.
        let last = before.and_then(|row| touched(column, source, reading, row, fresh.now));
        let later = last.map(|at| at + 1000).filter(|at| *at > fresh.now && *at < fresh.now + HOUR);
        // FileMan cannot say midnight to the second.
        let times = later.into_iter().chain([fresh.now]).flat_map(|at| [at, at + 1000]);
        let value = times.into_iter().find_map(|at| touch(column, lens, reading, at));
        set(sets, column, value, true);
    }
}

fn set(sets: &mut Vec<Set>, column: &ColumnRef, value: Option<Value>, always: bool) {
    if always {
        sets.retain(|set| set.column.name != column.name);
    }
    if value.is_some() {
        add(sets, column, value);
    }
}
