use std::borrow::Cow;

use crate::base::{Fault, FaultKind};

/// What a caller without a right, of an unknown tenant or of a suspended one is told: one text for all, so
/// that it tells nothing.
pub const FORBIDDEN_MESSAGE: &str = "This token does not give that right here.";

/// Why a request is not let through. The reason is for logs and metrics; callers get one text for each
/// status. Never holds any part of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthFault {
    /// No bearer token (RFC 6750, 3.1: no error code then).
    #[error("no bearer token")]
    Missing,
    /// The request carries its token in a way that is not allowed.
    #[error("malformed authorization ({0})")]
    Malformed(&'static str),
    /// The token is not good.
    #[error("invalid token ({0})")]
    InvalidToken(&'static str),
    /// The token is good and gives no right here.
    #[error("forbidden ({0})")]
    Forbidden(&'static str),
    /// The token is good, the right it lacks has a scope of that name.
    #[error("insufficient scope ({0})")]
    InsufficientScope(&'static str),
    /// The issuer's keys or the directory are not at hand.
    #[error("cannot verify now ({0})")]
    Unavailable(&'static str),
    /// An issuer's configuration contradicts itself; the gateway does not start.
    #[error("an issuer cannot be used: {0}")]
    Issuer(&'static str),
}

impl AuthFault {
    /// A stable word for metrics.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed(why)
            | Self::InvalidToken(why)
            | Self::Forbidden(why)
            | Self::InsufficientScope(why)
            | Self::Unavailable(why)
            | Self::Issuer(why) => why,
        }
    }

    /// The `WWW-Authenticate` header (RFC 6750, 3), where the status has one.
    pub fn www_authenticate(&self) -> Option<String> {
        Some(match self {
            Self::Missing => "Bearer".to_owned(),
            Self::Malformed(_) => "Bearer error=\"invalid_request\"".to_owned(),
            Self::InvalidToken(_) => "Bearer error=\"invalid_token\"".to_owned(),
            Self::InsufficientScope(scope) => {
                format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"")
            }
            _ => return None,
        })
    }
}

impl Fault for AuthFault {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Missing | Self::InvalidToken(_) => FaultKind::Unauthenticated,
            Self::Malformed(_) => FaultKind::Invalid,
            Self::Forbidden(_) | Self::InsufficientScope(_) => FaultKind::Forbidden,
            Self::Unavailable(_) => FaultKind::Unavailable,
            Self::Issuer(_) => FaultKind::Internal,
        }
    }

    fn client_message(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Missing | Self::InvalidToken(_) => "Sign in: a valid bearer token is required.",
            Self::Malformed(_) => "Send exactly one Authorization header with one bearer token.",
            Self::Forbidden(_) | Self::InsufficientScope(_) => FORBIDDEN_MESSAGE,
            Self::Unavailable(_) => "The token cannot be verified at present.",
            Self::Issuer(_) => "The gateway cannot verify tokens.",
        })
    }

    fn retry_after_secs(&self) -> Option<u64> {
        matches!(self, Self::Unavailable(_)).then_some(5)
    }
}
