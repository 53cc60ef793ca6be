//! Failures as `OperationOutcome`s (FHIR R4, 3.1.0.1.3 and 2.32).

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::base::{Fault, FaultKind};
use crate::fhir::Issue;
use crate::http::logbook::Why;
use crate::http::problem::Problem;
use crate::records::RecordsFault;

/// The media type of every answer of the data plane.
pub(super) const FHIR_JSON: HeaderValue =
    HeaderValue::from_static("application/fhir+json; charset=utf-8");

/// A failed request, ready to be answered.
#[derive(Debug)]
pub(super) struct FhirError {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    headers: Box<HeaderMap>,
    why: Option<Why>,
    /// What is wrong with which element, instead of the message.
    issues: Vec<Issue>,
}

impl FhirError {
    /// A failure that no room reported: routing, negotiation, limits.
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let (headers, issues) = (Box::default(), Vec::new());
        Self { status, code, message: message.into(), headers, why: None, issues }
    }

    /// Why records were not given or written, element by element where that is known.
    pub(super) fn of_records(fault: &RecordsFault) -> Self {
        Self { issues: fault.issues().to_vec(), ..Self::of(fault) }
    }

    /// The outcome, and its status, for an entry of a bundle.
    pub(super) fn into_outcome(self) -> (StatusCode, serde_json::Value) {
        let status = self.status;
        (status, self.outcome())
    }

    fn outcome(self) -> serde_json::Value {
        if self.issues.is_empty() {
            return Issue::outcome(&[Issue::new(self.code, "", self.message)]);
        }
        Issue::outcome(&self.issues)
    }

    /// A room's failure. The reason goes to the log with the answer; the caller gets the message only.
    pub(super) fn of(fault: &dyn Fault) -> Self {
        let kind = fault.kind();
        let (status, code) = answer(kind);
        let code = if fault.unsupported() { "not-supported" } else { code };
        let mut error = Self::new(status, code, fault.client_message());
        error.why = Some(Why::of(fault));
        if let Some(seconds) = fault.retry_after_secs() {
            error.headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        error
    }

    /// The HTTP status.
    pub(super) const fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// The same failure for an address that speaks problem details.
    pub(super) fn into_problem(self) -> Problem {
        let kind = match self.status {
            StatusCode::UNAUTHORIZED => "unauthenticated",
            StatusCode::FORBIDDEN => "forbidden",
            StatusCode::TOO_MANY_REQUESTS => "throttled",
            StatusCode::SERVICE_UNAVAILABLE => "unavailable",
            _ => "internal",
        };
        let mut problem = Problem::new(self.status, kind, self.message).because(self.why);
        for (name, value) in self.headers.iter() {
            problem = problem.with(name.clone(), value.clone());
        }
        problem
    }

    /// Adds a header to the answer.
    pub(super) fn with(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

/// Searches of all types at once are not served.
pub(super) const ONE_TYPE: &str =
    "One type is searched at a time: GET /fhir/Patient, POST /fhir/Patient/_search.";

/// Why there is nothing at an address that ends in a name FHIR keeps for itself (R4, 3.1.0.1.1); `None` for
/// other names. That of a history is the answer that R4 wants of versions that are not kept (3.1.0.3).
pub(super) fn reserved(name: &str) -> Option<FhirError> {
    let message = match name {
        "_history" => {
            "No history is kept here: of each resource only the present version can be read."
        }
        "_search" => ONE_TYPE,
        name if name.starts_with('$') => {
            "This operation is not served at this address; GET /fhir/metadata names those that are."
        }
        name if name.starts_with('_') => "There is nothing at this address.",
        _ => return None,
    };
    Some(FhirError::new(StatusCode::NOT_FOUND, "not-supported", message))
}

/// Status and issue code of each kind (issue codes: FHIR R4 value set `issue-type`).
fn answer(kind: FaultKind) -> (StatusCode, &'static str) {
    match kind {
        FaultKind::Invalid => (StatusCode::BAD_REQUEST, "invalid"),
        FaultKind::Unauthenticated => (StatusCode::UNAUTHORIZED, "login"),
        FaultKind::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
        FaultKind::NotFound => (StatusCode::NOT_FOUND, "not-found"),
        FaultKind::NotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "not-supported"),
        FaultKind::Unprocessable => (StatusCode::UNPROCESSABLE_ENTITY, "processing"),
        FaultKind::Conflict => (StatusCode::CONFLICT, "conflict"),
        FaultKind::Stale => (StatusCode::PRECONDITION_FAILED, "conflict"),
        FaultKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-long"),
        FaultKind::Throttled => (StatusCode::TOO_MANY_REQUESTS, "throttled"),
        FaultKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "transient"),
        FaultKind::Timeout => (StatusCode::GATEWAY_TIMEOUT, "timeout"),
        FaultKind::Mapping | FaultKind::Integrity | FaultKind::Internal => {
            (StatusCode::INTERNAL_SERVER_ERROR, "exception")
        }
    }
}

impl IntoResponse for FhirError {
    fn into_response(self) -> Response {
        let (status, headers, why) = (self.status, self.headers.clone(), self.why.clone());
        let outcome = self.outcome();
        let mut response = (status, outcome.to_string()).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, FHIR_JSON);
        response.headers_mut().extend(*headers);
        if let Some(why) = why {
            response.extensions_mut().insert(why);
        }
        response
    }
}
