//! One tenant: how it is, what it is made of, what can be done, what was done.

mod cards;
mod seen;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect};
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{self, Tab, chip};
use super::refusal::{Answer, Refusal, told};
use super::session::{Fields, Order, Seen};
use super::{Panel, connection, events, mappings, words};
use crate::control::{
    CheckReport, ControlFault, DriftView, EventView, FlagsView, FleetRow, Level, QueriesView,
    StoredLimits, TenantPatch, TenantUsage, TenantView, flag_entries,
};

/// Entries of the timeline.
const TIMELINE: u32 = 25;

/// What was done just before.
#[derive(Debug, Deserialize)]
pub(super) struct Done {
    pub(super) done: Option<String>,
}

/// Everything the page shows.
struct Shown {
    row: FleetRow,
    tenant: TenantView,
    events: Vec<EventView>,
    used: TenantUsage,
    queries: QueriesView,
}

impl Shown {
    async fn read(panel: &Panel, seen: &Seen, name: &str) -> Result<Self, Refusal> {
        let (control, caller) = (&panel.0.control, &seen.caller);
        let refused = Refusal::control(seen);
        Ok(Self {
            row: control.fleet_row(caller, name).await.map_err(&refused)?,
            tenant: control.show(caller, name).await.map_err(&refused)?,
            events: control.tenant_events(caller, name, TIMELINE).await.map_err(&refused)?,
            used: control.usage_added_up(caller, name).await.map_err(&refused)?,
            queries: control.queries(caller, name).await.map_err(&refused)?,
        })
    }
}

/// `GET /panel/tenants/{name}`.
pub(super) async fn show(
    State(panel): State<Panel>,
    seen: Seen,
    Path(name): Path<String>,
    Query(done): Query<Done>,
) -> Answer {
    let shown = Shown::read(&panel, &seen, &name).await?;
    let body = body(&panel, &seen, &shown, &layout::done(done.done.as_deref()), None);
    Ok(layout::live_page(&seen, Tab::Fleet, &shown.tenant.display_name, &body).into_response())
}

/// `POST /panel/tenants/{name}/{verb}`.
pub(super) async fn act(
    State(panel): State<Panel>,
    Path((name, verb)): Path<(String, String)>,
    order: Order,
) -> Answer {
    let (control, caller) = (&panel.0.control, &order.seen.caller);
    let expected = order.fields.generation();
    if expected.is_none() {
        let why = "The form is not complete. Open the page anew.";
        return Err(Refusal::page(Some(&order.seen), StatusCode::BAD_REQUEST, why));
    }
    let outcome = match verb.as_str() {
        "suspend" => {
            let reason = order.fields.text("reason");
            if reason.is_empty() {
                let why = ControlFault::Invalid("say why; operators see it, callers do not".into());
                return failed(&panel, &order, &name, &why).await;
            }
            control.suspend(caller, &name, expected, reason).await.map(drop)
        }
        "resume" => control.resume(caller, &name, expected).await.map(drop),
        "refuse-tokens" => control.refuse_tokens(caller, &name, expected).await.map(drop),
        "invalidate" => control.invalidate(caller, &name).await.map(drop),
        "admit-client" | "dismiss-client" => {
            let issuer = order.fields.text("issuer");
            let client = panel.0.sign_ins.looks_through(issuer).unwrap_or_default();
            let admitted = verb == "admit-client";
            control.set_client(caller, &name, expected, (issuer, client), admitted).await.map(drop)
        }
        "drain" => control.drain(caller, &name).await,
        "reset-breaker" => control.reset_breaker(caller, &name).await,
        _ => {
            let why = "There is nothing at this address.";
            return Err(Refusal::page(Some(&order.seen), StatusCode::NOT_FOUND, why));
        }
    };
    match outcome {
        Ok(()) => Ok(Redirect::to(&format!("/panel/tenants/{name}?done={verb}")).into_response()),
        Err(fault) => failed(&panel, &order, &name, &fault).await,
    }
}

/// `POST /panel/tenants/{name}/limits`.
pub(super) async fn limits(
    State(panel): State<Panel>,
    Path(name): Path<String>,
    order: Order,
) -> Answer {
    let number = |field: &str| match order.fields.text(field) {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            ControlFault::Invalid(
                "a limit is a whole number, or empty for the gateway's own".into(),
            )
        }),
    };
    let read = || {
        let mut limits = StoredLimits::default();
        for (name, _) in limits.named() {
            limits.set(name, number(name)?);
        }
        Ok::<_, ControlFault>(limits)
    };
    let patch = read().map(|limits| TenantPatch { limits: Some(limits), ..TenantPatch::default() });
    changed(&panel, &name, &order, patch, "limits").await
}

/// `POST /panel/tenants/{name}/flags`.
pub(super) async fn flags(
    State(panel): State<Panel>,
    Path(name): Path<String>,
    order: Order,
) -> Answer {
    let all = flag_entries(&FlagsView::new()).into_iter();
    let share = |name: &str| format!("{}%", order.fields.text(name));
    let flags = all.map(|flag| (flag.name.to_owned(), share(flag.name))).collect();
    let patch = TenantPatch { flags: Some(flags), ..TenantPatch::default() };
    changed(&panel, &name, &order, Ok(patch), "flags").await
}

async fn changed(
    panel: &Panel,
    name: &str,
    order: &Order,
    patch: Result<TenantPatch, ControlFault>,
    done: &str,
) -> Answer {
    let seen = &order.seen;
    let changed = match (patch, order.fields.generation()) {
        (Ok(patch), Some(expected)) => {
            panel.0.control.change(&seen.caller, name, Some(expected), patch).await.map(drop)
        }
        (Ok(_), None) => Err(ControlFault::Invalid("the form is not complete".into())),
        (Err(fault), _) => Err(fault),
    };
    match changed {
        Ok(()) => Ok(Redirect::to(&format!("/panel/tenants/{name}?done={done}")).into_response()),
        Err(fault) => failed(panel, order, name, &fault).await,
    }
}

/// `POST /panel/tenants/{name}/check`: connects as it is registered and shows each step.
pub(super) async fn check(
    State(panel): State<Panel>,
    Path(name): Path<String>,
    order: Order,
) -> Answer {
    let seen = &order.seen;
    let checked = panel.0.control.check(&seen.caller, &name).await;
    let report = match checked {
        Ok(report) => report,
        Err(fault) => return failed(&panel, &order, &name, &fault).await,
    };
    let shown = Shown::read(&panel, seen, &name).await?;
    let notice = html! {
        (steps(&report))
        @if report.ok && shown.row.breaker.state == "open" && seen.may_change() { (still_open(seen, &shown.tenant)) }
    };
    let body = body(&panel, seen, &shown, &notice, None);
    Ok(layout::page(seen, Tab::Fleet, &shown.tenant.display_name, &body).into_response())
}

/// The page again, with what went wrong and, where somebody else was faster, who and what.
async fn failed(panel: &Panel, order: &Order, name: &str, fault: &ControlFault) -> Answer {
    let Order { seen, fields } = order;
    let (status, why) = told(fault);
    let Ok(shown) = Shown::read(panel, seen, name).await else {
        return Err(Refusal::page(Some(seen), status, &why));
    };
    let conflict = events::conflict(panel, seen, name, fields.generation(), fault).await;
    let notice = html! {
        div class="notice bad" role="alert" {
            @if let Some(conflict) = conflict { (conflict) }
            @else {
                p { (why) }
                @if let Some(hint) = fault.hint() { p class="soft" { (words::sentence(hint)) } }
            }
        }
    };
    let body = body(panel, seen, &shown, &notice, Some(fields));
    let page = layout::page(seen, Tab::Fleet, &shown.tenant.display_name, &body);
    Ok((status, page).into_response())
}

fn body(
    panel: &Panel,
    seen: &Seen,
    shown: &Shown,
    notice: &Markup,
    typed: Option<&Fields>,
) -> Markup {
    let Shown { row, tenant, events, used, queries } = shown;
    html! {
        p class="crumb" { a href="/panel/" { "Fleet" } }
        div class="head" {
            h1 { bdi { (tenant.display_name) } " " span class="slug" { (tenant.name) } }
        }
        (notice)
        section id="verdict" class={ "notice " (layout::tone(&row.health)) } data-live aria-label="How it is" {
            p {
                (chip(row.health.level)) " " bdi { (row.health.sentence) }
                @if let Some(since) = &row.health.since {
                    " Since " (words::full_moment(since, &*panel.0.clock)) "."
                }
            }
            @if let Some(next) = row.health.next { p { (next) } }
            @if seen.may_change() { (next_action(seen, row, tenant)) }
        }
        @if !tenant.same_database.is_empty() { (connection::shared(tenant)) }
        @if let Some(drift) = &tenant.mapping.drift { (mappings::report::drift(drift, &*panel.0.clock)) }
        @if seen.may_change() { (actions(seen, tenant, typed)) }
        div class="columns" {
            (cards::traffic(row))
            (cards::lane(panel, seen, row))
            (connection::facts(panel, seen, tenant))
            (cards::mapping(tenant))
            (cards::identities(panel, seen, tenant))
            (seen::usage(used))
            (cards::limits_form(seen, tenant, typed))
            (cards::flags_form(seen, tenant, typed))
        }
        (seen::queries(queries))
        (timeline(panel, seen, events))
    }
}

fn base(tenant: &TenantView) -> String {
    format!("/panel/tenants/{}", tenant.name)
}

/// What every form about a tenant carries.
pub(super) fn hidden(seen: &Seen, tenant: &TenantView) -> Markup {
    html! {
        (layout::csrf(seen))
        input type="hidden" name="generation" value=(tenant.generation);
    }
}

fn actions(seen: &Seen, tenant: &TenantView, typed: Option<&Fields>) -> Markup {
    let base = base(tenant);
    let reason = typed.and_then(|typed| typed.sent("reason"));
    html! {
        section class="actions" aria-label="What can be done" {
            @match tenant.state.as_str() {
                "suspended" | "draft" => {
                    form method="post" action={ (base) "/resume" } {
                        (hidden(seen, tenant))
                        button type="submit" {
                            @if tenant.state == "draft" { "Activate" } @else { "Resume" }
                        }
                    }
                }
                _ => {}
            }
            form method="post" action={ (base) "/invalidate" } {
                (hidden(seen, tenant))
                button class="quiet" type="submit" { "Invalidate configuration" }
            }
            a class="button quiet" href={ (base) "/life" } { "Password and end…" }
            a class="button quiet" href={ "/panel/operations?tenant=" (tenant.name) } { "Operations" }
            @if tenant.state != "draft" { (cards::refuse_tokens(seen, tenant)) }
            // Last: nobody comes upon it on the way to something else.
            @if tenant.state == "active" {
                details open[reason.is_some()] {
                    summary class="button danger" { "Suspend…" }
                    form method="post" action={ (base) "/suspend" } class="inline" {
                        (hidden(seen, tenant))
                        label { "Why (operators see it)"
                            input name="reason" value=[reason] required maxlength="64" autocomplete="off";
                        }
                        button class="danger" type="submit" { "Suspend " (tenant.name) }
                    }
                }
            }
        }
    }
}

/// The button for what is to be done first, beside the sentence that says it.
fn next_action(seen: &Seen, row: &FleetRow, tenant: &TenantView) -> Markup {
    let base = base(tenant);
    let unwell = matches!(row.health.level, Level::Ill | Level::Watch);
    let served = tenant.state == "active" && unwell;
    let unmapped = tenant.mapping.active.is_none() && row.breaker.state == "closed";
    let changed = tenant.mapping.drift.as_ref().is_some_and(DriftView::breaks);
    html! {
        @if served && !unmapped && tenant.connection.is_some() {
            form method="post" action={ (base) "/check" } {
                (hidden(seen, tenant))
                button type="submit" { "Check the connection now" }
            }
        }
        @if served && (unmapped || changed) {
            p { a class="button" href={ (base) "/mappings" } { "Open its mapping" } }
        } @else if unwell && tenant.state == "suspended" {
            p { a class="button" href={ "/panel/operations?tenant=" (tenant.name) } { "Open its operations" } }
        }
    }
}

fn timeline(panel: &Panel, seen: &Seen, found: &[EventView]) -> Markup {
    html! {
        section id="timeline" class="card wide" data-live {
            h2 { "What was done" }
            @if found.is_empty() { p { "Nothing yet." } }
            ol class="timeline" {
                @for event in found {
                    li {
                        (words::full_moment(&event.at, &*panel.0.clock)) " "
                        (events::action(&event.action)) " by " (events::actor(panel, seen, &event.actor))
                        @if let Some(generation) = event.generation { ", generation " (generation) }
                        (events::detail(&event.detail))
                    }
                }
            }
        }
    }
}

/// What was put right at the server is not known to the breaker before its next try.
fn still_open(seen: &Seen, tenant: &TenantView) -> Markup {
    html! {
        div class="notice calm" {
            p { "The breaker still turns requests away until its next try. Now that the connection works it can be closed." }
            form method="post" action={ (base(tenant)) "/reset-breaker" } {
                (hidden(seen, tenant))
                button type="submit" { "Reset the breaker" }
            }
        }
    }
}

/// The steps of connecting, with their times.
pub(super) fn steps(report: &CheckReport) -> Markup {
    let tone = if report.ok { "good" } else { "bad" };
    html! {
        section class={ "notice " (tone) } role="status" aria-label="The check's steps" {
            p { strong { @if report.ok { "The connection works." } @else { "The connection does not work." } }
                @if let Some(version) = &report.version { " " (version) "." }
                @match report.tls { Some(true) => " Encrypted.", Some(false) => " Not encrypted.", None => "" }
            }
            table class="steps" {
                thead { tr { th scope="col" { "Step" } th scope="col" class="num" { "Time" } th scope="col" { "Outcome" } } }
                tbody {
                    @for step in &report.steps {
                        tr { td { (step.step) } td class="num" { (step.millis) " ms" } td { (step.outcome) } }
                    }
                }
            }
            @if let Some(hint) = &report.hint { p { (words::sentence(hint)) } }
            @for finding in &report.findings {
                @if let Some(warning) = &finding.warning {
                    p { strong { (finding.what) ": " (finding.found) "." } " " (warning) "." }
                }
            }
        }
    }
}
