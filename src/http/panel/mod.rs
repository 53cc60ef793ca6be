//! The operators' panel: pages over the same verbs as the admin API, for people.
//!
//! Every page is whole without a script; the one script there is refreshes what a page shows, and takes patients'
//! data off it when the session has ended. Nothing is
//! loaded from elsewhere, and nothing of a secret is ever written into a page.

mod account;
mod approvals;
mod assets;
mod attach;
mod connection;
mod cookies;
mod events;
mod fleet;
mod keys;
mod late;
mod layout;
mod life;
mod mappings;
mod migrations;
mod operations;
mod refusal;
mod servers;
mod session;
mod several;
mod sign_in;
mod spark;
mod tenant;
mod words;

use self::mappings::looks;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Router, extract::State};
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

use super::logbook::Logbook;
use super::request_id;
use super::route::{Access, Route, Routes};
use crate::auth::{Authority, SignIns};
use crate::base::Clock;
use crate::control::Control;
use crate::tenant::Tenants;

/// Largest body: a mapping document with room to spare.
const BODY_BYTES: usize = 2 * 1024 * 1024;

/// What the panel needs; cheap to clone.
#[derive(Clone)]
pub struct Panel(Arc<Inner>);

struct Inner {
    control: Control,
    tenants: Tenants,
    sign_ins: SignIns,
    authority: Authority,
    clock: Arc<dyn Clock>,
    /// Scheme, host and port under which browsers reach the panel.
    origin: String,
}

impl Panel {
    /// A panel reached at `public_url`, which is the control plane's, without a path.
    pub fn new(
        control: Control,
        tenants: Tenants,
        authority: Authority,
        sign_ins: SignIns,
        clock: Arc<dyn Clock>,
        public_url: &str,
    ) -> Self {
        let origin = public_url.trim_end_matches('/').to_owned();
        Self(Arc::new(Inner { control, tenants, sign_ins, authority, clock, origin }))
    }

    /// Forgets sessions and sign-ins that have ended, until `shutdown`.
    pub async fn run_maintenance(self, shutdown: CancellationToken) {
        self.0.sign_ins.clone().run_maintenance(shutdown).await;
    }
}

/// Puts the panel together; to be merged into the control plane's router.
pub fn router(panel: Panel) -> Router {
    let headers = panel.clone();
    all()
        .router
        .with_state(panel)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn_with_state(headers, protect))
        .layer(CatchPanicLayer::custom(|_| {
            (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong here. It has been logged.\n")
                .into_response()
        }))
        .layer(middleware::from_fn_with_state(Arc::new(Logbook::new("panel")), request_id::assign))
}

/// The panel's addresses. No token opens anything here, only a session does.
fn all() -> Routes<Panel> {
    let (public, operator) = (Access::Public, Access::Session);
    Routes::new("panel")
        .get("/panel", public, || async { Redirect::permanent("/panel/") })
        .get("/panel/", operator, fleet::show)
        .get("/panel/welcome", public, sign_in::welcome)
        .get("/panel/sign-in", public, sign_in::begin)
        .get("/panel/confirm", operator, sign_in::confirm)
        .get("/panel/callback", public, sign_in::callback)
        .post("/panel/sign-out", operator, sign_in::sign_out)
        .post("/panel/backchannel-logout", public, sign_in::back_channel_logout)
        .get("/panel/add", operator, attach::show)
        .post("/panel/add", operator, attach::add)
        .get("/panel/tenants/{name}", operator, tenant::show)
        .post("/panel/tenants/{name}/check", operator, tenant::check)
        .post("/panel/tenants/{name}/limits", operator, tenant::limits)
        .post("/panel/tenants/{name}/flags", operator, tenant::flags)
        .get("/panel/tenants/{name}/life", operator, life::show)
        .post("/panel/tenants/{name}/life", operator, life::act)
        .post("/panel/tenants/{name}/{verb}", operator, tenant::act)
        .get("/panel/tenants/{name}/connection", operator, connection::form)
        .post("/panel/tenants/{name}/connection", operator, connection::replace)
        .get("/panel/tenants/{name}/mappings", operator, mappings::show)
        .post("/panel/tenants/{name}/mappings", operator, mappings::write)
        .get("/panel/tenants/{name}/look", operator, looks::show)
        .post("/panel/tenants/{name}/look", operator, looks::look)
        .get("/panel/look", operator, looks::callback)
        .post("/panel/tenants/{name}/mappings/rollback", operator, mappings::roll_back)
        .post("/panel/tenants/{name}/mappings/{version}/publish", operator, mappings::publish)
        .get("/panel/approvals", operator, approvals::list)
        .post("/panel/approvals/{id}", operator, approvals::act)
        .get("/panel/operations", operator, operations::list)
        .get("/panel/operations/{id}", operator, operations::show)
        .post("/panel/operations/{id}/{verb}", operator, operations::act)
        .get("/panel/servers", operator, servers::show)
        .post("/panel/servers", operator, servers::register)
        .post("/panel/servers/connection", operator, account::replace)
        .post("/panel/provision", operator, servers::provision)
        .get("/panel/several", operator, several::show)
        .post("/panel/several", operator, several::order)
        .get("/panel/migrations", operator, migrations::show)
        .post("/panel/migrations", operator, migrations::start)
        .get("/panel/keys", operator, keys::show)
        .post("/panel/keys", operator, keys::rewrap)
        .get("/panel/events", operator, events::show)
        .get("/panel/pulse", operator, session::pulse)
        .get("/panel/panel.css", public, assets::style)
        .get("/panel/panel.js", public, assets::script)
        .get("/panel/mark.svg", public, assets::mark)
        .get("/panel/{*rest}", operator, refusal::nothing_here)
}

/// The panel's routes.
pub(super) fn routes() -> Vec<Route> {
    all().rows
}

/// What a browser may do with a page, and what no cache may keep.
async fn protect(State(panel): State<Panel>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let busy = response.status() == StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    if busy && !headers.contains_key(header::RETRY_AFTER) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    }
    // Signing out ends at the issuer, and a form's redirects count as its action.
    let policy = format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self' {}; frame-ancestors 'none'; base-uri 'none'",
        panel.0.sign_ins.issuer_origin()
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Not `no-referrer`: with it, browsers send forms with `Origin: null`.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if panel.0.origin.starts_with("https://") {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    response
}
