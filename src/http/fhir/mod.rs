//! The data plane: FHIR R4 for clinicians' applications.

mod error;
mod extract;
mod handlers;
mod negotiate;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{Any, CorsLayer};

use self::error::FhirError;
use self::extract::{Clinician, Whose};
use super::request_id;
use crate::auth::{Authority, Right};
use crate::records::ServerDescription;
use crate::telemetry::names;
use crate::telemetry::traffic::Traffic;
use crate::tenant::{Session, Tenants};

/// What the data plane needs; cheap to clone.
#[derive(Clone)]
pub struct DataPlane(Arc<Inner>);

struct Inner {
    authority: Authority,
    tenants: Tenants,
    settings: DataPlaneSettings,
    server: ServerDescription,
    traffic: Traffic,
}

/// Settings of the data plane.
#[derive(Debug, Clone)]
pub struct DataPlaneSettings {
    /// Base of `fullUrl` and links, without a trailing slash.
    pub public_url: String,
    /// A whole request.
    pub request_timeout: Duration,
    /// A request's body, in bytes.
    pub body_bytes: usize,
}

impl DataPlane {
    /// The data plane over these parts.
    pub fn new(
        authority: Authority,
        tenants: Tenants,
        settings: DataPlaneSettings,
        server: ServerDescription,
        traffic: Traffic,
    ) -> Self {
        Self(Arc::new(Inner { authority, tenants, settings, server, traffic }))
    }

    /// Joins a caller's permit with her tenant.
    async fn session<R: Right>(&self, caller: Clinician<R>) -> Result<Session<R>, FhirError> {
        let Clinician { permit, request, deadline } = caller;
        let opened = self.0.tenants.open(permit, request, deadline).await;
        opened.map_err(|fault| FhirError::of(&fault))
    }
}

/// Puts the data plane together. `/fhir` is the FHIR base.
pub fn router(plane: DataPlane) -> Router {
    let body = plane.0.settings.body_bytes;
    let traffic = plane.0.traffic.clone();
    // A little later than the deadline the rooms keep, so that their own answer wins.
    let patience = plane.0.settings.request_timeout + Duration::from_millis(500);
    let logout = Router::new()
        .route("/oidc/backchannel-logout", post(handlers::back_channel_logout))
        .with_state(plane.clone());
    let fhir = Router::new()
        .route("/metadata", get(handlers::metadata))
        .route("/.well-known/smart-configuration", get(handlers::smart_configuration))
        .route("/{resource}", get(handlers::search))
        .route("/{resource}/_search", post(handlers::search_form))
        .route("/{resource}/{id}", get(handlers::read))
        .with_state(plane);
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .merge(logout)
        .nest("/fhir", fhir)
        .fallback(|| async {
            FhirError::new(StatusCode::NOT_FOUND, "not-found", "There is nothing at this address.")
        })
        .method_not_allowed_fallback(|| async {
            let message = "This address does not answer to that method.";
            FhirError::new(StatusCode::METHOD_NOT_ALLOWED, "not-supported", message)
        })
        .layer(DefaultBodyLimit::max(body))
        .layer(middleware::from_fn(move |request, next| in_time(patience, request, next)))
        .layer(middleware::from_fn(confidential))
        .layer(CompressionLayer::new())
        .layer(cors())
        .layer(CatchPanicLayer::custom(|_| panicked()))
        .layer(middleware::from_fn_with_state(traffic, counted))
        .layer(middleware::from_fn(request_id::assign))
}

/// Browsers' applications live on other origins than the gateway; what protects the data is the token,
/// which no browser sends by itself.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        // `*` would not cover Authorization (Fetch standard, CORS-preflight).
        .allow_headers([
            header::AUTHORIZATION,
            header::ACCEPT,
            header::CONTENT_TYPE,
            header::IF_NONE_MATCH,
            HeaderName::from_static("prefer"),
        ])
        .expose_headers([header::ETAG, header::LOCATION, header::LAST_MODIFIED, request_id::HEADER])
        .max_age(Duration::from_mins(10))
}

fn panicked() -> Response {
    let message = "Something went wrong here. It has been logged.";
    FhirError::new(StatusCode::INTERNAL_SERVER_ERROR, "exception", message).into_response()
}

/// One URL serves every hospital, so no cache on the way may keep an answer.
async fn confidential(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.append(header::VARY, HeaderValue::from_static("Authorization"));
    response
}

async fn in_time(patience: Duration, request: Request, next: Next) -> Response {
    if let Ok(response) = tokio::time::timeout(patience, next.run(request)).await {
        response
    } else {
        let message = "The answer was not ready in time.";
        FhirError::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message).into_response()
    }
}

/// Counts and times; labels are routes and status classes, never what was asked for.
async fn counted(State(traffic): State<Traffic>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let whose = Whose::default();
    request.extensions_mut().insert(whose.clone());
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let response = next.run(request).await;
    let route = route.unwrap_or_else(|| "other".to_owned());
    let class = match response.status().as_u16() {
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    };
    metrics::counter!(names::REQUESTS, "listener" => "fhir", "interaction" => route.clone(), "status" => class)
        .increment(1);
    if let Some(tenant) = whose.tenant() {
        traffic.record(tenant, response.status().as_u16(), begun.elapsed());
    }
    metrics::histogram!(names::REQUEST_SECONDS, "interaction" => route)
        .record(begun.elapsed().as_secs_f64());
    response
}
