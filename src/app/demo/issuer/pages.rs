//! The pages people see: choosing who to be, and having signed out.

use std::fmt::Write as _;
use std::sync::PoisonError;

use axum::extract::{Path, Query, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;
use uuid::Uuid;

use super::{CLIENT, CODE_LIFE, Code, Issuer, PANEL_CLIENT, PREVIEW_CLIENT, query_value, realm};

/// Codes and people go to pages on this machine only, whatever a link says.
const LOOPBACK: [&str; 4] =
    ["http://127.0.0.1:", "http://127.0.0.1/", "http://localhost:", "http://localhost/"];

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:12vh auto;padding:0 1.25rem;\
     color:#17212b;background:#f4f6f8}h1{font-size:1.4rem;margin:0}ul{list-style:none;padding:0}\
     li a{display:flex;justify-content:space-between;gap:1rem;margin:.5rem 0;padding:.8rem 1rem;border:1px solid #b6c1cb;\
     border-radius:8px;background:#fff;color:inherit;text-decoration:none;font-weight:600}\
     li a:hover,li a:focus-visible{border-color:#0f5f73;outline:2px solid #0f5f73}\
     span{font-weight:400;color:#4c5a67}@media(prefers-color-scheme:dark){body{background:#11171d;color:#e6ebf0}\
     li a{background:#1a222b;border-color:#3a4856}span{color:#a9b6c2}}";

fn page(title: &str, body: &str) -> Html<String> {
    Html(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <link rel=\"icon\" href=\"data:,\"><title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1>{body}</main></body></html>"
    ))
}

#[derive(Deserialize)]
pub(super) struct SignIn {
    redirect_uri: String,
    code_challenge: String,
    code_challenge_method: String,
    client_id: Option<String>,
    #[serde(default)]
    state: String,
    nonce: Option<String>,
}

/// The sign-in page: one link for each user of the realm.
pub(super) async fn sign_in(
    State(issuer): State<Issuer>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(realm) = realm(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let query = query.unwrap_or_default().replace('&', "&amp;").replace(['"', '<', '>'], "");
    let mut list = String::from("<p>This is a demo: choose who you are.</p><ul>");
    for user in issuer.users().iter().filter(|u| Issuer::home(u) == realm) {
        let (name, roles) = (&user.username, user.roles.join(", "));
        let link = format!("<a href=\"auth/{name}?{query}\">{name} <span>{roles}</span></a>");
        let _infallible = write!(list, "<li>{link}</li>");
    }
    list.push_str("</ul>");
    page("Demo sign-in", &list).into_response()
}

pub(super) async fn signed_in(
    State(issuer): State<Issuer>,
    Path((name, username)): Path<(String, String)>,
    Query(request): Query<SignIn>,
) -> Response {
    let user = issuer.users().iter().find(|u| u.username == username);
    let (Some(realm), Some(user)) = (realm(&name), user) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let client = match request.client_id.as_deref() {
        Some(PANEL_CLIENT) => PANEL_CLIENT,
        Some(PREVIEW_CLIENT) => PREVIEW_CLIENT,
        _ => CLIENT,
    };
    if request.code_challenge_method != "S256"
        || Issuer::home(user) != realm
        || !LOOPBACK.iter().any(|prefix| request.redirect_uri.starts_with(prefix))
    {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let code = Uuid::new_v4().to_string();
    let separator = if request.redirect_uri.contains('?') { '&' } else { '?' };
    let state = query_value(&request.state);
    let target = format!("{}{separator}code={code}&state={state}", request.redirect_uri);
    let kept = Code {
        grant: issuer.grant(user, client),
        redirect_uri: request.redirect_uri,
        challenge: request.code_challenge,
        nonce: request.nonce,
        until: issuer.0.clock.now().plus(CODE_LIFE),
    };
    let mut codes = issuer.0.codes.lock().unwrap_or_else(PoisonError::into_inner);
    let now = issuer.0.clock.now();
    codes.retain(|_, code| code.until > now);
    codes.insert(code, kept);
    Redirect::to(&target).into_response()
}

#[derive(Deserialize)]
pub(super) struct SignOut {
    post_logout_redirect_uri: Option<String>,
}

/// There is no session here to end; whoever comes is sent back.
pub(super) async fn sign_out(Query(request): Query<SignOut>) -> Response {
    let back = request.post_logout_redirect_uri.unwrap_or_default();
    if LOOPBACK.iter().any(|prefix| back.starts_with(prefix)) {
        return Redirect::to(&back).into_response();
    }
    page("Signed out", "<p>You may close this page.</p>").into_response()
}
