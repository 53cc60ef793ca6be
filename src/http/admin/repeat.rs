//! `Idempotency-Key` on POST: the same order sent again is not carried out again.

use std::collections::BTreeMap;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tracing::Instrument as _;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::{ObjectBuilder, OpenApi, Required, Type};

use super::extract::{Operator, problem};
use super::{BODY_BYTES, ControlPlane};
use crate::control::{Repeat, Repeatable};
use crate::http::problem::Problem;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The headers of an answer that are part of it.
const KEPT: [HeaderName; 2] = [header::CONTENT_TYPE, header::ETAG];

const DESCRIPTION: &str = "1 to 128 characters, chosen anew for each order. The same key with the same body within \
     24 hours gives the first answer again, with `Idempotency-Replayed: true`, and changes nothing; \
     with another body or address it is refused with 422; while the first is under way, with 409. A \
     request that was refused or failed leaves its key free. Keys of different operators never meet.";

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

/// Answers a repeated order from what is kept, and carries out any other.
pub(super) async fn once(
    State(plane): State<ControlPlane>,
    request: Request,
    next: Next,
) -> Response {
    let Some(key) = request.headers().get(KEY).filter(|_| request.method() == Method::POST) else {
        return next.run(request).await;
    };
    let Some(key) = key.to_str().ok().map(str::to_owned) else {
        let detail = "An Idempotency-Key has 1 to 128 characters of ASCII.";
        return Problem::new(StatusCode::BAD_REQUEST, "invalid", detail).into_response();
    };
    let (mut parts, body) = request.into_parts();
    let caller = match Operator::from_request_parts(&mut parts, &plane).await {
        Ok(Operator(caller)) => caller,
        Err(refused) => return refused.into_response(),
    };
    let Ok(body) = to_bytes(body, BODY_BYTES).await else {
        let detail = "The body is too large or could not be read.";
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail).into_response();
    };
    let control = &plane.0.control;
    let address = parts.uri.path_and_query().map_or_else(|| parts.uri.path(), PathAndQuery::as_str);
    let order = control.repeatable(&caller, key, format!("POST {address}"), &body);
    match control.begin_once(&order).await {
        Err(fault) => problem(fault).into_response(),
        Ok(Repeat::New) => {
            let request = Request::from_parts(parts, Body::from(body));
            // In a task of its own: a client who goes away leaves no key that stands for nothing.
            let carried_out = carry_out(plane.clone(), order, request, next);
            let work = tokio::spawn(carried_out.in_current_span());
            work.await.unwrap_or_else(|_| {
                let detail = "Something went wrong here. It has been logged.";
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail).into_response()
            })
        }
        Ok(Repeat::Done(answer)) => replay(&answer),
        Ok(Repeat::UnderWay) => {
            let detail = "A request with this Idempotency-Key is under way; ask again shortly.";
            let second = HeaderValue::from_static("1");
            Problem::new(StatusCode::CONFLICT, "conflict", detail)
                .with(header::RETRY_AFTER, second)
                .into_response()
        }
        Ok(Repeat::Mismatch) => {
            let detail = "This Idempotency-Key was used for another request.";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "key_reused", detail).into_response()
        }
    }
}

async fn carry_out(
    plane: ControlPlane,
    order: Repeatable,
    request: Request,
    next: Next,
) -> Response {
    let control = &plane.0.control;
    let response = next.run(request).await;
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let kept = if parts.status.is_success() {
        let header = |name: &HeaderName| {
            let value = parts.headers.get(name)?.to_str().ok()?;
            Some((name.as_str().to_owned(), value.to_owned()))
        };
        let (status, headers) = (parts.status.as_u16(), KEPT.iter().filter_map(header).collect());
        let body = String::from_utf8_lossy(&body).into_owned();
        let answer = serde_json::to_string(&Kept { status, headers, body }).unwrap_or_default();
        control.keep_answer(&order, &answer).await
    } else {
        control.give_up(&order).await
    };
    if let Err(fault) = kept {
        // The key frees itself after a while; what was done is done.
        tracing::warn!(target: "wardgate::http", %fault, "an Idempotency-Key could not be settled");
    }
    Response::from_parts(parts, Body::from(body))
}

fn replay(answer: &str) -> Response {
    let Ok(kept) = serde_json::from_str::<Kept>(answer) else {
        let detail = "The answer that was kept cannot be read.";
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail).into_response();
    };
    let mut response = Response::new(Body::from(kept.body));
    *response.status_mut() = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    for name in KEPT {
        let value = kept.headers.get(name.as_str()).and_then(|v| HeaderValue::from_str(v).ok());
        value.map(|value| response.headers_mut().insert(name, value));
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

/// Says in the API's description that every POST takes the header.
pub(super) fn describe(document: &mut OpenApi) {
    for operation in document.paths.paths.values_mut().filter_map(|path| path.post.as_mut()) {
        describe_one(operation);
    }
}

fn describe_one(operation: &mut Operation) {
    let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
    let parameter = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(DESCRIPTION))
        .schema(Some(text.max_length(Some(128))))
        .build();
    operation.parameters.get_or_insert_default().push(parameter.into());
}
