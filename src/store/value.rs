//! Values: checked against the canonical form of their type, then bound the way each engine wants.

use crate::mapping::catalog::SqlType;
use crate::mapping::plan::Value;

use super::statement::{Bind, Writer};
use super::{Flavour, WriteFault};

/// What can be compared with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Number,
    Text,
    Boolean,
    Temporal(SqlType),
    Uuid,
    Binary,
    Any,
}

pub(super) fn class(ty: SqlType) -> Class {
    match ty {
        SqlType::Integer { .. } | SqlType::Decimal | SqlType::Float => Class::Number,
        SqlType::Text | SqlType::Char | SqlType::Enum | SqlType::Json | SqlType::Other => {
            Class::Text
        }
        SqlType::Boolean => Class::Boolean,
        SqlType::Date | SqlType::Time | SqlType::DateTime | SqlType::Instant => Class::Temporal(ty),
        SqlType::Uuid => Class::Uuid,
        SqlType::Binary => Class::Binary,
        SqlType::Any => Class::Any,
    }
}

/// Whether a column of one type may be compared with a value of the other.
pub(super) fn comparable(column: SqlType, value: SqlType) -> bool {
    let (column, value) = (class(column), class(value));
    column == value || column == Class::Any
}

/// Plain decimal digits with an optional sign and fraction, at most 35 and 30 of them.
fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    let all = |part: &str, most: usize| {
        !part.is_empty() && part.len() <= most && part.bytes().all(|b| b.is_ascii_digit())
    };
    all(whole, 35) && fraction.is_none_or(|part| all(part, 30))
}

fn is_integer(text: &str) -> bool {
    is_decimal(text) && !text.contains('.')
}

/// `NNNN-NN-NN` and the like: digits where the pattern has `0`, itself elsewhere.
fn looks_like(text: &str, pattern: &str) -> bool {
    text.len() == pattern.len()
        && text.bytes().zip(pattern.bytes()).all(|(t, p)| match p {
            b'0' => t.is_ascii_digit(),
            other => t == other,
        })
}

fn is_time(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (clock, fraction) = match text.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (text, None),
    };
    (looks_like(clock, "00:00:00") || looks_like(clock, "000:00:00"))
        && fraction
            .is_none_or(|f| (1..=6).contains(&f.len()) && f.bytes().all(|b| b.is_ascii_digit()))
}

fn is_date_time(text: &str) -> bool {
    match text.split_once('T') {
        Some((date, time)) => {
            looks_like(date, "0000-00-00") && is_time(time) && !time.starts_with('-')
        }
        None => false,
    }
}

/// PostgreSQL's two dates without a place in the calendar.
fn is_endless(text: &str) -> bool {
    matches!(text, "infinity" | "-infinity")
}

pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    text.as_bytes()
        .chunks(2)
        .map(|pair| match *pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect()
}

/// Whether a text is in the canonical form of a type.
pub(super) fn canonical(ty: SqlType, text: &str) -> bool {
    match ty {
        SqlType::Integer { .. } => is_integer(text),
        SqlType::Decimal => is_decimal(text),
        SqlType::Float => text.parse::<f64>().is_ok(),
        SqlType::Boolean => matches!(text, "true" | "false"),
        SqlType::Date => looks_like(text, "0000-00-00") || is_endless(text),
        SqlType::Time => is_time(text),
        SqlType::DateTime => is_date_time(text) || is_endless(text),
        SqlType::Instant => text.strip_suffix('Z').is_some_and(is_date_time) || is_endless(text),
        SqlType::Uuid => uuid::Uuid::try_parse(text).is_ok() && text.len() == 36,
        SqlType::Binary => hex(text).is_some(),
        SqlType::Text
        | SqlType::Char
        | SqlType::Json
        | SqlType::Enum
        | SqlType::Any
        | SqlType::Other => true,
    }
}

/// The two numbers a floating-point text may stand for: itself, and the single-precision number whose
/// shortest text it is. Which of them a column holds depends on its width, which a plan does not know.
pub(super) fn floats(text: &str) -> Result<(f64, Option<f64>), WriteFault> {
    let double: f64 = text.parse().map_err(|_| WriteFault::Value)?;
    let single: f32 = text.parse().map_err(|_| WriteFault::Value)?;
    let single = f64::from(single);
    let differs = double.is_finite() && single.is_finite() && single.to_bits() != double.to_bits();
    Ok((double, differs.then_some(single)))
}

pub(super) fn float_text(value: f64) -> String {
    if value == f64::INFINITY {
        "infinity".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-infinity".to_owned()
    } else {
        value.to_string()
    }
}

/// Writes one value as its placeholder, cast to its type. [`SqlType::Float`] on PostgreSQL and MySQL
/// is written by its callers, who know which of the two numbers they want.
pub(super) fn typed(w: &mut Writer, value: &Value) -> Result<(), WriteFault> {
    if !canonical(value.ty, &value.text) {
        return Err(WriteFault::Value);
    }
    match w.flavour {
        Flavour::Postgres | Flavour::PostgresIn(_) => postgres(w, value),
        Flavour::MySql | Flavour::MariaDb => mysql(w, value),
        Flavour::Sqlite => sqlite(w, value),
    }
}

/// The cast a PostgreSQL parameter of that type gets; `None` where the column is read as text.
pub(super) fn postgres_cast(ty: SqlType) -> &'static str {
    match ty {
        SqlType::Integer { .. } => "int8",
        SqlType::Decimal => "numeric",
        SqlType::Float => "float8",
        SqlType::Char => "bpchar",
        SqlType::Boolean => "bool",
        SqlType::Date => "date",
        SqlType::Time => "time",
        SqlType::DateTime => "timestamp",
        SqlType::Instant => "timestamptz",
        SqlType::Uuid => "uuid",
        SqlType::Binary => "bytea",
        SqlType::Text | SqlType::Enum | SqlType::Json | SqlType::Any | SqlType::Other => "text",
    }
}

fn postgres(w: &mut Writer, value: &Value) -> Result<(), WriteFault> {
    let mut cast = postgres_cast(value.ty);
    let bind = match value.ty {
        SqlType::Integer { .. } => {
            if let Ok(number) = value.text.parse() {
                Bind::Int(number)
            } else {
                cast = "numeric";
                Bind::Text(value.text.clone())
            }
        }
        SqlType::Binary => Bind::Bytes(hex(&value.text).ok_or(WriteFault::Value)?),
        _ => Bind::Text(value.text.clone()),
    };
    w.bind(bind);
    w.cast(cast);
    Ok(())
}

/// `YYYY-MM-DD HH:MM:SS[.ffffff]` as MySQL and SQLite spell it.
pub(super) fn blank_form(text: &str) -> String {
    text.trim_end_matches('Z').replace('T', " ")
}

fn mysql(w: &mut Writer, value: &Value) -> Result<(), WriteFault> {
    let cast = match value.ty {
        SqlType::Integer { .. } => {
            match (value.text.parse::<i64>(), value.text.parse::<u64>()) {
                (Ok(number), _) => w.bind(Bind::Int(number)),
                (_, Ok(number)) => w.bind(Bind::UInt(number)),
                _ => cast_text(w, &value.text, "DECIMAL(65,30)"),
            }
            return Ok(());
        }
        SqlType::Float => {
            let number = value.text.parse().map_err(|_| WriteFault::Value)?;
            w.bind(Bind::Float(number));
            return Ok(());
        }
        SqlType::Binary => {
            w.bind(Bind::Bytes(hex(&value.text).ok_or(WriteFault::Value)?));
            return Ok(());
        }
        SqlType::Boolean => {
            w.bind(Bind::Int(i64::from(value.text == "true")));
            return Ok(());
        }
        SqlType::Decimal => "DECIMAL(65,30)",
        SqlType::Date => "DATE",
        SqlType::Time => "TIME(6)",
        SqlType::DateTime | SqlType::Instant => "DATETIME(6)",
        _ => {
            w.bind(Bind::Text(value.text.clone()));
            return Ok(());
        }
    };
    if is_endless(&value.text) {
        return Err(WriteFault::Value);
    }
    cast_text(w, &blank_form(&value.text), cast);
    Ok(())
}

fn cast_text(w: &mut Writer, text: &str, cast: &str) {
    w.sql("CAST(");
    w.bind(Bind::Text(text.to_owned()));
    w.sql(" AS ");
    w.sql(cast);
    w.sql(")");
}

fn sqlite(w: &mut Writer, value: &Value) -> Result<(), WriteFault> {
    w.bind(match value.ty {
        SqlType::Integer { .. } | SqlType::Decimal | SqlType::Float => sqlite_number(&value.text)?,
        SqlType::Boolean => Bind::Int(i64::from(value.text == "true")),
        SqlType::Binary => Bind::Bytes(hex(&value.text).ok_or(WriteFault::Value)?),
        SqlType::DateTime | SqlType::Instant => Bind::Text(blank_form(&value.text)),
        _ => Bind::Text(value.text.clone()),
    });
    Ok(())
}

/// A number as SQLite itself would store it.
pub(super) fn sqlite_number(text: &str) -> Result<Bind, WriteFault> {
    match text.parse::<i64>() {
        Ok(number) if is_integer(text) => Ok(Bind::Int(number)),
        _ => text.parse().map(Bind::Float).map_err(|_| WriteFault::Value),
    }
}
