//! A form that comes when its session has ended, or from the session before. Nothing is done; what was typed goes
//! back to the browser that sent it, and is kept nowhere else. So it outlives a restart of the gateway too, and
//! nobody can have another find a form filled in.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};

use super::layout::{self, Tab};
use super::session::Seen;
use super::words;

/// A form's fields in their order.
pub(super) type Pairs = Vec<(String, String)>;

/// Fields whose text is written into no page.
const SECRET: [&str; 2] = ["password", "url"];
/// Fields nobody typed.
const OURS: [&str; 3] = ["csrf", "generation", "verb"];
/// Longer texts stand in several lines.
const LINE: usize = 100;

/// Whether somebody typed something that would be lost.
pub(super) fn is_typed(pairs: &[(String, String)]) -> bool {
    let typed = |name: &str| !OURS.contains(&name) && !SECRET.contains(&name);
    pairs.iter().any(|(name, text)| typed(name) && !text.trim().is_empty())
}

/// For who is not signed in any more, or cannot be asked who she is just now, for that reason.
pub(super) fn unknown(
    status: StatusCode,
    why: &str,
    path: &str,
    pairs: &[(String, String)],
) -> Response {
    let page = layout::outside(
        "Not sent",
        &html! {
            h1 { "Not sent" }
            div class="notice warn" role="alert" {
                p { (why) " Nothing was changed." }
                p { "What you typed stays here: sign in in another window, come back to this one, and go on." }
                p { a class="button" href="/panel/sign-in" target="_blank" rel="noopener" { "Sign in in another window" } }
            }
            (form(None, path, pairs, "Go on"))
        },
    );
    (status, page).into_response()
}

/// For who has another session by now: to be looked at, and sent from this one.
pub(super) fn earlier(seen: &Seen, path: &str, pairs: &[(String, String)]) -> Response {
    let body = html! {
        h1 { "From an earlier session" }
        div class="notice warn" role="alert" {
            p { "This was typed before you signed in anew. Nothing was changed yet." }
            p { "Look at it, and send it if you still mean it." }
        }
        (form(Some(seen), path, pairs, "Send"))
    };
    let page = layout::page(seen, Tab::None, "From an earlier session", &body);
    (StatusCode::FORBIDDEN, page).into_response()
}

fn form(seen: Option<&Seen>, path: &str, pairs: &[(String, String)], send: &str) -> Markup {
    html! {
        form method="post" action=(words::own_path(path)) class="card stack" {
            @if let Some(seen) = seen { (layout::csrf(seen)) }
            p { "It was on its way to " code { (words::own_path(path).trim_start_matches("/panel/")) } "." }
            @for (name, text) in pairs.iter().filter(|(name, _)| name != "csrf") { (field(name, text)) }
            div class="row" { button type="submit" { (send) } }
        }
    }
}

fn field(name: &str, text: &str) -> Markup {
    let label = words::title(name);
    html! {
        @if OURS.contains(&name) {
            input type="hidden" name=(name) value=(text);
            @if name == "verb" { p { "What you asked for: " strong { (text) } "." } }
        } @else if SECRET.contains(&name) {
            label { (label)
                input type="password" name=(name) autocomplete="off";
                span class="soft" { "typed anew" }
            }
        } @else if text.len() > LINE || text.contains('\n') {
            label { (label)
                textarea name=(name) rows="20" spellcheck="false" autocomplete="off" { "\n" (text) }
            }
        } @else {
            label { (label)
                input name=(name) value=(text) autocomplete="off" spellcheck="false";
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(all: &[(&str, &str)]) -> Pairs {
        all.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn a_button_alone_is_nothing_typed() {
        let button = [("csrf", "x"), ("generation", "4"), ("verb", "store")];
        assert!(!is_typed(&pairs(&button)));
        assert!(!is_typed(&pairs(&[("csrf", "x"), ("password", "x"), ("reason", " ")])));
        assert!(is_typed(&pairs(&[("csrf", "x"), ("reason", "unpaid")])));
    }

    #[test]
    fn texts_come_back_as_they_were_and_secrets_do_not() {
        let typed = pairs(&[
            ("csrf", "old-token"),
            ("generation", "4"),
            ("verb", "store"),
            ("text", "a: \"<b>\"\r\nb: 1"),
            ("host", "db & co"),
            ("password", "canary-secret"),
            ("url", "postgres://root:canary-secret@host/db"),
        ]);
        let page = form(None, "/panel/tenants/north/mappings", &typed, "Go on").into_string();
        assert!(page.contains("action=\"/panel/tenants/north/mappings\""), "{page}");
        assert!(page.contains("on its way to <code>tenants/north/mappings</code>"), "{page}");
        assert!(page.contains("&quot;&lt;b&gt;&quot;\r\nb: 1</textarea>"), "{page}");
        assert!(page.contains("name=\"host\" value=\"db &amp; co\""), "{page}");
        assert!(page.contains("name=\"generation\" value=\"4\""), "{page}");
        assert!(!page.contains("canary") && !page.contains("old-token"), "{page}");
        assert_eq!(page.matches("type=\"password\"").count(), 2, "{page}");
        let elsewhere = form(None, "//evil.example/panel/", &typed, "Go on").into_string();
        assert!(elsewhere.contains("action=\"/panel/\""), "{elsewhere}");
    }

    /// Whoever adds a form with another secret in it says so here.
    #[test]
    fn every_secret_field_of_the_panel_is_known() {
        let sources = [
            include_str!("account.rs"),
            include_str!("attach.rs"),
            include_str!("connection.rs"),
            include_str!("keys.rs"),
            include_str!("life.rs"),
            include_str!("mappings.rs"),
            include_str!("migrations.rs"),
            include_str!("operations.rs"),
            include_str!("servers.rs"),
            include_str!("tenant.rs"),
            include_str!("tenant/cards.rs"),
        ];
        let mut found = Vec::new();
        for source in sources {
            for (at, _) in source.match_indices("type=\"password\"") {
                let (_, rest) = source[at..].split_once("name=\"").expect("a name");
                found.push(rest.split('"').next().unwrap());
            }
        }
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, SECRET);
    }
}
