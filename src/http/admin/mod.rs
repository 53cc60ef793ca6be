//! The control plane's API (JSON in and out, RFC 9457 problems, `ETag` = generation).
//!
//! Routes are registered together with their OpenAPI description, so the served document cannot name a
//! route that is not there or miss one that is.

mod approvals;
mod body;
pub(super) mod authoring;
mod describe;
mod events;
pub(super) mod extract;
mod keys;
mod lanes;
pub(super) mod mappings;
mod operations;
mod provisioning;
mod repeat;
mod tenants;
mod usage;

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::logbook::Logbook;
use super::problem::Problem;
use super::request_id;
use super::route::{Access, Route, Routes};
use crate::auth::Authority;
use crate::control::Control;
use crate::telemetry::MetricsPage;

/// What the control plane needs; cheap to clone.
#[derive(Clone)]
pub struct ControlPlane(Arc<Inner>);

struct Inner {
    authority: Authority,
    control: Control,
    metrics: MetricsPage,
    followers: events::Places,
}

/// Largest body of an admin request: a mapping document with room to spare.
pub(super) const BODY_BYTES: usize = 2 * 1024 * 1024;

#[derive(OpenApi)]
#[openapi(info(
    title = "Wardgate admin API",
    description = "Run hospitals: register, move, suspend, inspect. Bearer token of the operators' issuer.",
    license(name = "Apache-2.0")
))]
struct Document;

/// Puts the control plane together.
pub fn router(authority: Authority, control: Control, metrics: MetricsPage) -> Router {
    let plane = ControlPlane(Arc::new(Inner {
        authority,
        control,
        metrics,
        followers: events::Places::default(),
    }));
    let (api, document) = api();
    let api = api.route_layer(middleware::from_fn_with_state(plane.clone(), repeat::once));
    api.merge(open_routes(Arc::new(document)).router)
        .with_state(plane)
        .fallback(|| async {
            Problem::new(StatusCode::NOT_FOUND, "not_found", "There is nothing at this address.")
        })
        .method_not_allowed_fallback(|| async {
            let detail = "This address does not answer to that method.";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
        })
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn(no_store))
        .layer(CatchPanicLayer::custom(|_| {
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Something went wrong here. It has been logged.",
            )
            .into_response()
        }))
        .layer(middleware::from_fn_with_state(Arc::new(Logbook::new("admin")), request_id::assign))
}

/// Routes for operators, with their description.
fn api() -> (Router<ControlPlane>, utoipa::openapi::OpenApi) {
    let (api, mut document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(tenants::list, tenants::add))
        .routes(routes!(tenants::show, tenants::change, provisioning::offboard))
        .routes(routes!(tenants::connection, tenants::set_connection))
        .routes(routes!(tenants::check))
        .routes(routes!(tenants::suspend))
        .routes(routes!(tenants::resume))
        .routes(routes!(tenants::refuse_tokens))
        .routes(routes!(tenants::invalidate))
        .routes(routes!(lanes::pool))
        .routes(routes!(lanes::drain))
        .routes(routes!(lanes::breaker))
        .routes(routes!(lanes::reset_breaker))
        .routes(routes!(usage::of_tenant))
        .routes(routes!(usage::of_all))
        .routes(routes!(usage::queries))
        .routes(routes!(mappings::list, mappings::store))
        .routes(routes!(mappings::show))
        .routes(routes!(authoring::draft))
        .routes(routes!(authoring::check))
        .routes(routes!(authoring::diff))
        .routes(routes!(authoring::drift, authoring::look))
        .routes(routes!(mappings::publish))
        .routes(routes!(mappings::rollback))
        .routes(routes!(keys::list))
        .routes(routes!(keys::rotate))
        .routes(routes!(events::events))
        .routes(routes!(provisioning::servers, provisioning::add_server))
        .routes(routes!(provisioning::remove_server))
        .routes(routes!(provisioning::replace_server))
        .routes(routes!(provisioning::provision))
        .routes(routes!(provisioning::provision_several))
        .routes(routes!(provisioning::plan_provisions))
        .routes(routes!(provisioning::rotate_password))
        .routes(routes!(provisioning::schemas, provisioning::migrate))
        .routes(routes!(provisioning::plan))
        .routes(routes!(approvals::list))
        .routes(routes!(approvals::show))
        .routes(routes!(approvals::approve))
        .routes(routes!(approvals::refuse))
        .routes(routes!(operations::list))
        .routes(routes!(operations::show))
        .routes(routes!(operations::retry))
        .routes(routes!(operations::cancel))
        .routes(routes!(operations::freeze))
        .routes(routes!(operations::resume))
        .split_for_parts();
    repeat::describe(&mut document);
    describe::whole(&mut document);
    (api, document)
}

fn open_routes(document: Arc<utoipa::openapi::OpenApi>) -> Routes<ControlPlane> {
    let described = move || async move { Json((*document).clone()) };
    Routes::new("admin")
        .get("/healthz", Access::Public, || async { "ok\n" })
        .get("/readyz", Access::Public, ready)
        .get("/metrics", Access::Public, metrics_page)
        .get("/admin/v1/openapi.json", Access::Public, described)
}

/// The control plane's routes: those of its description are the operators'.
pub(super) fn routes() -> Vec<Route> {
    let (_, document) = api();
    let mut rows = Vec::new();
    for (path, item) in &document.paths.paths {
        let methods = [
            ("GET", &item.get),
            ("PUT", &item.put),
            ("POST", &item.post),
            ("PATCH", &item.patch),
            ("DELETE", &item.delete),
        ];
        for (method, _) in methods.into_iter().filter(|(_, operation)| operation.is_some()) {
            let (method, path) = (method.to_owned(), path.clone());
            let access =
                if path.ends_with("/approve") { Access::Approver } else { Access::Operator };
            rows.push(Route { listener: "admin", method, path, access });
        }
    }
    rows.extend(open_routes(Arc::new(document)).rows);
    rows
}

/// Answers of the control plane are about the present moment and often confidential.
async fn no_store(request: axum::extract::Request, next: middleware::Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// 200 when the registry, the keys and the issuers answer and the access log can be written; 503 names what does not. Says nothing of any
/// tenant.
async fn ready(axum::extract::State(plane): axum::extract::State<ControlPlane>) -> Response {
    let mut parts = plane.0.control.readiness().await;
    parts.extend(plane.0.authority.readiness().into_iter().map(|i| (i.issuer, i.ready)));
    let all = parts.iter().all(|(_, ready)| *ready);
    let status = if all { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body: serde_json::Map<String, serde_json::Value> = parts
        .into_iter()
        .map(|(name, ready)| (name, if ready { "ok".into() } else { "unavailable".into() }))
        .collect();
    (status, Json(body)).into_response()
}

async fn metrics_page(axum::extract::State(plane): axum::extract::State<ControlPlane>) -> Response {
    let text = HeaderValue::from_static("text/plain; version=0.0.4");
    ([(header::CONTENT_TYPE, text)], plane.0.metrics.render()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::TenantName;

    #[test]
    fn no_new_hospital_is_called_as_a_route_stands_beside_hospitals() {
        let (_, document) = api();
        let mut beside = 0;
        for path in document.paths.paths.keys() {
            let Some(rest) = path.strip_prefix("/admin/v1/tenants/") else { continue };
            let word = rest.split('/').next().unwrap_or_default();
            if !word.starts_with('{') {
                beside += 1;
                assert!(TenantName::for_new(word).is_err(), "{path}");
            }
        }
        assert!(beside > 0, "the test looks at nothing");
    }
}
