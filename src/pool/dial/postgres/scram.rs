//! The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding.

use std::num::NonZeroU32;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::base::SecretText;
use crate::pool::dial::{DialClass, DialFault};

/// RFC 7677 section 4 demands no fewer; fewer would let a server guess the password from our proof.
const MIN_ITERATIONS: u32 = 4096;
/// From here on the hashing (about 0.2 us an iteration) is moved off the serving threads.
const INLINE_ITERATIONS: u32 = 16_384;
/// The longest message of the exchange read, in bytes. PostgreSQL's have about a hundred.
const MAX_MESSAGE: usize = 2048;
/// GS2 header "no channel binding" in base64.
const CHANNEL_BINDING: &str = "c=biws";

/// An exchange in progress.
pub(super) struct Scram {
    nonce: String,
}

/// What a server's first message says, all of it checked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServerFirst {
    nonce: String,
    salt: Vec<u8>,
    iterations: NonZeroU32,
}

/// The client's proof, and the signature the server must answer with.
pub(super) struct Proof {
    pub(super) message: String,
    signature: [u8; digest::SHA256_OUTPUT_LEN],
}

impl Scram {
    /// An exchange with a fresh nonce of 144 random bits.
    pub(super) fn new() -> Result<Self, DialFault> {
        let mut random = [0; 18];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| DialFault::internal("no randomness"))?;
        Ok(Self { nonce: STANDARD.encode(random) })
    }

    #[cfg(test)]
    pub(super) fn with_nonce(nonce: &str) -> Self {
        Self { nonce: nonce.to_owned() }
    }

    fn first_bare(&self, user: &str) -> String {
        format!("n={user},r={}", self.nonce)
    }

    /// The first message. PostgreSQL takes the user from the start-up packet, so none is given.
    pub(super) fn first(&self) -> String {
        format!("n,,{}", self.first_bare(""))
    }

    /// Reads the server's first message: exactly `r`, `s` and `i`, in that order.
    pub(super) fn read_first(
        &self,
        body: &[u8],
        max_iterations: u32,
    ) -> Result<ServerFirst, DialFault> {
        let malformed = || DialFault::hostile("the SCRAM challenge is malformed");
        let text = std::str::from_utf8(body).map_err(|_| malformed())?;
        let printable = |b: u8| b.is_ascii_graphic();
        if text.len() > MAX_MESSAGE || !text.bytes().all(printable) {
            return Err(malformed());
        }
        let mut parts = text.split(',');
        let mut part = |key: &str| parts.next()?.strip_prefix(key)?.strip_prefix('=');
        let nonce = part("r").ok_or_else(malformed)?;
        let salt = part("s").ok_or_else(malformed)?;
        let iterations = part("i").ok_or_else(malformed)?;
        if parts.next().is_some() {
            return Err(malformed());
        }
        if !nonce.starts_with(&self.nonce) || nonce.len() <= self.nonce.len() {
            return Err(DialFault::hostile("the SCRAM challenge does not extend our nonce"));
        }
        let salt = STANDARD.decode(salt).map_err(|_| malformed())?;
        let plain = iterations.len() <= 10
            && !iterations.starts_with('0')
            && iterations.bytes().all(|b| b.is_ascii_digit());
        if salt.is_empty() || salt.len() > 256 || !plain {
            return Err(malformed());
        }
        let iterations: u64 = iterations.parse().map_err(|_| malformed())?;
        if iterations > u64::from(max_iterations) {
            return Err(DialFault::hostile("the SCRAM iteration count is above the limit"));
        }
        match u32::try_from(iterations).ok().and_then(NonZeroU32::new) {
            Some(iterations) if iterations.get() >= MIN_ITERATIONS => {
                Ok(ServerFirst { nonce: nonce.to_owned(), salt, iterations })
            }
            _ => Err(DialFault::hostile("the SCRAM iteration count is below 4096")),
        }
    }

    /// Answers the server's first message `body`, which reads as `first`.
    pub(super) async fn prove(
        &self,
        user: &str,
        body: &[u8],
        first: ServerFirst,
        password: &SecretText,
    ) -> Result<Proof, DialFault> {
        let salted = salted_password(first.salt, first.iterations, password).await?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*salted);
        let client_key = hmac::sign(&key, b"Client Key");
        let server_key = hmac::sign(&key, b"Server Key");
        let stored = digest::digest(&digest::SHA256, client_key.as_ref());
        let without_proof = format!("{CHANNEL_BINDING},r={}", first.nonce);
        let server_first = String::from_utf8_lossy(body);
        let signed = format!("{},{server_first},{without_proof}", self.first_bare(user));
        let sign =
            |key: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes());
        let client_signature = sign(stored.as_ref());
        let proof: Vec<u8> = client_key
            .as_ref()
            .iter()
            .zip(client_signature.as_ref())
            .map(|(key, signature)| key ^ signature)
            .collect();
        let mut signature = [0; digest::SHA256_OUTPUT_LEN];
        signature.copy_from_slice(sign(server_key.as_ref()).as_ref());
        let message = format!("{without_proof},p={}", STANDARD.encode(proof));
        Ok(Proof { message, signature })
    }
}

impl Proof {
    /// Whether the server's last message proves that it knows the password's verifier.
    pub(super) fn check(&self, body: &[u8]) -> Result<(), DialFault> {
        if body.starts_with(b"e=") {
            return Err(DialFault::new(DialClass::Auth, "the server refused the password"));
        }
        let signature = body
            .strip_prefix(b"v=")
            .filter(|text| text.len() <= MAX_MESSAGE)
            .and_then(|text| STANDARD.decode(text).ok())
            .ok_or_else(|| DialFault::hostile("the SCRAM verifier is malformed"))?;
        constant_time::verify_slices_are_equal(&signature, &self.signature)
            .map_err(|_| DialFault::hostile("the server does not know the password it asks for"))
    }
}

async fn salted_password(
    salt: Vec<u8>,
    iterations: NonZeroU32,
    password: &SecretText,
) -> Result<Zeroizing<[u8; 32]>, DialFault> {
    let password = password.clone();
    let hash = move || {
        let mut salted = Zeroizing::new([0; 32]);
        let secret = password.expose().as_bytes();
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, secret, &mut *salted);
        salted
    };
    if iterations.get() <= INLINE_ITERATIONS {
        return Ok(hash());
    }
    tokio::task::spawn_blocking(hash)
        .await
        .map_err(|_| DialFault::internal("the password could not be hashed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7677 section 3.
    const SERVER_FIRST: &[u8] =
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    #[tokio::test]
    async fn agrees_with_the_standard() {
        let scram = Scram::with_nonce("rOprNGfwEbeRWgbNEkqO");
        let first = scram.read_first(SERVER_FIRST, 4096).unwrap();
        let password = SecretText::new("pencil".to_owned());
        let proof = scram.prove("user", SERVER_FIRST, first, &password).await.unwrap();
        assert_eq!(
            proof.message,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(proof.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Ok(()));
        for bad in [&b"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="[..], b"v=", b"", b",,"] {
            assert_eq!(proof.check(bad).unwrap_err().class(), DialClass::Hostile);
        }
        assert_eq!(proof.check(b"e=invalid-proof").unwrap_err().class(), DialClass::Auth);
    }

    #[test]
    fn refuses_every_other_challenge() {
        let scram = Scram::with_nonce("abc");
        let good = "r=abcdef,s=AAAA,i=4096";
        assert!(scram.read_first(good.as_bytes(), 100_000).is_ok());
        for bad in [
            "",
            ",,",
            "=",
            "r=abcdef",
            "r=abcdef,s=AAAA",
            "r=abc,s=AAAA,i=4096",
            "r=xabcdef,s=AAAA,i=4096",
            "r=,s=AAAA,i=4096",
            "r=abcdef,s=,i=4096",
            "r=abcdef,s=A,i=4096",
            "r=abcdef,s=AAAA,i=",
            "r=abcdef,s=AAAA,i=0",
            "r=abcdef,s=AAAA,i=4095",
            "r=abcdef,s=AAAA,i=04096",
            "r=abcdef,s=AAAA,i=+4096",
            "r=abcdef,s=AAAA,i=-1",
            "r=abcdef,s=AAAA,i=100001",
            "r=abcdef,s=AAAA,i=4294967295",
            "r=abcdef,s=AAAA,i=4294971392",
            "r=abcdef,s=AAAA,i=99999999999999999999",
            "r=abcdef,s=AAAA,i=4096,x=1",
            "r=abcdef,s=AAAA,i=4096,i=5000",
            "m=x,r=abcdef,s=AAAA,i=4096",
            "s=AAAA,r=abcdef,i=4096",
            "r=abcd ef,s=AAAA,i=4096",
            "r=abcdéf,s=AAAA,i=4096",
            "R=abcdef,S=AAAA,I=4096",
        ] {
            let fault = scram.read_first(bad.as_bytes(), 100_000).unwrap_err();
            assert_eq!(fault.class(), DialClass::Hostile, "{bad}");
        }
        let long = format!("r=abc{},s=AAAA,i=4096", "x".repeat(4096));
        assert!(scram.read_first(long.as_bytes(), 100_000).is_err());
        assert!(scram.read_first(b"r=abc\xff,s=AAAA,i=4096", 100_000).is_err());
    }
}
