//! Bulk exports: `$export` of everything, of all patients, of a group (HL7 FHIR Bulk Data Access 2.0).

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::mpsc;

use super::DataPlane;
use super::error::FhirError;
use super::extract::Clinician;
use super::negotiate::Asked;
use super::write;
use crate::auth::FhirRead;
use crate::fhir::bulk::{NDJSON, manifest, query_of};
use crate::fhir::query::{Handling, parameters};
use crate::records::{ExportLevel, ExportPart, RecordsFault};

type Answered = Result<Response, FhirError>;

/// The parameter that names the last resource received whole, to go on behind it.
const AFTER: &str = "_after";

/// `GET /fhir/$export`.
pub(super) async fn system(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirRead>,
    asked: Asked,
) -> Answered {
    order(&plane, caller, ExportLevel::System, "$export", &asked.into()).await
}

/// `GET /fhir/Patient/$export`.
pub(super) async fn patients(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirRead>,
    asked: Asked,
) -> Answered {
    order(&plane, caller, ExportLevel::Patient, "Patient/$export", &asked.into()).await
}

/// `GET /fhir/Group/{id}/$export`.
pub(super) async fn group(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirRead>,
    Path(id): Path<String>,
    asked: Asked,
) -> Answered {
    let path = format!("Group/{id}/$export");
    order(&plane, caller, ExportLevel::Group(id), &path, &asked.into()).await
}

/// `POST /fhir/$export`.
pub(super) async fn system_by_body(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirRead>,
    asked: Asked,
    headers: HeaderMap,
    body: write::Body,
) -> Answered {
    let asked = in_body(&asked, &headers, body)?;
    order(&plane, caller, ExportLevel::System, "$export", &asked).await
}

/// `POST /fhir/Patient/$export`.
pub(super) async fn patients_by_body(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirRead>,
    asked: Asked,
    headers: HeaderMap,
    body: write::Body,
) -> Answered {
    let asked = in_body(&asked, &headers, body)?;
    order(&plane, caller, ExportLevel::Patient, "Patient/$export", &asked).await
}

/// `POST /fhir/Group/{id}/$export`.
pub(super) async fn group_by_body(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirRead>,
    Path(id): Path<String>,
    asked: Asked,
    headers: HeaderMap,
    body: write::Body,
) -> Answered {
    let asked = in_body(&asked, &headers, body)?;
    let path = format!("Group/{id}/$export");
    order(&plane, caller, ExportLevel::Group(id), &path, &asked).await
}

/// The order of a body, as a query would say it. Its parameters stand in one place.
fn in_body(asked: &Asked, headers: &HeaderMap, body: write::Body) -> Result<Ordered, FhirError> {
    let bad = |message| FhirError::of_records(&RecordsFault::Request(message));
    if !asked.query.is_empty() {
        return Err(bad("The parameters of a POST stand in its body, not in its address."));
    }
    let body = write::json(headers, &write::RESOURCE, body)?;
    let query = query_of(&body).map_err(|fault| FhirError::of(&fault))?;
    let query = query.ok_or_else(|| bad("Send Parameters, each with name and value."))?;
    Ok(Ordered { query, shown: String::new(), lenient: asked.lenient, later: asked.later })
}

/// What is ordered, and how.
struct Ordered {
    query: String,
    /// What of it belongs to the address; a body does not (2.0, "Response - Complete Status").
    shown: String,
    lenient: bool,
    later: bool,
}

impl From<Asked> for Ordered {
    fn from(asked: Asked) -> Self {
        let Asked { query, lenient, later, .. } = asked;
        Self { shown: query.clone(), query, lenient, later }
    }
}

async fn order(
    plane: &DataPlane,
    caller: Clinician<FhirRead>,
    level: ExportLevel,
    path: &str,
    asked: &Ordered,
) -> Answered {
    if !asked.later {
        let message = "An export is ordered with the header Prefer: respond-async.";
        return Err(FhirError::new(StatusCode::BAD_REQUEST, "required", message));
    }
    let handling = if asked.lenient { Handling::Lenient } else { Handling::Strict };
    let base = &plane.0.settings.public_url;
    let separator = if asked.shown.is_empty() { "" } else { "?" };
    let request = format!("{path}{separator}{}", asked.shown);
    let session = plane.session(caller).await?;
    let now = plane.0.clock.now();
    let order = session.order_export(level, &asked.query, handling, (base, &request), now).await;
    let order = order.map_err(|fault| FhirError::of(&fault))?;
    let mut response = StatusCode::ACCEPTED.into_response();
    let place = HeaderValue::from_str(&format!("{base}/bulk/{order}"));
    let place = place.map_err(|_| FhirError::of(&RecordsFault::NotFound))?;
    response.headers_mut().insert(header::CONTENT_LOCATION, place);
    Ok(response)
}

/// `GET /fhir/bulk/{order}`: the manifest. There is nothing to wait for.
pub(super) async fn status(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirRead>,
    Path(order): Path<String>,
) -> Answered {
    let session = plane.session(caller).await?;
    let export = session.export(&order, plane.0.clock.now());
    let export = export.map_err(|fault| FhirError::of(&fault))?;
    let base = &plane.0.settings.public_url;
    let url = |ty: &str| (ty.to_owned(), format!("{base}/bulk/{order}/{ty}.ndjson"));
    let files: Vec<(String, String)> = export.types().map(url).collect();
    let body = manifest(&export.transaction_time(), export.request(), &files);
    let mut response = body.into_response();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    let expires = export.expires().and_then(|at| HeaderValue::from_str(&at).ok());
    expires.and_then(|at| response.headers_mut().insert(header::EXPIRES, at));
    Ok(response)
}

/// `DELETE /fhir/bulk/{order}`: from now on there is no such order, on other gateways within seconds.
pub(super) async fn cancel(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirRead>,
    Path(order): Path<String>,
) -> Answered {
    let session = plane.session(caller).await?;
    let answer = |fault: RecordsFault| FhirError::of(&fault);
    let export = session.export(&order, plane.0.clock.now()).map_err(answer)?;
    session.cancel_export(&export).await.map_err(answer)?;
    Ok(StatusCode::ACCEPTED.into_response())
}

/// `GET /fhir/bulk/{order}/{type}.ndjson`.
pub(super) async fn file(
    State(plane): State<DataPlane>,
    caller: Clinician<FhirRead>,
    Path((order, file)): Path<(String, String)>,
    uri: axum::http::Uri,
) -> Answered {
    let answer = |fault: RecordsFault| FhirError::of(&fault);
    let query = parameters(uri.query().unwrap_or_default());
    let query = query.map_err(|fault| FhirError::of(&fault))?;
    let after = query.into_iter().find_map(|(name, value)| (name == AFTER).then_some(value));
    let session = plane.session(caller).await?;
    let export = session.export(&order, plane.0.clock.now()).map_err(answer)?;
    let ty = file.strip_suffix(".ndjson").ok_or_else(|| answer(RecordsFault::NotFound))?;
    let by = (&plane.0.exports, &plane.0.authority);
    let patience = plane.0.settings.request_timeout;
    let pages = session.export_file(by, export, ty, after.as_deref(), patience).await;
    let pages = pages.map_err(answer)?;
    let mut response = Response::new(Body::from_stream(stream::try_unfold(pages, next)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    Ok(response)
}

type Pages = mpsc::Receiver<Result<ExportPart, RecordsFault>>;

/// A body that ends without its last part is broken off, so that the receiver knows.
async fn next(mut pages: Pages) -> Result<Option<(Bytes, Pages)>, std::io::Error> {
    match pages.recv().await {
        Some(Ok(ExportPart::Lines(lines))) => Ok(Some((lines, pages))),
        Some(Ok(ExportPart::Whole)) => Ok(None),
        Some(Err(_)) | None => Err(std::io::ErrorKind::ConnectionAborted.into()),
    }
}
