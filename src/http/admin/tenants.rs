//! `/admin/v1/tenants` and what hangs off one tenant.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::ControlPlane;
use super::body::Body;
use super::extract::{Operator, explained, if_match, problem, tagged};
use crate::control::{
    CheckReport, ConnectionInput, ConnectionView, NewTenant, TenantFilter, TenantPage, TenantPatch,
    TenantView,
};
use crate::http::problem::{Problem, ProblemBody};

/// What to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only tenants in this state.
    state: Option<String>,
    /// Only tenants whose name begins so.
    name: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Entries of a page, 1 to 200.
    limit: Option<u32>,
}

/// Why a tenant is suspended.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SuspendBody {
    /// Shown to operators only.
    reason: String,
}

/// List tenants.
#[utoipa::path(get, path = "/admin/v1/tenants", tag = "tenants", params(ListQuery), responses(
    (status = 200, body = TenantPage), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn list(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    query: Result<Query<ListQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<TenantPage>, Problem> {
    let Query(query) = query.map_err(|_| {
        let detail = "The query takes state, name, cursor and limit.";
        Problem::new(StatusCode::BAD_REQUEST, "invalid", detail)
    })?;
    let filter = TenantFilter { state: query.state, name_prefix: query.name };
    let limit = query.limit.unwrap_or(50);
    let page = plane.0.control.list(&caller, filter, query.cursor.as_deref(), limit).await;
    page.map(Json).map_err(problem)
}

/// Register a tenant. Without `connection` it stays a draft.
#[utoipa::path(post, path = "/admin/v1/tenants", tag = "tenants", request_body = NewTenant, responses(
    (status = 201, body = TenantView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn add(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Body(new): Body<NewTenant>,
) -> Result<Response, Problem> {
    let tenant = plane.0.control.add(&caller, new).await.map_err(problem)?;
    Ok(tagged(StatusCode::CREATED, tenant.generation, &tenant))
}

/// Show a tenant.
#[utoipa::path(get, path = "/admin/v1/tenants/{id}", tag = "tenants", params(("id" = String, Path,)), responses(
    (status = 200, body = TenantView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn show(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let tenant = plane.0.control.show(&caller, &id).await.map_err(problem)?;
    Ok(tagged(StatusCode::OK, tenant.generation, &tenant))
}

/// Change a tenant's display name, identities or limits.
#[utoipa::path(patch, path = "/admin/v1/tenants/{id}", tag = "tenants", request_body = TenantPatch,
    params(("id" = String, Path,), ("If-Match" = String, Header,)), responses(
    (status = 200, body = TenantView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn change(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(patch): Body<TenantPatch>,
) -> Result<Response, Problem> {
    let expected = if_match(&headers)?;
    let changed = plane.0.control.change(&caller, &id, expected, patch).await;
    let tenant = match changed {
        Ok(tenant) => tenant,
        Err(fault) => return Err(explained(&plane, &caller, &id, expected, fault).await),
    };
    Ok(tagged(StatusCode::OK, tenant.generation, &tenant))
}

/// Show a tenant's connection without its secrets.
#[utoipa::path(get, path = "/admin/v1/tenants/{id}/connection", tag = "connections", params(("id" = String, Path,)),
    responses((status = 200, body = ConnectionView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn connection(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let tenant = plane.0.control.show(&caller, &id).await.map_err(problem)?;
    if let Some(connection) = &tenant.connection {
        Ok(tagged(StatusCode::OK, tenant.generation, connection))
    } else {
        let detail = "This tenant has no connection yet.";
        Err(Problem::new(StatusCode::NOT_FOUND, "not_found", detail))
    }
}

/// Replace a tenant's connection: parsed, checked by connecting, sealed.
#[utoipa::path(put, path = "/admin/v1/tenants/{id}/connection", tag = "connections", request_body = ConnectionInput,
    params(("id" = String, Path,), ("If-Match" = String, Header,)), responses(
    (status = 200, body = TenantView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn set_connection(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(input): Body<ConnectionInput>,
) -> Result<Response, Problem> {
    let expected = if_match(&headers)?;
    let changed = plane.0.control.set_connection(&caller, &id, expected, input).await;
    let tenant = match changed {
        Ok(tenant) => tenant,
        Err(fault) => return Err(explained(&plane, &caller, &id, expected, fault).await),
    };
    Ok(tagged(StatusCode::OK, tenant.generation, &tenant))
}

/// Connect step by step and say how each step went.
#[utoipa::path(post, path = "/admin/v1/tenants/{id}/check", tag = "connections", params(("id" = String, Path,)), responses(
    (status = 200, body = CheckReport), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn check(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<Json<CheckReport>, Problem> {
    plane.0.control.check(&caller, &id).await.map(Json).map_err(problem)
}

/// Stop serving a tenant.
#[utoipa::path(post, path = "/admin/v1/tenants/{id}/suspend", tag = "tenants", request_body = SuspendBody,
    params(("id" = String, Path,), ("If-Match" = String, Header,)), responses(
    (status = 200, body = TenantView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn suspend(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(body): Body<SuspendBody>,
) -> Result<Response, Problem> {
    let expected = if_match(&headers)?;
    let changed = plane.0.control.suspend(&caller, &id, expected, &body.reason).await;
    let tenant = match changed {
        Ok(tenant) => tenant,
        Err(fault) => return Err(explained(&plane, &caller, &id, expected, fault).await),
    };
    Ok(tagged(StatusCode::OK, tenant.generation, &tenant))
}

/// Serve a suspended or draft tenant.
#[utoipa::path(post, path = "/admin/v1/tenants/{id}/resume", tag = "tenants",
    params(("id" = String, Path,), ("If-Match" = String, Header,)), responses(
    (status = 200, body = TenantView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn resume(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let expected = if_match(&headers)?;
    let changed = plane.0.control.resume(&caller, &id, expected).await;
    let tenant = match changed {
        Ok(tenant) => tenant,
        Err(fault) => return Err(explained(&plane, &caller, &id, expected, fault).await),
    };
    Ok(tagged(StatusCode::OK, tenant.generation, &tenant))
}

/// Refuse every token of a tenant's users that was issued before now. There is no way back; who gets a new token is let in.
#[utoipa::path(post, path = "/admin/v1/tenants/{id}/refuse-tokens", tag = "tenants",
    params(("id" = String, Path,), ("If-Match" = String, Header,)), responses(
    (status = 200, body = TenantView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn refuse_tokens(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let expected = if_match(&headers)?;
    let changed = plane.0.control.refuse_tokens(&caller, &id, expected).await;
    let tenant = match changed {
        Ok(tenant) => tenant,
        Err(fault) => return Err(explained(&plane, &caller, &id, expected, fault).await),
    };
    Ok(tagged(StatusCode::OK, tenant.generation, &tenant))
}

/// Make every gateway read a tenant's configuration again. Changes nothing else, so it needs no `If-Match`.
#[utoipa::path(post, path = "/admin/v1/tenants/{id}/invalidate", tag = "tenants", params(("id" = String, Path,)), responses(
    (status = 200, body = TenantView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn invalidate(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let tenant = plane.0.control.invalidate(&caller, &id).await.map_err(problem)?;
    Ok(tagged(StatusCode::OK, tenant.generation, &tenant))
}
