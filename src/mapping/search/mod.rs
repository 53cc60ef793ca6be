//! Searches derived from the mapping: a parameter's path leads to the parts of the template that
//! fill it, and each of those turns the wanted value back into a condition on its columns.

mod chain;
mod columns;
mod composite;
mod date;
mod everything;
mod grain;
mod implied;
mod include;
mod merge;
mod number;
mod plan;
mod reach;
mod reached;
mod reference;
mod report;
mod sort;
mod shape;
mod stored;
mod string;
mod token;
mod walk;

use jiff::civil::Date;

use crate::fhir::params::{ParamDef, ParamKind, ParamPath, ParamStep};
use crate::fhir::query::{split, unescape};

use super::PlanFault;
use super::compiled::id_predicate;
use super::lens::Reading;
use super::lens::predicate::{all, any, not};
use super::plan::{ColumnRef, Predicate};
use super::tree::{Member, Object, Source, Tree};
use walk::Walk;

pub(in crate::mapping) use date::beside;
pub use everything::Everything;
pub use include::{Included, Includes, PlannedKeys};
pub use merge::{LostPlace, merge, resume};
pub use plan::{PageRequest, Position, SearchPlan};
pub use report::{TypeSearches, Unserved};

/// Something a lens cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unable;

/// What a condition comes to in one source.
type Found = Result<Predicate, Unable>;

/// Why a condition cannot be planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The source does not fill the element at all.
    NotMapped,
    /// It does, in a way that cannot be searched.
    Unable,
    /// The modifier is not served.
    Modifier,
    /// There is no such parameter.
    Unknown,
    /// It follows more references than one condition may.
    Deep,
    /// It looks into more sources than one search may.
    Wide,
    /// The value is none of the parameter's kind.
    Value(&'static str),
}

impl From<Unable> for Refusal {
    fn from(_: Unable) -> Self {
        Self::Unable
    }
}

/// One condition, as it was asked.
pub(super) struct Asked<'q> {
    pub modifier: Option<&'q str>,
    /// Alternatives, FHIR's escapes still in them.
    pub values: &'q [String],
    /// The public base URL, for references given as whole URLs.
    pub base: &'q str,
    /// The day that `ap` measures from.
    pub day: Date,
}

/// The day of conditions that have no `ap`.
const NO_DAY: Date = Date::constant(1970, 1, 1);

/// One condition on one source.
pub(super) fn condition(
    source: &Source,
    reading: &Reading,
    param: &ParamDef,
    asked: &Asked<'_>,
) -> Result<Predicate, Refusal> {
    if param.name == "_id" {
        if asked.modifier.is_some() {
            return Err(Refusal::Modifier);
        }
        return Ok(any(asked.values.iter().map(|id| id_predicate(source, &unescape(id)))));
    }
    let strict = matches!(asked.modifier, Some("not" | "missing"));
    simple(&Walk::new(source, reading, strict), param, asked)
}

/// A condition on what a walk begins at.
fn simple(walk: &Walk<'_>, param: &ParamDef, asked: &Asked<'_>) -> Result<Predicate, Refusal> {
    let trees: Vec<&ParamPath> = param.paths.iter().filter(|path| walk.is_mapped(path)).collect();
    if trees.is_empty() {
        return Err(Refusal::NotMapped);
    }
    if asked.modifier == Some("missing") {
        let [wanted] = asked.values else { return Err(Refusal::Value("true or false")) };
        let found = trees.iter().map(|path| walk.run(path, &|at| walk.present(at.tree)));
        let present = any(found.collect::<Result<Vec<_>, Unable>>()?);
        return match wanted.as_str() {
            "true" => Ok(not(present)),
            "false" => Ok(present),
            _ => Err(Refusal::Value("true or false")),
        };
    }
    if param.kind == ParamKind::Reference && asked.modifier == Some("identifier") {
        return identifier(walk, &trees, asked);
    }
    let mut alternatives = Vec::new();
    for path in &trees {
        if param.kind == ParamKind::Reference {
            let found = reference::condition(walk, path, asked.values, asked.modifier, asked.base)?;
            alternatives.push(found);
            continue;
        }
        for value in asked.values {
            let modifier = asked.modifier;
            alternatives.push(match param.kind {
                _ if path.exists => exists(walk, path, value, modifier)?,
                ParamKind::Token => token::condition(walk, path, value, modifier)?,
                ParamKind::String => string::condition(walk, path, value, modifier)?,
                ParamKind::Date => date::condition(walk, path, value, modifier, asked.day)?,
                ParamKind::Quantity | ParamKind::Number => {
                    number::condition(walk, path, value, modifier)?
                }
                ParamKind::Uri => string::uri(walk, path, value, modifier)?,
                ParamKind::Reference | ParamKind::Composite => return Err(Refusal::Unable),
            });
        }
    }
    let found = any(alternatives);
    Ok(if asked.modifier == Some("not") { not(found) } else { found })
}

/// `subject:identifier=system|value`: the identifier that stands in the reference itself.
fn identifier(
    walk: &Walk<'_>,
    paths: &[&ParamPath],
    asked: &Asked<'_>,
) -> Result<Predicate, Refusal> {
    let mut found = Vec::new();
    for path in paths {
        let mut path = (*path).clone();
        path.steps.push(ParamStep { element: "identifier", ty: None, only: None });
        if !walk.is_mapped(&path) {
            continue;
        }
        if path.target.is_some() {
            // Which type such a reference is to would have to be told from its identifier.
            return Err(Refusal::Modifier);
        }
        for value in asked.values {
            found.push(token::condition(walk, &path, value, None)?);
        }
    }
    if found.is_empty() { Err(Refusal::Modifier) } else { Ok(any(found)) }
}

/// `deceased=true`: something is there, and is not `false`.
fn exists(
    walk: &Walk<'_>,
    path: &ParamPath,
    value: &str,
    modifier: Option<&str>,
) -> Result<Predicate, Refusal> {
    if !matches!(modifier, None | Some("not")) {
        return Err(Refusal::Modifier);
    }
    // Both answers are negations of each other, so each must be all there is.
    let walk = Walk { strict: true, ..*walk };
    let found = walk.run(path, &|at| match at.ty {
        "boolean" => walk.equals(at.tree, "true"),
        _ => walk.present(at.tree),
    })?;
    match value {
        "true" => Ok(found),
        "false" => Ok(not(found)),
        _ => Err(Refusal::Value("true or false")),
    }
}

/// The rows whose resource is written at all, where the database can be asked.
pub(super) fn shown(source: &Source, reading: &Reading) -> Option<Predicate> {
    let whole = Walk::new(source, reading, true).shown().ok()?;
    Some(all([whole, reach::identified(source)]))
}

/// The parameters that can be run on a source: each is tried with a value of its kind.
pub(super) fn served(source: &Source, reading: &Reading) -> Vec<&'static str> {
    let mut served = Vec::new();
    for param in &source.params {
        let asked = probe(param);
        let values = [asked.to_owned()];
        let asked = Asked { modifier: None, values: &values, base: "", day: NO_DAY };
        if condition(source, reading, param, &asked).is_ok() {
            served.push(param.name);
        }
    }
    let walk = Walk::new(source, reading, false);
    for def in &source.composites {
        let probes: Vec<&str> = def.components.iter().map(probe).collect();
        let values = [probes.join("$")];
        let asked = Asked { modifier: None, values: &values, base: "", day: NO_DAY };
        if composite::condition(&walk, def, &asked).is_ok() {
            served.push(def.name);
        }
    }
    served
}

/// A value that fits a parameter's kind.
fn probe(param: &ParamDef) -> &'static str {
    match param.kind {
        _ if param.paths.iter().any(|path| path.exists) => "true",
        ParamKind::Token | ParamKind::String | ParamKind::Composite => "a",
        ParamKind::Date => "2000-01-01",
        ParamKind::Reference | ParamKind::Quantity | ParamKind::Number => "1",
        ParamKind::Uri => "urn:a",
    }
}

/// For each parameter served, the base table's columns that are looked at as they are.
pub(super) fn base_columns(source: &Source) -> Vec<(&'static str, Vec<ColumnRef>)> {
    let mut found = Vec::new();
    for param in source.params.iter().filter(|p| source.served.contains(&p.name)) {
        let mut columns = Vec::new();
        for path in &param.paths {
            on_path(&source.root, &path.steps, &mut columns);
        }
        found.push((param.name, columns));
    }
    found
}

/// What stands on a path and below its end.
fn on_path(object: &Object, steps: &[ParamStep], columns: &mut Vec<ColumnRef>) {
    let Some((step, rest)) = steps.split_first() else { return };
    let fits = |m: &&Member| m.element == step.element && step.ty.is_none_or(|ty| ty == m.ty);
    for member in object.members.iter().filter(fits) {
        let mut trees = vec![&member.value];
        while let Some(tree) = trees.pop() {
            match tree {
                Tree::List(items) => trees.extend(items),
                Tree::Object(inner) if !rest.is_empty() => on_path(inner, rest, columns),
                tree => bare(tree, columns),
            }
        }
    }
}

fn bare(tree: &Tree, columns: &mut Vec<ColumnRef>) {
    match tree {
        Tree::Leaf(leaf) => {
            let slots = leaf.lens.slots().iter().filter(|slot| slot.column.relation == 0);
            columns.extend(slots.map(|slot| slot.column.clone()));
        }
        Tree::Object(object) => object.members.iter().for_each(|m| bare(&m.value, columns)),
        Tree::List(items) => items.iter().for_each(|item| bare(item, columns)),
        Tree::Case(branches) => {
            branches.iter().filter_map(|b| b.tree.as_ref()).for_each(|tree| bare(tree, columns));
        }
        Tree::Each(_) | Tree::Const(_) => {}
    }
}

/// A prefix of a number or date: `eq ne gt lt ge le sa eb ap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    Eq,
    Ne,
    Gt,
    Lt,
    Ge,
    Le,
    Sa,
    Eb,
    Ap,
}

impl Prefix {
    fn cut(text: &str) -> (Self, &str) {
        let Some((head, rest)) = text.split_at_checked(2) else { return (Self::Eq, text) };
        let prefix = match head {
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "gt" => Self::Gt,
            "lt" => Self::Lt,
            "ge" => Self::Ge,
            "le" => Self::Le,
            "sa" => Self::Sa,
            "eb" => Self::Eb,
            "ap" => Self::Ap,
            _ => return (Self::Eq, text),
        };
        (prefix, rest)
    }
}

/// A value's parts between bars, unescaped.
fn bars(value: &str) -> Vec<String> {
    split(value, '|').into_iter().map(unescape).collect()
}

/// What a refusal is called towards the caller.
pub(super) fn fault(parameter: &str, modifier: Option<&str>, refusal: Refusal) -> PlanFault {
    let parameter = parameter.to_owned();
    match (refusal, modifier) {
        (Refusal::Modifier, Some(modifier)) => {
            PlanFault::Modifier { parameter, modifier: modifier.to_owned() }
        }
        (Refusal::Value(expected), _) => PlanFault::Value { parameter, expected },
        (Refusal::Deep, _) => PlanFault::Deep { parameter, most: reached::MAX_STEPS },
        (Refusal::Wide, _) => PlanFault::Wide { parameter, most: reached::MAX_LOOKS },
        _ => PlanFault::Unsupported { parameter },
    }
}
