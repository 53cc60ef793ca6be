use std::sync::Arc;

use super::directory::Binding;
use super::scope::Scopes;
use crate::base::{Generation, TenantId, Timestamp};

/// Who a verified token speaks for, in which tenant. Made by [`Authority`](super::Authority) only.
#[derive(Debug, Clone)]
pub struct Principal {
    pub(super) identity: Arc<Identity>,
    pub(super) tenant: TenantId,
    pub(super) generation: Generation,
}

/// What a token says, verified, before any tenant is looked at.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) azp: String,
    pub(super) session: Option<String>,
    pub(super) token_id: String,
    pub(super) claim_value: String,
    pub(super) roles: Vec<String>,
    pub(super) scopes: Scopes,
    pub(super) issued_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

impl Principal {
    pub(super) fn new(identity: Arc<Identity>, binding: &Binding) -> Self {
        Self { identity, tenant: binding.tenant, generation: binding.generation }
    }

    /// The tenant.
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The tenant's generation when the binding was looked up.
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// The issuer.
    pub fn issuer(&self) -> &str {
        &self.identity.issuer
    }

    /// `sub`.
    pub fn subject(&self) -> &str {
        &self.identity.subject
    }

    /// The OAuth client the token was issued to.
    pub fn azp(&self) -> &str {
        &self.identity.azp
    }

    /// `sid`, where the token has one.
    pub fn session(&self) -> Option<&str> {
        self.identity.session.as_deref()
    }

    /// `jti`.
    pub fn token_id(&self) -> &str {
        &self.identity.token_id
    }

    /// The roles of the configured claim.
    pub fn roles(&self) -> &[String] {
        &self.identity.roles
    }

    /// What its scopes leave.
    pub fn scopes(&self) -> &Scopes {
        &self.identity.scopes
    }
}
