//! Searches derived from the mapping: a parameter's path leads to the parts of the template that
//! fill it, and each of those turns the wanted value back into a condition on its columns.

mod date;
mod number;
mod plan;
mod reference;
mod shape;
mod stored;
mod string;
mod token;
mod walk;

use crate::fhir::params::{ParamDef, ParamKind, ParamPath};
use crate::fhir::query::{split, unescape};

use super::PlanFault;
use super::compiled::id_predicate;
use super::lens::Reading;
use super::lens::predicate::{any, not};
use super::plan::{ColumnRef, Predicate};
use super::tree::{Source, Tree};
use walk::Walk;

pub(in crate::mapping) use date::beside;
pub use plan::{PageRequest, Position, SearchPlan};

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
}

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
    let walk = Walk { source, reading, strict };
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
    let mut alternatives = Vec::new();
    for value in asked.values {
        for path in &trees {
            if path.exists {
                alternatives.push(exists(&walk, path, value, asked.modifier)?);
                continue;
            }
            let found = match param.kind {
                ParamKind::Token => token::condition(&walk, path, value, asked.modifier)?,
                ParamKind::String => string::condition(&walk, path, value, asked.modifier)?,
                ParamKind::Date => date::condition(&walk, path, value, asked.modifier)?,
                ParamKind::Reference => {
                    reference::condition(&walk, path, value, asked.modifier, asked.base)?
                }
                ParamKind::Quantity | ParamKind::Number => {
                    number::condition(&walk, path, value, asked.modifier)?
                }
                ParamKind::Uri => string::uri(&walk, path, value, asked.modifier)?,
            };
            alternatives.push(found);
        }
    }
    let found = any(alternatives);
    Ok(if asked.modifier == Some("not") { not(found) } else { found })
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
    Walk { source, reading, strict: true }.shown().ok()
}

/// The parameters that can be run on a source: each is tried with a value of its kind.
pub(super) fn served(source: &Source, reading: &Reading) -> Vec<&'static str> {
    let mut served = Vec::new();
    for param in &source.params {
        let asks = param.paths.iter().any(|path| path.exists);
        let probe = match param.kind {
            _ if asks => "true",
            ParamKind::Token | ParamKind::String => "a",
            ParamKind::Date => "2000-01-01",
            ParamKind::Reference | ParamKind::Quantity | ParamKind::Number => "1",
            ParamKind::Uri => "urn:a",
        };
        let values = [probe.to_owned()];
        let asked = Asked { modifier: None, values: &values, base: "" };
        if condition(source, reading, param, &asked).is_ok() {
            served.push(param.name);
        }
    }
    served
}

/// For each parameter served, the base table's columns that are looked at as they are.
pub(super) fn base_columns(source: &Source) -> Vec<(&'static str, Vec<ColumnRef>)> {
    let mut found = Vec::new();
    for param in source.params.iter().filter(|p| source.served.contains(&p.name)) {
        let mut columns = Vec::new();
        for path in &param.paths {
            let Some(first) = path.steps.first() else { continue };
            let members = source.root.members.iter().filter(|m| m.element == first.element);
            for member in members {
                bare(&member.value, &mut columns);
            }
        }
        found.push((param.name, columns));
    }
    found
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
        _ => PlanFault::Unsupported { parameter },
    }
}
