//! `/admin/v1/approvals`: orders that wait for a second person.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::ControlPlane;
use super::extract::{Operator, problem};
use crate::control::ApprovalView;
use crate::http::problem::{Problem, ProblemBody};

/// What to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Also those that were decided or have expired.
    all: Option<bool>,
}

/// A request's id; what is none is not there.
type Id = Result<Path<Uuid>, PathRejection>;

fn id(path: Id) -> Result<Uuid, Problem> {
    path.map(|Path(id)| id)
        .map_err(|_| Problem::new(StatusCode::NOT_FOUND, "not_found", "There is no such request."))
}

/// List what waits for a second person, newest first.
#[utoipa::path(get, path = "/admin/v1/approvals", tag = "approvals", params(ListQuery), responses(
    (status = 200, body = Vec<ApprovalView>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn list(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Vec<ApprovalView>>, Problem> {
    let Query(query) = query
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "invalid", "The query takes all."))?;
    let all = query.all.unwrap_or_default();
    plane.0.control.approvals(&caller, all).await.map(Json).map_err(problem)
}

/// Show a request.
#[utoipa::path(get, path = "/admin/v1/approvals/{id}", tag = "approvals", params(("id" = Uuid, Path,)), responses(
    (status = 200, body = ApprovalView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn show(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    path: Id,
) -> Result<Json<ApprovalView>, Problem> {
    plane.0.control.approval(&caller, id(path)?).await.map(Json).map_err(problem)
}

/// Approve a request, as another person than whoever asked, with the approver's role. What was ordered begins.
#[utoipa::path(post, path = "/admin/v1/approvals/{id}/approve", tag = "approvals", params(("id" = Uuid, Path,)), responses(
    (status = 200, body = ApprovalView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn approve(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    path: Id,
) -> Result<Json<ApprovalView>, Problem> {
    plane.0.control.approve(&caller, id(path)?).await.map(Json).map_err(problem)
}

/// Refuse a request, or take back one's own.
#[utoipa::path(post, path = "/admin/v1/approvals/{id}/refuse", tag = "approvals", params(("id" = Uuid, Path,)), responses(
    (status = 200, body = ApprovalView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn refuse(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    path: Id,
) -> Result<Json<ApprovalView>, Problem> {
    plane.0.control.refuse(&caller, id(path)?).await.map(Json).map_err(problem)
}
