use std::collections::HashMap;
use std::future::Future;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use super::db::{Access, Db, Target, Tx};
use super::migrate::{self, MigrationStatus};
use super::value::{Row, binds};
use super::{RegistryFault, url};
use crate::base::{Clock, SecretText, TenantId};
use crate::keyring::{
    DataKeyId, KekId, WrappedKey, WrappedKeys, WrappedKeysFuture, WrappedKeysUnavailable,
};

/// The store of wrapped data keys, on a database of its own, apart from the registry and its backups.
/// Cheap to clone.
///
/// A SQLite file is readable by its owner only, every commit is flushed, and what is deleted is
/// overwritten in the file and in its log before [`destroy`](WrappedKeys::destroy) returns. On
/// PostgreSQL a deleted row's bytes stay in the table's pages until `VACUUM`, and in the server's own
/// log and backups as long as those are kept.
#[derive(Clone)]
pub struct KeyStore {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    clock: Arc<dyn Clock>,
}

impl KeyStore {
    /// Reads the setting, of the same form as the registry's. Connects when first used; a SQLite file
    /// is made by [`migrate`](Self::migrate) only, and one that others may read is refused.
    pub fn open(setting: &SecretText, clock: Arc<dyn Clock>) -> Result<Self, RegistryFault> {
        let target = Self::target(setting)?;
        Ok(Self { inner: Arc::new(Inner { db: Db::new(target), clock }) })
    }

    /// Whether the setting can name a key store. Connects to nothing.
    pub fn check_setting(setting: &SecretText) -> Result<(), RegistryFault> {
        Self::target(setting).map(drop)
    }

    fn target(setting: &SecretText) -> Result<Target, RegistryFault> {
        let target = url::Setting::parse(setting)?.target(true)?;
        if let Target::Sqlite(options) = &target
            && let Ok(meta) = std::fs::metadata(options.get_filename())
            && meta.permissions().mode() & 0o077 != 0
        {
            return Err(RegistryFault::Setting(
                "the key store's file must be readable by its owner only (chmod 600)",
            ));
        }
        Ok(target)
    }

    /// Applies pending migrations: all or none, safe to run from several processes at once.
    pub async fn migrate(&self) -> Result<MigrationStatus, RegistryFault> {
        migrate::KEYS.migrate(&self.inner.db.target, self.inner.clock.as_ref()).await
    }

    /// How the database's schema compares with this program's. Creates nothing.
    pub async fn migration_status(&self) -> Result<MigrationStatus, RegistryFault> {
        migrate::KEYS.status(&self.inner.db.target).await
    }

    /// Refuses a schema that is not exactly this program's, with a hint.
    pub async fn require_current(&self) -> Result<(), RegistryFault> {
        self.migration_status().await?.require_current()
    }

    /// Closes idle connections and refuses further work.
    pub async fn close(&self) {
        self.inner.db.close().await;
    }

    async fn begin(&self, access: Access) -> Result<Tx, RegistryFault> {
        self.inner.db.begin(access).await
    }

    async fn query(
        &self,
        sql: &'static str,
        key: &str,
        limit: u32,
    ) -> Result<Vec<WrappedKey>, RegistryFault> {
        let mut tx = self.begin(Access::Read).await?;
        let rows = tx.fetch(sql, binds![key, limit]).await?;
        tx.commit().await?;
        rows.iter().map(read).collect()
    }

    /// Under which key-encryption keys those data keys are wrapped; one that is not there is left out.
    pub async fn keks_of(
        &self,
        keys: impl Iterator<Item = DataKeyId> + Send,
    ) -> Result<HashMap<DataKeyId, KekId>, RegistryFault> {
        // Both engines understand this, and ids are all of one length, so that none is part of another.
        let wanted = keys.map(|key| key.to_string()).collect::<Vec<_>>().join(",");
        let sql = "SELECT id, kek FROM data_keys WHERE $1 LIKE '%' || id || '%'";
        let mut tx = self.begin(Access::Read).await?;
        let rows = tx.fetch(sql, binds![wanted.as_str()]).await?;
        tx.commit().await?;
        rows.iter().map(|row| Ok((row.data_key(0)?, KekId(row.text(1)?)))).collect()
    }

    async fn insert_key(&self, key: WrappedKey) -> Result<(), RegistryFault> {
        let mut tx = self.begin(Access::Write).await?;
        tx.execute(
            "INSERT INTO data_keys (id, tenant, kek, wrapped, created_at) \
             VALUES ($1, $2, $3, $4, $5)",
            binds![key.id, key.tenant, &key.kek.0, key.wrapped.as_slice(), key.created_at],
        )
        .await?;
        tx.commit().await
    }

    async fn rewrap_key(&self, from: KekId, to: WrappedKey) -> Result<bool, RegistryFault> {
        let mut tx = self.begin(Access::Write).await?;
        let sql = "UPDATE data_keys SET kek = $3, wrapped = $4 WHERE id = $1 AND kek = $2";
        let values = binds![to.id, &from.0, &to.kek.0, to.wrapped.as_slice()];
        let changed = tx.execute(sql, values).await?;
        tx.commit().await?;
        self.fold_log().await?;
        Ok(changed == 1)
    }

    async fn destroy_key(&self, id: DataKeyId) -> Result<bool, RegistryFault> {
        let mut tx = self.begin(Access::Write).await?;
        let changed = tx.execute("DELETE FROM data_keys WHERE id = $1", binds![id]).await?;
        tx.commit().await?;
        // Also when it was gone already: an earlier call may have ended between the two.
        self.fold_log().await?;
        Ok(changed == 1)
    }

    /// Folds SQLite's write-ahead log into the file and empties it, so that no old page with a key
    /// stays in it.
    async fn fold_log(&self) -> Result<(), RegistryFault> {
        if matches!(self.inner.db.target, Target::Postgres(_)) {
            return Ok(());
        }
        self.inner.db.fold_log().await
    }
}

impl std::fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyStore")
    }
}

fn read(row: &Row) -> Result<WrappedKey, RegistryFault> {
    Ok(WrappedKey {
        id: row.data_key(0)?,
        tenant: row.tenant(1)?,
        kek: KekId(row.text(2)?),
        wrapped: row.bytes(3)?,
        created_at: row.time(4)?,
    })
}

fn future<'a, T>(
    work: impl Future<Output = Result<T, RegistryFault>> + Send + 'a,
) -> WrappedKeysFuture<'a, T> {
    Box::pin(async move { work.await.map_err(|fault| WrappedKeysUnavailable(fault.to_string())) })
}

impl WrappedKeys for KeyStore {
    fn get(&self, id: DataKeyId) -> WrappedKeysFuture<'_, Option<WrappedKey>> {
        future(async move {
            let sql = "SELECT id, tenant, kek, wrapped, created_at FROM data_keys \
                       WHERE id = $1 LIMIT $2";
            Ok(self.query(sql, &id.to_string(), 1).await?.pop())
        })
    }

    fn newest(&self, tenant: TenantId) -> WrappedKeysFuture<'_, Option<WrappedKey>> {
        future(async move {
            let sql = "SELECT id, tenant, kek, wrapped, created_at FROM data_keys \
                       WHERE tenant = $1 ORDER BY created_at DESC, id DESC LIMIT $2";
            Ok(self.query(sql, &tenant.to_string(), 1).await?.pop())
        })
    }

    fn insert(&self, key: WrappedKey) -> WrappedKeysFuture<'_, ()> {
        future(self.insert_key(key))
    }

    fn rewrap(&self, from: KekId, to: WrappedKey) -> WrappedKeysFuture<'_, bool> {
        future(self.rewrap_key(from, to))
    }

    fn list(&self, after: Option<DataKeyId>, limit: u32) -> WrappedKeysFuture<'_, Vec<WrappedKey>> {
        future(async move {
            let sql = "SELECT id, tenant, kek, wrapped, created_at FROM data_keys \
                       WHERE id > $1 ORDER BY id LIMIT $2";
            let after = after.map(|id| id.to_string()).unwrap_or_default();
            self.query(sql, &after, limit).await
        })
    }

    fn destroy(&self, id: DataKeyId) -> WrappedKeysFuture<'_, bool> {
        future(self.destroy_key(id))
    }
}
