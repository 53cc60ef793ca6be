//! Pages that say why nothing came of it.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::html;

use super::layout::{self, Tab};
use super::session::Seen;
use super::words;
use crate::base::Fault;
use crate::control::ControlFault;
use crate::http::problem::Problem;

/// An answer that ends a handler early.
pub(super) struct Refusal(Box<Response>);

/// What handlers give back.
pub(super) type Answer = Result<Response, Refusal>;

impl Refusal {
    /// A status and nothing else.
    pub(super) fn plain(status: StatusCode) -> Self {
        Self(Box::new(status.into_response()))
    }

    /// A page with one sentence.
    pub(super) fn page(seen: Option<&Seen>, status: StatusCode, why: &str) -> Self {
        let title = match status {
            StatusCode::NOT_FOUND => "Not found",
            StatusCode::FORBIDDEN => "Not allowed",
            StatusCode::SERVICE_UNAVAILABLE => "Not available",
            StatusCode::INTERNAL_SERVER_ERROR => "Something went wrong",
            _ => "That did not work",
        };
        let body = html! {
            h1 { (title) }
            div class="notice bad" role="alert" { p { (why) } }
            @if status == StatusCode::SERVICE_UNAVAILABLE {
                p { "Hospitals that are known are served meanwhile. Try again in a few seconds, and look before you \
                     order anything a second time." }
            }
            p { a href="/panel/" { "Back to the fleet" } }
        };
        let page = match seen {
            Some(seen) => layout::page(seen, Tab::None, title, &body),
            None => layout::outside(title, &body),
        };
        Self(Box::new((status, page).into_response()))
    }

    /// A room's failure; its reason goes to the log, the page gets the message only.
    pub(super) fn of(seen: Option<&Seen>, fault: &dyn Fault) -> Self {
        let (status, why) = told(fault);
        Self::page(seen, status, &why)
    }

    /// The same where the reader is known.
    pub(super) fn control(seen: &Seen) -> impl Fn(ControlFault) -> Self + '_ {
        move |fault| Self::of(Some(seen), &fault)
    }
}

/// The status and the sentence for a failure, which is logged here.
pub(super) fn told(fault: &dyn Fault) -> (StatusCode, String) {
    let (status, why) = Problem::of(fault).told();
    (status, words::sentence(&why))
}

impl From<Response> for Refusal {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        *self.0
    }
}

/// `/panel/` and something nobody knows.
pub(super) async fn nothing_here(seen: Seen) -> Refusal {
    Refusal::page(Some(&seen), StatusCode::NOT_FOUND, "There is nothing at this address.")
}
