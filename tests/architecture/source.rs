//! Just enough of Rust's grammar to see which paths a source file names.

use std::path::{Path, PathBuf};

/// An identifier, `::`, or a single character; comments, strings and character literals leave none.
pub struct Token {
    pub text: String,
    pub line: usize,
    /// Whether it stands under `#[cfg(test)]`.
    pub in_test: bool,
    /// How many modules written in braces it stands in.
    pub inline: usize,
}

/// A path as written, from its first segment on.
pub struct Named {
    pub segments: Vec<String>,
    pub line: usize,
    /// Whether it stands under `#[cfg(test)]`.
    pub in_test: bool,
    /// How many modules written in braces it stands in.
    pub inline: usize,
}

/// The tokens of a source file.
pub fn lex(text: &str) -> Vec<Token> {
    let (mut tokens, mut rest, mut line) = (Vec::new(), text, 1);
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (skipped, token) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), false)
        } else if rest.starts_with("/*") {
            (block_comment(rest), false)
        } else if let Some(length) = literal(rest) {
            (length, false)
        } else if word > 0 {
            (word, true)
        } else if rest.starts_with("::") {
            (2, true)
        } else {
            (first.len_utf8(), !first.is_whitespace())
        };
        if token {
            tokens.push(Token {
                text: rest[..skipped].to_owned(),
                line,
                in_test: false,
                inline: 0,
            });
        }
        line += rest[..skipped].matches('\n').count();
        rest = &rest[skipped..];
    }
    mark_inline(&mut tokens);
    mark_tests(&mut tokens);
    tokens
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The length of the string or character literal that `text` begins with.
fn literal(text: &str) -> Option<usize> {
    let bare = text.trim_start_matches(['b', 'c', 'r']);
    let prefix = text.len() - bare.len();
    let hashes = bare.len() - bare.trim_start_matches('#').len();
    if text[..prefix].ends_with('r') && bare[hashes..].starts_with('"') {
        let body = prefix + hashes + 1;
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(text[body..].find(&end).map_or(text.len(), |at| body + at + end.len()));
    }
    if prefix > 1 {
        return None;
    }
    let quote = bare.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut inside = bare[1..].char_indices();
    if quote == '\'' && !bare[1..].starts_with('\\') {
        // A lifetime has no closing quote after its first character.
        let (_, one) = inside.next()?;
        return bare[1 + one.len_utf8()..].starts_with('\'').then(|| prefix + one.len_utf8() + 2);
    }
    while let Some((at, c)) = inside.next() {
        if c == '\\' {
            inside.next();
        } else if c == quote {
            return Some(prefix + at + 2);
        }
    }
    Some(text.len())
}

/// Counts for every token the modules in braces around it.
fn mark_inline(tokens: &mut [Token]) {
    let mut open = Vec::new();
    for at in 0..tokens.len() {
        if tokens[at].text == "}" {
            open.pop();
        }
        tokens[at].inline = open.iter().filter(|is_module| **is_module).count();
        if tokens[at].text == "{" {
            open.push(at > 1 && tokens[at - 2].text == "mod");
        }
    }
}

/// Marks every item under `#[cfg(test)]`.
fn mark_tests(tokens: &mut [Token]) {
    let marker = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut at = 0;
    while at + marker.len() <= tokens.len() {
        if !marker.iter().zip(&tokens[at..]).all(|(word, token)| token.text == *word) {
            at += 1;
            continue;
        }
        let is_use = |token: &Token| token.text == "use";
        let until_semicolon = tokens[at..].iter().skip(marker.len()).take(4).any(is_use);
        let mut depth = 0_usize;
        let mut started = false;
        while at < tokens.len() {
            let token = &mut tokens[at];
            token.in_test = true;
            at += 1;
            match token.text.as_str() {
                "{" | "(" | "[" => depth += 1,
                ")" | "]" => depth = depth.saturating_sub(1),
                "}" => {
                    depth = depth.saturating_sub(1);
                    started = depth == 0 && !until_semicolon;
                }
                ";" => started = depth == 0,
                _ => {}
            }
            if started {
                break;
            }
        }
    }
}

/// The files and folders that `#[cfg(test)] mod name;` in this file names.
pub fn test_files(path: &Path, tokens: &[Token]) -> Vec<PathBuf> {
    let stem = path.file_stem().unwrap_or_default();
    let folder = match stem.to_str() {
        Some("mod" | "lib" | "main") => path.with_file_name(""),
        _ => path.with_extension(""),
    };
    let declared = |t: &&[Token]| t[0].in_test && t[0].text == "mod" && t[2].text == ";";
    tokens
        .windows(3)
        .filter(declared)
        .flat_map(|t| [folder.join(&t[1].text), folder.join(format!("{}.rs", t[1].text))])
        .collect()
}

/// Every path in the tokens, with brace groups multiplied out.
pub fn paths(tokens: &[Token]) -> Vec<Named> {
    let is_word = |t: &Token| t.text.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let (mut found, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let before = at.checked_sub(1).map_or("", |before| tokens[before].text.as_str());
        let starts = tokens.get(at + 1).is_some_and(|next| next.text == "::") || before == "use";
        // `pub(in path)` says who may see a thing, it uses nothing.
        let visibility = before == "in" && at > 1 && tokens[at - 2].text == "(";
        if is_word(&tokens[at]) && starts && before != "::" && !visibility {
            at = tree(tokens, at, &[], &mut found);
        } else {
            at += 1;
        }
    }
    found
}

/// Reads one use tree at `at` under `prefix`; returns where it ends.
fn tree(tokens: &[Token], mut at: usize, prefix: &[String], found: &mut Vec<Named>) -> usize {
    let Some(Token { line, in_test, inline, .. }) = tokens.get(at) else { return at };
    let mut segments = prefix.to_vec();
    loop {
        let text = tokens.get(at).map_or("", |t| t.text.as_str());
        if text == "{" && segments.len() > prefix.len() {
            at += 1;
            while at < tokens.len() && tokens[at].text != "}" {
                at = match tokens[at].text.as_str() {
                    "," => at + 1,
                    "as" => at + 2,
                    _ => tree(tokens, at, &segments, found).max(at + 1),
                };
            }
            return at + 1;
        }
        if text.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            segments.push(text.to_owned());
            at += 1;
        }
        if tokens.get(at).is_none_or(|t| t.text != "::") {
            break;
        }
        at += 1;
    }
    found.push(Named { segments, line: *line, in_test: *in_test, inline: *inline });
    at
}
