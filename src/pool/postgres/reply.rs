//! Messages from the server, which may be anybody's: every length is checked before it is believed.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use sqlx::error::{DatabaseError, ErrorKind};

use super::alphabet::Alphabet;

/// Type and length.
pub(super) const HEAD: usize = 5;
/// The longest row kept, in bytes: somewhat more than the store takes of a whole answer.
const ROW_MAX: usize = 17 << 20;
/// The longest other message.
const OTHER_MAX: usize = 1 << 20;

/// The beginning of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) kind: u8,
    /// Of the whole message, head included.
    pub(super) length: usize,
}

impl Head {
    /// A row nobody could use.
    pub(super) const fn is_too_long(self) -> bool {
        self.kind == b'D' && self.length > ROW_MAX
    }
}

fn protocol(what: &str) -> sqlx::Error {
    sqlx::Error::Protocol(what.to_owned())
}

/// The head of the message at the beginning of `input`, when it is there.
pub(super) fn head(input: &[u8]) -> Result<Option<Head>, sqlx::Error> {
    let Some((&[kind, a, b, c, d], _)) = input.split_first_chunk::<HEAD>() else {
        return Ok(None);
    };
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if length < 4 || (kind != b'D' && length > OTHER_MAX) {
        return Err(protocol("a message has an impossible length"));
    }
    Ok(Some(Head { kind, length: length.saturating_add(1) }))
}

/// What a message means here.
pub(super) enum Message<'a> {
    Row(Cells<'a>),
    Error(ServerError),
    /// The server is ready; the byte says in what state.
    Ready(u8),
    Parsed,
    /// A statement was carried out, which changed or gave so many rows, or there was none in the text.
    Done(u64),
    /// What a statement's rows look like.
    Fields(&'a [u8]),
    /// Nothing that matters.
    Other,
}

/// Reads a message's body.
pub(super) fn read<'b>(
    kind: u8,
    body: &'b [u8],
    alphabet: Option<&Alphabet>,
) -> Result<Message<'b>, sqlx::Error> {
    Ok(match kind {
        b'D' => Message::Row(Cells::read(body).ok_or_else(|| protocol("a row is malformed"))?),
        b'E' => Message::Error(ServerError::read(body, alphabet)),
        b'Z' => match body {
            [status @ (b'I' | b'T' | b'E')] => Message::Ready(*status),
            _ => return Err(protocol("the server is in no known state")),
        },
        b'1' => Message::Parsed,
        b'C' | b'I' => Message::Done(counted(body)),
        b'T' => Message::Fields(body),
        // Bound, closed, a description of parameters, a notice, a setting, a notification.
        b'2' | b'3' | b'n' | b't' | b'N' | b'S' | b'A' => Message::Other,
        _ => return Err(protocol("an unexpected message")),
    })
}

/// The number at the end of a command's tag: `UPDATE 2`, `INSERT 0 1`.
fn counted(tag: &[u8]) -> u64 {
    let tag = tag.strip_suffix(b"\0").unwrap_or(tag);
    let number = tag.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    std::str::from_utf8(number).ok().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// What bytes of the server's mean.
fn text(bytes: &[u8], alphabet: Option<&Alphabet>) -> String {
    let lossy = || String::from_utf8_lossy(bytes).into_owned();
    alphabet.map_or_else(lossy, |alphabet| alphabet.name(bytes))
}

/// The names and type ids of a row's fields.
pub(super) fn fields(body: &[u8], alphabet: Option<&Alphabet>) -> Option<Vec<(String, u32)>> {
    let (count, mut rest) = body.split_first_chunk::<2>()?;
    let mut fields = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let end = rest.iter().position(|byte| *byte == 0)?;
        let name = text(rest.get(..end)?, alphabet);
        // Table, column, type, then its length, its modifier and the format.
        let (about, after) = rest.get(end + 1..)?.split_first_chunk::<18>()?;
        let [_, _, _, _, _, _, a, b, c, d, ..] = *about;
        fields.push((name, u32::from_be_bytes([a, b, c, d])));
        rest = after;
    }
    rest.is_empty().then_some(fields)
}

/// The cells of one row, each its text or nothing for NULL.
#[derive(Clone)]
pub struct Cells<'a> {
    left: u16,
    rest: &'a [u8],
}

impl<'a> Cells<'a> {
    fn read(body: &'a [u8]) -> Option<Self> {
        let (count, rest) = body.split_first_chunk::<2>()?;
        let cells = Self { left: u16::from_be_bytes(*count), rest };
        let mut walk = cells.clone();
        while walk.left > 0 {
            walk.next()?;
        }
        walk.rest.is_empty().then_some(cells)
    }
}

impl<'a> Iterator for Cells<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (length, rest) = self.rest.split_first_chunk::<4>()?;
        let length = i32::from_be_bytes(*length);
        if length == -1 {
            self.rest = rest;
            return Some(None);
        }
        let (cell, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(Some(cell))
    }
}

/// An error the server reported: its SQLSTATE, the names of the column and constraint it is about, and whether
/// it is about a prepared statement. Its words quote values and are not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    code: String,
    column: Option<String>,
    constraint: Option<String>,
    outdated: bool,
}

impl ServerError {
    fn read(body: &[u8], alphabet: Option<&Alphabet>) -> Self {
        let field = |mark: &[u8]| {
            let found = body.split(|byte| *byte == 0).find_map(|field| field.strip_prefix(mark));
            found.map(|found| text(found, alphabet))
        };
        // A name has 63 bytes at most; this may be anybody's server.
        let name = |mark| field(mark).filter(|name| name.len() <= 63);
        let code = field(b"C").unwrap_or_default();
        let outdated = match code.as_str() {
            "26000" => true,
            // Said of much else that cannot be done; of this by one routine only, whose name is never translated.
            "0A000" => name(b"R").is_some_and(|routine| routine == "RevalidateCachedQuery"),
            _ => false,
        };
        Self { code, column: name(b"c"), constraint: name(b"n"), outdated }
    }

    /// What the server says of a text with a letter that its encoding lacks.
    pub(super) fn no_such_letter() -> Self {
        Self { code: "22P05".to_owned(), column: None, constraint: None, outdated: false }
    }

    /// The column it is about, as the server says. To be compared with known names, never shown.
    pub fn column(&self) -> Option<&str> {
        self.column.as_deref()
    }

    /// The constraint it is about, in the same way.
    pub fn constraint(&self) -> Option<&str> {
        self.constraint.as_deref()
    }

    /// Whether the server has lost a statement that was prepared, or its plan no longer fits the tables.
    pub const fn is_outdated(&self) -> bool {
        self.outdated
    }

    /// The SQLSTATE as the server wrote it, which need not be one.
    pub fn sqlstate(&self) -> &str {
        &self.code
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server refused the statement")
    }
}

impl StdError for ServerError {}

impl DatabaseError for ServerError {
    fn message(&self) -> &'static str {
        "the server refused the statement"
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&self.code))
    }

    fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}
