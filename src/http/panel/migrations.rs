//! How far the schemas of provisioned hospitals are, what a migration would do, and starting one.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect};
use maud::{Markup, html};

use super::layout::{self, Tab};
use super::refusal::{Answer, Refusal, told};
use super::session::{Fields, Order, Seen};
use super::{Panel, words};
use crate::control::{ControlFault, MigrationPlan, NewMigration, SchemaReport};

/// `GET /panel/migrations`.
pub(super) async fn show(State(panel): State<Panel>, seen: Seen) -> Answer {
    page(&panel, &seen, StatusCode::OK, &html! {}, None, None).await
}

async fn page(
    panel: &Panel,
    seen: &Seen,
    status: StatusCode,
    notice: &Markup,
    typed: Option<&Fields>,
    plan: Option<&MigrationPlan>,
) -> Answer {
    let report = panel.0.control.schemas(&seen.caller).await.map_err(Refusal::control(seen))?;
    let body = html! {
        h1 { "Schemas" }
        (notice)
        section class="card wide" id="skew" data-live {
            h2 { "Releases" }
            p { "The newest release is " strong { (report.newest) } "." }
            @for count in &report.at_release {
                p { (words::hospitals(count.tenants)) @if count.tenants == 1 { " is" } @else { " are" } " at release " (count.release) "." }
            }
        }
        @if let Some(plan) = plan { (shown(plan)) }
        @if seen.may_change() { (form(seen, &report, typed)) }
        section class="card wide" id="schemas" data-live {
            h2 { "Hospitals" }
            (table(panel, &report))
        }
    };
    Ok((status, layout::live_page(seen, Tab::Migrations, "Schemas", &body)).into_response())
}

fn table(panel: &Panel, report: &SchemaReport) -> Markup {
    html! {
        @if report.tenants.is_empty() { p { "No hospital was made here yet." } } @else {
        div class="scroll" tabindex="0" role="region" aria-label="Hospitals" {
        table {
            thead { tr { th scope="col" { "Hospital" } th scope="col" { "Engine" }
                th scope="col" class="num" { "Release" } th scope="col" { "Newest migration" }
                th scope="col" { "Trouble" } th scope="col" { "Looked at" } } }
            tbody { @for one in &report.tenants { tr {
                th scope="row" { a href={ "/panel/tenants/" (one.name) } { (one.name) } }
                td { (one.engine) } td class="num" { (one.release) } td { code { (one.migration) } }
                td class="long" { (one.trouble.as_deref().unwrap_or("–")) }
                td { (words::moment(&one.checked_at, &*panel.0.clock)) }
            } } }
        }
        } }
    }
}

fn shown(plan: &MigrationPlan) -> Markup {
    html! {
        section class="card wide" {
            h2 { "What would be done" }
            p { (words::hospitals(plan.tenants.len() as u64)) " to release " (plan.release) ", "
                (words::count(plan.already)) @if plan.already == 1 { " is" } @else { " are" } " there already. First: " (plan.canary.join(", ")) "." }
            @for one in &plan.migrations {
                details {
                    summary { (one.engine) " " code { (one.name) } ", on " (words::hospitals(one.tenants)) }
                    pre class="scroll" tabindex="0" role="region" aria-label=(one.name) { code { (one.sql) } }
                }
            }
        }
    }
}

fn form(seen: &Seen, report: &SchemaReport, typed: Option<&Fields>) -> Markup {
    let value = |name: &str, otherwise: String| match typed.map(|typed| typed.text(name)) {
        Some(text) => text.to_owned(),
        None => otherwise,
    };
    let field = |name: &str, label: &str, otherwise: String, hint: &str| {
        html! {
            label { (label)
                input name=(name) value=(value(name, otherwise)) autocomplete="off";
                span class="soft" { (hint) }
            }
        }
    };
    html! {
        section class="card wide" {
            h2 { "Migrate" }
            p { "Canaries go first; when one fails nobody else is touched. Serving goes on before, during and after." }
            form method="post" action="/panel/migrations" class="stack" {
                (layout::csrf(seen))
                (field("tenants", "Hospitals", String::new(), "names with blanks; empty for all"))
                div class="pair" {
                    (field("release", "Release", report.newest.to_string(), ""))
                    (field("canary", "Canaries", String::new(), "names; empty for the first of each engine"))
                }
                div class="pair" {
                    (field("parallel", "At once", "4".to_owned(), "1 to 32"))
                    (field("stop_at", "Stop above", "10".to_owned(), "percent of failures, from the tenth on"))
                }
                div class="row" {
                    button class="quiet" type="submit" name="verb" value="plan" { "Dry run" }
                    button type="submit" name="verb" value="start" { "Start" }
                }
            }
        }
    }
}

fn wanted(fields: &Fields) -> Result<NewMigration, ControlFault> {
    let names = |name: &str| {
        let all: Vec<String> = fields.text(name).split_whitespace().map(str::to_owned).collect();
        (!all.is_empty()).then_some(all)
    };
    let number = |name: &str| match fields.text(name) {
        "" => Ok(None),
        text => text.parse::<u32>().map(Some).map_err(|_| {
            ControlFault::Invalid("release, number at once and share are whole numbers".into())
        }),
    };
    Ok(NewMigration {
        tenants: names("tenants"),
        release: number("release")?.map(u64::from),
        canary: names("canary"),
        parallel: number("parallel")?,
        stop_at_percent: number("stop_at")?,
    })
}

/// `POST /panel/migrations`: a dry run, or the start.
pub(super) async fn start(State(panel): State<Panel>, order: Order) -> Answer {
    let (control, seen) = (&panel.0.control, &order.seen);
    let outcome = match wanted(&order.fields) {
        Err(fault) => Err(fault),
        Ok(wanted) if order.fields.text("verb") == "start" => {
            match control.migrate(&seen.caller, &wanted).await {
                Ok(view) => {
                    let target = format!("/panel/operations/{}", view.id);
                    return Ok(Redirect::to(&target).into_response());
                }
                Err(fault) => Err(fault),
            }
        }
        Ok(wanted) => control.plan_migration(&seen.caller, &wanted).await,
    };
    let fields = Some(&order.fields);
    match outcome {
        Ok(plan) => page(&panel, seen, StatusCode::OK, &html! {}, fields, Some(&plan)).await,
        Err(fault) => {
            let (status, why) = told(&fault);
            let notice = html! { div class="notice bad" role="alert" { p { (why) } } };
            page(&panel, seen, status, &notice, fields, None).await
        }
    }
}
