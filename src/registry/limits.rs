use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::db::Tx;
use super::value::{Row, binds};
use super::{Origin, Registry, RegistryFault};
use crate::base::{Generation, TenantId};

/// A tenant's own limits; what is left out is the gateway's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = LimitsView)]
#[serde(deny_unknown_fields)]
pub struct StoredLimits {
    /// Requests a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<u32>,
    /// Requests under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent_requests: Option<u32>,
    /// Connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// Entries of a page when `_count` is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
    /// The most `_count` gives.
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
    /// Weight against other tenants where all share the gateway's connections; 1 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
}

impl StoredLimits {
    /// How many limits there are.
    pub const COUNT: usize = 9;
    /// The most resources on a page anybody may ask for.
    pub const PAGE_SIZE_MOST: u32 = 10_000;

    /// All limits by the names of the document and the API, in the order they are shown in.
    pub fn named(&self) -> [(&'static str, Option<u32>); Self::COUNT] {
        self.clone().fields().map(|(name, _, value)| (name, *value))
    }

    /// Sets the limit of that name, or leaves it to the gateway. `false` when there is none.
    pub fn set(&mut self, name: &str, value: Option<u32>) -> bool {
        let field = self.fields().into_iter().find(|(known, ..)| *known == name);
        field.map(|(.., field)| *field = value).is_some()
    }

    /// Each limit's name and the most it may be; the least is 1.
    fn fields(&mut self) -> [(&'static str, u32, &mut Option<u32>); Self::COUNT] {
        [
            ("requests_per_second", 1_000_000, &mut self.requests_per_second),
            ("concurrent_requests", 100_000, &mut self.concurrent_requests),
            ("max_connections", 1000, &mut self.max_connections),
            ("page_size", Self::PAGE_SIZE_MOST, &mut self.page_size),
            ("page_size_max", Self::PAGE_SIZE_MOST, &mut self.page_size_max),
            ("request_timeout_ms", 3_600_000, &mut self.request_timeout_ms),
            ("statement_timeout_ms", 3_600_000, &mut self.statement_timeout_ms),
            ("export_jobs", 100, &mut self.export_jobs),
            ("weight", 100, &mut self.weight),
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
        for (_, most, field) in self.fields() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_goes_by_the_name_it_is_stored_under() {
        let mut limits = StoredLimits::default();
        for (at, (name, _)) in limits.named().into_iter().enumerate() {
            assert!(limits.set(name, u32::try_from(at + 1).ok()), "{name}");
        }
        let document = json!(limits);
        for (at, (name, value)) in limits.named().into_iter().enumerate() {
            assert_eq!((&document[name], value), (&json!(at + 1), u32::try_from(at + 1).ok()));
        }
        assert_eq!(document.as_object().unwrap().len(), limits.named().len());
        assert!(!limits.set("body_bytes", None));
    }
}
