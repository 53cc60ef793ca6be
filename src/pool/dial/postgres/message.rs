//! The few messages of PostgreSQL's protocol 3.0 the login needs ("Message Formats" in its manual).

use std::time::Duration;

use zeroize::Zeroizing;

use crate::base::ServerRecord;
use crate::pool::dial::wire::{Buffered, read_exact};
use crate::pool::dial::{DialClass, DialFault, SessionSettings};

/// The longest message accepted during login, in bytes, its length field included.
const MAX_MESSAGE: usize = 64 * 1024;
/// The most bytes accepted during a login in all.
const MAX_LOGIN: usize = 1024 * 1024;

/// SSLRequest.
pub(super) const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Reads a server's messages within the limits.
pub(super) struct Incoming<'a> {
    wire: &'a mut Buffered,
    budget: usize,
}

impl<'a> Incoming<'a> {
    pub(super) const fn new(wire: &'a mut Buffered) -> Self {
        Self { wire, budget: MAX_LOGIN }
    }

    pub(super) const fn wire(&mut self) -> &mut Buffered {
        self.wire
    }

    /// The next message that is neither a notice nor an error: its type and body.
    pub(super) async fn next(&mut self) -> Result<(u8, Vec<u8>), DialFault> {
        loop {
            let (kind, body) = self.next_raw().await?;
            match kind {
                b'N' => {}
                b'E' => return Err(refusal(&body)),
                _ => return Ok((kind, body)),
            }
        }
    }

    async fn next_raw(&mut self) -> Result<(u8, Vec<u8>), DialFault> {
        let mut kind = [0];
        read_exact(self.wire, &mut kind).await?;
        // Every type that can come before the first query.
        if !b"ENRSKZv".contains(&kind[0]) {
            return Err(DialFault::protocol("the peer does not speak PostgreSQL's protocol"));
        }
        let mut length = [0; 4];
        read_exact(self.wire, &mut length).await?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if !(4..=MAX_MESSAGE).contains(&length) {
            return Err(DialFault::hostile("a login message has an impossible length"));
        }
        self.budget = self
            .budget
            .checked_sub(length)
            .ok_or_else(|| DialFault::hostile("the login is endless"))?;
        let mut body = vec![0; length - 4];
        read_exact(self.wire, &mut body).await?;
        Ok((kind[0], body))
    }
}

/// A number at the head of a message, and the rest.
pub(super) fn split_u32(body: &[u8]) -> Result<(u32, &[u8]), DialFault> {
    body.split_first_chunk::<4>()
        .map(|(head, rest)| (u32::from_be_bytes(*head), rest))
        .ok_or_else(|| DialFault::hostile("a login message is cut short"))
}

/// A message of type `kind`.
pub(super) fn message(kind: u8, body: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(body.len() + 5));
    bytes.push(kind);
    bytes.extend_from_slice(&u32::try_from(body.len() + 4).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// The start-up packet: who logs in where, and the session's settings, so that they cost no round trip
/// and hold from the first statement on.
pub(super) fn startup(record: &ServerRecord, session: &SessionSettings) -> Vec<u8> {
    let millis = |d: Duration| d.as_millis().min(i32::MAX as u128).to_string();
    let name: String =
        session.application_name.chars().filter(|c| matches!(c, ' '..='~')).take(63).collect();
    // What is said here hides what the server says itself.
    let limit = millis(session.statement_timeout);
    let limit = (!session.own_limit_counts).then_some(("statement_timeout", limit.as_str()));
    let parameters = [
        ("user", record.user.as_str()),
        ("database", &record.database),
        ("application_name", &name),
        ("client_encoding", "UTF8"),
        ("DateStyle", "ISO, MDY"),
        ("IntervalStyle", "iso_8601"),
        ("TimeZone", "UTC"),
        ("bytea_output", "hex"),
        ("extra_float_digits", "1"),
        ("lock_timeout", &millis(session.lock_timeout)),
        ("idle_in_transaction_session_timeout", &millis(session.idle_in_transaction_timeout)),
        ("default_transaction_read_only", if session.read_only { "on" } else { "off" }),
    ];
    let mut body = 196_608_u32.to_be_bytes().to_vec();
    for (key, value) in parameters.into_iter().chain(limit) {
        body.extend_from_slice(key.as_bytes());
        body.push(0);
        body.extend_from_slice(value.as_bytes());
        body.push(0);
    }
    body.push(0);
    let mut packet = u32::try_from(body.len() + 4).unwrap_or(u32::MAX).to_be_bytes().to_vec();
    packet.append(&mut body);
    packet
}

/// What an ErrorResponse means. Its words are dropped; of its fields only the SQLSTATE is kept.
fn refusal(body: &[u8]) -> DialFault {
    let state = body
        .split(|b| *b == 0)
        .find_map(|field| field.strip_prefix(b"C"))
        .filter(|c| c.len() == 5 && c.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()))
        .map(|code| String::from_utf8_lossy(code).into_owned());
    let Some(state) = state else {
        return DialFault::hostile("the server sent an error without an error code");
    };
    let (class, why) = match state.as_str() {
        "28P01" | "28000" => (DialClass::Auth, "the server refused the login"),
        "42501" => (DialClass::Auth, "the role may not connect to the database"),
        "3D000" => (DialClass::NoSuchDatabase, "the server has no such database"),
        "53300" => (DialClass::Full, "the server has no free connection"),
        "57P01" | "57P02" | "57P03" => (DialClass::NotReady, "the server starts up or shuts down"),
        // What PgBouncer says to a setting it does not pass on.
        "08P01" => (DialClass::Protocol, "the server or a pooler does not take session settings"),
        _ => (DialClass::Refused, "the server refused the session"),
    };
    DialFault::with_code(class, why, state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_read_by_its_code_alone() {
        for (body, class) in [
            (&b"SFATAL\0C28P01\0Mno\0\0"[..], DialClass::Auth),
            (b"SFATAL\0C3D000\0\0", DialClass::NoSuchDatabase),
            (b"SFATAL\0C53300\0\0", DialClass::Full),
            (b"SFATAL\0C57P03\0\0", DialClass::NotReady),
            (b"SFATAL\0C0A000\0\0", DialClass::Refused),
            (b"SFATAL\0C08P01\0\0", DialClass::Protocol),
            (b"SFATAL\0Mno code\0\0", DialClass::Hostile),
            (b"SFATAL\0C28p01\0\0", DialClass::Hostile),
            (b"SFATAL\0C28\0\0", DialClass::Hostile),
            (b"C28P011\0\0", DialClass::Hostile),
            (b"", DialClass::Hostile),
        ] {
            assert_eq!(refusal(body).class(), class, "{body:?}");
        }
    }
}
