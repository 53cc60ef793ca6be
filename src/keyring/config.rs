use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::source::KeySource;
use crate::base::SecretText;

/// How a keyring finds its keys and how long it holds them.
#[derive(Clone)]
pub struct KeyringConfig {
    /// Where the key-encryption keys are.
    pub location: KekLocation,
    /// How long an unwrapped data key stays in memory. Default 5 minutes: after a key is destroyed in
    /// the key store it is gone from every gateway's memory at the latest then.
    pub cache_ttl: Duration,
    /// How many unwrapped data keys stay in memory at most. Default 4096.
    pub cache_capacity: usize,
    /// How often one data key seals at most, counted by process. Default and upper limit 2^31, half
    /// of what NIST SP 800-38D section 8.3 allows for random nonces.
    pub seals_per_key: u64,
}

/// Where key-encryption keys are.
#[derive(Clone)]
pub enum KekLocation {
    /// A key file, mode 0600 or 0400.
    File(PathBuf),
    /// An environment variable's value, already read: the text of a key file, or one key in base64.
    Environment(SecretText),
    /// A source of another kind, such as a transit service.
    Source(Arc<dyn KeySource>),
}

impl KeyringConfig {
    /// The defaults, with keys from `location`.
    pub const fn new(location: KekLocation) -> Self {
        Self {
            location,
            cache_ttl: Duration::from_mins(5),
            cache_capacity: 4096,
            seals_per_key: 1 << 31,
        }
    }
}
