//! Comparisons of a column, or of something computed from columns, with one value.

use crate::mapping::catalog::SqlType;
use crate::mapping::plan::{ColumnRef, CompareOp, Expr, Value};

use super::statement::{Bind, Scope, Writer};
use super::value::{blank_form, canonical, comparable, float_text, floats, sqlite_number, typed};
use super::{Flavour, WriteFault, text};

pub(super) const fn sign(op: CompareOp) -> &'static str {
    match op {
        CompareOp::Eq => "=",
        CompareOp::Ne => "<>",
        CompareOp::Lt => "<",
        CompareOp::Le => "<=",
        CompareOp::Gt => ">",
        CompareOp::Ge => ">=",
    }
}

pub(super) fn compare(
    w: &mut Writer,
    scope: Scope,
    left: &Expr,
    op: CompareOp,
    right: &Value,
) -> Result<(), WriteFault> {
    let Expr::Column(column) = left else {
        return text::compare(w, scope, left, op, &right.text);
    };
    if !comparable(column.ty, right.ty) {
        return Err(WriteFault::Kinds);
    }
    if !canonical(right.ty, &right.text) {
        return Err(WriteFault::Value);
    }
    match column.ty {
        SqlType::Text | SqlType::Char => text_column(w, scope, column, op, &right.text),
        SqlType::Enum | SqlType::Json | SqlType::Other => {
            text::compare(w, scope, left, op, &right.text)
        }
        SqlType::Any if w.flavour == Flavour::Sqlite => any_column(w, scope, column, op, right),
        SqlType::Any => text::compare(w, scope, left, op, &right.text),
        SqlType::Float if w.flavour != Flavour::Sqlite => {
            float_column(w, scope, column, op, &right.text)
        }
        _ if w.flavour == Flavour::Sqlite => sqlite_column(w, scope, column, op, right),
        _ => plain(w, scope, column, op, right),
    }
}

/// `column op value`, typed.
fn plain(
    w: &mut Writer,
    scope: Scope,
    column: &ColumnRef,
    op: CompareOp,
    right: &Value,
) -> Result<(), WriteFault> {
    // A zero date is no date: it must not come before all others.
    let zero_dates = w.flavour.is_mysql()
        && matches!(column.ty, SqlType::Date | SqlType::DateTime | SqlType::Instant)
        && matches!(op, CompareOp::Lt | CompareOp::Le | CompareOp::Ne);
    if zero_dates {
        w.sql("(");
        w.column(scope, column)?;
        w.sql(" >= '0001-01-01' AND ");
    }
    w.column(scope, column)?;
    w.operator(sign(op));
    typed(w, right)?;
    if zero_dates {
        w.sql(")");
    }
    Ok(())
}

/// A character column. `=` is exact to the code point; the bare column is kept beside the exact
/// condition wherever an index may serve it.
fn text_column(
    w: &mut Writer,
    scope: Scope,
    column: &ColumnRef,
    op: CompareOp,
    value: &str,
) -> Result<(), WriteFault> {
    let bare = |w: &mut Writer| {
        w.column(scope, column)?;
        w.operator(sign(op));
        Ok::<_, WriteFault>(())
    };
    match w.flavour {
        Flavour::Postgres | Flavour::PostgresIn(_) => {
            // No PostgreSQL text holds a NUL or what its encoding lacks, and blank padding is no part of a
            // `char(n)` value.
            let blank = column.ty == SqlType::Char && value.ends_with(' ');
            let never = value.contains('\0') || blank || !w.flavour.holds(value);
            match (never, op) {
                (true, CompareOp::Eq) => w.sql("FALSE"),
                (true, CompareOp::Ne) => {
                    w.column(scope, column)?;
                    w.sql(" IS NOT NULL");
                }
                (true, _) if value.contains('\0') => return Err(WriteFault::Value),
                _ => {
                    bare(w)?;
                    w.bind(Bind::Text(value.to_owned()));
                    w.cast(if column.ty == SqlType::Char { "bpchar" } else { "text" });
                }
            }
            Ok(())
        }
        Flavour::MySql | Flavour::MariaDb => match op {
            CompareOp::Eq => {
                // A letter the column's character set lacks would be error 1267 beside a bare column.
                if value.is_ascii() {
                    w.sql("(");
                    bare(w)?;
                    w.bind(Bind::Text(value.to_owned()));
                    w.sql(" AND ");
                }
                mysql_bytes(w, scope, column)?;
                w.sql(" = ");
                w.bind(Bind::Bytes(value.as_bytes().to_vec()));
                if value.is_ascii() {
                    w.sql(")");
                }
                Ok(())
            }
            CompareOp::Ne => {
                mysql_bytes(w, scope, column)?;
                w.sql(" <> ");
                w.bind(Bind::Bytes(value.as_bytes().to_vec()));
                Ok(())
            }
            _ if value.is_ascii() => {
                bare(w)?;
                w.bind(Bind::Text(value.to_owned()));
                Ok(())
            }
            _ => text::compare(w, scope, &Expr::Column(column.clone()), op, value),
        },
        Flavour::Sqlite => {
            bare(w)?;
            w.bind(Bind::Text(value.to_owned()));
            w.sql(" COLLATE BINARY");
            Ok(())
        }
    }
}

/// The column's text as the bytes of its UTF-8 form, whatever its character set.
pub(super) fn mysql_bytes(
    w: &mut Writer,
    scope: Scope,
    column: &ColumnRef,
) -> Result<(), WriteFault> {
    w.sql("CAST(CONVERT(");
    w.column(scope, column)?;
    w.sql(" USING utf8mb4) AS BINARY)");
    Ok(())
}

/// A floating-point column of unknown width. No single-precision number lies between a text and the
/// single-precision number it is the shortest text of, so leaving that one out of `<` and `>`, and
/// letting it in with `=`, is right for both widths.
pub(super) fn float_column(
    w: &mut Writer,
    scope: Scope,
    column: &ColumnRef,
    op: CompareOp,
    value: &str,
) -> Result<(), WriteFault> {
    let (double, single) = floats(value)?;
    let one = |w: &mut Writer, op: CompareOp, number: f64| {
        w.column(scope, column)?;
        w.operator(sign(op));
        if w.flavour.is_postgres() {
            w.bind(Bind::Text(float_text(number)));
            w.cast("float8");
        } else {
            w.bind(Bind::Float(number));
        }
        Ok::<_, WriteFault>(())
    };
    w.sql("(");
    one(w, op, double)?;
    if let Some(single) = single {
        let (word, beside) = match op {
            CompareOp::Eq | CompareOp::Le | CompareOp::Ge => (" OR ", CompareOp::Eq),
            CompareOp::Ne | CompareOp::Lt | CompareOp::Gt => (" AND ", CompareOp::Ne),
        };
        w.sql(word);
        one(w, beside, single)?;
    }
    w.sql(")");
    Ok(())
}

/// SQLite keeps whatever a cell was given, and orders numbers before texts before blobs: cells of
/// another kind than the column's must not take part.
fn sqlite_column(
    w: &mut Writer,
    scope: Scope,
    column: &ColumnRef,
    op: CompareOp,
    right: &Value,
) -> Result<(), WriteFault> {
    let kinds = match column.ty {
        SqlType::Integer { .. } | SqlType::Decimal | SqlType::Float | SqlType::Boolean => {
            "IN ('integer', 'real')"
        }
        SqlType::Binary => "= 'blob'",
        _ => "= 'text'",
    };
    let date_time = matches!(column.ty, SqlType::DateTime | SqlType::Instant);
    if op == CompareOp::Eq && !date_time {
        return plain(w, scope, column, op, right);
    }
    w.sql("(typeof(");
    w.column(scope, column)?;
    w.sql(") ");
    w.sql(kinds);
    w.sql(" AND ");
    if date_time {
        sqlite_date_time(w, scope, column, op, right)?;
    } else {
        plain(w, scope, column, op, right)?;
    }
    w.sql(")");
    Ok(())
}

/// Date and time as text stands with a blank or a `T` between; a range over the day keeps an index
/// useful, the exact comparison follows in one form.
fn sqlite_date_time(
    w: &mut Writer,
    scope: Scope,
    column: &ColumnRef,
    op: CompareOp,
    right: &Value,
) -> Result<(), WriteFault> {
    let text = blank_form(&right.text);
    let day = text.get(..10).ok_or(WriteFault::Value)?;
    if matches!(op, CompareOp::Eq | CompareOp::Gt | CompareOp::Ge) {
        w.column(scope, column)?;
        w.sql(" >= ");
        w.text_bind(day);
        w.sql(" AND ");
    }
    if matches!(op, CompareOp::Eq | CompareOp::Lt | CompareOp::Le) {
        w.column(scope, column)?;
        w.sql(" < ");
        w.text_bind(&format!("{day}U"));
        w.sql(" AND ");
    }
    sqlite_blank_form(w, scope, column)?;
    w.operator(sign(op));
    w.text_bind(&text);
    Ok(())
}

/// The cell with a blank between date and time, midnight for a date alone, and no `Z`.
fn sqlite_blank_form(w: &mut Writer, scope: Scope, column: &ColumnRef) -> Result<(), WriteFault> {
    w.sql("rtrim(replace(CASE length(");
    w.column(scope, column)?;
    w.sql(") WHEN 10 THEN ");
    w.column(scope, column)?;
    w.sql(" || ' 00:00:00' WHEN 16 THEN ");
    w.column(scope, column)?;
    w.sql(" || ':00' ELSE ");
    w.column(scope, column)?;
    w.sql(" END, 'T', ' '), 'Z')");
    Ok(())
}

/// A SQLite column without a declared type: the value may be stored as text or as a number.
fn any_column(
    w: &mut Writer,
    scope: Scope,
    column: &ColumnRef,
    op: CompareOp,
    right: &Value,
) -> Result<(), WriteFault> {
    let number =
        canonical(SqlType::Decimal, &right.text).then(|| sqlite_number(&right.text)).transpose()?;
    w.sql("(");
    if matches!(op, CompareOp::Eq | CompareOp::Ne) {
        // The bare column serves an index, the cast keeps `012` from being 12.
        if op == CompareOp::Eq {
            w.sql("(");
            w.column(scope, column)?;
            w.sql(" = ");
            w.text_bind(&right.text);
            if let Some(number) = number {
                w.sql(" OR ");
                w.column(scope, column)?;
                w.sql(" = ");
                w.bind(number);
            }
            w.sql(") AND ");
        }
        w.sql("CAST(");
        w.column(scope, column)?;
        w.sql(" AS TEXT)");
        w.operator(sign(op));
        w.text_bind(&right.text);
        w.sql(" COLLATE BINARY)");
        return Ok(());
    }
    w.sql("typeof(");
    w.column(scope, column)?;
    w.sql(if number.is_some() { ") IN ('integer', 'real') AND " } else { ") = 'text' AND " });
    w.column(scope, column)?;
    w.operator(sign(op));
    match number {
        Some(number) => w.bind(number),
        None => w.text_bind(&right.text),
    }
    w.sql(")");
    Ok(())
}
