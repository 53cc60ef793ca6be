//! Search parameters turned around: from what a caller asks for to conditions on columns, through the
//! same template that renders. What cannot be turned around is refused by name, never answered with
//! everything.

use jiff::tz::TimeZone;

use super::dates::Interval;
use super::inverse::{Measure, equals_before, leaves, member, present, string, token};
use super::leaf::Step;
use super::plan::{ColumnRef, CompareOp, Predicate, Select};
use super::source::Source;
use super::template::Node;
use crate::fhir::query::{QueryParam, unescape};
use crate::fhir::search_params::{ParamKind, SearchParam};

/// Why a parameter cannot be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nothing mapped can answer it.
    NotMapped,
    /// The modifier is not supported.
    Modifier,
    /// A value is malformed.
    Value,
}

/// What a predicate is built against.
pub(super) struct Asked<'a> {
    pub(super) source: &'a Source,
    pub(super) zone: &'a TimeZone,
    /// The FHIR base URL: absolute references below it are ours.
    pub(super) base: &'a str,
}

/// A place where a leaf or object was found, and the columns its slots mean.
pub(super) struct Place<'a> {
    pub(super) node: &'a Node,
    pub(super) columns: &'a [ColumnRef],
    child: Option<usize>,
}

impl Asked<'_> {
    /// The condition of one parameter.
    pub(super) fn predicate(
        &self,
        param: &SearchParam,
        query: &QueryParam,
    ) -> Result<Predicate, Refusal> {
        let modifier = query.modifier.as_deref();
        let mut places = Vec::new();
        for path in param.paths {
            let (path, system) = match path.split_once('[') {
                Some((path, system)) => (path, Some(system.trim_end_matches(']'))),
                None => (*path, None),
            };
            for place in self.find(path) {
                places.push((place, system));
            }
        }
        if places.is_empty() {
            return Err(Refusal::NotMapped);
        }
        if modifier == Some("missing") {
            return self.missing(&places, query);
        }
        let (mut any, mut served) = (Vec::new(), false);
        for value in &query.values {
            for (place, system) in &places {
                let found = match param.kind {
                    ParamKind::Token => token(place, value, *system),
                    ParamKind::String => string(place, &unescape(value), modifier)?,
                    ParamKind::Date => self.date(place, value)?,
                    ParamKind::Reference => self.reference(place, value, param, modifier),
                };
                if let Some(predicate) = found {
                    served = true;
                    any.push(self.lift(place, predicate));
                }
            }
        }
        if !served {
            return Err(Refusal::NotMapped);
        }
        let any = Predicate::Any(any);
        match (param.kind, modifier) {
            (_, None) | (ParamKind::String, Some("exact" | "contains")) => Ok(any),
            (ParamKind::Token, Some("not")) => Ok(Predicate::Not(Box::new(any))),
            (ParamKind::Reference, Some(ty))
                if ty.starts_with(|c: char| c.is_ascii_uppercase()) =>
            {
                Ok(any)
            }
            _ => Err(Refusal::Modifier),
        }
    }

    fn missing(
        &self,
        places: &[(Place<'_>, Option<&str>)],
        query: &QueryParam,
    ) -> Result<Predicate, Refusal> {
        let wanted = match query.values.first().map(String::as_str) {
            Some("true") => true,
            Some("false") => false,
            _ => return Err(Refusal::Value),
        };
        let present = places.iter().map(|(place, _)| {
            let leaves = leaves(place.node);
            let any = leaves.iter().map(|leaf| present(leaf, place.columns));
            self.lift(place, Predicate::Any(any.collect()))
        });
        let present = Predicate::Any(present.collect());
        Ok(if wanted { Predicate::Not(Box::new(present)) } else { present })
    }

    /// Wraps a condition on a one-to-many table into one on the base table.
    fn lift(&self, place: &Place<'_>, predicate: Predicate) -> Predicate {
        let Some(child) = place.child.and_then(|at| self.source.children.get(at)) else {
            return predicate;
        };
        let columns: Vec<ColumnRef> = child
            .parent
            .iter()
            .filter_map(|slot| self.source.columns.get(*slot))
            .cloned()
            .collect();
        Predicate::InSelect {
            columns,
            select: Box::new(Select {
                from: child.relation.clone(),
                joins: Vec::new(),
                columns: child.own.clone(),
                filter: Predicate::All(vec![child.filter.clone(), predicate]),
                order: Vec::new(),
                after: None,
                limit: None,
            }),
        }
    }

    fn find(&self, path: &str) -> Vec<Place<'_>> {
        let start = Place { node: &self.source.root, columns: &self.source.columns, child: None };
        let mut found = vec![start];
        for name in path.split('.') {
            let key = format!("\"{name}\":");
            found = found
                .into_iter()
                .flat_map(|place| self.items(place))
                .filter_map(|place| match place.node {
                    Node::Object(members) => {
                        let (_, node) = members.iter().find(|(own, _)| *own == key)?;
                        Some(Place { node, ..place })
                    }
                    _ => None,
                })
                .collect();
        }
        found.into_iter().flat_map(|place| self.items(place)).collect()
    }

    /// An array's items, each with the columns it is about; anything else is its own only item.
    fn items<'s>(&'s self, place: Place<'s>) -> Vec<Place<'s>> {
        match place.node {
            Node::Array(items) => items
                .iter()
                .flat_map(|node| {
                    self.items(Place { node, columns: place.columns, child: place.child })
                })
                .collect(),
            Node::Each(at, inner) => self
                .source
                .children
                .get(*at)
                .map(|child| Place { node: inner, columns: &child.columns, child: Some(*at) })
                .into_iter()
                .flat_map(|place| self.items(place))
                .collect(),
            _ => vec![place],
        }
    }

    fn reference(
        &self,
        place: &Place<'_>,
        value: &str,
        param: &SearchParam,
        modifier: Option<&str>,
    ) -> Option<Predicate> {
        let value = unescape(value);
        let relative = value
            .strip_prefix(self.base)
            .map_or(value.as_str(), |rest| rest.trim_start_matches('/'));
        let (ty, id) = match relative.rsplit_once('/') {
            Some((ty, id)) => (Some(ty), id),
            None => (modifier, relative),
        };
        let leaf = match place.node {
            Node::Object(members) => member(members, "reference")?,
            node => node,
        };
        let Node::Leaf(leaf) = leaf else { return None };
        let Some(Step::Reference { target, prefix }) = leaf.steps.last() else { return None };
        let wanted = param.target.is_none_or(|t| t == target) && ty.is_none_or(|t| t == target);
        match id.strip_prefix(prefix.as_str()).filter(|_| wanted) {
            Some(key) => equals_before(leaf, place.columns, leaf.steps.len() - 1, key.to_owned()),
            None => Some(Predicate::Never),
        }
    }

    fn date(&self, place: &Place<'_>, value: &str) -> Result<Option<Predicate>, Refusal> {
        let Node::Leaf(leaf) = place.node else { return Ok(None) };
        let (prefix, text) = match value.get(..2) {
            Some(prefix) if prefix.bytes().all(|b| b.is_ascii_lowercase()) => {
                (prefix, value.get(2..).unwrap_or_default())
            }
            _ => ("eq", value),
        };
        let zone = match leaf.steps.last() {
            Some(Step::DateTime(Some(format))) => format.zone(self.zone),
            _ => self.zone,
        };
        let interval = Interval::parse(&unescape(text), self.zone).ok_or(Refusal::Value)?;
        let Some(measure) = Measure::of(leaf, place.columns) else { return Ok(None) };
        let utc = zone.to_fixed_offset().is_ok_and(jiff::tz::Offset::is_zero) && self.zone != zone;
        let (low, high) = measure.bounds(&interval, utc);
        let compare = |op, right| Predicate::Compare { left: measure.expr.clone(), op, right };
        Ok(Some(match prefix {
            "eq" => Predicate::All(vec![compare(CompareOp::Ge, low), compare(CompareOp::Lt, high)]),
            "ne" => Predicate::Any(vec![compare(CompareOp::Lt, low), compare(CompareOp::Ge, high)]),
            "gt" | "sa" => compare(CompareOp::Ge, high),
            "ge" => compare(CompareOp::Ge, low),
            "lt" | "eb" => compare(CompareOp::Lt, low),
            "le" => compare(CompareOp::Lt, high),
            _ => return Err(Refusal::Value),
        }))
    }
}
