//! Orders that wait for a second person.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect};
use maud::{Markup, html};
use uuid::Uuid;

use super::layout::{self, Tab};
use super::refusal::{Answer, Refusal, told};
use super::session::{Order, Seen};
use super::tenant::Done;
use super::{Panel, events, sign_in, words};
use crate::auth::OperatorRank;
use crate::control::ApprovalView;

const HERE: &str = "/panel/approvals";

/// `GET /panel/approvals`.
pub(super) async fn list(
    State(panel): State<Panel>,
    seen: Seen,
    Query(done): Query<Done>,
) -> Answer {
    page(&panel, &seen, StatusCode::OK, &layout::done(done.done.as_deref())).await
}

async fn page(panel: &Panel, seen: &Seen, status: StatusCode, notice: &Markup) -> Answer {
    let all = panel.0.control.approvals(&seen.caller, true).await;
    let all = all.map_err(Refusal::control(seen))?;
    let (waiting, decided): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|view| view.state == "waiting");
    let tab = if seen.waiting.is_some() { Tab::Approvals } else { Tab::Operations };
    let body = html! {
        @if tab == Tab::Operations { p class="crumb" { a href="/panel/operations" { "Operations" } } }
        h1 { "Waiting for a second person" }
        (notice)
        @if seen.may_change() && !seen.fresh && !waiting.is_empty() {
            (sign_in::ask_again(HERE, "Approving"))
        }
        @if waiting.is_empty() { p { "Nothing waits." } }
        @for view in &waiting { (card(panel, seen, view)) }
        @if !decided.is_empty() {
            section class="card wide" {
                h2 { "Decided" }
                ul { @for view in decided.iter().take(50) { li {
                    (view.state) ": " (view.what) ", asked by " (events::actor(panel, seen, &view.requested_by))
                    @if let Some(by) = &view.decided_by { ", decided by " (events::actor(panel, seen, by)) }
                    " " (words::moment(view.decided_at.as_ref().unwrap_or(&view.expires_at), &*panel.0.clock))
                } } }
            }
        }
    };
    Ok((status, layout::page(seen, tab, "Approvals", &body)).into_response())
}

fn card(panel: &Panel, seen: &Seen, view: &ApprovalView) -> Markup {
    let own = view.requested_by == format!("operator:{}", seen.caller.permit.subject());
    let approves = seen.fresh && !own && seen.caller.permit.rank() >= OperatorRank::Approver;
    html! {
        section class="card wide" aria-label=(view.what) {
            h2 { (words::sentence(&view.what)) }
            p { "Asked by " (events::actor(panel, seen, &view.requested_by)) ", "
                (words::full_moment(&view.requested_at, &*panel.0.clock)) "; until "
                (words::full_moment(&view.expires_at, &*panel.0.clock)) "." }
            @for source in &view.sources { p { code { (source.name) } } pre { code { (source.sql) } } }
            @if seen.may_change() {
                form method="post" action={ (HERE) "/" (view.id) } class="row" {
                    (layout::csrf(seen))
                    @if approves { button class="danger" type="submit" name="verb" value="approve" { "Approve" } }
                    button class="quiet" type="submit" name="verb" value="refuse" {
                        @if own { "Take back" } @else { "Refuse" }
                    }
                }
            }
        }
    }
}

/// `POST /panel/approvals/{id}`.
pub(super) async fn act(
    State(panel): State<Panel>,
    Path(id): Path<String>,
    order: Order,
) -> Answer {
    let seen = &order.seen;
    let unknown = || Refusal::page(Some(seen), StatusCode::NOT_FOUND, "There is no such request.");
    let id: Uuid = id.parse().map_err(|_| unknown())?;
    let (control, caller) = (&panel.0.control, &seen.caller);
    let decided = match order.fields.text("verb") {
        "approve" if !seen.fresh => {
            return Err(sign_in::too_old(&panel, seen, HERE, &order.fields, &[]));
        }
        "approve" => control.approve(caller, id).await,
        "refuse" => control.refuse(caller, id).await,
        _ => {
            let why = "The form is not complete. Open the page anew.";
            return Err(Refusal::page(Some(seen), StatusCode::BAD_REQUEST, why));
        }
    };
    match decided {
        Ok(ApprovalView { operation: Some(operation), .. }) => {
            Ok(Redirect::to(&format!("/panel/operations/{operation}")).into_response())
        }
        Ok(view) => Ok(Redirect::to(&format!("{HERE}?done={}", view.state)).into_response()),
        Err(fault) => {
            let (status, why) = told(&fault);
            let notice = html! { div class="notice bad" role="alert" { p { (why) } } };
            page(&panel, seen, status, &notice).await
        }
    }
}
