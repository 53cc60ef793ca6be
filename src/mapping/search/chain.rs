//! Conditions on one source, those among them that look further: chains (`subject:Patient.family`) and
//! reverse chains (`_has:Observation:patient:code`), and one behind the other as often as
//! [`MAX_STEPS`] allows (R4 sections 3.1.1.4.14 and .15).

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use jiff::civil::Date;

use crate::fhir::params::{ParamDef, ParamKind, ParamPath};
use crate::fhir::query::{Criterion, Named};
use crate::mapping::compiled::Compiled;
use crate::mapping::lens::predicate::{all, any};
use crate::mapping::lens::{Reading, Step};
use crate::mapping::plan::{Expr, Predicate, Rowset};
use crate::mapping::tree::{Source, Tree};

use super::plan::not_there;
use super::reach::{self, Pointer};
use super::reached::{MAX_STEPS, Reached};
use super::reference::is_type;
use super::walk::{Spot, Walk};
use super::{Asked, NO_DAY, Refusal, Unable, composite, condition};

/// A condition, as it was asked.
#[derive(Clone, Copy)]
pub(super) struct Ask<'q> {
    pub name: &'q str,
    pub modifier: Option<&'q str>,
    pub chain: Option<&'q str>,
    pub values: &'q [String],
    pub base: &'q str,
    /// The day that `ap` measures from.
    pub day: Date,
    /// How many references it may still follow.
    left: u8,
}

impl<'q> Ask<'q> {
    pub fn of(criterion: &'q Criterion, base: &'q str, day: Date) -> Self {
        Self {
            name: &criterion.name,
            modifier: criterion.modifier.as_deref(),
            chain: criterion.chain.as_deref(),
            values: &criterion.values,
            base,
            day,
            left: MAX_STEPS,
        }
    }

    pub fn plain(name: &'q str, values: &'q [String]) -> Self {
        Self { name, modifier: None, chain: None, values, base: "", day: NO_DAY, left: 0 }
    }

    /// Whether it looks at other resources.
    pub fn looks_further(&self) -> bool {
        self.chain.is_some() || self.name == "_has"
    }

    /// The condition on the other resources: a parameter as any, or the next step.
    fn next(&self, rest: &'q str) -> Result<Self, Refusal> {
        let Named { name, modifier, chain } = Named::of(rest);
        let left = self.left.checked_sub(1).ok_or(Refusal::Deep)?;
        Ok(Self { name, modifier, chain, left, ..*self })
    }
}

impl Compiled {
    /// A condition on one source.
    pub(super) fn on(
        &self,
        source: &Source,
        ask: &Ask<'_>,
        reached: &Reached,
    ) -> Result<Predicate, Refusal> {
        if ask.name == "_has" {
            return self.has(source, ask, reached);
        }
        let Ask { modifier, values, base, day, .. } = *ask;
        let asked = Asked { modifier, values, base, day };
        let param = source.params.iter().find(|p| p.name == ask.name);
        let given = || if ask.values.is_empty() { Err(Refusal::Value("a value")) } else { Ok(()) };
        match (param, ask.chain) {
            (Some(param), None) => {
                given().and_then(|()| condition(source, &self.reading, param, &asked))
            }
            (Some(param), Some(rest)) if param.kind == ParamKind::Reference => {
                given()?;
                self.chained(source, param, &ask.next(rest)?, ask.modifier, reached)
            }
            (Some(_), Some(_)) => Err(Refusal::Unable),
            (None, None) => {
                let def = source.composites.iter().find(|def| def.name == ask.name);
                let def = def.ok_or(Refusal::Unknown)?;
                given()?;
                composite::condition(&Walk::new(source, &self.reading, false), def, &asked)
            }
            (None, Some(_)) => Err(Refusal::Unknown),
        }
    }

    /// What a condition comes to in rows that other resources are made of.
    fn there(
        &self,
        source: &Source,
        ask: &Ask<'_>,
        reached: &Reached,
    ) -> Result<Predicate, Refusal> {
        reached.at(&source.resource_type, ask.values.len())?;
        match self.on(source, ask, reached) {
            Err(Refusal::NotMapped) if ask.looks_further() => Ok(Predicate::Never),
            Err(Refusal::NotMapped) => Ok(not_there(source, ask)),
            Ok(found) => {
                if !ask.looks_further() {
                    reached.filled();
                }
                Ok(found)
            }
            refused => refused,
        }
    }

    fn chained(
        &self,
        source: &Source,
        param: &ParamDef,
        ask: &Ask<'_>,
        of_type: Option<&str>,
        reached: &Reached,
    ) -> Result<Predicate, Refusal> {
        if of_type.is_some_and(|ty| !is_type(ty)) {
            return Err(Refusal::Unable);
        }
        let walk = Walk::new(source, &self.reading, false);
        let paths: Vec<&ParamPath> = param.paths.iter().filter(|p| walk.is_mapped(p)).collect();
        if paths.is_empty() {
            return Err(Refusal::NotMapped);
        }
        let known = Cell::new(false);
        let refused = RefCell::new(None);
        let step = |path: &ParamPath, tree: &Tree| -> Result<Predicate, Refusal> {
            let Tree::Object(object) = tree else { return Err(Refusal::Unable) };
            let Some(reference) = object.member("reference") else { return Ok(Predicate::Never) };
            let Tree::Leaf(leaf) = &reference.value else { return Err(Refusal::Unable) };
            let Some(Step::Reference(target)) = leaf.lens.steps.last() else {
                return Err(Refusal::Unable);
            };
            let other = |ty: &str| ty != target.resource_type;
            if of_type.is_some_and(other) || path.target.is_some_and(other) {
                return Ok(Predicate::Never);
            }
            let there = reach::source_of(&self.sources, target).ok_or(Refusal::Unable)?;
            let found = match self.there(there, ask, reached) {
                // Of a reference to several types, only those that have the parameter count.
                Err(Refusal::Unknown) => return Ok(Predicate::Never),
                found => found?,
            };
            known.set(true);
            let pointer = Pointer::of(&leaf.lens)?;
            if found == Predicate::Never {
                return Ok(Predicate::Never);
            }
            let rows = Box::new(reach::rows(there, &self.reading, found)?);
            let among = Predicate::Among { own: pointer.columns, theirs: reach::key(there), rows };
            Ok(all([pointer.there, among]))
        };
        let mut found = Vec::new();
        for path in paths {
            let here = walk.run(path, &|at| {
                step(path, at.tree).map_err(|refusal| {
                    refused.replace(Some(refusal));
                    Unable
                })
            });
            match here {
                Ok(condition) => found.push(condition),
                Err(unable) => return Err(refused.take().unwrap_or(unable.into())),
            }
        }
        if known.get() { Ok(any(found)) } else { Err(Refusal::Unknown) }
    }

    /// `_has:Observation:patient:code`: some Observation that points here meets a condition.
    fn has(&self, source: &Source, ask: &Ask<'_>, reached: &Reached) -> Result<Predicate, Refusal> {
        let mut parts = ask.modifier.unwrap_or_default().splitn(3, ':');
        let (Some(ty), Some(by), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Refusal::Unknown);
        };
        if ask.chain.is_some() {
            return Err(Refusal::Unable);
        }
        if ask.values.is_empty() {
            return Err(Refusal::Value("a value"));
        }
        let ask = Ask { modifier: None, ..*ask }.next(rest)?;
        if !self.maps(ty) {
            return Err(Refusal::Unknown);
        }
        let (mut found, mut points) = (Vec::new(), false);
        let before = reached.take_filled();
        for (_, from) in self.of_type(ty) {
            let param = from.params.iter().find(|p| p.name == by);
            let param = param.filter(|p| p.kind == ParamKind::Reference);
            let param = param.ok_or(Refusal::Unknown)?;
            let found_there = self.there(from, &ask, reached)?;
            let walk = Walk::new(from, &self.reading, false);
            for path in param.paths.iter().filter(|path| walk.is_mapped(path)) {
                if path.target.is_some_and(|ty| ty != source.resource_type) {
                    continue;
                }
                for road in roads(&walk, path, source)? {
                    points = true;
                    if found_there != Predicate::Never {
                        found.push(road.back(
                            source,
                            (from, &self.reading),
                            found_there.clone(),
                        )?);
                    }
                }
            }
        }
        // What stands in resources that never point here is no condition on what is here.
        if reached.take_filled() && points || before {
            reached.filled();
        }
        if points { Ok(any(found)) } else { Err(Refusal::NotMapped) }
    }
}

/// One leaf that points to a source, and what leads to it.
struct Road {
    pointer: Pointer,
    /// What must hold of the base rows.
    on_base: Predicate,
    /// The one-to-many rows the leaf is in, and what must hold of those.
    inside: Option<(usize, Predicate)>,
}

/// Every leaf on a path that points to rows of a source.
fn roads(walk: &Walk<'_>, path: &ParamPath, to: &Source) -> Result<Vec<Road>, Unable> {
    let total = Cell::new(0_usize);
    walk.run(path, &|_| {
        total.set(total.get() + 1);
        Ok(Predicate::Never)
    })?;
    let mut roads = Vec::new();
    for wanted in 0..total.get() {
        let (spot, at_leaf) = (Spot::default(), Cell::new(0_usize));
        let pointer = RefCell::new(None);
        let one = Walk { spot: Some(&spot), ..*walk };
        let on_base = one.run(path, &|at| {
            let number = at_leaf.replace(at_leaf.get() + 1);
            let Tree::Object(object) = at.tree else { return Err(Unable) };
            let reference = object.member("reference").filter(|_| number == wanted);
            let Some(reference) = reference else { return Ok(Predicate::Never) };
            let Tree::Leaf(leaf) = &reference.value else { return Err(Unable) };
            let Some(Step::Reference(target)) = leaf.lens.steps.last() else { return Err(Unable) };
            if target.resource_type != to.resource_type || target.id != to.id {
                return Ok(Predicate::Never);
            }
            pointer.replace(Some(Pointer::of(&leaf.lens)?));
            spot.met.set(true);
            Ok(Predicate::Always)
        })?;
        let inside = spot.inside.into_inner();
        if let Some(pointer) = pointer.into_inner() {
            roads.push(Road { pointer, on_base, inside });
        }
    }
    Ok(roads)
}

impl Road {
    /// The rows of `to` that some row of `from` points to by this leaf.
    fn back(
        self,
        to: &Source,
        (from, reading): (&Source, &Reading),
        condition: Predicate,
    ) -> Result<Predicate, Unable> {
        let Self { pointer, on_base, inside } = self;
        let Pointer { columns: theirs, there, .. } = pointer;
        let own = reach::key(to);
        let Some((child, on_rows)) = inside else {
            let rows = reach::rows(from, reading, all([on_base, condition, there]))?;
            return Ok(Predicate::Among { own, theirs, rows: Box::new(rows) });
        };
        let child = from.children.get(child).ok_or(Unable)?;
        let columns = |slots: &[crate::mapping::lens::Slot]| -> Vec<Expr> {
            slots.iter().map(|slot| Expr::Column(slot.column.clone())).collect()
        };
        let parents = Predicate::Among {
            own: columns(&child.own),
            theirs: columns(&child.parent),
            rows: Box::new(reach::rows(from, reading, all([on_base, condition]))?),
        };
        let rows = Rowset {
            from: Arc::clone(&child.relation),
            joins: Arc::clone(&child.joins),
            filter: all([child.filter.clone(), on_rows, there, parents]),
        };
        Ok(Predicate::Among { own, theirs, rows: Box::new(rows) })
    }
}
