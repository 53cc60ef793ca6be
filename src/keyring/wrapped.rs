use std::fmt;
use std::future::Future;
use std::pin::Pin;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::base::{TenantId, Timestamp};

/// Names a data key; random and never reused, but for the platform's own key, whose id is fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DataKeyId(pub Uuid);

impl fmt::Display for DataKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// Names a key-encryption key: 1 to 32 of `a-z`, `0-9` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KekId(pub String);

impl fmt::Display for KekId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A data key as it is stored: encrypted under a key-encryption key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// Its id.
    pub id: DataKeyId,
    /// Whose key it is; the nil UUID stands for the platform itself.
    pub tenant: TenantId,
    /// The key-encryption key it is wrapped under.
    pub kek: KekId,
    /// The wrapped bytes (layout in `docs/SEALED-RECORD.md`).
    pub wrapped: Vec<u8>,
    /// When it was made; a tenant's current key is its newest.
    pub created_at: Timestamp,
}

/// The store of wrapped keys cannot answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the store of wrapped data keys cannot be reached: {0}")]
pub struct WrappedKeysUnavailable(pub String);

/// What the methods of [`WrappedKeys`] give back.
pub type WrappedKeysFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, WrappedKeysUnavailable>> + Send + 'a>>;

/// Where wrapped data keys live, apart from the registry and its backups. Implemented by `registry`
/// on a second database and by an in-memory one for tests.
pub trait WrappedKeys: Send + Sync + 'static {
    /// The key with that id.
    fn get(&self, id: DataKeyId) -> WrappedKeysFuture<'_, Option<WrappedKey>>;
    /// The tenant's newest key.
    fn newest(&self, tenant: TenantId) -> WrappedKeysFuture<'_, Option<WrappedKey>>;
    /// Stores a new key; durable when it returns. An id that exists already is an error.
    fn insert(&self, key: WrappedKey) -> WrappedKeysFuture<'_, ()>;
    /// Replaces `kek` and `wrapped` of the key with `to.id` if it is still wrapped under `from`.
    /// Gives back whether it was.
    fn rewrap(&self, from: KekId, to: WrappedKey) -> WrappedKeysFuture<'_, bool>;
    /// Keys in order of their ids, after `after`, at most `limit`.
    fn list(&self, after: Option<DataKeyId>, limit: u32) -> WrappedKeysFuture<'_, Vec<WrappedKey>>;
    /// Destroys a key. Gives back whether it was there.
    fn destroy(&self, id: DataKeyId) -> WrappedKeysFuture<'_, bool>;
}
