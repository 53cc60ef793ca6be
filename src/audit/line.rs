//! Lines of a chain: the form and the hash.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use serde::Deserialize;
use uuid::Uuid;

use super::event::Written;
use crate::base::{TenantId, Timestamp};

/// Longest line, newline included, in bytes. Events are cut to stay far below it.
pub(super) const LINE_MAX: usize = 64 * 1024;
const HASH_FIELD: &[u8] = b",\"h\":\"";
/// `,"h":"` 64 digits `"}`.
const HASH_LEN: usize = 6 + 64 + 2;

/// The hash of a chain up to an event.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventHash([u8; 32]);

impl EventHash {
    /// The hash before the first event: what a chain of this tenant and instance begins with.
    pub(super) fn genesis(tenant: TenantId, instance: &str) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(b"wardgate audit v1\0");
        context.update(tenant.as_uuid().as_bytes());
        context.update(instance.as_bytes());
        Self::finish(context)
    }

    /// `SHA-256(self || canonical)`.
    pub(super) fn then(self, canonical: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&self.0);
        context.update(canonical);
        Self::finish(context)
    }

    fn finish(context: Context) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        Self(bytes)
    }

    /// 64 lower-case digits.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 {
            return None;
        }
        for (byte, two) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            *byte = digit(two[0])? << 4 | digit(two[1])?;
        }
        Some(Self(bytes))
    }
}

const fn digit(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    }
}

/// Lower-case hexadecimal digits of `bytes`.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|value| char::from(DIGITS[usize::from(value)])).collect()
}

impl fmt::Display for EventHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for EventHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Appends the line of an event that follows `previous`, newline included; gives back its hash.
pub(super) fn push_event(
    out: &mut Vec<u8>,
    previous: EventHash,
    event: &Written<'_>,
) -> Result<EventHash, serde_json::Error> {
    let begin = out.len();
    if let Err(error) = serde_json::to_writer(&mut *out, event) {
        out.truncate(begin);
        return Err(error);
    }
    let hash = previous.then(&out[begin..]);
    out.pop();
    out.extend_from_slice(HASH_FIELD);
    out.extend_from_slice(hash.to_string().as_bytes());
    out.extend_from_slice(b"\"}\n");
    Ok(hash)
}

/// What a segment begins with. Everything in it follows from its place, so none of it can be changed
/// unseen.
pub(super) fn header(
    tenant: TenantId,
    instance: &str,
    segment: u32,
    after: u64,
    hash: EventHash,
) -> String {
    format!(
        "{{\"wardgate-audit\":1,\"tenant\":\"{tenant}\",\"instance\":\"{instance}\",\
         \"segment\":{segment},\"after\":{after},\"h\":\"{hash}\"}}\n"
    )
}

/// What a header says.
#[derive(Deserialize)]
pub(super) struct Header {
    #[serde(rename = "wardgate-audit")]
    _version: u8,
    /// Number of the last event before this segment.
    pub(super) after: u64,
    h: String,
}

impl Header {
    pub(super) fn parse(line: &[u8]) -> Option<(u64, EventHash)> {
        let header: Self = serde_json::from_slice(line).ok()?;
        Some((header.after, EventHash::parse(header.h.as_bytes())?))
    }
}

/// An event's line taken apart.
pub(super) struct Parsed {
    pub(super) facts: Facts,
    /// The bytes its hash is over, after the previous hash.
    pub(super) canonical: Vec<u8>,
    pub(super) hash: EventHash,
}

/// What reading a chain needs of an event.
#[derive(Deserialize)]
pub(super) struct Facts {
    pub(super) n: u64,
    #[serde(deserialize_with = "time")]
    pub(super) at: Timestamp,
    pub(super) tenant: Uuid,
}

/// Reads a time as [`Timestamp`] prints it.
pub(super) fn time<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(from)?;
    let at: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
    Ok(Timestamp::from_millis(at.as_millisecond()))
}

impl Parsed {
    /// Parses a line without its newline.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let (body, tail) = line.split_at_checked(line.len().checked_sub(HASH_LEN)?)?;
        let digits = tail.strip_prefix(HASH_FIELD)?.strip_suffix(b"\"}")?;
        let hash = EventHash::parse(digits)?;
        let canonical = [body, b"}"].concat();
        let facts = serde_json::from_slice(&canonical).ok()?;
        Some(Self { facts, canonical, hash })
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn hashes_print_and_parse() {
        let hash = EventHash::genesis(TenantId::from_uuid(Uuid::nil()), "a");
        assert_eq!(EventHash::parse(hash.to_string().as_bytes()), Some(hash));
        let upper = hash.to_string().to_uppercase();
        assert_eq!(EventHash::parse(upper.as_bytes()), None);
        assert_eq!(EventHash::parse(b""), None);
        assert_eq!(hex(&[0x00, 0xaf, 0xff]), "00afff");
    }
}
