//! Key-encryption keys and what refers to them.

use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Redirect};
use maud::html;

use super::layout::{self, Tab};
use super::refusal::{Answer, Refusal};
use super::session::{Order, Seen};
use super::tenant::Done;
use super::{Panel, sign_in, words};

/// `GET /panel/keys`.
pub(super) async fn show(
    State(panel): State<Panel>,
    seen: Seen,
    Query(done): Query<Done>,
) -> Answer {
    let keys = panel.0.control.keys(&seen.caller).await.map_err(Refusal::control(&seen))?;
    let stale: u64 = keys.keks.iter().filter(|kek| !kek.current).map(|kek| kek.data_keys).sum();
    let body = html! {
        h1 { "Keys" }
        (layout::done(done.done.as_deref()))
        section class="card wide" {
            h2 { "Key-encryption keys" }
            div class="scroll" tabindex="0" role="region" aria-label="Key-encryption keys" {
            table {
                thead { tr {
                    th scope="col" { "Key" } th scope="col" { "" } th scope="col" class="num" { "Data keys under it" }
                    th scope="col" { "Oldest of them" } th scope="col" { "Newest of them" }
                } }
                tbody {
                    @for kek in &keys.keks {
                        tr {
                            th scope="row" { code { (kek.id) } }
                            td { @if kek.current { span class="chip well" { "current" } }
                                 @else if kek.data_keys == 0 { span class="chip off" { "unused" } }
                                 @else { span class="chip watch" { "still in use" } } }
                            td class="num" { (words::count(kek.data_keys)) }
                            @for at in [&kek.oldest, &kek.newest] {
                                td { @match at { Some(at) => (words::full_moment(at, &*panel.0.clock)), None => "–" } }
                            }
                        }
                    }
                }
            }
            }
            @if stale > 0 {
                p { strong { (words::count(stale)) } " data keys are not yet under the current key." }
            } @else { p { "Every data key is under the current key." } }
        }
        section class="card wide" {
            h2 { "Rewrap" }
            p { "Wraps every data key under the current key-encryption key. Sealed records are not touched, nothing \
                 is interrupted, and it may be asked again at any time." }
            p class="soft" { "A new key-encryption key is made on the gateway's own machine, where its file is: "
                code { "wardgate keys rotate" } "." }
            @if !seen.may_change() { p { "Your role looks and changes nothing." } }
            @else if seen.fresh {
                form method="post" action="/panel/keys" {
                    (layout::csrf(&seen))
                    button type="submit" { "Rewrap data keys" }
                }
            } @else { (sign_in::ask_again("/panel/keys", "Rewrapping keys")) }
        }
    };
    Ok(layout::page(&seen, Tab::Keys, "Keys", &body).into_response())
}

/// `POST /panel/keys`.
pub(super) async fn rewrap(State(panel): State<Panel>, order: Order) -> Answer {
    if !order.seen.fresh {
        return Err(sign_in::too_old(&panel, &order.seen, "/panel/keys", &order.fields, &[]));
    }
    let done = panel.0.control.rewrap(&order.seen.caller).await;
    done.map_err(Refusal::control(&order.seen))?;
    Ok(Redirect::to("/panel/keys?done=rewrap").into_response())
}
