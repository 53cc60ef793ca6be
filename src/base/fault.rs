use std::borrow::Cow;

/// Whose fault a failure is and what to do about it. Every room's error answers with one of these;
/// it becomes the HTTP status, the metric label and the retry advice, so the list is short and closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The caller sent something malformed or unsupported. 400.
    Invalid,
    /// The caller did not prove who she is. 401.
    Unauthenticated,
    /// The caller is known and may not do this. 403.
    Forbidden,
    /// There is no such thing, or none the caller may know of. 404.
    NotFound,
    /// There is such a thing, and this cannot be done to it. 405.
    NotAllowed,
    /// The change collides with the present state. 409.
    Conflict,
    /// `If-Match` names another state. 412.
    Stale,
    /// The request is larger than allowed. 413.
    TooLarge,
    /// Well-formed, and not something the tenant's database or mapping can take. 422.
    Unprocessable,
    /// The caller's own tenant is over its rate or concurrency limit. 429.
    Throttled,
    /// The tenant's mapping does not fit its database (table, column or right missing). 500.
    Mapping,
    /// A sealed or chained value does not verify. 500, and an integrity event.
    Integrity,
    /// The tenant's database or a service of ours cannot be reached or is overloaded. 503.
    Unavailable,
    /// The deadline passed first. 504.
    Timeout,
    /// A defect of ours. 500.
    Internal,
}

impl FaultKind {
    /// The label in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::NotAllowed => "not_allowed",
            Self::Conflict => "conflict",
            Self::Stale => "stale",
            Self::TooLarge => "too_large",
            Self::Unprocessable => "unprocessable",
            Self::Throttled => "throttled",
            Self::Mapping => "mapping",
            Self::Integrity => "integrity",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Internal => "internal",
        }
    }
}

/// What every error that can reach a caller must be able to say. `Display` of an implementer is for
/// logs and may name codes and paths, never secrets, patient data or database text.
pub trait Fault: std::error::Error {
    /// Whose fault, and so which status.
    fn kind(&self) -> FaultKind;

    /// What the caller is told. Never more than she already knows.
    fn client_message(&self) -> Cow<'static, str>;

    /// Whether the request is well-formed and asks for something that is not served.
    fn unsupported(&self) -> bool {
        false
    }

    /// Seconds after which trying again makes sense, for `Retry-After`.
    fn retry_after_secs(&self) -> Option<u64> {
        None
    }
}
