//! AES-256-GCM with a 96-bit nonce and a 128-bit tag, and no other size: the types leave no room for one.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use zeroize::Zeroizing;

use super::material::{self, KEY_LEN, KeyBytes, NoRandomness};

/// Length of a nonce in bytes.
pub(super) const NONCE_LEN: usize = 12;
/// Length of a tag in bytes.
pub(super) const TAG_LEN: usize = 16;

/// A value that does not verify, or is too long for one message (64 GiB). Says no more on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused;

/// A key ready for use; its schedule is wiped when dropped.
pub(super) struct Cipher(Aes256Gcm);

impl Cipher {
    pub(super) fn new(key: &KeyBytes) -> Self {
        let bytes: &[u8; KEY_LEN] = key.expose();
        Self(Aes256Gcm::new(bytes.into()))
    }

    /// Ciphertext followed by its tag.
    pub(super) fn encrypt(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, Refused> {
        let payload = Payload { msg: plaintext, aad };
        self.0.encrypt(&Nonce::from(nonce), payload).map_err(|_| Refused)
    }

    /// The plaintext of a ciphertext followed by its tag, if nothing was changed.
    pub(super) fn decrypt(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        ciphertext_and_tag: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Refused> {
        let payload = Payload { msg: ciphertext_and_tag, aad };
        self.0.decrypt(&Nonce::from(nonce), payload).map(Zeroizing::new).map_err(|_| Refused)
    }
}

/// A nonce for one message.
pub(super) fn random_nonce() -> Result<[u8; NONCE_LEN], NoRandomness> {
    let mut nonce = [0; NONCE_LEN];
    material::fill(&mut nonce)?;
    Ok(nonce)
}

/// Appends `part` behind its length (32 bits, big-endian), so that no two lists of parts share one
/// encoding.
pub(super) fn push_part(aad: &mut Vec<u8>, part: &[u8]) {
    // Parts are names and numbers of a few bytes; a longer one is cut off from opening anything.
    let len = u32::try_from(part.len()).unwrap_or(u32::MAX);
    aad.extend_from_slice(&len.to_be_bytes());
    aad.extend_from_slice(part);
}

/// The next `N` bytes of `rest`, which moves past them.
pub(super) fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}
