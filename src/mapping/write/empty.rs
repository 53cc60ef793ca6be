//! What a column holds for an element that is not there, where it may not be NULL: the first of the texts
//! that the mapping itself says stand for nothing.

use std::collections::HashMap;

use crate::mapping::lens::{Lens, Step, typed};
use crate::mapping::plan::{ColumnRef, Value};
use crate::mapping::rows::Rows;

use super::ColumnRule;

/// The column of a lens with such a text; `None` where NULL will do, or where there is no such text.
pub fn empty(lens: &Lens, columns: &HashMap<String, ColumnRule>) -> Option<(ColumnRef, Value)> {
    let [slot] = lens.slots() else { return None };
    let rule = columns.get(&slot.column.name.to_lowercase()).filter(|rule| !rule.nullable)?;
    let steps = lens.steps.iter().filter_map(|step| match step {
        Step::NullIf(words) => Some(words),
        _ => None,
    });
    let mut words = slot.nothing.iter().chain(steps.flatten());
    words.find_map(|word| {
        let value = typed::for_column(&slot.column, word)?;
        let mut rows = Rows::new(slot.cell + 1);
        for cell in 0..=slot.cell {
            rows.push((cell == slot.cell).then_some(word.as_str())).ok()?;
        }
        let nothing = matches!(lens.read(rows.row(0)?), Ok(None));
        (nothing && rule.refuses(Some(&value)).is_none()).then(|| (slot.column.clone(), value))
    })
}
