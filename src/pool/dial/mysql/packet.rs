//! MySQL's packets and its first one, the greeting ("Connection Phase Packets" in its manual).

use zeroize::Zeroizing;

use crate::pool::dial::wire::{Buffered, read_exact, send};
use crate::pool::dial::{DialClass, DialFault};

/// The longest packet accepted during login, in bytes.
const MAX_PACKET: usize = 64 * 1024;
/// The longest greeting accepted, in bytes. Real ones have about a hundred.
const MAX_GREETING: usize = 2048;

/// Capability flags, as both sides announce them.
pub(super) mod capability {
    pub(in super::super) const LONG_PASSWORD: u32 = 1;
    pub(in super::super) const FOUND_ROWS: u32 = 1 << 1;
    pub(in super::super) const CONNECT_WITH_DB: u32 = 1 << 3;
    pub(in super::super) const PROTOCOL_41: u32 = 1 << 9;
    pub(in super::super) const SSL: u32 = 1 << 11;
    pub(in super::super) const TRANSACTIONS: u32 = 1 << 13;
    pub(in super::super) const SECURE_CONNECTION: u32 = 1 << 15;
    pub(in super::super) const MULTI_RESULTS: u32 = 1 << 17;
    pub(in super::super) const PS_MULTI_RESULTS: u32 = 1 << 18;
    pub(in super::super) const PLUGIN_AUTH: u32 = 1 << 19;
    pub(in super::super) const PLUGIN_AUTH_LENENC_DATA: u32 = 1 << 21;
    pub(in super::super) const DEPRECATE_EOF: u32 = 1 << 24;
}

/// What the server says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Greeting {
    pub(super) version: String,
    pub(super) connection_id: u32,
    pub(super) capabilities: u32,
    pub(super) nonce: [u8; 20],
    pub(super) plugin: String,
}

/// Packets with their running number.
pub(super) struct Packets<'a> {
    wire: &'a mut Buffered,
    sequence: u8,
}

impl<'a> Packets<'a> {
    /// `sequence` is the number the next packet of either side must have.
    pub(super) const fn new(wire: &'a mut Buffered, sequence: u8) -> Self {
        Self { wire, sequence }
    }

    /// The next packet's payload; never empty.
    pub(super) async fn next(&mut self) -> Result<Vec<u8>, DialFault> {
        let mut header = [0; 4];
        read_exact(self.wire, &mut header).await?;
        let [a, b, c, sequence] = header;
        let length = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
        if sequence != self.sequence {
            return Err(DialFault::protocol("the peer does not speak MySQL's protocol"));
        }
        if !(1..=MAX_PACKET).contains(&length) {
            return Err(DialFault::hostile("a login packet has an impossible length"));
        }
        let mut payload = vec![0; length];
        read_exact(self.wire, &mut payload).await?;
        self.sequence = sequence.wrapping_add(1);
        Ok(payload)
    }

    /// Sends one packet.
    pub(super) async fn send(&mut self, payload: &[u8]) -> Result<(), DialFault> {
        let bytes = framed(payload, self.sequence);
        self.sequence = self.sequence.wrapping_add(1);
        send(self.wire, &bytes).await
    }

    /// Begins a command: the numbers start over.
    pub(super) const fn restart(&mut self) {
        self.sequence = 0;
    }
}

/// A packet with its header; the payload is shorter than 16 MiB.
pub(super) fn framed(payload: &[u8], sequence: u8) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(payload.len() + 4));
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    bytes.extend_from_slice(&[length[0], length[1], length[2], sequence]);
    bytes.extend_from_slice(payload);
    bytes
}

/// Takes bytes off the front of a packet.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    fn u16(&mut self) -> Option<u32> {
        self.take(2).map(|b| u32::from(b[0]) | u32::from(b[1]) << 8)
    }

    fn text(&mut self) -> Option<&'a str> {
        let end = self.0.iter().position(|b| *b == 0)?;
        let text = std::str::from_utf8(self.take(end)?).ok()?;
        self.take(1)?;
        Some(text)
    }
}

impl Greeting {
    /// Reads the first packet.
    pub(super) fn read(payload: &[u8]) -> Result<Self, DialFault> {
        match payload.first() {
            Some(0xff) => return Err(refusal(payload)),
            Some(10) => {}
            _ => return Err(DialFault::protocol("the peer does not speak MySQL's protocol 10")),
        }
        if payload.len() > MAX_GREETING {
            return Err(DialFault::hostile("the server's greeting is too long"));
        }
        Self::parse(&payload[1..])
            .ok_or_else(|| DialFault::hostile("the server's greeting is malformed"))
    }

    fn parse(payload: &[u8]) -> Option<Self> {
        let mut rest = Cursor(payload);
        let version = rest.text().filter(|v| {
            !v.is_empty() && v.len() <= 128 && v.chars().all(|c| matches!(c, ' '..='~'))
        })?;
        let connection_id = u32::from_le_bytes(rest.take(4)?.try_into().ok()?);
        let mut nonce = [0; 20];
        nonce[..8].copy_from_slice(rest.take(8)?);
        rest.take(1)?;
        let low = rest.u16()?;
        rest.take(3)?;
        let capabilities = low | rest.u16()? << 16;
        let length = usize::from(rest.take(1)?[0]);
        rest.take(10)?;
        let tail = rest.take(length.saturating_sub(8).max(13))?;
        nonce[8..].copy_from_slice(tail.get(..12)?);
        let plugin = if capabilities & capability::PLUGIN_AUTH == 0 {
            "mysql_native_password"
        } else {
            // Some old servers leave the final NUL out.
            match rest.text() {
                Some(name) => name,
                None => std::str::from_utf8(rest.0).ok()?,
            }
        };
        Some(Self {
            version: version.to_owned(),
            connection_id,
            capabilities,
            nonce,
            plugin: plugin.to_owned(),
        })
    }
}

/// What an ERR packet means. Its words are dropped; the number is kept.
pub(super) fn refusal(payload: &[u8]) -> DialFault {
    let Some(code) = payload.get(1..3) else {
        return DialFault::hostile("the server sent an error without an error code");
    };
    let code = u16::from_le_bytes([code[0], code[1]]);
    let (class, why) = match code {
        1045 | 1698 | 1130 | 1820 | 1862 | 3118 | 4151 => {
            (DialClass::Auth, "the server refused the login")
        }
        1044 => (DialClass::Auth, "the account may not use the database"),
        1251 | 2059 | 1524 => (DialClass::Auth, "the account's login method is not available"),
        1049 => (DialClass::NoSuchDatabase, "the server has no such database"),
        1040 | 1203 | 1226 => (DialClass::Full, "the server has no free connection"),
        1053 => (DialClass::NotReady, "the server shuts down"),
        1158..=1161 => (DialClass::Timeout, "the server gave the login up"),
        0 => return DialFault::hostile("the server sent an error without an error code"),
        _ => (DialClass::Refused, "the server refused the session"),
    };
    DialFault::with_code(class, why, code.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MYSQL: &[u8] = b"\n8.0.18\x00\x19\x00\x00\x00\x114aB0c\x06g\x00\xff\xff\xff\x02\x00\xff\
        \xc7\x15\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00tL\x03s\x0f[4\rl4. \x00\
        caching_sha2_password\x00";

    #[test]
    fn reads_a_greeting_and_no_part_of_one() {
        let greeting = Greeting::read(MYSQL).unwrap();
        assert_eq!((greeting.version.as_str(), greeting.connection_id), ("8.0.18", 25));
        assert_eq!(greeting.plugin, "caching_sha2_password");
        assert_eq!(&greeting.nonce, b"\x114aB0c\x06gtL\x03s\x0f[4\rl4. ");
        // Everything up to the plugin's name is needed.
        for end in 0..MYSQL.len() - b"caching_sha2_password\0".len() {
            assert!(Greeting::read(&MYSQL[..end]).is_err(), "{end}");
        }
    }
}
