//! Predicates put together without needless parts.

use crate::mapping::plan::{ColumnRef, CompareOp, Expr, Predicate, Value};

use super::typed;

/// All of them hold.
pub fn all(parts: impl IntoIterator<Item = Predicate>) -> Predicate {
    let mut kept = Vec::new();
    for part in parts {
        match part {
            Predicate::Always => {}
            Predicate::Never => return Predicate::Never,
            Predicate::All(inner) => kept.extend(inner),
            other => kept.push(other),
        }
    }
    match kept.len() {
        0 => Predicate::Always,
        1 => kept.pop().unwrap_or(Predicate::Always),
        _ => Predicate::All(kept),
    }
}

/// One of them holds.
pub fn any(parts: impl IntoIterator<Item = Predicate>) -> Predicate {
    let mut kept = Vec::new();
    for part in parts {
        match part {
            Predicate::Never => {}
            Predicate::Always => return Predicate::Always,
            Predicate::Any(inner) => kept.extend(inner),
            other => kept.push(other),
        }
    }
    match kept.len() {
        0 => Predicate::Never,
        1 => kept.pop().unwrap_or(Predicate::Never),
        _ => Predicate::Any(kept),
    }
}

/// It does not hold.
pub fn not(part: Predicate) -> Predicate {
    match part {
        Predicate::Always => Predicate::Never,
        Predicate::Never => Predicate::Always,
        Predicate::Not(inner) => *inner,
        other => Predicate::Not(Box::new(other)),
    }
}

/// A column holds one of these texts, as far as they are values of its type.
pub fn column_in(column: &ColumnRef, texts: &[String]) -> Predicate {
    let values = texts.iter().filter_map(|t| typed::for_column(column, t)).collect();
    one_of(Expr::Column(column.clone()), values)
}

/// An expression is one of these values.
pub fn one_of(left: Expr, mut values: Vec<Value>) -> Predicate {
    match values.len() {
        0 => Predicate::Never,
        1 => match values.pop() {
            Some(right) => Predicate::Compare { left, op: CompareOp::Eq, right },
            None => Predicate::Never,
        },
        _ => Predicate::In { left, values },
    }
}
