use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::DataKeyId;
use super::aead::{self, Cipher, NONCE_LEN, TAG_LEN};
use super::kdf;
use super::material::{self, KEY_LEN, KeyBytes};
use crate::base::{ConnectionRevision, TenantId};

/// What every sealed text begins with.
pub(super) const PREFIX: &str = "sealed:v1:";
pub(super) const VERSION: u8 = 1;
/// AES-256-GCM with a key and a commitment from HKDF-SHA256.
pub(super) const ALGORITHM: u8 = 1;
/// version, algorithm, record id, data-key id, nonce, key commitment.
pub(super) const HEADER_LEN: usize = 1 + 1 + 16 + 16 + NONCE_LEN + COMMITMENT_LEN;
const COMMITMENT_LEN: usize = 32;
/// Longest plaintext: a record with a bundle of certificates is a few KiB.
pub(super) const PLAINTEXT_MAX: usize = 128 * 1024;
const SALT: &[u8] = b"wardgate sealed v1";
const INFO_ENCRYPT: &[u8] = b"encrypt";
const INFO_COMMIT: &[u8] = b"commit";

/// A sealed connection record in its text form, as a registry stores it: `sealed:v1:` and base64url.
/// `Debug` shows nothing of it, and it has no `Display`: sealed or not, it does not belong in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(String);

impl Sealed {
    /// Takes what was stored. Whether it is well-formed, and belongs where it was found, shows when it
    /// is opened; a damaged text fails there like any other.
    pub const fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The text to store.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the text, to tell texts apart without holding them.
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = [0; 32];
        let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.0.as_bytes());
        digest.copy_from_slice(sum.as_ref());
        digest
    }

    /// The data key it names, for scans of references. Not yet verified; nothing when the text is not
    /// well-formed.
    pub fn data_key_id(&self) -> Option<DataKeyId> {
        Parts::parse(self).ok().map(|parts| parts.data_key)
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(***)")
    }
}

/// Where a sealed record lives. All of it is bound into the seal: the record opens there only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealPlace {
    /// What the record is for, as in `tenant-connection`.
    pub purpose: &'static str,
    /// The table that holds it.
    pub table: &'static str,
    /// The column that holds it.
    pub column: &'static str,
    /// The row's own immutable id.
    pub record_id: Uuid,
    /// Whose record it is.
    pub tenant: TenantId,
    /// The connection revision it was written with.
    pub revision: ConnectionRevision,
}

impl SealPlace {
    /// The associated data: every byte before the ciphertext, then the place, length-prefixed.
    fn associated_data(&self, header: &[u8]) -> Vec<u8> {
        let mut aad = Vec::with_capacity(header.len() + 160);
        aad.extend_from_slice(header);
        aead::push_part(&mut aad, self.purpose.as_bytes());
        aead::push_part(&mut aad, self.table.as_bytes());
        aead::push_part(&mut aad, self.column.as_bytes());
        aead::push_part(&mut aad, self.tenant.as_uuid().as_bytes());
        aead::push_part(&mut aad, &self.revision.0.to_be_bytes());
        aad
    }
}

/// Why a value did not open. For logs only: callers learn nothing but that it did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// Prefix or base64url.
    Text,
    /// Too short or too long.
    Length,
    Version,
    Algorithm,
    /// The seal names another record.
    Record,
    /// The key store has no such data key.
    KeyMissing,
    /// The data key is another tenant's.
    KeyForeign,
    /// The data key's key-encryption key is not in the key source.
    KekMissing,
    /// The wrapped data key was changed or wrapped under other bytes.
    KeyUnwrap,
    Commitment,
    /// Changed, or sealed for another place.
    Tag,
    /// Opened, and is not a connection record.
    Plaintext,
}

impl Reason {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Length => "length",
            Self::Version => "version",
            Self::Algorithm => "algorithm",
            Self::Record => "record",
            Self::KeyMissing => "key_missing",
            Self::KeyForeign => "key_foreign",
            Self::KekMissing => "kek_missing",
            Self::KeyUnwrap => "key_unwrap",
            Self::Commitment => "commitment",
            Self::Tag => "tag",
            Self::Plaintext => "plaintext",
        }
    }
}

/// A sealed text taken apart; nothing of it is verified yet.
pub(super) struct Parts {
    bytes: Vec<u8>,
    pub(super) record_id: Uuid,
    pub(super) data_key: DataKeyId,
    nonce: [u8; NONCE_LEN],
    commitment: [u8; COMMITMENT_LEN],
}

impl Parts {
    pub(super) fn parse(sealed: &Sealed) -> Result<Self, Reason> {
        let text = sealed.0.strip_prefix(PREFIX).ok_or(Reason::Text)?;
        if text.len() > (HEADER_LEN + PLAINTEXT_MAX + TAG_LEN).div_ceil(3) * 4 {
            return Err(Reason::Length);
        }
        // Strict: no padding, no stray bits in the last character, so each seal has one text.
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Reason::Text)?;
        if bytes.len() <= HEADER_LEN + TAG_LEN {
            return Err(Reason::Length);
        }
        let mut rest = bytes.as_slice();
        let [version, algorithm] = aead::take(&mut rest).ok_or(Reason::Length)?;
        if version != VERSION {
            return Err(Reason::Version);
        }
        if algorithm != ALGORITHM {
            return Err(Reason::Algorithm);
        }
        let record_id = Uuid::from_bytes(aead::take(&mut rest).ok_or(Reason::Length)?);
        let data_key = DataKeyId(Uuid::from_bytes(aead::take(&mut rest).ok_or(Reason::Length)?));
        let nonce = aead::take(&mut rest).ok_or(Reason::Length)?;
        let commitment = aead::take(&mut rest).ok_or(Reason::Length)?;
        Ok(Self { bytes, record_id, data_key, nonce, commitment })
    }

    /// The plaintext, if this seal was made with `key` for `place`.
    pub(super) fn open(
        &self,
        place: &SealPlace,
        key: &SealingKey,
    ) -> Result<Zeroizing<Vec<u8>>, Reason> {
        if self.record_id != place.record_id {
            return Err(Reason::Record);
        }
        // GCM alone lets one text open under two keys; the commitment is checked before any use of it.
        if !material::equal(&self.commitment, &key.commitment) {
            return Err(Reason::Commitment);
        }
        let (header, ciphertext) = self.bytes.split_at(HEADER_LEN);
        let aad = place.associated_data(header);
        key.cipher.decrypt(self.nonce, &aad, ciphertext).map_err(|_| Reason::Tag)
    }
}

/// What one data key is used for: a cipher and the commitment to it, both derived from the key.
pub(super) struct SealingKey {
    pub(super) id: DataKeyId,
    pub(super) tenant: TenantId,
    cipher: Cipher,
    commitment: [u8; COMMITMENT_LEN],
}

impl SealingKey {
    pub(super) fn derive(id: DataKeyId, tenant: TenantId, key: &KeyBytes) -> Self {
        let prk = kdf::extract(SALT, key);
        let (owner, key_id) = (tenant.as_uuid().as_bytes(), id.0.as_bytes());
        let encryption = kdf::expand(&prk, &[INFO_ENCRYPT, owner, key_id]);
        let commitment = *kdf::expand(&prk, &[INFO_COMMIT, owner, key_id]).expose();
        Self { id, tenant, cipher: Cipher::new(&encryption), commitment }
    }

    /// Seals `plaintext` for `place`. A nonce must never be used twice with one key.
    pub(super) fn seal(
        &self,
        place: &SealPlace,
        nonce: [u8; NONCE_LEN],
        plaintext: &[u8],
    ) -> Result<Sealed, aead::Refused> {
        if plaintext.is_empty() || plaintext.len() > PLAINTEXT_MAX {
            return Err(aead::Refused);
        }
        let mut bytes = Vec::with_capacity(HEADER_LEN + plaintext.len() + TAG_LEN);
        bytes.extend_from_slice(&[VERSION, ALGORITHM]);
        bytes.extend_from_slice(place.record_id.as_bytes());
        bytes.extend_from_slice(self.id.0.as_bytes());
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&self.commitment);
        let aad = place.associated_data(&bytes);
        bytes.extend_from_slice(&self.cipher.encrypt(nonce, &aad, plaintext)?);
        Ok(Sealed(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&bytes))))
    }
}

const _: () = assert!(COMMITMENT_LEN == KEY_LEN);

#[cfg(test)]
mod unit {
    use super::*;

    /// A text that another commitment stands in, the tag right all the same: what a maker of texts
    /// that open under two keys would hand in.
    #[test]
    fn a_right_tag_with_another_commitment_does_not_open() {
        let place = SealPlace {
            purpose: "tenant-connection",
            table: "tenant",
            column: "connection",
            record_id: Uuid::nil(),
            tenant: TenantId::from_uuid(Uuid::nil()),
            revision: ConnectionRevision(1),
        };
        let (id, key) = (DataKeyId(Uuid::nil()), KeyBytes::zeroed());
        let honest = SealingKey::derive(id, place.tenant, &key);
        let mut lying = SealingKey::derive(id, place.tenant, &key);
        lying.commitment[31] ^= 1;
        let sealed = lying.seal(&place, [0; NONCE_LEN], b"x").unwrap();
        let parts = Parts::parse(&sealed).unwrap();
        assert_eq!(parts.open(&place, &lying).unwrap()[..], *b"x");
        assert_eq!(parts.open(&place, &honest).unwrap_err(), Reason::Commitment);
    }
}
