use std::sync::Arc;

use http::HeaderMap;

use super::config::check_issuer;
use super::{
    AuthConfig, AuthFault, Directory, IssuerReadiness, LogoutFault, OperatorPermit, Permit,
    Principal, Right, Shape,
};
use crate::base::{Clock, Deadline, TenantId};

/// All issuers; judges tokens and gives permits. A cheap handle: clones share everything.
#[derive(Clone)]
pub struct Authority {
    inner: Arc<Inner>,
}

struct Inner {
    directory: Arc<dyn Directory>,
    clock: Arc<dyn Clock>,
}

impl Authority {
    /// Discovers every issuer.
    pub async fn start(
        config: AuthConfig,
        clock: Arc<dyn Clock>,
        directory: Arc<dyn Directory>,
    ) -> Result<Self, AuthFault> {
        for issuer in &config.issuers {
            check_issuer(issuer)?;
        }
        Ok(Self { inner: Arc::new(Inner { directory, clock }) })
    }

    /// Who the request's bearer token speaks for.
    pub async fn authenticate(
        &self,
        headers: &HeaderMap,
        query_has_token: bool,
        deadline: Deadline,
    ) -> Result<Principal, AuthFault> {
        let _ = (headers, query_has_token, deadline, &self.inner.directory, &self.inner.clock);
        Err(AuthFault::Unavailable { reason: "not_started", retry_after_secs: 1 })
    }

    /// The right `R` for that principal.
    pub fn permit<R: Right>(
        &self,
        principal: &Principal,
        shape: Shape<'_>,
    ) -> Result<Permit<R>, AuthFault> {
        Permit::grant(principal, shape)
    }

    /// The operator the request's bearer token speaks for.
    pub async fn operator(
        &self,
        headers: &HeaderMap,
        deadline: Deadline,
    ) -> Result<OperatorPermit, AuthFault> {
        let _ = (headers, deadline);
        Err(AuthFault::Unavailable { reason: "not_started", retry_after_secs: 1 })
    }

    /// A back-channel logout request's body.
    pub async fn back_channel_logout(
        &self,
        form_body: &[u8],
        deadline: Deadline,
    ) -> Result<(), LogoutFault> {
        let _ = (form_body, deadline);
        Err(LogoutFault::Refused("not_started"))
    }

    /// Forgets the tenant's verified tokens.
    pub fn flush_tenant(&self, tenant: TenantId) {
        let _ = tenant;
    }

    /// The state of every issuer.
    pub fn readiness(&self) -> Vec<IssuerReadiness> {
        Vec::new()
    }
}
