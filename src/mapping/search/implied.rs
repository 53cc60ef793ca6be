//! Conditions that others imply already. Where rows are walked, each condition is asked of each row, and the
//! bounds of what a column may hold are most of a date's.

use crate::mapping::catalog::SqlType;
use crate::mapping::lens::predicate::all;
use crate::mapping::plan::{CompareOp, Predicate, Value};

/// Both hold, without the parts of `shape` that hold wherever `found` does.
pub(super) fn within(found: Predicate, shape: Predicate) -> Predicate {
    let parts = match shape {
        Predicate::All(parts) => parts,
        one => vec![one],
    };
    let needed = |part: &Predicate| !conjuncts(&found).iter().any(|known| implies(known, part));
    let kept: Vec<Predicate> = parts.into_iter().filter(needed).collect();
    all(std::iter::once(found).chain(kept))
}

fn conjuncts(found: &Predicate) -> &[Predicate] {
    match found {
        Predicate::All(parts) => parts,
        one => std::slice::from_ref(one),
    }
}

/// Whether `part` holds of every row of which `known` holds, which is a comparison and so never true of NULL.
fn implies(known: &Predicate, part: &Predicate) -> bool {
    let Predicate::Compare { left, op, right } = known else { return false };
    match part {
        Predicate::Not(of) => match &**of {
            Predicate::IsNull(of) => of == left,
            // Not before the first, not after the last.
            Predicate::Compare { left: of, op: CompareOp::Lt, right: least } if of == left => {
                *op == CompareOp::Ge && in_order(least, right)
            }
            Predicate::Compare { left: of, op: CompareOp::Gt, right: most } if of == left => {
                *op == CompareOp::Lt && in_order(right, most)
            }
            _ => false,
        },
        Predicate::Compare { left: of, op: CompareOp::Ge, right: least } if of == left => {
            *op == CompareOp::Ge && in_order(least, right)
        }
        Predicate::Compare { left: of, op: CompareOp::Le, right: most } if of == left => {
            *op == CompareOp::Lt && in_order(right, most)
        }
        _ => false,
    }
}

/// Whether one date or moment is not after the other; false where their texts do not tell.
fn in_order(first: &Value, second: &Value) -> bool {
    let temporal = matches!(first.ty, SqlType::Date | SqlType::DateTime | SqlType::Instant);
    let plain = |value: &Value| {
        value.text.get(..5).is_some_and(|year| {
            year.ends_with('-') && year.bytes().take(4).all(|byte| byte.is_ascii_digit())
        })
    };
    // Both are written from the year down, so that their texts are in the order of what they mean.
    temporal && first.ty == second.ty && plain(first) && plain(second) && first.text <= second.text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::lens::predicate::not;
    use crate::mapping::plan::{ColumnRef, Expr};

    fn column() -> Expr {
        let (name, ty) = ("taken_at".to_owned(), SqlType::Instant);
        Expr::Column(ColumnRef { relation: 0, name, ty, collation: None })
    }

    fn compare(op: CompareOp, text: &str) -> Predicate {
        let right = Value { ty: SqlType::Instant, text: text.to_owned() };
        Predicate::Compare { left: column(), op, right }
    }

    fn shape() -> Predicate {
        all([
            not(Predicate::IsNull(column())),
            not(compare(CompareOp::Lt, "0001-01-01T00:00:00Z")),
            not(compare(CompareOp::Gt, "9999-12-31T23:59:59.999999Z")),
        ])
    }

    #[test]
    fn only_what_a_comparison_leaves_open_is_asked_beside_it() {
        let from = compare(CompareOp::Ge, "2024-01-01T00:00:00Z");
        let last = not(compare(CompareOp::Gt, "9999-12-31T23:59:59.999999Z"));
        assert_eq!(within(from.clone(), shape()), all([from.clone(), last]));
        let before = compare(CompareOp::Lt, "2025-01-01T00:00:00Z");
        let first = not(compare(CompareOp::Lt, "0001-01-01T00:00:00Z"));
        assert_eq!(within(before.clone(), shape()), all([before.clone(), first]));
        let both = all([from, before]);
        assert_eq!(within(both.clone(), shape()), both);
    }

    #[test]
    fn what_says_nothing_of_the_column_implies_nothing() {
        let outside = not(compare(CompareOp::Ge, "2024-01-01T00:00:00Z"));
        assert_eq!(within(outside.clone(), shape()), all([outside, shape()]));
        let either = Predicate::Any(vec![
            compare(CompareOp::Ge, "2024-01-01T00:00:00Z"),
            compare(CompareOp::Lt, "2023-01-01T00:00:00Z"),
        ]);
        assert_eq!(within(either.clone(), shape()), all([either, shape()]));
        // A year of five digits, or before the first, is in no order of texts.
        let far = compare(CompareOp::Lt, "10000-01-01T00:00:00Z");
        let there = not(Predicate::IsNull(column()));
        let Predicate::All(parts) = within(far, shape()) else { panic!("several conditions") };
        assert_eq!(parts.len(), 3, "{parts:?}");
        assert!(!parts.contains(&there));
        assert_eq!(within(Predicate::Never, shape()), Predicate::Never);
        assert_eq!(within(Predicate::Always, shape()), shape());
    }
}
