//! Who asks, which tenant is meant, and which generation the caller has seen.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::time::Duration;
use uuid::Uuid;

use super::ControlPlane;
use crate::auth::{OperatorPermit, OperatorRank};
use crate::base::{Deadline, Fault as _, FaultKind, Generation};
use crate::control::{Caller, ControlFault};
use crate::http::problem::Problem;
use crate::http::request_id::RequestId;
use crate::http::token_in_query::has_token;

/// How long an admin request may take; connecting to a new database is the slowest of them.
const PATIENCE: Duration = Duration::from_secs(20);

/// An operator, with the request's id and deadline.
pub(super) struct Operator(pub(super) Caller);

impl FromRequestParts<ControlPlane> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, plane: &ControlPlane) -> Result<Self, Problem> {
        let deadline = Deadline::after(PATIENCE);
        let request = parts.extensions.get::<RequestId>().map_or_else(Uuid::nil, |id| id.0);
        if has_token(parts.uri.query().unwrap_or_default()) {
            let detail = "Send the token in the Authorization header only.";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid", detail));
        }
        // Whoever only looks never gets as far as a handler that changes something.
        let least =
            if parts.method.is_safe() { OperatorRank::Viewer } else { OperatorRank::Operator };
        let permit: OperatorPermit = plane
            .0
            .authority
            .operator_of(&parts.headers, least, deadline)
            .await
            .map_err(|fault| {
                let problem = Problem::of(&fault);
                match fault.www_authenticate().and_then(|text| HeaderValue::from_str(&text).ok()) {
                    Some(value) => problem.with(header::WWW_AUTHENTICATE, value),
                    None => problem,
                }
            })?;
        Ok(Self(Caller { permit, request, deadline }))
    }
}

/// `If-Match`: the generation the caller has seen; none for `*`, which is whatever there is (RFC 9110,
/// 13.1.1). Required on changes.
pub(in crate::http) fn if_match(headers: &HeaderMap) -> Result<Option<Generation>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        let detail = "Send If-Match with the ETag you have read, so that nobody's change is lost.";
        return Err(Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "precondition_required",
            detail,
        ));
    };
    let text = value.to_str().unwrap_or_default().trim().trim_start_matches("W/");
    if text == "*" {
        return Ok(None);
    }
    let digits = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
    digits.parse().map(|seen| Some(Generation(seen))).map_err(|_| {
        let detail = "If-Match holds no ETag of this API.";
        Problem::new(StatusCode::PRECONDITION_FAILED, "stale", detail)
    })
}

/// A room's failure as a problem; where somebody else was faster, with what was changed and by whom.
pub(super) async fn explained(
    plane: &ControlPlane,
    caller: &Caller,
    tenant: &str,
    seen: Option<Generation>,
    fault: ControlFault,
) -> Problem {
    let stale = fault.kind() == FaultKind::Stale;
    let problem = problem(fault);
    let Some(seen) = seen.filter(|_| stale) else { return problem };
    let changes = plane.0.control.changes_since(caller, tenant, seen).await;
    match changes.ok().and_then(|changes| serde_json::to_value(changes).ok()) {
        Some(changes) => problem.changed(changes),
        None => problem,
    }
}

/// A JSON answer with the generation as its `ETag`.
pub(in crate::http) fn tagged<T: Serialize>(
    status: StatusCode,
    generation: u64,
    body: &T,
) -> Response {
    let mut response = (status, axum::Json(body)).into_response();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{generation}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// A room's failure as a problem, with its list of mapping faults where it has one.
#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
pub(in crate::http) fn problem(fault: ControlFault) -> Problem {
    let listing = fault.problems().and_then(|problems| serde_json::to_value(problems).ok());
    let problem = Problem::of(&fault);
    match listing {
        Some(listing) => problem.listing(listing),
        None => problem,
    }
}
