use std::borrow::Cow;

use crate::base::{Fault, FaultKind};
use crate::fhir::query::{MAX_PARAMS, MAX_VALUES};

/// A query the gateway will not run. Messages name parameters and rules, never the values given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryFault {
    /// The query string or the form body is larger than allowed.
    #[error("the query is larger than allowed")]
    TooLong,
    /// There are more parameters, or more alternatives in one, than allowed.
    #[error(
        "the query has too many parameters or values: at most {MAX_PARAMS} and, together, {MAX_VALUES}"
    )]
    TooMany,
    /// A percent escape is broken, or the text is not UTF-8.
    #[error("the query is not valid percent-encoded UTF-8")]
    Encoding,
    /// A parameter without a name.
    #[error("a parameter has no name")]
    NoName,
    /// A result parameter with a value it cannot have.
    #[error("the value of '{parameter}' is not one it can have: {expected}")]
    BadValue {
        /// The parameter.
        parameter: String,
        /// What it takes.
        expected: &'static str,
    },
    /// A parameter that may be given once was given again.
    #[error("the parameter '{parameter}' was given more than once")]
    Repeated {
        /// The parameter.
        parameter: String,
    },
    /// A parameter this gateway knows and does not serve.
    #[error("the parameter '{parameter}' is not supported")]
    Unsupported {
        /// The parameter.
        parameter: String,
    },
}

impl Fault for QueryFault {
    fn kind(&self) -> FaultKind {
        match self {
            Self::TooLong => FaultKind::TooLarge,
            _ => FaultKind::Invalid,
        }
    }

    fn unsupported(&self) -> bool {
        matches!(self, Self::Unsupported { .. })
    }

    fn client_message(&self) -> Cow<'static, str> {
        Cow::Owned(self.to_string())
    }
}
