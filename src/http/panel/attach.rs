//! Registering a hospital that has a database already.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect};
use maud::{Markup, html};

use super::layout::{self, Tab};
use super::refusal::{Answer, told};
use super::servers::{field, identity, identity_fields};
use super::session::{Fields, Order, Seen};
use super::tenant::steps;
use super::{Panel, connection};
use crate::control::NewTenant;

/// `GET /panel/add`.
pub(super) async fn show(State(panel): State<Panel>, seen: Seen) -> Answer {
    Ok(page(&panel, &seen, StatusCode::OK, &html! {}, None))
}

fn page(
    panel: &Panel,
    seen: &Seen,
    status: StatusCode,
    notice: &Markup,
    typed: Option<&Fields>,
) -> axum::response::Response {
    let engine = typed.map_or("", |typed| typed.text("engine"));
    let engine = if engine.is_empty() { "postgres" } else { engine };
    let body = html! {
        p class="crumb" { a href="/panel/" { "Fleet" } }
        h1 { "Add a hospital" }
        (notice)
        @if !seen.may_change() {
            div class="notice calm" { p { "You may look at everything here and change nothing." } }
        } @else {
            p { "This registers a hospital with the database it has; nothing is written there. A hospital without \
                 one is " a href="/panel/servers" { "made on a server" } ", with a database of its own." }
            form method="post" action="/panel/add" class="stack" {
                (layout::csrf(seen))
                section class="card" {
                    h2 { "The hospital" }
                    div class="pair" {
                        (field(typed, "name", "Name", "a-z, 0-9 and -; in addresses and logs"))
                        (field(typed, "display_name", "Name for people", "the same when left empty"))
                    }
                }
                section class="card" {
                    h2 { "Whose tokens open it" }
                    (identity_fields(panel, typed))
                }
                section class="card" {
                    h2 { "Its database" }
                    p class="soft" { "It is tried step by step first. Only when every step went well is it sealed and \
                        the hospital registered." }
                    (connection::place(typed, engine))
                }
                div class="row" {
                    button class="quiet" type="submit" name="verb" value="try" { "Try the database only" }
                    button type="submit" name="verb" value="add" { "Try, then add" }
                    a href="/panel/" { "Cancel" }
                }
            }
        }
    };
    (status, layout::page(seen, Tab::Fleet, "Add a hospital", &body)).into_response()
}

/// `POST /panel/add`: tried first; registered only when every step went well.
pub(super) async fn add(State(panel): State<Panel>, order: Order) -> Answer {
    let Order { seen, mut fields } = order;
    let input = connection::input(&mut fields);
    let (control, caller) = (&panel.0.control, &seen.caller);
    let outcome = match control.try_connection(caller, &input).await {
        Ok(report) if report.ok && fields.text("verb") == "add" => {
            let display = fields.text("display_name").to_owned();
            let new = NewTenant {
                name: fields.text("name").to_owned(),
                display_name: Some(display).filter(|display| !display.is_empty()),
                identities: vec![identity(&fields)],
                limits: None,
                connection: Some(input),
            };
            match control.add(caller, new).await {
                Ok(tenant) => {
                    let target = format!("/panel/tenants/{}/mappings?done=added", tenant.name);
                    return Ok(Redirect::to(&target).into_response());
                }
                Err(fault) => Err(fault),
            }
        }
        Ok(report) => Ok(report),
        Err(fault) => Err(fault),
    };
    let (status, notice) = match outcome {
        Ok(report) => {
            let status = if report.ok { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
            let notice = html! {
                (steps(&report))
                p { "Nothing was registered. Type the password again to go on; it is never sent back." }
            };
            (status, notice)
        }
        Err(fault) => {
            let (status, why) = told(&fault);
            let notice = html! {
                div class="notice bad" role="alert" {
                    p { (why) }
                    p { "Nothing was registered. Type the password again to go on; it is never sent back." }
                }
            };
            (status, notice)
        }
    };
    Ok(page(&panel, &seen, status, &notice, Some(&fields)))
}
