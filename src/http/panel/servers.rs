//! Servers on which hospitals' databases are made, and making a hospital.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect};
use maud::{Markup, html};

use super::layout::{self, Tab};
use super::refusal::{Answer, Refusal, told};
use super::session::{Again, Fields, Order, Seen};
use super::tenant::Done;
use super::{Panel, account, sign_in, words};
use crate::base::SecretText;
use crate::control::{
    ConnectionInput, ControlFault, IdentityView, NewProvision, NewServer, ServerView,
};

/// `GET /panel/servers`.
pub(super) async fn show(
    State(panel): State<Panel>,
    seen: Seen,
    Query(done): Query<Done>,
    Query(again): Query<Again>,
) -> Answer {
    let typed = again.typed(&panel, &seen);
    let notice = html! {
        (layout::done(done.done.as_deref())) (sign_in::typed_again(typed.as_ref()))
    };
    page(&panel, &seen, StatusCode::OK, &notice, typed.as_ref()).await
}

async fn page(
    panel: &Panel,
    seen: &Seen,
    status: StatusCode,
    notice: &Markup,
    typed: Option<&Fields>,
) -> Answer {
    let servers = panel.0.control.servers(&seen.caller).await.map_err(Refusal::control(seen))?;
    let body = html! {
        h1 { "Servers" }
        (notice)
        section class="card wide" {
            h2 { "Where hospitals' databases are made" }
            (table(panel, &servers))
        }
        @if !seen.may_change() {
            div class="notice calm" { p { "You may look at everything here and change nothing." } }
        } @else {
            (onboard(panel, seen, &servers, typed))
            (add(seen, typed))
            (account::form(seen, &servers, typed))
        }
    };
    Ok((status, layout::page(seen, Tab::Servers, "Servers", &body)).into_response())
}

fn table(panel: &Panel, servers: &[ServerView]) -> Markup {
    html! {
        @if servers.is_empty() { p { "There are none yet. Register one below." } } @else {
        div class="scroll" tabindex="0" role="region" aria-label="Servers" {
        table {
            thead { tr {
                th scope="col" { "Server" } th scope="col" { "Engine" } th scope="col" { "Transport" }
                th scope="col" class="num" { "Hospitals" } th scope="col" { "Account sealed" }
            } }
            tbody { @for server in servers { tr {
                th scope="row" { code { (server.name) } }
                td { (server.engine) } td { (server.tls) }
                td class="num" { (words::count(server.tenants)) }
                td { (words::full_moment(&server.sealed_at, &*panel.0.clock)) }
            } } }
        }
        } }
    }
}

pub(super) fn field(typed: Option<&Fields>, name: &str, label: &str, hint: &str) -> Markup {
    let value = typed.map_or("", |typed| typed.text(name));
    html! {
        label { (label)
            input name=(name) value=(value) autocomplete="off";
            @if !hint.is_empty() { span class="soft" { (hint) } }
        }
    }
}

/// Who vouches for a hospital's users.
pub(super) fn issuer_field(panel: &Panel, typed: Option<&Fields>) -> Markup {
    let known = panel.0.control.known_issuers();
    let usual = known.first().map_or("", |issuer| issuer.url.as_str());
    let issuer = typed.map_or(usual, |typed| typed.text("issuer"));
    html! {
        label { "Issuer"
            input name="issuer" value=(issuer) list="issuers" autocomplete="off" spellcheck="false";
            span class="soft" { "exactly as in its users' tokens" }
        }
        datalist id="issuers" { @for issuer in known { option value=(issuer.url) {} } }
    }
}

/// How tokens find a hospital: an issuer, a claim's value, and the clients whose tokens count.
pub(super) fn identity_fields(panel: &Panel, typed: Option<&Fields>) -> Markup {
    html! {
        (issuer_field(panel, typed))
        div class="pair" {
            (field(typed, "claim", "Value of the tenant claim", "as its users' tokens carry it"))
            (field(typed, "azp", "Clients", "applications whose tokens count; several with blanks"))
        }
    }
}

/// What was typed into [`identity_fields`].
pub(super) fn identity(fields: &Fields) -> IdentityView {
    IdentityView {
        issuer: fields.text("issuer").to_owned(),
        claim_value: Some(fields.text("claim").to_owned()).filter(|claim| !claim.is_empty()),
        azp: fields.text("azp").split_whitespace().map(str::to_owned).collect(),
    }
}

fn onboard(panel: &Panel, seen: &Seen, servers: &[ServerView], typed: Option<&Fields>) -> Markup {
    html! {
        section class="card wide" {
            h2 { "Make a hospital" }
            p { "A database and a role of its own are made, the schema applied, isolation proven, and only then \
                 is it served. A hospital that has a database already is "
                a href="/panel/add" { "registered with it" } "; several at once are made "
                a href="/panel/several" { "from a list" } "." }
            @if servers.is_empty() { p { "Register a server first, below." } } @else {
            form method="post" action="/panel/provision" class="stack" {
                (layout::csrf(seen))
                div class="pair" {
                    (field(typed, "name", "Name", "a-z, 0-9 and -; in addresses and logs"))
                    (field(typed, "display_name", "Name for people", "the same when left empty"))
                }
                label { "Server"
                    select name="server" { @for server in servers {
                        option value=(server.name) selected[typed.is_some_and(|t| t.text("server") == server.name)] {
                            (server.name) " (" (server.engine) ")" }
                    } }
                }
                (identity_fields(panel, typed))
                details open[typed.is_some_and(|typed| !typed.text("release").is_empty())] {
                    summary { "More" }
                    (field(typed, "release", "Release of the schema", "empty for the newest"))
                }
                div class="row" { button type="submit" { "Make the hospital" } }
            } }
        }
    }
}

/// What is shown again of the form that registers a server. The URL holds a password.
const SHOWN: [&str; 3] = ["server_name", "kind", "ca_pem"];
const KINDS: [(&str, &str); 2] =
    [("url", "PostgreSQL or MariaDB, by URL"), ("folder", "the gateway's folder of SQLite files")];

fn add(seen: &Seen, typed: Option<&Fields>) -> Markup {
    let text = |name: &str| typed.map_or("", |typed| typed.text(name));
    html! {
        section class="card wide" {
            h2 { "Register a server" }
            @if !seen.fresh { (sign_in::ask_again("/panel/servers", "Registering a server")) } @else {
            p { "With an account that may make databases and roles. It is tried, its rights are looked at, and it \
                 is sealed; it is never shown again." }
            form method="post" action="/panel/servers" class="stack" {
                (layout::csrf(seen))
                div class="pair" {
                    (field(typed, "server_name", "Name", "a-z, 0-9 and -"))
                    label { "Kind"
                        select name="kind" {
                            @for (word, label) in KINDS { option value=(word) selected[word == text("kind")] { (label) } }
                        }
                    }
                }
                label { "Connection URL"
                    input type="password" name="url" autocomplete="off";
                    span class="soft" { "postgres://user:password@host/postgres or mysql://user:password@host/mysql" }
                }
                details open[!text("ca_pem").is_empty()] {
                    summary { "Certificate of the server's own authority" }
                    label { "PEM" textarea name="ca_pem" rows="6" spellcheck="false" { "\n" (text("ca_pem")) } }
                }
                div class="row" { button type="submit" { "Try, then register" } }
            } }
        }
    }
}

pub(super) async fn failed(panel: &Panel, order: &Order, fault: &ControlFault) -> Answer {
    let (status, why) = told(fault);
    let notice = html! { div class="notice bad" role="alert" { p { (why) } } };
    page(panel, &order.seen, status, &notice, Some(&order.fields)).await
}

/// `POST /panel/servers`.
pub(super) async fn register(State(panel): State<Panel>, mut order: Order) -> Answer {
    if !order.seen.fresh {
        let Order { seen, fields } = &order;
        return Err(sign_in::too_old(&panel, seen, "/panel/servers", fields, &SHOWN));
    }
    let url = SecretText::new(order.fields.take("url").trim().to_owned());
    let ca = order.fields.text("ca_pem").replace("\r\n", "\n");
    let connection = (order.fields.text("kind") != "folder")
        .then(|| ConnectionInput::url(url, (!ca.is_empty()).then_some(ca), true));
    let new = NewServer { name: order.fields.text("server_name").to_owned(), connection };
    match panel.0.control.add_server(&order.seen.caller, &new).await {
        Ok(_) => Ok(Redirect::to("/panel/servers?done=server").into_response()),
        Err(fault) => failed(&panel, &order, &fault).await,
    }
}

/// `POST /panel/provision`.
pub(super) async fn provision(State(panel): State<Panel>, order: Order) -> Answer {
    let text = |name: &str| order.fields.text(name).to_owned();
    let display = text("display_name");
    let release = match order.fields.text("release") {
        "" => None,
        text => text.parse::<u64>().ok().or(Some(0)),
    };
    if release == Some(0) {
        let why = ControlFault::Invalid("a release is a whole number, from 1".into());
        return failed(&panel, &order, &why).await;
    }
    let new = NewProvision {
        name: text("name"),
        display_name: (!display.is_empty()).then_some(display),
        identities: vec![identity(&order.fields)],
        limits: None,
        server: text("server"),
        release,
    };
    match panel.0.control.provision(&order.seen.caller, new).await {
        Ok(view) => Ok(Redirect::to(&format!("/panel/operations/{}", view.id)).into_response()),
        Err(fault) => failed(&panel, &order, &fault).await,
    }
}
