//! Texts that make an id together: of FHIR's alphabet for ids (R4, 2.24.0.1) or escaped so that they are, and short
//! enough. What is counted here is what `mapping` writes; the tests of the searches hold them against each other.

use crate::mapping::plan::IdText;

use super::statement::{Scope, Writer};
use super::text::as_text;
use super::{Flavour, WriteFault};

/// The texts make an id of at most `room` characters.
pub(super) fn is_id(
    w: &mut Writer,
    scope: Scope,
    parts: &[IdText],
    room: u32,
) -> Result<(), WriteFault> {
    if parts.is_empty() {
        return Err(WriteFault::Plan);
    }
    w.sql("(");
    for part in parts {
        if part.escaped {
            // Blanks at the ends do not count in what refers to it, so it could not be found again.
            length(w, scope, part)?;
            w.operator("=");
            w.call(if w.flavour.is_mysql() { "CHAR_LENGTH" } else { "length" });
            w.call(if w.flavour.is_postgres() { "btrim" } else { "TRIM" });
            as_text(w, scope, &part.text)?;
            w.sql("))");
        } else {
            plain(w, scope, part)?;
        }
        w.sql(" AND ");
        if parts.len() > 1 {
            length(w, scope, part)?;
            w.operator(">");
            w.sql("0 AND ");
        }
    }
    let plus = if w.flavour.is_postgres() { " OPERATOR(pg_catalog.+) " } else { " + " };
    w.list(parts, plus, |w, part| {
        if part.escaped { escaped(w, scope, part) } else { length(w, scope, part) }
    })?;
    w.sql(&format!(" BETWEEN 1 AND {room})"));
    Ok(())
}

/// It is of the alphabet.
fn plain(w: &mut Writer, scope: Scope, part: &IdText) -> Result<(), WriteFault> {
    if part.number {
        return number(w, scope, part);
    }
    as_text(w, scope, &part.text)?;
    w.sql(match w.flavour {
        Flavour::Postgres | Flavour::PostgresIn(_) => " OPERATOR(pg_catalog.!~) '[^A-Za-z0-9.-]'",
        Flavour::MySql | Flavour::MariaDb => " COLLATE utf8mb4_bin NOT REGEXP '[^A-Za-z0-9.-]'",
        Flavour::Sqlite => " NOT GLOB '*[^-A-Za-z0-9.]*'",
    });
    Ok(())
}

/// It is a number as it is written in an id: its digits with or without a fraction, no power of ten and no zero below
/// zero, and no longer than a value that is compared with it may be.
fn number(w: &mut Writer, scope: Scope, part: &IdText) -> Result<(), WriteFault> {
    const DIGITS: &str = "'^-?(0|[1-9][0-9]*)([.][0-9]+)?$'";
    const NOTHING: &str = "'^-[0.]*$'";
    let (is, is_not) = match w.flavour {
        Flavour::Postgres | Flavour::PostgresIn(_) => (
            format!(" OPERATOR(pg_catalog.~) {DIGITS}"),
            format!(" OPERATOR(pg_catalog.!~) {NOTHING}"),
        ),
        Flavour::MySql | Flavour::MariaDb => (
            format!(" COLLATE utf8mb4_bin REGEXP {DIGITS}"),
            format!(" COLLATE utf8mb4_bin NOT REGEXP {NOTHING}"),
        ),
        // Of numbers alone: any other letter is of a power of ten, or of infinity.
        Flavour::Sqlite => {
            (" NOT GLOB '*[^-0-9.]*'".to_owned(), " NOT IN ('-0', '-0.0')".to_owned())
        }
    };
    for form in [is, is_not] {
        as_text(w, scope, &part.text)?;
        w.sql(&form);
        w.sql(" AND ");
    }
    length(w, scope, part)?;
    w.operator("<=");
    w.sql("36");
    Ok(())
}

fn length(w: &mut Writer, scope: Scope, part: &IdText) -> Result<(), WriteFault> {
    w.call(if w.flavour.is_mysql() { "CHAR_LENGTH" } else { "length" });
    as_text(w, scope, &part.text)?;
    w.sql(")");
    Ok(())
}

/// How long its form is: itself where it stands for itself; otherwise a mark, what is kept, and a dot and two
/// digits for each byte of the rest.
fn escaped(w: &mut Writer, scope: Scope, part: &IdText) -> Result<(), WriteFault> {
    w.sql("CASE WHEN ");
    plain(w, scope, part)?;
    let unlike = match w.flavour {
        Flavour::Postgres | Flavour::PostgresIn(_) => " OPERATOR(pg_catalog.!~~) ",
        Flavour::MySql | Flavour::MariaDb => " COLLATE utf8mb4_bin NOT LIKE ",
        Flavour::Sqlite => " NOT GLOB ",
    };
    let (any, sqlite) = ("%", w.flavour == Flavour::Sqlite);
    let any = if sqlite { "*" } else { any };
    // The template's own texts are letters, digits, '-' and '.' only.
    let apart = part.apart.map(|c| format!("{any}{c}{any}"));
    for pattern in std::iter::once(format!("-{any}")).chain(apart) {
        w.sql(" AND ");
        as_text(w, scope, &part.text)?;
        w.sql(unlike);
        w.sql(&format!("'{pattern}'"));
    }
    w.sql(" THEN ");
    length(w, scope, part)?;
    w.sql(" ELSE ");
    if sqlite {
        one_by_one(w, scope, part)?;
    } else {
        // Each byte thrice, less twice for what is kept. Named operators all bind alike.
        w.sql("1");
        w.operator("+");
        w.sql("(3");
        w.operator("*");
        bytes(w, scope, part)?;
        w.sql(")");
        w.operator("-");
        w.sql("(2");
        w.operator("*");
        kept(w, scope, part)?;
        w.sql(")");
    }
    w.sql(" END");
    Ok(())
}

fn bytes(w: &mut Writer, scope: Scope, part: &IdText) -> Result<(), WriteFault> {
    if w.flavour.is_postgres() {
        w.call("octet_length");
        w.call("convert_to");
        as_text(w, scope, &part.text)?;
        w.sql(", 'UTF8'))");
    } else {
        w.sql("LENGTH(");
        as_text(w, scope, &part.text)?;
        w.sql(")");
    }
    Ok(())
}

/// How many of its characters stay as they are.
fn kept(w: &mut Writer, scope: Scope, part: &IdText) -> Result<(), WriteFault> {
    if w.flavour.is_mysql() {
        return kept_one_by_one(w, scope, part);
    }
    w.call("length");
    w.call("regexp_replace");
    as_text(w, scope, &part.text)?;
    w.sql(&format!(", '[^{}]', '', 'g'))", class(part)));
    Ok(())
}

/// The same where no pattern is replaced (MySQL before 8.0): all its characters, less those that are left when each
/// letter that is kept is taken out. `REPLACE` tells capitals from small letters whatever the collation.
fn kept_one_by_one(w: &mut Writer, scope: Scope, part: &IdText) -> Result<(), WriteFault> {
    let class = class(part);
    w.sql("(");
    length(w, scope, part)?;
    w.sql(" - CHAR_LENGTH(");
    w.sql(&"REPLACE(".repeat(class.len()));
    as_text(w, scope, &part.text)?;
    for letter in class.chars() {
        w.sql(&format!(", '{letter}', '')"));
    }
    w.sql("))");
    Ok(())
}

/// What is kept, as it stands in the brackets of a pattern.
fn class(part: &IdText) -> String {
    let every = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-']);
    every.filter(|c| part.apart != Some(*c)).collect()
}

/// The length on SQLite, which replaces no patterns: character by character.
fn one_by_one(w: &mut Writer, scope: Scope, part: &IdText) -> Result<(), WriteFault> {
    let character = |w: &mut Writer| {
        w.sql("substr(");
        as_text(w, scope, &part.text)?;
        w.sql(", at, 1)");
        Ok::<(), WriteFault>(())
    };
    w.sql("(WITH RECURSIVE form(at, total) AS (SELECT 1, 1 UNION ALL SELECT at + 1, total + CASE WHEN ");
    character(w)?;
    // A hyphen at the end of the brackets stands for itself.
    w.sql(&format!(" GLOB '[{}]' THEN 1", class(part)));
    for (below, length) in [(0x80, 3), (0x800, 6), (0x1_0000, 9)] {
        w.sql(" WHEN unicode(");
        character(w)?;
        w.sql(&format!(") < {below} THEN {length}"));
    }
    w.sql(" ELSE 12 END FROM form WHERE at <= 65 AND at <= length(");
    as_text(w, scope, &part.text)?;
    w.sql(")) SELECT max(total) FROM form)");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::catalog::SqlType;
    use crate::mapping::plan::{ColumnRef, Expr};

    #[test]
    fn escaped_keys_are_counted_by_what_old_servers_have_too() {
        let column =
            ColumnRef { relation: 0, name: "k".to_owned(), ty: SqlType::Text, collation: None };
        let part =
            IdText { text: Expr::Column(column), escaped: true, apart: Some('-'), number: false };
        for flavour in [Flavour::MySql, Flavour::MariaDb] {
            let mut w = Writer::new(flavour);
            is_id(&mut w, Scope { depth: 0, relations: 1 }, std::slice::from_ref(&part), 64)
                .unwrap();
            let text = w.finish(Vec::new()).unwrap().text;
            assert!(!text.contains("REGEXP_"), "MySQL has them from 8.0 on: {text}");
            assert_eq!(text.matches("REPLACE(").count(), 62, "{text}");
            assert!(!text.contains("'-', ''"), "it is not kept here: {text}");
        }
    }
}
