//! What a server is told of a new password instead of the password: servers write statements to their
//! logs.

use std::fmt::Write as _;
use std::num::NonZeroU32;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::{hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::DialFault;
use crate::base::SecretText;

/// RFC 7677 section 4. The passwords are random, so more would only cost time at every login.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).expect("not zero");

/// PostgreSQL's stored form of a password: `SCRAM-SHA-256$iterations:salt$stored:server` (RFC 5803).
pub fn scram_verifier(password: &SecretText) -> Result<SecretText, DialFault> {
    let mut salt = [0; 16];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| DialFault::internal("no randomness"))?;
    Ok(SecretText::new(verifier(password.expose().as_bytes(), &salt)))
}

fn verifier(password: &[u8], salt: &[u8]) -> String {
    let mut salted = zeroize::Zeroizing::new([0; 32]);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, salt, password, &mut *salted);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &*salted);
    let client = hmac::sign(&key, b"Client Key");
    let stored = digest(&SHA256, client.as_ref());
    let server = hmac::sign(&key, b"Server Key");
    let text = |bytes: &[u8]| STANDARD.encode(bytes);
    format!(
        "SCRAM-SHA-256${ITERATIONS}:{}${}:{}",
        text(salt),
        text(stored.as_ref()),
        text(server.as_ref())
    )
}

/// MariaDB's stored form of a password for `mysql_native_password`: `*` and SHA1(SHA1(password)) in hex.
pub fn native_hash(password: &SecretText) -> SecretText {
    let hash = |bytes: &[u8]| digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes);
    let twice = hash(hash(password.expose().as_bytes()).as_ref());
    let mut text = "*".to_owned();
    for byte in twice.as_ref() {
        let _infallible = write!(text, "{byte:02X}");
    }
    SecretText::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_what_servers_store() {
        // `SELECT password('pencil')` on MariaDB.
        let hash = native_hash(&SecretText::new("password".to_owned()));
        assert_eq!(hash.expose(), "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19");
        // RFC 7677 section 3: the password `pencil` and its salt.
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        assert_eq!(
            verifier(b"pencil", &salt),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==\
             $WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }
}
