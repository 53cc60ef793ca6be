//! Searches of all forms.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};

use super::DataPlane;
use super::error::FhirError;
use super::extract::Clinician;
use super::handlers::{Answered, resource_response};
use super::negotiate::{self, Asked};
use crate::auth::FhirRead;
use crate::http::token_in_query::has_token;
use crate::records::Searched;

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
    let session = plane.session(caller).await?;
    let base = &plane.0.settings.public_url;
    let found = session.search(what, query, lenient, base).await;
    found.map(|answer| resource_response(&answer)).map_err(|f| FhirError::of(&f))
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
    let session = plane.session(caller).await?;
    let base = &plane.0.settings.public_url;
    let found = session.everything(&patient, &asked.query, base).await;
    found.map(|answer| resource_response(&answer)).map_err(|f| FhirError::of(&f))
}
