//! Failures of the control plane as RFC 9457 problem details.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::logbook::Why;
use crate::base::{Fault, FaultKind};

/// The body of a failed request (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProblemBody {
    /// A stable name for the kind of problem.
    #[serde(rename = "type")]
    kind: String,
    /// The status' standard phrase.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What is wrong with this request.
    detail: String,
    /// All faults of a document, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    problems: Option<serde_json::Value>,
    /// With 412: what was done since the `ETag` that was sent, newest first, as in `/admin/v1/events`.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<serde_json::Value>,
}

/// A failed request, ready to be answered.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    kind: &'static str,
    detail: Cow<'static, str>,
    problems: Option<Box<serde_json::Value>>,
    changes: Option<Box<serde_json::Value>>,
    headers: Box<HeaderMap>,
    why: Option<Why>,
}

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        kind: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let (problems, changes, headers, why) = (None, None, Box::default(), None);
        Self { status, kind, detail: detail.into(), problems, changes, headers, why }
    }

    /// A room's failure. The reason goes to the log with the answer; the caller gets the message only.
    pub(super) fn of(fault: &dyn Fault) -> Self {
        let kind = fault.kind();
        let status = status(kind);
        let problem = Self::new(status, kind.as_str(), fault.client_message());
        let mut problem = problem.because(Some(Why::of(fault)));
        if let Some(seconds) = fault.retry_after_secs() {
            problem.headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        problem
    }

    /// Adds what only the log is told.
    pub(super) fn because(mut self, why: Option<Why>) -> Self {
        self.why = why;
        self
    }

    /// The status and the sentence, for a page. The log is told here.
    pub(super) fn told(self) -> (StatusCode, String) {
        if let Some(why) = &self.why {
            why.tell(self.status);
        }
        (self.status, self.detail.into_owned())
    }

    /// Adds the list of faults of a document.
    pub(super) fn listing(mut self, problems: serde_json::Value) -> Self {
        self.problems = Some(Box::new(problems));
        self
    }

    /// Adds what others changed meanwhile.
    pub(super) fn changed(mut self, changes: serde_json::Value) -> Self {
        self.changes = Some(Box::new(changes));
        self
    }

    /// Adds a header to the answer.
    pub(super) fn with(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

fn status(kind: FaultKind) -> StatusCode {
    match kind {
        FaultKind::Invalid => StatusCode::BAD_REQUEST,
        FaultKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        FaultKind::Forbidden => StatusCode::FORBIDDEN,
        FaultKind::NotFound => StatusCode::NOT_FOUND,
        FaultKind::NotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        FaultKind::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
        FaultKind::Conflict => StatusCode::CONFLICT,
        FaultKind::Stale => StatusCode::PRECONDITION_FAILED,
        FaultKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        FaultKind::Throttled => StatusCode::TOO_MANY_REQUESTS,
        FaultKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        FaultKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        FaultKind::Mapping | FaultKind::Integrity | FaultKind::Internal => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            kind: format!("urn:wardgate:problem:{}", self.kind),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.into_owned(),
            problems: self.problems.map(|problems| *problems),
            changes: self.changes.map(|changes| *changes),
        };
        let text = serde_json::to_string(&body).unwrap_or_default();
        let mut response = (self.status, text).into_response();
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response.headers_mut().extend(*self.headers);
        if let Some(why) = self.why {
            response.extensions_mut().insert(why);
        }
        response
    }
}
