//! Conditions. A NULL anywhere makes the predicate it is in not true; `IS NOT TRUE` keeps that so
//! under a negation.

use crate::mapping::catalog::SqlType;
use crate::mapping::plan::{ColumnRef, Predicate};

use super::statement::{Scope, Writer};
use super::{Flavour, WriteFault, among, compare, first, id, lowered, member, sql, text};

/// Deepest nesting written; plans made from queries stay far below.
const MAX_DEPTH: usize = 64;

/// Most conditions written one after the other.
const LONGEST_CHAIN: usize = 64;

pub(super) fn predicate(
    w: &mut Writer,
    scope: Scope,
    what: &Predicate,
    depth: usize,
) -> Result<(), WriteFault> {
    if depth > MAX_DEPTH {
        return Err(WriteFault::Plan);
    }
    match what {
        Predicate::Always => {
            w.sql(if w.flavour == Flavour::Sqlite { "1" } else { "TRUE" });
            Ok(())
        }
        Predicate::Never => {
            member::never(w);
            Ok(())
        }
        Predicate::All(parts) => joined(w, scope, parts, " AND ", depth),
        Predicate::Any(parts) => joined(w, scope, parts, " OR ", depth),
        Predicate::Not(inner) => {
            w.sql("(");
            predicate(w, scope, inner, depth + 1)?;
            w.sql(") IS NOT TRUE");
            Ok(())
        }
        Predicate::Compare { left, op, right } => {
            w.sql("(");
            compare::compare(w, scope, left, *op, right)?;
            w.sql(")");
            Ok(())
        }
        Predicate::In { left, values } => {
            w.sql("(");
            member::is_in(w, scope, left, values)?;
            w.sql(")");
            Ok(())
        }
        Predicate::IsNull(expr) => {
            match expr {
                crate::mapping::plan::Expr::Column(column) => w.column(scope, column)?,
                _ => text::as_text(w, scope, expr)?,
            }
            w.sql(" IS NULL");
            Ok(())
        }
        Predicate::OwnKind(column) => own_kind(w, scope, column),
        Predicate::Text { left, how, text: value, alike } => {
            w.sql("(");
            text::matches(w, scope, left, *how, value, *alike)?;
            w.sql(")");
            Ok(())
        }
        Predicate::Lowered { column, begins } => lowered::begins(w, scope, column, begins),
        Predicate::Folded { left, begins } => lowered::in_folded(w, scope, left, begins),
        Predicate::First { from, filter, group, key } => {
            first::of_group(w, scope, (from, filter), group, key, depth)
        }
        Predicate::InSelect { columns, select } => {
            if columns.is_empty() || columns.len() != select.columns.len() {
                return Err(WriteFault::Plan);
            }
            let row = columns.len() > 1;
            w.sql(if row { "(" } else { "" });
            w.list(columns, ", ", |w, column| w.column(scope, column))?;
            w.sql(if row { ")" } else { "" });
            let types = columns.iter().chain(select.columns.iter()).map(|column| column.ty);
            w.among(&types.collect::<Vec<_>>());
            sql::sub_select(w, select, scope.depth + 1)?;
            w.sql(")");
            Ok(())
        }
        Predicate::Among { own, theirs, rows } => among::among(w, scope, own, theirs, rows),
        Predicate::Keys { columns, keys } => {
            let texts: Vec<Vec<&str>> =
                keys.iter().map(|key| key.iter().map(|v| v.text.as_str()).collect()).collect();
            w.sql("(");
            member::keys(w, scope, columns, &texts)?;
            w.sql(")");
            Ok(())
        }
        Predicate::Id { parts, room } => id::is_id(w, scope, parts, *room),
    }
}

fn own_kind(w: &mut Writer, scope: Scope, column: &ColumnRef) -> Result<(), WriteFault> {
    if w.flavour != Flavour::Sqlite {
        w.column(scope, column)?;
        w.sql(" IS NOT NULL");
        return Ok(());
    }
    w.sql("typeof(");
    w.column(scope, column)?;
    w.sql(match column.ty {
        SqlType::Integer { .. } | SqlType::Boolean => ") = 'integer'",
        SqlType::Decimal | SqlType::Float => ") IN ('integer', 'real')",
        SqlType::Binary => ") = 'blob'",
        SqlType::Any => ") <> 'null'",
        _ => ") = 'text'",
    });
    Ok(())
}

fn joined(
    w: &mut Writer,
    scope: Scope,
    parts: &[Predicate],
    word: &str,
    depth: usize,
) -> Result<(), WriteFault> {
    match parts {
        [] if word == " AND " => predicate(w, scope, &Predicate::Always, depth + 1),
        [] => {
            member::never(w);
            Ok(())
        }
        [only] => predicate(w, scope, only, depth + 1),
        // A long chain is as deep as it is long, and SQLite bounds how deep an expression may be.
        _ if parts.len() > LONGEST_CHAIN => {
            let (left, right) = parts.split_at(parts.len() / 2);
            w.sql("(");
            joined(w, scope, left, word, depth + 1)?;
            w.sql(word);
            joined(w, scope, right, word, depth + 1)?;
            w.sql(")");
            Ok(())
        }
        _ => {
            w.sql("(");
            w.list(parts, word, |w, part| predicate(w, scope, part, depth + 1))?;
            w.sql(")");
            Ok(())
        }
    }
}
