use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use super::cache::KeyCache;
use super::derive::{MacKey, Purpose, Root, SigningKey};
use super::material::KeyBytes;
use super::sealed::{Parts, Reason, SealingKey};
use super::source::{KekFault, KeySource, WrapBinding};
use super::{DataKeyId, KekId, KeyFault, SealPlace, Sealed, WrappedKey, WrappedKeys, aead};
use crate::base::{Clock, ConnectionRecord, TenantId};

/// The platform's own data key. A fixed id (UUID version 8, `wardgate-platfor`) makes it the same one
/// however many gateways try to create it at once: the second insert fails.
pub(super) const PLATFORM_KEY: DataKeyId =
    DataKeyId(Uuid::from_u128(0x7761_7264_6761_8465_ad70_6c61_7466_6f72));
/// Whose the platform's data key is.
pub(super) const PLATFORM: TenantId = TenantId::from_uuid(Uuid::nil());

/// Seals and opens connection records, derives keys, rotates. Cheap to clone.
#[derive(Clone)]
pub struct Keyring(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) keys: Arc<dyn WrappedKeys>,
    pub(super) source: Arc<dyn KeySource>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) cache: KeyCache,
    pub(super) root: Root,
    pub(super) signing: SigningKey,
    /// Seals by key since this process started. Not persisted: at one seal a millisecond without a
    /// restart the limit is 24 days away, and a record is sealed only when an operator writes it.
    pub(super) seals: Mutex<HashMap<DataKeyId, u64>>,
    pub(super) seals_per_key: u64,
}

/// Why a data key could not be had.
pub(super) enum Missed {
    Reason(Reason),
    Fault(KeyFault),
}

impl From<KeyFault> for Missed {
    fn from(fault: KeyFault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Reason> for Missed {
    fn from(reason: Reason) -> Self {
        Self::Reason(reason)
    }
}

impl Keyring {
    /// Makes a new data key for `tenant`, wrapped under the current key-encryption key. Durable when
    /// it returns; write the record that uses it afterwards, so that a crash between leaves an unused
    /// key and never a record without one. Also how a tenant's data key is rotated: make a new one,
    /// [`reseal`](Self::reseal) her record under it, destroy the old one.
    pub async fn create_data_key(&self, tenant: TenantId) -> Result<DataKeyId, KeyFault> {
        if tenant == PLATFORM {
            return Err(KeyFault::PlatformKey);
        }
        let id = DataKeyId(Uuid::new_v4());
        create(&*self.0.keys, &*self.0.source, &*self.0.clock, WrapBinding { id, tenant }).await?;
        Ok(id)
    }

    /// The tenant's newest data key, if she has one.
    pub async fn newest_data_key(&self, tenant: TenantId) -> Result<Option<DataKeyId>, KeyFault> {
        let newest = self.0.keys.newest(tenant).await?;
        Ok(newest.filter(|key| key.tenant == tenant).map(|key| key.id))
    }

    /// Seals `record` for `place` under one of the tenant's data keys.
    pub async fn seal(
        &self,
        place: &SealPlace,
        key: DataKeyId,
        record: &ConnectionRecord,
    ) -> Result<Sealed, KeyFault> {
        self.seal_bytes(place, key, &record.to_plaintext()).await
    }

    /// Opens a sealed record. Whatever is wrong with it - changed, moved from another place, its key
    /// destroyed or another tenant's - the answer is [`KeyFault::DoesNotOpen`] and an event on the log
    /// target `wardgate::integrity`; other faults mean that the keys could not be reached.
    pub async fn open(
        &self,
        place: &SealPlace,
        sealed: &Sealed,
    ) -> Result<ConnectionRecord, KeyFault> {
        let opened = async {
            let plaintext = self.open_bytes(place, sealed).await?;
            ConnectionRecord::from_plaintext(&plaintext).map_err(|_| Reason::Plaintext.into())
        };
        opened.await.map_err(|missed| report(missed, place, sealed))
    }

    /// Opens a sealed record and seals it for the same place under another of the tenant's data keys.
    pub async fn reseal(
        &self,
        place: &SealPlace,
        sealed: &Sealed,
        key: DataKeyId,
    ) -> Result<Sealed, KeyFault> {
        let plaintext = self.open_bytes(place, sealed).await;
        let plaintext = plaintext.map_err(|missed| report(missed, place, sealed))?;
        self.seal_bytes(place, key, &plaintext).await
    }

    /// The key for `purpose` in `tenant`. The same on every gateway over one key store, and across
    /// rotations of key-encryption keys and of the tenant's data keys.
    pub fn derive(&self, purpose: Purpose, tenant: TenantId) -> MacKey {
        MacKey::new(&self.0.root.derive(purpose, tenant))
    }

    /// The key that signs checkpoints of the access log; as stable as derived keys are.
    pub fn checkpoint_key(&self) -> SigningKey {
        self.0.signing.clone()
    }

    /// Wipes the tenant's unwrapped data keys from memory, also those being fetched at this moment.
    pub fn forget(&self, tenant: TenantId) {
        self.0.cache.forget(|_, owner| owner == tenant);
    }

    /// Wipes unwrapped data keys that have had their time. They are not used after it in any case;
    /// this is for keys nobody asks for again.
    pub fn sweep_memory(&self) {
        self.0.cache.sweep();
    }

    /// Calls [`sweep_memory`](Self::sweep_memory) twice a minute until `shutdown`.
    pub async fn run_maintenance(self, shutdown: tokio_util::sync::CancellationToken) {
        let mut ticks = tokio::time::interval(std::time::Duration::from_secs(30));
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            self.sweep_memory();
        }
    }

    async fn open_bytes(
        &self,
        place: &SealPlace,
        sealed: &Sealed,
    ) -> Result<zeroize::Zeroizing<Vec<u8>>, Missed> {
        let parts = Parts::parse(sealed)?;
        let key = self.sealing_key(parts.data_key).await?;
        if key.tenant != place.tenant {
            return Err(Reason::KeyForeign.into());
        }
        Ok(parts.open(place, &key)?)
    }

    async fn seal_bytes(
        &self,
        place: &SealPlace,
        id: DataKeyId,
        plaintext: &[u8],
    ) -> Result<Sealed, KeyFault> {
        let key = self.sealing_key(id).await.map_err(|missed| match missed {
            Missed::Reason(Reason::KeyMissing) => KeyFault::NoSuchKey(id),
            Missed::Reason(_) => KeyFault::DoesNotOpen,
            Missed::Fault(fault) => fault,
        })?;
        if key.tenant != place.tenant {
            return Err(KeyFault::ForeignKey(id));
        }
        self.count_seal(id)?;
        key.seal(place, aead::random_nonce()?, plaintext).map_err(|_| KeyFault::TooLarge)
    }

    fn count_seal(&self, id: DataKeyId) -> Result<(), KeyFault> {
        let mut seals = self.0.seals.lock().unwrap_or_else(PoisonError::into_inner);
        let count = seals.entry(id).or_default();
        if *count >= self.0.seals_per_key {
            return Err(KeyFault::Exhausted(id));
        }
        *count += 1;
        Ok(())
    }

    pub(super) async fn sealing_key(&self, id: DataKeyId) -> Result<Arc<SealingKey>, Missed> {
        let begun = match self.0.cache.get(id) {
            Ok(key) => return Ok(key),
            Err(begun) => begun,
        };
        let stored = self.0.keys.get(id).await.map_err(KeyFault::from)?;
        let stored = stored.filter(|key| key.id == id).ok_or(Reason::KeyMissing)?;
        let bytes = unwrap(&*self.0.source, &stored).await.map_err(|fault| match fault {
            KekFault::Unknown(_) => Missed::Reason(Reason::KekMissing),
            KekFault::DoesNotUnwrap(_) => Missed::Reason(Reason::KeyUnwrap),
            other => Missed::Fault(other.into()),
        })?;
        let key = Arc::new(SealingKey::derive(id, stored.tenant, &bytes));
        self.0.cache.put(begun, &key);
        Ok(key)
    }
}

/// Unwraps a stored key.
pub(super) async fn unwrap(
    source: &dyn KeySource,
    stored: &WrappedKey,
) -> Result<KeyBytes, KekFault> {
    let binding = WrapBinding { id: stored.id, tenant: stored.tenant };
    source.unwrap_key(&stored.kek, binding, &stored.wrapped).await
}

/// Makes, wraps and stores a new data key.
pub(super) async fn create(
    keys: &dyn WrappedKeys,
    source: &dyn KeySource,
    clock: &dyn Clock,
    binding: WrapBinding,
) -> Result<(), KeyFault> {
    let kek: KekId = source.current().await?;
    let wrapped = source.wrap_key(&kek, binding, &KeyBytes::random()?).await?;
    let WrapBinding { id, tenant } = binding;
    keys.insert(WrappedKey { id, tenant, kek, wrapped, created_at: clock.now() }).await?;
    Ok(())
}

/// Turns a cause into the one answer callers get, and tells those who watch.
fn report(missed: Missed, place: &SealPlace, sealed: &Sealed) -> KeyFault {
    let reason = match missed {
        Missed::Fault(fault) => return fault,
        Missed::Reason(reason) => reason,
    };
    metrics::counter!(crate::telemetry::names::INTEGRITY).increment(1);
    tracing::error!(
        target: "wardgate::integrity",
        event = "sealed_record_does_not_open",
        reason = reason.as_str(),
        tenant = %place.tenant,
        table = place.table,
        column = place.column,
        record = %place.record_id,
        revision = place.revision.0,
        data_key = sealed.data_key_id().map(tracing::field::display),
        "a sealed record does not open where it was found"
    );
    KeyFault::DoesNotOpen
}
