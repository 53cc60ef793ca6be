use futures_util::future::BoxFuture;

use crate::base::{Generation, TenantId, Timestamp};

/// Which tenant an identity belongs to. Implemented by `tenant` over the registry.
pub trait Directory: Send + Sync + 'static {
    /// The binding of (issuer, claim value); `None` when there is none.
    fn binding<'a>(
        &'a self,
        issuer: &'a str,
        claim_value: &'a str,
    ) -> BoxFuture<'a, Result<Option<Binding>, DirectoryUnavailable>>;
}

/// The directory cannot answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the directory of tenants cannot answer")]
pub struct DirectoryUnavailable;

/// What an identity is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The tenant.
    pub tenant: TenantId,
    /// OAuth clients (`azp`) whose tokens count.
    pub azp: Vec<String>,
    /// Whether the tenant is served; if not the answer is that for an unknown one.
    pub active: bool,
    /// Tokens issued before are refused.
    pub not_before: Option<Timestamp>,
    /// The tenant's configuration generation.
    pub generation: Generation,
}
