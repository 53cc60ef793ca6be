//! Search parameters turned around: from what a caller asks for to conditions on columns, through the
//! same template that renders. What cannot be turned around is refused by name, never answered with
//! everything.

use jiff::tz::TimeZone;

use super::catalog::SqlType;
use super::dates::Interval;
use super::leaf::{Leaf, Step};
use super::plan::{ColumnRef, CompareOp, Expr, Predicate, Select, TextMatch, Value};
use super::source::Source;
use super::template::Node;
use super::values;
use crate::fhir::query::{QueryParam, split_escaped, unescape};
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
struct Place<'a> {
    node: &'a Node,
    columns: &'a [ColumnRef],
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
        let utc = zone.to_fixed_offset().is_ok_and(|offset| offset.is_zero()) && self.zone != zone;
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

/// A column that can be put in order by time.
struct Measure {
    expr: Expr,
    ty: SqlType,
    /// Stored to the day only.
    days: bool,
}

impl Measure {
    fn of(leaf: &Leaf, columns: &[ColumnRef]) -> Option<Self> {
        let [slot] = leaf.slots.as_slice() else { return None };
        let column = columns.get(*slot)?.clone();
        let step =
            leaf.steps.iter().rev().find(|s| matches!(s, Step::Date(_) | Step::DateTime(_)))?;
        let (Step::Date(format) | Step::DateTime(format)) = step else { return None };
        match (column.ty, format) {
            (SqlType::Text | SqlType::Char | SqlType::Any, Some(format)) => Some(Self {
                expr: Expr::Pieces { column, pieces: format.pieces() },
                ty: SqlType::Text,
                days: !format.has_time(),
            }),
            // Without a format a text column must hold ISO dates.
            (SqlType::Text | SqlType::Char | SqlType::Any, None) => {
                let days = matches!(step, Step::Date(_));
                Some(Self { expr: Expr::Column(column), ty: SqlType::Text, days })
            }
            (SqlType::Date, None) => {
                Some(Self { expr: Expr::Column(column), ty: SqlType::Date, days: true })
            }
            (ty @ (SqlType::DateTime | SqlType::Instant), None) => {
                Some(Self { expr: Expr::Column(column), ty, days: false })
            }
            _ => None,
        }
    }

    fn bounds(&self, interval: &Interval, utc: bool) -> (Value, Value) {
        let (low, high) = match (self.ty, utc) {
            (SqlType::Instant, _) => (interval.low_instant.clone(), interval.high_instant.clone()),
            (_, true) => (
                interval.low_instant.trim_end_matches('Z').to_owned(),
                interval.high_instant.trim_end_matches('Z').to_owned(),
            ),
            _ => (interval.low.clone(), interval.high.clone()),
        };
        let cut = |text: String| if self.days { text.chars().take(10).collect() } else { text };
        (Value { ty: self.ty, text: cut(low) }, Value { ty: self.ty, text: cut(high) })
    }
}

fn member<'n>(members: &'n [(String, Node)], name: &str) -> Option<&'n Node> {
    let key = format!("\"{name}\":");
    members.iter().find(|(own, _)| *own == key).map(|(_, node)| node)
}

fn leaves(node: &Node) -> Vec<&Leaf> {
    match node {
        Node::Leaf(leaf) => vec![leaf],
        Node::Object(members) => members.iter().flat_map(|(_, node)| leaves(node)).collect(),
        Node::Array(items) => items.iter().flat_map(leaves).collect(),
        Node::Each(..) | Node::Constant(_) => Vec::new(),
    }
}

fn present(leaf: &Leaf, columns: &[ColumnRef]) -> Predicate {
    let there = leaf.slots.iter().filter_map(|slot| columns.get(*slot)).map(|column| {
        let mut gone = vec![Predicate::IsNull(Expr::Column(column.clone()))];
        if let Some(blank) = values::parse(column.ty, "") {
            gone.push(Predicate::In { left: Expr::Column(column.clone()), values: vec![blank] });
        }
        Predicate::Not(Box::new(Predicate::Any(gone)))
    });
    Predicate::Any(there.collect())
}

/// `code`, `system|code`, `|code`, `system|` (FHIR R4, 3.1.1.4.10).
fn token(place: &Place<'_>, value: &str, only_system: Option<&str>) -> Option<Predicate> {
    let parts = split_escaped(value, '|');
    let (system, code) = match parts.as_slice() {
        [code] => (None, unescape(code)),
        [system, code] => (Some(unescape(system)), unescape(code)),
        _ => return None,
    };
    match place.node {
        Node::Leaf(_) | Node::Constant(_) => is(place.node, place.columns, &code),
        Node::Object(members) => {
            if let Some(Node::Array(codings)) = member(members, "coding") {
                let any = codings.iter().filter_map(|coding| match coding {
                    Node::Object(coding) => {
                        pair(coding, "code", place.columns, system.as_deref(), &code)
                    }
                    _ => None,
                });
                return Some(Predicate::Any(any.collect()));
            }
            let key = if member(members, "value").is_some() { "value" } else { "code" };
            let found = pair(members, key, place.columns, system.as_deref(), &code)?;
            match only_system {
                None => Some(found),
                Some(wanted) => {
                    let system = is(member(members, "system")?, place.columns, wanted)?;
                    Some(Predicate::All(vec![found, system]))
                }
            }
        }
        Node::Array(_) | Node::Each(..) => None,
    }
}

fn pair(
    members: &[(String, Node)],
    key: &str,
    columns: &[ColumnRef],
    system: Option<&str>,
    code: &str,
) -> Option<Predicate> {
    let mut all = Vec::new();
    if !code.is_empty() {
        all.push(is(member(members, key)?, columns, code)?);
    }
    match (system, member(members, "system")) {
        (None, _) | (Some(""), None) => {}
        (Some(""), Some(Node::Leaf(leaf))) => {
            all.push(Predicate::Not(Box::new(present(leaf, columns))));
        }
        (Some(""), Some(_)) | (Some(_), None) => all.push(Predicate::Never),
        (Some(system), Some(node)) => all.push(exactly(node, columns, system)?),
    }
    Some(Predicate::All(all))
}

/// Whether a node's value is this code; without regard to case where it is a constant or goes through a map.
fn is(node: &Node, columns: &[ColumnRef], text: &str) -> Option<Predicate> {
    match node {
        Node::Constant(json) => {
            let own = json.trim_matches('"');
            Some(if own.eq_ignore_ascii_case(text) { Predicate::Always } else { Predicate::Never })
        }
        Node::Leaf(leaf) => equals_before(leaf, columns, leaf.steps.len(), text.to_owned()),
        _ => None,
    }
}

fn exactly(node: &Node, columns: &[ColumnRef], text: &str) -> Option<Predicate> {
    match node {
        Node::Constant(json) => {
            let mut own = Vec::new();
            super::template::string(text, &mut own);
            Some(if own == json.as_bytes() { Predicate::Always } else { Predicate::Never })
        }
        node => is(node, columns, text),
    }
}

/// Which stored values become `text` through the leaf's first `upto` steps.
fn equals_before(
    leaf: &Leaf,
    columns: &[ColumnRef],
    upto: usize,
    text: String,
) -> Option<Predicate> {
    let mut wanted = vec![text];
    let (mut folded, mut missing, mut other_than) = (false, false, None);
    for step in leaf.steps.get(..upto)?.iter().rev() {
        match step {
            Step::First => {}
            Step::Join(_) if leaf.slots.len() == 1 => {}
            Step::Upper | Step::Lower => folded = true,
            Step::Null(sentinels) => wanted.retain(|text| !sentinels.contains(text)),
            Step::Default(instead) => missing |= wanted.contains(instead),
            Step::Prefix(prefix) => {
                wanted = wanted
                    .iter()
                    .filter_map(|t| t.strip_prefix(prefix.as_str()))
                    .map(str::to_owned)
                    .collect();
            }
            Step::Bool(yes, no) => {
                let back = |text: &String| match text.as_str() {
                    "true" => Some(yes.clone()),
                    "false" => Some(no.clone()),
                    _ => None,
                };
                wanted = wanted.iter().filter_map(back).collect();
            }
            Step::Code(map) => {
                let inverses: Vec<_> = wanted.iter().map(|text| map.inverse(text)).collect();
                wanted = inverses.iter().flat_map(|i| i.values.clone()).collect();
                missing |= inverses.iter().any(|i| i.missing);
                other_than = inverses.into_iter().find_map(|i| i.other_than);
                folded |= map.ignore_case;
            }
            Step::Int => wanted.retain(|text| super::leaf::canonical_int(text).is_some()),
            _ => return None,
        }
    }
    let any = leaf
        .slots
        .iter()
        .filter_map(|slot| columns.get(*slot))
        .map(|column| stored(column, &wanted, folded, missing, other_than.as_deref()));
    Some(Predicate::Any(any.collect()))
}

fn stored(
    column: &ColumnRef,
    wanted: &[String],
    folded: bool,
    missing: bool,
    other_than: Option<&[String]>,
) -> Predicate {
    let left = || Expr::Column(column.clone());
    let typed = |texts: &[String]| -> Vec<Value> {
        texts.iter().filter_map(|text| values::parse(column.ty, text)).collect()
    };
    let textual = matches!(column.ty, SqlType::Text | SqlType::Char | SqlType::Enum | SqlType::Any);
    let among = |texts: &[String]| {
        if folded && textual {
            let each = texts.iter().map(|text| Predicate::Text {
                left: left(),
                how: TextMatch::Equals,
                text: text.clone(),
                folded: true,
            });
            Predicate::Any(each.collect())
        } else {
            Predicate::In { left: left(), values: typed(texts) }
        }
    };
    let mut any = vec![among(wanted)];
    let mut gone = vec![Predicate::IsNull(left())];
    gone.extend(
        values::parse(column.ty, "")
            .map(|blank| Predicate::In { left: left(), values: vec![blank] }),
    );
    if let Some(known) = other_than {
        let not_known = Predicate::Not(Box::new(among(known)));
        let there = Predicate::Not(Box::new(Predicate::Any(gone.clone())));
        any.push(Predicate::All(vec![not_known, there]));
    }
    if missing {
        any.push(Predicate::Any(gone));
    }
    Predicate::Any(any)
}

/// Strings match from the beginning, without regard to case and accents (FHIR R4, 3.1.1.4.9).
fn string(
    place: &Place<'_>,
    text: &str,
    modifier: Option<&str>,
) -> Result<Option<Predicate>, Refusal> {
    let leaf = match place.node {
        Node::Leaf(leaf) => leaf,
        Node::Constant(json) => {
            let own: String = serde_json::from_str(json).unwrap_or_default();
            let hit = own.to_lowercase().starts_with(&text.to_lowercase());
            return Ok(Some(if hit { Predicate::Always } else { Predicate::Never }));
        }
        _ => return Ok(None),
    };
    let mut separator = None;
    let mut changed = false;
    for step in &leaf.steps {
        match step {
            Step::First | Step::Join(_) | Step::Null(_) => {}
            Step::Split(by) => separator = Some(*by),
            Step::Upper | Step::Lower => changed = true,
            _ => return Ok(None),
        }
    }
    let mut parts: Vec<Expr> = leaf
        .slots
        .iter()
        .filter_map(|slot| place.columns.get(*slot))
        .map(|column| Expr::Column(column.clone()))
        .collect();
    let left = match leaf.steps.first() {
        Some(Step::Join(separator)) if parts.len() > 1 => {
            Expr::Joined { parts, separator: separator.clone() }
        }
        _ if parts.len() == 1 => parts.remove(0),
        _ => return Ok(None),
    };
    let (how, folded) = match (modifier, separator) {
        (None, Some(separator)) => (TextMatch::StartsWord { separator }, true),
        (None, None) => (TextMatch::StartsWith, true),
        (Some("contains"), _) => (TextMatch::Contains, true),
        (Some("exact"), None) if !changed => (TextMatch::Equals, false),
        _ => return Err(Refusal::Modifier),
    };
    Ok(Some(Predicate::Text { left, how, text: text.to_owned(), folded }))
}
