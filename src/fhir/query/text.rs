//! Texts of a query: percent escapes, and FHIR's own.

use std::fmt::Write as _;

use crate::fhir::QueryFault;

/// Appends `name=value`, percent-encoded, with an ampersand where one is due.
pub fn pair(out: &mut String, name: &str, value: &str) {
    if !out.is_empty() {
        out.push('&');
    }
    encode(out, name);
    out.push('=');
    encode(out, value);
}

fn encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:,".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

pub(super) fn decode(text: &str) -> Result<String, QueryFault> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let mut digit = || {
                    let digit = bytes.next().and_then(|b| char::from(b).to_digit(16));
                    digit.and_then(|d| u8::try_from(d).ok()).ok_or(QueryFault::Encoding)
                };
                let high = digit()?;
                out.push(high << 4 | digit()?);
            }
            _ => out.push(byte),
        }
    }
    let text = String::from_utf8(out).map_err(|_| QueryFault::Encoding)?;
    if text.contains('\0') {
        return Err(QueryFault::Encoding);
    }
    Ok(text)
}

/// The names and values of a query, decoded.
pub fn parameters(query: &str) -> Result<Vec<(String, String)>, QueryFault> {
    if query.len() > super::MAX_QUERY {
        return Err(QueryFault::TooLong);
    }
    let pairs: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    if pairs.len() > super::MAX_PARAMS {
        return Err(QueryFault::TooMany);
    }
    let pair = |pair: &&str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decode(name)?, decode(value)?))
    };
    pairs.iter().map(pair).collect()
}

/// Splits at a separator that no backslash stands before. The escapes stay.
pub fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut from, mut escaped) = (0, false);
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == separator {
            parts.push(text.get(from..at).unwrap_or_default());
            from = at + c.len_utf8();
        }
    }
    parts.push(text.get(from..).unwrap_or_default());
    parts
}

/// Takes FHIR's escapes `\,` `\|` `\$` `\\` away.
pub fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(next @ (',' | '|' | '$' | '\\')) if c == '\\' => {
                out.push(*next);
                chars.next();
            }
            _ => out.push(c),
        }
    }
    out
}
