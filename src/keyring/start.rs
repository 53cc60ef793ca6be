use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::cache::KeyCache;
use super::config::{KekLocation, KeyringConfig};
use super::derive::{Purpose, Root, SigningKey};
use super::local::{FileKeys, HeldKeys};
use super::material::KeyBytes;
use super::ring::{self, Inner, Keyring, PLATFORM, PLATFORM_KEY};
use super::rotate::PAGE;
use super::source::{KekFault, KeySource, WrapBinding};
use super::{KekId, KeyFault, WrappedKey, WrappedKeys};
use crate::base::Clock;

impl Keyring {
    /// Opens the key source and proves that it fits the key store: the platform key must be there and
    /// unwrap, and so must one key under every key-encryption key in use. Otherwise it refuses, with a
    /// message that says what to look for, rather than fail at the first request.
    pub async fn start(
        config: KeyringConfig,
        keys: Arc<dyn WrappedKeys>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeyFault> {
        let source = open_source(&config.location).await?;
        let Some(platform) = keys.get(PLATFORM_KEY).await? else {
            let fault = if keys.list(None, 1).await?.is_empty() {
                KeyFault::NotInitialised
            } else {
                KeyFault::PlatformKeyLost
            };
            return Err(fault);
        };
        let platform = check(&*source, &platform).await?;
        check_every_kek(&*source, &*keys).await?;
        let root = Root::of(&platform);
        let signing = SigningKey::from_seed(&root.derive(Purpose::AuditCheckpoint, PLATFORM))
            .ok_or(KeyFault::Defect("an Ed25519 seed of 32 bytes was refused"))?;
        Ok(Self(Arc::new(Inner {
            keys,
            source,
            clock,
            cache: KeyCache::new(config.cache_ttl, config.cache_capacity),
            root,
            signing,
            seals: std::sync::Mutex::default(),
            seals_per_key: config.seals_per_key.min(1 << 31),
        })))
    }

    /// For a new installation: writes a key file if the configured one does not exist, makes the
    /// platform key, and starts. Does nothing to what is there already; refuses when the key store
    /// holds keys and the platform key or the key file is gone.
    pub async fn init(
        config: KeyringConfig,
        keys: Arc<dyn WrappedKeys>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeyFault> {
        if keys.list(None, 1).await?.is_empty() {
            if let KekLocation::File(path) = &config.location {
                create_missing_file(path, &*clock).await?;
            }
            let source = open_source(&config.location).await?;
            let binding = WrapBinding { id: PLATFORM_KEY, tenant: PLATFORM };
            // Another gateway may be first; then its key is the platform's.
            if let Err(fault) = ring::create(&*keys, &*source, &*clock, binding).await
                && keys.get(PLATFORM_KEY).await?.is_none()
            {
                return Err(fault);
            }
        }
        Self::start(config, keys, clock).await
    }
}

async fn create_missing_file(path: &Path, clock: &dyn Clock) -> Result<(), KeyFault> {
    let today: String = clock.now().to_string().chars().take(10).collect();
    let path = path.to_owned();
    let made = tokio::task::spawn_blocking(move || {
        let missing = matches!(path.try_exists(), Ok(false));
        if missing {
            FileKeys::create(&path, KekId(format!("kek-{today}"))).map(drop)
        } else {
            Ok(())
        }
    });
    Ok(joined(made).await?)
}

async fn open_source(location: &KekLocation) -> Result<Arc<dyn KeySource>, KeyFault> {
    Ok(match location {
        KekLocation::File(path) => {
            let path = path.clone();
            let opened = tokio::task::spawn_blocking(move || FileKeys::open(&path));
            Arc::new(joined(opened).await?)
        }
        KekLocation::Environment(value) => Arc::new(HeldKeys::from_environment(value)?),
        KekLocation::Source(source) => Arc::clone(source),
    })
}

async fn joined<T>(task: tokio::task::JoinHandle<Result<T, KekFault>>) -> Result<T, KekFault> {
    let broken = |_| KekFault::Unavailable("reading the key file was broken off".to_owned());
    task.await.map_err(broken)?
}

/// The key-check: unwraps `stored`, or says what does not fit.
async fn check(source: &dyn KeySource, stored: &WrappedKey) -> Result<KeyBytes, KeyFault> {
    let (kind, key) = (source.kind(), stored.id);
    ring::unwrap(source, stored).await.map_err(|fault| match fault {
        KekFault::Unknown(kek) => KeyFault::KekMissing { kind, kek },
        KekFault::DoesNotUnwrap(kek) => KeyFault::KekWrong { kind, kek, key },
        other => other.into(),
    })
}

async fn check_every_kek(source: &dyn KeySource, keys: &dyn WrappedKeys) -> Result<(), KeyFault> {
    let (mut seen, mut after) = (HashSet::new(), None);
    loop {
        let page = keys.list(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.id);
        for stored in &page {
            if seen.insert(stored.kek.clone()) {
                check(source, stored).await?;
            }
        }
    }
}
