//! Messages to the server ("Message Formats" in PostgreSQL's manual).

use super::Query;
use super::alphabet::{Alphabet, written};

/// One value sent beside a statement.
#[derive(Clone, Copy)]
pub enum Parameter<'a> {
    /// `text`.
    Text(&'a str),
    /// `int8`.
    Int(i64),
    /// `float8`.
    Float(f64),
    /// `bytea`.
    Bytes(&'a [u8]),
    /// `text[]`.
    Texts(&'a [String]),
    /// `int8[]`.
    Ints(&'a [i64]),
    /// Text of a type the server infers from where it stands.
    Untyped(&'a str),
}

impl Parameter<'_> {
    /// The object id of its type (`pg_type.dat` in PostgreSQL's sources; these never change).
    pub(super) const fn oid(&self) -> u32 {
        match self {
            Self::Untyped(_) => 0,
            Self::Bytes(_) => 17,
            Self::Int(_) => INT8,
            Self::Text(_) => TEXT,
            Self::Float(_) => 701,
            Self::Texts(_) => 1009,
            Self::Ints(_) => 1016,
        }
    }

    /// How long its binary form is.
    fn size(&self) -> usize {
        match self {
            Self::Text(text) | Self::Untyped(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Int(_) | Self::Float(_) => 8,
            Self::Ints(numbers) => 20 + numbers.len() * 12,
            Self::Texts(texts) => 20 + texts.iter().map(|text| 4 + text.len()).sum::<usize>(),
        }
    }

    /// Its binary form, without its length.
    fn write(&self, out: &mut Vec<u8>, alphabet: Option<&Alphabet>) -> Result<(), sqlx::Error> {
        match self {
            Self::Text(text) | Self::Untyped(text) => {
                out.extend_from_slice(&written(alphabet, text)?);
            }
            Self::Bytes(bytes) => out.extend_from_slice(bytes),
            Self::Int(number) => out.extend_from_slice(&number.to_be_bytes()),
            Self::Float(number) => out.extend_from_slice(&number.to_be_bytes()),
            Self::Texts(texts) => {
                array_head(out, TEXT, texts.len())?;
                for text in *texts {
                    let text = written(alphabet, text)?;
                    out.extend_from_slice(&length(text.len())?.to_be_bytes());
                    out.extend_from_slice(&text);
                }
            }
            Self::Ints(numbers) => {
                array_head(out, INT8, numbers.len())?;
                for number in *numbers {
                    out.extend_from_slice(&8_i32.to_be_bytes());
                    out.extend_from_slice(&number.to_be_bytes());
                }
            }
        }
        Ok(())
    }
}

/// What an array without NULLs begins with.
fn array_head(out: &mut Vec<u8>, element: u32, count: usize) -> Result<(), sqlx::Error> {
    // Dimensions, no NULLs, element type; then the one dimension's length and first index.
    out.extend_from_slice(&i32::from(count > 0).to_be_bytes());
    out.extend_from_slice(&0_i32.to_be_bytes());
    out.extend_from_slice(&element.to_be_bytes());
    if count > 0 {
        out.extend_from_slice(&length(count)?.to_be_bytes());
        out.extend_from_slice(&1_i32.to_be_bytes());
    }
    Ok(())
}

const TEXT: u32 = 25;
const INT8: u32 = 20;
const BINARY: i16 = 1;
const AS_TEXT: i16 = 0;

fn too_much() -> sqlx::Error {
    sqlx::Error::Encode("a statement or a value is too long".into())
}

fn length(length: usize) -> Result<i32, sqlx::Error> {
    i32::try_from(length).map_err(|_| too_much())
}

fn count(parameters: &[Parameter<'_>]) -> Result<[u8; 2], sqlx::Error> {
    u16::try_from(parameters.len()).map(u16::to_be_bytes).map_err(|_| too_much())
}

/// A text that the protocol ends with a zero byte; one that holds such a byte would end early and mean
/// something else.
fn terminated(
    out: &mut Vec<u8>,
    text: &str,
    alphabet: Option<&Alphabet>,
) -> Result<(), sqlx::Error> {
    if text.contains('\0') {
        return Err(sqlx::Error::Encode("a statement holds a zero byte".into()));
    }
    out.extend_from_slice(&written(alphabet, text)?);
    out.push(0);
    Ok(())
}

/// Writes a message of type `kind`, its length afterwards.
fn message(
    out: &mut Vec<u8>,
    kind: u8,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), sqlx::Error>,
) -> Result<(), sqlx::Error> {
    out.push(kind);
    measured(out, true, body)
}

/// Writes a length and what it measures; `all` counts the length itself.
fn measured(
    out: &mut Vec<u8>,
    all: bool,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), sqlx::Error>,
) -> Result<(), sqlx::Error> {
    let begin = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out)?;
    let measured = length(out.len() - begin - if all { 0 } else { 4 })?;
    out[begin..begin + 4].copy_from_slice(&measured.to_be_bytes());
    Ok(())
}

/// The name a prepared statement has on this session. Never used twice, but for 0: no name.
fn name(out: &mut Vec<u8>, number: u64) {
    use std::io::Write as _;
    if number > 0 {
        // Writing to a vector does not fail.
        let _ = write!(out, "s{number}");
    }
    out.push(0);
}

/// Parse.
pub(super) fn parse(
    out: &mut Vec<u8>,
    number: u64,
    sql: &str,
    parameters: &[Parameter<'_>],
    alphabet: Option<&Alphabet>,
) -> Result<(), sqlx::Error> {
    message(out, b'P', |out| {
        name(out, number);
        terminated(out, sql, alphabet)?;
        out.extend_from_slice(&count(parameters)?);
        for parameter in parameters {
            out.extend_from_slice(&parameter.oid().to_be_bytes());
        }
        Ok(())
    })
}

/// Describe of a prepared statement, and Sync.
pub(super) fn describe_and_sync(out: &mut Vec<u8>, number: u64) -> Result<(), sqlx::Error> {
    message(out, b'D', |out| {
        out.push(b'S');
        name(out, number);
        Ok(())
    })?;
    sync(out);
    Ok(())
}

/// Bind, to the unnamed portal.
pub(super) fn bind(
    out: &mut Vec<u8>,
    number: u64,
    parameters: &[Parameter<'_>],
    alphabet: Option<&Alphabet>,
) -> Result<(), sqlx::Error> {
    message(out, b'B', |out| {
        out.push(0);
        name(out, number);
        for format in [1, BINARY] {
            out.extend_from_slice(&format.to_be_bytes());
        }
        out.extend_from_slice(&count(parameters)?);
        for parameter in parameters {
            measured(out, false, |out| parameter.write(out, alphabet))?;
        }
        for format in [1, AS_TEXT] {
            out.extend_from_slice(&format.to_be_bytes());
        }
        Ok(())
    })
}

/// Execute the unnamed portal to its end.
pub(super) fn execute(out: &mut Vec<u8>) {
    out.extend_from_slice(b"E\0\0\0\x09\0\0\0\0\0");
}

/// About how long the messages are that prepare and run a statement; never less than they are.
pub(super) fn size(query: &Query<'_>) -> usize {
    let parameters: usize = query.parameters.iter().map(|parameter| parameter.size() + 8).sum();
    query.sql.len() + parameters + 96
}

/// Sync.
pub(super) fn sync(out: &mut Vec<u8>) {
    out.extend_from_slice(b"S\0\0\0\x04");
}

/// Flush.
pub(super) fn flush(out: &mut Vec<u8>) {
    out.extend_from_slice(b"H\0\0\0\x04");
}

/// Query.
pub(super) fn query(
    out: &mut Vec<u8>,
    sql: &str,
    alphabet: Option<&Alphabet>,
) -> Result<(), sqlx::Error> {
    message(out, b'Q', |out| terminated(out, sql, alphabet))
}

/// Close of a prepared statement.
pub(super) fn close_statement(out: &mut Vec<u8>, number: u64) {
    // A number and two bytes measure up to any length.
    let _ = message(out, b'C', |out| {
        out.push(b'S');
        name(out, number);
        Ok(())
    });
}

/// Terminate.
pub(super) fn terminate(out: &mut Vec<u8>) {
    out.extend_from_slice(b"X\0\0\0\x04");
}
