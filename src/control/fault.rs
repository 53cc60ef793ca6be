use std::borrow::Cow;

use super::view::MappingProblemView;
use crate::base::{Fault, FaultKind};
use crate::keyring::KeyFault;
use crate::pool::dial::DialFault;
use crate::registry::RegistryFault;
use crate::store::StoreFault;
use crate::tenant::TenantFault;

/// Why an operator's order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ControlFault {
    /// There is no tenant with that name or id.
    #[error("there is no such tenant")]
    NoSuchTenant,
    /// What was given cannot be used. The sentence says what is expected.
    #[error("{0}")]
    Invalid(Cow<'static, str>),
    /// The operator may not do this.
    #[error("{0}")]
    NotAllowed(&'static str),
    /// The order does not fit the present state.
    #[error("{0}")]
    Conflict(&'static str),
    /// The new connection could not be used, so nothing was changed.
    #[error("the connection was tried and did not work: {0}")]
    Connection(#[from] DialFault),
    /// The server reached is another than the registered one.
    #[error("the server reached is not the one registered")]
    WrongServer,
    /// The mapping has faults, so nothing was changed.
    #[error("the mapping has faults")]
    Mapping(Vec<MappingProblemView>),
    /// The list has faults, so nothing of it was ordered.
    #[error("the list has faults, and nothing of it was ordered")]
    List(Vec<MappingProblemView>),
    /// The registry said no.
    #[error(transparent)]
    Registry(#[from] RegistryFault),
    /// Sealing or opening failed.
    #[error(transparent)]
    Keys(#[from] KeyFault),
    /// The tenant's catalogue could not be read.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// What was looked at could not be written down, so nothing of it is given out.
    #[error("the access log could not be written")]
    Unwritten(#[source] TenantFault),
    /// This needs a serving gateway.
    #[error("this asks a running gateway; use its admin API")]
    NotServing,
}

impl ControlFault {
    /// What to do about it, where there is something to say.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoSuchTenant => Some("`wardgate tenant list` shows all"),
            Self::Connection(fault) => Some(super::connections::hint(fault.class())),
            Self::WrongServer => Some("find out why; set-connection registers the new server"),
            Self::Registry(RegistryFault::Damaged(_)) => {
                Some("somebody wrote it by other means; docs/OPERATIONS.md says how to mend it")
            }
            _ => None,
        }
    }

    /// All faults of a mapping or a list, where that is what it is.
    pub fn problems(&self) -> Option<&[MappingProblemView]> {
        match self {
            Self::Mapping(problems) | Self::List(problems) => Some(problems),
            _ => None,
        }
    }
}

impl Fault for ControlFault {
    fn kind(&self) -> FaultKind {
        match self {
            Self::NoSuchTenant => FaultKind::NotFound,
            Self::NotAllowed(_) => FaultKind::Forbidden,
            Self::Invalid(_)
            | Self::Mapping(_)
            | Self::List(_)
            | Self::Connection(_)
            | Self::NotServing => FaultKind::Invalid,
            Self::Conflict(_) | Self::WrongServer => FaultKind::Conflict,
            Self::Registry(fault) => fault.kind(),
            Self::Keys(fault) => fault.kind(),
            Self::Store(fault) => fault.kind(),
            Self::Unwritten(fault) => fault.kind(),
        }
    }

    fn client_message(&self) -> Cow<'static, str> {
        match self {
            Self::Registry(fault @ RegistryFault::Damaged(_)) => fault.to_string().into(),
            Self::Registry(fault) => fault.client_message(),
            Self::Keys(fault) => fault.client_message(),
            Self::Store(fault) => fault.client_message(),
            other => other.to_string().into(),
        }
    }

    fn retry_after_secs(&self) -> Option<u64> {
        match self {
            Self::Registry(fault) => fault.retry_after_secs(),
            Self::Keys(fault) => fault.retry_after_secs(),
            Self::Store(fault) => fault.retry_after_secs(),
            _ => None,
        }
    }
}
