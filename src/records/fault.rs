use std::borrow::Cow;

use crate::base::{Fault, FaultKind};
use crate::fhir::QueryFault;
use crate::mapping::PlanFault;
use crate::pool::PoolFault;
use crate::store::StoreFault;
use crate::tenant::TenantFault;

/// Why records could not be given.
#[derive(Debug, thiserror::Error)]
pub enum RecordsFault {
    /// There is no such resource in this tenant; whether one exists elsewhere is not looked at.
    #[error("no such resource")]
    NotFound,
    /// The tenant maps no resources of that type.
    #[error("the type is not mapped")]
    NoSuchType,
    /// The cursor is not one this gateway gave for this query.
    #[error("the cursor is not ours")]
    Cursor,
    /// A type that was asked for cannot be given by the patient it belongs to.
    #[error("the type cannot be exported by patient")]
    NotByPatient(String),
    /// So many exports of the tenant are under way.
    #[error("too many exports are under way")]
    Exporting,
    /// The token's scopes leave no room for it.
    #[error("the scopes do not allow it")]
    Scope,
    /// A row was found and cannot be rendered.
    #[error("the row cannot be rendered: a required element is missing")]
    Unrenderable,
    /// A page ended at a row whose key cannot be found again, so that the next page would be lost.
    #[error("a page ended at a row whose key cannot be found again")]
    NoKey,
    /// The query cannot be understood.
    #[error(transparent)]
    Query(#[from] QueryFault),
    /// The query cannot be served by this mapping.
    #[error(transparent)]
    Plan(#[from] PlanFault),
    /// The tenant's resources are not at hand.
    #[error(transparent)]
    Tenant(#[from] TenantFault),
    /// Fetching failed.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The lane failed.
    #[error(transparent)]
    Pool(#[from] PoolFault),
}

impl RecordsFault {
    fn inner(&self) -> Option<&dyn Fault> {
        Some(match self {
            Self::Query(fault) => fault,
            Self::Plan(fault) => fault,
            Self::Tenant(fault) => fault,
            Self::Store(fault) => fault,
            Self::Pool(fault) => fault,
            _ => return None,
        })
    }
}

impl Fault for RecordsFault {
    fn kind(&self) -> FaultKind {
        match self {
            Self::NotFound | Self::NoSuchType => FaultKind::NotFound,
            Self::Cursor | Self::NotByPatient(_) => FaultKind::Invalid,
            Self::Exporting => FaultKind::Throttled,
            Self::Scope => FaultKind::Forbidden,
            Self::Unrenderable | Self::NoKey => FaultKind::Mapping,
            other => other.inner().map_or(FaultKind::Internal, Fault::kind),
        }
    }

    fn client_message(&self) -> Cow<'static, str> {
        match self {
            Self::NotFound => "There is no such resource.".into(),
            Self::NoSuchType => "Resources of that type are not served here.".into(),
            Self::Cursor => {
                "That page link is not valid for this query any more; search again.".into()
            }
            Self::NotByPatient(ty) => {
                format!("Resources of type '{ty}' cannot be exported by patient here.").into()
            }
            Self::Exporting => "Other exports of this hospital are under way; come again.".into(),
            Self::Scope => crate::tenant::FORBIDDEN_MESSAGE.into(),
            Self::Unrenderable => "The record lacks an element that FHIR demands.".into(),
            Self::NoKey => {
                "The records cannot be given page by page: one of them has no usable key.".into()
            }
            other => other.inner().map_or("".into(), Fault::client_message),
        }
    }

    fn unsupported(&self) -> bool {
        matches!(self, Self::NotByPatient(_)) || self.inner().is_some_and(Fault::unsupported)
    }

    fn retry_after_secs(&self) -> Option<u64> {
        match self {
            Self::Exporting => Some(60),
            other => other.inner().and_then(Fault::retry_after_secs),
        }
    }
}
