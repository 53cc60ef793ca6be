//! Single leaves turned around: which stored values give what a caller asks for.

use super::catalog::SqlType;
use super::dates::Interval;
use super::leaf::{self, Leaf, Step};
use super::plan::{ColumnRef, Expr, Predicate, TextMatch, Value};
use super::search::{Place, Refusal};
use super::template::{self, Node};
use super::values;
use crate::fhir::query::{split_escaped, unescape};

/// A column that can be put in order by time.
pub(super) struct Measure {
    pub(super) expr: Expr,
    ty: SqlType,
    /// Stored to the day only.
    days: bool,
}

impl Measure {
    pub(super) fn of(leaf: &Leaf, columns: &[ColumnRef]) -> Option<Self> {
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

    pub(super) fn bounds(&self, interval: &Interval, utc: bool) -> (Value, Value) {
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

pub(super) fn member<'n>(members: &'n [(String, Node)], name: &str) -> Option<&'n Node> {
    let key = format!("\"{name}\":");
    members.iter().find(|(own, _)| *own == key).map(|(_, node)| node)
}

pub(super) fn leaves(node: &Node) -> Vec<&Leaf> {
    match node {
        Node::Leaf(leaf) => vec![leaf],
        Node::Object(members) => members.iter().flat_map(|(_, node)| leaves(node)).collect(),
        Node::Array(items) => items.iter().flat_map(leaves).collect(),
        Node::Each(..) | Node::Constant(_) => Vec::new(),
    }
}

pub(super) fn present(leaf: &Leaf, columns: &[ColumnRef]) -> Predicate {
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
pub(super) fn token(
    place: &Place<'_>,
    value: &str,
    only_system: Option<&str>,
) -> Option<Predicate> {
    let parts = split_escaped(value, '|');
    let (system, code) = match parts.as_slice() {
        [code] => (None, unescape(code)),
        [system, code] => (Some(unescape(system)), unescape(code)),
        _ => return None,
    };
    match place.node {
        // A bare code's system is the value set FHIR binds it to; any other system is another code.
        Node::Leaf(_) | Node::Constant(_) => match system.as_deref() {
            Some(other) if !other.is_empty() && !other.starts_with("http://hl7.org/fhir/") => {
                Some(Predicate::Never)
            }
            _ => is(place.node, place.columns, &code),
        },
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
            template::string(text, &mut own);
            Some(if own == json.as_bytes() { Predicate::Always } else { Predicate::Never })
        }
        node => is(node, columns, text),
    }
}

/// Which stored values become `text` through the leaf's first `upto` steps.
pub(super) fn equals_before(
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
            Step::Int => wanted.retain(|text| leaf::canonical_int(text).is_some()),
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
pub(super) fn string(
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
