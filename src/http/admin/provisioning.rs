//! Servers, tenants made on them, their passwords, schemas and end.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ControlPlane;
use super::body::Body;
use super::extract::{Operator, explained, if_match, problem};
use crate::control::{
    self, ApprovalView, MigrationPlan, NewMigration, NewProvision, NewProvisions, NewServer,
    OperationView, ProvisionPlan, SchemaReport, ServerConnection, ServerView,
};
use crate::http::problem::{Problem, ProblemBody};

type Ordered = (StatusCode, Json<OperationView>);

/// The operation that ends a tenant, or the request to a second person that it needs first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Ending {
    /// It was ordered.
    Ordered(Box<OperationView>),
    /// It waits for a second person.
    Waits(Box<ApprovalView>),
}

fn ordered(view: OperationView) -> Ordered {
    (StatusCode::ACCEPTED, Json(view))
}

/// The confirmation that a tenant's end asks for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ConfirmQuery {
    /// The tenant's name; demanded where its database is destroyed with it.
    confirm: Option<String>,
}

/// List the servers on which tenants' databases are made.
#[utoipa::path(get, path = "/admin/v1/servers", tag = "servers", responses(
    (status = 200, body = Vec<ServerView>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn servers(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
) -> Result<Json<Vec<ServerView>>, Problem> {
    plane.0.control.servers(&caller).await.map(Json).map_err(problem)
}

/// Register a server: connected to, its account's rights looked at, sealed.
#[utoipa::path(post, path = "/admin/v1/servers", tag = "servers", request_body = NewServer, responses(
    (status = 201, body = ServerView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn add_server(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Body(new): Body<NewServer>,
) -> Result<(StatusCode, Json<ServerView>), Problem> {
    let added = plane.0.control.add_server(&caller, &new).await.map_err(problem)?;
    Ok((StatusCode::CREATED, Json(added)))
}

/// Exchange a server's account: connected to, its rights looked at, sealed. Another server than the registered one
/// is refused unless `another_server` says that all its databases were moved there.
#[utoipa::path(put, path = "/admin/v1/servers/{id}/connection", tag = "servers", params(("id" = String, Path,)),
    request_body = ServerConnection, responses(
    (status = 200, body = ServerView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn replace_server(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    Body(new): Body<ServerConnection>,
) -> Result<Json<ServerView>, Problem> {
    plane.0.control.replace_server(&caller, &id, &new).await.map(Json).map_err(problem)
}

/// Forget a server on which no tenant's database is.
#[utoipa::path(delete, path = "/admin/v1/servers/{id}", tag = "servers", params(("id" = String, Path,)), responses(
    (status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn remove_server(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    plane.0.control.remove_server(&caller, &id).await.map_err(problem)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make a tenant with a database of its own. Answers with the operation that does it.
#[utoipa::path(post, path = "/admin/v1/tenants/provision", tag = "tenants", request_body = NewProvision, responses(
    (status = 202, body = OperationView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn provision(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Body(new): Body<NewProvision>,
) -> Result<Ordered, Problem> {
    plane.0.control.provision(&caller, new).await.map(ordered).map_err(problem)
}

/// Make several tenants on one server, the first of them first. Every fault of the list is in `problems`, with its
/// pointer, and nothing is ordered then. Answers with the operation whose parts make them.
#[utoipa::path(post, path = "/admin/v1/provisions", tag = "tenants", request_body = NewProvisions, responses(
    (status = 202, body = OperationView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn provision_several(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Body(new): Body<NewProvisions>,
) -> Result<Ordered, Problem> {
    plane.0.control.provision_several(&caller, &new).await.map(ordered).map_err(problem)
}

/// Say what making several tenants would make, or all that is wrong with the list. Changes nothing.
#[utoipa::path(post, path = "/admin/v1/provisions/plan", tag = "tenants", request_body = NewProvisions, responses(
    (status = 200, body = ProvisionPlan), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn plan_provisions(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Body(new): Body<NewProvisions>,
) -> Result<Json<ProvisionPlan>, Problem> {
    plane.0.control.plan_provisions(&caller, &new).await.map(Json).map_err(problem)
}

/// Offboard a tenant. An attached hospital's database is never touched; a provisioned one is destroyed. Answers
/// with the operation that does it, or with the request to a second person where one is asked for.
#[utoipa::path(delete, path = "/admin/v1/tenants/{id}", tag = "tenants",
    params(("id" = String, Path,), ("If-Match" = String, Header,), ConfirmQuery), responses(
    (status = 202, body = Ending), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn offboard(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    headers: HeaderMap,
    query: Result<Query<ConfirmQuery>, QueryRejection>,
) -> Result<(StatusCode, Json<Ending>), Problem> {
    let Query(query) = query.map_err(|_| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid", "The query takes confirm.")
    })?;
    let (expected, confirm) = (if_match(&headers)?, query.confirm.as_deref());
    let ending = match plane.0.control.offboard(&caller, &id, expected, confirm).await {
        Ok(control::Ordered::Done(view)) => Ending::Ordered(Box::new(view)),
        Ok(control::Ordered::Waits(view)) => Ending::Waits(view),
        Err(fault) => return Err(explained(&plane, &caller, &id, expected, fault).await),
    };
    Ok((StatusCode::ACCEPTED, Json(ending)))
}

/// Give a provisioned tenant a new password. Answers with the operation that does it.
#[utoipa::path(post, path = "/admin/v1/tenants/{id}/rotate-password", tag = "connections", params(("id" = String, Path,)), responses(
    (status = 202, body = OperationView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn rotate_password(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<Ordered, Problem> {
    plane.0.control.rotate_password(&caller, &id).await.map(ordered).map_err(problem)
}

/// How far the schemas of provisioned tenants are.
#[utoipa::path(get, path = "/admin/v1/migrations", tag = "migrations", responses(
    (status = 200, body = SchemaReport), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn schemas(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
) -> Result<Json<SchemaReport>, Problem> {
    plane.0.control.schemas(&caller).await.map(Json).map_err(problem)
}

/// Migrate tenants' schemas, canaries first. Answers with the operation that does it.
#[utoipa::path(post, path = "/admin/v1/migrations", tag = "migrations", request_body = NewMigration, responses(
    (status = 202, body = OperationView), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn migrate(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Body(wanted): Body<NewMigration>,
) -> Result<Ordered, Problem> {
    plane.0.control.migrate(&caller, &wanted).await.map(ordered).map_err(problem)
}

/// Say what a migration would do, with its SQL. Changes nothing.
#[utoipa::path(post, path = "/admin/v1/migrations/plan", tag = "migrations", request_body = NewMigration, responses(
    (status = 200, body = MigrationPlan), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn plan(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    Body(wanted): Body<NewMigration>,
) -> Result<Json<MigrationPlan>, Problem> {
    plane.0.control.plan_migration(&caller, &wanted).await.map(Json).map_err(problem)
}
