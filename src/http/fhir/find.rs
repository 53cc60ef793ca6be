//! Searches of all forms.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};

use super::DataPlane;
use super::error::{FhirError, ONE_TYPE, reserved};
use super::extract::{Bundler, Clinician};
use super::handlers::{Answered, resource_response};
use super::negotiate::{self, Asked};
use super::write;
use crate::auth::FhirRead;
use crate::fhir::bulk::query_of;
use crate::http::token_in_query::has_token;
use crate::records::{RecordsFault, Searched};

const fn whole(resource: &str) -> Searched<'_> {
    Searched { resource, patient: None }
}

/// `GET /fhir/{type}`.
pub(super) async fn search(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirRead>,
    Path(resource): Path<String>,
    asked: Asked,
) -> Answered {
    find(&plane, caller, whole(&resource), &asked.query, asked.lenient).await
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
    negotiate::form(body)?;
    let query = match asked.query.as_str() {
        "" => body.to_owned(),
        query => format!("{query}&{body}"),
    };
    find(&plane, caller, whole(&resource), &query, asked.lenient).await
}

fn too_large() -> FhirError {
    let message = "The body is too large.";
    FhirError::new(StatusCode::PAYLOAD_TOO_LARGE, "too-long", message)
}

async fn find(
    plane: &DataPlane,
    caller: Clinician<FhirRead>,
    what: Searched<'_>,
    query: &str,
    lenient: bool,
) -> Answered {
    if let Some(error) = reserved(what.resource) {
        return Err(error);
    }
    let session = plane.session(caller).await?;
    let base = &plane.0.settings.public_url;
    let found = session.search(what, query, lenient, base).await;
    found.map(|answer| resource_response(&answer)).map_err(|f| FhirError::of(&f))
}

/// `GET /fhir?…`, `POST /fhir/_search`: searches of all types at once, which nobody is served.
pub(super) async fn of_all_types(_caller: Bundler) -> FhirError {
    FhirError::new(StatusCode::NOT_FOUND, "not-supported", ONE_TYPE)
}

/// `GET /fhir/Patient/{id}/{type}`: a search of that patient's compartment.
pub(super) async fn in_patient(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirRead>,
    Path((patient, resource)): Path<(String, String)>,
    asked: Asked,
) -> Answered {
    let what = Searched { resource: &resource, patient: Some(&patient) };
    find(&plane, caller, what, &asked.query, asked.lenient).await
}

/// `GET /fhir/Patient/{id}/$everything`.
pub(super) async fn everything(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirRead>,
    Path(patient): Path<String>,
    asked: Asked,
) -> Answered {
    all_of(&plane, caller, &patient, &asked.query).await
}

/// `POST /fhir/Patient/{id}/$everything`: an operation's parameters may stand in a body (FHIR R4, 3.2.0.2), and
/// a body that holds none says as much.
pub(super) async fn everything_by_body(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirRead>,
    Path(patient): Path<String>,
    asked: Asked,
    headers: HeaderMap,
    body: write::Body,
) -> Answered {
    let bad = |message| FhirError::of(&RecordsFault::Request(message));
    let empty = body.as_ref().is_ok_and(Bytes::is_empty);
    let said = if empty {
        String::new()
    } else {
        let body = write::json(&headers, &write::RESOURCE, body)?;
        let said = query_of(&body).map_err(|fault| FhirError::of(&fault))?;
        said.ok_or_else(|| bad("Send Parameters, each with name and value."))?
    };
    // What the form of the answer is asked for may stand in the address beside the body.
    let query = match (asked.query.as_str(), said.as_str()) {
        (query, "") => query.to_owned(),
        ("", said) => said.to_owned(),
        (query, said) => format!("{query}&{said}"),
    };
    all_of(&plane, caller, &patient, &query).await
}

async fn all_of(
    plane: &DataPlane,
    caller: Clinician<FhirRead>,
    patient: &str,
    query: &str,
) -> Answered {
    let session = plane.session(caller).await?;
    let base = &plane.0.settings.public_url;
    let found = session.everything(patient, query, base).await;
    found.map(|answer| resource_response(&answer)).map_err(|f| FhirError::of(&f))
}
