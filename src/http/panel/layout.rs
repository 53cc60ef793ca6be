//! What all pages have in common.

use axum::response::Html;
use maud::{DOCTYPE, Markup, html};

use super::session::Seen;
use crate::control::{Health, Level};

/// Which entry of the navigation is the present one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Fleet,
    Operations,
    Servers,
    Migrations,
    Approvals,
    Keys,
    Events,
    None,
}

/// How often a page's script asks for what is new, in seconds.
const LIVE_SECONDS: u32 = 5;

/// A page for somebody who is signed in.
pub(super) fn page(seen: &Seen, tab: Tab, title: &str, body: &Markup) -> Html<String> {
    shell(Some((seen, tab)), title, false, body)
}

/// The same, with regions that are kept up to date: elements with an `id` and `data-live`.
pub(super) fn live_page(seen: &Seen, tab: Tab, title: &str, body: &Markup) -> Html<String> {
    shell(Some((seen, tab)), title, true, body)
}

/// A page for anybody.
pub(super) fn outside(title: &str, body: &Markup) -> Html<String> {
    shell(None, title, false, body)
}

fn shell(seen: Option<(&Seen, Tab)>, title: &str, live: bool, body: &Markup) -> Html<String> {
    let seconds = live.then_some(LIVE_SECONDS);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Wardgate" }
                link rel="icon" href="/panel/mark.svg" type="image/svg+xml";
                link rel="stylesheet" href="/panel/panel.css";
                script src="/panel/panel.js" defer {}
            }
            body data-live-seconds=[seconds] {
                a class="skip" href="#main" { "Skip to the page" }
                header class="top" {
                    a class="brand" href="/panel/" {
                        img src="/panel/mark.svg" alt="" width="22" height="22";
                        "Wardgate"
                    }
                    @if let Some((seen, tab)) = seen {
                        nav aria-label="Pages" {
                            (entry(tab, Tab::Fleet, "/panel/", "Fleet"))
                            (entry(tab, Tab::Operations, "/panel/operations", "Operations"))
                            @if let Some(waiting) = seen.waiting { (approvals(tab, waiting)) }
                            (entry(tab, Tab::Servers, "/panel/servers", "Servers"))
                            (entry(tab, Tab::Migrations, "/panel/migrations", "Schemas"))
                            (entry(tab, Tab::Keys, "/panel/keys", "Keys"))
                            (entry(tab, Tab::Events, "/panel/events", "Events"))
                        }
                        form class="who" method="post" action="/panel/sign-out" {
                            (csrf(seen))
                            span class="name" {
                                (seen.name) " " span class="tag" { (seen.caller.permit.rank().as_str()) }
                            }
                            button class="quiet" type="submit" { "Sign out" }
                        }
                    }
                }
                main id="main" tabindex="-1" { (body) }
                @if live {
                    p id="pulse" class="pulse" role="status" { "Up to date. Refreshes every 5 s." }
                }
            }
        }
    };
    Html(page.into_string())
}

fn entry(tab: Tab, of: Tab, href: &str, text: &str) -> Markup {
    let current = (tab == of).then_some("page");
    html! { a href=(href) aria-current=[current] { (text) } }
}

/// What waits for a second person, counted: nobody looks for it by herself.
fn approvals(tab: Tab, waiting: usize) -> Markup {
    let current = (tab == Tab::Approvals).then_some("page");
    html! {
        a href="/panel/approvals" aria-current=[current] { "Approvals"
            span id="waiting" data-live {
                @if waiting > 0 { " " span class="count" { (waiting) span class="unseen" { " waiting" } } }
            }
        }
    }
}

/// The session's own token, for every form.
pub(super) fn csrf(seen: &Seen) -> Markup {
    html! { input type="hidden" name="csrf" value=(seen.csrf.expose()); }
}

/// How a tenant is: a shape, a word and a colour, each enough by itself.
pub(super) fn chip(level: Level) -> Markup {
    let shape = match level {
        Level::Ill => "M2 2h8v8H2z",
        Level::Watch => "M6 1.5 11.2 10.5H.8z",
        Level::Well => "M6 1.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9z",
        Level::Off => "M2 5h8v2H2z",
    };
    html! {
        span class={ "chip " (level.as_str()) } {
            svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true" { path d=(shape) {} }
            (level.as_str())
        }
    }
}

/// The class of a notice about how a tenant is.
pub(super) const fn tone(health: &Health) -> &'static str {
    match health.level {
        Level::Ill => "bad",
        Level::Watch => "warn",
        Level::Well => "good",
        Level::Off => "calm",
    }
}

/// What is said after something was done; only what is known here is ever said.
pub(super) fn done(code: Option<&str>) -> Markup {
    let text = match code.unwrap_or_default() {
        "suspend" => "Suspended. Its callers get 403 from now on.",
        "resume" => "Resumed. It is being served again.",
        "refuse-tokens" => "Every token issued until now is refused. Who gets a new one is let in.",
        "invalidate" => "Every gateway reads its configuration anew.",
        "admit-client" => "The client is admitted: resources can be looked at on the mapping page.",
        "dismiss-client" => "The client is admitted no more.",
        "drain" => "The lane was retired; the next request opens a new one.",
        "reset-breaker" => "The breaker is closed.",
        "limits" => "The limits are in force.",
        "asked" => "A second person is asked. Nothing was changed yet.",
        "approved" => "Approved. It is in force.",
        "refused" => "Refused. Nothing was changed.",
        "flags" => "The features are switched.",
        "connection" => "The new connection was checked, sealed and is in force.",
        "publish" => "That version is in force.",
        "rollback" => "The version before is in force again.",
        "stored" => "Stored as a new version. It is not in force until you publish it.",
        "forgotten" => "The sign-in at the hospital is forgotten.",
        "added" => {
            "Registered; its database answers. Nothing is served until a mapping is in force: begin with a draft, \
             check and store it, then publish it."
        }
        "server" => "The server was tried, its account sealed, and hospitals can be made on it.",
        "account" => {
            "The account was tried, sealed, and is used from now on. Retry operations that failed for the old one."
        }
        "rewrap" => "Every data key is under the current key-encryption key.",
        _ => return html! {},
    };
    html! { div class="notice good" role="status" { p { (text) } } }
}
