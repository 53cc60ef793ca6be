//! Folded and exact texts as patterns of each engine.

use super::Letters;
use crate::mapping::fold::alike_forms;
use crate::mapping::plan::Alike;

/// How a pattern is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    /// SQLite `GLOB`.
    Glob,
    /// Regular expressions of PostgreSQL and MariaDB, with `[…]`.
    RegexClass,
    /// The same with `(a|b)`, which also holds where an engine takes a pattern for bytes (MySQL 5.7).
    Alternatives,
    /// `LIKE … ESCAPE '!'`.
    Like,
}

/// A pattern for a text of which only what `alike` tells apart counts (already folded where that is wanted); it
/// stands for exactly that many characters. Where a database holds
/// some letters only, the pattern names no other; there is none for a text of which a letter is in no form
/// among them. Of letters nobody knows about those are named that were searched for.
pub(super) fn folded(
    text: &str,
    alike: Alike,
    syntax: Syntax,
    held: Option<Letters>,
) -> Option<String> {
    let mut out = String::with_capacity(text.len() * 16);
    for base in text.chars() {
        let mut all = alike_forms(base, alike);
        if let Some(held) = held {
            all.retain(|c| held.sure(*c) || held == Letters::Unknown && *c == base);
        }
        match all.as_slice() {
            [] => return None,
            [only] => escape(*only, syntax, &mut out),
            all if syntax == Syntax::Alternatives => {
                out.push('(');
                for (index, c) in all.iter().enumerate() {
                    if index > 0 {
                        out.push('|');
                    }
                    out.push(*c);
                }
                out.push(')');
            }
            all => {
                out.push('[');
                out.extend(all);
                out.push(']');
            }
        }
    }
    Some(out)
}

/// A pattern of exactly that text.
pub(super) fn escaped(text: &str, syntax: Syntax) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        escape(c, syntax, &mut out);
    }
    out
}

fn escape(c: char, syntax: Syntax, out: &mut String) {
    match syntax {
        Syntax::Glob if matches!(c, '*' | '?' | '[') => {
            out.push('[');
            out.push(c);
            out.push(']');
        }
        Syntax::Like if matches!(c, '%' | '_' | '!') => {
            out.push('!');
            out.push(c);
        }
        Syntax::RegexClass | Syntax::Alternatives if c.is_ascii_punctuation() => {
            out.push('\\');
            out.push(c);
        }
        _ => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Flavour;

    #[test]
    fn wildcards_are_taken_literally() {
        assert_eq!(escaped("*?[]^", Syntax::Glob), "[*][?][[]]^");
        assert_eq!(escaped("%_!\\", Syntax::Like), "!%!_!!\\");
        assert_eq!(escaped(".*", Syntax::RegexClass), "\\.\\*");
    }

    /// MariaDB 10.1 finds 'abc' by '^[aA]b😀'.
    #[test]
    fn letters_beyond_the_basic_plane_are_looked_for_by_their_bytes() {
        use crate::mapping::catalog::SqlType;
        use crate::mapping::plan::{ColumnRef, Expr, TextMatch};
        use crate::store::statement::{Bind, Scope, Writer};
        let column =
            ColumnRef { relation: 0, name: "k".to_owned(), ty: SqlType::Text, collation: None };
        let scope = Scope { depth: 0, relations: 1 };
        let written = |flavour, how, text| {
            let (mut w, column) = (Writer::new(flavour), Expr::Column(column.clone()));
            crate::store::text::matches(&mut w, scope, &column, how, text, Alike::Folded).unwrap();
            (w.text, w.binds.pop().unwrap())
        };
        let (sql, pattern) = written(Flavour::MariaDb, TextMatch::StartsWith, "b😀");
        assert!(sql.ends_with("AS BINARY) REGEXP ?)"), "{sql}");
        assert_eq!(pattern, Bind::Bytes("^(b|B|ƀ|Ḃ|ḃ|Ḅ|ḅ|Ḇ|ḇ)😀".as_bytes().to_vec()));
        let word = TextMatch::StartsWord { separator: '😀' };
        assert!(written(Flavour::MariaDb, word, "b").0.contains("AS BINARY"));
        let (sql, pattern) = written(Flavour::MariaDb, TextMatch::Contains, "7");
        assert!(sql.contains("COLLATE utf8mb4_bin"), "{sql}");
        assert_eq!(pattern, Bind::Text("7".to_owned()));
    }

    #[test]
    fn a_pattern_names_no_letter_that_the_database_cannot_hold() {
        let pattern =
            |text, encoding| folded(text, Alike::Folded, Syntax::RegexClass, Letters::of(encoding));
        assert_eq!(pattern("na", "LATIN1").as_deref(), Some("[nNÑñ][aAÀÁÂÃÄÅàáâãäå]"));
        assert_eq!(pattern("na", "KOI8R").as_deref(), Some("[nN][aA]"));
        assert_eq!(pattern("ж", "KOI8R").as_deref(), Some("[жЖ]"));
        assert_eq!(pattern("ж", "LATIN1"), None);
        assert_eq!(pattern("a山", "EUC_JP").as_deref(), Some("[aA]山"));
        assert_eq!(pattern("s", "UTF8").unwrap(), pattern("s", "SQL_ASCII").unwrap());
    }
}
