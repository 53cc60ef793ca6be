//! Making several hospitals from a list.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};

use super::layout::{self, Tab};
use super::refusal::{Answer, Refusal, told};
use super::servers::{field, issuer_field};
use super::session::{Fields, Order, Seen};
use super::{Panel, words};
use crate::control::{
    ControlFault, ListLine, NewProvisions, ProvisionPlan, ServerView, faults_by_line, read_list,
};

/// Lines of what is wrong that a page shows.
const SHOWN: usize = 50;

/// `GET /panel/several`.
pub(super) async fn show(State(panel): State<Panel>, seen: Seen) -> Answer {
    page(&panel, &seen, StatusCode::OK, &html! {}, None).await
}

async fn page(
    panel: &Panel,
    seen: &Seen,
    status: StatusCode,
    notice: &Markup,
    typed: Option<&Fields>,
) -> Result<Response, Refusal> {
    let servers = panel.0.control.servers(&seen.caller).await.map_err(Refusal::control(seen))?;
    let body = html! {
        p class="crumb" { a href="/panel/servers" { "Servers" } }
        h1 { "Make several hospitals" }
        (notice)
        @if !seen.may_change() {
            div class="notice calm" { p { "You may look at everything here and change nothing." } }
        } @else if servers.is_empty() {
            div class="notice calm" { p { "Register a server first, under " a href="/panel/servers" { "Servers" } "." } }
        } @else { (form(panel, seen, &servers, typed)) }
    };
    let page = layout::page(seen, Tab::Servers, "Make several hospitals", &body);
    Ok((status, page).into_response())
}

fn form(panel: &Panel, seen: &Seen, servers: &[ServerView], typed: Option<&Fields>) -> Markup {
    let text = |name: &str| typed.map_or("", |typed| typed.text(name));
    let more = ["release", "parallel", "stop_at"];
    html! {
        section class="card wide" {
            p { "Each gets a database and a role of its own. The first is made first; when that fails nobody else is \
                 touched. Nothing is made unless every line of the list can be." }
            form method="post" action="/panel/several" class="stack" {
                (layout::csrf(seen))
                label { "Hospitals, one a line"
                    textarea name="list" rows="12" spellcheck="false" autocomplete="off" aria-describedby="list-how"
                        { "\n" (text("list")) }
                }
                p class="soft" id="list-how" {
                    "A name of a-z, 0-9 and -; then, if you like, a name for people and the value of the tenant claim, \
                     which is the name where it is left out. With commas or semicolons between, or pasted from a spreadsheet: "
                    code { "north, North General, north-1" }
                }
                label { "Server"
                    select name="server" { @for server in servers {
                        option value=(server.name) selected[server.name == text("server")] {
                            (server.name) " (" (server.engine) ")" }
                    } }
                }
                (issuer_field(panel, typed))
                (field(typed, "azp", "Clients", "applications whose tokens count; several with blanks"))
                details open[more.iter().any(|name| !text(name).is_empty())] {
                    summary { "More" }
                    div class="pair" {
                        (field(typed, "release", "Release of the schema", "empty for the newest"))
                        (field(typed, "parallel", "At once", "1 to 32; empty for 4"))
                        (field(typed, "stop_at", "Stop above", "percent of failures, from the tenth on; empty for 10"))
                    }
                }
                div class="row" {
                    button class="quiet" type="submit" name="verb" value="plan" { "Look it over" }
                    button type="submit" name="verb" value="make" { "Make them" }
                }
            }
        }
    }
}

/// What was typed, as an order.
fn wanted(fields: &Fields, lines: &[ListLine]) -> Result<NewProvisions, ControlFault> {
    let number = |name: &str| match fields.text(name) {
        "" => Ok(None),
        text => text.parse::<u32>().map(Some).map_err(|_| {
            ControlFault::Invalid("release, number at once and share are whole numbers".into())
        }),
    };
    let azp: Vec<String> = fields.text("azp").split_whitespace().map(str::to_owned).collect();
    Ok(NewProvisions {
        server: fields.text("server").to_owned(),
        tenants: lines.iter().map(|line| line.tenant(fields.text("issuer"), &azp)).collect(),
        limits: None,
        release: number("release")?.map(u64::from),
        parallel: number("parallel")?,
        stop_at_percent: number("stop_at")?,
    })
}

/// `POST /panel/several`: looked over, or ordered.
pub(super) async fn order(State(panel): State<Panel>, order: Order) -> Answer {
    let Order { seen, fields } = &order;
    let (lines, unread) = read_list(fields.text("list"));
    let refused =
        async |status, notice: Markup| page(&panel, seen, status, &notice, Some(fields)).await;
    if !unread.is_empty() {
        let unread: Vec<_> =
            unread.into_iter().map(|(number, why)| (number, why.to_owned())).collect();
        return refused(StatusCode::BAD_REQUEST, wrong(&unread)).await;
    }
    let (control, caller) = (&panel.0.control, &seen.caller);
    let outcome = match wanted(fields, &lines) {
        Err(fault) => Err(fault),
        Ok(wanted) if fields.text("verb") == "make" => {
            match control.provision_several(caller, &wanted).await {
                Ok(view) => {
                    let target = format!("/panel/operations/{}", view.id);
                    return Ok(Redirect::to(&target).into_response());
                }
                Err(fault) => Err(fault),
            }
        }
        Ok(wanted) => control.plan_provisions(caller, &wanted).await,
    };
    match outcome {
        Ok(plan) => refused(StatusCode::OK, planned(&plan)).await,
        Err(fault) => {
            let (status, why) = told(&fault);
            let listed = faults_by_line(&lines, &fault);
            let notice = if listed.is_empty() {
                html! { div class="notice bad" role="alert" { p { (why) } } }
            } else {
                wrong(&listed)
            };
            refused(status, notice).await
        }
    }
}

fn wrong(faults: &[(usize, String)]) -> Markup {
    html! {
        div class="notice bad" role="alert" {
            p { "Nothing was ordered: the list cannot be used as it is." }
            ul { @for (number, why) in faults.iter().take(SHOWN) {
                li { "Line " (number) ": " (why) "." }
            } }
            @if faults.len() > SHOWN { p { (faults.len() - SHOWN) " more." } }
        }
    }
}

fn planned(plan: &ProvisionPlan) -> Markup {
    html! {
        section class="card wide" role="status" {
            h2 { "What would be made" }
            p { (words::hospitals(plan.tenants.len() as u64)) " on " code { (plan.server) } " (" (plan.engine)
                "), with release " (plan.release) " of the schema. Nothing was made yet." }
            div class="scroll" tabindex="0" role="region" aria-label="Hospitals" {
            table {
                thead { tr { th scope="col" { "Name" } th scope="col" { "Name for people" } th scope="col" { "Claim value" } } }
                tbody { @for one in &plan.tenants { tr {
                    th scope="row" { (one.name) }
                    td { bdi { (one.display_name) } }
                    td { @for identity in &one.identities { code { (identity.claim_value.as_deref().unwrap_or("–")) } } }
                } } }
            }
            }
        }
    }
}
