//! Where a tenant's database is, without its secrets, and another place for it.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Redirect};
use maud::{Markup, html};

use super::layout::{self, Tab};
use super::refusal::{Answer, Refusal, told};
use super::session::{Again, Fields, Order, Seen};
use super::tenant::{hidden, steps};
use super::{Panel, events, sign_in, words};
use crate::base::SecretText;
use crate::control::{ConnectionInput, TenantView};

const ENGINES: [(&str, &str); 3] =
    [("postgres", "PostgreSQL"), ("mysql", "MySQL or MariaDB"), ("sqlite", "SQLite file")];
/// The form's fields that are no secret, and so are shown again.
const SHOWN: [&str; 7] = ["engine", "host", "port", "database", "user", "ca_pem", "tls_name"];

/// Said of hospitals on one database.
pub(super) fn shared(tenant: &TenantView) -> Markup {
    html! {
        section class="notice warn" aria-label="Shared database" {
            p { "Served from the very database of "
                @for (at, other) in tenant.same_database.iter().enumerate() {
                    @if at > 0 { ", " }
                    a href={ "/panel/tenants/" (other) } { (other) }
                }
                ": unless roles and schemas of their own keep them apart there, one hospital's users are given the \
                other's records." }
        }
    }
}

/// What is known of the connection.
pub(super) fn facts(panel: &Panel, seen: &Seen, tenant: &TenantView) -> Markup {
    let base = format!("/panel/tenants/{}", tenant.name);
    html! {
        section class="card" {
            h2 { "Connection" }
            @if let Some(connection) = &tenant.connection {
                dl {
                    dt { "Engine" } dd { (connection.engine) }
                    dt { "Transport" } dd { (transport(&connection.tls)) }
                    dt { "Server" }
                    dd { @match &connection.server_identity {
                        Some(identity) => code { (identity) },
                        None => "never reached",
                    } }
                    dt { "Sealed" } dd { (words::moment(&connection.sealed_at, &*panel.0.clock)) ", revision " (connection.revision) }
                    dt { "Data key" } dd { code { (connection.dek) } }
                    dt { "Under" } dd { @match &connection.kek { Some(kek) => code { (kek) }, None => "an unknown key" } }
                }
            } @else { p { "None is registered." } }
            @if seen.may_change() {
                div class="row" {
                    @if tenant.connection.is_some() {
                        form method="post" action={ (base) "/check" } {
                            (layout::csrf(seen))
                            button class="quiet" type="submit" { "Check now" }
                        }
                    }
                    @if tenant.ownership != "provisioned" {
                        a class="button quiet" href={ (base) "/connection" } { "Replace…" }
                    }
                }
            }
        }
    }
}

/// How what goes over the wire is kept from others.
fn transport(tls: &str) -> &str {
    match tls {
        "verify_full" => "TLS, certificate and name verified",
        "loopback_plaintext" => "not encrypted, on this machine",
        "exception" => "as an operator's exception allows",
        "none" => "none: a file",
        other => other,
    }
}

/// `GET /panel/tenants/{name}/connection`.
pub(super) async fn form(
    State(panel): State<Panel>,
    seen: Seen,
    Path(name): Path<String>,
    Query(again): Query<Again>,
) -> Answer {
    let tenant = panel.0.control.show(&seen.caller, &name).await;
    let mut tenant = tenant.map_err(Refusal::control(&seen))?;
    let typed = again.typed(&panel, &seen);
    // It is still the form it was: what was changed since is told when it is sent.
    if let Some(generation) = typed.as_ref().and_then(Fields::generation) {
        tenant.generation = generation.0;
    }
    let notice = sign_in::typed_again(typed.as_ref());
    Ok(page(&seen, &tenant, typed.as_ref(), &notice).into_response())
}

/// `POST /panel/tenants/{name}/connection`: tried first; sealed only when every step went well.
pub(super) async fn replace(
    State(panel): State<Panel>,
    Path(name): Path<String>,
    order: Order,
) -> Answer {
    let Order { seen, mut fields } = order;
    let address = format!("/panel/tenants/{name}/connection");
    if !seen.fresh {
        let names = [&SHOWN[..], &["generation"]].concat();
        return Err(sign_in::too_old(&panel, &seen, &address, &fields, &names));
    }
    let trial = fields.text("verb") != "replace";
    let expected = fields.generation();
    let input = input(&mut fields);
    let (control, caller) = (&panel.0.control, &seen.caller);
    let outcome = control.replace_connection(caller, &name, expected, input, trial).await;
    let (status, notice) = match outcome {
        Ok((_, Some(_))) => {
            let target = format!("/panel/tenants/{name}?done=connection");
            return Ok(Redirect::to(&target).into_response());
        }
        Ok((report, None)) => {
            let status = if report.ok { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
            let notice = html! {
                (steps(&report))
                p { "Nothing was changed. Type the password again to go on; it is never sent back." }
            };
            (status, notice)
        }
        Err(fault) => {
            let (status, why) = told(&fault);
            let conflict = events::conflict(&panel, &seen, &name, expected, &fault).await;
            let notice = html! {
                div class="notice bad" role="alert" {
                    @if let Some(conflict) = conflict { (conflict) }
                    @else { p { (why) } p { "Nothing was changed." } }
                }
            };
            (status, notice)
        }
    };
    let tenant = control.show(caller, &name).await.map_err(Refusal::control(&seen))?;
    Ok((status, page(&seen, &tenant, Some(&fields), &notice)).into_response())
}

/// The connection that a form's fields stand for. The password is taken out of them.
pub(super) fn input(fields: &mut Fields) -> ConnectionInput {
    let password = SecretText::new(fields.take("password"));
    let ca_pem = Some(fields.text("ca_pem").to_owned()).filter(|pem| !pem.is_empty());
    ConnectionInput::url(url(fields, &password), ca_pem, true)
}

/// The URL these fields stand for. It is parsed as strictly as one that was typed.
fn url(fields: &Fields, password: &SecretText) -> SecretText {
    let part = |name: &str| words::query_value(fields.text(name));
    let engine = fields.text("engine");
    if engine == "sqlite" {
        return SecretText::new(format!("sqlite:{}", fields.text("database")));
    }
    let port = match fields.text("port") {
        "" => String::new(),
        port => format!(":{port}"),
    };
    let tls_name = match fields.text("tls_name") {
        "" => String::new(),
        _ => format!("?tls-name={}", part("tls_name")),
    };
    SecretText::new(format!(
        "{engine}://{}:{}@{}{port}/{}{tls_name}",
        part("user"),
        words::query_value(password.expose()),
        fields.text("host"),
        part("database"),
    ))
}

fn page(seen: &Seen, tenant: &TenantView, typed: Option<&Fields>, notice: &Markup) -> Html<String> {
    let address = format!("/panel/tenants/{}/connection", tenant.name);
    let engine = match (typed.map_or("", |fields| fields.text("engine")), &tenant.connection) {
        (typed, _) if !typed.is_empty() => typed,
        (_, Some(connection)) => &connection.engine,
        _ => "postgres",
    };
    let body = html! {
        p class="crumb" {
            a href="/panel/" { "Fleet" } " / "
            a href={ "/panel/tenants/" (tenant.name) } { bdi { (tenant.display_name) } }
        }
        h1 { "Replace the connection" }
        (notice)
        @if !seen.may_change() {
            div class="notice calm" { p { "You may look at everything here and change nothing." } }
        } @else if !seen.fresh {
            (sign_in::ask_again(&address, "Replacing a connection"))
        } @else {
            p { "It is tried step by step first. Only when every step went well is it sealed and put in force; \
                 requests under way end on the old one." }
            form method="post" action=(address) class="card stack" {
                (hidden(seen, tenant))
                (place(typed, engine))
                div class="row" {
                    button class="quiet" type="submit" name="verb" value="try" { "Try only" }
                    button type="submit" name="verb" value="replace" { "Try, then replace" }
                    a href={ "/panel/tenants/" (tenant.name) } { "Cancel" }
                }
            }
        }
    };
    layout::page(seen, Tab::Fleet, "Replace the connection", &body)
}

/// The fields of a place: what was typed stays, but for the password.
pub(super) fn place(typed: Option<&Fields>, engine: &str) -> Markup {
    let value = |name: &'static str| {
        debug_assert!(SHOWN.contains(&name));
        typed.map_or("", |fields| fields.text(name)).to_owned()
    };
    let field = |name: &'static str, text: &str, hint: &str| {
        html! {
            label { (text)
                input name=(name) value=(value(name)) autocomplete="off" spellcheck="false" autocapitalize="off";
                @if !hint.is_empty() { span class="soft" { (hint) } }
            }
        }
    };
    html! {
        label { "Engine"
            select name="engine" {
                @for (word, text) in ENGINES { option value=(word) selected[word == engine] { (text) } }
            }
        }
        div class="pair" {
            (field("host", "Host", "name or address; not for SQLite"))
            (field("port", "Port", "empty for the usual one"))
        }
        (field("database", "Database", "for SQLite: the file below the gateway's folder"))
        div class="pair" {
            (field("user", "User", "a role that may only read"))
            label { "Password"
                input type="password" name="password" autocomplete="off";
                span class="soft" { "never shown again" }
            }
        }
        details open[!value("ca_pem").is_empty() || !value("tls_name").is_empty()] {
            summary { "Certificate of the hospital's own authority" }
            label { "PEM"
                textarea name="ca_pem" rows="6" spellcheck="false" { "\n" (value("ca_pem")) }
            }
            (field("tls_name", "Name in the certificate", "when it is not the host"))
        }
    }
}
