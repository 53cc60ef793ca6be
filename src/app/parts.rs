//! The parts a gateway and its command line have in common.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::fault::StartFault;
use super::rooms;
use crate::base::Clock;
use crate::config::Settings;
use crate::keyring::{KeyFault, Keyring, WrappedKeys};
use crate::pool::dial::Dialer;
use crate::registry::{KeyStore, MigrationStatus, Registry};

/// Databases, keys and the dialer.
pub(super) struct Parts {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) registry: Registry,
    pub(super) key_store: Arc<KeyStore>,
    pub(super) keyring: Keyring,
    pub(super) dialer: Dialer,
}

impl Parts {
    /// Opens them; refuses databases that are not at this program's version.
    pub(super) async fn open(settings: &Settings) -> Result<Self, StartFault> {
        let clock = rooms::clock();
        let registry = Registry::open(&settings.registry_url, Arc::clone(&clock))?;
        let key_store = KeyStore::open(&settings.keys.store, Arc::clone(&clock))?;
        registry.require_current().await?;
        key_store.require_current().await?;
        let key_store = Arc::new(key_store);
        let wrapped: Arc<dyn WrappedKeys> = Arc::clone(&key_store) as Arc<dyn WrappedKeys>;
        let keyring = Keyring::start(rooms::keyring(settings), wrapped, Arc::clone(&clock)).await?;
        let dialer = Dialer::new(rooms::dial(settings)?, Arc::clone(&clock));
        Ok(Self { clock, registry, key_store, keyring, dialer })
    }
}

/// Where the two control-plane databases stand.
#[derive(Debug, Serialize)]
pub struct StoreStatus {
    /// The registry: applied, pending, unknown and altered migrations.
    pub registry: Counts,
    /// The store of wrapped data keys.
    pub keys: Counts,
}

/// Migrations of one database, counted.
#[derive(Debug, Serialize)]
pub struct Counts {
    /// Applied.
    pub applied: usize,
    /// Not yet applied.
    pub pending: Vec<String>,
    /// Applied and not known to this program.
    pub unknown: Vec<String>,
    /// Applied in another form than this program knows.
    pub altered: Vec<String>,
}

impl StoreStatus {
    /// Whether both are exactly at this program's version.
    pub const fn is_current(&self) -> bool {
        self.registry.is_current() && self.keys.is_current()
    }
}

impl Counts {
    const fn is_current(&self) -> bool {
        self.pending.is_empty() && self.unknown.is_empty() && self.altered.is_empty()
    }
}

impl From<MigrationStatus> for Counts {
    fn from(status: MigrationStatus) -> Self {
        Self {
            applied: status.applied.len(),
            pending: status.pending,
            unknown: status.unknown,
            altered: status.altered,
        }
    }
}

impl fmt::Display for StoreStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, counts) in [("registry", &self.registry), ("keys", &self.keys)] {
            write!(f, "{name}: {} applied", counts.applied)?;
            for (what, list) in [
                ("pending", &counts.pending),
                ("unknown", &counts.unknown),
                ("altered", &counts.altered),
            ] {
                if !list.is_empty() {
                    write!(f, ", {what}: {}", list.join(" "))?;
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

fn open_stores(settings: &Settings) -> Result<(Registry, KeyStore), StartFault> {
    let clock = rooms::clock();
    let registry = Registry::open(&settings.registry_url, Arc::clone(&clock))?;
    Ok((registry, KeyStore::open(&settings.keys.store, clock)?))
}

/// Brings both databases to this program's version.
pub async fn migrate_stores(settings: &Settings) -> Result<StoreStatus, StartFault> {
    let (registry, keys) = open_stores(settings)?;
    let status = StoreStatus {
        registry: registry.migrate().await?.into(),
        keys: keys.migrate().await?.into(),
    };
    registry.close().await;
    keys.close().await;
    Ok(status)
}

/// Where both databases stand.
pub async fn store_status(settings: &Settings) -> Result<StoreStatus, StartFault> {
    let (registry, keys) = open_stores(settings)?;
    Ok(StoreStatus {
        registry: registry.migration_status().await?.into(),
        keys: keys.migration_status().await?.into(),
    })
}

/// The keys a gateway begins with.
#[derive(Debug, Serialize)]
pub struct InitialKeys {
    /// The current key-encryption key's id.
    pub kek: String,
    /// The platform's data key is new; without it nothing was done.
    pub made: bool,
}

/// Makes the key file and the platform's data key where there are none.
pub async fn init_keys(settings: &Settings) -> Result<InitialKeys, StartFault> {
    let (_registry, keys) = open_stores(settings)?;
    keys.require_current().await?;
    let made = keys.list(None, 1).await.map_err(KeyFault::from)?.is_empty();
    let keyring = Keyring::init(rooms::keyring(settings), Arc::new(keys), rooms::clock()).await?;
    Ok(InitialKeys { kek: keyring.keks().await?.1.0, made })
}

/// Makes a folder that only this account may look into.
pub(super) fn private_folder(path: &Path) -> Result<(), StartFault> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| StartFault::File(path.display().to_string(), error.kind()))
}
