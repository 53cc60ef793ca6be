//! Which lenses have a way back.

use crate::mapping::catalog::SqlType;
use crate::mapping::lens::codes::Field;
use crate::mapping::lens::format::DateIn;
use crate::mapping::lens::{Gather, Lens, Slot, Step};
use crate::mapping::plan::{Join, JoinOn, Relation};
use crate::mapping::tree::{Leaf, Object, Source, Tree};

/// Why a lens cannot be turned back; `None` when it can.
pub fn powerless(lens: &Lens) -> Option<&'static str> {
    let slots = lens.slots();
    if slots.iter().any(|slot| slot.column.relation != 0) {
        return Some("it comes from a joined table");
    }
    let typed = |slot: &Slot| !matches!(slot.column.ty, SqlType::Json | SqlType::Other);
    if !slots.iter().all(typed) {
        return Some("its column has a type that cannot be written");
    }
    match &lens.gather {
        Gather::Column(_) => {}
        Gather::First(slots) if slots.len() == 1 => {}
        Gather::First(_) => return Some("'first' does not say which column to write"),
        Gather::Joined { slots, .. } if slots.len() == 1 => {}
        Gather::Joined { slots, .. } => {
            let halves = match lens.steps.first() {
                Some(Step::DateTime(DateIn::Formats(formats))) => {
                    formats.iter().all(|format| format.halves().is_some())
                }
                _ => false,
            };
            if !(halves && slots.len() == 2) {
                return Some("'join' does not say where to take the text apart");
            }
        }
        Gather::Parts(_) => match lens.steps.first() {
            Some(Step::Reference(_)) => {}
            Some(Step::DateTime(_)) if slots.len() == 2 => {}
            _ => return Some("its columns cannot be told apart again"),
        },
    }
    let one_way =
        |step: &Step| matches!(step, Step::Rewrite(_) | Step::Combine(_) | Step::Later(..));
    if lens.steps.iter().any(one_way) {
        return Some("a transform of it has no way back");
    }
    let coded =
        lens.steps.iter().any(|s| matches!(s, Step::Code(_, Field::Display | Field::System)));
    coded.then_some("it shows what goes with a code")
}

/// The base table's columns that a lens depends on: its own, and those its joins are matched by.
pub fn bases(lens: &Lens, joins: &[Join]) -> Vec<String> {
    let mut names = Vec::new();
    let mut relations: Vec<usize> = Vec::new();
    for slot in lens.slots() {
        if slot.column.relation == 0 {
            names.push(slot.column.name.clone());
        } else {
            relations.push(slot.column.relation);
        }
    }
    let mut seen = Vec::new();
    while let Some(relation) = relations.pop() {
        if seen.contains(&relation) {
            continue;
        }
        seen.push(relation);
        let on = joins.get(relation - 1).map(|join| join.on.as_slice()).unwrap_or_default();
        for on in on {
            let JoinOn::Columns(other, _) = on else { continue };
            if other.relation == 0 {
                names.push(other.name.clone());
            } else {
                relations.push(other.relation);
            }
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// Shows every leaf of the base rows, those of one-to-many rows left out.
pub fn leaves<'t>(object: &'t Object, see: &mut dyn FnMut(&'t Leaf)) {
    for member in &object.members {
        part(&member.value, see);
    }
}

/// The same of a part.
pub fn part<'t>(tree: &'t Tree, see: &mut dyn FnMut(&'t Leaf)) {
    match tree {
        Tree::Leaf(leaf) => see(leaf),
        Tree::Object(object) => leaves(object, see),
        Tree::List(items) => items.iter().for_each(|item| part(item, see)),
        Tree::Each(_) | Tree::Case(_) | Tree::Const(_) => {}
    }
}

/// A part that no way leads back through, in words; nothing when there is none.
pub fn one_way(source: &Source) -> Option<&'static str> {
    fn look(tree: &Tree) -> Option<&'static str> {
        match tree {
            Tree::Case(_) => Some("a `case`"),
            Tree::Each(each) if each.child().is_none() => {
                Some("a list that is split from one text")
            }
            Tree::Each(each) => look(&each.item),
            Tree::Object(object) => object.members.iter().find_map(|m| look(&m.value)),
            Tree::List(items) => items.iter().find_map(look),
            Tree::Leaf(_) | Tree::Const(_) => None,
        }
    }
    if matches!(*source.from, Relation::Distinct { .. }) {
        return Some("a `group`");
    }
    if source.children.iter().any(|child| child.of.is_some()) {
        return Some("an `each` within an `each`");
    }
    source.root.members.iter().find_map(|member| look(&member.value))
}

/// Shows every `each`.
pub fn eaches<'t>(object: &'t Object, see: &mut dyn FnMut(&'t crate::mapping::tree::Each)) {
    fn look<'t>(tree: &'t Tree, see: &mut dyn FnMut(&'t crate::mapping::tree::Each)) {
        match tree {
            Tree::Each(each) => see(each),
            Tree::Object(object) => eaches(object, see),
            Tree::List(items) => items.iter().for_each(|item| look(item, see)),
            Tree::Case(_) | Tree::Leaf(_) | Tree::Const(_) => {}
        }
    }
    for member in &object.members {
        look(&member.value, see);
    }
}
