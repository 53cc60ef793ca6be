use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use super::principal::Token;
use crate::base::TenantId;

/// Where an operator stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperatorSource {
    /// A token of the operators' issuer, over the control plane.
    Token,
    /// The command line on the gateway's own machine.
    Console,
}

/// How far an operator may go. Each may do all that the one before may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OperatorRank {
    /// Looks and changes nothing.
    Viewer,
    /// Changes tenants and keys.
    Operator,
    /// Is the second person where two are asked for.
    Approver,
}

impl OperatorRank {
    /// In one word, for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
        }
    }
}

/// The issuer's roles that make an operator, matched exactly.
#[derive(Debug, Clone)]
pub struct OperatorRoles {
    /// Makes a [`OperatorRank::Viewer`].
    pub viewer: String,
    /// Makes an [`OperatorRank::Operator`].
    pub operator: String,
    /// Makes an [`OperatorRank::Approver`].
    pub approver: String,
}

impl Default for OperatorRoles {
    fn default() -> Self {
        Self {
            viewer: "wardgate-viewer".to_owned(),
            operator: "wardgate-operator".to_owned(),
            approver: "wardgate-approver".to_owned(),
        }
    }
}

impl OperatorRoles {
    pub(super) fn rank(&self, role: &str) -> Option<OperatorRank> {
        [
            (&self.viewer, OperatorRank::Viewer),
            (&self.operator, OperatorRank::Operator),
            (&self.approver, OperatorRank::Approver),
        ]
        .into_iter()
        .filter(|(named, _)| *named == role)
        .map(|(_, rank)| rank)
        .max()
    }

    pub(super) fn named(&self, rank: OperatorRank) -> &str {
        match rank {
            OperatorRank::Viewer => &self.viewer,
            OperatorRank::Operator => &self.operator,
            OperatorRank::Approver => &self.approver,
        }
    }
}

/// Proof that someone operates the platform. It opens no patient's data in any tenant.
///
/// ```
/// use wardgate::auth::OperatorPermit;
/// fn suspend(_: &OperatorPermit) {}
/// fn operator(permit: &OperatorPermit) {
///     suspend(permit);
/// }
/// ```
///
/// ```compile_fail,E0308
/// use wardgate::auth::{FhirRead, OperatorPermit, Permit};
/// fn read(_: &Permit<FhirRead>) {}
/// fn operator(permit: &OperatorPermit) {
///     read(permit);
/// }
/// ```
///
/// ```compile_fail,E0308
/// use wardgate::auth::{FhirAdmin, OperatorPermit, Permit};
/// fn suspend(_: &OperatorPermit) {}
/// fn hospital_admin(permit: &Permit<FhirAdmin>) {
///     suspend(permit);
/// }
/// ```
///
/// ```compile_fail,E0451
/// use wardgate::auth::{OperatorPermit, OperatorSource};
/// fn forged() -> OperatorPermit {
///     OperatorPermit {
///         subject: Box::from("x"),
///         issuer: None,
///         sid: None,
///         token_id: None,
///         source: OperatorSource::Token,
///         rank: wardgate::auth::OperatorRank::Approver,
///     }
/// }
/// ```
#[derive(Clone)]
pub struct OperatorPermit {
    subject: Box<str>,
    issuer: Option<Arc<str>>,
    sid: Option<Box<str>>,
    token_id: Option<Box<str>>,
    source: OperatorSource,
    rank: OperatorRank,
}

impl OperatorPermit {
    pub(super) fn from_token(token: &Token, rank: OperatorRank) -> Self {
        Self {
            subject: token.subject.clone(),
            issuer: Some(token.issuer.clone()),
            sid: token.sid.clone(),
            token_id: Some(token.id.clone()),
            source: OperatorSource::Token,
            rank,
        }
    }

    /// The person at the command line on the gateway's own machine, who already holds its files and
    /// keys. `os_user` is the operating system's name of the user.
    pub fn console(os_user: &str) -> Self {
        Self {
            subject: Box::from(os_user),
            issuer: None,
            sid: None,
            token_id: None,
            source: OperatorSource::Console,
            rank: OperatorRank::Approver,
        }
    }

    /// The issuer's id of the operator, or the user name at the console.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The operators' issuer; none at the console.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// The issuer's session, where there is one.
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    /// Names the token in logs and audit events; none at the console.
    pub fn token_id(&self) -> Option<&str> {
        self.token_id.as_deref()
    }

    /// How far the operator may go.
    pub const fn rank(&self) -> OperatorRank {
        self.rank
    }

    /// Where the operator stands.
    pub const fn source(&self) -> OperatorSource {
        self.source
    }
}

impl fmt::Debug for OperatorPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OperatorPermit({:?})", self.source)
    }
}

/// An order by which the gateway acts on one tenant without a clinician's token: migrations, drift
/// checks, probes, moves. It gives maintenance access, which can never render a resource.
///
/// ```
/// use wardgate::auth::{OperatorPermit, WorkOrder};
/// let operator = OperatorPermit::console("root");
/// let tenant = wardgate::base::TenantId::random();
/// assert!(WorkOrder::issue(&operator, tenant, "nightly drift check").is_some());
/// assert!(WorkOrder::issue(&operator, tenant, " ").is_none());
/// ```
///
/// ```compile_fail,E0061
/// use wardgate::auth::WorkOrder;
/// let tenant = wardgate::base::TenantId::random();
/// WorkOrder::issue(tenant, "nobody ordered this");
/// ```
#[derive(Debug, Clone)]
pub struct WorkOrder {
    id: Uuid,
    tenant: TenantId,
    purpose: Box<str>,
    operator: OperatorPermit,
}

impl WorkOrder {
    /// An operator's order for one tenant. `None` unless the purpose is 1 to 500 characters that are
    /// not only white space and hold no control characters.
    pub fn issue(operator: &OperatorPermit, tenant: TenantId, purpose: &str) -> Option<Self> {
        let purpose = purpose.trim();
        if purpose.is_empty()
            || purpose.chars().count() > 500
            || purpose.chars().any(char::is_control)
        {
            return None;
        }
        Some(Self {
            id: Uuid::new_v4(),
            tenant,
            purpose: Box::from(purpose),
            operator: operator.clone(),
        })
    }

    /// Names the order in the registry and in audit events.
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// The only tenant it is good for.
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Why, in the operator's words.
    pub fn purpose(&self) -> &str {
        &self.purpose
    }

    /// Who ordered it.
    pub const fn operator(&self) -> &OperatorPermit {
        &self.operator
    }
}
