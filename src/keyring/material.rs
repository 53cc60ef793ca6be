use std::fmt;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// Length of every symmetric key here, in bytes.
pub(super) const KEY_LEN: usize = 32;

/// The operating system's random generator gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct NoRandomness;

/// 32 secret bytes at one place on the heap, wiped when dropped. Moving it moves a pointer, so no copy
/// stays behind on the stack.
#[derive(Clone)]
pub struct KeyBytes(Box<Zeroizing<[u8; KEY_LEN]>>);

impl KeyBytes {
    /// 32 fresh random bytes.
    pub fn random() -> Result<Self, NoRandomness> {
        let mut key = Self::zeroed();
        fill(key.as_mut())?;
        Ok(key)
    }

    /// Copies 32 bytes; nothing for any other length. Wiping `bytes` stays the caller's task.
    pub fn copied_from(bytes: &[u8]) -> Option<Self> {
        let mut key = Self::zeroed();
        if bytes.len() != KEY_LEN {
            return None;
        }
        key.as_mut().copy_from_slice(bytes);
        Some(key)
    }

    pub(super) fn zeroed() -> Self {
        Self(Box::new(Zeroizing::new([0; KEY_LEN])))
    }

    /// The secret itself.
    pub fn expose(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    pub(super) fn as_mut(&mut self) -> &mut [u8; KEY_LEN] {
        &mut self.0
    }

    /// Compares in constant time.
    pub fn same_as(&self, other: &Self) -> bool {
        equal(self.expose(), other.expose())
    }
}

impl fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyBytes(***)")
    }
}

/// Fills `out` from the operating system's generator.
/// A password nobody has seen: 256 random bits in letters, digits, `-` and `_`, of every kind that a
/// server's rules may ask for.
pub fn random_password() -> Result<crate::base::SecretText, NoRandomness> {
    use base64::Engine as _;
    let mut random = Zeroizing::new([0; 32]);
    fill(random.as_mut())?;
    let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(*random);
    Ok(crate::base::SecretText::new(format!("{text}-aZ9")))
}

pub(super) fn fill(out: &mut [u8]) -> Result<(), NoRandomness> {
    SystemRandom::new().fill(out).map_err(|_| NoRandomness)
}

/// Whether two byte strings are equal, in time that depends on their lengths only.
pub(super) fn equal(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}
