//! Values among those of other rows, as `(a, b) IN (SELECT c, d FROM …)`.
//!
//! Two values are the same when they are shown as the same text. Where an engine's own `=` says more or
//! less than that (collations, `5` and `5.00`), the text stands beside the bare column or instead of it.

use crate::mapping::catalog::SqlType;
use crate::mapping::plan::{ColumnRef, Expr, Rowset};

use super::sql::{MAX_NESTING, relations};
use super::statement::{Scope, Writer};
use super::text::as_text;
use super::{Flavour, WriteFault, collation, predicate};
use crate::mapping::plan::Predicate;

/// How a value is compared with its counterpart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// The bare column says it all.
    Bare,
    /// The bare column for its index, its text for exactness.
    Both,
    /// The text alone.
    Text,
}

fn how(flavour: Flavour, own: &Expr, theirs: &Expr) -> How {
    let (Expr::Column(own), Expr::Column(theirs)) = (own, theirs) else { return How::Text };
    let same = std::mem::discriminant(&own.ty) == std::mem::discriminant(&theirs.ty);
    match own.ty {
        SqlType::Integer { .. } | SqlType::Uuid if same => How::Bare,
        SqlType::Decimal if same && flavour != Flavour::Sqlite => How::Both,
        SqlType::Text | SqlType::Char if same => match flavour {
            Flavour::Postgres | Flavour::PostgresIn(_) | Flavour::Sqlite => How::Bare,
            Flavour::MySql | Flavour::MariaDb => How::Both,
        },
        _ => How::Text,
    }
}

/// Own values among those that other rows hold.
pub(super) fn among(
    w: &mut Writer,
    scope: Scope,
    own: &[Expr],
    theirs: &[Expr],
    rows: &Rowset,
) -> Result<(), WriteFault> {
    let depth = scope.depth + 1;
    if own.is_empty() || own.len() != theirs.len() || depth > MAX_NESTING {
        return Err(WriteFault::Plan);
    }
    let ways: Vec<How> = own.iter().zip(theirs).map(|(o, t)| how(w.flavour, o, t)).collect();
    let width: usize = ways.iter().map(|way| if *way == How::Both { 2 } else { 1 }).sum();
    w.sql(if width > 1 { "(" } else { "" });
    let pairs: Vec<(&Expr, &Expr, How)> =
        own.iter().zip(theirs).zip(&ways).map(|((o, t), how)| (o, t, *how)).collect();
    w.list(&pairs, ", ", |w, (own, theirs, how)| {
        value(w, scope, (own, theirs), *how, collation::own)
    })?;
    w.sql(if width > 1 { ")" } else { "" });
    // Bare columns are of built-in types here, and all else is text.
    w.among(&[]);
    w.sql("SELECT ");
    let inner = Scope { depth, relations: rows.joins.len() + 1 };
    w.list(&pairs, ", ", |w, (own, theirs, how)| {
        value(w, inner, (theirs, own), *how, collation::theirs)
    })?;
    relations(w, &rows.from, &rows.joins, depth)?;
    if rows.filter != Predicate::Always {
        w.sql(" WHERE ");
        predicate::predicate(w, inner, &rows.filter, 0)?;
    }
    w.sql(")");
    Ok(())
}

type Side = fn(&mut Writer, Scope, &ColumnRef, &ColumnRef) -> Result<(), WriteFault>;

fn value(
    w: &mut Writer,
    scope: Scope,
    (expr, other): (&Expr, &Expr),
    how: How,
    side: Side,
) -> Result<(), WriteFault> {
    if let (Expr::Column(column), Expr::Column(other), How::Bare | How::Both) = (expr, other, how) {
        side(w, scope, column, other)?;
        let text = matches!(column.ty, SqlType::Text | SqlType::Char);
        if w.flavour == Flavour::Sqlite && text {
            w.sql(" COLLATE BINARY");
        }
    }
    if how == How::Both {
        w.sql(", ");
    }
    if how != How::Bare {
        shown(w, scope, expr)?;
        let mixed = || collation::mixed(w.flavour, &[expr.clone(), other.clone()]);
        if w.flavour.is_postgres() && mixed() {
            w.sql(collation::EXACT);
        }
    }
    Ok(())
}

/// The text a value is shown as, in a form of which equality is that of its letters.
fn shown(w: &mut Writer, scope: Scope, expr: &Expr) -> Result<(), WriteFault> {
    match w.flavour {
        Flavour::Postgres | Flavour::PostgresIn(_) => as_text(w, scope, expr),
        Flavour::MySql | Flavour::MariaDb => {
            // Adding nothing drops ZEROFILL.
            match expr {
                Expr::Column(column) if matches!(column.ty, SqlType::Integer { .. }) => {
                    w.sql("CAST(CONVERT(");
                    w.column(scope, column)?;
                    w.sql(" + 0 USING utf8mb4) AS BINARY)");
                }
                _ => {
                    w.sql("CAST(");
                    as_text(w, scope, expr)?;
                    w.sql(" AS BINARY)");
                }
            }
            Ok(())
        }
        Flavour::Sqlite => {
            as_text(w, scope, expr)?;
            w.sql(" COLLATE BINARY");
            Ok(())
        }
    }
}
