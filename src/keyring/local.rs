use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use super::KekId;
use super::keyfile::{self, KekSet, KeyFileFault};
use super::material::KeyBytes;
use super::source::{self, KekFault, KekFuture, KeySource, WrapBinding};
use crate::base::SecretText;

/// Keys in a file of the form `docs/SEALED-RECORD.md` describes. The file is read again whenever a
/// key is asked for that was not in it before, so keys put there by hand or by another process count
/// without a restart.
pub struct FileKeys {
    path: PathBuf,
    seen: RwLock<Arc<KekSet>>,
}

impl FileKeys {
    /// Reads the file; refuses one that others could read or replace.
    pub fn open(path: &Path) -> Result<Self, KekFault> {
        Ok(Self { path: path.to_owned(), seen: RwLock::new(Arc::new(keyfile::read(path)?)) })
    }

    /// Writes a new file with one random key, mode 0600. Refuses to touch an existing file.
    pub fn create(path: &Path, first: KekId) -> Result<Self, KekFault> {
        let set = KekSet::of(first, KeyBytes::random()?)?;
        keyfile::create(path, &set)?;
        Self::open(path)
    }

    fn seen(&self) -> Arc<KekSet> {
        Arc::clone(&self.seen.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn keep(&self, set: KekSet) -> Arc<KekSet> {
        let set = Arc::new(set);
        *self.seen.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&set);
        set
    }

    async fn read_again(&self) -> Result<Arc<KekSet>, KekFault> {
        let path = self.path.clone();
        Ok(self.keep(off_thread(move || keyfile::read(&path)).await?))
    }

    async fn change(
        &self,
        change: impl FnOnce(&mut KekSet) -> Result<(), KeyFileFault> + Send + 'static,
    ) -> Result<(), KekFault> {
        let path = self.path.clone();
        self.keep(off_thread(move || keyfile::change(&path, change)).await?);
        Ok(())
    }

    async fn with(&self, kek: &KekId) -> Result<Arc<KekSet>, KekFault> {
        let seen = self.seen();
        let set = if seen.get(kek).is_some() { seen } else { self.read_again().await? };
        Ok(set)
    }
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KeyFileFault> + Send + 'static,
) -> Result<T, KekFault> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(KekFault::Unavailable("reading the key file was broken off".to_owned())),
    }
}

fn held<'a>(set: &'a KekSet, kek: &KekId) -> Result<&'a KeyBytes, KekFault> {
    set.get(kek).ok_or_else(|| KekFault::Unknown(kek.clone()))
}

impl KeySource for FileKeys {
    fn kind(&self) -> &'static str {
        "key file"
    }

    fn current(&self) -> KekFuture<'_, KekId> {
        Box::pin(async { Ok(self.read_again().await?.current().clone()) })
    }

    fn ids(&self) -> KekFuture<'_, Vec<KekId>> {
        Box::pin(async { Ok(self.read_again().await?.ids()) })
    }

    fn wrap_key<'a>(
        &'a self,
        kek: &'a KekId,
        binding: WrapBinding,
        key: &'a KeyBytes,
    ) -> KekFuture<'a, Vec<u8>> {
        Box::pin(async move {
            source::wrap_locally(kek, held(&*self.with(kek).await?, kek)?, binding, key)
        })
    }

    fn unwrap_key<'a>(
        &'a self,
        kek: &'a KekId,
        binding: WrapBinding,
        wrapped: &'a [u8],
    ) -> KekFuture<'a, KeyBytes> {
        Box::pin(async move {
            source::unwrap_locally(kek, held(&*self.with(kek).await?, kek)?, binding, wrapped)
        })
    }

    fn add(&self, kek: KekId) -> KekFuture<'_, ()> {
        Box::pin(async move {
            let key = KeyBytes::random()?;
            self.change(move |set| set.add(kek, key)).await
        })
    }

    fn set_current(&self, kek: KekId) -> KekFuture<'_, ()> {
        Box::pin(self.change(move |set| set.set_current(kek)))
    }

    fn destroy(&self, kek: KekId) -> KekFuture<'_, ()> {
        Box::pin(self.change(move |set| set.remove(kek)))
    }
}

/// Keys held in memory only: given by the environment, or random for as long as the process lives.
pub struct HeldKeys {
    kind: &'static str,
    set: KekSet,
}

impl HeldKeys {
    /// Keys from an environment value: the text of a key file, or one key alone in base64, which then
    /// has the id `environment`. Warns: the environment of a process is shown to its children, in
    /// crash reports and to whoever may read `/proc`.
    pub fn from_environment(value: &SecretText) -> Result<Self, KekFault> {
        tracing::warn!(
            target: "wardgate::keys",
            "the key-encryption keys come from the environment; a key file with mode 0600 is safer"
        );
        let text = value.expose();
        let set = if text.contains(' ') {
            KekSet::parse(text)?
        } else {
            let key = zeroize::Zeroizing::new(text.trim_end_matches('\n').to_owned());
            KekSet::of(KekId("environment".to_owned()), keyfile::parse_key(&key, 1)?)?
        };
        Ok(Self { kind: "environment", set })
    }

    /// One random key that is gone with the process; for tests.
    pub fn ephemeral() -> Result<Self, KekFault> {
        let set = KekSet::of(KekId("ephemeral".to_owned()), KeyBytes::random()?)?;
        Ok(Self { kind: "memory", set })
    }
}

const FIXED: KekFault = KekFault::ReadOnly("change the value where it is set and restart");

impl KeySource for HeldKeys {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn current(&self) -> KekFuture<'_, KekId> {
        Box::pin(async { Ok(self.set.current().clone()) })
    }

    fn ids(&self) -> KekFuture<'_, Vec<KekId>> {
        Box::pin(async { Ok(self.set.ids()) })
    }

    fn wrap_key<'a>(
        &'a self,
        kek: &'a KekId,
        binding: WrapBinding,
        key: &'a KeyBytes,
    ) -> KekFuture<'a, Vec<u8>> {
        Box::pin(async move { source::wrap_locally(kek, held(&self.set, kek)?, binding, key) })
    }

    fn unwrap_key<'a>(
        &'a self,
        kek: &'a KekId,
        binding: WrapBinding,
        wrapped: &'a [u8],
    ) -> KekFuture<'a, KeyBytes> {
        Box::pin(
            async move { source::unwrap_locally(kek, held(&self.set, kek)?, binding, wrapped) },
        )
    }

    fn add(&self, _: KekId) -> KekFuture<'_, ()> {
        Box::pin(async { Err(FIXED) })
    }

    fn set_current(&self, _: KekId) -> KekFuture<'_, ()> {
        Box::pin(async { Err(FIXED) })
    }

    fn destroy(&self, _: KekId) -> KekFuture<'_, ()> {
        Box::pin(async { Err(FIXED) })
    }
}
