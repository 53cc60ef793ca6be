use std::collections::{BTreeMap, HashSet};

use super::ring::{self, Keyring, PLATFORM_KEY};
use super::source::{KekFault, WrapBinding};
use super::{DataKeyId, KekId, KeyFault, WrappedKey};
use crate::base::{TenantId, Timestamp};

/// Keys fetched at a time.
pub(super) const PAGE: u32 = 500;

/// How far a rewrap is, and in the end what it did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RewrapProgress {
    /// Data keys looked at.
    pub seen: u64,
    /// Rewrapped under the current key-encryption key by this run.
    pub rewrapped: u64,
    /// Found under it already.
    pub current: u64,
    /// Changed or destroyed by somebody else at the same moment.
    pub raced: u64,
    /// Data keys that do not unwrap, so were left as they are. Their records were unreadable before.
    pub unreadable: Vec<DataKeyId>,
}

/// What became of one data key.
enum Outcome {
    Rewrapped,
    Raced,
    Unreadable,
}

impl Keyring {
    /// Makes a new random key-encryption key and the current one, and rewraps every data key under
    /// it. Safe to repeat with the same id after a fault or a crash: it goes on where it ended.
    pub async fn rotate_kek(
        &self,
        new: KekId,
        progress: impl FnMut(&RewrapProgress) + Send,
    ) -> Result<RewrapProgress, KeyFault> {
        let source = &self.0.source;
        if !source.ids().await?.contains(&new) {
            source.add(new.clone()).await?;
        }
        if source.current().await? != new {
            source.set_current(new).await?;
        }
        self.rewrap_all(progress).await
    }

    /// Rewraps every data key that is not under the current key-encryption key, one compare-and-set
    /// at a time, while seals go on being made and opened. No record is touched. Safe to repeat and to
    /// run twice at once; `progress` is told after every page of 500 keys.
    ///
    /// Gateways must have the new key before it becomes current: those that read the same file do at
    /// once, others need their copy first.
    pub async fn rewrap_all(
        &self,
        mut progress: impl FnMut(&RewrapProgress) + Send,
    ) -> Result<RewrapProgress, KeyFault> {
        let current = self.0.source.current().await?;
        let (mut done, mut after) = (RewrapProgress::default(), None);
        loop {
            let page = self.0.keys.list(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(done) };
            after = Some(last.id);
            for stored in page {
                done.seen += 1;
                if stored.kek == current {
                    done.current += 1;
                    continue;
                }
                let id = stored.id;
                match self.rewrap_one(stored, &current).await? {
                    Outcome::Rewrapped => done.rewrapped += 1,
                    Outcome::Raced => done.raced += 1,
                    Outcome::Unreadable => done.unreadable.push(id),
                }
            }
            progress(&done);
        }
    }

    async fn rewrap_one(&self, stored: WrappedKey, current: &KekId) -> Result<Outcome, KeyFault> {
        let source = &*self.0.source;
        let bytes = match ring::unwrap(source, &stored).await {
            Ok(bytes) => bytes,
            Err(KekFault::DoesNotUnwrap(kek) | KekFault::Unknown(kek)) => {
                tracing::error!(
                    target: "wardgate::integrity",
                    event = "data_key_does_not_unwrap",
                    data_key = %stored.id,
                    tenant = %stored.tenant,
                    kek = %kek,
                    "a data key does not unwrap and keeps its key-encryption key"
                );
                return Ok(Outcome::Unreadable);
            }
            Err(other) => return Err(other.into()),
        };
        let binding = WrapBinding { id: stored.id, tenant: stored.tenant };
        let wrapped = source.wrap_key(current, binding, &bytes).await?;
        // The old form is about to be overwritten, so the new one is proved first.
        if !source.unwrap_key(current, binding, &wrapped).await?.same_as(&bytes) {
            return Err(KeyFault::Defect("a rewrapped key did not unwrap to itself"));
        }
        let from = stored.kek.clone();
        let to = WrappedKey { kek: current.clone(), wrapped, ..stored };
        let won = self.0.keys.rewrap(from, to).await?;
        Ok(if won { Outcome::Rewrapped } else { Outcome::Raced })
    }

    /// All key-encryption keys held, and the current one among them.
    pub async fn keks(&self) -> Result<(Vec<KekId>, KekId), KeyFault> {
        Ok((self.0.source.ids().await?, self.0.source.current().await?))
    }

    /// How many data keys are wrapped under each key-encryption key, those of the source that wrap
    /// none included.
    pub async fn kek_references(&self) -> Result<BTreeMap<KekId, u64>, KeyFault> {
        let ids = self.0.source.ids().await?;
        let mut counts: BTreeMap<KekId, u64> = ids.into_iter().map(|id| (id, 0)).collect();
        self.scan(|stored| *counts.entry(stored.kek.clone()).or_default() += 1).await?;
        Ok(counts)
    }

    /// Destroys a key-encryption key, if it is not the current one and a scan finds no data key
    /// wrapped under it.
    pub async fn drop_kek(&self, kek: KekId) -> Result<(), KeyFault> {
        // Before the scan: nothing new is wrapped under a key that is not current.
        if self.0.source.current().await? == kek {
            return Err(KekFault::File(super::KeyFileFault::Current(kek)).into());
        }
        let references = self.kek_references().await?.get(&kek).copied().unwrap_or(0);
        if references > 0 {
            return Err(KeyFault::KekInUse { kek, references });
        }
        Ok(self.0.source.destroy(kek).await?)
    }

    /// Destroys a data key in the key store and in this process's memory. Whatever was sealed under
    /// it no longer opens: here at once, on other gateways within the cache's time. Gives back
    /// whether it was there.
    pub async fn destroy_data_key(&self, id: DataKeyId) -> Result<bool, KeyFault> {
        if id == PLATFORM_KEY {
            return Err(KeyFault::PlatformKey);
        }
        let was_there = self.0.keys.destroy(id).await?;
        self.0.cache.forget(|held, _| held == id);
        Ok(was_there)
    }

    /// Destroys every data key of a tenant, for offboarding; gives back which. Safe to repeat.
    pub async fn destroy_tenant_keys(&self, tenant: TenantId) -> Result<Vec<DataKeyId>, KeyFault> {
        let mut ids = Vec::new();
        self.scan(|stored| {
            if stored.tenant == tenant {
                ids.push(stored.id);
            }
        })
        .await?;
        for id in &ids {
            self.destroy_data_key(*id).await?;
        }
        self.forget(tenant);
        Ok(ids)
    }

    async fn scan(&self, mut each: impl FnMut(&WrappedKey) + Send) -> Result<(), KeyFault> {
        let mut after = None;
        loop {
            let page = self.0.keys.list(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            page.iter().for_each(&mut each);
        }
    }
}
