//! One id a request: in the answer's header, in the log and in the access event.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;
use uuid::Uuid;

use super::logbook::{Ended, Logbook};

/// The header's name.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// A request's id. Always made here: an id given by a caller could be made to collide with another's.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestId(pub(super) Uuid);

/// Gives the request its id and puts it on the answer.
/// Every line of the control plane's requests carries it; there are few of them.
pub(super) async fn assign(
    State(logbook): State<Arc<Logbook>>,
    mut request: Request,
    next: Next,
) -> Response {
    let (begun, id) = (Instant::now(), Uuid::now_v7());
    request.extensions_mut().insert(RequestId(id));
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let span = tracing::error_span!("request", request = %id);
    let mut response = next.run(request).instrument(span).await;
    response.headers_mut().insert(HEADER, value(id));
    let route = route.as_ref().map_or("other", MatchedPath::as_str);
    let (request, method, took) = (id, &method, begun.elapsed());
    logbook.note(&Ended { request, tenant: None, method, route, took }, &mut response);
    response
}

/// The id as the header's value.
pub(super) fn value(id: Uuid) -> HeaderValue {
    let mut text = Uuid::encode_buffer();
    let text: &str = id.hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("-"))
}
