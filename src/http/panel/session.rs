//! Who asks, and whether a form may be believed.

use std::collections::HashMap;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Form, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;
use uuid::Uuid;

use super::cookies::Cookie;
use super::late::{self, Pairs};
use super::refusal::{Refusal, told};
use super::{Panel, words};
use crate::auth::{AuthFault, OperatorRank, SessionName, Typed};
use crate::base::{Deadline, Generation, SecretText};
use crate::control::Caller;
use crate::http::request_id::RequestId;

/// How long a page may take; connecting to a new database is the slowest of them.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// Sent by the panel's script when it refreshes a page by itself.
const LIVE: &str = "x-wardgate-live";

/// One request of somebody who is signed in.
pub(super) struct Seen {
    pub(super) caller: Caller,
    pub(super) csrf: SecretText,
    pub(super) name: String,
    /// Whether she showed who she is a moment ago.
    pub(super) fresh: bool,
    /// How many orders wait for a second person, where the settings ask for one.
    pub(super) waiting: Option<usize>,
    pub(super) session: SessionName,
}

impl Seen {
    /// Whether she may change anything.
    pub(super) fn may_change(&self) -> bool {
        self.caller.permit.rank() >= OperatorRank::Operator
    }
}

impl FromRequestParts<Panel> for Seen {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, panel: &Panel) -> Result<Self, Refusal> {
        match Self::of(parts, panel).await {
            Ok(Some(seen)) => Ok(seen),
            Ok(None) => Err(not_signed_in(parts)),
            Err(fault) => Err(Refusal::of(None, &fault)),
        }
    }
}

impl Seen {
    /// Who asks, if her session is good.
    async fn of(parts: &Parts, panel: &Panel) -> Result<Option<Self>, AuthFault> {
        let deadline = Deadline::after(PATIENCE);
        let live = parts.headers.contains_key(LIVE);
        let Some(cookie) = panel.cookie(&parts.headers, Cookie::Session) else { return Ok(None) };
        let Some(visit) = panel.0.sign_ins.visit(&cookie, !live, deadline).await? else {
            return Ok(None);
        };
        let request = parts.extensions.get::<RequestId>().map_or_else(Uuid::nil, |id| id.0);
        let caller = Caller { permit: visit.permit, request, deadline };
        let waiting = panel.0.control.approvals_waiting(&caller).await;
        let (csrf, name, fresh, session) = (visit.csrf, visit.name, visit.fresh, visit.session);
        Ok(Some(Self { caller, csrf, name, fresh, waiting, session }))
    }
}

fn not_signed_in(parts: &Parts) -> Refusal {
    if parts.headers.contains_key(LIVE) {
        return Refusal::plain(StatusCode::UNAUTHORIZED);
    }
    let path = parts.uri.path_and_query().map_or("/panel/", |path| path.as_str());
    let back = if parts.method == Method::GET { words::own_path(path) } else { "/panel/" };
    let target = format!("/panel/welcome?to={}", words::query_value(back));
    Refusal::from(Redirect::to(&target).into_response())
}

/// `GET /panel/pulse`: whether the session lives, for the script of a page that shows patients' data.
pub(super) async fn pulse(_seen: Seen) -> StatusCode {
    StatusCode::NO_CONTENT
}

/// A form sent by one of our own pages, by somebody who may change things.
pub(super) struct Order {
    pub(super) seen: Seen,
    pub(super) fields: Fields,
}

/// A form's fields; of those sent twice, the last counts.
pub(super) struct Fields(HashMap<String, String>);

impl Fields {
    /// A field's text without white space around it, empty when it was not sent.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |text| text.trim())
    }

    /// A field's text where it was sent.
    pub(super) fn sent(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A field's text as it was sent, taken away.
    pub(super) fn take(&mut self, name: &str) -> String {
        self.0.remove(name).unwrap_or_default()
    }

    /// Those of these names that were sent.
    pub(super) fn only(&self, names: &[&str]) -> Typed {
        let sent = names.iter().filter_map(|name| self.0.get_key_value(*name));
        sent.map(|(name, text)| (name.clone(), text.clone())).collect()
    }

    /// The generation the page was made from.
    pub(super) fn generation(&self) -> Option<Generation> {
        self.text("generation").parse().ok().map(Generation)
    }
}

/// In the address of a page: the name under which what was typed there was kept, before its author showed once
/// more who she is.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Again {
    #[serde(default)]
    kept: String,
}

impl Again {
    /// By that name.
    pub(super) fn under(name: &str) -> Self {
        Self { kept: name.to_owned() }
    }

    /// What was typed, when it was kept for this person.
    pub(super) fn typed(&self, panel: &Panel, seen: &Seen) -> Option<Fields> {
        let typed = panel.0.sign_ins.kept(&seen.caller.permit, &self.kept)?;
        Some(Fields(typed.into_iter().collect()))
    }
}

impl FromRequest<Panel> for Order {
    type Rejection = Refusal;

    async fn from_request(request: Request, panel: &Panel) -> Result<Self, Refusal> {
        let order = Sent::from_request(request, panel).await?;
        if !order.seen.may_change() {
            let why =
                "You may look at everything here and change nothing. Ask for the operator's role.";
            return Err(Refusal::page(Some(&order.seen), StatusCode::FORBIDDEN, why));
        }
        Ok(Self { seen: order.seen, fields: order.fields })
    }
}

/// A form sent by one of our own pages, by anybody who is signed in.
pub(super) struct Sent {
    pub(super) seen: Seen,
    pub(super) fields: Fields,
}

impl FromRequest<Panel> for Sent {
    type Rejection = Refusal;

    async fn from_request(request: Request, panel: &Panel) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let (path, ours) = (parts.uri.path().to_owned(), is_ours(&parts.headers, &panel.0.origin));
        let seen = match Seen::of(&parts, panel).await {
            Ok(Some(seen)) => seen,
            Ok(None) => {
                let otherwise = not_signed_in(&parts);
                let why = "Your session has ended.";
                let typed = typed(ours, parts, body).await;
                let page = |typed: Pairs| late::unknown(StatusCode::FORBIDDEN, why, &path, &typed);
                return Err(typed.map_or(otherwise, |typed| page(typed).into()));
            }
            Err(fault) => {
                let (status, why) = told(&fault);
                let otherwise = Refusal::page(None, status, &why);
                let typed = typed(ours, parts, body).await;
                let page = |typed: Pairs| late::unknown(status, &why, &path, &typed);
                return Err(typed.map_or(otherwise, |typed| page(typed).into()));
            }
        };
        let foreign = || {
            let why =
                "This form was not sent by this page. Nothing was changed. Open the page anew.";
            Refusal::page(Some(&seen), StatusCode::FORBIDDEN, why)
        };
        if !ours {
            return Err(foreign());
        }
        let form = Form::<Pairs>::from_request(Request::from_parts(parts, body), &());
        let Ok(Form(pairs)) = form.await else {
            let why = "The form could not be read.";
            return Err(Refusal::page(Some(&seen), StatusCode::BAD_REQUEST, why));
        };
        let csrf = pairs.iter().rfind(|(name, _)| name == "csrf");
        if !same(csrf.map_or("", |(_, token)| token.as_str()), seen.csrf.expose()) {
            // Of our own origin, and so of a page made for the session before this one.
            if seen.may_change() && late::is_typed(&pairs) {
                return Err(late::earlier(&seen, &path, &pairs).into());
            }
            return Err(foreign());
        }
        Ok(Self { seen, fields: Fields(pairs.into_iter().collect()) })
    }
}

/// What was typed into a form of ours that nobody can be asked about.
async fn typed(ours: bool, parts: Parts, body: Body) -> Option<Pairs> {
    if !ours {
        return None;
    }
    let form = Form::<Pairs>::from_request(Request::from_parts(parts, body), &()).await;
    form.ok().map(|Form(pairs)| pairs).filter(|pairs| late::is_typed(pairs))
}

/// Browsers say where a form comes from; one that says nothing of it is not believed.
fn is_ours(headers: &HeaderMap, origin: &str) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let site_fits = text("sec-fetch-site").is_none_or(|site| site == "same-origin");
    match text(header::ORIGIN.as_str()) {
        Some(sent) => sent == origin && site_fits,
        None => text("sec-fetch-site") == Some("same-origin"),
    }
}

/// Compares without telling by its time how far two texts agree.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(origin: Option<&'static str>, site: Option<&'static str>) -> bool {
        let mut headers = HeaderMap::new();
        let mut put = |name: &'static str, value: Option<&'static str>| {
            if let Some(value) = value {
                headers.insert(name, value.parse().unwrap());
            }
        };
        put("origin", origin);
        put("sec-fetch-site", site);
        is_ours(&headers, "https://ops.example.org")
    }

    #[test]
    fn only_our_own_pages_send_forms() {
        let our = Some("https://ops.example.org");
        assert!(ours(our, None));
        assert!(ours(our, Some("same-origin")));
        assert!(ours(None, Some("same-origin")));
        for (origin, site) in [
            (None, None),
            (None, Some("none")),
            (None, Some("same-site")),
            (our, Some("cross-site")),
            (Some("null"), None),
            (Some("https://ops.example.org.evil.example"), None),
            (Some("http://ops.example.org"), Some("same-origin")),
            (Some("https://evil.example"), Some("same-origin")),
        ] {
            assert!(!ours(origin, site), "{origin:?} {site:?}");
        }
    }

    #[test]
    fn texts_are_compared_whole() {
        assert!(same("abc", "abc"));
        for other in ["", "ab", "abd", "abcd"] {
            assert!(!same("abc", other));
        }
    }
}
