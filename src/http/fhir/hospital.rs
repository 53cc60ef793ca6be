//! `/tenant/v1`: what a hospital's own administrator may do, of her own hospital only. The token says which
//! that is; no address names one. Bodies and problems are those of the admin API.

use axum::Json;
use axum::extract::rejection::{QueryRejection, StringRejection};
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::DataPlane;
use super::extract::Clinician;
use crate::auth::FhirAdmin;
use crate::control::{Ordered, TenantView};
use crate::http::admin::extract::{if_match, problem, tagged};
use crate::http::admin::mappings::number;
use crate::http::problem::Problem;
use crate::tenant::Session;

/// The most events on a page of the access log.
const LOG_PAGE_MOST: usize = 200;

/// A hospital's administrator, within her tenant's limits.
pub(super) struct Administrator(pub(super) Session<FhirAdmin>);

impl Administrator {
    /// Her own tenant, as the control plane's verbs want it named.
    pub(super) fn own(&self) -> String {
        self.0.permit().tenant().to_string()
    }
}

impl FromRequestParts<DataPlane> for Administrator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, plane: &DataPlane) -> Result<Self, Problem> {
        let caller = Clinician::<FhirAdmin>::from_request_parts(parts, plane).await;
        let caller = caller.map_err(super::FhirError::into_problem)?;
        let session = plane.session(caller).await.map_err(super::FhirError::into_problem)?;
        Ok(Self(session))
    }
}

/// What she sees of her tenant after a change: nothing that is the operators' business.
fn changed(tenant: &TenantView) -> Response {
    let body = json!({
        "id": tenant.id,
        "name": tenant.name,
        "display_name": tenant.display_name,
        "state": tenant.state,
        "generation": tenant.generation,
        "mapping": tenant.mapping,
    });
    tagged(StatusCode::OK, tenant.generation, &body)
}

/// `GET /tenant/v1/mappings`: versions, newest first; the `ETag` is what a change wants in `If-Match`.
pub(super) async fn list(
    State(plane): State<DataPlane>,
    admin: Administrator,
) -> Result<Response, Problem> {
    let versions = plane.0.control.mappings(&admin.0, &admin.own()).await.map_err(problem)?;
    Ok(tagged(StatusCode::OK, admin.0.config().generation.0, &versions))
}

/// `POST /tenant/v1/mappings`: checked against the live schema, stored as a new version.
pub(super) async fn store(
    State(plane): State<DataPlane>,
    admin: Administrator,
    text: Result<String, StringRejection>,
) -> Result<Response, Problem> {
    let text = text.map_err(|_| {
        let detail = "The body is too large or is not UTF-8 text.";
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    })?;
    let stored = plane.0.control.store_mapping(&admin.0, &admin.own(), &text).await;
    let report = stored.map_err(problem)?;
    let status = if report.ok { StatusCode::CREATED } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, Json(report)).into_response())
}

/// `GET /tenant/v1/mappings/{version}`: a version's text as it was stored.
pub(super) async fn show(
    State(plane): State<DataPlane>,
    admin: Administrator,
    Path(version): Path<String>,
) -> Result<String, Problem> {
    let version = number(&version)?;
    plane.0.control.mapping_text(&admin.0, &admin.own(), version).await.map_err(problem)
}

/// `POST /tenant/v1/mappings/{version}/publish`.
pub(super) async fn publish(
    State(plane): State<DataPlane>,
    admin: Administrator,
    Path(version): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (version, expected) = (number(&version)?, if_match(&headers)?);
    let (control, own) = (&plane.0.control, admin.own());
    let tenant = control.publish_mapping(&admin.0, &own, version, expected).await;
    Ok(in_force(tenant.map_err(problem)?))
}

fn in_force(ordered: Ordered<TenantView>) -> Response {
    match ordered {
        Ordered::Done(tenant) => changed(&tenant),
        // Only SQL that is not in force waits for anybody, and a hospital's own administrator brings none.
        Ordered::Waits(view) => (StatusCode::ACCEPTED, Json(view)).into_response(),
    }
}

/// `POST /tenant/v1/mappings/rollback`.
pub(super) async fn rollback(
    State(plane): State<DataPlane>,
    admin: Administrator,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let expected = if_match(&headers)?;
    let tenant = plane.0.control.rollback_mapping(&admin.0, &admin.own(), expected).await;
    Ok(in_force(tenant.map_err(problem)?))
}

/// Which page of the access log.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogQuery {
    cursor: Option<String>,
    limit: Option<usize>,
}

/// `GET /tenant/v1/access-log`: newest first; `next` is the next page's `cursor`.
pub(super) async fn access_log(
    admin: Administrator,
    query: Result<Query<LogQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|_| {
        let detail = "The query takes cursor and limit.";
        Problem::new(StatusCode::BAD_REQUEST, "invalid", detail)
    })?;
    let limit = query.limit.unwrap_or(50).clamp(1, LOG_PAGE_MOST);
    let page = admin.0.access_log(query.cursor, limit).await.map_err(|f| Problem::of(&f))?;
    let body = json!({ "events": page.events, "next": page.next });
    let json = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, json)], body.to_string()).into_response())
}
