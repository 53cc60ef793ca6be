//! What operators did.

use axum::extract::{Query, State};
use axum::response::IntoResponse as _;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::layout::{self, Tab};
use super::refusal::{Answer, Refusal};
use super::session::Seen;
use super::{Panel, words};
use crate::base::{Fault as _, FaultKind, Generation};
use crate::control::ControlFault;

/// Lines of a page.
const SIZE: u32 = 50;

/// Only events before this one.
#[derive(Debug, Deserialize)]
pub(super) struct Before {
    before: Option<i64>,
}

/// `GET /panel/events`.
pub(super) async fn show(
    State(panel): State<Panel>,
    seen: Seen,
    Query(wanted): Query<Before>,
) -> Answer {
    let control = &panel.0.control;
    let refused = Refusal::control(&seen);
    let page = control.events(&seen.caller, wanted.before, SIZE).await.map_err(&refused)?;
    let ids = page.events.iter().filter_map(|event| event.tenant);
    let names = control.tenant_names(&seen.caller, ids).await.map_err(&refused)?;
    let body = html! {
        h1 { "Events" }
        p { "What operators did, newest first. It cannot be changed from here." }
        div id="events" data-live {
            @if page.events.is_empty() { p class="empty" { "Nothing yet." } }
            @else {
                table class="events" {
                    caption class="unseen" { "Events" }
                    thead { tr {
                        th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "What" }
                        th scope="col" { "Hospital" } th scope="col" class="num" { "Generation" } th scope="col" { "More" }
                    } }
                    tbody {
                        @for event in &page.events {
                            tr {
                                td data-label="When" { (words::full_moment(&event.at, &*panel.0.clock)) }
                                td data-label="Who" { (actor(&panel, &seen, &event.actor)) }
                                td data-label="What" { (action(&event.action)) }
                                td data-label="Hospital" {
                                    @match event.tenant.as_ref().and_then(|id| names.get(id)) {
                                        Some(name) => a href={ "/panel/tenants/" (name) } { (name) },
                                        None => "–",
                                    }
                                }
                                td class="num" data-label="Generation" {
                                    @match event.generation { Some(n) => (n), None => "–" }
                                }
                                td data-label="More" { (detail(&event.detail)) }
                            }
                        }
                    }
                }
            }
            nav class="pager" aria-label="More events" {
                @if wanted.before.is_some() { a href="/panel/events" { "Newest" } }
                @if let Some(next) = page.next { a href={ "/panel/events?before=" (next) } rel="next" { "Older" } }
            }
        }
    };
    Ok(layout::live_page(&seen, Tab::Events, "Events", &body).into_response())
}

/// That somebody else was faster: what was changed since the page was made, and by whom. Nothing where the
/// failure is another.
pub(super) async fn conflict(
    panel: &Panel,
    seen: &Seen,
    tenant: &str,
    made_from: Option<Generation>,
    fault: &ControlFault,
) -> Option<Markup> {
    if fault.kind() != FaultKind::Stale {
        return None;
    }
    let since = made_from.unwrap_or(Generation(0));
    let changes = panel.0.control.changes_since(&seen.caller, tenant, since).await.ok()?;
    Some(html! {
        p { "Somebody else changed this hospital while your page was open:" }
        ul {
            @for event in &changes {
                li {
                    (action(&event.action)) " by " (actor(panel, seen, &event.actor)) ", "
                    (words::moment(&event.at, &*panel.0.clock)) (detail(&event.detail))
                }
            }
        }
        p { "Nothing of yours was changed. This is how it is now; what you typed stays, to be sent again." }
    })
}

/// Who did it: by name where she signed in here, by the issuer's id otherwise.
pub(super) fn actor(panel: &Panel, seen: &Seen, actor: &str) -> Markup {
    let (kind, subject) = actor.split_once(':').unwrap_or(("", actor));
    let own = seen.caller.permit.subject() == subject;
    html! {
        span class="actor" title=(subject) {
            @match panel.0.sign_ins.name_of(subject) {
                Some(name) => (name),
                None if kind == "console" => { "console " (subject) },
                None => (subject.chars().take(13).collect::<String>()),
            }
            @if own { " (you)" }
        }
    }
}

/// A value without JSON's marks.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(entries) => {
            let entries = entries.iter().filter(|(_, value)| !value.is_null());
            let texts = entries.map(|(name, value)| format!("{name} {}", plain(value)));
            texts.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

/// What was done, in words; what is not known here stands for itself.
pub(super) fn action(code: &str) -> Markup {
    let words = match code {
        "tenant.create" => "registered",
        "tenant.update" => "renamed",
        "tenant.state" => "state changed",
        "tenant.invalidate" => "configuration invalidated",
        "limits.set" => "limits set",
        "approval.request" => "second person asked",
        "approval.approve" => "approved as second person",
        "approval.refuse" => "refused as second person",
        "flags.set" => "features switched",
        "connection.put" => "connection sealed",
        "connection.identify" => "connection identified",
        "connection.reseal" => "connection resealed",
        "mapping.add" => "mapping stored",
        "mapping.publish" => "mapping published",
        "mapping.rollback" => "mapping rolled back",
        "lane.drain" => "lane drained",
        "breaker.reset" => "breaker reset",
        "binding.add" => "identity added",
        "binding.remove" => "identity removed",
        "binding.clients" => "clients changed",
        "tenant.not_before" => "older tokens refused",
        "connection.remove" => "connection removed",
        "operation.order" => "operation ordered",
        "operation.retry" => "operation retried",
        "operation.cancel" => "operation cancelled",
        "operation.freeze" => "operation frozen",
        "operation.resume" => "operation resumed",
        "server.put" => "server registered",
        "server.connection" => "server's account replaced",
        "server.reseal" => "server's account resealed",
        "server.remove" => "server forgotten",
        "mapping.check" => "mapping checked",
        "mapping.draft" => "mapping drafted",
        "mapping.drift" => "database changed",
        "mapping.drift_over" => "database fits again",
        "tenant.remove_draft" => "draft removed",
        "registry.restored" => "registry restored",
        "keys.sweep" => "unused keys destroyed",
        "keys.rotate" => "keys rotated",
        "keys.rewrap" => "keys rewrapped",
        "keys.drop" => "key dropped",
        other => other,
    };
    html! { strong title=(code) { (words) } }
}

/// What else is known of an event, as words and values.
pub(super) fn detail(detail: &Value) -> Markup {
    let Some(entries) = detail.as_object() else { return html! {} };
    html! {
        span class="detail" {
            @for (name, value) in entries.iter().filter(|(_, value)| !value.is_null()) {
                @let text = plain(value);
                " " span { (name.replace('_', " ")) ": " code { (text.chars().take(120).collect::<String>()) } }
            }
        }
    }
}
