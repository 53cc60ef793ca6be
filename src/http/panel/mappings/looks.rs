//! Resources of the text in the editor, from live rows: for who signs in at the hospital's own issuer and there has
//! the rights that `POST /tenant/v1/mappings/preview` demands. The operators' session proves none of them.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};

use super::asking::{Place, place};
use super::{Editor, page, resources};
use crate::auth::{AuthFault, FhirAdmin, FhirRead, LookAt, Looker, Permit, Shape};
use crate::base::{Deadline, Fault as _, FaultKind, TenantId};
use crate::control::TenantView;
use crate::http::panel::Panel;
use crate::http::panel::layout::{self, Tab};
use crate::http::panel::refusal::{Answer, Refusal, told};
use crate::http::panel::session::{Again, Seen, Sent};
use crate::http::panel::sign_in::Back;
use crate::records::{Attempt, note_refused};
use crate::telemetry::names;

/// What of the form is kept while somebody is away at the hospital's issuer.
const KEPT: [&str; 4] = ["text", "rows", "type", "ids"];

/// `POST /panel/tenants/{name}/look`: shows resources to who is signed in at the hospital, and sends others there.
pub(in crate::http::panel) async fn look(
    State(panel): State<Panel>,
    Path(name): Path<String>,
    sent: Sent,
) -> Answer {
    let Sent { seen, fields } = sent;
    let editor = Editor::typed(&fields);
    if fields.text("verb") == "forget" {
        panel.0.sign_ins.forget_look(seen.session);
        let notice = layout::done(Some("forgotten"));
        return page(&panel, &seen, &name, StatusCode::OK, Editor { notice, ..editor }).await;
    }
    let tenant = control_show(&panel, &seen, &name).await?;
    if let Some(answer) = shown(&panel, &seen, &tenant, &editor).await {
        return rendered(&panel, &seen, &tenant, editor, answer).await;
    }
    let Place::Issuer(issuer) = place(&panel, &tenant) else {
        let why = "Nobody can sign in to look at this hospital's resources here.";
        let answer = refused(StatusCode::CONFLICT, why);
        return rendered(&panel, &seen, &tenant, editor, answer).await;
    };
    let Some(kept) = panel.0.sign_ins.keep(&seen.caller.permit, fields.only(&KEPT)) else {
        let why = "The text is too long to be kept while you sign in. Nothing was looked at.";
        let answer = refused(StatusCode::PAYLOAD_TOO_LARGE, why);
        return rendered(&panel, &seen, &tenant, editor, answer).await;
    };
    let at = LookAt { tenant: TenantId::from_uuid(tenant.id), name: name.clone(), kept };
    match panel.0.sign_ins.begin_look(seen.session, issuer, at, seen.caller.deadline).await {
        Ok(url) => Ok(leaving(&seen, &tenant, issuer, &url)),
        Err(fault) => {
            let (status, why) = told(&fault);
            rendered(&panel, &seen, &tenant, editor, refused(status, &why)).await
        }
    }
}

/// The page before the hospital's sign-in. A link and not a redirect: what the answer to a form leads to is bound
/// by the page's policy, and an issuer may lead on to others.
fn leaving(seen: &Seen, tenant: &TenantView, issuer: &str, url: &str) -> Response {
    let body = html! {
        h1 { "Sign in at the hospital" }
        div class="notice calm" {
            p { "Resources are patients' data, and your own sign-in opens none. You go to " code { (issuer) } ", and sign in as \
                 somebody who may manage the mapping of " bdi { (tenant.display_name) } " (role " code { "fhir-admin" }
                ") and read its patients (" code { "fhir-read" } ")." }
            p { "What you look at is written into that hospital's access log under the name you sign in with, and that you opened \
                 it from here. The sign-in is kept for five minutes at most, or until you have it forgotten. What you typed is \
                 there again afterwards." }
            p { a class="button" href=(url) { "Sign in at the hospital" } }
        }
    };
    layout::page(seen, Tab::Fleet, "Sign in at the hospital", &body).into_response()
}

/// `GET /panel/look`: back from a hospital's issuer.
pub(in crate::http::panel) async fn callback(
    State(panel): State<Panel>,
    seen: Seen,
    Query(back): Query<Back>,
) -> Answer {
    let Some(returned) = panel.0.sign_ins.returned(seen.session, &back.state) else {
        let why = "This sign-in was not begun in your session, was begun too long ago, or has counted already. \
                   Nothing was looked at.";
        return Err(Refusal::page(Some(&seen), StatusCode::BAD_REQUEST, why));
    };
    let (sign_ins, at) = (&panel.0.sign_ins, returned.at());
    let answer = match (&back.code, back.error.as_deref()) {
        _ if !returned.is_of(back.iss.as_deref()) => {
            let fault = AuthFault::InvalidRequest("answer_of_another_issuer");
            turned_away(&panel, &seen, at, &fault).await
        }
        (Some(code), _) => {
            match sign_ins.finish_look(&returned, code, seen.caller.deadline).await {
                Ok(()) => {
                    let target = format!("/panel/tenants/{}/look?kept={}#report", at.name, at.kept);
                    return Ok(Redirect::to(&target).into_response());
                }
                Err(fault) => turned_away(&panel, &seen, at, &fault).await,
            }
        }
        (None, Some("access_denied")) => {
            refused(StatusCode::OK, "You did not sign in at the hospital. Nothing was looked at.")
        }
        (None, _) => refused(
            StatusCode::BAD_GATEWAY,
            "The hospital's issuer did not sign you in. Nothing was looked at.",
        ),
    };
    let tenant = control_show(&panel, &seen, &at.name).await?;
    let editor = kept(&panel, &seen, &Again::under(&at.kept)).unwrap_or_default();
    rendered(&panel, &seen, &tenant, editor, answer).await
}

/// `GET /panel/tenants/{name}/look`: what she wanted to see before she signed in at the hospital.
pub(in crate::http::panel) async fn show(
    State(panel): State<Panel>,
    seen: Seen,
    Path(name): Path<String>,
    Query(again): Query<Again>,
) -> Answer {
    let tenant = control_show(&panel, &seen, &name).await?;
    let Some(editor) = kept(&panel, &seen, &again) else {
        let target = format!("/panel/tenants/{name}/mappings");
        return Ok(Redirect::to(&target).into_response());
    };
    let answer = shown(&panel, &seen, &tenant, &editor).await.unwrap_or_else(|| {
        let why = "Nobody is signed in at the hospital any more. Look again to sign in anew.";
        refused(StatusCode::OK, why)
    });
    rendered(&panel, &seen, &tenant, editor, answer).await
}

/// What became of a look: resources beside the text, or why there are none.
enum Looked {
    Resources(Markup),
    Nothing(StatusCode, Markup),
}

fn refused(status: StatusCode, why: &str) -> Looked {
    let tone = if status == StatusCode::OK { "warn" } else { "bad" };
    Looked::Nothing(status, html! { div class={ "notice " (tone) } role="alert" { p { (why) } } })
}

/// A sign-in for a look that does not count stands in the access log of the hospital that was to be looked at,
/// with the operator whose page it was. That an issuer could not be asked is nobody's attempt.
async fn turned_away(panel: &Panel, seen: &Seen, at: &LookAt, fault: &AuthFault) -> Looked {
    if fault.kind() != FaultKind::Unavailable
        && let Err(fault) = panel.0.control.preview_refused(&seen.caller, at.tenant).await
    {
        let (status, why) = told(&fault);
        return refused(status, &why);
    }
    not_signed_in(fault)
}

/// Why a sign-in at the hospital does not count. Of another hospital whose token it may be, nothing is said.
fn not_signed_in(fault: &AuthFault) -> Looked {
    tracing::info!(target: "wardgate::http", reason = fault.reason(), "a sign-in to look at resources failed");
    metrics::counter!(names::REFUSALS, "reason" => fault.reason()).increment(1);
    match fault.kind() {
        FaultKind::Forbidden => may_not(
            "That sign-in does not belong to this hospital, or the hospital does not admit it through this panel.",
        ),
        FaultKind::Unavailable => {
            let why = "The hospital's issuer cannot be asked at the moment. Try again.";
            refused(StatusCode::SERVICE_UNAVAILABLE, why)
        }
        _ => refused(
            StatusCode::UNAUTHORIZED,
            "What the hospital's issuer answered does not verify.",
        ),
    }
}

fn may_not(why: &str) -> Looked {
    Looked::Nothing(
        StatusCode::FORBIDDEN,
        html! {
            div class="notice bad" role="alert" {
                p { (why) " Nothing was looked at." }
                p { "Resources may be looked at by who has both roles " code { "fhir-admin" } " and " code { "fhir-read" }
                    " in this hospital, with nothing in the token that narrows them. Whoever manages the hospital's users at its \
                     issuer gives them; without, check the text: its report is in numbers. To sign in as somebody else, \
                     sign out at the issuer first." }
            }
        },
    )
}

/// Both rights of who is signed in at the hospital, or why she may not look, which stands in its access log then.
async fn rights(
    panel: &Panel,
    seen: &Seen,
    looker: &Looker,
) -> Result<(Permit<FhirAdmin>, Permit<FhirRead>), Looked> {
    let (authority, principal) = (&panel.0.authority, &looker.principal);
    let admin = authority.permit::<FhirAdmin>(principal, Shape::Any);
    let (fault, why) = match (admin, authority.permit::<FhirRead>(principal, Shape::Any)) {
        (Ok(admin), Ok(reader)) => return Ok((admin, reader)),
        (Err(fault @ AuthFault::StepUp { .. }), _) => {
            (fault, "did not sign in as strongly as managing this hospital's mapping asks for.")
        }
        (Err(fault), _) => (fault, "may not manage this hospital's mapping."),
        (_, Err(fault)) => (fault, "may not read this hospital's patients."),
    };
    panel.0.sign_ins.forget_look(seen.session);
    metrics::counter!(names::REFUSALS, "reason" => fault.reason()).increment(1);
    let (tenants, request) = (&panel.0.tenants, seen.caller.request);
    let attempt = Attempt::Other("mapping.preview");
    if let Err(fault) = note_refused(tenants, principal, request, attempt, 403).await {
        let (status, why) = told(&fault);
        return Err(refused(status, &why));
    }
    Err(may_not(&format!("{} {why}", looker.name)))
}

/// Looks, when somebody is signed in at the hospital. Who opened the page stands in the hospital's access log
/// before a row is read, and who looked before anything is shown.
async fn shown(panel: &Panel, seen: &Seen, tenant: &TenantView, editor: &Editor) -> Option<Looked> {
    let (id, deadline) = (TenantId::from_uuid(tenant.id), seen.caller.deadline);
    let looker = match panel.0.sign_ins.looker(seen.session, id, deadline).await {
        Ok(looker) => looker?,
        Err(fault) => return Some(not_signed_in(&fault)),
    };
    Some(match rights(panel, seen, &looker).await {
        Ok((admin, reader)) => previewed(panel, seen, (admin, reader), editor, deadline)
            .await
            .unwrap_or_else(|why| why),
        Err(why) => why,
    })
}

async fn previewed(
    panel: &Panel,
    seen: &Seen,
    (admin, reader): (Permit<FhirAdmin>, Permit<FhirRead>),
    editor: &Editor,
    deadline: Deadline,
) -> Result<Looked, Looked> {
    let failed = |fault: &dyn crate::base::Fault| {
        let (status, why) = told(fault);
        refused(status, &why)
    };
    let (caller, tenant) = (&seen.caller, reader.tenant());
    let session = panel.0.tenants.open(reader, caller.request, deadline).await;
    let session = session.map_err(|fault| failed(&fault))?;
    panel.0.control.preview_opened(caller, tenant).await.map_err(|fault| failed(&fault))?;
    let wanted = editor.wanted.preview();
    let answer = session.preview(&admin, &editor.text, &wanted).await;
    let answer = answer.map_err(|fault| failed(&fault))?;
    Ok(Looked::Resources(resources::shown(answer.body(), &wanted)))
}

fn kept(panel: &Panel, seen: &Seen, again: &Again) -> Option<Editor> {
    again.typed(panel, seen).map(|fields| Editor::typed(&fields))
}

async fn control_show(panel: &Panel, seen: &Seen, name: &str) -> Result<TenantView, Refusal> {
    panel.0.control.show(&seen.caller, name).await.map_err(Refusal::control(seen))
}

async fn rendered(
    panel: &Panel,
    seen: &Seen,
    tenant: &TenantView,
    editor: Editor,
    looked: Looked,
) -> Answer {
    let (status, editor) = match looked {
        Looked::Resources(found) => (StatusCode::OK, Editor { resources: Some(found), ..editor }),
        Looked::Nothing(status, notice) => (status, Editor { notice, ..editor }),
    };
    page(panel, seen, &tenant.name, status, editor).await
}
