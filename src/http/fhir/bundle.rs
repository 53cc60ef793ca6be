//! `POST /fhir`: batches and transactions (FHIR R4, 3.1.0.11).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::DataPlane;
use super::error::{FHIR_JSON, FhirError};
use super::extract::{Bundler, Clinician};
use super::negotiate::{Asked, among};
use super::validate;
use super::write::{self, Back, location, outcome, writing};
use crate::auth::{Permit, Right};
use crate::records::{Answer, Bundle, BundleKind, Entry, RecordsFault, Searched, Wanted, Written};
use crate::tenant::FORBIDDEN_MESSAGE;

/// A batch whose answers are so long together, in bytes, is answered no further: each of a hundred searches
/// may fill a page.
const ENOUGH: usize = 32 * 1024 * 1024;

/// One entry's answer.
struct Said {
    status: StatusCode,
    resource: Option<Bytes>,
    response: Value,
}

/// `POST /fhir` and `POST /fhir/`.
pub(super) async fn bundle(
    State(plane): State<DataPlane>,
    caller: Bundler,
    asked: Asked,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, FhirError> {
    let types = ["application/fhir+json", "application/json", "text/json"];
    let body = write::json(&headers, &types, body)?;
    let bundle = Bundle::read(body, &plane.0.settings.public_url)
        .map_err(|fault| FhirError::of_records(&fault))?;
    let (back, whose) = (Back::of(&headers), caller.tenant());
    let counted = |text: String| match whose {
        Some(tenant) => plane.0.tenants.counted(tenant, text.into_bytes()),
        None => Bytes::from(text),
    };
    match bundle.kind {
        BundleKind::Transaction => transaction(&plane, caller, bundle, back)
            .await
            .map(|all| answer(counted(text("transaction-response", &all)))),
        BundleKind::Batch => {
            let (mut all, mut long) = (Vec::with_capacity(bundle.entries.len()), 0);
            for entry in bundle.entries {
                if long >= ENOUGH {
                    all.push(refused(too_long()));
                    continue;
                }
                let said = one(&plane, &caller, entry, asked.lenient, back).await;
                let said = said.unwrap_or_else(refused);
                long += said.resource.as_ref().map_or(0, Bytes::len);
                all.push(said);
            }
            Ok(answer(counted(text("batch-response", &all))))
        }
    }
}

async fn transaction(
    plane: &DataPlane,
    caller: Bundler,
    bundle: Bundle,
    back: Back,
) -> Result<Vec<Said>, FhirError> {
    let entries: Result<Vec<Entry>, RecordsFault> = bundle.entries.into_iter().collect();
    let entries = entries.map_err(|fault| FhirError::of_records(&fault))?;
    let Bundler { reader, writer, request, deadline } = caller;
    let permit = writer.ok_or_else(forbidden)?;
    let session = Arc::new(plane.session(Clinician { permit, request, deadline }).await?);
    let written = session.write_together(entries, writing(plane, reader)).await;
    let written = written.map_err(|fault| FhirError::of_records(&fault))?;
    let base = &plane.0.settings.public_url;
    Ok(written.iter().map(|written| said(base, written, back)).collect())
}

/// Carries one entry of a batch out, as a request of its own.
async fn one(
    plane: &DataPlane,
    caller: &Bundler,
    entry: Result<Entry, RecordsFault>,
    lenient: bool,
    back: Back,
) -> Result<Said, FhirError> {
    let entry = entry.map_err(|fault| FhirError::of_records(&fault))?;
    let base = &plane.0.settings.public_url;
    match entry.wanted {
        Wanted::Order(order) => {
            let session =
                Arc::new(plane.session(clinician(caller.writer.as_ref(), caller)?).await?);
            let written = session.write(*order, writing(plane, caller.reader.clone())).await;
            let written = written.map_err(|fault| FhirError::of_records(&fault))?;
            Ok(said(base, &written, back))
        }
        Wanted::Read { resource, id, version, query, unless } => {
            let session = plane.session(clinician(caller.reader.as_ref(), caller)?).await?;
            let found = match &version {
                Some(version) => session.vread(&resource, &id, version, &query).await,
                None => session.read(&resource, &id, &query).await,
            };
            let answer = found.map_err(|fault| FhirError::of_records(&fault))?;
            let has = |version| unless.as_ref().is_some_and(|tags| among(tags, version));
            let same = answer.version().is_some_and(has);
            let said = given(&answer);
            let unchanged = StatusCode::NOT_MODIFIED;
            Ok(if same { Said { status: unchanged, resource: None, ..said } } else { said })
        }
        Wanted::Validate(asked) => {
            let session = plane.session(clinician(caller.writer.as_ref(), caller)?).await?;
            let found = session.validate(&asked, &writing(plane, caller.reader.clone())).await;
            let issues = found.map_err(|fault| FhirError::of_records(&fault))?;
            let resource = Some(validate::told(&issues).to_string().into());
            Ok(Said { status: StatusCode::OK, resource, response: json!({}) })
        }
        Wanted::Everything { patient, query } => {
            let session = plane.session(clinician(caller.reader.as_ref(), caller)?).await?;
            let found = session.everything(&patient, &query, base).await;
            found.map(|answer| given(&answer)).map_err(|fault| FhirError::of_records(&fault))
        }
        Wanted::Search { resource, patient, query } => {
            let session = plane.session(clinician(caller.reader.as_ref(), caller)?).await?;
            let searched = Searched { resource: &resource, patient: patient.as_deref() };
            let found = session.search(searched, &query, lenient, base).await;
            found.map(|answer| given(&answer)).map_err(|fault| FhirError::of_records(&fault))
        }
    }
}

fn clinician<R: Right>(
    permit: Option<&Permit<R>>,
    caller: &Bundler,
) -> Result<Clinician<R>, FhirError> {
    let permit = permit.cloned().ok_or_else(forbidden)?;
    Ok(Clinician { permit, request: caller.request, deadline: caller.deadline })
}

fn too_long() -> FhirError {
    let message = "The answers before this one are as long as a batch's may be; send it by itself.";
    FhirError::new(StatusCode::PAYLOAD_TOO_LARGE, "too-costly", message)
}

fn forbidden() -> FhirError {
    FhirError::new(StatusCode::FORBIDDEN, "forbidden", FORBIDDEN_MESSAGE)
}

fn refused(error: FhirError) -> Said {
    let (status, outcome) = error.into_outcome();
    Said { status, resource: None, response: json!({ "outcome": outcome }) }
}

/// What was read or found.
fn given(answer: &Answer) -> Said {
    let mut response = json!({});
    if let Some(version) = answer.version() {
        response["etag"] = json!(format!("W/\"{version}\""));
    }
    Said { status: StatusCode::OK, resource: Some(answer.body().clone()), response }
}

/// What was written.
fn said(base: &str, written: &Written, back: Back) -> Said {
    let status = StatusCode::from_u16(written.status).unwrap_or(StatusCode::OK);
    let mut response = json!({});
    if let Some(location) = location(base, written).filter(|_| written.status < 204) {
        response["location"] = json!(location);
    }
    if let Some(version) = &written.version {
        response["etag"] = json!(format!("W/\"{version}\""));
    }
    if let Some(updated) = &written.updated {
        response["lastModified"] = json!(updated);
    }
    if back == Back::Outcome {
        response["outcome"] = outcome();
    }
    let resource = written.body.clone().filter(|_| back == Back::Resource && written.status != 204);
    Said { status, resource, response }
}

fn text(kind: &str, all: &[Said]) -> String {
    let mut text = format!("{{\"resourceType\":\"Bundle\",\"type\":\"{kind}\"");
    for (at, said) in all.iter().enumerate() {
        text.push_str(if at == 0 { ",\"entry\":[{" } else { ",{" });
        let body = said.resource.as_ref().and_then(|body| std::str::from_utf8(body).ok());
        // It is the gateway's own JSON; what is not would spoil the whole bundle.
        let body = body.and_then(|body| serde_json::from_str::<&RawValue>(body).ok());
        if let Some(body) = body {
            text.push_str("\"resource\":");
            text.push_str(body.get());
            text.push(',');
        }
        let mut response = said.response.clone();
        let phrase = said.status.canonical_reason().unwrap_or_default();
        response["status"] = json!(format!("{} {phrase}", said.status.as_u16()));
        text.push_str("\"response\":");
        text.push_str(&response.to_string());
        text.push('}');
    }
    text.push_str(if all.is_empty() { "}" } else { "]}" });
    text
}

fn answer(body: Bytes) -> Response {
    let mut response = (StatusCode::OK, body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, FHIR_JSON);
    response
}
