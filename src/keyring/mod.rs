//! Sealing, signing, key sources and key rotation.
//!
//! A tenant's connection record is sealed under her own data key and bound to its place; data keys are
//! stored wrapped under a key-encryption key that never leaves its source. The forms are written down
//! byte by byte in `docs/SEALED-RECORD.md`.

mod aead;
mod cache;
mod config;
mod derive;
mod fault;
mod kdf;
mod keyfile;
mod local;
mod material;
mod memory;
mod ring;
mod rotate;
mod sealed;
mod source;
mod start;
mod wrapped;

#[cfg(test)]
mod tests;

pub use config::{KekLocation, KeyringConfig};
pub use derive::{InvalidVerifyingKey, MacKey, Purpose, SigningKey, VerifyingKey};
pub use fault::KeyFault;
pub use keyfile::KeyFileFault;
pub use local::{FileKeys, HeldKeys};
pub use material::{KeyBytes, NoRandomness, random_password};
pub use memory::MemoryKeys;
pub use ring::Keyring;
pub use rotate::RewrapProgress;
pub use sealed::{SealPlace, Sealed};
pub use source::{KekFault, KekFuture, KeySource, WrapBinding};
pub use wrapped::{
    DataKeyId, KekId, WrappedKey, WrappedKeys, WrappedKeysFuture, WrappedKeysUnavailable,
};
