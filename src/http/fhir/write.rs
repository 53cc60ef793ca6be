//! What the writing addresses of the data plane answer (FHIR R4, 3.1.0.4 to 3.1.0.8).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::DataPlane;
use super::error::{FHIR_JSON, FhirError, reserved};
use super::extract::Clinician;
use super::negotiate::{Asked, of_r4, preference};
use crate::auth::{FhirRead, FhirWrite, Shape};
use crate::fhir::{Issue, Json};
use crate::records::{Act, Order, RecordsFault, Writing, Written};

pub(super) type Answered = Result<Response, FhirError>;
pub(super) type Body = Result<Bytes, BytesRejection>;
type Id = Path<(String, String)>;

/// The media types a resource comes as.
pub(super) const RESOURCE: [&str; 3] = ["application/fhir+json", "application/json", "text/json"];
/// The media type of a patch.
const PATCH: &str = "application/json-patch+json";
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// What a caller wants back (`Prefer: return=`, FHIR R4, 3.1.0.1.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Back {
    Nothing,
    Resource,
    Outcome,
}

impl Back {
    /// The resource unless something else is asked for: clients go on with it.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        match preference(headers, "return") {
            Some("minimal") => Self::Nothing,
            Some("OperationOutcome") => Self::Outcome,
            _ => Self::Resource,
        }
    }
}

/// `POST /fhir/{type}`.
pub(super) async fn create(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirWrite>,
    Path(resource): Path<String>,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answered {
    if let Some(error) = reserved(&resource) {
        return Err(error);
    }
    if conditions(&asked.query).is_some() {
        // A client that means If-None-Exist would make doubles.
        let message = "A create takes no search; send it as If-None-Exist.";
        return Err(bad_request(message));
    }
    let unless = text(&headers, "if-none-exist")?;
    // The whole address may stand there (FHIR R4, 3.1.0.8.1).
    let unless = unless.map(|query| match query.split_once('?') {
        Some((_, query)) => query.to_owned(),
        None => query,
    });
    let act = Act::Create { body: json(&headers, &RESOURCE, body)?, unless };
    let order = order((resource, None), None, (None, None), act);
    carry_out(&plane, caller, order, &headers).await
}

/// `PUT /fhir/{type}/{id}`.
pub(super) async fn update(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirWrite>,
    Path((resource, id)): Id,
    _asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answered {
    let act = Act::Update(json(&headers, &RESOURCE, body)?);
    let order = order((resource, Some(id)), None, preconditions(&headers)?, act);
    carry_out(&plane, caller, order, &headers).await
}

/// `PUT /fhir/{type}?…`.
pub(super) async fn update_one(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirWrite>,
    Path(resource): Path<String>,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answered {
    let query = Some(conditions(&asked.query).ok_or_else(no_condition)?);
    let act = Act::Update(json(&headers, &RESOURCE, body)?);
    let order = order((resource, None), query, preconditions(&headers)?, act);
    carry_out(&plane, caller, order, &headers).await
}

/// `PATCH /fhir/{type}/{id}`.
pub(super) async fn patch(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirWrite>,
    Path((resource, id)): Id,
    _asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answered {
    let act = Act::Patch(json(&headers, &[PATCH], body)?);
    let order = order((resource, Some(id)), None, preconditions(&headers)?, act);
    carry_out(&plane, caller, order, &headers).await
}

/// `PATCH /fhir/{type}?…`.
pub(super) async fn patch_one(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirWrite>,
    Path(resource): Path<String>,
    asked: Asked,
    headers: HeaderMap,
    body: Body,
) -> Answered {
    let query = Some(conditions(&asked.query).ok_or_else(no_condition)?);
    let act = Act::Patch(json(&headers, &[PATCH], body)?);
    let order = order((resource, None), query, preconditions(&headers)?, act);
    carry_out(&plane, caller, order, &headers).await
}

/// `DELETE /fhir/{type}/{id}`.
pub(super) async fn delete(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirWrite>,
    Path((resource, id)): Id,
    headers: HeaderMap,
) -> Answered {
    let order = order((resource, Some(id)), None, preconditions(&headers)?, Act::Delete);
    carry_out(&plane, caller, order, &headers).await
}

/// `DELETE /fhir/{type}?…`.
pub(super) async fn delete_one(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirWrite>,
    Path(resource): Path<String>,
    asked: Asked,
    headers: HeaderMap,
) -> Answered {
    let query = Some(conditions(&asked.query).ok_or_else(no_condition)?);
    let order = order((resource, None), query, preconditions(&headers)?, Act::Delete);
    carry_out(&plane, caller, order, &headers).await
}

async fn carry_out(
    plane: &DataPlane,
    caller: Clinician<FhirWrite>,
    order: Order,
    headers: &HeaderMap,
) -> Answered {
    let reader = plane.0.authority.permit::<FhirRead>(caller.permit.principal(), Shape::Any).ok();
    let with = writing(plane, reader);
    let session = Arc::new(plane.session(caller).await?);
    let written = session.write(order, with).await;
    let written = written.map_err(|fault| FhirError::of_records(&fault))?;
    Ok(answer(&plane.0.settings.public_url, &written, Back::of(headers)))
}

/// What writing needs beside a session.
pub(super) fn writing(plane: &DataPlane, reader: Option<crate::auth::Permit<FhirRead>>) -> Writing {
    let (elements, base) = (Arc::clone(&plane.0.elements), plane.0.settings.public_url.clone());
    Writing { elements, base, reader }
}

/// Where a resource, or its version, is found.
pub(super) fn location(base: &str, written: &Written) -> Option<String> {
    let id = written.id.as_ref()?;
    let version = written.version.as_ref().map(|v| format!("/_history/{v}")).unwrap_or_default();
    Some(format!("{base}/{}/{id}{version}", written.resource))
}

fn answer(base: &str, written: &Written, back: Back) -> Response {
    let status = StatusCode::from_u16(written.status).unwrap_or(StatusCode::OK);
    let body = match (back, &written.body) {
        _ if status == StatusCode::NO_CONTENT => Bytes::new(),
        (Back::Resource, Some(body)) => body.clone(),
        (Back::Outcome, _) => outcome().to_string().into(),
        _ => Bytes::new(),
    };
    let mut response = (status, body.clone()).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    if !body.is_empty() {
        headers.insert(header::CONTENT_TYPE, FHIR_JSON);
    }
    let mut put = |name: HeaderName, text: Option<String>| {
        if let Some(value) = text.and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(name, value);
        }
    };
    put(header::ETAG, written.version.as_ref().map(|version| format!("W/\"{version}\"")));
    put(header::LAST_MODIFIED, written.last_modified.clone());
    put(header::LOCATION, location(base, written).filter(|_| written.status < 204));
    response
}

/// That all went well, for callers who want to read that.
pub(super) fn outcome() -> serde_json::Value {
    Issue::fine("It is stored.")
}

/// The conditions of a query string; none when it has only parameters about the answer.
fn conditions(query: &str) -> Option<String> {
    let about = ["_format", "_pretty"];
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| !pair.is_empty() && !about.contains(&pair.split('=').next().unwrap_or("")))
        .collect();
    (!kept.is_empty()).then(|| kept.join("&"))
}

fn no_condition() -> FhirError {
    let message = "Name a resource, or say in the query which one is meant.";
    FhirError::new(StatusCode::PRECONDITION_FAILED, "required", message)
}

fn bad_request(message: &'static str) -> FhirError {
    FhirError::new(StatusCode::BAD_REQUEST, "invalid", message)
}

fn text(headers: &HeaderMap, name: &str) -> Result<Option<String>, FhirError> {
    let value = headers.get(name).map(|value| value.to_str().map(str::to_owned));
    value.transpose().map_err(|_| bad_request("A header is no text."))
}

/// `If-Match` and `If-None-Match`.
type Preconditions = (Option<String>, Option<String>);

fn preconditions(headers: &HeaderMap) -> Result<Preconditions, FhirError> {
    Ok((text(headers, "if-match")?, text(headers, "if-none-match")?))
}

fn order(
    (resource, id): (String, Option<String>),
    query: Option<String>,
    (if_match, if_none_match): Preconditions,
    act: Act,
) -> Order {
    Order { resource, id, query, if_match, if_none_match, act }
}

/// The body as JSON, if it says that it is one of these types.
pub(super) fn json(headers: &HeaderMap, types: &[&str], body: Body) -> Result<Json, FhirError> {
    let said = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let said = said.unwrap_or_default();
    let kind = said.split(';').next().unwrap_or_default().trim();
    let known = types.iter().any(|known| known.eq_ignore_ascii_case(kind));
    if !known || !of_r4(said) {
        let version = if known { ", of FHIR 4.0" } else { "" };
        let message = format!("Send the body as {}{version}.", types.first().unwrap_or(&PATCH));
        let error = FhirError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-supported", message);
        let accepted = HeaderValue::from_static(PATCH);
        return Err(if types == [PATCH] { error.with(ACCEPT_PATCH, accepted) } else { error });
    }
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let message = "The body is larger than allowed.";
            FhirError::new(StatusCode::PAYLOAD_TOO_LARGE, "too-long", message)
        }
        _ => bad_request("The body did not arrive whole."),
    })?;
    Json::parse(&body).map_err(|malformed| FhirError::of_records(&RecordsFault::from(malformed)))
}
