//! A tenant's lane and breaker on this gateway.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::ControlPlane;
use super::extract::{Operator, problem};
use crate::control::{BreakerView, LaneView};
use crate::http::problem::{Problem, ProblemBody};

/// The tenant's lane on this gateway.
#[utoipa::path(get, path = "/admin/v1/tenants/{id}/pool", tag = "lanes", params(("id" = String, Path,)), responses(
    (status = 200, body = LaneView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn pool(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<Json<LaneView>, Problem> {
    plane.0.control.lane(&caller, &id).await.map(Json).map_err(problem)
}

/// Retire the tenant's lane on this gateway: requests under way end on it, later ones get a new one.
#[utoipa::path(post, path = "/admin/v1/tenants/{id}/pool/drain", tag = "lanes", params(("id" = String, Path,)), responses(
    (status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn drain(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    plane.0.control.drain(&caller, &id).await.map_err(problem)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The tenant's breaker on this gateway.
#[utoipa::path(get, path = "/admin/v1/tenants/{id}/breaker", tag = "lanes", params(("id" = String, Path,)), responses(
    (status = 200, body = BreakerView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn breaker(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<Json<BreakerView>, Problem> {
    plane.0.control.breaker(&caller, &id).await.map(Json).map_err(problem)
}

/// Close the tenant's breaker on this gateway now.
#[utoipa::path(post, path = "/admin/v1/tenants/{id}/breaker/reset", tag = "lanes", params(("id" = String, Path,)), responses(
    (status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn reset_breaker(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    plane.0.control.reset_breaker(&caller, &id).await.map_err(problem)?;
    Ok(StatusCode::NO_CONTENT)
}
