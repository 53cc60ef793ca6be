use serde::{Deserialize, Serialize};
use serde_json::json;

use super::db::Tx;
use super::value::{Row, binds};
use super::{Origin, Registry, RegistryFault};
use crate::base::{Generation, TenantId};

/// A tenant's own limits; each replaces the gateway's setting of that name when it is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredLimits {
    /// Requests a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<u32>,
    /// Requests at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent_requests: Option<u32>,
    /// Connections in the tenant's lane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// Resources on a page when the client does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
    /// Resources on a page at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size_max: Option<u32>,
    /// Milliseconds a request may take; never longer than the gateway's setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_timeout_ms: Option<u32>,
    /// Milliseconds a statement may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement_timeout_ms: Option<u32>,
    /// Files of exports fetched at once, on each gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export_jobs: Option<u32>,
    /// Weight against other tenants where all share the gateway's connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
}

/// The most each limit may be, in the order of the fields. The least is 1.
const MOST: [u32; 9] = [
    1_000_000,
    100_000,
    1000,
    StoredLimits::PAGE_SIZE_MOST,
    StoredLimits::PAGE_SIZE_MOST,
    3_600_000,
    3_600_000,
    100,
    100,
];

impl StoredLimits {
    /// The most resources on a page anybody may ask for.
    pub const PAGE_SIZE_MOST: u32 = 10_000;

    fn fields(&mut self) -> [&mut Option<u32>; 9] {
        [
            &mut self.requests_per_second,
            &mut self.concurrent_requests,
            &mut self.max_connections,
            &mut self.page_size,
            &mut self.page_size_max,
            &mut self.request_timeout_ms,
            &mut self.statement_timeout_ms,
            &mut self.export_jobs,
            &mut self.weight,
        ]
    }

    /// Refuses limits that no gateway could keep.
    pub fn check(&self) -> Result<(), RegistryFault> {
        if self.clone().bounded() != *self {
            return Err(RegistryFault::Invalid(
                "a limit is at least 1; at most 1000000 requests a second, 100000 at a time, 1000 \
                 connections, 10000 resources on a page, an hour, 100 export files, a weight of 100",
            ));
        }
        let sizes = self.page_size.zip(self.page_size_max);
        if sizes.is_some_and(|(size, most)| size > most) {
            return Err(RegistryFault::Invalid("page_size is above page_size_max"));
        }
        Ok(())
    }

    /// The nearest limits within bounds: what is read may have been written by another hand.
    fn bounded(mut self) -> Self {
        for (field, most) in self.fields().into_iter().zip(MOST) {
            *field = field.map(|limit| limit.clamp(1, most));
        }
        self
    }

    /// What a row holds, brought within bounds.
    pub(super) fn read(row: &Row, at: usize) -> Result<Self, RegistryFault> {
        let stored: Self = row.json(at, "limits document")?;
        let bounded = stored.clone().bounded();
        if bounded != stored {
            tracing::warn!(target: "wardgate::registry", "stored limits are out of bounds; the nearest are used");
        }
        Ok(bounded)
    }
}

/// Writes a tenant's own limits.
pub(super) async fn write(
    tx: &mut Tx,
    tenant: TenantId,
    limits: &StoredLimits,
) -> Result<(), RegistryFault> {
    let sql = "INSERT INTO limits (tenant, document) VALUES ($1, $2) \
               ON CONFLICT (tenant) DO UPDATE SET document = excluded.document";
    tx.execute(sql, binds![tenant, json!(limits).to_string()]).await?;
    Ok(())
}

impl Registry {
    /// Replaces a tenant's own limits; empty ones leave the gateway's settings in force.
    pub async fn set_limits(
        &self,
        tenant: TenantId,
        expected: Option<Generation>,
        limits: &StoredLimits,
        origin: &Origin,
    ) -> Result<Generation, RegistryFault> {
        limits.check()?;
        let mut change = self.change(tenant, expected, origin).await?;
        write(&mut change.tx, tenant, limits).await?;
        change.finish("limits.set", json!(limits)).await
    }
}
