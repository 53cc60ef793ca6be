//! A tenant's mapping: its versions, and an editor with the report beside the text.

mod asking;
pub(super) mod looks;
pub(super) mod report;
mod resources;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect};
use maud::{Markup, html};
use serde::Deserialize;

use self::asking::Wanted;
use super::layout::{self, Tab};
use super::refusal::{Answer, Refusal, told};
use super::session::{Fields, Order, Seen};
use super::tenant::hidden;
use super::{Panel, events, words};
use crate::control::{
    ControlFault, DraftView, MappingReport, MappingView, Ordered, Side, TenantView,
};

/// Which version's text to begin with, and what was done just before.
#[derive(Debug, Deserialize)]
pub(super) struct From {
    from: Option<u32>,
    done: Option<String>,
}

/// What the editor shows.
#[derive(Default)]
struct Editor {
    text: String,
    /// What is said above everything.
    above: Markup,
    /// What is said beside the text.
    notice: Markup,
    report: Option<MappingReport>,
    /// What is wanted of a look at resources.
    wanted: Wanted,
    /// What a look gave.
    resources: Option<Markup>,
}

impl Editor {
    /// With what somebody typed.
    fn typed(fields: &Fields) -> Self {
        // Browsers send line ends as CRLF; what is kept is what was typed.
        let text = fields.sent("text").unwrap_or_default().replace("\r\n", "\n");
        Self { text, wanted: Wanted::of(fields), ..Self::default() }
    }
}

/// `GET /panel/tenants/{name}/mappings`.
pub(super) async fn show(
    State(panel): State<Panel>,
    seen: Seen,
    Path(name): Path<String>,
    Query(wanted): Query<From>,
) -> Answer {
    let (control, caller) = (&panel.0.control, &seen.caller);
    let refused = Refusal::control(&seen);
    let versions = control.mappings(caller, &name).await.map_err(&refused)?;
    let active = versions.iter().find(|version| version.active).or(versions.first());
    let text = match wanted.from.or(active.map(|version| version.version)) {
        Some(version) => control.mapping_text(caller, &name, version).await.map_err(&refused)?,
        None => String::new(),
    };
    let above = layout::done(wanted.done.as_deref());
    let editor = Editor { text, above, ..Editor::default() };
    page(&panel, &seen, &name, StatusCode::OK, editor).await
}

/// `POST /panel/tenants/{name}/mappings`: checks, and stores when asked to and nothing is wrong.
pub(super) async fn write(
    State(panel): State<Panel>,
    Path(name): Path<String>,
    order: Order,
) -> Answer {
    let Order { seen, fields } = order;
    let editor = Editor::typed(&fields);
    let (control, caller) = (&panel.0.control, &seen.caller);
    let found = match fields.text("verb") {
        "draft" => {
            let (status, editor) = match control.draft_mapping(caller, &name).await {
                Ok(draft) => drafted(draft, editor),
                Err(fault) => failed(editor, &fault),
            };
            return page(&panel, &seen, &name, status, editor).await;
        }
        "compare" => {
            let text = Side::Text(editor.text.clone());
            let (status, editor) =
                match control.diff_mapping(caller, &name, Side::Active, text).await {
                    Ok(diff) => {
                        (StatusCode::OK, Editor { notice: report::differences(&diff), ..editor })
                    }
                    Err(fault) => failed(editor, &fault),
                };
            return page(&panel, &seen, &name, status, editor).await;
        }
        "store" => control.store_mapping(caller, &name, &editor.text).await,
        _ => control.check_mapping(caller, &name, &editor.text).await,
    };
    let (status, editor) = match found {
        Ok(MappingReport { version: Some(version), .. }) => {
            let target = format!("/panel/tenants/{name}/mappings?from={version}&done=stored#main");
            return Ok(Redirect::to(&target).into_response());
        }
        Ok(report) => {
            let status = if report.ok { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
            (status, Editor { report: Some(report), ..editor })
        }
        Err(fault) => failed(editor, &fault),
    };
    page(&panel, &seen, &name, status, editor).await
}

/// The editor with what somebody typed and why nothing came of it.
fn failed(editor: Editor, fault: &ControlFault) -> (StatusCode, Editor) {
    let (status, why) = told(fault);
    let notice = html! { div class="notice bad" role="alert" { p { (why) } (listing(fault)) } };
    (status, Editor { notice, ..editor })
}

/// What does not fit, where that is why nothing was done.
fn listing(fault: &ControlFault) -> Markup {
    let problems = fault.problems().unwrap_or_default().iter();
    html! {
        @for problem in problems.filter(|problem| problem.severity == "error").take(20) { p { code { (problem.pointer) } " " (problem.message) } }
    }
}

/// The editor with a draft in it.
fn drafted(draft: DraftView, editor: Editor) -> (StatusCode, Editor) {
    let tone = if draft.mapped.is_empty() { "warn" } else { "good" };
    let notice = html! {
        div class={ "notice " (tone) } role="status" {
            p { "A draft of " (draft.mapped.len()) @if draft.mapped.len() == 1 { " table" } @else { " tables" } ". Nothing is stored: read it, correct it, and check it." }
            @for off in draft.switched_off.iter().take(20) {
                p { code { (off.table) } " is commented out: " (off.why) }
            }
        }
    };
    (StatusCode::OK, Editor { text: draft.text, notice, ..editor })
}

/// `POST /panel/tenants/{name}/mappings/{version}/publish`.
pub(super) async fn publish(
    State(panel): State<Panel>,
    Path((name, version)): Path<(String, String)>,
    order: Order,
) -> Answer {
    let seen = &order.seen;
    let unknown = || Refusal::page(Some(seen), StatusCode::NOT_FOUND, "There is no such version.");
    let version = version.parse().map_err(|_| unknown())?;
    let expected = order.fields.generation();
    let outcome = panel.0.control.publish_mapping(&seen.caller, &name, version, expected).await;
    ordered(&panel, &order, &name, outcome, "publish").await
}

/// `POST /panel/tenants/{name}/mappings/rollback`.
pub(super) async fn roll_back(
    State(panel): State<Panel>,
    Path(name): Path<String>,
    order: Order,
) -> Answer {
    let seen = &order.seen;
    let expected = order.fields.generation();
    let outcome = panel.0.control.rollback_mapping(&seen.caller, &name, expected).await;
    ordered(&panel, &order, &name, outcome, "rollback").await
}

async fn ordered(
    panel: &Panel,
    order: &Order,
    name: &str,
    outcome: Result<Ordered<TenantView>, ControlFault>,
    done: &str,
) -> Answer {
    let fault = match outcome {
        Ok(Ordered::Waits(_)) => {
            return Ok(Redirect::to("/panel/approvals?done=asked").into_response());
        }
        Ok(Ordered::Done(_)) => {
            let target = format!("/panel/tenants/{name}/mappings?done={done}");
            return Ok(Redirect::to(&target).into_response());
        }
        Err(fault) => fault,
    };
    let (seen, (status, why)) = (&order.seen, told(&fault));
    let conflict = events::conflict(panel, seen, name, order.fields.generation(), &fault).await;
    let above = html! {
        div class="notice bad" role="alert" {
            @if let Some(conflict) = conflict { (conflict) }
            @else {
                p { @if fault.problems().is_some() { "That version does not fit the hospital's database as it is now:" } @else { (why) } }
                (listing(&fault))
                p { "Nothing was changed. This is how it is now." }
            }
        }
    };
    // The editor goes on with the version in force, as the page does when it is opened.
    let control = &panel.0.control;
    let active =
        control.show(&seen.caller, name).await.ok().and_then(|tenant| tenant.mapping.active);
    let text = match active {
        Some(version) => {
            control.mapping_text(&seen.caller, name, version).await.unwrap_or_default()
        }
        None => String::new(),
    };
    page(panel, seen, name, status, Editor { text, above, ..Editor::default() }).await
}

async fn page(
    panel: &Panel,
    seen: &Seen,
    name: &str,
    status: StatusCode,
    editor: Editor,
) -> Answer {
    let (control, caller) = (&panel.0.control, &seen.caller);
    let refused = Refusal::control(seen);
    let tenant = control.show(caller, name).await.map_err(&refused)?;
    let versions = control.mappings(caller, name).await.map_err(&refused)?;
    let body = html! {
        p class="crumb" {
            a href="/panel/" { "Fleet" } " / "
            a href={ "/panel/tenants/" (tenant.name) } { bdi { (tenant.display_name) } }
        }
        h1 { "Mapping" }
        (editor.above)
        @if let Some(drift) = &tenant.mapping.drift { (report::drift(drift, &*panel.0.clock)) }
        (list(panel, seen, &tenant, &versions))
        (editing(panel, seen, &tenant, &editor))
    };
    let page = layout::page(seen, Tab::Fleet, "Mapping", &body);
    Ok((status, page).into_response())
}

fn list(panel: &Panel, seen: &Seen, tenant: &TenantView, versions: &[MappingView]) -> Markup {
    let base = format!("/panel/tenants/{}/mappings", tenant.name);
    html! {
        section class="card wide" {
            h2 { "Versions" }
            @if versions.is_empty() { p { "None yet. Check and store one below." } }
            @else {
                div class="scroll short" tabindex="0" role="region" aria-label="Versions" {
                table class="versions" {
                    thead { tr {
                        th scope="col" class="num" { "Version" } th scope="col" { "Stored" } th scope="col" { "By" }
                        th scope="col" { "" }
                    } }
                    tbody {
                        @for version in versions {
                            tr {
                                th scope="row" class="num" { (version.version) }
                                td { (words::full_moment(&version.created_at, &*panel.0.clock)) }
                                td { (events::actor(panel, seen, &version.created_by)) }
                                td { div class="row" {
                                    a href={ (base) "?from=" (version.version) "#editor" }
                                        aria-label={ "Open version " (version.version) } { "Open" }
                                    @if version.active { span class="chip well" { "in force" } }
                                    @else if seen.may_change() {
                                        form method="post" action={ (base) "/" (version.version) "/publish" } {
                                            (hidden(seen, tenant))
                                            button class="quiet" type="submit"
                                                aria-label={ "Publish version " (version.version) } { "Publish" }
                                        }
                                    }
                                } }
                            }
                        }
                    }
                }
                }
            }
            @if seen.may_change() && tenant.mapping.active.is_some() && versions.len() > 1 {
                form method="post" action={ (base) "/rollback" } {
                    (hidden(seen, tenant))
                    button class="quiet" type="submit" { "Roll back to the version before" }
                }
            }
        }
    }
}

fn editing(panel: &Panel, seen: &Seen, tenant: &TenantView, editor: &Editor) -> Markup {
    html! {
        form id="editor" class="editor" method="post" action={ "/panel/tenants/" (tenant.name) "/mappings#report" } {
            (hidden(seen, tenant))
            (asking::default_button(panel, tenant))
            div {
                label for="text" { h2 { "Text" } }
                textarea id="text" name="text" rows="28" spellcheck="false" autocomplete="off" wrap="off"
                    readonly[!seen.may_change()] { "\n" (editor.text) }
                @if seen.may_change() {
                    div class="row" {
                        button class="quiet" type="submit" name="verb" value="check" { "Check" }
                        @if tenant.mapping.active.is_some() {
                            button class="quiet" type="submit" name="verb" value="compare" { "Compare with the one in force" }
                        }
                        button class="quiet" type="submit" name="verb" value="draft" { "Replace by a draft" }
                        button type="submit" name="verb" value="store" { "Check and store" }
                    }
                }
                (asking::asking(panel, seen, tenant, &editor.wanted))
            }
            aside id="report" aria-label="Report" tabindex="0" {
                h2 { @if editor.resources.is_some() { "Resources" } @else { "Report" } }
                (editor.notice)
                @if let Some(resources) = &editor.resources { (asking::framed(resources)) }
                @else if editor.notice.0.is_empty() { (report::checked(editor.report.as_ref())) }
                p class="narrow" { a href="#text" { "Back to the text" } }
            }
        }
    }
}
