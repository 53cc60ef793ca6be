//! Keys.

use axum::Json;
use axum::extract::State;

use super::ControlPlane;
use super::extract::{Operator, problem};
use crate::control::{KeysView, RotationView};
use crate::http::problem::{Problem, ProblemBody};

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
