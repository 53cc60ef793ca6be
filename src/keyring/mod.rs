//! Sealing, signing, key sources and key rotation.

mod wrapped;

pub use wrapped::{
    DataKeyId, KekId, WrappedKey, WrappedKeys, WrappedKeysFuture, WrappedKeysUnavailable,
};
