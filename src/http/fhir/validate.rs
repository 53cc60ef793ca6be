//! `$validate` (FHIR R4, Resource-validate), of types and of instances.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::IntoResponse;

use super::DataPlane;
use super::error::{FHIR_JSON, FhirError};
use super::extract::Clinician;
use super::negotiate::Asked;
use super::write::{Answered, Body, RESOURCE, json, writing};
use crate::auth::{FhirRead, FhirWrite, Shape};
use crate::fhir::Issue;
use crate::records::{RecordsFault, Validation};

/// What can be said before a change is tried, and no more.
const FINE: &str = "Nothing speaks against it. What only the organisation's database knows (what is there \
                    already, its own rules) is seen when it is stored.";

/// `POST /fhir/{type}/$validate`: as a new resource.
pub(super) async fn of_type(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirWrite>,
    Path(resource): Path<String>,
    _asked: Asked,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Answered {
    validate(&plane, caller, (&resource, None), &uri, &headers, body).await
}

/// `POST /fhir/{type}/{id}/$validate`: as a change of that resource, or as its end.
pub(super) async fn of_instance(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirWrite>,
    Path((resource, id)): Path<(String, String)>,
    _asked: Asked,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Answered {
    validate(&plane, caller, (&resource, Some(&id)), &uri, &headers, body).await
}

/// `POST /fhir/Patient/{id}/$validate`.
pub(super) async fn of_patient(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirWrite>,
    Path(id): Path<String>,
    _asked: Asked,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Answered {
    validate(&plane, caller, ("Patient", Some(&id)), &uri, &headers, body).await
}

async fn validate(
    plane: &DataPlane,
    caller: Clinician<FhirWrite>,
    (resource, id): (&str, Option<&str>),
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
) -> Answered {
    let query = query(uri)?;
    // A deletion needs no content.
    let empty = body.as_ref().is_ok_and(axum::body::Bytes::is_empty);
    let body = if empty { None } else { Some(json(headers, &RESOURCE, body)?) };
    let asked = Validation::read(resource, id, &query, body);
    let asked = asked.map_err(|fault| FhirError::of_records(&fault))?;
    let reader = plane.0.authority.permit::<FhirRead>(caller.permit.principal(), Shape::Any).ok();
    let with = writing(plane, reader);
    let session = plane.session(caller).await?;
    let issues = session.validate(&asked, &with).await;
    let issues = issues.map_err(|fault| FhirError::of_records(&fault))?;
    let headers = [(header::CONTENT_TYPE, FHIR_JSON)];
    Ok((StatusCode::OK, headers, told(&issues).to_string()).into_response())
}

/// The outcome that says what speaks against a change.
pub(super) fn told(issues: &[Issue]) -> serde_json::Value {
    if issues.is_empty() { Issue::fine(FINE) } else { Issue::outcome(issues) }
}

/// The operation's parameters in the query; those about the form of the answer are none.
fn query(uri: &Uri) -> Result<Vec<(String, String)>, FhirError> {
    let Query(mut pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| {
        FhirError::of_records(&RecordsFault::Request("The query cannot be understood."))
    })?;
    pairs.retain(|(name, _)| !matches!(name.as_str(), "_format" | "_pretty"));
    Ok(pairs)
}
