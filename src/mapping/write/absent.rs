//! What was not sent: what is shown is taken away, what is hidden stays as it is.

use crate::fhir::Json;
use crate::mapping::lens::Lens;
use crate::mapping::plan::{ColumnRef, Value};
use crate::mapping::rows::Rows;
use crate::mapping::tree::{Leaf, Member, Object, Tree};

use super::Set;
use super::confirm::{Promise, Promises};
use super::empty::empty;
use super::power::{bases, powerless};
use super::walk::{Kid, Walk};

impl<'w> Walk<'w> {
    /// What an object shows of the row as it stands; `None` where there is none, or none that can be shown.
    pub fn shown_of(&self, object: &'w Object) -> Option<Json> {
        self.page?.shown_of(object, self.row?)
    }

    /// A member that was not sent. One that is not shown (its condition does not hold, another choice stands
    /// in its place) is not what was left out.
    pub fn lacks(
        &mut self,
        object: &'w Object,
        member: &'w Member,
        shown: Option<&Json>,
        at: String,
    ) {
        if shown.is_some_and(|shown| shown.get(&member.name).is_none()) {
            self.hidden.push((object, member, at));
        } else {
            self.gone(&member.value, &at, true);
        }
    }

    /// A part of the template that the resource lacks. With `heed`, what is not shown is left alone.
    pub fn gone(&mut self, tree: &'w Tree, path: &str, heed: bool) {
        match tree {
            Tree::Const(_) | Tree::Case(_) => {}
            Tree::Leaf(leaf) => self.absent.push((leaf, path.to_owned())),
            Tree::Object(object) => {
                let shown = if heed { self.shown_of(object) } else { None };
                let there = shown.as_ref().is_none_or(|shown| !shown.members().is_empty());
                if there && !object.when.is_empty() {
                    self.unwanted.push((&object.when, path.to_owned()));
                }
                for member in &object.members {
                    let at = format!("{path}.{}", member.name);
                    if self.is_own(&at) {
                        continue;
                    }
                    if heed {
                        self.lacks(object, member, shown.as_ref(), at);
                    } else {
                        self.gone(&member.value, &at, false);
                    }
                }
            }
            Tree::Each(each) => {
                self.kids.push(Kid { each, items: Vec::new(), path: path.to_owned() });
            }
            Tree::List(items) => items.iter().for_each(|item| self.gone(item, path, heed)),
        }
    }

    pub fn absences(&mut self, promises: &mut Promises) {
        for (leaf, path) in std::mem::take(&mut self.absent) {
            self.absence(leaf, path, promises);
        }
    }

    /// Takes away what was hidden and would be seen after the changes.
    pub fn uncover(&mut self, promises: &mut Promises) {
        // A changed row of a list is made anew.
        if !std::ptr::eq(self.columns, &raw const self.rules.columns) {
            return;
        }
        while !self.sets.is_empty() && !self.hidden.is_empty() {
            let (Some(page), Some(rows)) = (self.page, self.changed_row()) else { return };
            let Some(row) = rows.row(0) else { return };
            let seen = self.hidden.iter().position(|(object, member, _)| {
                let shown = page.shown_of(object, row);
                shown.is_some_and(|shown| shown.get(&member.name).is_some())
            });
            let Some(seen) = seen else { return };
            let (_, member, at) = self.hidden.remove(seen);
            self.gone(&member.value, &at, false);
            self.absences(promises);
        }
    }

    /// The row with what is going to change, as far as it is known.
    fn changed_row(&self) -> Option<Rows> {
        let (row, columns) = (self.row?, &self.rules.read.select.columns);
        let mut rows = Rows::new(columns.len());
        for (cell, column) in columns.iter().enumerate() {
            let own = column.relation == 0;
            let set = self.sets.iter().find(|set| own && set.column.name == column.name);
            let text = match set {
                Some(set) => set.value.as_ref().map(|value| value.text.as_str()),
                None => row.get(cell),
            };
            rows.push(text).ok()?;
        }
        Some(rows)
    }

    /// An element that is mapped and was not sent. On a new row the database's default counts.
    fn absence(&mut self, leaf: &'w Leaf, path: String, promises: &mut Promises) {
        let lens = &leaf.lens;
        let listed = self.source.paths.get(leaf.path).is_some_and(|p| self.rules.is_read_only(p));
        let Some(row) = self.row else {
            return if !listed && powerless(lens).is_none() {
                self.nothing(lens, &path);
            };
        };
        let Ok(Some(shown)) = lens.read(row) else { return };
        let bases = bases(lens, self.joins);
        if bases.iter().any(|column| self.spoken.contains(column)) {
            return;
        }
        let blank = Rows::new(0);
        // What an empty cell shows is a constant of the mapping.
        let usual = lens.read(blank.nothing());
        if usual.is_ok_and(|text| text.is_some_and(|text| text == shown)) {
            return;
        }
        if listed || powerless(lens).is_some() {
            promises.push(Promise::Absent(Box::new(lens.clone())), path.clone());
            self.kept.push((leaf, path));
            return;
        }
        if let Some((column, value)) = empty(lens, self.columns) {
            self.clear(column, Some(value), &path);
        }
        for slot in lens.slots() {
            self.clear(slot.column.clone(), None, &path);
        }
        promises.push(Promise::Absent(Box::new(lens.clone())), path);
    }

    /// On a new row: what stands for nothing, where the database gives the column nothing itself.
    fn nothing(&mut self, lens: &Lens, path: &str) {
        // Of lists, the columns that are fixed are known later only.
        if !std::ptr::eq(self.columns, &raw const self.rules.columns) {
            return;
        }
        let Some((column, value)) = empty(lens, self.columns) else { return };
        let create = self.rules.create.iter().flat_map(|create| &create.set);
        let mut fixed = self.rules.filter.iter().chain(create).map(|(column, _)| column);
        if fixed.any(|fixed| fixed.name == column.name) || self.moves(&column.name) {
            return;
        }
        let rule = self.columns.get(&column.name.to_lowercase());
        if rule.is_some_and(|rule| !rule.has_default) && !self.spoken.contains(&column.name) {
            self.clear(column, Some(value), path);
        }
    }

    fn clear(&mut self, column: ColumnRef, value: Option<Value>, path: &str) {
        if !self.sets.iter().any(|known| known.column.name == column.name) {
            self.sets.push(Set { column, value, path: path.to_owned() });
        }
    }
}
