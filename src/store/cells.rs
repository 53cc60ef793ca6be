//! Cells to their canonical text.

use sqlx::decode::Decode;
use sqlx::mysql::{MySql, MySqlRow};
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{Row as _, TypeInfo as _, ValueRef as _};

use crate::mapping::catalog::SqlType;

/// What a cell turned out to be; the text lies in the scratch or the row.
pub(super) enum Cell<'a> {
    Null,
    Text(&'a str),
    /// Text, unless it is no UTF-8.
    Unchecked(&'a [u8]),
    /// A cell the driver or its character set cannot give as text.
    Bad,
}

/// A driver's row.
pub(super) trait TextRow: Send + Unpin {
    fn cell<'a>(&'a self, index: usize, ty: SqlType, scratch: &'a mut String) -> Cell<'a>;
}

/// `YYYY-MM-DD HH:MM:SS` with a `T` instead, and a `Z` for an instant.
fn date_time<'a>(text: &'a str, instant: bool, scratch: &'a mut String) -> &'a str {
    let bytes = text.as_bytes();
    if bytes.len() < 19 || bytes[10] != b' ' || !bytes[0].is_ascii_digit() {
        return text;
    }
    scratch.clear();
    scratch.push_str(&text[..10]);
    scratch.push('T');
    scratch.push_str(&text[11..]);
    if instant {
        scratch.push('Z');
    }
    scratch
}

fn shaped<'a>(ty: SqlType, text: &'a str, scratch: &'a mut String) -> Cell<'a> {
    Cell::Text(match ty {
        SqlType::DateTime => date_time(text, false, scratch),
        SqlType::Instant => date_time(text, true, scratch),
        // PostgreSQL writes large and small floating-point numbers with an exponent.
        SqlType::Float if text.contains('e') => {
            return text.parse::<f64>().map_or(Cell::Bad, |v| number(v, scratch));
        }
        _ => text,
    })
}

fn number(value: impl std::fmt::Display, scratch: &mut String) -> Cell<'_> {
    use std::fmt::Write as _;
    scratch.clear();
    match write!(scratch, "{value}") {
        Ok(()) => Cell::Text(scratch),
        Err(_) => Cell::Bad,
    }
}

fn hex<'a>(bytes: &[u8], scratch: &'a mut String) -> Cell<'a> {
    scratch.clear();
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            scratch.extend(char::from_digit(u32::from(nibble), 16));
        }
    }
    Cell::Text(scratch)
}

/// A cell that the server gave as text.
pub(super) fn text_cell<'a>(ty: SqlType, bytes: &'a [u8], scratch: &'a mut String) -> Cell<'a> {
    match ty {
        SqlType::DateTime | SqlType::Instant | SqlType::Float => {
            std::str::from_utf8(bytes).map_or(Cell::Bad, |text| shaped(ty, text, scratch))
        }
        _ => Cell::Unchecked(bytes),
    }
}

impl TextRow for MySqlRow {
    fn cell<'a>(&'a self, index: usize, ty: SqlType, scratch: &'a mut String) -> Cell<'a> {
        let Ok(value) = self.try_get_raw(index) else { return Cell::Bad };
        if value.is_null() {
            return Cell::Null;
        }
        if ty == SqlType::Float {
            let single = value.type_info().name() == "FLOAT";
            return if single {
                <f32 as Decode<MySql>>::decode(value).map_or(Cell::Bad, |v| number(v, scratch))
            } else {
                <f64 as Decode<MySql>>::decode(value).map_or(Cell::Bad, |v| number(v, scratch))
            };
        }
        match <&str as Decode<MySql>>::decode(value) {
            Ok(text) => shaped(ty, text, scratch),
            Err(_) => Cell::Bad,
        }
    }
}

impl TextRow for SqliteRow {
    fn cell<'a>(&'a self, index: usize, ty: SqlType, scratch: &'a mut String) -> Cell<'a> {
        let Ok(value) = self.try_get_raw(index) else { return Cell::Bad };
        if value.is_null() {
            return Cell::Null;
        }
        // The type of the cell, not of the column.
        let kind = value.type_info();
        match kind.name() {
            "INTEGER" => {
                <i64 as Decode<Sqlite>>::decode(value).map_or(Cell::Bad, |v| number(v, scratch))
            }
            "REAL" => {
                <f64 as Decode<Sqlite>>::decode(value).map_or(Cell::Bad, |v| number(v, scratch))
            }
            "BLOB" => match <&[u8] as Decode<Sqlite>>::decode(value) {
                // Text that a program handed over as bytes.
                Ok(bytes) if matches!(ty, SqlType::Text | SqlType::Char) => {
                    std::str::from_utf8(bytes).map_or(Cell::Bad, Cell::Text)
                }
                Ok(bytes) => hex(bytes, scratch),
                Err(_) => Cell::Bad,
            },
            _ => match <&str as Decode<Sqlite>>::decode(value) {
                Ok(text) => shaped(ty, text, scratch),
                Err(_) => Cell::Bad,
            },
        }
    }
}
