//! Long-running work: what is under way, how far it is, and ordering it again or an end to it.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect};
use maud::{Markup, html};
use serde::Deserialize;
use uuid::Uuid;

use super::layout::{self, Tab};
use super::refusal::{Answer, Refusal, told};
use super::session::{Order, Seen};
use super::{Panel, events, words};
use crate::base::{Fault as _, FaultKind};
use crate::control::{OperationQuery, OperationStepView, OperationView};

/// Parts of an operation a page shows; the API gives all.
const PARTS: usize = 300;

/// Which operations to show.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    state: String,
    #[serde(default)]
    tenant: String,
    cursor: Option<String>,
}

/// `GET /panel/operations`.
pub(super) async fn list(
    State(panel): State<Panel>,
    seen: Seen,
    Query(wanted): Query<Wanted>,
) -> Answer {
    let text = |text: &String| (!text.is_empty()).then(|| text.clone());
    let query = OperationQuery {
        state: text(&wanted.state),
        tenant: text(&wanted.tenant),
        ..OperationQuery::default()
    };
    let cursor = wanted.cursor.as_deref();
    let found = panel.0.control.operations(&seen.caller, &query, cursor, 50).await;
    // A filter that names nothing is corrected where it stands.
    let shown = match found {
        Ok(page) => {
            let next = page.next.map(|next| {
                let (state, tenant) =
                    (words::query_value(&wanted.state), words::query_value(&wanted.tenant));
                format!("/panel/operations?state={state}&tenant={tenant}&cursor={next}")
            });
            html! {
                (table(&panel, &seen, &page.operations))
                @if let Some(next) = next { p { a href=(next) rel="next" { "Older" } } }
            }
        }
        Err(fault) if matches!(fault.kind(), FaultKind::NotFound | FaultKind::Invalid) => {
            let (_, why) = told(&fault);
            html! { div class="notice bad" role="alert" { p { (why) } } }
        }
        Err(fault) => return Err(Refusal::of(Some(&seen), &fault)),
    };
    let body = html! {
        h1 { "Operations" }
        @if seen.waiting.is_none() { p { a href="/panel/approvals" { "Waiting for a second person" } } }
        form method="get" action="/panel/operations" class="search" role="search" {
            label { "State"
                select name="state" {
                    @for state in ["", "pending", "running", "undoing", "failed", "succeeded", "cancelled"] {
                        option value=(state) selected[state == wanted.state] {
                            @if state.is_empty() { "any" } @else { (state) }
                        }
                    }
                }
            }
            label { "Hospital" input name="tenant" value=(wanted.tenant) autocomplete="off"; }
            button class="quiet" type="submit" { "Show" }
        }
        section class="card wide" id="operations" data-live {
            h2 { "Newest first" }
            (shown)
        }
    };
    Ok(layout::live_page(&seen, Tab::Operations, "Operations", &body).into_response())
}

fn table(panel: &Panel, seen: &Seen, operations: &[OperationView]) -> Markup {
    html! {
        @if operations.is_empty() { p { "There are none." } } @else {
        div class="scroll" tabindex="0" role="region" aria-label="Operations" {
        table {
            thead { tr {
                th scope="col" { "What" } th scope="col" { "About" } th scope="col" { "State" }
                th scope="col" class="num" { "Steps" } th scope="col" { "Ordered by" } th scope="col" { "When" }
            } }
            tbody { @for one in operations { tr {
                th scope="row" { a href={ "/panel/operations/" (one.id) } { (kind(one)) } }
                td { (one.subject) }
                td { (chip(one)) }
                td class="num" { (one.done) " of " (one.of) }
                td { (events::actor(panel, seen, &one.ordered_by)) }
                td { (words::moment(&one.created_at, &*panel.0.clock)) }
            } } }
        }
        } }
    }
}

/// What is done, in words; what is not known here stands for itself.
fn kind(one: &OperationView) -> &str {
    match one.kind.as_str() {
        "tenant.provision" => "Make a hospital",
        "fleet.provision" => "Make hospitals",
        "tenant.migrate" => "Migrate a schema",
        "fleet.migrate" => "Migrate schemas",
        "tenant.rotate-password" => "Rotate a password",
        "tenant.offboard" => "Offboard a hospital",
        other => other,
    }
}

/// Where an operation is: a word and a colour.
fn chip(one: &OperationView) -> Markup {
    let tone = match one.state.as_str() {
        _ if one.frozen => "off",
        "failed" => "down",
        "running" | "undoing" => "watch",
        "succeeded" => "well",
        _ => "off",
    };
    let word = if one.frozen { "frozen" } else { one.state.as_str() };
    html! { span class={ "chip " (tone) } { (word) } }
}

/// `GET /panel/operations/{id}`.
pub(super) async fn show(State(panel): State<Panel>, seen: Seen, Path(id): Path<String>) -> Answer {
    page(&panel, &seen, &id, StatusCode::OK, &html! {}).await
}

async fn page(panel: &Panel, seen: &Seen, id: &str, status: StatusCode, notice: &Markup) -> Answer {
    let unknown =
        || Refusal::page(Some(seen), StatusCode::NOT_FOUND, "There is no such operation.");
    let id: Uuid = id.parse().map_err(|_| unknown())?;
    let (control, caller) = (&panel.0.control, &seen.caller);
    let refused = Refusal::control(seen);
    let one = control.operation(caller, id).await.map_err(&refused)?;
    let parts = control.operation_parts(caller, id).await.map_err(&refused)?;
    let body = html! {
        p class="crumb" { a href="/panel/operations" { "Operations" } }
        h1 { (kind(&one)) " " span class="slug" { (one.subject) } }
        (notice)
        section class="card wide" id="state" data-live {
            h2 { "State" }
            p { (chip(&one)) " " (one.done) " of " (one.of) " steps"
                @if let Some(step) = &one.step { ", at: " strong { (step) } } "." }
            progress max=(one.of) value=(one.done) aria-label="Steps done" {}
            @if let Some(tenants) = one.progress.get("tenants") { (figures(tenants)) }
            @if let Some(error) = &one.error {
                div class="notice bad" role="alert" {
                    p { strong { (words::sentence(&error.message)) } " " code class="soft" { (error.code) } }
                    @if let Some(hint) = &error.hint { p { (words::sentence(hint)) } }
                }
            }
            dl class="pairs" {
                @if one.kind.starts_with("tenant.") {
                    dt { "Hospital" } dd { a href={ "/panel/tenants/" (one.subject) } { (one.subject) } }
                }
                @if let Some(parent) = one.parent {
                    dt { "Part of" } dd { a href={ "/panel/operations/" (parent) } { "a larger operation" } }
                }
                dt { "Ordered by" } dd { (events::actor(panel, seen, &one.ordered_by)) }
                dt { "When" } dd { (words::full_moment(&one.created_at, &*panel.0.clock)) }
                @if let Some(holder) = &one.holder { dt { "Carried out by" } dd { (holder) } }
                @if let Some(ended) = &one.ended_at {
                    dt { "Ended" } dd { (words::full_moment(ended, &*panel.0.clock)) }
                }
            }
            (orders(seen, &one))
        }
        section class="card wide" id="steps" data-live {
            h2 { "Steps" }
            (steps(&one.steps))
        }
        // There from the beginning, so that what comes later has its place.
        @if one.kind.starts_with("fleet.") {
            section class="card wide" id="parts" data-live {
                h2 { "Hospitals" }
                @if parts.is_empty() { p { "None was begun yet." } } @else { (list_of_parts(&parts)) }
            }
        }
        div id="outcome" data-live { @if let Some(result) = &one.result { (outcome(result)) } }
    };
    let page = layout::live_page(seen, Tab::Operations, kind(&one), &body);
    Ok((status, page).into_response())
}

fn figures(tenants: &serde_json::Value) -> Markup {
    let count = |name: &str| tenants.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0);
    html! {
        p { (count("succeeded")) " of " (words::hospitals(count("total"))) " done, " (count("failed")) " failed, "
            (count("running")) " under way, " (count("waiting")) " waiting." }
    }
}

fn orders(seen: &Seen, one: &OperationView) -> Markup {
    let over = ["succeeded", "failed", "cancelled"].contains(&one.state.as_str());
    let form = |verb: &str, text: &str| {
        html! {
            form method="post" action={ "/panel/operations/" (one.id) "/" (verb) } {
                (layout::csrf(seen))
                button class="quiet" type="submit" { (text) }
            }
        }
    };
    html! {
        @if seen.may_change() {
            div class="row" {
                @if one.can_retry { (form("retry", "Retry")) }
                @if one.can_cancel { (form("cancel", cancelling(one))) }
                @if !over && one.frozen { (form("resume", "Go on")) }
                @if !over && !one.frozen { (form("freeze", "Freeze")) }
            }
        }
    }
}

/// What cancelling comes to: of many hospitals, those that are made or migrated stay so.
fn cancelling(one: &OperationView) -> &'static str {
    match one.kind.as_str() {
        kind if kind.starts_with("fleet.") => "Cancel: begin no more",
        "tenant.migrate" => "Cancel",
        _ => "Cancel and take back",
    }
}

fn steps(steps: &[OperationStepView]) -> Markup {
    html! {
        @if steps.is_empty() { p { "None was begun yet." } } @else {
        div class="scroll" tabindex="0" role="region" aria-label="Steps" {
        table {
            thead { tr { th scope="col" { "Step" } th scope="col" { "State" }
                th scope="col" class="num" { "Begun" } th scope="col" { "What came of it" } } }
            tbody { @for step in steps { tr {
                th scope="row" { (step.name) @if step.undo { " " span class="soft" { "way back" } } }
                td { (step.state) }
                td class="num" { (step.attempts) "×" }
                td { (step.note.as_deref().unwrap_or("–")) }
            } } }
        }
        } }
    }
}

fn list_of_parts(parts: &[OperationView]) -> Markup {
    let mut sorted: Vec<&OperationView> = parts.iter().collect();
    sorted.sort_by_key(|part| match part.state.as_str() {
        "failed" => 0,
        "running" | "pending" => 1,
        "held" => 2,
        _ => 3,
    });
    html! {
        div class="scroll" tabindex="0" role="region" aria-label="Hospitals" {
        table {
            thead { tr { th scope="col" { "Hospital" } th scope="col" { "State" } th scope="col" { "Cause" } } }
            tbody { @for part in sorted.iter().take(PARTS) { tr {
                th scope="row" { a href={ "/panel/operations/" (part.id) } { (part.subject) } }
                td { (chip(part)) }
                td { @match &part.error { Some(error) => (error.message), None => "–" } }
            } } }
        }
        }
        @if sorted.len() > PARTS { p class="soft" { (sorted.len() - PARTS) " more; the API lists all." } }
    }
}

fn outcome(result: &serde_json::Value) -> Markup {
    let Some(entries) = result.as_object() else { return html! {} };
    // How many hospitals are where stands above.
    let shown = |name: &str| !["tenants", "failed"].contains(&name);
    let entries = entries.iter().filter(|(name, value)| shown(name) && !value.is_null());
    let entries: Vec<_> = entries.collect();
    html! {
        @if !entries.is_empty() {
            section class="card wide" {
                h2 { "What came of it" }
                dl {
                    @for (name, value) in entries {
                        dt { (words::title(name)) }
                        // A certificate is given letter by letter: its signature is over just that.
                        dd { code class="exact" { (events::plain(value)) } }
                    }
                }
            }
        }
    }
}

/// `POST /panel/operations/{id}/{verb}`.
pub(super) async fn act(
    State(panel): State<Panel>,
    Path((id, verb)): Path<(String, String)>,
    order: Order,
) -> Answer {
    let seen = &order.seen;
    let unknown =
        || Refusal::page(Some(seen), StatusCode::NOT_FOUND, "There is nothing at this address.");
    let known: Uuid = id.parse().map_err(|_| unknown())?;
    let (control, caller) = (&panel.0.control, &seen.caller);
    let done = match verb.as_str() {
        "retry" => control.retry_operation(caller, known).await,
        "cancel" => control.cancel_operation(caller, known).await,
        "freeze" => control.freeze_operation(caller, known, true).await,
        "resume" => control.freeze_operation(caller, known, false).await,
        _ => return Err(unknown()),
    };
    match done {
        Ok(_) => Ok(Redirect::to(&format!("/panel/operations/{known}")).into_response()),
        Err(fault) => {
            let (status, why) = told(&fault);
            let notice = html! { div class="notice bad" role="alert" { p { (why) } } };
            page(&panel, seen, &id, status, &notice).await
        }
    }
}
