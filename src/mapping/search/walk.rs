//! Walking a template along a parameter's path.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crate::fhir::params::{ParamPath, ParamStep};
use crate::mapping::lens::predicate::{all, any, not};
use crate::mapping::lens::{Reading, Slot};
use crate::mapping::plan::{Expr, Predicate, Rowset};
use crate::mapping::tree::{Branch, Each, EachRows, Member, Object, Source, Tree, conditions};

use super::{Found, Unable};

/// A source to walk in.
#[derive(Clone, Copy)]
pub(super) struct Walk<'s> {
    pub source: &'s Source,
    pub reading: &'s Reading,
    /// Whether what is found must be all there is, which a negation needs.
    pub strict: bool,
    /// Where paths begin: the resource, or a part of it.
    pub root: &'s Object,
    /// The one leaf that is looked at, where it is not all of them.
    pub spot: Option<&'s Spot>,
}

/// One leaf of a path, and the one-to-many rows it stands in.
#[derive(Default)]
pub(super) struct Spot {
    /// Whether the leaf was met.
    pub met: Cell<bool>,
    /// Which of the source's children the leaf is of, and what must hold of its rows.
    pub inside: RefCell<Option<(usize, Predicate)>>,
}

/// What a path leads to.
#[derive(Clone, Copy)]
pub(super) struct At<'s> {
    pub tree: &'s Tree,
    /// Its FHIR type.
    pub ty: &'static str,
    /// The system of the value set it is bound to.
    pub system: Option<&'static str>,
}

type Visit<'v> = &'v dyn Fn(At<'_>) -> Found;

impl<'s> Walk<'s> {
    pub fn new(source: &'s Source, reading: &'s Reading, strict: bool) -> Self {
        Self { source, reading, strict, root: &source.root, spot: None }
    }

    /// Whether anything fills the element a path names.
    pub fn is_mapped(&self, path: &ParamPath) -> bool {
        object_has(self.root, &path.steps, &|_| true)
    }

    /// Whether the element a path names holds the URLs of resources and no references.
    pub fn is_canonical(&self, path: &ParamPath) -> bool {
        object_has(self.root, &path.steps, &|member| member.ty == "canonical")
    }

    /// The rows for which `visit` holds of something the path leads to.
    pub fn run(&self, path: &ParamPath, visit: Visit<'_>) -> Found {
        self.object(self.root, path, &path.steps, visit)
    }

    fn object(
        &self,
        object: &Object,
        path: &ParamPath,
        steps: &[ParamStep],
        visit: Visit<'_>,
    ) -> Found {
        let Some((step, rest)) = steps.split_first() else { return Ok(Predicate::Never) };
        let mut found = Vec::new();
        for (number, member) in object.members.iter().enumerate() {
            if !is_step(member, step) {
                continue;
            }
            let mut parts = vec![conditions(&object.when, self.reading)];
            parts.push(self.beside(object, &member.value)?);
            // Of a choice, the first member with a value is written; the others are not there.
            if member.choice.is_some() {
                let earlier = object.members.iter().take(number);
                for other in earlier.filter(|m| m.choice == member.choice) {
                    parts.push(not(self.present(&other.value)?));
                }
            }
            parts.push(self.tree(&member.value, member, step, path, rest, visit)?);
            found.push(all(parts));
        }
        Ok(any(found))
    }

    fn tree(
        &self,
        tree: &Tree,
        member: &Member,
        step: &ParamStep,
        path: &ParamPath,
        rest: &[ParamStep],
        visit: Visit<'_>,
    ) -> Found {
        let at = At { tree, ty: member.ty, system: member.system };
        match tree {
            Tree::List(items) => {
                let items = items.iter();
                let found = items.map(|item| self.tree(item, member, step, path, rest, visit));
                Ok(any(found.collect::<Result<Vec<_>, Unable>>()?))
            }
            Tree::Each(each) => {
                let before = self.spot.is_some_and(|spot| spot.met.get());
                let inner = self.tree(&each.item, member, step, path, rest, visit)?;
                match self.spot.filter(|spot| !before && spot.met.get()) {
                    None => self.rows(each, inner),
                    Some(spot) => match each.rows {
                        // Rows that hang off others lead back in two steps, not in one.
                        EachRows::Child(child)
                            if each.shows_all() && spot.inside.borrow().is_none() =>
                        {
                            spot.inside.replace(Some((child, inner)));
                            Ok(Predicate::Always)
                        }
                        _ => Err(Unable),
                    },
                }
            }
            Tree::Case(branches) => {
                self.branches(branches, |t| self.tree(t, member, step, path, rest, visit))
            }
            Tree::Object(object) => {
                let mut parts = vec![self.complete(object, rest.first())?];
                if let Some((name, wanted)) = step.only {
                    let Some(member) = object.member(name) else { return Ok(Predicate::Never) };
                    parts.push(self.equals(&member.value, wanted)?);
                }
                parts.push(if rest.is_empty() {
                    all([conditions(&object.when, self.reading), visit(at)?])
                } else {
                    self.object(object, path, rest, visit)?
                });
                Ok(all(parts))
            }
            Tree::Leaf(_) | Tree::Const(_) if rest.is_empty() => visit(at),
            Tree::Leaf(_) | Tree::Const(_) => Ok(Predicate::Never),
        }
    }

    /// The rows in which an object has what FHIR demands of it; without, it is not written. What a path goes on
    /// `through` is there where something at its end is.
    fn complete(&self, object: &Object, through: Option<&ParamStep>) -> Found {
        let mut parts = Vec::new();
        for (number, member) in object.members.iter().enumerate().filter(|(_, m)| m.required) {
            if member.choice.is_none() && through.is_some_and(|step| is_step(member, step)) {
                continue;
            }
            let one = |m: &Member| self.present(&m.value);
            if member.choice.is_none() {
                parts.push(one(member)?);
                continue;
            }
            let same = |m: &&Member| m.choice == member.choice;
            if !object.members.iter().take(number).any(|m| same(&m)) {
                let found = object.members.iter().filter(same).map(one);
                parts.push(any(found.collect::<Result<Vec<_>, Unable>>()?));
            }
        }
        Ok(all(parts))
    }

    /// The rows whose resource is written at all.
    pub fn shown(&self) -> Found {
        self.complete(&self.source.root, None)
    }

    /// The parents of one-to-many rows for which something holds.
    pub fn rows(&self, each: &Each, inner: Predicate) -> Found {
        let EachRows::Child(child) = each.rows else { return Err(Unable) };
        let child = self.source.children.get(child).ok_or(Unable)?;
        if !each.shows_all() {
            // Only the first rows are shown; a condition would look at all of them.
            return Err(Unable);
        }
        let filter = all([child.filter.clone(), inner]);
        if filter == Predicate::Never {
            return Ok(Predicate::Never);
        }
        let columns = |slots: &[Slot]| -> Vec<Expr> {
            slots.iter().map(|slot| Expr::Column(slot.column.clone())).collect()
        };
        let (from, joins) = (Arc::clone(&child.relation), Arc::clone(&child.joins));
        Ok(Predicate::Among {
            own: columns(&child.parent),
            theirs: columns(&child.own),
            rows: Box::new(Rowset { from, joins, filter }),
        })
    }

    /// The rows whose branch gives what is wanted: the first whose conditions hold is the row's own.
    pub fn branches(&self, branches: &[Branch], wanted: impl Fn(&Tree) -> Found) -> Found {
        let (mut found, mut earlier) = (Vec::new(), Vec::new());
        for branch in branches {
            let own = conditions(&branch.when, self.reading);
            if let Some(tree) = &branch.tree {
                let parts = earlier.iter().cloned().chain([own.clone(), wanted(tree)?]);
                found.push(all(parts));
            }
            earlier.push(not(own));
        }
        Ok(any(found))
    }

    /// The rows where a part has a value.
    pub fn present(&self, tree: &Tree) -> Found {
        match tree {
            Tree::Const(_) => Ok(Predicate::Always),
            Tree::Leaf(leaf) if leaf.lens.gives_dates() => super::date::present(&leaf.lens),
            Tree::Leaf(leaf) => leaf.lens.present().ok_or(Unable),
            Tree::List(items) => {
                let found = items.iter().map(|item| self.present(item));
                Ok(any(found.collect::<Result<Vec<_>, Unable>>()?))
            }
            Tree::Case(branches) => self.branches(branches, |tree| self.present(tree)),
            Tree::Each(each) => {
                let inner = self.present(&each.item)?;
                self.rows(each, inner)
            }
            Tree::Object(object) if object.constant.is_some() => Ok(Predicate::Always),
            Tree::Object(object) => {
                let when = conditions(&object.when, self.reading);
                Ok(all([when, self.something(object)?, self.complete(object, None)?]))
            }
        }
    }

    /// The rows that give an object anything, its constants being nothing by themselves.
    fn something(&self, object: &Object) -> Found {
        let (fixed, values): (Vec<_>, Vec<_>) =
            object.members.iter().map(|m| &m.value).partition(|v| v.constant().is_some());
        // A condition of its own says that the constants are meant.
        let stands = object.standing() || !object.when.is_empty();
        if values.is_empty() || (stands && !fixed.is_empty()) {
            return Ok(Predicate::Always);
        }
        let found = values.into_iter().map(|v| self.present(v));
        Ok(any(found.collect::<Result<Vec<_>, Unable>>()?))
    }

    /// What must hold beside a part of an object that fits: a constant is written only where something
    /// else is; a value is that something.
    pub fn beside(&self, object: &Object, part: &Tree) -> Found {
        if part.constant().is_none() || object.constant.is_some() || object.is_root() {
            return Ok(Predicate::Always);
        }
        self.something(object)
    }

    /// The rows where a part is exactly this text.
    pub fn equals(&self, tree: &Tree, wanted: &str) -> Found {
        match tree {
            Tree::Const(constant) if constant.text == wanted => Ok(Predicate::Always),
            Tree::Const(_) | Tree::Object(_) => Ok(Predicate::Never),
            Tree::Leaf(leaf) => leaf.lens.equals(&[wanted.to_owned()], self.strict).ok_or(Unable),
            Tree::List(items) => {
                let found = items.iter().map(|item| self.equals(item, wanted));
                Ok(any(found.collect::<Result<Vec<_>, Unable>>()?))
            }
            Tree::Case(branches) => self.branches(branches, |tree| self.equals(tree, wanted)),
            Tree::Each(each) => {
                let inner = self.equals(&each.item, wanted)?;
                self.rows(each, inner)
            }
        }
    }
}

/// Whether something fills the element at the end of some steps, and `fits`.
fn object_has(object: &Object, steps: &[ParamStep], fits: &dyn Fn(&Member) -> bool) -> bool {
    let Some((step, rest)) = steps.split_first() else { return true };
    let mut members = object.members.iter().filter(|m| is_step(m, step));
    members.any(|m| (!rest.is_empty() || fits(m)) && tree_has(&m.value, rest, fits))
}

fn tree_has(tree: &Tree, steps: &[ParamStep], fits: &dyn Fn(&Member) -> bool) -> bool {
    match tree {
        Tree::Object(object) => object_has(object, steps, fits),
        Tree::List(items) => items.iter().any(|item| tree_has(item, steps, fits)),
        Tree::Each(each) => tree_has(&each.item, steps, fits),
        Tree::Case(branches) => {
            branches.iter().filter_map(|b| b.tree.as_ref()).any(|t| tree_has(t, steps, fits))
        }
        Tree::Leaf(_) | Tree::Const(_) => steps.is_empty(),
    }
}

fn is_step(member: &Member, step: &ParamStep) -> bool {
    member.element == step.element && step.ty.is_none_or(|ty| ty == member.ty)
}
