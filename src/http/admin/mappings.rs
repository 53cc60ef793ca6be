//! A tenant's mapping versions.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::ControlPlane;
use super::extract::{Operator, explained, if_match, problem, tagged};
use crate::base::Generation;
use crate::control::{
    ApprovalView, Caller, ControlFault, MappingReport, MappingView, Ordered, TenantView,
};
use crate::http::problem::{Problem, ProblemBody};

/// List a tenant's mapping versions, newest first.
#[utoipa::path(get, path = "/admin/v1/tenants/{id}/mappings", tag = "mappings", params(("id" = String, Path,)), responses(
    (status = 200, body = Vec<MappingView>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn list(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<Json<Vec<MappingView>>, Problem> {
    plane.0.control.mappings(&caller, &id).await.map(Json).map_err(problem)
}

/// Check a mapping (YAML or JSON body) against the live schema and store it as a new version if it has no
/// faults.
#[utoipa::path(post, path = "/admin/v1/tenants/{id}/mappings", tag = "mappings",
    request_body(content = String, content_type = "application/yaml"), params(("id" = String, Path,)), responses(
    (status = 201, body = MappingReport), (status = 422, body = MappingReport),
    (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn store(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    text: Result<String, axum::extract::rejection::StringRejection>,
) -> Result<Response, Problem> {
    let text = text.map_err(|_| {
        let detail = "The body is too large or is not UTF-8 text.";
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    })?;
    let report = plane.0.control.store_mapping(&caller, &id, &text).await.map_err(problem)?;
    let status = if report.ok { StatusCode::CREATED } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, Json(report)).into_response())
}

/// A mapping version's text as it was stored.
#[utoipa::path(get, path = "/admin/v1/tenants/{id}/mappings/{version}", tag = "mappings",
    params(("id" = String, Path,), ("version" = u32, Path,)), responses(
    (status = 200, body = String), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn show(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path((id, version)): Path<(String, String)>,
) -> Result<String, Problem> {
    let version = number(&version)?;
    plane.0.control.mapping_text(&caller, &id, version).await.map_err(problem)
}

/// Make a version the active one. One that brings SQL of its own waits for a second person, where one is asked
/// for: 202 with the request.
#[utoipa::path(post, path = "/admin/v1/tenants/{id}/mappings/{version}/publish", tag = "mappings",
    params(("id" = String, Path,), ("version" = u32, Path,), ("If-Match" = String, Header,)), responses(
    (status = 200, body = TenantView), (status = 202, body = ApprovalView),
    (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn publish(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path((id, version)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (version, expected) = (number(&version)?, if_match(&headers)?);
    let changed = plane.0.control.publish_mapping(&caller, &id, version, expected).await;
    put_in_force(&plane, &caller, &id, expected, changed).await
}

async fn put_in_force(
    plane: &ControlPlane,
    caller: &Caller,
    id: &str,
    expected: Option<Generation>,
    changed: Result<Ordered<TenantView>, ControlFault>,
) -> Result<Response, Problem> {
    match changed {
        Ok(Ordered::Done(tenant)) => Ok(tagged(StatusCode::OK, tenant.generation, &tenant)),
        Ok(Ordered::Waits(view)) => Ok((StatusCode::ACCEPTED, Json(view)).into_response()),
        Err(fault) => Err(explained(plane, caller, id, expected, fault).await),
    }
}

/// Make the version that was active before active again. One that brings SQL of its own back waits for a second
/// person, where one is asked for: 202 with the request.
#[utoipa::path(post, path = "/admin/v1/tenants/{id}/mappings/rollback", tag = "mappings",
    params(("id" = String, Path,), ("If-Match" = String, Header,)), responses(
    (status = 200, body = TenantView), (status = 202, body = ApprovalView),
    (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn rollback(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let expected = if_match(&headers)?;
    let changed = plane.0.control.rollback_mapping(&caller, &id, expected).await;
    put_in_force(&plane, &caller, &id, expected, changed).await
}

pub(in crate::http) fn number(text: &str) -> Result<u32, Problem> {
    text.parse().map_err(|_| {
        let detail = "There is no such mapping version.";
        Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
    })
}
