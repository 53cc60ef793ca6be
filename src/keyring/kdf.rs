//! HKDF-SHA256 (RFC 5869): one key, one use. Salts and infos are part of `docs/SEALED-RECORD.md`.

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};

use super::material::{KEY_LEN, KeyBytes};

/// The pseudorandom key extracted from `key` under `salt`.
pub(super) fn extract(salt: &[u8], key: &KeyBytes) -> Prk {
    Salt::new(HKDF_SHA256, salt).extract(key.expose())
}

/// 32 bytes for the use that `info` names.
pub(super) fn expand(prk: &Prk, info: &[&[u8]]) -> KeyBytes {
    let mut out = KeyBytes::zeroed();
    prk.expand(info, Len(KEY_LEN))
        .and_then(|okm| okm.fill(out.as_mut()))
        .expect("HKDF-SHA256 gives up to 8160 bytes, and 32 are asked for");
    out
}

/// An output length in bytes, at most 255 * 32.
#[derive(Clone, Copy)]
pub(super) struct Len(pub(super) usize);

impl KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}
