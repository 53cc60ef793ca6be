//! The part of the mapping page that asks for resources, and how they stand on it.

use maud::{Markup, html};

use crate::auth::SignIns;
use crate::base::TenantId;
use crate::control::TenantView;
use crate::http::panel::session::{Fields, Seen};
use crate::http::panel::{Panel, words};
use crate::records::{MOST_SHOWN, PreviewOf};

/// Rows of each source, when nothing is said of them.
const ROWS: u32 = 3;

/// What somebody wants to see, as she typed it.
#[derive(Default)]
pub(super) struct Wanted {
    rows: String,
    resource_type: String,
    ids: String,
}

impl Wanted {
    pub(super) fn of(fields: &Fields) -> Self {
        let text = |name| fields.text(name).to_owned();
        Self { rows: text("rows"), resource_type: text("type"), ids: text("ids") }
    }

    fn rows(&self) -> u32 {
        self.rows.parse().unwrap_or(ROWS).clamp(1, MOST_SHOWN)
    }

    pub(super) fn preview(&self) -> PreviewOf {
        let apart = |c: char| c == ',' || c.is_whitespace();
        let ids = self.ids.split(apart).filter(|id| !id.is_empty()).map(str::to_owned);
        let resource_type = Some(self.resource_type.clone()).filter(|ty| !ty.is_empty());
        PreviewOf { rows: self.rows(), ids: ids.collect(), resource_type }
    }
}

/// Where somebody can sign in to look: a hospital's issuer at which the panel has a client that the
/// hospital's binding admits.
pub(super) enum Place<'t> {
    Issuer(&'t str),
    /// The panel has a client at this issuer, and the hospital does not admit it.
    NotAdmitted(String, &'t str),
    NotSetUp,
}

pub(super) fn place<'t>(panel: &Panel, tenant: &'t TenantView) -> Place<'t> {
    let mut otherwise = Place::NotSetUp;
    for identity in &tenant.identities {
        let Some(client) = panel.0.sign_ins.looks_through(&identity.issuer) else { continue };
        if identity.azp.iter().any(|azp| azp == client) {
            return Place::Issuer(&identity.issuer);
        }
        otherwise = Place::NotAdmitted(client.to_owned(), &identity.issuer);
    }
    otherwise
}

/// The button that the return key presses in the form's single lines, which all are about looking.
pub(super) fn default_button(panel: &Panel, tenant: &TenantView) -> Markup {
    html! {
        @if let Place::Issuer(_) = place(panel, tenant) {
            button class="unseen" type="submit" formaction=(action(tenant)) name="verb" value="look" tabindex="-1" aria-hidden="true" {
                "Look at resources"
            }
        }
    }
}

fn action(tenant: &TenantView) -> String {
    format!("/panel/tenants/{}/look#report", tenant.name)
}

/// The part of the form that asks for resources, and who would see them.
pub(super) fn asking(panel: &Panel, seen: &Seen, tenant: &TenantView, wanted: &Wanted) -> Markup {
    let issuer = match place(panel, tenant) {
        Place::Issuer(issuer) => issuer,
        Place::NotAdmitted(client, issuer) => {
            return html! {
                p class="soft" {
                    "Resources can be looked at here when this hospital's binding to " code { (issuer) } " lists the client "
                    code { (client) } ": "
                    a href={ "/panel/tenants/" (tenant.name) "#identities" } { "Identities" } " has the button."
                }
            };
        }
        Place::NotSetUp => {
            return html! {
                p class="soft" {
                    "Looking at resources is not set up here: " code { "preview_client_id" } " of the hospital's "
                    code { "[[issuers]]" } "."
                }
            };
        }
    };
    let looking = panel.0.sign_ins.looking(seen.session, TenantId::from_uuid(tenant.id));
    let action = action(tenant);
    html! {
        fieldset class="look" {
            legend { "Resources from live rows" }
            p class="soft" {
                @if let Some((name, until)) = &looking {
                    "Signed in at the hospital as " strong { bdi { (name) } } " until " (words::clock_time(*until)) "."
                } @else {
                    "For who may manage this hospital's mapping and read its patients: you will be asked to sign in at " code { (issuer) } "."
                }
                " Every look stands in the hospital's access log."
            }
            div class="inline" {
                label { "Rows of each table"
                    input type="number" name="rows" min="1" max=(MOST_SHOWN) value=(wanted.rows());
                }
                label { "Only this type"
                    input name="type" value=(wanted.resource_type) placeholder="all" autocomplete="off" spellcheck="false";
                }
                label { "Only these"
                    input name="ids" value=(wanted.ids) placeholder="Patient/7, Observation/3" autocomplete="off" spellcheck="false";
                }
            }
            div class="row" {
                button class="quiet" type="submit" formaction=(action) name="verb" value="look" { "Look at resources" }
                @if looking.is_some() {
                    button class="quiet" type="submit" formaction=(action) name="verb" value="forget" { "Forget this sign-in" }
                }
            }
        }
    }
}

/// Resources where the page's script finds them, to take them away when the session has ended.
pub(super) fn framed(resources: &Markup) -> Markup {
    let minutes = SignIns::IDLE.as_secs() / 60;
    html! {
        div id="resources" data-seconds=(SignIns::IDLE.as_secs())
            data-cleared={ "The resources were taken off this page: your session has ended, you went to another page, or " (minutes)
                " minutes have passed. Look again to see them." } {
            (resources)
        }
    }
}
