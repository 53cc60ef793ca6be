use std::collections::HashMap;
use std::time::Duration;

use super::value::{Row, binds};
use super::{Registry, RegistryFault};
use crate::base::{TenantId, Timestamp};

/// What was found when a tenant's live schema was compared with its mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaCheck {
    /// The mapping version it was compared with.
    pub version: u64,
    /// When.
    pub checked_at: Timestamp,
    /// What is not as it was, JSON: a list.
    pub found: String,
}

impl Registry {
    /// The mapping version in force.
    pub async fn active_mapping(&self, tenant: TenantId) -> Result<Option<u64>, RegistryFault> {
        let mut tx = self.read().await?;
        let sql = "SELECT version FROM publications WHERE tenant = $1 ORDER BY seq DESC LIMIT 1";
        let row = tx.fetch_one(sql, binds![tenant]).await?;
        tx.commit().await?;
        row.map(|row| row.counter(0)).transpose()
    }

    /// Active tenants with a connection and a mapping in force at whom nobody began to look since `since`; at
    /// most `limit` (capped at 1,000), those that waited longest first.
    pub async fn schemas_due(
        &self,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<TenantId>, RegistryFault> {
        let mut tx = self.read().await?;
        let sql = "SELECT t.id FROM tenants t \
                   LEFT JOIN schema_checks s ON s.tenant = t.id WHERE t.state = 'active' \
                   AND (s.claimed_at IS NULL OR s.claimed_at <= $1) \
                   AND EXISTS (SELECT 1 FROM connections c WHERE c.tenant = t.id) \
                   AND EXISTS (SELECT 1 FROM publications p WHERE p.tenant = t.id) \
                   ORDER BY coalesce(s.claimed_at, 0), t.id LIMIT $2";
        let rows = tx.fetch(sql, binds![since, limit.min(1000)]).await?;
        tx.commit().await?;
        rows.iter().map(|row| row.tenant(0)).collect()
    }

    /// What was found last.
    pub async fn schema_check(
        &self,
        tenant: TenantId,
    ) -> Result<Option<SchemaCheck>, RegistryFault> {
        let mut tx = self.read().await?;
        let sql = "SELECT version, checked_at, found FROM schema_checks \
                   WHERE tenant = $1 AND version > 0";
        let row = tx.fetch_one(sql, binds![tenant]).await?;
        tx.commit().await?;
        row.as_ref().map(read).transpose()
    }

    /// What was found last of active tenants whose schema is not as it was, of all or that one.
    pub async fn changed_schemas(
        &self,
        only: Option<TenantId>,
    ) -> Result<HashMap<TenantId, SchemaCheck>, RegistryFault> {
        let mut tx = self.read().await?;
        let sql = "SELECT s.version, s.checked_at, s.found, s.tenant FROM schema_checks s \
                   JOIN tenants t ON t.id = s.tenant WHERE s.version > 0 AND s.found <> '[]' \
                   AND t.state = 'active' AND ($1 = '' OR s.tenant = $1)";
        let only = only.map(|id| id.to_string()).unwrap_or_default();
        let rows = tx.fetch(sql, binds![only]).await?;
        tx.commit().await?;
        rows.iter().map(|row| Ok((row.tenant(3)?, read(row)?))).collect()
    }

    /// Takes it upon this gateway to look at a tenant, unless somebody did less than `spare` ago. Of several
    /// gateways exactly one is told so.
    pub async fn claim_schema_check(
        &self,
        tenant: TenantId,
        now: Timestamp,
        spare: Duration,
    ) -> Result<bool, RegistryFault> {
        let mut tx = self.write().await?;
        let begun = "INSERT INTO schema_checks (tenant, claimed_at, version, checked_at, found) \
                     VALUES ($1, $2, 0, $2, '[]') ON CONFLICT (tenant) DO NOTHING";
        let mut claimed = tx.execute(begun, binds![tenant, now]).await?;
        if claimed == 0 {
            let spare = i64::try_from(spare.as_millis()).unwrap_or(i64::MAX);
            let oldest = Timestamp::from_millis(now.as_millis().saturating_sub(spare));
            let sql =
                "UPDATE schema_checks SET claimed_at = $2 WHERE tenant = $1 AND claimed_at <= $3";
            claimed = tx.execute(sql, binds![tenant, now, oldest]).await?;
        }
        tx.commit().await?;
        Ok(claimed == 1)
    }

    /// Keeps what was found.
    pub async fn put_schema_check(
        &self,
        tenant: TenantId,
        check: &SchemaCheck,
    ) -> Result<(), RegistryFault> {
        let mut tx = self.write().await?;
        let sql = "INSERT INTO schema_checks (tenant, claimed_at, version, checked_at, found) \
                   VALUES ($1, $3, $2, $3, $4) ON CONFLICT (tenant) DO UPDATE \
                   SET version = excluded.version, checked_at = excluded.checked_at, found = excluded.found";
        tx.execute(sql, binds![tenant, check.version, check.checked_at, check.found.as_str()])
            .await?;
        tx.commit().await
    }
}

fn read(row: &Row) -> Result<SchemaCheck, RegistryFault> {
    Ok(SchemaCheck { version: row.counter(0)?, checked_at: row.time(1)?, found: row.text(2)? })
}
