//! `IN`: one column or a key of several among given values. Lists are padded to a power of two, so
//! that a mapping has few statement texts; PostgreSQL takes an array.

use crate::mapping::catalog::SqlType;
use crate::mapping::plan::{ColumnRef, CompareOp, Expr, Value};

use super::compare::{compare, mysql_bytes};
use super::statement::{Bind, Scope, Writer};
use super::text::as_text;
use super::value::{canonical, comparable, postgres_cast, typed};
use super::{Flavour, WriteFault};

/// Most placeholders a list may take.
const MAX_BINDS: usize = super::statement::MAX_BINDS;

/// How long a list of `count` values is written.
fn padded(count: usize) -> usize {
    count.next_power_of_two()
}

/// The items, the last one repeated up to the padded length.
fn pad<T>(items: &[T]) -> impl Iterator<Item = &T> {
    let last = items.last();
    items
        .iter()
        .chain(last)
        .chain(std::iter::repeat_n(items, items.len()).filter_map(|i| i.last()))
        .take(padded(items.len()))
}

pub(super) fn is_in(
    w: &mut Writer,
    scope: Scope,
    left: &Expr,
    values: &[Value],
) -> Result<(), WriteFault> {
    let column = match left {
        Expr::Column(column) => Some(column),
        _ => None,
    };
    for value in values {
        if !canonical(value.ty, &value.text) {
            return Err(WriteFault::Value);
        }
        if column.is_some_and(|column| !comparable(column.ty, value.ty)) {
            return Err(WriteFault::Kinds);
        }
    }
    let [first, rest @ ..] = values else {
        never(w);
        return Ok(());
    };
    if padded(values.len()) * 2 > MAX_BINDS {
        return Err(WriteFault::TooLong);
    }
    if rest.is_empty() {
        return compare(w, scope, left, CompareOp::Eq, first);
    }
    if values.iter().any(|value| value.ty != first.ty) {
        return any_equal(w, scope, left, values);
    }
    match (column, w.flavour) {
        (None, _) => text_list(w, scope, left, values),
        (Some(c), _) if matches!(c.ty, SqlType::Enum | SqlType::Json | SqlType::Other) => {
            text_list(w, scope, left, values)
        }
        (Some(c), Flavour::Postgres | Flavour::PostgresIn(_)) => postgres(w, scope, c, values),
        (Some(c), Flavour::MySql | Flavour::MariaDb)
            if matches!(c.ty, SqlType::Text | SqlType::Char) =>
        {
            mysql_text(w, scope, c, values)
        }
        (Some(c), flavour) => {
            let listed = match c.ty {
                SqlType::Float | SqlType::Any => false,
                SqlType::DateTime | SqlType::Instant => flavour != Flavour::Sqlite,
                _ => true,
            };
            if !listed {
                return any_equal(w, scope, left, values);
            }
            w.column(scope, c)?;
            if flavour == Flavour::Sqlite && matches!(c.ty, SqlType::Text | SqlType::Char) {
                w.sql(" COLLATE BINARY");
            }
            w.sql(" IN (");
            w.list(pad(values), ", ", typed)?;
            w.sql(")");
            Ok(())
        }
    }
}

/// A condition no row meets.
pub(super) fn never(w: &mut Writer) {
    w.sql(if w.flavour == Flavour::Sqlite { "0" } else { "FALSE" });
}

fn any_equal(
    w: &mut Writer,
    scope: Scope,
    left: &Expr,
    values: &[Value],
) -> Result<(), WriteFault> {
    w.sql("(");
    w.list(pad(values), " OR ", |w, value| compare(w, scope, left, CompareOp::Eq, value))?;
    w.sql(")");
    Ok(())
}

/// An expression, as text, among texts.
fn text_list(
    w: &mut Writer,
    scope: Scope,
    left: &Expr,
    values: &[Value],
) -> Result<(), WriteFault> {
    match w.flavour {
        Flavour::Postgres | Flavour::PostgresIn(_) => {
            as_text(w, scope, left)?;
            w.among(&[]);
            let held = texts(w.flavour, values.iter().map(|v| v.text.as_str()));
            w.bind(Bind::Texts(held));
            w.cast("text[])");
        }
        Flavour::MySql | Flavour::MariaDb => {
            w.sql("CAST(");
            as_text(w, scope, left)?;
            w.sql(" AS BINARY) IN (");
            bytes_list(w, values)?;
            w.sql(")");
        }
        Flavour::Sqlite => {
            as_text(w, scope, left)?;
            w.sql(" COLLATE BINARY IN (");
            w.list(pad(values), ", ", |w, v| {
                w.text_bind(&v.text);
                Ok(())
            })?;
            w.sql(")");
        }
    }
    Ok(())
}

/// No PostgreSQL text holds a NUL or what its encoding lacks, so a value that does equals nothing.
fn texts<'a>(flavour: Flavour, values: impl Iterator<Item = &'a str>) -> Vec<String> {
    values.filter(|text| !text.contains('\0') && flavour.holds(text)).map(str::to_owned).collect()
}

fn postgres(
    w: &mut Writer,
    scope: Scope,
    column: &ColumnRef,
    values: &[Value],
) -> Result<(), WriteFault> {
    let ty = values.first().map_or(column.ty, |v| v.ty);
    let any = |w: &mut Writer| any_equal(w, scope, &Expr::Column(column.clone()), values);
    if matches!(ty, SqlType::Float | SqlType::Binary) {
        return any(w);
    }
    if matches!(ty, SqlType::Integer { .. }) {
        let numbers: Option<Vec<i64>> = values.iter().map(|v| v.text.parse().ok()).collect();
        let Some(numbers) = numbers else { return any(w) };
        w.column(scope, column)?;
        whole_numbers(w, numbers);
        return Ok(());
    }
    let blank = column.ty == SqlType::Char;
    let kept = values.iter().map(|v| v.text.as_str()).filter(|t| !(blank && t.ends_with(' ')));
    w.column(scope, column)?;
    w.among(&[]);
    let held = texts(w.flavour, kept);
    w.bind(Bind::Texts(held));
    w.cast(if blank { "bpchar" } else { postgres_cast(ty) });
    w.sql("[])");
    Ok(())
}

/// Among whole numbers (PostgreSQL).
pub(super) fn whole_numbers(w: &mut Writer, numbers: Vec<i64>) {
    w.among(&[]);
    w.bind(Bind::Ints(numbers));
    w.cast("int8[])");
}

fn bytes_list(w: &mut Writer, values: &[Value]) -> Result<(), WriteFault> {
    w.list(pad(values), ", ", |w, v| {
        w.bind(Bind::Bytes(v.text.as_bytes().to_vec()));
        Ok(())
    })
}

/// The bare column for its index, its bytes for exactness.
fn mysql_text(
    w: &mut Writer,
    scope: Scope,
    column: &ColumnRef,
    values: &[Value],
) -> Result<(), WriteFault> {
    let bare = values.iter().all(|v| v.text.is_ascii());
    if bare {
        w.sql("(");
        w.column(scope, column)?;
        w.sql(" IN (");
        w.list(pad(values), ", ", |w, v| {
            w.bind(Bind::Text(v.text.clone()));
            Ok(())
        })?;
        w.sql(") AND ");
    }
    mysql_bytes(w, scope, column)?;
    w.sql(" IN (");
    bytes_list(w, values)?;
    w.sql(if bare { "))" } else { ")" });
    Ok(())
}

/// The key columns among these keys. A key that does not fit the columns' types belongs to no row.
pub(super) fn keys(
    w: &mut Writer,
    scope: Scope,
    own: &[ColumnRef],
    keys: &[Vec<&str>],
) -> Result<(), WriteFault> {
    let mut fitting: Vec<Vec<Value>> = Vec::with_capacity(keys.len());
    for key in keys {
        if key.len() != own.len() {
            return Err(WriteFault::Plan);
        }
        let there = |column: &ColumnRef, text| canonical(column.ty, text) && w.flavour.holds(text);
        if own.iter().zip(key).all(|(column, text)| there(column, text)) {
            let value = |(c, t): (&ColumnRef, &&str)| Value { ty: c.ty, text: (*t).to_owned() };
            fitting.push(own.iter().zip(key).map(value).collect());
        }
    }
    if let [column] = own {
        let values: Vec<Value> = fitting.into_iter().flatten().collect();
        return is_in(w, scope, &Expr::Column(column.clone()), &values);
    }
    if own.is_empty() {
        return Err(WriteFault::Plan);
    }
    if fitting.is_empty() {
        never(w);
        return Ok(());
    }
    if padded(fitting.len()) * own.len() > MAX_BINDS {
        return Err(WriteFault::TooLong);
    }
    w.sql("(");
    // A letter one of MySQL's columns lacks would be error 1267: such columns are compared as bytes.
    let bytes: Vec<bool> = own
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let foreign = |key: &Vec<Value>| key.get(index).is_some_and(|v| !v.text.is_ascii());
            w.flavour.is_mysql()
                && matches!(column.ty, SqlType::Text | SqlType::Char)
                && fitting.iter().any(foreign)
        })
        .collect();
    w.list(own.iter().zip(&bytes), ", ", |w, (column, bytes)| {
        if *bytes { mysql_bytes(w, scope, column) } else { own_column(w, scope, column) }
    })?;
    if w.flavour.is_postgres() {
        w.sql(")");
        w.among(&[]);
        w.sql("SELECT * FROM ROWS FROM (");
        w.list(own.iter().enumerate(), ", ", |w, (index, column)| {
            let part = |key: &Vec<Value>| key.get(index).map(|v| v.text.clone());
            w.call("unnest");
            w.bind(Bind::Texts(fitting.iter().filter_map(part).collect()));
            w.cast(postgres_cast(column.ty));
            w.sql("[])");
            Ok(())
        })?;
        w.sql("))");
        return Ok(());
    }
    w.sql(if w.flavour == Flavour::Sqlite { ") IN (VALUES " } else { ") IN (" });
    w.list(pad(&fitting), ", ", |w, key| {
        w.sql("(");
        w.list(key.iter().zip(&bytes), ", ", |w, (value, bytes)| {
            if *bytes {
                w.bind(Bind::Bytes(value.text.as_bytes().to_vec()));
                Ok(())
            } else {
                typed(w, value)
            }
        })?;
        w.sql(")");
        Ok(())
    })?;
    w.sql(")");
    Ok(())
}

/// PostgreSQL knows no `enum = text`.
fn own_column(w: &mut Writer, scope: Scope, column: &ColumnRef) -> Result<(), WriteFault> {
    match column.ty {
        SqlType::Enum | SqlType::Json | SqlType::Other | SqlType::Any
            if w.flavour.is_postgres() =>
        {
            as_text(w, scope, &Expr::Column(column.clone()))
        }
        _ => w.column(scope, column),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_grow_in_powers_of_two() {
        for (count, want) in [(1, 1), (2, 2), (3, 4), (5, 8), (50, 64)] {
            let items: Vec<usize> = (0..count).collect();
            let padded: Vec<usize> = pad(&items).copied().collect();
            assert_eq!(padded.len(), want);
            assert_eq!(padded[..count], items);
            assert!(padded[count..].iter().all(|i| *i == count - 1));
        }
    }
}
