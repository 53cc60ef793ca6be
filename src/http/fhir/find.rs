//! Searches of all forms.

use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::DataPlane;
use super::error::FhirError;
use super::extract::Clinician;
use super::handlers::{Answered, resource_response};
use super::negotiate::Asked;
use crate::auth::FhirRead;
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
    form: Result<axum::extract::RawForm, axum::extract::rejection::RawFormRejection>,
) -> Answered {
    let form = form.map_err(|rejection| match rejection.status() {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            let message = "Send the parameters as application/x-www-form-urlencoded.";
            FhirError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-supported", message)
        }
        _ => too_large(),
    })?;
    let body = std::str::from_utf8(&form.0).map_err(|_| too_large())?;
    if body.split('&').any(|pair| pair.split('=').next() == Some("access_token")) {
        let message = "Send the token in the Authorization header only.";
        return Err(FhirError::new(StatusCode::BAD_REQUEST, "invalid", message));
    }
    let query = match asked.query.as_str() {
        "" => body.to_owned(),
        query => format!("{query}&{body}"),
    };
    find(&plane, caller, whole(&resource), &query, asked.lenient).await
}

fn too_large() -> FhirError {
    let message = "The body is too large or is not text.";
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
