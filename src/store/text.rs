//! Expressions as text, and character matches on them.

use crate::mapping::catalog::SqlType;
use crate::mapping::plan::{Alike, ColumnRef, CompareOp, Expr, Piece, TextMatch};

use super::Letters;
use super::compare::{mysql_bytes, sign};
use super::fold::{Syntax, escaped, folded};
use super::statement::{Bind, Scope, Writer};
use super::{Flavour, WriteFault, collation};
use crate::mapping::fold::told;

/// Longest text searched for, in characters.
const MAX_SEARCH: usize = 256;

/// Writes an expression as text in the session's character set.
pub(super) fn as_text(w: &mut Writer, scope: Scope, expr: &Expr) -> Result<(), WriteFault> {
    match expr {
        Expr::Column(column) => column_text(w, scope, column),
        Expr::Trimmed(inner) => {
            w.call(if w.flavour.is_postgres() { "btrim" } else { "TRIM" });
            as_text(w, scope, inner)?;
            w.sql(")");
            Ok(())
        }
        Expr::Joined { parts, separator } => {
            if parts.is_empty() {
                return Err(WriteFault::Plan);
            }
            // Texts on both sides of NULLIF's `=`, which is PostgreSQL's own then: its catalogue comes first.
            w.sql("NULLIF(");
            w.call("concat_ws");
            w.text_bind(separator);
            for part in parts {
                w.sql(", CASE WHEN ");
                w.call(if w.flavour.is_postgres() { "btrim" } else { "TRIM" });
                as_text(w, scope, part)?;
                w.sql(")");
                w.operator("<>");
                w.sql("'' THEN ");
                as_text(w, scope, part)?;
                w.sql(" END");
            }
            w.sql(")");
            if w.flavour.is_postgres() && collation::mixed(w.flavour, parts) {
                w.sql(collation::EXACT);
            }
            w.sql(", '')");
            Ok(())
        }
        Expr::Pieces { column, pieces } => {
            if pieces.is_empty() {
                return Err(WriteFault::Plan);
            }
            let concat = w.flavour.is_mysql();
            w.sql(if concat { "CONCAT(" } else { "(" });
            let joined = match w.flavour {
                Flavour::Postgres | Flavour::PostgresIn(_) => " OPERATOR(pg_catalog.||) ",
                Flavour::Sqlite => " || ",
                Flavour::MySql | Flavour::MariaDb => ", ",
            };
            w.list(pieces, joined, |w, piece| {
                match piece {
                    Piece::Literal(text) => w.text_bind(text),
                    Piece::Slice { start, length } => {
                        w.call(if concat { "SUBSTRING" } else { "substr" });
                        column_text(w, scope, column)?;
                        w.sql(&format!(", {start}, {length})"));
                    }
                }
                Ok(())
            })?;
            w.sql(")");
            Ok(())
        }
    }
}

fn column_text(w: &mut Writer, scope: Scope, column: &ColumnRef) -> Result<(), WriteFault> {
    match w.flavour {
        Flavour::Postgres | Flavour::PostgresIn(_) => {
            w.column(scope, column)?;
            w.cast("text");
            // Its collation, or its type's, may take several texts for the same.
            if column.ty == SqlType::Enum {
                w.sql(collation::EXACT);
            }
        }
        Flavour::MySql | Flavour::MariaDb => {
            w.sql("CONVERT(");
            w.column(scope, column)?;
            w.sql(" USING utf8mb4)");
        }
        Flavour::Sqlite => {
            w.sql("CAST(");
            w.column(scope, column)?;
            w.sql(" AS TEXT)");
        }
    }
    Ok(())
}

/// Compares an expression, as text, code point by code point.
pub(super) fn compare(
    w: &mut Writer,
    scope: Scope,
    left: &Expr,
    op: CompareOp,
    right: &str,
) -> Result<(), WriteFault> {
    let lost = op == CompareOp::Eq && !w.flavour.holds(right);
    if w.flavour.is_postgres() && (lost || right.contains('\0')) {
        return match op {
            CompareOp::Eq => {
                w.sql("FALSE");
                Ok(())
            }
            _ => Err(WriteFault::Value),
        };
    }
    if w.flavour.is_mysql() {
        w.sql("CAST(");
        as_text(w, scope, left)?;
        w.sql(" AS BINARY)");
        w.operator(sign(op));
        w.bind(Bind::Bytes(right.as_bytes().to_vec()));
        return Ok(());
    }
    as_text(w, scope, left)?;
    w.sql(if w.flavour.is_postgres() { " COLLATE pg_catalog.\"C\"" } else { " COLLATE BINARY" });
    w.operator(sign(op));
    w.text_bind(right);
    Ok(())
}

/// A character match.
pub(super) fn matches(
    w: &mut Writer,
    scope: Scope,
    left: &Expr,
    how: TextMatch,
    text: &str,
    alike: Alike,
) -> Result<(), WriteFault> {
    if text.chars().count() > MAX_SEARCH {
        return Err(WriteFault::TooLong);
    }
    let (how, separator) = match how {
        TextMatch::StartsWord { separator } if w.flavour.holds(&separator.to_string()) => {
            (how, Some(separator))
        }
        // Nothing there is set apart by it.
        TextMatch::StartsWord { .. } => (TextMatch::StartsWith, None),
        _ => (how, None),
    };
    let lost = alike == Alike::Exact && !w.flavour.holds(text);
    // What is turned into capitals holds no small letter.
    let never = lost || told(text, alike) != text && alike != Alike::Folded;
    if never || text.contains('\0') || separator == Some('\0') {
        super::member::never(w);
        return Ok(());
    }
    let text = &told(text, alike);
    match (how, alike) {
        (TextMatch::Equals, Alike::Exact) => match left {
            Expr::Column(column) if matches!(column.ty, SqlType::Text | SqlType::Char) => {
                let value = crate::mapping::plan::Value { ty: column.ty, text: text.to_owned() };
                super::compare::compare(w, scope, left, CompareOp::Eq, &value)
            }
            _ => compare(w, scope, left, CompareOp::Eq, text),
        },
        _ if w.flavour == Flavour::Sqlite => glob(w, scope, left, how, text, alike),
        (_, Alike::Exact) => like(w, scope, left, how, text),
        _ => regex(w, scope, left, (how, alike), text),
    }
}

/// `GLOB` counts every code point, knows character classes and uses an index on a plain prefix.
fn glob(
    w: &mut Writer,
    scope: Scope,
    left: &Expr,
    how: TextMatch,
    text: &str,
    alike: Alike,
) -> Result<(), WriteFault> {
    let body = folded(text, alike, Syntax::Glob, None);
    let body = body.unwrap_or_else(|| escaped(text, Syntax::Glob));
    let one = |w: &mut Writer, pattern: String| {
        match left {
            Expr::Column(column) => w.column(scope, column)?,
            _ => as_text(w, scope, left)?,
        }
        w.sql(" GLOB ");
        w.text_bind(&pattern);
        Ok(())
    };
    match how {
        TextMatch::Equals => one(w, body),
        TextMatch::StartsWith => one(w, format!("{body}*")),
        TextMatch::Contains => one(w, format!("*{body}*")),
        TextMatch::StartsWord { separator } => {
            w.sql("(");
            one(w, format!("{body}*"))?;
            w.sql(" OR ");
            let separator = escaped(separator.encode_utf8(&mut [0; 4]), Syntax::Glob);
            one(w, format!("*{separator}{body}*"))?;
            w.sql(")");
            Ok(())
        }
    }
}

/// A match by other letters as well on PostgreSQL, MySQL and MariaDB: the pattern names every form of each letter, so
/// the answer does not depend on any collation or locale.
fn regex(
    w: &mut Writer,
    scope: Scope,
    left: &Expr,
    (how, alike): (TextMatch, Alike),
    text: &str,
) -> Result<(), WriteFault> {
    let separator = match how {
        TextMatch::StartsWord { separator } => Some(separator),
        _ => None,
    };
    // MariaDB read letters beyond the basic plane as `?` (seen in 10.1), in texts and in patterns: of bytes it reads all.
    // A `?` that is looked for is none of them then.
    let beyond = |c: char| u32::from(c) > 0xFFFF || c == '?';
    let bytes = w.flavour == Flavour::MariaDb && text.chars().chain(separator).any(beyond);
    let (syntax, held) = match w.flavour {
        // A class would stand for one of the bytes.
        Flavour::MariaDb if bytes => (Syntax::Alternatives, None),
        Flavour::MySql | Flavour::PostgresIn(Letters::Bytes) => (Syntax::Alternatives, None),
        Flavour::PostgresIn(letters) => (Syntax::RegexClass, Some(letters)),
        _ => (Syntax::RegexClass, None),
    };
    let Some(body) = folded(text, alike, syntax, held) else {
        super::member::never(w);
        return Ok(());
    };
    let pattern = match how {
        TextMatch::Equals => format!("^{body}$"),
        TextMatch::StartsWith => format!("^{body}"),
        TextMatch::Contains => body,
        TextMatch::StartsWord { separator } => {
            let separator = escaped(separator.encode_utf8(&mut [0; 4]), syntax);
            format!("(^|{separator}){body}")
        }
    };
    if w.flavour.is_postgres() {
        as_text(w, scope, left)?;
        w.operator("~");
        w.text_bind(&pattern);
        return Ok(());
    }
    w.sql("(");
    if how == TextMatch::Equals {
        // `$` also stands before a closing line break: the length settles it.
        w.sql("CHAR_LENGTH(");
        as_text(w, scope, left)?;
        w.sql(") = ");
        let length = i64::try_from(text.chars().count()).map_err(|_| WriteFault::TooLong)?;
        w.bind(Bind::Int(length));
        w.sql(" AND ");
    }
    if text.is_empty() {
        // MySQL refuses an empty pattern, which matches every text.
        as_text(w, scope, left)?;
        w.sql(" IS NOT NULL)");
        return Ok(());
    }
    if bytes {
        w.sql("CAST(");
        as_text(w, scope, left)?;
        w.sql(" AS BINARY) REGEXP ");
        w.bind(Bind::Bytes(pattern.into_bytes()));
    } else {
        as_text(w, scope, left)?;
        w.sql(" COLLATE utf8mb4_bin REGEXP ");
        w.bind(Bind::Text(pattern));
    }
    w.sql(")");
    Ok(())
}

/// The first text behind all that begin with this one, letter by letter; none behind the empty text.
pub(super) fn successor(text: &str) -> Option<String> {
    let last = text.chars().next_back()?;
    let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32)?;
    let mut after = text.get(..text.len() - last.len_utf8())?.to_owned();
    after.push(next);
    Some(after)
}

/// An exact match by `LIKE`, which is exact on PostgreSQL and, with a binary collation, on MySQL.
fn like(
    w: &mut Writer,
    scope: Scope,
    left: &Expr,
    how: TextMatch,
    text: &str,
) -> Result<(), WriteFault> {
    let body = escaped(text, Syntax::Like);
    match how {
        TextMatch::Equals => like_one(w, scope, left, body),
        TextMatch::StartsWith => like_one(w, scope, left, format!("{body}%")),
        TextMatch::Contains => like_one(w, scope, left, format!("%{body}%")),
        TextMatch::StartsWord { separator } => {
            let separator = escaped(separator.encode_utf8(&mut [0; 4]), Syntax::Like);
            w.sql("(");
            like_one(w, scope, left, format!("{body}%"))?;
            w.sql(" OR ");
            like_one(w, scope, left, format!("%{separator}{body}%"))?;
            w.sql(")");
            Ok(())
        }
    }
}

fn like_one(w: &mut Writer, scope: Scope, left: &Expr, pattern: String) -> Result<(), WriteFault> {
    let bare = match left {
        Expr::Column(column) if column.ty == SqlType::Text => Some(column),
        _ => None,
    };
    if w.flavour.is_postgres() {
        match bare {
            Some(column) => w.column(scope, column)?,
            None => as_text(w, scope, left)?,
        }
        // What `LIKE … ESCAPE` is read as.
        w.operator("~~");
        w.call("like_escape");
        w.text_bind(&pattern);
        w.sql(", '!')");
        return Ok(());
    }
    w.sql("(");
    if let Some(column) = bare.filter(|_| pattern.is_ascii()) {
        // Any collation of the column lets through at least the exact matches, and may use its index.
        w.column(scope, column)?;
        w.sql(" LIKE ");
        w.bind(Bind::Text(pattern.clone()));
        w.sql(" ESCAPE '!' AND ");
    }
    if let Expr::Column(column) = left {
        mysql_bytes(w, scope, column)?;
    } else {
        w.sql("CAST(");
        as_text(w, scope, left)?;
        w.sql(" AS BINARY)");
    }
    w.sql(" LIKE ");
    w.bind(Bind::Bytes(pattern.into_bytes()));
    w.sql(" ESCAPE '!')");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_right_behind_what_begins_with_a_text() {
        assert_eq!(successor("fam").as_deref(), Some("fan"));
        assert_eq!(successor("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
        assert_eq!((successor(""), successor("\u{10ffff}")), (None, None));
    }
}
