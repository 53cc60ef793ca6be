use std::borrow::Cow;

use crate::audit::AuditFault;
use crate::base::{Fault, FaultKind};
use crate::pool::PoolFault;

/// What everybody is told who may not: the words `auth` uses for a token without the right.
pub const FORBIDDEN_MESSAGE: &str = "this access token does not allow it";

/// Why a tenant's resources could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum TenantFault {
    /// The tenant is not served: unknown, draft, suspended, leaving. One answer for all of them.
    #[error("the tenant is not served (state {0})")]
    NotServed(&'static str),
    /// It has no connection or no mapping yet.
    #[error("the tenant has no {0} yet")]
    Incomplete(&'static str),
    /// Its mapping does not compile.
    #[error("the tenant's mapping does not compile")]
    BrokenMapping,
    /// What is stored of it does not read.
    #[error("the tenant's stored configuration is damaged")]
    Damaged,
    /// The registry cannot answer, and nothing young enough is held.
    #[error("the tenant's configuration cannot be loaded")]
    Unavailable,
    /// Its lane, breaker or limits said no.
    #[error(transparent)]
    Pool(#[from] PoolFault),
    /// The access could not be written down.
    #[error(transparent)]
    Audit(#[from] AuditFault),
}

impl Fault for TenantFault {
    fn kind(&self) -> FaultKind {
        match self {
            Self::NotServed(_) => FaultKind::Forbidden,
            Self::Incomplete(_) | Self::Unavailable => FaultKind::Unavailable,
            Self::BrokenMapping => FaultKind::Mapping,
            Self::Damaged => FaultKind::Integrity,
            Self::Pool(fault) => fault.kind(),
            Self::Audit(fault) => fault.kind(),
        }
    }

    fn client_message(&self) -> Cow<'static, str> {
        match self {
            // The same words as for a token without a right: whether a tenant exists is nobody's business.
            Self::NotServed(_) => FORBIDDEN_MESSAGE.into(),
            Self::Incomplete(_) => "This organisation is not set up completely yet.".into(),
            Self::BrokenMapping => "the organisation's mapping does not fit its database".into(),
            Self::Damaged => "this organisation's stored configuration does not read".into(),
            Self::Unavailable => "The gateway cannot load its configuration at present.".into(),
            Self::Pool(fault) => fault.client_message(),
            Self::Audit(fault) => fault.client_message(),
        }
    }

    fn retry_after_secs(&self) -> Option<u64> {
        match self {
            Self::Pool(fault) => fault.retry_after_secs(),
            Self::Audit(fault) => fault.retry_after_secs(),
            Self::Unavailable => Some(2),
            _ => None,
        }
    }
}
