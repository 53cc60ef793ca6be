//! Rows of one-to-many tables.

use std::sync::Arc;

use crate::fhir::{Issue, Json};
use crate::mapping::lens::Reading;
use crate::mapping::plan::{ColumnRef, Value};
use crate::mapping::render::Page;
use crate::mapping::rows::Row;
use crate::mapping::tree::{ChildRows, Source, Tree};

use super::changes::add;
use super::compare::pair;
use super::confirm::{Promise, Promises};
use super::walk::{Kid, Walk, Walked};
use super::{Change, ChangeKind, ChildMode, ChildRules, Fresh, MAX_CHILD_ROWS, Rules, Set};

const READ_ONLY: &str = "The hospital's mapping does not let this list be changed.";

/// What one request's lists come to.
#[derive(Default)]
pub struct Lists {
    pub changes: Vec<Change>,
    pub issues: Vec<Issue>,
    pub promises: Promises,
}

/// The row the children hang off, and what surrounds it.
pub struct Parent<'w> {
    pub source: &'w Source,
    pub rules: &'w Rules,
    pub reading: &'w Reading,
    pub page: &'w Page<'w>,
    pub row: Row<'w>,
    pub fresh: &'w Fresh,
}

impl<'w> Parent<'w> {
    /// The changes that make a list what was sent.
    pub fn list(&self, kid: &Kid<'w>, out: &mut Lists, uuids: &mut usize) {
        let Some(number) = kid.each.child() else { return };
        let (Some(rules), Some(child)) =
            (self.rules.children.get(number), self.source.children.get(number))
        else {
            return;
        };
        let rows = self.page.items(kid.each);
        if rows.len() > MAX_CHILD_ROWS || kid.items.len() > MAX_CHILD_ROWS {
            let message = format!("A list of more than {MAX_CHILD_ROWS} items is not written.");
            return out.issues.push(Issue::new("too-costly", kid.path.clone(), message));
        }
        let stays = |item: usize, at: usize| match (kid.items.get(item), rows.get(at)) {
            (Some((body, path)), Some(row)) => {
                let walked = self.walk(number, &kid.each.item, body, path, Some(*row));
                walked.is_some_and(|w| {
                    w.sets.is_empty() && w.issues.is_empty() && w.promises.is_empty()
                })
            }
            _ => false,
        };
        let stand = pair(kid.items.len(), rows.len(), stays);
        let new = (0..kid.items.len()).filter(|item| !stand.contains(&Some(*item)));
        let old = rows.iter().zip(&stand).filter(|(_, item)| item.is_none()).map(|(row, _)| row);
        match rules.mode {
            ChildMode::ReadOnly => {
                let paths =
                    new.filter_map(|item| kid.items.get(item)).map(|(_, path)| path.clone());
                let mut paths: Vec<String> = paths.collect();
                if paths.is_empty() && old.count() > 0 {
                    paths.push(kid.path.clone());
                }
                out.issues
                    .extend(paths.into_iter().map(|p| Issue::new("business-rule", p, READ_ONLY)));
                return;
            }
            ChildMode::Merge => {}
            ChildMode::Replace => {
                out.changes.extend(old.filter_map(|row| remove(rules, child, *row, &kid.path)));
                let count = kid.items.len();
                out.promises.push(Promise::Items { child: number, count }, kid.path.clone());
            }
        }
        for item in new {
            let Some((body, path)) = kid.items.get(item) else { continue };
            let walked = self.walk(number, &kid.each.item, body, path, None);
            let Some(walked) = walked else { continue };
            if !walked.issues.is_empty() {
                out.issues.extend(walked.issues);
                continue;
            }
            self.insert(rules, child, walked.sets, path, out, uuids);
        }
    }

    /// The changes that take the rows of lists that are replaced away, with the resource they belong to.
    pub fn clear(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        for (number, rules) in self.rules.children.iter().enumerate() {
            let (Some(child), true) =
                (self.source.children.get(number), rules.mode == ChildMode::Replace)
            else {
                continue;
            };
            let rows = self.page.rows_of(number).into_iter();
            let gone = rows.filter_map(|row| remove(rules, child, row, &self.source.resource_type));
            changes.extend(gone.map(|change| match change.kind {
                // With its resource a row goes for good.
                ChangeKind::Update { key, .. } => {
                    Change { kind: ChangeKind::Delete { key }, ..change }
                }
                _ => change,
            }));
        }
        changes
    }

    fn walk(
        &self,
        child: usize,
        item: &'w Tree,
        body: &'w Json,
        path: &str,
        row: Option<Row<'w>>,
    ) -> Option<Walked<'w>> {
        let before = row.map(|row| (self.page, row));
        let mut walk = Walk::child(self.source, self.rules, self.reading, child, before)?;
        walk.part(item, body, path);
        Some(walk.finish())
    }

    fn insert(
        &self,
        rules: &ChildRules,
        child: &ChildRows,
        mut sets: Vec<Set>,
        path: &str,
        out: &mut Lists,
        uuids: &mut usize,
    ) {
        let mut fixed: Vec<(ColumnRef, Option<Value>)> = Vec::new();
        for (own, parent) in child.own.iter().zip(&child.parent) {
            match self.row.get(parent.cell) {
                Some(text) => {
                    let value = Value { ty: own.column.ty, text: text.to_owned() };
                    fixed.push((own.column.clone(), Some(value)));
                }
                // The row it hangs off is still to be made.
                None => add(&mut sets, &own.column, None),
            }
        }
        let constants = rules.filter.iter().chain(&rules.set);
        fixed.extend(constants.map(|(column, value)| (column.clone(), Some(value.clone()))));
        if let Some(column) = &rules.uuid
            && !sets.iter().any(|set| set.column.name == column.name)
        {
            let text = self.fresh.uuids.get(*uuids).cloned();
            *uuids += 1;
            let value = text.map(|text| Value { ty: column.ty, text });
            fixed.push((column.clone(), value));
        }
        for (column, value) in fixed {
            match sets.iter().find(|set| set.column.name == column.name) {
                Some(set) if set.value == value => {}
                Some(set) => {
                    let message = "This list takes another value here only.";
                    out.issues.push(Issue::new("business-rule", set.path.clone(), message));
                }
                None => sets.push(Set { column, value, path: String::new() }),
            }
        }
        for (name, rule) in &rules.columns {
            let there = sets.iter().any(|set| set.column.name.to_lowercase() == *name);
            if !there && !rule.nullable && !rule.has_default {
                let message = "The hospital's database demands more of this item than was sent.";
                out.issues.push(Issue::new("required", path, message));
            }
        }
        let table = Arc::clone(&child.relation);
        let kind = ChangeKind::Insert(sets);
        out.changes.push(Change { table, kind, path: path.to_owned() });
    }
}

/// Takes a row away, or marks it as gone.
fn remove(rules: &ChildRules, child: &ChildRows, row: Row<'_>, path: &str) -> Option<Change> {
    let key = rules.key.iter().map(|(cell, column)| {
        let text = row.get(*cell)?.to_owned();
        Some((column.clone(), Value { ty: column.ty, text }))
    });
    let key = key.collect::<Option<Vec<_>>>()?;
    let kind = match &rules.soft {
        None => ChangeKind::Delete { key },
        Some(soft) => {
            let set = |(column, value): &(ColumnRef, Option<Value>)| Set {
                column: column.clone(),
                value: value.clone(),
                path: String::new(),
            };
            ChangeKind::Update { key, sets: soft.iter().map(set).collect() }
        }
    };
    Some(Change { table: Arc::clone(&child.relation), kind, path: path.to_owned() })
}
