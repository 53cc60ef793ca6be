//! The data plane: FHIR R4 for clinicians' applications.

mod error;
mod extract;
mod handlers;
mod negotiate;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{Any, CorsLayer};
use tower_http::set_header::SetResponseHeaderLayer;

use self::error::FhirError;
use super::request_id;
use crate::auth::Authority;
use crate::tenant::Tenants;

/// What the data plane needs; cheap to clone.
#[derive(Clone)]
pub struct DataPlane(Arc<Inner>);

struct Inner {
    authority: Authority,
    tenants: Tenants,
    settings: DataPlaneSettings,
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
