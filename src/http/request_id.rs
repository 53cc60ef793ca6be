//! One id a request: in the answer's header, in the log and in the access event.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use uuid::Uuid;

/// The header's name.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// A request's id. Always made here: an id given by a caller could be made to collide with another's.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestId(pub(super) Uuid);

/// Gives the request its id and puts it on the answer.
pub(super) async fn assign(mut request: Request, next: Next) -> Response {
    let id = Uuid::now_v7();
    request.extensions_mut().insert(RequestId(id));
    let mut response = next.run(request).await;
    response.headers_mut().insert(HEADER, value(id));
    response
}

/// The id as the header's value.
pub(super) fn value(id: Uuid) -> HeaderValue {
    let mut text = Uuid::encode_buffer();
    let text: &str = id.hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("-"))
}
