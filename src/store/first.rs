//! The first of several rows: the one that stands for its group, and the one that is joined.

use crate::mapping::catalog::SqlType;
use crate::mapping::plan::{ColumnRef, CompareOp, Expr, Join, JoinOn, Order, Predicate, Relation};

use super::keyset::{self, Nulls};
use super::statement::{Scope, Writer};
use super::{WriteFault, collation, compare, predicate, sql};

/// The scope of a select inside a condition over one relation.
fn inside(scope: Scope) -> Result<Scope, WriteFault> {
    if scope.depth >= sql::MAX_NESTING {
        return Err(WriteFault::Plan);
    }
    Ok(Scope { depth: scope.depth + 1, relations: 1 })
}

/// The same column of the relation inside.
fn own(column: &ColumnRef) -> ColumnRef {
    ColumnRef { relation: 0, ..column.clone() }
}

/// What each of the columns holds.
fn types(columns: &[ColumnRef]) -> Vec<SqlType> {
    columns.iter().map(|column| column.ty).collect()
}

/// ` FROM relation AS alias WHERE `
fn from(w: &mut Writer, inner: Scope, relation: &Relation) -> Result<(), WriteFault> {
    w.sql(" FROM ");
    sql::relation(w, relation, inner.depth)?;
    w.sql(" AS ");
    w.alias(inner, 0)?;
    w.sql(" WHERE ");
    Ok(())
}

/// No row of the group comes before this one. The row of the group's smallest key alone is left, found
/// by one look into an index over the group's columns for every row.
pub(super) fn of_group(
    w: &mut Writer,
    scope: Scope,
    (relation, filter): (&Relation, &Predicate),
    group: &[ColumnRef],
    key: &[ColumnRef],
    depth: usize,
) -> Result<(), WriteFault> {
    let inner = inside(scope)?;
    if group.is_empty() || key.is_empty() {
        return Err(WriteFault::Plan);
    }
    w.sql("NOT EXISTS (SELECT 1");
    from(w, inner, relation)?;
    for column in group {
        w.column(inner, &own(column))?;
        w.between("=", &[column.ty]);
        w.column(scope, column)?;
        w.sql(" AND ");
    }
    if *filter != Predicate::Always {
        predicate::predicate(w, inner, filter, depth + 1)?;
        w.sql(" AND ");
    }
    w.sql("(");
    w.list(key, ", ", |w, column| w.column(inner, &own(column)))?;
    w.sql(")");
    w.between("<", &types(key));
    w.sql("(");
    w.list(key, ", ", |w, column| w.column(scope, column))?;
    w.sql("))");
    Ok(())
}

/// The joined row is the first of those that meet the join's other conditions.
pub(super) fn of_join(
    w: &mut Writer,
    scope: Scope,
    join: &Join,
    key: &[ColumnRef],
    order: &[Order],
) -> Result<(), WriteFault> {
    let inner = inside(scope)?;
    if key.is_empty() || order.is_empty() {
        return Err(WriteFault::Plan);
    }
    let row = key.len() > 1;
    w.sql(if row { "(" } else { "" });
    w.list(key, ", ", |w, column| w.column(scope, column))?;
    w.sql(if row { ")" } else { "" });
    w.between("=", &types(key));
    w.sql("(SELECT ");
    w.list(key, ", ", |w, column| w.column(inner, &own(column)))?;
    from(w, inner, &join.relation)?;
    let others = join.on.iter().filter(|on| !matches!(on, JoinOn::First { .. }));
    w.list(others, " AND ", |w, on| match on {
        JoinOn::Columns(theirs, mine) => collation::joined(w, (scope, theirs), (inner, &own(mine))),
        JoinOn::Value(column, value) => {
            w.sql("(");
            compare::compare(w, inner, &Expr::Column(own(column)), CompareOp::Eq, value)?;
            w.sql(")");
            Ok(())
        }
        JoinOn::First { .. } => Err(WriteFault::Plan),
    })?;
    w.sql(" ORDER BY ");
    let order: Vec<Order> =
        order.iter().map(|term| Order { column: own(&term.column), ..term.clone() }).collect();
    keyset::order(w, inner, &order, &Nulls { sure: &[], keyed: true })?;
    w.sql(" LIMIT 1)");
    Ok(())
}
