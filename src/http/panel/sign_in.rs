//! The way in, the way out, and showing again who one is.

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;
use serde::Deserialize;

use super::cookies::Cookie;
use super::layout::{self, Tab};
use super::refusal::{Answer, Refusal};
use super::session::{Fields, PATIENCE, Seen, Sent};
use super::{Panel, words};
use crate::auth::AuthFault;
use crate::base::{Deadline, Fault as _, FaultKind};

/// Where somebody wants to go afterwards.
#[derive(Debug, Deserialize)]
pub(super) struct To {
    #[serde(default)]
    to: String,
}

/// `GET /panel/welcome`: for who is not signed in.
pub(super) async fn welcome(Query(wanted): Query<To>) -> impl IntoResponse {
    let to = words::own_path(&wanted.to);
    let href = format!("/panel/sign-in?to={}", words::query_value(to));
    layout::outside(
        "Sign in",
        &html! {
            section class="door" {
                h1 { "Wardgate panel" }
                p { "For the people who run the platform. What you do here is written down with your name." }
                p { a class="button" href=(href) { "Sign in" } }
                p class="soft" { "A session ends after 15 minutes without use." }
            }
        },
    )
}

/// `GET /panel/sign-in`: off to the issuer.
pub(super) async fn begin(State(panel): State<Panel>, Query(wanted): Query<To>) -> Answer {
    leave(&panel, &wanted.to, false).await
}

/// `GET /panel/confirm`: the same for somebody who is signed in and must show again who she is.
pub(super) async fn confirm(
    State(panel): State<Panel>,
    _seen: Seen,
    Query(wanted): Query<To>,
) -> Answer {
    leave(&panel, &wanted.to, true).await
}

async fn leave(panel: &Panel, to: &str, again: bool) -> Answer {
    let deadline = Deadline::after(PATIENCE);
    let begun = panel.0.sign_ins.begin(words::own_path(to), again, deadline).await;
    let begun = begun.map_err(|fault| Refusal::of(None, &fault))?;
    let mut response = Redirect::to(&begun.url).into_response();
    let cookie = panel.set_cookie(Cookie::SignIn, Some(&begun.cookie));
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

/// What the issuer sends a browser back with (RFC 6749, 4.1.2).
#[derive(Debug, Deserialize)]
pub(super) struct Back {
    #[serde(default)]
    pub(super) state: String,
    pub(super) code: Option<String>,
    pub(super) error: Option<String>,
    pub(super) iss: Option<String>,
}

/// `GET /panel/callback`: back from the issuer.
pub(super) async fn callback(
    State(panel): State<Panel>,
    headers: HeaderMap,
    Query(back): Query<Back>,
) -> Answer {
    let refused = |status, why: &str| {
        let mut page = Refusal::from(failed(status, why)).into_response();
        let gone = panel.set_cookie(Cookie::SignIn, None);
        page.headers_mut().append(header::SET_COOKIE, gone);
        Refusal::from(page)
    };
    let (Some(code), Some(cookie)) = (back.code, panel.cookie(&headers, Cookie::SignIn)) else {
        let why = match back.error.as_deref() {
            Some("access_denied") => "You did not sign in.",
            _ => "This sign-in was not begun here, or it was begun too long ago.",
        };
        return Err(refused(StatusCode::BAD_REQUEST, why));
    };
    let old = panel.cookie(&headers, Cookie::Session);
    let deadline = Deadline::after(PATIENCE);
    let finished =
        panel.0.sign_ins.finish(&cookie, &back.state, &code, old.as_deref(), deadline).await;
    let opened = finished.map_err(|fault| {
        tracing::info!(target: "wardgate::http", reason = fault.reason(), "a panel sign-in failed");
        let (status, why) = told(&fault);
        refused(status, why)
    })?;
    let mut response = Redirect::to(&opened.target).into_response();
    let headers = response.headers_mut();
    headers.append(header::SET_COOKIE, panel.set_cookie(Cookie::Session, Some(&opened.cookie)));
    headers.append(header::SET_COOKIE, panel.set_cookie(Cookie::SignIn, None));
    Ok(response)
}

fn told(fault: &AuthFault) -> (StatusCode, &'static str) {
    match fault.kind() {
        FaultKind::Forbidden => {
            (StatusCode::FORBIDDEN, "You are known there, and hold no role here. Ask for one.")
        }
        FaultKind::Unavailable => {
            (StatusCode::SERVICE_UNAVAILABLE, "Signing in does not work at the moment. Try again.")
        }
        FaultKind::Invalid => (
            StatusCode::BAD_REQUEST,
            "This sign-in was not begun here, or it was begun too long ago.",
        ),
        _ => (StatusCode::UNAUTHORIZED, "What the issuer answered does not verify."),
    }
}

fn failed(status: StatusCode, why: &str) -> Response {
    let page = layout::outside(
        "Not signed in",
        &html! {
            section class="door" {
                h1 { "Not signed in" }
                div class="notice bad" role="alert" { p { (why) } }
                p { a class="button" href="/panel/sign-in" { "Sign in again" } }
            }
        },
    );
    (status, page).into_response()
}

/// `POST /panel/sign-out`: here, and at the issuer.
pub(super) async fn sign_out(
    State(panel): State<Panel>,
    headers: HeaderMap,
    sent: Sent,
) -> Response {
    let cookie = panel.cookie(&headers, Cookie::Session).unwrap_or_default();
    let there = panel.0.sign_ins.end(&cookie, sent.seen.caller.deadline).await;
    let target = there.unwrap_or_else(|| "/panel/welcome".to_owned());
    let mut response = Redirect::to(&target).into_response();
    let gone = panel.set_cookie(Cookie::Session, None);
    response.headers_mut().append(header::SET_COOKIE, gone);
    response
}

/// `POST /panel/backchannel-logout`: the issuer says that a session ended (OpenID Connect Back-Channel
/// Logout 1.0, 2.5). The signed logout token is its own credential.
pub(super) async fn back_channel_logout(
    State(panel): State<Panel>,
    body: axum::body::Bytes,
) -> StatusCode {
    match panel.0.authority.back_channel_logout(&body, Deadline::after(PATIENCE)).await {
        Ok(()) => StatusCode::OK,
        Err(fault) => {
            tracing::info!(target: "wardgate::auth", reason = fault.reason(), "logout token refused");
            match fault.kind() {
                FaultKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::BAD_REQUEST,
            }
        }
    }
}

/// What stands above a form that holds what was typed before.
pub(super) fn typed_again(typed: Option<&Fields>) -> maud::Markup {
    html! {
        @if typed.is_some() {
            div class="notice calm" role="status" {
                p { "What you typed is here again; nothing was sent yet. Passwords are typed anew." }
            }
        }
    }
}

/// What stands where something needs a fresh sign-in: the way to it and back.
pub(super) fn ask_again(back: &str, what: &str) -> maud::Markup {
    let href = format!("/panel/confirm?to={}", words::query_value(back));
    html! {
        div class="notice calm" {
            p { (what) " asks you to show once more who you are. It counts for five minutes." }
            p { a class="button" href=(href) { "Confirm it is you" } }
        }
    }
}

/// The page for an order that came without a fresh sign-in. Nothing was done; what was typed into the fields
/// of these `names`, none of which may be a secret, is there again on the page she comes back to.
pub(super) fn too_old(
    panel: &Panel,
    seen: &Seen,
    back: &str,
    fields: &Fields,
    names: &[&str],
) -> Refusal {
    let typed = fields.only(names);
    let kept =
        if typed.is_empty() { None } else { panel.0.sign_ins.keep(&seen.caller.permit, typed) };
    let back = match &kept {
        Some(kept) => format!("{back}?kept={kept}"),
        None => back.to_owned(),
    };
    let body = html! {
        h1 { "Confirm it is you" }
        (ask_again(&back, "This"))
        p { "Nothing was changed." @if kept.is_some() { " What you typed is there again afterwards, without passwords." } }
    };
    let page = layout::page(seen, Tab::None, "Confirm it is you", &body);
    Refusal::from((StatusCode::FORBIDDEN, page).into_response())
}
