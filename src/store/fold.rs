//! Folded and exact texts as patterns of each engine.

use crate::mapping::fold::forms;

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

/// A pattern for a text already folded; it stands for exactly that many characters.
pub(super) fn folded(text: &str, syntax: Syntax) -> String {
    let mut out = String::with_capacity(text.len() * 16);
    for base in text.chars() {
        match forms(base).as_slice() {
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
    out
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

    #[test]
    fn wildcards_are_taken_literally() {
        assert_eq!(escaped("*?[]^", Syntax::Glob), "[*][?][[]]^");
        assert_eq!(escaped("%_!\\", Syntax::Like), "!%!_!!\\");
        assert_eq!(escaped(".*", Syntax::RegexClass), "\\.\\*");
    }
}
