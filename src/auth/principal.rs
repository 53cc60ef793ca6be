use std::fmt;
use std::sync::Arc;

use super::{OperatorRank, Scopes};
use crate::base::{Generation, TenantId, Timestamp};

/// The rights' roles a token carries. Other roles of the issuer are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Roles {
    bits: u8,
}

const KNOWN: [&str; 3] = ["fhir-read", "fhir-write", "fhir-admin"];

impl Roles {
    /// Adds a role if it is one of ours, compared exactly.
    pub(super) fn add(&mut self, role: &str) {
        if let Some(at) = KNOWN.iter().position(|known| *known == role) {
            self.bits |= 1 << at;
        }
    }

    /// Whether the token carries that role.
    pub fn has(self, role: &str) -> bool {
        KNOWN.iter().position(|known| *known == role).is_some_and(|at| self.bits & (1 << at) != 0)
    }

    /// The names of the roles it carries.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        KNOWN.into_iter().filter(move |name| self.has(name))
    }
}

/// What a token said once its signature and claims were found good.
pub(super) struct Token {
    pub issuer: Arc<str>,
    pub subject: Box<str>,
    pub azp: Box<str>,
    pub sid: Option<Box<str>>,
    pub acr: Option<Box<str>>,
    pub claim_value: Box<str>,
    pub id: Box<str>,
    pub roles: Roles,
    /// How far an operator may go; none at the tenants' issuers.
    pub rank: Option<OperatorRank>,
    pub scopes: Scopes,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    pub not_before: Option<Timestamp>,
}

/// Who a verified token speaks for, in which tenant. Only [`Authority`](super::Authority) makes one.
#[derive(Clone)]
pub struct Principal {
    pub(super) token: Arc<Token>,
    pub(super) tenant: TenantId,
    pub(super) generation: Generation,
}

impl Principal {
    /// The issuer's id of the person or machine (`sub`), unique within the issuer.
    pub fn subject(&self) -> &str {
        &self.token.subject
    }

    /// The one tenant the token belongs to.
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The tenant's configuration generation the binding was read under.
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// The issuer's exact name.
    pub fn issuer(&self) -> &str {
        &self.token.issuer
    }

    /// The rights' roles.
    pub fn roles(&self) -> Roles {
        self.token.roles
    }

    /// What the token's scopes leave of them.
    pub fn scopes(&self) -> &Scopes {
        &self.token.scopes
    }

    /// The OAuth client the token was issued to.
    pub fn azp(&self) -> &str {
        &self.token.azp
    }

    /// The issuer's session, where the token has one.
    pub fn sid(&self) -> Option<&str> {
        self.token.sid.as_deref()
    }

    /// How strongly the person signed in (`acr`), where the token says so.
    pub fn acr(&self) -> Option<&str> {
        self.token.acr.as_deref()
    }

    /// Names the token in logs and audit events: 32 hex digits of SHA-256 over issuer and `jti`.
    pub fn token_id(&self) -> &str {
        &self.token.id
    }

    /// When the token was issued.
    pub fn issued_at(&self) -> Timestamp {
        self.token.issued_at
    }

    /// When the token ends.
    pub fn expires_at(&self) -> Timestamp {
        self.token.expires_at
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Principal(tenant {}, token {})", self.tenant, self.token.id)
    }
}

#[cfg(test)]
impl Principal {
    /// A principal for unit tests of the rooms above, as if a token had been verified.
    pub(crate) fn for_tests(tenant: TenantId, roles: &[&str], scope: &str) -> Self {
        let mut known = Roles::default();
        for role in roles {
            known.add(role);
        }
        Self {
            token: Arc::new(Token {
                issuer: Arc::from("https://issuer.example/realms/test"),
                subject: Box::from("subject-1"),
                azp: Box::from("app"),
                sid: None,
                acr: None,
                claim_value: Box::from("test"),
                id: Box::from("00000000000000000000000000000000"),
                roles: known,
                rank: None,
                scopes: Scopes::parse(scope),
                issued_at: Timestamp::from_secs(0),
                expires_at: Timestamp::from_secs(300),
                not_before: None,
            }),
            tenant,
            generation: Generation(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_match_exactly() {
        let mut roles = Roles::default();
        for other in ["FHIR-READ", "fhir-read-all", "fhir", "", "fhir-read ", "xfhir-read"] {
            roles.add(other);
        }
        assert_eq!(roles, Roles::default());
        roles.add("fhir-write");
        assert!(roles.has("fhir-write") && !roles.has("fhir-read") && !roles.has("fhir-admin"));
        assert_eq!(roles.names().collect::<Vec<_>>(), ["fhir-write"]);
    }

    #[test]
    fn debug_names_no_person() {
        let principal = Principal::for_tests(TenantId::random(), &["fhir-read"], "");
        assert!(!format!("{principal:?}").contains("subject"));
    }
}
