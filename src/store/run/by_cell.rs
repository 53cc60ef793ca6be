//! Rows of a PostgreSQL database in which some text cannot be said in UTF-8. The server refuses a whole answer
//! over one such letter. So the texts are asked for as the bytes that are there, and then what these mean: all
//! at once, and where that is refused in halves, until each that means nothing stands alone.

use std::collections::HashMap;
use std::ops::ControlFlow;

use sqlx::error::DatabaseError;

use crate::mapping::catalog::SqlType;
use crate::pool::postgres::{Cells, Ended, Parameter, PostgresSession};
use crate::store::cells::{Cell, text_cell};
use crate::store::{Flavour, StoreFault};

use super::together::parameters;
use super::{CELL, Fetched, Outcome, Parts, Taken};

/// What bytes mean, given as hexadecimal digits.
const MEANT: &str = "SELECT pg_catalog.convert_from(pg_catalog.decode(t.bytes, 'hex'), \
     pg_catalog.getdatabaseencoding()) \
     FROM pg_catalog.unnest($1::pg_catalog.text[]) WITH ORDINALITY AS t(bytes, place) ORDER BY t.place";

/// Whether a server of this encoding may have a text that it cannot say.
pub(super) const fn may_be_needed(flavour: Flavour) -> bool {
    matches!(flavour, Flavour::PostgresIn(_))
}

/// Whether the server refused a text: one of its own, or one that it was sent.
pub(super) fn is_refused(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    matches!(code.as_deref(), Some("22P05" | "22021"))
}

/// Whether a column's texts may be of any letters.
const fn is_free(ty: SqlType) -> bool {
    matches!(
        ty,
        SqlType::Text
            | SqlType::Char
            | SqlType::Json
            | SqlType::Enum
            | SqlType::Any
            | SqlType::Other
    )
}

/// The statement with its texts as bytes. `concat` writes a value as it would be sent.
fn as_bytes(text: &str, shape: &[SqlType]) -> String {
    let (mut columns, mut names) = (Vec::new(), Vec::new());
    for (at, ty) in shape.iter().enumerate() {
        let name = format!("c{at}");
        columns.push(if is_free(*ty) {
            format!(
                "CASE WHEN q.{name} IS NOT NULL THEN pg_catalog.convert_to(pg_catalog.concat(q.{name}), \
                 pg_catalog.getdatabaseencoding()) END"
            )
        } else {
            format!("q.{name}")
        });
        names.push(name);
    }
    format!("SELECT {} FROM ({text}) AS q({})", columns.join(", "), names.join(", "))
}

/// A cell on its way.
enum Raw {
    Null,
    /// As the server gave it.
    Said(Vec<u8>),
    /// Hexadecimal digits of what means something to the server.
    Bytes(String),
}

fn raw(ty: SqlType, cell: Option<&[u8]>) -> Raw {
    let Some(cell) = cell else { return Raw::Null };
    let digits = cell.strip_prefix(b"\\x").filter(|_| is_free(ty));
    let Some(digits) = digits.and_then(|digits| std::str::from_utf8(digits).ok()) else {
        return Raw::Said(cell.to_vec());
    };
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
    match bytes {
        Some(bytes) if bytes.is_ascii() => Raw::Said(bytes),
        _ => Raw::Bytes(digits.to_owned()),
    }
}

/// As [`select`](super::select), inside a transaction.
pub(super) async fn select(
    session: &mut PostgresSession,
    (text, binds, shape): Parts<'_>,
    limit: usize,
) -> Outcome<Fetched> {
    let parameters = parameters(binds)?;
    let (mut cells, mut used) = (Vec::new(), 0);
    let each = |mut row: Cells<'_>| {
        for ty in shape {
            let cell = row.next().flatten();
            used += CELL + cell.map_or(0, <[u8]>::len);
            cells.push(raw(*ty, cell));
        }
        // Digits are twice as many as the bytes.
        if used > limit.saturating_mul(2) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    if session.select(&as_bytes(text, shape), &parameters, each).await? != Ended::Complete {
        return Ok(Err(StoreFault::TooLarge { limit }));
    }
    let mut asked: Vec<String> = cells
        .iter()
        .filter_map(|cell| match cell {
            Raw::Bytes(digits) => Some(digits.clone()),
            Raw::Null | Raw::Said(_) => None,
        })
        .collect();
    asked.sort_unstable();
    asked.dedup();
    let meant = meanings(session, &asked).await?;
    let (mut taken, mut scratch) = (Taken::new(shape, limit), String::new());
    for (cell, ty) in cells.iter().zip(shape.iter().cycle()) {
        let cell = match cell {
            Raw::Null => Cell::Null,
            Raw::Said(bytes) => text_cell(*ty, bytes, &mut scratch),
            Raw::Bytes(digits) => meant.get(digits).map_or(Cell::Bad, |text| Cell::Text(text)),
        };
        if !taken.take(&cell) {
            break;
        }
    }
    Ok(taken.done())
}

/// What each of these bytes means; those that mean nothing are left out.
async fn meanings(
    session: &mut PostgresSession,
    asked: &[String],
) -> Result<HashMap<String, String>, sqlx::Error> {
    let mut meant = HashMap::new();
    let mut left = vec![asked];
    while let Some(part) = left.pop() {
        if part.is_empty() {
            continue;
        }
        session.command("SAVEPOINT letters").await?;
        let mut texts = Vec::with_capacity(part.len());
        let each = |mut cells: Cells<'_>| {
            let text = cells.next().flatten().and_then(|text| std::str::from_utf8(text).ok());
            texts.push(text.map(str::to_owned));
            ControlFlow::Continue(())
        };
        match session.select(MEANT, &[Parameter::Texts(part)], each).await {
            Ok(Ended::Complete) => {
                let known = part.iter().zip(texts);
                meant.extend(known.filter_map(|(digits, text)| Some((digits.clone(), text?))));
                session.command("RELEASE SAVEPOINT letters").await?;
            }
            Ok(Ended::CutShort) => {
                return Err(sqlx::Error::Protocol("an answer is too long".to_owned()));
            }
            Err(error) if is_refused(&error) => {
                session.command("ROLLBACK TO SAVEPOINT letters").await?;
                session.command("RELEASE SAVEPOINT letters").await?;
                if part.len() > 1 {
                    let (first, second) = part.split_at(part.len() / 2);
                    left.extend([first, second]);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_asked_for_as_bytes_and_nothing_else_is() {
        let shape = [SqlType::Integer { bits: 32, unsigned: false }, SqlType::Text];
        assert_eq!(
            as_bytes("SELECT a, b FROM t ORDER BY a", &shape),
            "SELECT q.c0, CASE WHEN q.c1 IS NOT NULL THEN pg_catalog.convert_to(pg_catalog.concat(q.c1), \
             pg_catalog.getdatabaseencoding()) END FROM (SELECT a, b FROM t ORDER BY a) AS q(c0, c1)"
        );
    }

    #[test]
    fn what_is_plain_needs_no_question() {
        let said = |cell: &[u8]| match raw(SqlType::Text, Some(cell)) {
            Raw::Said(bytes) => String::from_utf8(bytes).unwrap(),
            Raw::Bytes(digits) => format!("? {digits}"),
            Raw::Null => "-".to_owned(),
        };
        assert_eq!(said(b"\\x4e67"), "Ng");
        assert_eq!(said(b"\\xa9a1"), "? a9a1");
        assert_eq!(said(b"\\x"), "");
        assert!(
            matches!(raw(SqlType::Binary, Some(b"\\xa9")), Raw::Said(bytes) if bytes == b"\\xa9")
        );
        assert!(matches!(raw(SqlType::Text, None), Raw::Null));
    }
}
