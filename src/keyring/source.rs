use std::future::Future;
use std::pin::Pin;

use super::aead::{self, Cipher, NONCE_LEN, TAG_LEN};
use super::keyfile::KeyFileFault;
use super::material::{KEY_LEN, KeyBytes, NoRandomness};
use super::{DataKeyId, KekId};
use crate::base::TenantId;

const VERSION: u8 = 1;
const ALGORITHM: u8 = 1;
const HEADER_LEN: usize = 1 + 1 + NONCE_LEN;
/// Length of a data key wrapped by [`wrap_locally`], in bytes.
pub(super) const WRAPPED_LEN: usize = HEADER_LEN + KEY_LEN + TAG_LEN;
const CONTEXT: &[u8] = b"wardgate wrapped data key v1";

/// What a wrapped data key is bound to: it unwraps as this key of this tenant only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrapBinding {
    /// The data key's id.
    pub id: DataKeyId,
    /// Whose data key it is.
    pub tenant: TenantId,
}

/// What went wrong with a key-encryption key or the place it lives in.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KekFault {
    /// The source has no key with that id.
    #[error("the key source has no key-encryption key {0}")]
    Unknown(KekId),
    /// The wrapped bytes were changed, bound to another key or tenant, or wrapped under other bytes.
    #[error("a wrapped data key does not unwrap under key-encryption key {0}")]
    DoesNotUnwrap(KekId),
    /// The source cannot add, choose or destroy keys.
    #[error("this key source cannot be changed from here: {0}")]
    ReadOnly(&'static str),
    /// The key file.
    #[error(transparent)]
    File(#[from] KeyFileFault),
    /// A key service cannot be reached; the text is for operators.
    #[error("the key service cannot be reached: {0}")]
    Unavailable(String),
    /// No randomness.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// What the methods of [`KeySource`] give back.
pub type KekFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, KekFault>> + Send + 'a>>;

/// Where key-encryption keys live. They need not leave it: a source that holds them elsewhere (a
/// transit service) wraps and unwraps there, with the binding as its context.
pub trait KeySource: Send + Sync + 'static {
    /// What kind of source this is, for messages: `key file`, `environment`.
    fn kind(&self) -> &'static str;
    /// The key new data keys are wrapped under, as the source has it now.
    fn current(&self) -> KekFuture<'_, KekId>;
    /// Every key the source has now.
    fn ids(&self) -> KekFuture<'_, Vec<KekId>>;
    /// Wraps a data key.
    fn wrap_key<'a>(
        &'a self,
        kek: &'a KekId,
        binding: WrapBinding,
        key: &'a KeyBytes,
    ) -> KekFuture<'a, Vec<u8>>;
    /// Unwraps a data key.
    fn unwrap_key<'a>(
        &'a self,
        kek: &'a KekId,
        binding: WrapBinding,
        wrapped: &'a [u8],
    ) -> KekFuture<'a, KeyBytes>;
    /// Makes a new random key, not yet the current one. Durable when it returns.
    fn add(&self, kek: KekId) -> KekFuture<'_, ()>;
    /// Makes a key the current one. Durable when it returns.
    fn set_current(&self, kek: KekId) -> KekFuture<'_, ()>;
    /// Destroys a key that is not the current one. Durable when it returns; what is still wrapped
    /// under it is lost, so ask [`Keyring::drop_kek`](super::Keyring::drop_kek) instead.
    fn destroy(&self, kek: KekId) -> KekFuture<'_, ()>;
}

/// Wraps with a key-encryption key that is at hand: AES-256-GCM, random nonce, layout in
/// `docs/SEALED-RECORD.md`.
pub(super) fn wrap_locally(
    id: &KekId,
    kek: &KeyBytes,
    binding: WrapBinding,
    key: &KeyBytes,
) -> Result<Vec<u8>, KekFault> {
    wrap_with_nonce(id, kek, binding, key, aead::random_nonce()?)
}

pub(super) fn wrap_with_nonce(
    id: &KekId,
    kek: &KeyBytes,
    binding: WrapBinding,
    key: &KeyBytes,
    nonce: [u8; NONCE_LEN],
) -> Result<Vec<u8>, KekFault> {
    let mut bytes = Vec::with_capacity(WRAPPED_LEN);
    bytes.extend_from_slice(&[VERSION, ALGORITHM]);
    bytes.extend_from_slice(&nonce);
    let aad = associated_data(&bytes, id, binding);
    let sealed = Cipher::new(kek)
        .encrypt(nonce, &aad, key.expose())
        .map_err(|_| KekFault::DoesNotUnwrap(id.clone()))?;
    bytes.extend_from_slice(&sealed);
    Ok(bytes)
}

/// The inverse of [`wrap_locally`].
pub(super) fn unwrap_locally(
    id: &KekId,
    kek: &KeyBytes,
    binding: WrapBinding,
    wrapped: &[u8],
) -> Result<KeyBytes, KekFault> {
    let refused = || KekFault::DoesNotUnwrap(id.clone());
    if wrapped.len() != WRAPPED_LEN {
        return Err(refused());
    }
    let mut rest = wrapped;
    let header: [u8; 2] = aead::take(&mut rest).ok_or_else(refused)?;
    if header != [VERSION, ALGORITHM] {
        return Err(refused());
    }
    let nonce: [u8; NONCE_LEN] = aead::take(&mut rest).ok_or_else(refused)?;
    let aad = associated_data(&wrapped[..HEADER_LEN], id, binding);
    let key = Cipher::new(kek).decrypt(nonce, &aad, rest).map_err(|_| refused())?;
    KeyBytes::copied_from(&key).ok_or_else(refused)
}

fn associated_data(header: &[u8], kek: &KekId, binding: WrapBinding) -> Vec<u8> {
    let mut aad = header.to_vec();
    aead::push_part(&mut aad, CONTEXT);
    aead::push_part(&mut aad, binding.id.0.as_bytes());
    aead::push_part(&mut aad, binding.tenant.as_uuid().as_bytes());
    aead::push_part(&mut aad, kek.0.as_bytes());
    aad
}
