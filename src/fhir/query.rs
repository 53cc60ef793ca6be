//! Search requests (FHIR R4, 3.1.1): the query string taken apart, strictly.

use std::borrow::Cow;

use crate::base::{Fault, FaultKind};

/// Longest query.
const LONGEST: usize = 64 * 1024;
/// Most alternatives of one parameter; engines bound what one statement may bind.
const ALTERNATIVES: usize = 500;
/// Most parameters.
const MOST: usize = 100;

/// A search as it was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchQuery {
    /// What to search by; all must hold.
    pub params: Vec<QueryParam>,
    /// `_count`.
    pub count: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// Parameters that are no search parameters at all.
    pub unsupported: Vec<String>,
}

/// One search parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryParam {
    /// Name without modifier.
    pub name: String,
    /// Modifier, such as `exact`.
    pub modifier: Option<String>,
    /// Alternatives, still escaped (`\,`, `\|`, `\$`, `\\`); see [`unescape`].
    pub values: Vec<String>,
}

/// A query that cannot be understood. Names the parameter, never its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct QueryFault(pub Cow<'static, str>);

impl Fault for QueryFault {
    fn kind(&self) -> FaultKind {
        FaultKind::Invalid
    }

    fn client_message(&self) -> Cow<'static, str> {
        self.0.clone()
    }
}

/// The parameter that carries the page cursor.
pub const CURSOR: &str = "_cursor";

impl SearchQuery {
    /// Reads a query string. Result parameters that change nothing of what is found are accepted; ones we
    /// cannot honour are listed as unsupported.
    pub fn parse(query: &str) -> Result<Self, QueryFault> {
        if query.len() > LONGEST {
            return Err(QueryFault("The query is too long.".into()));
        }
        let mut parsed = Self::default();
        for (at, pair) in query.split('&').filter(|pair| !pair.is_empty()).enumerate() {
            if at >= MOST {
                return Err(QueryFault("The query has too many parameters.".into()));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let undecodable = || QueryFault("The query is not percent-encoded UTF-8.".into());
            let name = decode(name).ok_or_else(undecodable)?;
            let value = decode(value).ok_or_else(undecodable)?;
            parsed.take(&name, value)?;
        }
        Ok(parsed)
    }

    fn take(&mut self, name: &str, value: String) -> Result<(), QueryFault> {
        match name {
            // Answering with entries where only their number is wanted would be another answer.
            "_summary" if value == "count" => self.unsupported.push("_summary=count".to_owned()),
            // A server is free to give more than `_elements` and `_summary` ask for, and no total.
            "_format" | "_pretty" | "_total" | "_totalMethod" | "_elements" | "_summary" => {}
            "_count" => {
                let count = value
                    .parse()
                    .map_err(|_| QueryFault("_count must be a whole number.".into()))?;
                if count == 0 {
                    self.unsupported.push("_count=0".to_owned());
                }
                self.count = Some(count);
            }
            CURSOR => self.cursor = Some(value),
            "_sort" | "_include" | "_revinclude" | "_contained" | "_containedType" | "_has"
            | "_filter" | "_query" | "_text" | "_content" | "_list" => {
                self.unsupported.push(name.to_owned());
            }
            _ => {
                let (name, modifier) = match name.split_once(':') {
                    Some((name, modifier)) => (name, Some(modifier.to_owned())),
                    None => (name, None),
                };
                let values: Vec<String> =
                    split_escaped(&value, ',').into_iter().filter(|v| !v.is_empty()).collect();
                if values.len() > ALTERNATIVES {
                    let message = "A parameter has more than 500 alternatives; ask in parts.";
                    return Err(QueryFault(message.into()));
                }
                self.params.push(QueryParam { name: name.to_owned(), modifier, values });
            }
        }
        Ok(())
    }
}

/// Splits at unescaped separators, keeping escapes.
pub fn split_escaped(text: &str, separator: char) -> Vec<String> {
    let (mut parts, mut part, mut escaped) = (Vec::new(), String::new(), false);
    for letter in text.chars() {
        if letter == separator && !escaped {
            parts.push(std::mem::take(&mut part));
            continue;
        }
        escaped = letter == '\\' && !escaped;
        part.push(letter);
    }
    parts.push(part);
    parts
}

/// Takes the escapes out of a value.
pub fn unescape(text: &str) -> String {
    let (mut out, mut escaped) = (String::with_capacity(text.len()), false);
    for letter in text.chars() {
        if letter == '\\' && !escaped {
            escaped = true;
        } else {
            escaped = false;
            out.push(letter);
        }
    }
    out
}

/// Percent-decoding of a form value; `None` if it is not UTF-8 or an escape is broken.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |b: Option<u8>| char::from(b?).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_and_their_values_or() {
        let query =
            SearchQuery::parse("name=a%2Cb,c%5C,d&name:exact=x&_count=5&_format=json").unwrap();
        let names: Vec<_> =
            query.params.iter().map(|p| (p.name.as_str(), p.values.len())).collect();
        assert_eq!(names, [("name", 3), ("name", 1)]);
        assert_eq!(
            query.params.first().unwrap().values.last().map(|v| unescape(v)),
            Some("c,d".to_owned())
        );
        assert_eq!(query.count, Some(5));
    }

    #[test]
    fn broken_queries_are_refused_without_quoting_them() {
        for bad in ["name=%", "name=%zz", "name=%ff", "_count=many", "_count=-1"] {
            assert!(SearchQuery::parse(bad).is_err(), "{bad}");
        }
    }
}
