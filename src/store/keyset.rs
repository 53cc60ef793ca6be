//! Order and keyset paging: a total order with NULLs last, and the rows strictly after a position.

use crate::mapping::catalog::SqlType;
use crate::mapping::plan::{ColumnRef, CompareOp, Expr, Order, Predicate, Value};

use super::compare::{float_column, sign};
use super::statement::{Bind, Scope, Writer};
use super::text::as_text;
use super::value::{blank_form, canonical, sqlite_number, typed};
use super::{Flavour, WriteFault};

/// How a sort key is read: the bare column where the engine orders it as its text says, else the text.
fn key(w: &mut Writer, scope: Scope, column: &ColumnRef) -> Result<(), WriteFault> {
    match (w.flavour, column.ty) {
        // MySQL orders an enumeration by position and compares it by name.
        (
            Flavour::Postgres | Flavour::PostgresIn(_),
            SqlType::Enum | SqlType::Json | SqlType::Other | SqlType::Any,
        ) => {
            // In the order of the column's own letters.
            w.column(scope, column)?;
            w.cast("text");
            Ok(())
        }
        (Flavour::MySql | Flavour::MariaDb, SqlType::Enum | SqlType::Json | SqlType::Other) => {
            as_text(w, scope, &Expr::Column(column.clone()))
        }
        // Stored with a blank or a `T`, in one column.
        (Flavour::Sqlite, SqlType::DateTime | SqlType::Instant) => {
            w.sql("replace(");
            w.column(scope, column)?;
            w.sql(", 'T', ' ')");
            Ok(())
        }
        _ => w.column(scope, column),
    }
}

/// Which terms of an order can be NULL in a row that counts.
pub(super) struct Nulls<'a> {
    /// Columns the filter keeps from being NULL.
    pub sure: &'a [&'a ColumnRef],
    /// Whether the last term is part of the key: a row without a key is no resource.
    pub keyed: bool,
}

impl Nulls<'_> {
    fn none_in(&self, order: &[Order], index: usize, term: &Order) -> bool {
        self.keyed && index + 1 == order.len() || self.sure.contains(&&term.column)
    }
}

/// `ORDER BY` terms. What would put NULLs last is left out where there are none, because it keeps
/// MySQL, and PostgreSQL going downwards, from walking an index.
pub(super) fn order(
    w: &mut Writer,
    scope: Scope,
    order: &[Order],
    nulls: &Nulls<'_>,
) -> Result<(), WriteFault> {
    w.list(order.iter().enumerate(), ", ", |w, (index, term)| {
        let solid = nulls.none_in(order, index, term);
        if w.flavour.is_mysql() && !solid {
            key(w, scope, &term.column)?;
            w.sql(" IS NULL, ");
        }
        key(w, scope, &term.column)?;
        w.sql(if term.descending { " DESC" } else { "" });
        match (w.flavour, term.descending) {
            _ if solid => {}
            (Flavour::Postgres | Flavour::PostgresIn(_), true) | (Flavour::Sqlite, false) => {
                w.sql(" NULLS LAST");
            }
            _ => {}
        }
        Ok(())
    })
}

/// Columns the filter itself keeps from being NULL.
pub(super) fn never_null(filter: &Predicate) -> Vec<&ColumnRef> {
    match filter {
        Predicate::All(parts) => parts.iter().flat_map(never_null).collect(),
        Predicate::Compare { left: Expr::Column(column), .. }
        | Predicate::In { left: Expr::Column(column), .. }
        | Predicate::Text { left: Expr::Column(column), .. } => vec![column],
        Predicate::Not(inner) => match &**inner {
            Predicate::IsNull(Expr::Column(column)) => vec![column],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// The rows strictly after `position`.
pub(super) fn after(
    w: &mut Writer,
    scope: Scope,
    order: &[Order],
    position: &[Option<Value>],
    nulls: &Nulls<'_>,
) -> Result<(), WriteFault> {
    if order.is_empty() || order.len() != position.len() {
        return Err(WriteFault::Plan);
    }
    let last = order.len() - 1;
    let solid = |index: usize, term: &Order| nulls.none_in(order, index, term);
    // One comparison of rows walks one index; only where every term is plain and goes one way.
    let row_value = order.len() > 1
        && !w.flavour.is_mysql()
        && order.iter().enumerate().all(|(i, term)| {
            solid(i, term)
                && term.descending == order[0].descending
                && term.column.ty != SqlType::Float
        })
        && position.iter().all(Option::is_some);
    if row_value {
        w.sql("(");
        w.list(order, ", ", |w, term| key(w, scope, &term.column))?;
        w.sql(")");
        w.operator(if order[0].descending { "<" } else { ">" });
        w.sql("(");
        w.list(order.iter().zip(position.iter().flatten()), ", ", |w, (term, value)| {
            position_value(w, &term.column, value)
        })?;
        w.sql(")");
        return Ok(());
    }
    for (index, (term, value)) in order.iter().zip(position).enumerate() {
        w.sql("(");
        match value {
            None if index == last => super::member::never(w),

            None => {
                key(w, scope, &term.column)?;
                w.sql(" IS NULL AND ");
            }
            Some(value) => {
                let op = if term.descending { CompareOp::Lt } else { CompareOp::Gt };
                compare(w, scope, &term.column, op, value)?;
                if !solid(index, term) {
                    w.sql(" OR ");
                    key(w, scope, &term.column)?;
                    w.sql(" IS NULL");
                }
                if index < last {
                    w.sql(" OR (");
                    compare(w, scope, &term.column, CompareOp::Eq, value)?;
                    w.sql(" AND ");
                }
            }
        }
    }
    for (index, value) in position.iter().enumerate().rev() {
        w.sql(if value.is_some() && index < last { "))" } else { ")" });
    }
    Ok(())
}

/// `key op value` in the very order `ORDER BY` has, the column's own collation included.
fn compare(
    w: &mut Writer,
    scope: Scope,
    column: &ColumnRef,
    op: CompareOp,
    value: &Value,
) -> Result<(), WriteFault> {
    if column.ty == SqlType::Float && w.flavour != Flavour::Sqlite {
        return float_column(w, scope, column, op, &value.text);
    }
    if w.flavour.is_mysql() && zero_date(column.ty, &value.text) {
        // Such a date cannot be bound as one; as text it stands where it stands as a date.
        as_text(w, scope, &Expr::Column(column.clone()))?;
        w.operator(sign(op));
        w.bind(Bind::Text(blank_form(&value.text)));
        return Ok(());
    }
    key(w, scope, column)?;
    w.operator(sign(op));
    position_value(w, column, value)
}

fn zero_date(ty: SqlType, text: &str) -> bool {
    let date = text.get(..10).unwrap_or_default();
    matches!(ty, SqlType::Date | SqlType::DateTime | SqlType::Instant)
        && (date.starts_with("0000") || date.contains("-00"))
}

/// The value bound; on SQLite as whatever the cell it came from held.
fn position_value(w: &mut Writer, column: &ColumnRef, value: &Value) -> Result<(), WriteFault> {
    let text = &value.text;
    if w.flavour != Flavour::Sqlite {
        return typed(w, &Value { ty: column.ty, text: text.clone() });
    }
    w.bind(match column.ty {
        SqlType::Integer { .. } | SqlType::Decimal | SqlType::Float | SqlType::Any => {
            sqlite_number(text).unwrap_or_else(|_| Bind::Text(text.clone()))
        }
        ty if canonical(ty, text) => {
            return typed(w, &Value { ty: column.ty, text: text.clone() });
        }
        // As `key` reads the cell, a closing `Z` and all.
        SqlType::DateTime | SqlType::Instant => Bind::Text(text.replace('T', " ")),
        _ => Bind::Text(text.clone()),
    });
    Ok(())
}
