use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::hkdf::Prk;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::kdf;
use super::material::KeyBytes;
use crate::base::TenantId;

const SALT: &[u8] = b"wardgate derive v1";
const PUBLIC_PREFIX: &str = "ed25519:";

/// What a derived key is for. Each purpose and tenant has its own key; none can be found from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Page cursors of searches.
    PageCursor,
    /// Orders of bulk exports.
    ExportOrder,
    /// Resource ids in the access log.
    AuditIdentifier,
    /// Signatures under checkpoints of the access log.
    AuditCheckpoint,
    /// Marks of bindings.
    Binding,
    /// Digests of repeated requests' bodies, which may hold passwords.
    RequestDigest,
    /// Marks of the answers that are kept for repeated requests.
    KeptAnswer,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::PageCursor => "page-cursor",
            Self::ExportOrder => "export-order",
            Self::AuditIdentifier => "audit-identifier",
            Self::AuditCheckpoint => "audit-checkpoint",
            Self::Binding => "binding",
            Self::RequestDigest => "request-digest",
            Self::KeptAnswer => "kept-answer",
        }
    }
}

/// The root that purposes derive from: extracted from the platform data key once, at start.
pub(super) struct Root(Prk);

impl Root {
    pub(super) fn of(platform: &KeyBytes) -> Self {
        Self(kdf::extract(SALT, platform))
    }

    /// The info is the purpose's word, a zero byte, and the tenant's 16 bytes: no two alike.
    pub(super) fn derive(&self, purpose: Purpose, tenant: TenantId) -> KeyBytes {
        kdf::expand(&self.0, &[purpose.as_str().as_bytes(), &[0], tenant.as_uuid().as_bytes()])
    }
}

/// A key for message authentication: HMAC-SHA256 (RFC 2104, FIPS 198-1). Cheap to clone.
#[derive(Clone)]
pub struct MacKey(Arc<hmac::Key>);

impl MacKey {
    pub(super) fn new(key: &KeyBytes) -> Self {
        Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, key.expose())))
    }

    /// The 32-byte tag of `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; 32] {
        let mut tag = [0; 32];
        tag.copy_from_slice(hmac::sign(&self.0, message).as_ref());
        tag
    }

    /// Whether `tag` is the whole tag of `message`, in constant time.
    pub fn verify(&self, message: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.0, message, tag).is_ok()
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(***)")
    }
}

/// The gateway's Ed25519 key (RFC 8032) for checkpoints of the access log. Cheap to clone.
#[derive(Clone)]
pub struct SigningKey(Arc<Ed25519KeyPair>);

impl SigningKey {
    pub(super) fn from_seed(seed: &KeyBytes) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed.expose()).ok().map(|pair| Self(Arc::new(pair)))
    }

    /// The 64-byte signature of `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.0.sign(message).as_ref());
        signature
    }

    /// What others check signatures with.
    pub fn verifying_key(&self) -> VerifyingKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        VerifyingKey(bytes)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(***)")
    }
}

/// An Ed25519 public key. Text form: `ed25519:` and base64url without padding.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VerifyingKey([u8; 32]);

impl VerifyingKey {
    /// From the 32 bytes of RFC 8032.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of RFC 8032.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether `signature` is this key's signature of `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC_PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a public key is `ed25519:` and 43 characters of base64url")]
pub struct InvalidVerifyingKey;

impl FromStr for VerifyingKey {
    type Err = InvalidVerifyingKey;

    fn from_str(text: &str) -> Result<Self, InvalidVerifyingKey> {
        let text = text.strip_prefix(PUBLIC_PREFIX).ok_or(InvalidVerifyingKey)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidVerifyingKey)?;
        bytes.try_into().map(Self).map_err(|_| InvalidVerifyingKey)
    }
}
