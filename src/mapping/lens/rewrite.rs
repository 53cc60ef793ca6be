//! Texts made of other texts: what is cut out, put in its place, decoded or reckoned. Read only, but for
//! a UUID kept as bytes, which can be asked for.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use regex::{Regex, RegexBuilder};
use serde_json::value::RawValue;

use super::LONGEST;
use super::decimal::Decimal;
use super::eval::Bad;

/// One text to another.
#[derive(Debug, Clone)]
pub enum Rewrite {
    /// Every occurrence of a text by another.
    Replace { from: String, to: String },
    /// A group of a regular expression; nothing where it does not match.
    Capture { regex: Regex, group: usize },
    /// The scalar at a place in a JSON text (RFC 6901); nothing where there is none.
    Json(Vec<String>),
    /// 16 bytes, as hex, base64 or with hyphens, as a UUID.
    Uuid,
    /// UTF-8 text in base64.
    Base64,
    /// Bytes, read as hex, in base64.
    Encode,
    /// UTF-8 that was taken for Windows-1252 and encoded again.
    Repair,
    /// Times a factor, plus an offset, to so many decimals.
    Scale { factor: Decimal, offset: Option<Decimal>, decimals: Option<u32> },
}

/// Longest regular expression, in bytes.
const MAX_PATTERN: usize = 500;

/// Most memory a compiled regular expression may take, in bytes.
const MAX_REGEX: usize = 256 * 1024;

impl Rewrite {
    /// A capture of a pattern's group: the one named by number, else the first, else the whole match.
    /// Matching takes time linear in the text. The error says what is wrong with the pattern.
    pub fn capture(pattern: &str, group: Option<&str>) -> Result<Self, String> {
        if pattern.len() > MAX_PATTERN {
            return Err(format!("it is longer than {MAX_PATTERN} bytes"));
        }
        let mut builder = RegexBuilder::new(pattern);
        let regex =
            builder.size_limit(MAX_REGEX).dfa_size_limit(MAX_REGEX).build().map_err(|error| {
                match error {
                    regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
                    error => error.to_string().lines().last().unwrap_or_default().to_owned(),
                }
            })?;
        let groups = regex.captures_len() - 1;
        let group = match group {
            None => groups.min(1),
            Some(text) => text.parse().map_err(|_| "the group is a number".to_owned())?,
        };
        if group > groups {
            return Err(format!("it has {groups} groups"));
        }
        Ok(Self::Capture { regex, group })
    }

    /// The text that a capture cuts off the beginning, where that is all it does: `^LOINC:(.+)$`.
    pub fn cuts(&self) -> Option<String> {
        let Self::Capture { regex, group: 1 } = self else { return None };
        let pattern = regex.as_str().strip_prefix('^')?;
        let head = pattern.strip_suffix("(.+)$").or_else(|| pattern.strip_suffix("(.*)$"))?;
        let mut text = String::new();
        let mut chars = head.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => text.push(chars.next().filter(char::is_ascii_punctuation)?),
                c if ".+*?()|[]{}^$".contains(c) => return None,
                c => text.push(c),
            }
        }
        (!text.is_empty() && !text.contains('\n')).then_some(text)
    }

    /// The rewritten text; `Ok(None)` for nothing.
    pub fn apply<'a>(&self, text: Cow<'a, str>) -> Result<Option<Cow<'a, str>>, Bad> {
        Ok(match self {
            Self::Replace { from, to } if text.contains(from.as_str()) => {
                let times = text.matches(from.as_str()).count();
                let left = text.len() - times * from.len();
                if left.saturating_add(times.saturating_mul(to.len())) > LONGEST {
                    return Err(Bad);
                }
                filled(text.replace(from.as_str(), to))
            }
            Self::Replace { .. } => Some(text),
            Self::Capture { regex, group } => {
                let found = match group {
                    0 => regex.find(&text),
                    group => regex.captures(&text).and_then(|captures| captures.get(*group)),
                };
                let Some(range) = found.map(|found| found.range()) else { return Ok(None) };
                cut(text, range).filter(|text| !text.trim().is_empty())
            }
            Self::Json(path) => json(&text, path)?.map(Cow::Owned),
            Self::Uuid => Some(Cow::Owned(uuid(text.trim()).ok_or(Bad)?)),
            Self::Base64 => {
                let bytes = base64(text.trim()).ok_or(Bad)?;
                filled(String::from_utf8(bytes).map_err(|_| Bad)?)
            }
            Self::Encode => filled(STANDARD.encode(bytes(&text).ok_or(Bad)?)),
            Self::Repair => match repaired(&text) {
                Some(repaired) => Some(Cow::Owned(repaired)),
                None => Some(text),
            },
            Self::Scale { factor, offset, decimals } => {
                let number = Decimal::parse(&text).and_then(|n| n.times(*factor));
                let moved = match offset {
                    Some(offset) => number.and_then(|n| n.plus(*offset)),
                    None => number,
                };
                let moved = moved.ok_or(Bad)?;
                let rounded = decimals.map_or(moved, |decimals| moved.rounded(decimals));
                Some(Cow::Owned(rounded.to_string()))
            }
        })
    }
}

fn filled<'a>(text: String) -> Option<Cow<'a, str>> {
    (!text.trim().is_empty()).then_some(Cow::Owned(text))
}

/// A part of a text, borrowed where the whole was.
fn cut(text: Cow<'_, str>, range: std::ops::Range<usize>) -> Option<Cow<'_, str>> {
    match text {
        Cow::Borrowed(text) => text.get(range).map(Cow::Borrowed),
        Cow::Owned(text) => text.get(range).map(|part| Cow::Owned(part.to_owned())),
    }
}

fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok()
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

fn uuid(text: &str) -> Option<String> {
    if let Ok(uuid) = uuid::Uuid::try_parse(text) {
        return Some(uuid.hyphenated().to_string());
    }
    let bytes = base64(text)?;
    uuid::Uuid::from_slice(&bytes).ok().map(|uuid| uuid.hyphenated().to_string())
}

/// The scalar at a place of a JSON text, numbers with their digits as they stand.
fn json(text: &str, path: &[String]) -> Result<Option<String>, Bad> {
    let Some(found) = place(text, path)? else { return Ok(None) };
    Ok(scalar(found)?.map(Cow::into_owned))
}

/// What stands at a place of a JSON text; `None` where there is no such place.
pub(super) fn place<'t>(text: &'t str, path: &[String]) -> Result<Option<&'t RawValue>, Bad> {
    let mut here: &RawValue = serde_json::from_str(text).map_err(|_| Bad)?;
    for step in path {
        let at = here.get();
        let next: Option<&RawValue> = if at.starts_with('{') {
            let members: std::collections::BTreeMap<Cow<'_, str>, &RawValue> =
                serde_json::from_str(at).map_err(|_| Bad)?;
            members.get(step.as_str()).copied()
        } else if at.starts_with('[') {
            let items: Vec<&RawValue> = serde_json::from_str(at).map_err(|_| Bad)?;
            step.parse::<usize>().ok().and_then(|n| items.get(n).copied())
        } else {
            None
        };
        let Some(next) = next else { return Ok(None) };
        here = next;
    }
    Ok(Some(here))
}

/// A scalar's text, without quotes; nothing of `null` and of blanks.
pub(super) fn scalar(value: &RawValue) -> Result<Option<Cow<'_, str>>, Bad> {
    match value.get() {
        "null" => Ok(None),
        text if text.starts_with('"') => {
            let text: String = serde_json::from_str(text).map_err(|_| Bad)?;
            Ok((!text.trim().is_empty()).then_some(Cow::Owned(text)))
        }
        text if text.starts_with(['{', '[']) => Err(Bad),
        text => Ok(Some(Cow::Borrowed(text))),
    }
}

/// What Windows-1252 has at 0x80 to 0x9f, where Latin-1 has nothing to show.
const WINDOWS: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// The text that was encoded twice; `None` where this one is not such a text.
fn repaired(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let byte = |c: char| {
        let windows =
            || WINDOWS.iter().position(|w| *w == c).and_then(|n| u8::try_from(n + 0x80).ok());
        windows().or_else(|| u8::try_from(u32::from(c)).ok())
    };
    String::from_utf8(text.chars().map(byte).collect::<Option<Vec<u8>>>()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(rewrite: &Rewrite, text: &str) -> Option<String> {
        rewrite.apply(Cow::Borrowed(text)).unwrap().map(Cow::into_owned)
    }

    #[test]
    fn captures_are_bounded() {
        let number = Rewrite::capture("([0-9.]+)", None).unwrap();
        assert_eq!(apply(&number, "<5.20 mg").as_deref(), Some("5.20"));
        assert_eq!(apply(&number, "negative"), None);
        assert!(Rewrite::capture("(", None).is_err() && Rewrite::capture("a", Some("1")).is_err());
        assert!(Rewrite::capture(&"a".repeat(501), None).is_err());
        assert!(Rewrite::capture("((a{99}){99}){99}", None).is_err());
    }

    #[test]
    fn json_is_walked_and_keeps_its_digits() {
        let path = |p: &[&str]| Rewrite::Json(p.iter().map(|s| (*s).to_owned()).collect());
        let text = r#"{"a":{"b~":[1.50,"x\u00e9",null,true]}}"#;
        assert_eq!(apply(&path(&["a", "b~", "0"]), text).as_deref(), Some("1.50"));
        assert_eq!(apply(&path(&["a", "b~", "1"]), text).as_deref(), Some("xé"));
        assert_eq!(apply(&path(&["a", "b~", "2"]), text), None);
        assert_eq!(apply(&path(&["a", "b~", "3"]), text).as_deref(), Some("true"));
        assert_eq!(apply(&path(&["a", "c"]), text), None);
        assert_eq!(path(&["a"]).apply(Cow::Borrowed(text)), Err(Bad));
        assert_eq!(path(&["a"]).apply(Cow::Borrowed("{")), Err(Bad));
    }

    #[test]
    fn texts_are_decoded_and_repaired() {
        let id = "123e4567-e89b-42d3-a456-426614174000";
        for form in ["123E4567E89B42D3A456426614174000", id, "Ej5FZ+ibQtOkVkJmFBdAAA=="] {
            assert_eq!(apply(&Rewrite::Uuid, form).as_deref(), Some(id), "{form}");
        }
        assert_eq!(Rewrite::Uuid.apply(Cow::Borrowed("abc")), Err(Bad));
        assert_eq!(apply(&Rewrite::Base64, "w6kK").as_deref(), Some("é\n"));
        assert_eq!(
            apply(&Rewrite::Repair, "JosÃ© MuÃ±oz â€“ x").as_deref(),
            Some("José Muñoz – x")
        );
        assert_eq!(apply(&Rewrite::Repair, "José").as_deref(), Some("José"));
        assert_eq!(apply(&Rewrite::Repair, "日本").as_deref(), Some("日本"));
    }
}
