//! `/tenant/v1/mappings/…`: what a hospital's own administrator needs to write a mapping. As the admin API's,
//! and beyond it a preview of resources, for who may read her hospital's patients anyway.

use axum::Json;
use axum::extract::rejection::{QueryRejection, StringRejection};
use axum::extract::{FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::DataPlane;
use super::extract::Clinician;
use super::hospital::Administrator;
use crate::auth::{FhirAdmin, FhirRead, Permit};
use crate::control::{DiffView, DraftView, DriftView};
use crate::http::admin::authoring::{DiffQuery, body, reported, sides};
use crate::http::admin::extract::problem;
use crate::http::problem::Problem;
use crate::records::{MOST_SHOWN, PreviewOf};
use crate::tenant::Session;

/// Somebody who holds both rights: to manage her hospital's mapping, and to read its patients.
pub(super) struct Previewer {
    proof: Permit<FhirAdmin>,
    session: Session<FhirRead>,
}

impl FromRequestParts<DataPlane> for Previewer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, plane: &DataPlane) -> Result<Self, Problem> {
        let into = super::FhirError::into_problem;
        let admin = Clinician::<FhirAdmin>::from_request_parts(parts, plane).await.map_err(into)?;
        let reader = Clinician::<FhirRead>::from_request_parts(parts, plane).await.map_err(into)?;
        let session = plane.session(reader).await.map_err(into)?;
        Ok(Self { proof: admin.permit, session })
    }
}

/// `POST /tenant/v1/mappings/draft`: a first mapping, proposed from the live schema.
pub(super) async fn draft(
    State(plane): State<DataPlane>,
    admin: Administrator,
) -> Result<Json<DraftView>, Problem> {
    let drafted = plane.0.control.draft_mapping(&admin.0, &admin.own()).await;
    drafted.map(Json).map_err(problem)
}

/// `POST /tenant/v1/mappings/check`: all faults, and what came of trying it, in numbers. Nothing is stored.
pub(super) async fn check(
    State(plane): State<DataPlane>,
    admin: Administrator,
    text: Result<String, StringRejection>,
) -> Result<Response, Problem> {
    let text = body(text)?;
    let report = plane.0.control.check_mapping(&admin.0, &admin.own(), &text).await;
    report.map(reported).map_err(problem)
}

/// `POST /tenant/v1/mappings/diff`: what changes from one mapping to another.
pub(super) async fn diff(
    State(plane): State<DataPlane>,
    admin: Administrator,
    query: Result<Query<DiffQuery>, QueryRejection>,
    text: Result<String, StringRejection>,
) -> Result<Json<DiffView>, Problem> {
    let (from, to) = sides(query, text)?;
    let diff = plane.0.control.diff_mapping(&admin.0, &admin.own(), from, to).await;
    diff.map(Json).map_err(problem)
}

/// `GET /tenant/v1/mappings/drift`: what was found last.
pub(super) async fn drift(
    State(plane): State<DataPlane>,
    admin: Administrator,
) -> Result<Json<Option<DriftView>>, Problem> {
    plane.0.control.drift(&admin.0, &admin.own()).await.map(Json).map_err(problem)
}

/// `POST /tenant/v1/mappings/drift`: looks now.
pub(super) async fn look(
    State(plane): State<DataPlane>,
    admin: Administrator,
) -> Result<Json<DriftView>, Problem> {
    plane.0.control.check_drift(&admin.0, &admin.own()).await.map(Json).map_err(problem)
}

/// What is wanted of a preview.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PreviewQuery {
    /// Rows of each source.
    rows: Option<u32>,
    /// `Type/id`, several with commas between them.
    ids: Option<String>,
    /// Only this type.
    #[serde(rename = "type")]
    resource_type: Option<String>,
}

/// `POST /tenant/v1/mappings/preview`: resources from live rows through the body's mapping, which need not be
/// stored. An access to patients' data like any other, and written down as one.
pub(super) async fn preview(
    previewer: Previewer,
    query: Result<Query<PreviewQuery>, QueryRejection>,
    text: Result<String, StringRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|_| {
        let detail = "The query takes rows, type and ids.";
        Problem::new(StatusCode::BAD_REQUEST, "invalid", detail)
    })?;
    let text = body(text)?;
    let ids = query.ids.unwrap_or_default();
    let wanted = PreviewOf {
        rows: query.rows.unwrap_or(3).clamp(1, MOST_SHOWN),
        ids: ids.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect(),
        resource_type: query.resource_type,
    };
    let shown = previewer.session.preview(&previewer.proof, &text, &wanted).await;
    let answer = shown.map_err(|fault| Problem::of(&fault))?;
    let json = HeaderValue::from_static("application/json");
    let no_store = HeaderValue::from_static("no-store");
    let headers = [(header::CONTENT_TYPE, json), (header::CACHE_CONTROL, no_store)];
    Ok((headers, answer.body().clone()).into_response())
}
