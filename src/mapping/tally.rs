//! What became of each element over some rows, in numbers alone: whoever may not see a patient may see
//! this. No value leaves this module but keys, for [`Compiled::plan_keys`](super::Compiled::plan_keys) to ask for
//! what they lead to.

use serde::Serialize;

use super::compiled::PlannedSource;
use super::lens::nothing::is_no_date;
use super::lens::{Reading, Step};
use super::rows::Rows;
use super::tree::{Branch, Condition, EachRows, Source, Tree};
use super::{RenderReport, Shown};
use crate::fhir::invariants::{self, Invariant};

/// What became of the rows of one source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// How its ids are made, such as `pulse-$id`.
    pub id: String,
    /// Rows looked at.
    pub rows: usize,
    /// Rows whose resource could be written.
    pub written: usize,
    /// Rows left out, by the path of the element they lack.
    pub left_out: Vec<(String, u32)>,
    /// Rules of FHIR's that resources break, each with how many do.
    #[serde(skip)]
    pub broken: Vec<(&'static Invariant, usize)>,
    /// Each element that comes from columns.
    pub elements: Vec<ElementTally>,
}

/// What became of one element.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ElementTally {
    /// Its path, such as `Patient.name.family`.
    pub path: String,
    /// The columns it is made of.
    pub columns: Vec<String>,
    /// Rows that gave a value.
    pub filled: usize,
    /// Rows that gave nothing: NULL, blank, a condition that does not hold.
    pub empty: usize,
    /// Rows whose cells do not fit what the mapping says they are.
    pub bad: usize,
    /// Of the rows that gave a value, those with a day that programs write where there is none.
    pub no_date: usize,
    /// What it refers to, as `Patient/7`, once for each row; never given out.
    #[serde(skip)]
    pub refers: Vec<String>,
}

impl PlannedSource {
    /// Counts what became of each element.
    pub fn tally(&self, rows: &Rows, children: &[Rows]) -> Tally {
        let page = self.page(rows, children);
        let (mut report, mut scratch, mut written) = (RenderReport::default(), Vec::new(), 0);
        let mut broken = Vec::new();
        for row in 0..page.len() {
            scratch.clear();
            let outcome = page.write(row, &Shown::All, &mut scratch, &mut report);
            if let Some(super::RowOutcome::Written { .. }) = outcome {
                written += 1;
                count(&mut broken, &scratch);
            }
        }
        let mut walk =
            Walk { source: self.source(), reading: self.reading(), children, elements: Vec::new() };
        let all = vec![true; rows.len()];
        for member in &walk.source.root.members {
            walk.tree(&member.value, rows, &all);
        }
        Tally {
            id: self.source().id.pattern(),
            rows: rows.len(),
            written,
            left_out: report.rows_left_out().map(|(path, n)| (path.to_owned(), n)).collect(),
            broken,
            elements: walk.elements,
        }
    }
}

/// Adds the rules that a resource breaks.
fn count(broken: &mut Vec<(&'static Invariant, usize)>, resource: &[u8]) {
    let Ok(resource) = serde_json::from_slice(resource) else { return };
    for rule in invariants::broken(&resource) {
        match broken.iter_mut().find(|(known, _)| known.key == rule.key) {
            Some((_, times)) => *times += 1,
            None => broken.push((rule, 1)),
        }
    }
}

struct Walk<'s> {
    source: &'s Source,
    reading: &'s Reading,
    children: &'s [Rows],
    elements: Vec<ElementTally>,
}

impl<'s> Walk<'s> {
    fn tree(&mut self, tree: &'s Tree, rows: &Rows, counted: &[bool]) {
        match tree {
            Tree::Const(_) => {}
            Tree::List(items) => items.iter().for_each(|item| self.tree(item, rows, counted)),
            Tree::Object(object) => {
                let held: Vec<bool> = counted
                    .iter()
                    .enumerate()
                    .map(|(at, counted)| *counted && self.holds(&object.when, rows, at))
                    .collect();
                for member in &object.members {
                    self.tree(&member.value, rows, &held);
                }
            }
            Tree::Case(branches) => self.case(branches, rows, counted),
            Tree::Each(each) => match &each.rows {
                EachRows::Child(number) => {
                    if let Some(rows) = self.children.get(*number) {
                        self.tree(&each.item, rows, &vec![true; rows.len()]);
                    }
                }
                EachRows::Parts { lens, cut, .. } => {
                    let mut parts = Rows::new(1);
                    for (row, _) in rows.iter().zip(counted).filter(|(_, counted)| **counted) {
                        let text = lens.read(row).ok().flatten().unwrap_or_default();
                        for part in cut.items(&text).unwrap_or_default() {
                            let _full = parts.push(Some(&part)).is_err();
                        }
                    }
                    self.tree(&each.item, &parts, &vec![true; parts.len()]);
                }
            },
            Tree::Leaf(leaf) => {
                let path = self.source.paths.get(leaf.path).cloned().unwrap_or_default();
                let columns =
                    leaf.lens.slots().iter().map(|slot| slot.column.name.clone()).collect();
                let mut tally = ElementTally { path, columns, ..ElementTally::default() };
                for (row, counted) in rows.iter().zip(counted) {
                    match leaf.lens.read(row) {
                        _ if !counted => tally.empty += 1,
                        Ok(Some(text)) => {
                            tally.filled += 1;
                            tally.no_date +=
                                usize::from(leaf.lens.gives_dates() && is_no_date(&text));
                            if matches!(leaf.lens.steps.last(), Some(Step::Reference(_))) {
                                tally.refers.push(text.into_owned());
                            }
                        }
                        Ok(None) => tally.empty += 1,
                        Err(_) => tally.bad += 1,
                    }
                }
                self.elements.push(tally);
            }
        }
    }

    /// Each branch over the rows that take it.
    fn case(&mut self, branches: &'s [Branch], rows: &Rows, counted: &[bool]) {
        let mut left = counted.to_vec();
        for branch in branches {
            let taken: Vec<bool> = left
                .iter()
                .enumerate()
                .map(|(at, left)| *left && self.holds(&branch.when, rows, at))
                .collect();
            for (left, taken) in left.iter_mut().zip(&taken) {
                *left &= !taken;
            }
            if let Some(tree) = &branch.tree {
                self.tree(tree, rows, &taken);
            }
        }
    }

    fn holds(&self, conditions: &[Condition], rows: &Rows, at: usize) -> bool {
        let Some(row) = rows.row(at) else { return false };
        conditions.iter().all(|condition| condition.holds(self.reading, row))
    }
}
