//! What tenants used, and which of their queries take long.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::ControlPlane;
use super::extract::{Operator, problem};
use crate::control::{QueriesView, TenantUsage, UsagePage};
use crate::http::problem::{Problem, ProblemBody};

/// Of when.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct MonthQuery {
    /// `YYYY-MM`, UTC; without it every month of which something is known.
    month: Option<String>,
}

/// Of when, and which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// `YYYY-MM`, UTC; without it the present month.
    month: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
}

fn taken<T>(query: Result<Query<T>, QueryRejection>, takes: &'static str) -> Result<T, Problem> {
    let refused = |_| Problem::new(StatusCode::BAD_REQUEST, "invalid", takes);
    query.map(|Query(query)| query).map_err(refused)
}

/// What the tenant used by month: requests, rows, bytes, seconds of its database.
#[utoipa::path(get, path = "/admin/v1/tenants/{id}/usage", tag = "usage", params(("id" = String, Path,), MonthQuery), responses(
    (status = 200, body = TenantUsage), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn of_tenant(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    query: Result<Query<MonthQuery>, QueryRejection>,
) -> Result<Json<TenantUsage>, Problem> {
    let query = taken(query, "The query takes month.")?;
    let found = plane.0.control.usage(&caller, &id, query.month.as_deref()).await;
    found.map(Json).map_err(problem)
}

/// What every tenant used in a month.
#[utoipa::path(get, path = "/admin/v1/usage", tag = "usage", params(PageQuery), responses(
    (status = 200, body = UsagePage), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn of_all(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<UsagePage>, Problem> {
    let PageQuery { month, cursor } = taken(query, "The query takes month and cursor.")?;
    let found = plane.0.control.usage_of_all(&caller, month.as_deref(), cursor.as_deref()).await;
    found.map(Json).map_err(problem)
}

/// How long the tenant's statements took on this gateway, by plan.
#[utoipa::path(get, path = "/admin/v1/tenants/{id}/queries", tag = "usage", params(("id" = String, Path,)), responses(
    (status = 200, body = QueriesView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn queries(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<Json<QueriesView>, Problem> {
    plane.0.control.queries(&caller, &id).await.map(Json).map_err(problem)
}
