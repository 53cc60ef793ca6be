//! The operators' panel: pages over the same verbs as the admin API, for people.
//!
//! Every page is whole without a script; the one script there is refreshes what a page shows. Nothing is
//! loaded from elsewhere, and nothing of a secret is ever written into a page.

mod assets;
mod connection;
mod cookies;
mod events;
mod fleet;
mod keys;
mod layout;
mod mappings;
mod refusal;
mod session;
mod sign_in;
mod spark;
mod tenant;
mod words;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Router, extract::State};
use tower_http::catch_panic::CatchPanicLayer;

use super::request_id;
use crate::auth::{Authority, SignIns};
use crate::base::Clock;
use crate::control::Control;

/// Largest body: a mapping document with room to spare.
const BODY_BYTES: usize = 2 * 1024 * 1024;

/// What the panel needs; cheap to clone.
#[derive(Clone)]
pub struct Panel(Arc<Inner>);

struct Inner {
    control: Control,
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
        authority: Authority,
        sign_ins: SignIns,
        clock: Arc<dyn Clock>,
        public_url: &str,
    ) -> Self {
        let origin = public_url.trim_end_matches('/').to_owned();
        Self(Arc::new(Inner { control, sign_ins, authority, clock, origin }))
    }
}

/// Puts the panel together; to be merged into the control plane's router.
pub fn router(panel: Panel) -> Router {
    let headers = panel.clone();
    Router::new()
        .route("/panel", get(|| async { Redirect::permanent("/panel/") }))
        .route("/panel/", get(fleet::show))
        .route("/panel/welcome", get(sign_in::welcome))
        .route("/panel/sign-in", get(sign_in::begin))
        .route("/panel/confirm", get(sign_in::confirm))
        .route("/panel/callback", get(sign_in::callback))
        .route("/panel/sign-out", post(sign_in::sign_out))
        .route("/panel/backchannel-logout", post(sign_in::back_channel_logout))
        .route("/panel/tenants/{name}", get(tenant::show))
        .route("/panel/tenants/{name}/check", post(tenant::check))
        .route("/panel/tenants/{name}/limits", post(tenant::limits))
        .route("/panel/tenants/{name}/{verb}", post(tenant::act))
        .route("/panel/tenants/{name}/connection", get(connection::form).post(connection::replace))
        .route("/panel/tenants/{name}/mappings", get(mappings::show).post(mappings::write))
        .route("/panel/tenants/{name}/mappings/rollback", post(mappings::roll_back))
        .route("/panel/tenants/{name}/mappings/{version}/publish", post(mappings::publish))
        .route("/panel/keys", get(keys::show).post(keys::rewrap))
        .route("/panel/events", get(events::show))
        .route("/panel/panel.css", get(assets::style))
        .route("/panel/panel.js", get(assets::script))
        .route("/panel/mark.svg", get(assets::mark))
        .route("/panel/{*rest}", get(refusal::nothing_here))
        .with_state(panel)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn_with_state(headers, protect))
        .layer(CatchPanicLayer::custom(|_| {
            (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong here. It has been logged.\n")
                .into_response()
        }))
        .layer(middleware::from_fn(request_id::assign))
}

/// What a browser may do with a page, and what no cache may keep.
async fn protect(State(panel): State<Panel>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
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
