//! What each address of the data plane answers.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::DataPlane;
use super::error::{FHIR_JSON, FhirError};
use super::extract::Clinician;
use super::negotiate::Asked;
use crate::auth::FhirRead;
use crate::base::{Deadline, Fault as _, FaultKind};
use crate::http::token_in_query::has_token;
use crate::records::Answer;

type Answered = Result<Response, FhirError>;

/// `GET /fhir/{type}/{id}`.
pub(super) async fn read(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirRead>,
    Path((resource, id)): Path<(String, String)>,
    asked: Asked,
) -> Answered {
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

/// `GET /fhir/{type}`.
pub(super) async fn search(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirRead>,
    Path(resource): Path<String>,
    asked: Asked,
) -> Answered {
    find(&plane, caller, &resource, &asked.query, asked.lenient).await
}

/// `POST /fhir/{type}/_search`: the form's parameters together with the query's.
pub(super) async fn search_form(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirRead>,
    Path(resource): Path<String>,
    asked: Asked,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answered {
    let body = body.map_err(|_| too_large())?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    // With all parameters in the query there is no form, and then clients name no kind of it.
    if !body.is_empty() && !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let message = "Send the parameters as application/x-www-form-urlencoded.";
        let unsupported = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(FhirError::new(unsupported, "not-supported", message));
    }
    let body = std::str::from_utf8(&body).map_err(|_| {
        let message = "The body is not UTF-8 text.";
        FhirError::new(StatusCode::BAD_REQUEST, "invalid", message)
    })?;
    if has_token(body) {
        let message = "Send the token in the Authorization header only.";
        return Err(FhirError::new(StatusCode::BAD_REQUEST, "invalid", message));
    }
    let query = match asked.query.as_str() {
        "" => body.to_owned(),
        query => format!("{query}&{body}"),
    };
    find(&plane, caller, &resource, &query, asked.lenient).await
}

fn too_large() -> FhirError {
    let message = "The body is too large.";
    FhirError::new(StatusCode::PAYLOAD_TOO_LARGE, "too-long", message)
}

async fn find(
    plane: &DataPlane,
    caller: Clinician<FhirRead>,
    resource: &str,
    query: &str,
    lenient: bool,
) -> Answered {
    let session = plane.session(caller).await?;
    let base = &plane.0.settings.public_url;
    let found = session.search(resource, query, lenient, base).await;
    found.map(|answer| resource_response(&answer)).map_err(|f| FhirError::of(&f))
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
            "scopes_supported": ["openid", "profile", "user/*.read", "user/*.rs"],
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

fn resource_response(answer: &Answer) -> Response {
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
