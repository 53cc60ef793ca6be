//! What each address of the data plane answers.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::DataPlane;
use super::error::{FHIR_JSON, FhirError, reserved};
use super::extract::Clinician;
use super::negotiate::Asked;
use crate::auth::FhirRead;
use crate::base::{Deadline, Fault as _, FaultKind};
use crate::records::Answer;

pub(super) type Answered = Result<Response, FhirError>;

/// `GET /fhir/{type}/{id}`.
pub(super) async fn read(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirRead>,
    Path((resource, id)): Path<(String, String)>,
    asked: Asked,
) -> Answered {
    if let Some(error) = reserved(&id) {
        return Err(error);
    }
    let session = plane.session(caller).await?;
    let found = session.read(&resource, &id, &asked.query).await;
    Ok(versioned(&found.map_err(|f| FhirError::of(&f))?, &asked))
}

/// `GET /fhir/{type}/{id}/_history/{version}`.
pub(super) async fn vread(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirRead>,
    Path((resource, id, version)): Path<(String, String, String)>,
    asked: Asked,
) -> Answered {
    let session = plane.session(caller).await?;
    let found = session.vread(&resource, &id, &version, &asked.query).await;
    Ok(versioned(&found.map_err(|f| FhirError::of(&f))?, &asked))
}

/// A resource with its version, or only that it has not changed.
fn versioned(answer: &Answer, asked: &Asked) -> Response {
    let same = answer.version().is_some_and(|version| asked.has(version));
    let mut response =
        if same { StatusCode::NOT_MODIFIED.into_response() } else { resource_response(answer) };
    let tag = answer.version().map(|version| format!("W/\"{version}\""));
    if let Some(tag) = tag.and_then(|tag| HeaderValue::from_str(&tag).ok()) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// `GET /fhir/metadata`: generic without a token, the tenant's own with one.
pub(super) async fn metadata(
    State(plane): State<DataPlane>,
    _asked: Asked,
    request: axum::extract::Request,
) -> Answered {
    let known = request.headers().contains_key(header::AUTHORIZATION);
    let body = if known {
        let (mut parts, _) = request.into_parts();
        let caller = <Clinician<FhirRead> as axum::extract::FromRequestParts<DataPlane>>::from_request_parts(
            &mut parts, &plane,
        )
        .await?;
        let session = plane.session(caller).await?;
        session.capability(&plane.0.server).map_err(|f| FhirError::of(&f))?
    } else {
        crate::records::generic_capability(&plane.0.server)
    };
    Ok(fhir_response(body))
}

/// Scopes that count here: of these forms, with a type instead of `*` as well. What an issuer gives is its
/// own affair.
const SCOPES: [&str; 14] = [
    "openid",
    "profile",
    "user/*.read",
    "user/*.write",
    "user/*.*",
    "user/*.rs",
    "user/*.cud",
    "user/*.cruds",
    "system/*.read",
    "system/*.write",
    "system/*.*",
    "system/*.rs",
    "system/*.cud",
    "system/*.cruds",
];

/// `GET /fhir/.well-known/smart-configuration` (SMART App Launch 2.0, "Conformance").
pub(super) async fn smart_configuration(State(plane): State<DataPlane>) -> Response {
    let document = match &plane.0.server.authorization {
        None => json!({ "capabilities": [] }),
        Some(endpoints) => json!({
            "issuer": endpoints.issuer,
            "authorization_endpoint": endpoints.authorize,
            "token_endpoint": endpoints.token,
            "jwks_uri": endpoints.jwks,
            "grant_types_supported": ["authorization_code", "client_credentials"],
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": SCOPES,
            "capabilities": ["launch-standalone", "client-public", "permission-user", "permission-v1", "permission-v2"],
        }),
    };
    axum::Json(document).into_response()
}

/// `POST /oidc/backchannel-logout`: an issuer says that a session ended (OpenID Connect Back-Channel
/// Logout 1.0, 2.5). The signed logout token is its own credential.
pub(super) async fn back_channel_logout(State(plane): State<DataPlane>, body: Bytes) -> StatusCode {
    let deadline = Deadline::after(plane.0.settings.request_timeout);
    match plane.0.authority.back_channel_logout(&body, deadline).await {
        Ok(()) => StatusCode::OK,
        Err(fault) => {
            tracing::info!(target: "wardgate::auth", reason = fault.reason(), "logout token refused");
            match fault.kind() {
                FaultKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::BAD_REQUEST,
            }
        }
    }
}

pub(super) fn resource_response(answer: &Answer) -> Response {
    let mut response = fhir_response(answer.body().clone());
    let modified = answer.last_modified().and_then(|at| HeaderValue::from_str(at).ok());
    if let Some(modified) = modified {
        response.headers_mut().insert(header::LAST_MODIFIED, modified);
    }
    response
}

fn fhir_response(body: impl Into<axum::body::Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, FHIR_JSON);
    response
}
