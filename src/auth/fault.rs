use std::borrow::Cow;

use crate::base::{Fault, FaultKind};

/// Why a caller was not let in. Outwardly uniform: every variant of one status gives the same
/// message; the reason code is for logs and never names a value from the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthFault {
    /// No bearer token was sent. 401 with a bare challenge (RFC 6750 section 3.1).
    #[error("no token: {0}")]
    NoToken(&'static str),
    /// The request presents its token in a way that is not allowed. 400.
    #[error("malformed authorization: {0}")]
    InvalidRequest(&'static str),
    /// The token does not verify. 401.
    #[error("invalid token: {0}")]
    InvalidToken(&'static str),
    /// The token is good, and the sign-in behind it is too weak for this (RFC 9470). 401.
    #[error("stronger sign-in needed")]
    StepUp {
        /// The `acr` values that would do, separated by spaces.
        acr_values: String,
    },
    /// The token is good and carries no right to this. 403.
    #[error("insufficient scope: {reason}")]
    InsufficientScope {
        /// What was missing, as a code.
        reason: &'static str,
        /// The role or SMART scope that would do.
        scope: Cow<'static, str>,
    },
    /// The token is good and belongs to no tenant that is served. 403, the same for unknown,
    /// suspended and foreign.
    #[error("no access: {0}")]
    NoAccess(&'static str),
    /// The token cannot be judged now: its issuer or the directory is away. 503.
    #[error("cannot judge tokens now: {reason}")]
    Unavailable {
        /// What is away, as a code.
        reason: &'static str,
        /// Seconds after which to try again, at least 1.
        retry_after_secs: u64,
    },
    /// The settings cannot work. Only at start and when an issuer is added.
    #[error("issuer {issuer}: {what}")]
    Configuration {
        /// The issuer's configured name.
        issuer: String,
        /// What is wrong.
        what: &'static str,
    },
    /// The issuer's discovery document contradicts the settings. Only at start and when added.
    #[error("issuer {issuer} contradicts its settings: {what}")]
    Contradiction {
        /// The issuer's configured name.
        issuer: String,
        /// What is wrong.
        what: &'static str,
    },
}

impl AuthFault {
    /// The value of `WWW-Authenticate`, where the answer carries one.
    pub fn www_authenticate(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::NoToken(_) => Some(Cow::Borrowed("Bearer")),
            Self::InvalidRequest(_) => Some(Cow::Borrowed(r#"Bearer error="invalid_request""#)),
            Self::InvalidToken(_) => Some(Cow::Borrowed(r#"Bearer error="invalid_token""#)),
            Self::StepUp { acr_values } => Some(Cow::Owned(format!(
                r#"Bearer error="insufficient_user_authentication", acr_values="{}""#,
                quotable(acr_values)
            ))),
            Self::InsufficientScope { scope, .. } => Some(Cow::Owned(format!(
                r#"Bearer error="insufficient_scope", scope="{}""#,
                quotable(scope)
            ))),
            Self::NoAccess(_)
            | Self::Unavailable { .. }
            | Self::Configuration { .. }
            | Self::Contradiction { .. } => None,
        }
    }

    /// A short code of the cause, for logs and metrics. Never shown to the caller.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoToken(reason)
            | Self::InvalidRequest(reason)
            | Self::InvalidToken(reason)
            | Self::NoAccess(reason)
            | Self::InsufficientScope { reason, .. }
            | Self::Unavailable { reason, .. } => reason,
            Self::StepUp { .. } => "acr_too_weak",
            Self::Configuration { .. } => "configuration",
            Self::Contradiction { .. } => "contradiction",
        }
    }
}

/// What may stand between the quotes of a challenge parameter; the rest is left out.
fn quotable(text: &str) -> String {
    text.chars().filter(|c| matches!(c, ' '..='~') && *c != '"' && *c != '\\').collect()
}

impl Fault for AuthFault {
    fn kind(&self) -> FaultKind {
        match self {
            Self::NoToken(_) | Self::InvalidToken(_) | Self::StepUp { .. } => {
                FaultKind::Unauthenticated
            }
            Self::InvalidRequest(_) => FaultKind::Invalid,
            Self::InsufficientScope { .. } | Self::NoAccess(_) => FaultKind::Forbidden,
            Self::Unavailable { .. } => FaultKind::Unavailable,
            Self::Configuration { .. } | Self::Contradiction { .. } => FaultKind::Internal,
        }
    }

    fn client_message(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self.kind() {
            FaultKind::Unauthenticated => "a valid access token is required",
            FaultKind::Invalid => "the access token is not presented correctly",
            FaultKind::Forbidden => "this access token does not allow it",
            FaultKind::Unavailable => "access tokens cannot be checked at the moment",
            _ => "the gateway is not configured correctly",
        })
    }

    fn retry_after_secs(&self) -> Option<u64> {
        match self {
            Self::Unavailable { retry_after_secs, .. } => Some(*retry_after_secs),
            _ => None,
        }
    }
}

/// Why a back-channel logout request had no effect. 400, or 503 when the issuer's keys are away.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogoutFault {
    /// The request or its logout token is not acceptable; no session was touched.
    #[error("logout refused: {0}")]
    Refused(&'static str),
    /// The logout token cannot be judged now.
    #[error("cannot judge logout tokens now: {reason}")]
    Unavailable {
        /// What is away, as a code.
        reason: &'static str,
        /// Seconds after which to try again, at least 1.
        retry_after_secs: u64,
    },
}

impl LogoutFault {
    /// A short code of the cause, for logs and metrics.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Refused(reason) | Self::Unavailable { reason, .. } => reason,
        }
    }
}

impl From<AuthFault> for LogoutFault {
    fn from(fault: AuthFault) -> Self {
        match fault {
            AuthFault::Unavailable { reason, retry_after_secs } => {
                Self::Unavailable { reason, retry_after_secs }
            }
            other => Self::Refused(other.reason()),
        }
    }
}

impl Fault for LogoutFault {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Refused(_) => FaultKind::Invalid,
            Self::Unavailable { .. } => FaultKind::Unavailable,
        }
    }

    fn client_message(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Refused(_) => "the logout token is not acceptable",
            Self::Unavailable { .. } => "logout tokens cannot be checked at the moment",
        })
    }

    fn retry_after_secs(&self) -> Option<u64> {
        match self {
            Self::Unavailable { retry_after_secs, .. } => Some(*retry_after_secs),
            Self::Refused(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_cannot_be_broken_out_of() {
        let fault = AuthFault::InsufficientScope {
            reason: "x",
            scope: Cow::Borrowed("user/Patient.r\", x=\"\r\ny\\"),
        };
        assert_eq!(
            fault.www_authenticate().unwrap(),
            r#"Bearer error="insufficient_scope", scope="user/Patient.r, x=y""#
        );
    }

    #[test]
    fn refusals_of_one_status_say_the_same() {
        let scope = AuthFault::InsufficientScope { reason: "a", scope: Cow::Borrowed("b") };
        assert_eq!(scope.client_message(), AuthFault::NoAccess("c").client_message());
        assert_eq!(
            AuthFault::NoToken("a").client_message(),
            AuthFault::InvalidToken("b").client_message()
        );
    }
}
