//! Whether what a caller was let in by still holds while she is being answered.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout_at;

use super::super::issuer::Issuer;
use super::super::principal::Token;
use super::super::{AuthFault, Binding, Principal};
use super::Authority;
use crate::base::Deadline;

impl Authority {
    /// Whether a principal would be let in now as she was then: nobody has logged her out, and her tenant,
    /// its binding and its issuer take her token still. For answers that go on for longer than tokens last:
    /// the token may have ended, but no longer than `beyond` ago.
    pub async fn still_stands(
        &self,
        principal: &Principal,
        beyond: Duration,
        deadline: Deadline,
    ) -> Result<(), AuthFault> {
        let token = &principal.token;
        let kept = self.inner.issuers.load().get(&token.issuer).map(|kept| kept.issuer.clone());
        let issuer = kept.ok_or(AuthFault::InvalidToken("iss_unknown"))?;
        let binding = self.still_good(token, &issuer, beyond, deadline).await?;
        if binding.tenant != principal.tenant {
            return Err(AuthFault::NoAccess("bound_to_another_tenant"));
        }
        Ok(())
    }

    /// What can change between two uses of a verified token, and the binding it has now.
    pub(super) async fn still_good(
        &self,
        token: &Token,
        issuer: &Arc<Issuer>,
        beyond: Duration,
        deadline: Deadline,
    ) -> Result<Binding, AuthFault> {
        let now = self.inner.clock.now();
        issuer.check_still_good(token, beyond, now).map_err(AuthFault::InvalidToken)?;
        let away = |reason| AuthFault::Unavailable { reason, retry_after_secs: 1 };
        let asked = self.inner.directory.binding(&token.issuer, &token.claim_value);
        let binding = timeout_at(deadline.at(), asked)
            .await
            .map_err(|_| away("directory_slow"))?
            .map_err(|_| away("directory_unavailable"))?
            .ok_or(AuthFault::NoAccess("no_binding"))?;
        if !binding.azp.iter().any(|azp| **azp == *token.azp) {
            return Err(AuthFault::NoAccess("azp_not_bound"));
        }
        if !binding.active {
            return Err(AuthFault::NoAccess("tenant_not_active"));
        }
        if binding.not_before.is_some_and(|not_before| token.issued_at < not_before) {
            return Err(AuthFault::InvalidToken("issued_before_tenants_not_before"));
        }
        Ok(binding)
    }
}
