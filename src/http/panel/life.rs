//! What is done to a hospital seldom: a new password, and its end.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect};
use maud::{Markup, html};

use super::layout::{self, Tab};
use super::refusal::{Answer, Refusal, told};
use super::session::{Again, Fields, Order, Seen};
use super::tenant::hidden;
use super::{Panel, events, sign_in};
use crate::control::Ordered;

/// `GET /panel/tenants/{name}/life`.
pub(super) async fn show(
    State(panel): State<Panel>,
    seen: Seen,
    Path(name): Path<String>,
    Query(again): Query<Again>,
) -> Answer {
    let typed = again.typed(&panel, &seen);
    let notice = sign_in::typed_again(typed.as_ref());
    page(&panel, &seen, &name, StatusCode::OK, &notice, typed.as_ref()).await
}

async fn page(
    panel: &Panel,
    seen: &Seen,
    name: &str,
    status: StatusCode,
    notice: &Markup,
    typed: Option<&Fields>,
) -> Answer {
    let shown = panel.0.control.show(&seen.caller, name).await;
    let mut tenant = shown.map_err(Refusal::control(seen))?;
    if let Some(generation) = typed.and_then(Fields::generation) {
        tenant.generation = generation.0;
    }
    let confirm = typed.map(|typed| typed.text("confirm"));
    let address = format!("/panel/tenants/{}/life", tenant.name);
    let provisioned = tenant.ownership == "provisioned";
    let body = html! {
        p class="crumb" {
            a href="/panel/" { "Fleet" } " / "
            a href={ "/panel/tenants/" (tenant.name) } { bdi { (tenant.display_name) } }
        }
        h1 { "Password and end" }
        (notice)
        @if !seen.may_change() {
            div class="notice calm" { p { "You may look at everything here and change nothing." } }
        } @else if !seen.fresh {
            (sign_in::ask_again(&address, "Changing a password or ending a hospital"))
        } @else {
            section class="card wide" {
                h2 { "New password" }
                @if provisioned {
                    p { "A new role with the same rights takes the place of the old one, which is then refused. \
                         Nothing is interrupted." }
                    form method="post" action=(address) {
                        (hidden(seen, &tenant))
                        button type="submit" name="verb" value="rotate" { "Rotate the password" }
                    }
                } @else {
                    p { "The database is the hospital's own, and so is its password: have one set there, then replace \
                         the connection." }
                }
            }
            section class="card wide" {
                h2 { "Offboard" }
                @if provisioned {
                    p { strong { "Its database is destroyed with all records in it." } " There is no way back." }
                } @else {
                    p { "Its connection record and keys are destroyed. The hospital's own database is not touched." }
                }
                form method="post" action=(address) class="stack" {
                    (hidden(seen, &tenant))
                    label { span { "Type " code { (tenant.name) } " to confirm" }
                        input name="confirm" value=[confirm] autocomplete="off";
                    }
                    div class="row" {
                        button class="danger" type="submit" name="verb" value="offboard" { "Offboard" }
                    }
                }
            }
        }
    };
    Ok((status, layout::page(seen, Tab::Fleet, "Password and end", &body)).into_response())
}

/// `POST /panel/tenants/{name}/life`.
pub(super) async fn act(
    State(panel): State<Panel>,
    Path(name): Path<String>,
    order: Order,
) -> Answer {
    let seen = &order.seen;
    if !seen.fresh {
        let (back, names) = (format!("/panel/tenants/{name}/life"), ["confirm", "generation"]);
        return Err(sign_in::too_old(&panel, seen, &back, &order.fields, &names));
    }
    let (control, caller) = (&panel.0.control, &seen.caller);
    let done = match order.fields.text("verb") {
        "rotate" => control.rotate_password(caller, &name).await.map(Ordered::Done),
        "offboard" => {
            let confirm = Some(order.fields.text("confirm"));
            control.offboard(caller, &name, order.fields.generation(), confirm).await
        }
        _ => {
            let why = "The form is not complete. Open the page anew.";
            return Err(Refusal::page(Some(seen), StatusCode::BAD_REQUEST, why));
        }
    };
    match done {
        Ok(Ordered::Done(view)) => {
            Ok(Redirect::to(&format!("/panel/operations/{}", view.id)).into_response())
        }
        Ok(Ordered::Waits(_)) => Ok(Redirect::to("/panel/approvals?done=asked").into_response()),
        Err(fault) => {
            let (status, why) = told(&fault);
            let made_from = order.fields.generation();
            let conflict = events::conflict(&panel, seen, &name, made_from, &fault).await;
            let notice = html! {
                div class="notice bad" role="alert" {
                    @if let Some(conflict) = conflict { (conflict) } @else { p { (why) } }
                }
            };
            page(&panel, seen, &name, status, &notice, None).await
        }
    }
}
