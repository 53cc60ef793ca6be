//! A resource as it came in: JSON read strictly, numbers with their digits, members in their order.

use super::json;

/// Most values in a body, so that small texts cannot become large trees.
const MAX_VALUES: usize = 200_000;
/// Longest number, in characters.
const MAX_NUMBER: usize = 60;

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number as it was written.
    Number(String),
    /// A text.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object; no name is there twice.
    Object(Vec<(String, Json)>),
}

/// Why a body is no JSON that is taken. The place is a byte of the body, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body is not taken at byte {at}: {why}")]
pub struct Malformed {
    /// Where.
    pub at: usize,
    /// Why.
    pub why: &'static str,
}

impl Json {
    /// Reads a body (RFC 8259). Refuses, beyond what is no JSON: names given twice, nesting deeper than
    /// 64, control characters in texts also where they are escaped (but for tab and line breaks), halves
    /// of surrogate pairs, numbers longer than 60 characters.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(body)
            .map_err(|e| Malformed { at: e.valid_up_to(), why: "it is not UTF-8" })?;
        let mut reader = Reader { text, at: 0, values: 0 };
        let value = reader.value(0)?;
        reader.blank();
        if reader.at < text.len() { Err(reader.no("something follows the end")) } else { Ok(value) }
    }

    /// Deepest nesting of a body. What is put together of several is held to it as well: whatever walks a
    /// tree goes down a thread's stack, and that ends for all.
    pub const MAX_DEPTH: usize = 64;

    /// How many lists and objects lie in one another at most; none in a value by itself.
    pub fn depth(&self) -> usize {
        match self {
            Self::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Object(members) => {
                1 + members.iter().map(|(_, value)| value.depth()).max().unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// A member of an object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.members().iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    /// The members of an object; none for anything else.
    pub fn members(&self) -> &[(String, Self)] {
        match self {
            Self::Object(members) => members,
            _ => &[],
        }
    }

    /// The items of an array; none for anything else.
    pub fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// A text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A primitive value as text.
    pub fn primitive(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text),
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            _ => None,
        }
    }

    /// Puts a member in the place of the one of that name, or at the end.
    pub fn put(&mut self, name: &str, value: Self) {
        if let Self::Object(members) = self {
            match members.iter_mut().find(|(n, _)| n == name) {
                Some((_, old)) => *old = value,
                None => members.push((name.to_owned(), value)),
            }
        }
    }

    /// Takes a member away.
    pub fn take(&mut self, name: &str) -> Option<Self> {
        let Self::Object(members) = self else { return None };
        let at = members.iter().position(|(n, _)| n == name)?;
        Some(members.remove(at).1)
    }

    /// Appends the JSON text.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(true) => out.extend_from_slice(b"true"),
            Self::Bool(false) => out.extend_from_slice(b"false"),
            Self::Number(number) => out.extend_from_slice(number.as_bytes()),
            Self::Text(text) => json::write_string(out, text),
            Self::List(items) => {
                out.push(b'[');
                for item in items {
                    json::separate(out);
                    item.write(out);
                }
                out.push(b']');
            }
            Self::Object(members) => {
                out.push(b'{');
                for (name, value) in members {
                    json::key(out, name);
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    values: usize,
}

impl Reader<'_> {
    fn no(&self, why: &'static str) -> Malformed {
        Malformed { at: self.at, why }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn next_is(&mut self, byte: u8) -> bool {
        self.blank();
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn value(&mut self, depth: usize) -> Result<Json, Malformed> {
        self.blank();
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(self.no("it has too many values"));
        }
        if depth > Json::MAX_DEPTH {
            return Err(self.no("it is nested too deeply"));
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.string().map(Json::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                let rest = self.text.get(self.at..).unwrap_or_default();
                for (word, value) in
                    [("true", Json::Bool(true)), ("false", Json::Bool(false)), ("null", Json::Null)]
                {
                    if rest.starts_with(word) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err(self.no("a value is expected"))
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, Malformed> {
        self.at += 1;
        let mut members: Vec<(String, Json)> = Vec::new();
        let mut names = std::collections::HashSet::new();
        if self.next_is(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.blank();
            if self.peek() != Some(b'"') {
                return Err(self.no("a name in quotes is expected"));
            }
            let name = self.string()?;
            if !names.insert(name.clone()) {
                return Err(self.no("a name is there twice in one object"));
            }
            if !self.next_is(b':') {
                return Err(self.no("a colon is expected"));
            }
            members.push((name, self.value(depth + 1)?));
            if self.next_is(b'}') {
                return Ok(Json::Object(members));
            }
            if !self.next_is(b',') {
                return Err(self.no("a comma or the object's end is expected"));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Json, Malformed> {
        self.at += 1;
        let mut items = Vec::new();
        if self.next_is(b']') {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.next_is(b']') {
                return Ok(Json::List(items));
            }
            if !self.next_is(b',') {
                return Err(self.no("a comma or the array's end is expected"));
            }
        }
    }

    fn digits(&mut self) -> usize {
        let from = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - from
    }

    fn number(&mut self) -> Result<Json, Malformed> {
        let from = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        let zero = self.peek() == Some(b'0');
        let whole = self.digits();
        if whole == 0 || (zero && whole > 1) {
            return Err(self.no("this is no number"));
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.no("this is no number"));
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            if self.digits() == 0 {
                return Err(self.no("this is no number"));
            }
        }
        let text = self.text.get(from..self.at).unwrap_or_default();
        if text.len() > MAX_NUMBER {
            return Err(self.no("a number is too long"));
        }
        Ok(Json::Number(text.to_owned()))
    }

    fn string(&mut self) -> Result<String, Malformed> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let Some(stop) = rest.find(|c: char| matches!(c, '"' | '\\') || c.is_control()) else {
                return Err(self.no("a text does not end"));
            };
            let (plain, behind) = rest.split_at_checked(stop).unwrap_or((rest, ""));
            out.push_str(plain);
            self.at += stop;
            match behind.as_bytes().first() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    self.at += 1;
                    out.push(self.escape()?);
                }
                _ => return Err(self.no("a text has a control character in it")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Malformed> {
        let letter = self.peek();
        self.at += 1;
        Ok(match letter {
            Some(b @ (b'"' | b'\\' | b'/')) => char::from(b),
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let high = self.unit()?;
                let code = if (0xd800..0xdc00).contains(&high) {
                    let escaped = self.text.get(self.at..self.at + 2) == Some("\\u");
                    self.at += 2;
                    let low = if escaped { self.unit()? } else { 0 };
                    if !(0xdc00..0xe000).contains(&low) {
                        return Err(self.no("half of a surrogate pair is missing"));
                    }
                    0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)
                } else {
                    high
                };
                let c = char::from_u32(code);
                let c = c.filter(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'));
                c.ok_or_else(|| self.no("a text has a control character in it"))?
            }
            _ => return Err(self.no("this is no escape that a text may have")),
        })
    }

    fn unit(&mut self) -> Result<u32, Malformed> {
        let hex = self
            .text
            .get(self.at..self.at + 4)
            .filter(|t| t.bytes().all(|b| b.is_ascii_hexdigit()));
        let unit = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let unit = unit.ok_or_else(|| self.no("this is no escape that a text may have"))?;
        self.at += 4;
        Ok(unit)
    }
}

#[cfg(test)]
mod tests;
