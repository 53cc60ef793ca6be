//! Searches that ignore case and accents, for an index of folded texts, or of `lower(column)` that the hospital has for
//! its own use. The latter knows nothing of accents, and need not: in the order of bytes, all texts that leave the
//! letters looked for with something beyond ASCII lie together, whatever accents they bear.

use crate::mapping::fold::{fold, translated, translation};
use crate::mapping::plan::{ColumnRef, Expr};

use super::statement::{Scope, Writer};
use super::text::{as_text, successor};
use super::{Flavour, WriteFault};

/// How many letters are looked at: each is a range of its own in the index, and so many tell names apart.
const LETTERS: usize = 12;

/// A condition that holds of every cell of which the text begins with `begins`, folded, and of few others:
/// its small letters begin with the same, or do so up to something beyond ASCII, or a blank comes first.
///
/// `lower` gives a letter of ASCII its small one, or in some languages one beyond ASCII, and a letter with an
/// accent one beyond ASCII, or in a few cases its own base letter. All of that is in one of the ranges.
pub(super) fn begins(
    w: &mut Writer,
    scope: Scope,
    column: &ColumnRef,
    begins: &str,
) -> Result<(), WriteFault> {
    let folded = fold(begins);
    let known = folded.bytes().take(LETTERS).take_while(|b| b.is_ascii_graphic() || *b == b' ');
    let ascii = folded.get(..known.count()).unwrap_or_default();
    // The order of bytes is that of the letters in UTF-8 alone.
    if ascii.is_empty() || w.flavour != Flavour::Postgres {
        w.sql("TRUE");
        return Ok(());
    }
    w.sql("(");
    bound(w, scope, column, "~<~", "!")?;
    for end in 0..ascii.len() {
        let same = ascii.get(..end).unwrap_or_default();
        w.sql(" OR (");
        bound(w, scope, column, "~>=~", &format!("{same}\u{80}"))?;
        if let Some(after) = successor(same) {
            w.sql(" AND ");
            bound(w, scope, column, "~<~", &after)?;
        }
        w.sql(")");
    }
    w.sql(" OR (");
    bound(w, scope, column, "~>=~", ascii)?;
    if let Some(after) = successor(ascii) {
        w.sql(" AND ");
        bound(w, scope, column, "~<~", &after)?;
    }
    w.sql("))");
    Ok(())
}

/// A folded beginning once more, in the form that an index of folded texts serves which the hospital made
/// (`docs/mapping/COOKBOOK.md` says how). `LIKE` would be no use, its index range is found for a pattern known
/// beforehand only. `translate` looks through all letters for each of a text's: without the index it takes
/// longer than everything else about a row.
pub(super) fn in_folded(
    w: &mut Writer,
    scope: Scope,
    left: &Expr,
    begins: &str,
) -> Result<(), WriteFault> {
    let folded = fold(begins);
    let first = translated(&folded);
    // Such an index is made of all letters, so no other encoding can have it.
    let after = successor(first).filter(|_| w.flavour == Flavour::Postgres);
    let Some(after) = after else {
        w.sql("TRUE");
        return Ok(());
    };
    let (from, to) = translation();
    w.sql("(");
    for (n, (sign, bound)) in [("~>=~", first), ("~<~", &after)].into_iter().enumerate() {
        w.sql(if n == 0 { "" } else { " AND " });
        w.call("translate");
        as_text(w, scope, left)?;
        for letters in [&from, &to] {
            w.sql(", '");
            w.sql(letters);
            w.sql("'");
        }
        w.sql(")");
        w.operator(sign);
        w.text_bind(bound);
    }
    w.sql(")");
    Ok(())
}

fn bound(
    w: &mut Writer,
    scope: Scope,
    column: &ColumnRef,
    sign: &str,
    text: &str,
) -> Result<(), WriteFault> {
    w.call("lower");
    as_text(w, scope, &Expr::Column(column.clone()))?;
    w.sql(")");
    w.operator(sign);
    w.text_bind(text);
    Ok(())
}
