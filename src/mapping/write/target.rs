//! What can be written of a type, and the plans of it.

use std::sync::Arc;

use crate::fhir::{Issue, Json};
use crate::mapping::Compiled;
use crate::mapping::lens::Reading;
use crate::mapping::plan::{ColumnRef, KeyedRead, Relation, Value};
use crate::mapping::render::Page;
use crate::mapping::rows::Rows;
use crate::mapping::tree::Source;

use super::changes::{add, stamp};
use super::children::{Lists, Parent};
use super::confirm::{Confirmed, Promises, confirm, render};
use super::walk::Walk;
use super::{Change, ChangeKind, DeleteRules, Fresh, KeySource, Rules, Set};

/// What can be written of a type or a resource.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Powers {
    /// New resources.
    pub create: bool,
    /// Changes.
    pub update: bool,
    /// Taking away.
    pub delete: bool,
}

/// One source's rows, or the one row of a key, to be written.
#[derive(Debug, Clone)]
pub struct Target {
    source: Arc<Source>,
    reading: Arc<Reading>,
    /// The key; empty before a row is made.
    pub key: Vec<Value>,
}

/// A row to be made.
#[derive(Debug, Clone)]
pub struct Creation {
    /// Whose row.
    pub target: Target,
    /// The row.
    pub insert: Change,
    /// The column whose value the database gives; the key is complete with it.
    pub generated: Option<ColumnRef>,
    key: Vec<Option<Value>>,
}

/// What makes a row show what was sent.
#[derive(Debug, Clone)]
pub struct Update {
    /// In this order; none when the row shows it already.
    pub changes: Vec<Change>,
    /// What must hold afterwards.
    pub promises: Promises,
}

impl Compiled {
    /// What can be written of a type, by any of its sources.
    pub fn powers(&self, ty: &str) -> Powers {
        let mut powers = Powers::default();
        for rules in self.of_type(ty).filter_map(|(_, source)| source.write.as_ref()) {
            powers.create |= rules.create.is_some();
            powers.update |= rules.update;
            powers.delete |= rules.delete.is_some();
        }
        powers
    }

    /// Whether some source of a type fills_element an element of the resource itself.
    pub fn fills_element(&self, ty: &str, element: &str) -> bool {
        self.of_type(ty).any(|(_, source)| source.root.member(element).is_some())
    }

    /// The row a new resource becomes, in the first source that can take all of it; everything that is
    /// wrong with it for the one that comes nearest.
    pub fn plan_create(
        &self,
        ty: &str,
        sent: &Json,
        fresh: &Fresh,
    ) -> Result<Creation, Vec<Issue>> {
        let mut nearest: Option<Vec<Issue>> = None;
        for (_, source) in self.of_type(ty) {
            let Some(rules) = source.write.as_ref().filter(|rules| rules.create.is_some()) else {
                continue;
            };
            let (source, reading) = (Arc::clone(source), Arc::clone(&self.reading));
            let target = Target { source: Arc::clone(&source), reading, key: Vec::new() };
            match creation(&target, rules, sent, fresh) {
                Ok(creation) => return Ok(creation),
                Err(issues) => {
                    if nearest.as_ref().is_none_or(|known| issues.len() < known.len()) {
                        nearest = Some(issues);
                    }
                }
            }
        }
        Err(nearest.unwrap_or_default())
    }

    /// The rows that may hold a resource, nearly always one.
    pub fn plan_targets(&self, ty: &str, id: &str) -> Vec<Target> {
        let mut targets = Vec::new();
        for (_, source) in self.of_type(ty) {
            targets.extend(source.id.read(id).into_iter().map(|key| Target {
                source: Arc::clone(source),
                reading: Arc::clone(&self.reading),
                key,
            }));
        }
        targets
    }
}

impl Target {
    /// The table its row is in.
    pub fn table(&self) -> &Relation {
        &self.source.from
    }

    /// The type of its resource.
    pub fn resource_type(&self) -> &str {
        &self.source.resource_type
    }

    /// Its key's columns with their values.
    pub fn key(&self) -> Vec<(ColumnRef, Value)> {
        let columns = self.source.key.iter().map(|slot| slot.column.clone());
        columns.zip(self.key.iter().cloned()).collect()
    }

    fn rules(&self) -> Option<&Rules> {
        self.source.write.as_ref()
    }

    /// What can be done to the row.
    pub fn powers(&self) -> Powers {
        self.rules().map_or_else(Powers::default, |rules| Powers {
            create: rules.create.is_some(),
            update: rules.update,
            delete: rules.delete.is_some(),
        })
    }

    /// How the row is read: what is rendered of it, and what changing it needs.
    pub fn read(&self) -> &Arc<KeyedRead> {
        self.rules().map_or(&self.source.read, |rules| &rules.read)
    }

    /// What was fetched, ready to be written.
    pub fn page<'p>(&'p self, rows: &'p Rows, children: &'p [Rows]) -> Page<'p> {
        Page::new(&self.source, &self.reading, rows, children)
    }

    /// What the row shows; `None` when there is no row, or none that can be shown.
    pub fn shown(&self, rows: &Rows, children: &[Rows]) -> Option<Confirmed> {
        render(&self.page(rows, children))
    }

    /// The changes that make the row show what was sent. For a row that was just made, `new`, only those
    /// of its lists.
    pub fn plan_update(
        &self,
        rows: &Rows,
        children: &[Rows],
        sent: &Json,
        fresh: &Fresh,
        new: bool,
    ) -> Result<Update, Vec<Issue>> {
        let page = self.page(rows, children);
        let (Some(rules), Some(row)) = (self.rules(), rows.row(0)) else { return Err(Vec::new()) };
        let ty = self.source.resource_type.as_str();
        let mut walk = Walk::base(&self.source, rules, &self.reading, Some((&page, row)));
        walk.object(&self.source.root, sent, ty);
        let mut walked = walk.finish();
        if new {
            walked.sets.clear();
            // What could not be stored was said before the row was made.
            walked.issues.clear();
            walked.promises = Promises::default();
        }
        for set in &walked.sets {
            if self.source.key.iter().any(|slot| slot.column.name == set.column.name) {
                let message = "The hospital's key is made of this element; it cannot change.";
                walked.issues.push(Issue::new("business-rule", set.path.clone(), message));
            }
        }
        let parent =
            Parent { source: &self.source, rules, reading: &self.reading, page: &page, row, fresh };
        let (mut lists, mut uuids) = (Lists::default(), usize::from(new));
        for kid in &walked.kids {
            parent.list(kid, &mut lists, &mut uuids);
        }
        let mut issues = walked.issues;
        issues.extend(lists.issues);
        if !issues.is_empty() {
            return Err(issues);
        }
        let mut promises = walked.promises;
        promises.extend(lists.promises);
        let mut sets = walked.sets;
        let changes = !sets.is_empty() || !lists.changes.is_empty();
        if changes && !new {
            stamp(&mut sets, &self.source, rules, &self.reading, fresh, Some(row));
        }
        let mut changes = Vec::new();
        if !sets.is_empty() {
            changes.push(self.change(ChangeKind::Update { key: self.row_key(rows), sets }));
        }
        changes.extend(lists.changes);
        Ok(Update { changes, promises })
    }

    /// The changes that take the row away.
    pub fn plan_delete(&self, rows: &Rows, children: &[Rows], fresh: &Fresh) -> Vec<Change> {
        let page = self.page(rows, children);
        let (Some(rules), Some(row)) = (self.rules(), rows.row(0)) else { return Vec::new() };
        let key = self.row_key(rows);
        match &rules.delete {
            None => Vec::new(),
            Some(DeleteRules::Soft(soft)) => {
                let mut sets = Vec::new();
                for (column, value) in soft {
                    add(&mut sets, column, value.clone());
                }
                stamp(&mut sets, &self.source, rules, &self.reading, fresh, Some(row));
                vec![self.change(ChangeKind::Update { key, sets })]
            }
            Some(DeleteRules::Hard) => {
                let parent = Parent {
                    source: &self.source,
                    rules,
                    reading: &self.reading,
                    page: &page,
                    row,
                    fresh,
                };
                let mut changes = parent.clear();
                changes.push(self.change(ChangeKind::Delete { key }));
                changes
            }
        }
    }

    /// Holds what the row shows now against what was sent.
    pub fn confirm(
        &self,
        rows: &Rows,
        children: &[Rows],
        sent: &Json,
        promises: &Promises,
    ) -> Result<Confirmed, Vec<Issue>> {
        confirm(&self.page(rows, children), sent, promises, &self.source.resource_type)
    }

    fn change(&self, kind: ChangeKind) -> Change {
        let path = self.source.resource_type.clone();
        Change { table: Arc::clone(&self.source.from), kind, path }
    }

    /// The key as the row itself has it, letter by letter.
    fn row_key(&self, rows: &Rows) -> Vec<(ColumnRef, Value)> {
        let row = rows.row(0);
        let cell = |slot: &crate::mapping::lens::Slot| {
            let text = row.and_then(|row| row.get(slot.cell)).unwrap_or_default().to_owned();
            (slot.column.clone(), Value { ty: slot.column.ty, text })
        };
        self.source.key.iter().map(cell).collect()
    }
}

impl Creation {
    /// The new row, with what the database gave.
    pub fn target(&self, generated: Option<&str>) -> Option<Target> {
        let mut target = self.target.clone();
        let whole = self.key.iter().zip(&self.target.source.key).map(|(value, slot)| {
            let given = || {
                let text = generated?.to_owned();
                Some(Value { ty: slot.column.ty, text })
            };
            value.clone().or_else(given)
        });
        target.key = whole.collect::<Option<Vec<Value>>>()?;
        Some(target)
    }
}

fn creation(
    target: &Target,
    rules: &Rules,
    sent: &Json,
    fresh: &Fresh,
) -> Result<Creation, Vec<Issue>> {
    let source = &target.source;
    let ty = source.resource_type.as_str();
    let mut walk = Walk::base(source, rules, &target.reading, None);
    walk.object(&source.root, sent, ty);
    let walked = walk.finish();
    let (mut sets, mut issues) = (walked.sets, walked.issues);
    // Rows of lists are made after their parent's; what is wrong with them is said with the rest.
    let nothing = Rows::new(0);
    let (page, row) = (target.page(&nothing, &[]), nothing.nothing());
    let parent = Parent { source, rules, reading: &target.reading, page: &page, row, fresh };
    let (mut lists, mut uuids) = (Lists::default(), 1);
    for kid in &walked.kids {
        parent.list(kid, &mut lists, &mut uuids);
    }
    issues.extend(lists.issues);
    let Some(create) = &rules.create else { return Err(issues) };
    for (column, value) in rules.filter.iter().chain(&create.set) {
        let differs =
            |set: &&Set| set.column.name == column.name && set.value.as_ref() != Some(value);
        if let Some(set) = sets.iter().find(differs) {
            let message = "The hospital's mapping fixes another value for what is new.";
            issues.push(Issue::new("business-rule", set.path.clone(), message));
        }
        add(&mut sets, column, Some(value.clone()));
    }
    let generated = match &create.key {
        KeySource::Database(column) => Some(column.clone()),
        KeySource::Uuid(column) => {
            let uuid = fresh.uuids.first().cloned();
            add(&mut sets, column, uuid.map(|text| Value { ty: column.ty, text }));
            None
        }
        KeySource::Body => None,
    };
    stamp(&mut sets, source, rules, &target.reading, fresh, None);
    for (name, rule) in &rules.columns {
        let there = sets.iter().any(|set| set.column.name.to_lowercase() == *name);
        let given = generated.as_ref().is_some_and(|column| column.name.to_lowercase() == *name);
        if !there && !given && !rule.nullable && !rule.has_default {
            let path = rules_path(source, name).unwrap_or_else(|| ty.to_owned());
            // Sent, and not as it can be stored: that was said.
            if path != ty && issues.iter().any(|issue| unnumbered(&issue.expression) == path) {
                continue;
            }
            let message = "The hospital's database demands this element.";
            issues.push(Issue::new("required", path, message));
        }
    }
    if !issues.is_empty() {
        return Err(issues);
    }
    let key = source.key.iter().map(|slot| {
        let set = sets.iter().find(|set| set.column.name == slot.column.name);
        set.and_then(|set| set.value.clone())
    });
    let key = key.collect();
    let insert = target.change(ChangeKind::Insert(sets));
    Ok(Creation { target: target.clone(), insert, generated, key })
}

/// A path without the places in its lists.
fn unnumbered(path: &str) -> String {
    let parts = path.split('[').enumerate();
    let outside = |(at, part): (usize, &str)| match (at, part.split_once(']')) {
        (0, _) | (_, None) => part.to_owned(),
        (_, Some((_, rest))) => rest.to_owned(),
    };
    parts.map(outside).collect()
}

/// The element that fills_element a column.
fn rules_path(source: &Source, column: &str) -> Option<String> {
    let mut found = None;
    super::power::leaves(&source.root, &mut |leaf| {
        let mine = leaf
            .lens
            .slots()
            .iter()
            .any(|slot| slot.column.relation == 0 && slot.column.name.to_lowercase() == column);
        if mine && found.is_none() && super::powerless(&leaf.lens).is_none() {
            found = source.paths.get(leaf.path).cloned();
        }
    });
    found
}
