//! Another account for a registered server: its password was changed, or the server moved.

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect};
use maud::{Markup, html};

use super::layout;
use super::refusal::Answer;
use super::servers::failed;
use super::session::{Fields, Order, Seen};
use super::{Panel, sign_in};
use crate::base::SecretText;
use crate::control::{ConnectionInput, ServerConnection, ServerView};

/// What is shown again of the form. The URL holds a password.
const SHOWN: [&str; 3] = ["account_of", "account_ca", "another"];

/// The form; nothing where no server has an account.
pub(super) fn form(seen: &Seen, servers: &[ServerView], typed: Option<&Fields>) -> Markup {
    let text = |name: &str| typed.map_or("", |typed| typed.text(name));
    let with_account = || servers.iter().filter(|server| server.engine != "sqlite");
    if with_account().next().is_none() {
        return html! {};
    }
    html! {
        section class="card wide" {
            h2 { "Replace a server's account" }
            @if !seen.fresh { (sign_in::ask_again("/panel/servers", "Replacing a server's account")) } @else {
            p { "When its password was changed, or the server is reached elsewhere. The new one is tried first, and \
                 nothing is changed unless it works. Hospitals keep their own roles; where the server moved, renew \
                 each hospital's password afterwards, which leads it there." }
            form method="post" action="/panel/servers/connection" class="stack" {
                (layout::csrf(seen))
                label { "Server"
                    select name="account_of" { @for server in with_account() {
                        option value=(server.name) selected[server.name == text("account_of")] {
                            (server.name) " (" (server.engine) ")" }
                    } }
                }
                label { "Connection URL of the account"
                    input type="password" name="url" autocomplete="off";
                    span class="soft" { "postgres://user:password@host/postgres or mysql://user:password@host/mysql" }
                }
                details open[!text("account_ca").is_empty()] {
                    summary { "Certificate of the server's own authority" }
                    label { "PEM"
                        textarea name="account_ca" rows="6" spellcheck="false" { "\n" (text("account_ca")) }
                    }
                }
                label { "It is"
                    select name="another" {
                        option value="" { "the server that is registered; another is refused" }
                        option value="yes" selected[text("another") == "yes"] {
                            "perhaps another one, to which all its databases were moved"
                        }
                    }
                }
                div class="row" { button type="submit" { "Try, then replace" } }
            } }
        }
    }
}

/// `POST /panel/servers/connection`.
pub(super) async fn replace(State(panel): State<Panel>, mut order: Order) -> Answer {
    if !order.seen.fresh {
        let Order { seen, fields } = &order;
        return Err(sign_in::too_old(&panel, seen, "/panel/servers", fields, &SHOWN));
    }
    let url = SecretText::new(order.fields.take("url").trim().to_owned());
    let ca = order.fields.text("account_ca").replace("\r\n", "\n");
    let new = ServerConnection {
        connection: ConnectionInput::url(url, (!ca.is_empty()).then_some(ca), true),
        another_server: order.fields.text("another") == "yes",
    };
    let named = order.fields.text("account_of");
    match panel.0.control.replace_server(&order.seen.caller, named, &new).await {
        Ok(_) => Ok(Redirect::to("/panel/servers?done=account").into_response()),
        Err(fault) => failed(&panel, &order, &fault).await,
    }
}
