//! `/admin/v1/operations`: long-running work, how far it is, and ordering it again or an end to it.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::ControlPlane;
use super::extract::{Operator, problem};
use crate::control::{OperationPage, OperationQuery, OperationView};
use crate::http::problem::{Problem, ProblemBody};

/// What to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only in this state.
    state: Option<String>,
    /// Only of this kind.
    kind: Option<String>,
    /// Only about this tenant, by name or UUID; its parts of larger operations too.
    tenant: Option<String>,
    /// Only parts of this operation.
    parent: Option<Uuid>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Entries of a page, 1 to 200.
    limit: Option<u32>,
}

/// An operation's id; what is none is not there.
type Id = Result<Path<Uuid>, PathRejection>;

fn id(path: Id) -> Result<Uuid, Problem> {
    path.map(|Path(id)| id).map_err(|_| {
        Problem::new(StatusCode::NOT_FOUND, "not_found", "There is no such operation.")
    })
}

/// List operations, newest first. Parts of larger ones only where `parent` or `tenant` is given.
#[utoipa::path(get, path = "/admin/v1/operations", tag = "operations", params(ListQuery), responses(
    (status = 200, body = OperationPage), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn list(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<OperationPage>, Problem> {
    let Query(query) = query.map_err(|_| {
        let detail = "The query takes state, kind, tenant, parent, cursor and limit.";
        Problem::new(StatusCode::BAD_REQUEST, "invalid", detail)
    })?;
    let ListQuery { state, kind, tenant, parent, cursor, limit } = query;
    let wanted = OperationQuery { state, kind, tenant, parent };
    let limit = limit.unwrap_or(50);
    let page = plane.0.control.operations(&caller, &wanted, cursor.as_deref(), limit).await;
    page.map(Json).map_err(problem)
}

/// Show an operation with its steps.
#[utoipa::path(get, path = "/admin/v1/operations/{id}", tag = "operations", params(("id" = Uuid, Path,)), responses(
    (status = 200, body = OperationView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn show(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    path: Id,
) -> Result<Json<OperationView>, Problem> {
    plane.0.control.operation(&caller, id(path)?).await.map(Json).map_err(problem)
}

/// Let a failed operation go on where it stopped.
#[utoipa::path(post, path = "/admin/v1/operations/{id}/retry", tag = "operations", params(("id" = Uuid, Path,)), responses(
    (status = 200, body = OperationView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn retry(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    path: Id,
) -> Result<Json<OperationView>, Problem> {
    plane.0.control.retry_operation(&caller, id(path)?).await.map(Json).map_err(problem)
}

/// End an operation and take away what it made, as long as there is a way back.
#[utoipa::path(post, path = "/admin/v1/operations/{id}/cancel", tag = "operations", params(("id" = Uuid, Path,)), responses(
    (status = 200, body = OperationView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn cancel(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    path: Id,
) -> Result<Json<OperationView>, Problem> {
    plane.0.control.cancel_operation(&caller, id(path)?).await.map(Json).map_err(problem)
}

/// Let an operation rest after what is under way.
#[utoipa::path(post, path = "/admin/v1/operations/{id}/freeze", tag = "operations", params(("id" = Uuid, Path,)), responses(
    (status = 200, body = OperationView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn freeze(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    path: Id,
) -> Result<Json<OperationView>, Problem> {
    let id = id(path)?;
    plane.0.control.freeze_operation(&caller, id, true).await.map(Json).map_err(problem)
}

/// Let a frozen operation go on.
#[utoipa::path(post, path = "/admin/v1/operations/{id}/resume", tag = "operations", params(("id" = Uuid, Path,)), responses(
    (status = 200, body = OperationView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn resume(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    path: Id,
) -> Result<Json<OperationView>, Problem> {
    let id = id(path)?;
    plane.0.control.freeze_operation(&caller, id, false).await.map(Json).map_err(problem)
}
