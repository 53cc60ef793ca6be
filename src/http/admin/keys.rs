//! Keys, and the operators' own log.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::ControlPlane;
use super::extract::{Operator, problem};
use crate::control::{EventPage, KeysView, RotationView};
use crate::http::problem::{Problem, ProblemBody};

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventQuery {
    /// Only events before this number (`next` of the page before).
    before: Option<i64>,
    /// Entries of a page, 1 to 200.
    limit: Option<u32>,
}

/// Key-encryption keys and how many data keys each wraps.
#[utoipa::path(get, path = "/admin/v1/keys", tag = "keys", responses(
    (status = 200, body = KeysView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn list(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
) -> Result<Json<KeysView>, Problem> {
    plane.0.control.keys(&caller).await.map(Json).map_err(problem)
}

/// Rewrap every data key that is not under the current key-encryption key. May be asked again at any time.
#[utoipa::path(post, path = "/admin/v1/keys/rotate", tag = "keys", responses(
    (status = 200, body = RotationView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn rotate(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
) -> Result<Json<RotationView>, Problem> {
    plane.0.control.rewrap(&caller).await.map(Json).map_err(problem)
}

/// What operators did, newest first.
#[utoipa::path(get, path = "/admin/v1/events", tag = "events", params(EventQuery), responses(
    (status = 200, body = EventPage), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn events(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    query: Result<Query<EventQuery>, QueryRejection>,
) -> Result<Json<EventPage>, Problem> {
    let Query(query) = query.map_err(|_| {
        let detail = "The query takes before and limit.";
        Problem::new(StatusCode::BAD_REQUEST, "invalid", detail)
    })?;
    let limit = query.limit.unwrap_or(50);
    plane.0.control.events(&caller, query.before, limit).await.map(Json).map_err(problem)
}
