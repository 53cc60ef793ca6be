use serde::{Deserialize, Serialize};
use serde_json::json;

use super::value::binds;
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
    /// Milliseconds a request may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_timeout_ms: Option<u32>,
    /// Milliseconds a statement may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement_timeout_ms: Option<u32>,
    /// Bytes of a request body at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<u32>,
}

impl StoredLimits {
    fn check(&self) -> Result<(), RegistryFault> {
        let given = [
            self.requests_per_second,
            self.concurrent_requests,
            self.max_connections,
            self.page_size,
            self.page_size_max,
            self.request_timeout_ms,
            self.statement_timeout_ms,
            self.body_bytes,
        ];
        if given.contains(&Some(0)) {
            return Err(RegistryFault::Invalid("a limit is at least 1"));
        }
        Ok(())
    }
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
        change
            .tx
            .execute(
                "INSERT INTO limits (tenant, document) VALUES ($1, $2) \
                 ON CONFLICT (tenant) DO UPDATE SET document = excluded.document",
                binds![tenant, json!(limits).to_string()],
            )
            .await?;
        change.finish("limits.set", json!(limits)).await
    }
}
