//! The data plane: FHIR R4 for clinicians' applications.

mod address;
mod authoring;
mod bundle;
mod conduct;
mod error;
mod export;
mod extract;
mod find;
mod handlers;
mod hospital;
mod negotiate;
mod validate;
mod write;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowHeaders, Any, CorsLayer};

use self::conduct::Conduct;
use self::error::FhirError;
use self::extract::Clinician;
use super::request_id;
use super::route::{Access, Route, Routes};
use crate::auth::{Authority, Right};
use crate::base::Clock;
use crate::control::Control;
use crate::fhir::elements::Elements;
use crate::records::{Exports, ServerDescription};
use crate::telemetry::traffic::Traffic;
use crate::tenant::{Session, Tenants};

/// What the data plane needs; cheap to clone.
#[derive(Clone)]
pub struct DataPlane(Arc<Inner>);

struct Inner {
    authority: Authority,
    tenants: Tenants,
    control: Control,
    settings: DataPlaneSettings,
    server: ServerDescription,
    traffic: Traffic,
    exports: Exports,
    clock: Arc<dyn Clock>,
    elements: Arc<Elements>,
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
        control: Control,
        settings: DataPlaneSettings,
        server: ServerDescription,
        traffic: Traffic,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (exports, elements) = (Exports::default(), Arc::new(Elements::r4()));
        let inner = Inner {
            authority,
            tenants,
            control,
            settings,
            server,
            traffic,
            exports,
            clock,
            elements,
        };
        Self(Arc::new(inner))
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
    let traced = (plane.0.tenants.traces().clone(), Arc::clone(&plane.0.clock));
    // A little later than the deadline the rooms keep, so that their own answer wins.
    let patience = plane.0.settings.request_timeout + Duration::from_millis(500);
    let steps = ServiceBuilder::new()
        .layer(middleware::from_fn_with_state(
            Conduct::new(patience, &routes(), traffic, traced),
            conduct::conduct,
        ))
        .layer(CatchPanicLayer::custom(|_| panicked()))
        .layer(cors())
        .layer(CompressionLayer::new())
        .layer(DefaultBodyLimit::max(body));
    let hospital = hospital_routes().router;
    Router::new()
        .merge(clinical_routes().router)
        .merge(hospital.layer(DefaultBodyLimit::max(super::admin::BODY_BYTES)))
        .with_state(plane)
        .fallback(|uri: axum::http::Uri| async move {
            let message = "There is nothing at this address.";
            let last = uri.path().rsplit('/').next().unwrap_or_default();
            let nothing = FhirError::new(StatusCode::NOT_FOUND, "not-found", message);
            error::reserved(last).unwrap_or(nothing)
        })
        .method_not_allowed_fallback(|| async {
            let message = "This address does not answer to that method.";
            FhirError::new(StatusCode::METHOD_NOT_ALLOWED, "not-supported", message)
        })
        .layer(steps)
}

fn hospital_routes() -> Routes<DataPlane> {
    let admin = Access::HospitalAdmin;
    Routes::new("fhir")
        .get("/tenant/v1/mappings", admin, hospital::list)
        .post("/tenant/v1/mappings", admin, hospital::store)
        .post("/tenant/v1/mappings/rollback", admin, hospital::rollback)
        .post("/tenant/v1/mappings/draft", admin, authoring::draft)
        .post("/tenant/v1/mappings/check", admin, authoring::check)
        .post("/tenant/v1/mappings/diff", admin, authoring::diff)
        .post("/tenant/v1/mappings/preview", Access::HospitalAdminWhoReads, authoring::preview)
        .get("/tenant/v1/mappings/drift", admin, authoring::drift)
        .post("/tenant/v1/mappings/drift", admin, authoring::look)
        .get("/tenant/v1/mappings/{version}", admin, hospital::show)
        .post("/tenant/v1/mappings/{version}/publish", admin, hospital::publish)
        .get("/tenant/v1/access-log", admin, hospital::access_log)
}

fn clinical_routes() -> Routes<DataPlane> {
    Routes::new("fhir")
        .get(address::HEALTH, Access::Public, || async { "ok\n" })
        // The signed logout token in the body is its own credential.
        .post(address::LOGOUT, Access::Public, handlers::back_channel_logout)
        .get(address::METADATA, Access::PublicOrRead, handlers::metadata)
        .get(address::SMART, Access::Public, handlers::smart_configuration)
        .get(address::EXPORT, Access::Read, export::system)
        .post(address::EXPORT, Access::Read, export::system_by_body)
        .get(address::EXPORT_PATIENTS, Access::Read, export::patients)
        .post(address::EXPORT_PATIENTS, Access::Read, export::patients_by_body)
        .get(address::EXPORT_GROUP, Access::Read, export::group)
        .post(address::EXPORT_GROUP, Access::Read, export::group_by_body)
        .get(address::EXPORT_ORDER, Access::Read, export::status)
        .delete(address::EXPORT_ORDER, Access::Read, export::cancel)
        .get(address::EXPORT_FILE, Access::Read, export::file)
        .get(address::TYPE, Access::Read, find::search)
        .post(address::SEARCH_FORM, Access::Read, find::search_form)
        .get(address::INSTANCE, Access::Read, handlers::read)
        .get(address::VERSION, Access::Read, handlers::vread)
        .post(address::TYPE, Access::Write, write::create)
        .put(address::TYPE, Access::Write, write::update_one)
        .patch(address::TYPE, Access::Write, write::patch_one)
        .delete(address::TYPE, Access::Write, write::delete_one)
        .put(address::INSTANCE, Access::Write, write::update)
        .patch(address::INSTANCE, Access::Write, write::patch)
        .delete(address::INSTANCE, Access::Write, write::delete)
        .post(address::VALIDATE, Access::Write, validate::of_type)
        .post(address::VALIDATE_INSTANCE, Access::Write, validate::of_instance)
        .post(address::VALIDATE_PATIENT, Access::Write, validate::of_patient)
        .post(address::BASE, Access::ReadOrWrite, bundle::bundle)
        .post(address::BASE_SLASH, Access::ReadOrWrite, bundle::bundle)
        .get(address::BASE, Access::ReadOrWrite, find::of_all_types)
        .get(address::BASE_SLASH, Access::ReadOrWrite, find::of_all_types)
        .get(address::SEARCH_ALL, Access::ReadOrWrite, find::of_all_types)
        .post(address::SEARCH_ALL, Access::ReadOrWrite, find::of_all_types)
        .get(address::COMPARTMENT, Access::Read, find::in_patient)
        .get(address::EVERYTHING, Access::Read, find::everything)
        .post(address::EVERYTHING, Access::Read, find::everything_by_body)
}

/// The data plane's routes.
pub(super) fn routes() -> Vec<Route> {
    [clinical_routes(), hospital_routes()].into_iter().flat_map(|r| r.rows).collect()
}

/// Browsers' applications live on other origins than the gateway; what protects the data is the token,
/// which no browser sends by itself.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        // `*` would not cover Authorization (Fetch standard, CORS-preflight), and client libraries add
        // headers of their own.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([
            header::WWW_AUTHENTICATE,
            header::RETRY_AFTER,
            header::ETAG,
            header::LOCATION,
            header::LAST_MODIFIED,
            header::CONTENT_LOCATION,
            request_id::HEADER,
        ])
        .max_age(Duration::from_mins(10))
}

fn panicked() -> Response {
    let message = "Something went wrong here. It has been logged.";
    FhirError::new(StatusCode::INTERNAL_SERVER_ERROR, "exception", message).into_response()
}
