use std::borrow::Cow;

use crate::base::{Fault, FaultKind};

/// A request the mapping cannot serve. Names parameters and rules, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanFault {
    /// The mapping gives no resources of that type.
    #[error("this resource type is not served")]
    UnknownType,
    /// A search parameter FHIR or the mapping does not have, or one that cannot be run in the
    /// database.
    #[error("the search parameter '{parameter}' is not supported")]
    Unsupported {
        /// The parameter.
        parameter: String,
    },
    /// A modifier that cannot be served.
    #[error("the modifier ':{modifier}' of '{parameter}' is not supported")]
    Modifier {
        /// The parameter.
        parameter: String,
        /// The modifier.
        modifier: String,
    },
    /// A value that is none of the parameter's kind.
    #[error("the value of '{parameter}' is not one it can have: {expected}")]
    Value {
        /// The parameter.
        parameter: String,
        /// What it takes.
        expected: &'static str,
    },
    /// A chain that follows more references than are followed.
    #[error("the chain '{parameter}' is too long: at most {most} references are followed")]
    Deep {
        /// The chain.
        parameter: String,
        /// How many are followed.
        most: u8,
    },
    /// A search whose chains look into too many tables, or for too many values in them.
    #[error(
        "the chain '{parameter}' looks into too much: at most {most} places in one search; say which type \
         each reference is to (subject:Patient.name), or give fewer values"
    )]
    Wide {
        /// The chain.
        parameter: String,
        /// How many there may be.
        most: u32,
    },
    /// Rows cannot be sorted by that parameter.
    #[error("sorting by '{parameter}' is not supported")]
    Sort {
        /// The parameter.
        parameter: String,
    },
    /// The type is in no patient's compartment.
    #[error("resources of this type belong to no patient's compartment")]
    Compartment,
    /// A cursor that does not belong to this search.
    #[error("the page link does not belong to this search")]
    Cursor,
}

impl Fault for PlanFault {
    fn kind(&self) -> FaultKind {
        match self {
            Self::UnknownType => FaultKind::NotFound,
            _ => FaultKind::Invalid,
        }
    }

    fn unsupported(&self) -> bool {
        matches!(
            self,
            Self::Unsupported { .. }
                | Self::Modifier { .. }
                | Self::Deep { .. }
                | Self::Wide { .. }
                | Self::Sort { .. }
                | Self::Compartment
        )
    }

    fn client_message(&self) -> Cow<'static, str> {
        Cow::Owned(self.to_string())
    }
}
