//! Writing a mapping: a first draft, checks, what changes, what the hospital's database changed.

use axum::Json;
use axum::extract::rejection::{QueryRejection, StringRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::ControlPlane;
use super::extract::{Operator, problem};
use crate::control::{DiffView, DraftView, DriftView, MappingReport, Side};
use crate::http::problem::{Problem, ProblemBody};

/// Which two mappings are compared.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct DiffQuery {
    /// A version; the one in force when left out.
    from: Option<u32>,
    /// A version; the text of the body when left out.
    to: Option<u32>,
}

/// The two sides of a comparison.
pub(in crate::http) fn sides(
    query: Result<Query<DiffQuery>, QueryRejection>,
    text: Result<String, StringRejection>,
) -> Result<(Side, Side), Problem> {
    let Query(query) = query.map_err(|_| {
        let detail = "The query takes from and to, each a version's number.";
        Problem::new(StatusCode::BAD_REQUEST, "invalid", detail)
    })?;
    let from = query.from.map_or(Side::Active, Side::Version);
    let to = match query.to {
        Some(version) => Side::Version(version),
        None => Side::Text(body(text)?),
    };
    Ok((from, to))
}

/// A mapping's text as a body.
pub(in crate::http) fn body(text: Result<String, StringRejection>) -> Result<String, Problem> {
    text.map_err(|_| {
        let detail = "The body is too large or is not UTF-8 text.";
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    })
}

/// A report with the status that says whether the mapping is sound.
pub(in crate::http) fn reported(report: MappingReport) -> Response {
    let status = if report.ok { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    (status, Json(report)).into_response()
}

/// Propose a first mapping from the tenant's live schema and the first rows of its tables. Of the rows only
/// counts, formats and frequent codes are given out. Nothing is stored.
#[utoipa::path(post, path = "/admin/v1/tenants/{id}/mappings/draft", tag = "mappings", params(("id" = String, Path,)), responses(
    (status = 200, body = DraftView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn draft(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<Json<DraftView>, Problem> {
    plane.0.control.draft_mapping(&caller, &id).await.map(Json).map_err(problem)
}

/// Check a mapping (YAML or JSON body) against the live schema and try it on some rows, in numbers. Nothing
/// is stored.
#[utoipa::path(post, path = "/admin/v1/tenants/{id}/mappings/check", tag = "mappings",
    request_body(content = String, content_type = "application/yaml"), params(("id" = String, Path,)), responses(
    (status = 200, body = MappingReport), (status = 422, body = MappingReport),
    (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn check(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    text: Result<String, StringRejection>,
) -> Result<Response, Problem> {
    let text = body(text)?;
    plane.0.control.check_mapping(&caller, &id, &text).await.map(reported).map_err(problem)
}

/// Say what changes from one mapping to another: two versions, or a version and the body's text.
#[utoipa::path(post, path = "/admin/v1/tenants/{id}/mappings/diff", tag = "mappings",
    request_body(content = String, content_type = "application/yaml"), params(("id" = String, Path,), DiffQuery), responses(
    (status = 200, body = DiffView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn diff(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    query: Result<Query<DiffQuery>, QueryRejection>,
    text: Result<String, StringRejection>,
) -> Result<Json<DiffView>, Problem> {
    let (from, to) = sides(query, text)?;
    plane.0.control.diff_mapping(&caller, &id, from, to).await.map(Json).map_err(problem)
}

/// What was found when the tenant's schema was last compared with its mapping in force; `null` when it never
/// was.
#[utoipa::path(get, path = "/admin/v1/tenants/{id}/mappings/drift", tag = "mappings", params(("id" = String, Path,)), responses(
    (status = 200, body = Option<DriftView>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn drift(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<Json<Option<DriftView>>, Problem> {
    plane.0.control.drift(&caller, &id).await.map(Json).map_err(problem)
}

/// Compare the tenant's live schema with its mapping in force now.
#[utoipa::path(post, path = "/admin/v1/tenants/{id}/mappings/drift", tag = "mappings", params(("id" = String, Path,)), responses(
    (status = 200, body = DriftView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn look(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<Json<DriftView>, Problem> {
    plane.0.control.check_drift(&caller, &id).await.map(Json).map_err(problem)
}
