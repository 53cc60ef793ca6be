//! What every request of the data plane goes through, whatever it asks for: its id, its time limit, the
//! headers that keep answers out of caches, and the count of it. One step and not four, because every
//! step around a handler is an allocation or two, and there are a good many thousand requests a second.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::TryStreamExt as _;
use metrics::{Counter, Histogram, counter, histogram};
use tracing::Instrument as _;
use uuid::Uuid;

use super::error::{FHIR_JSON, FhirError};
use super::extract::Whose;
use super::negotiate::general;
use crate::base::Clock;
use crate::http::logbook::{Ended, Logbook, Why};
use crate::http::request_id::{self, RequestId};
use crate::http::route::Route;
use crate::telemetry::trace::{Caller, Finished, Traces};
use crate::telemetry::traffic::{CLASSES, Traffic, class};
use crate::telemetry::{names, usage};

/// What is counted for addresses that are none.
const OTHER: &str = "other";

/// What the step needs; cheap to clone.
#[derive(Clone)]
pub(super) struct Conduct(Arc<Inner>);

struct Inner {
    patience: Duration,
    meters: Vec<Meter>,
    traffic: Traffic,
    logbook: Logbook,
    traces: Traces,
    clock: Arc<dyn Clock>,
}

/// Looked up once: finding a metric by its labels costs more than counting.
struct Meter {
    route: String,
    requests: [Counter; 4],
    seconds: Histogram,
}

impl Meter {
    fn new(route: String) -> Self {
        let of = |class: &'static str| counter!(names::REQUESTS, "listener" => "fhir", "interaction" => route.clone(), "status" => class);
        let seconds = histogram!(names::REQUEST_SECONDS, "interaction" => route.clone());
        let requests = CLASSES.map(of);
        Self { route, requests, seconds }
    }
}

impl Conduct {
    /// Requests that take longer than `patience` are answered without waiting on; those for `routes` are
    /// counted each by itself. The metrics recorder has to be in place.
    pub(super) fn new(
        patience: Duration,
        routes: &[Route],
        traffic: Traffic,
        (traces, clock): (Traces, Arc<dyn Clock>),
    ) -> Self {
        let mut paths: Vec<String> = routes.iter().map(|route| route.path.clone()).collect();
        paths.dedup();
        paths.push(OTHER.to_owned());
        let meters = paths.into_iter().map(Meter::new).collect();
        let logbook = Logbook::new("fhir");
        Self(Arc::new(Inner { patience, meters, traffic, logbook, traces, clock }))
    }

    /// Labels are routes and status classes, never what was asked for.
    fn count(&self, route: Option<&MatchedPath>, status: StatusCode, took: Duration) {
        let meters = &self.0.meters;
        let named = route.and_then(|path| meters.iter().find(|m| m.route == path.as_str()));
        let Some(meter) = named.or(meters.last()) else { return };
        meter.requests[class(status.as_u16())].increment(1);
        meter.seconds.record(took.as_secs_f64());
    }
}

/// Counts the bytes of an answer whose length nobody knows beforehand, as they are sent.
fn metered(response: Response, meter: Arc<usage::Meter>) -> Response {
    response.map(|body| {
        let count = move |bytes: &Bytes| meter.bytes(bytes.len() as u64);
        Body::from_stream(body.into_data_stream().inspect_ok(count))
    })
}

/// Who called, where she says so in her trace's own terms.
fn caller(request: &Request) -> Option<Caller> {
    Caller::parse(request.headers().get("traceparent")?.to_str().ok()?)
}

/// A method by its name when it is a known one: any text can be sent as a method.
fn standard(method: &Method) -> &str {
    let known =
        [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD];
    if known.contains(method) || *method == Method::OPTIONS { method.as_str() } else { "_OTHER" }
}

/// The step itself.
pub(super) async fn conduct(
    State(conduct): State<Conduct>,
    mut request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let id = Uuid::now_v7();
    let whose = Whose::default();
    request.extensions_mut().insert(RequestId(id));
    request.extensions_mut().insert(whose.clone());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let general = general(request.headers());
    let tracing = conduct.0.traces.begin(id, begun).map(|tracing| (tracing, caller(&request)));
    // Where the log is talkative every line of a request is to be found by its id. Elsewhere the span is
    // off and costs nothing, and what the log needs to know is in the line at the end.
    let span = tracing::debug_span!("request", request = %id, tenant = tracing::field::Empty);
    let running = next.run(request).instrument(span);
    let answered = tokio::time::timeout(conduct.0.patience, running).await;
    let mut response = answered.unwrap_or_else(|_elapsed| {
        let message = "The answer was not ready in time.";
        FhirError::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message).into_response()
    });
    let headers = response.headers_mut();
    if let Some(general) = general.filter(|_| headers.get(header::CONTENT_TYPE) == Some(&FHIR_JSON))
    {
        headers.insert(header::CONTENT_TYPE, general);
    }
    // One URL serves every hospital, so no cache on the way may keep an answer.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.append(header::VARY, HeaderValue::from_static("Authorization"));
    headers.insert(request_id::HEADER, request_id::value(id));
    let (status, took) = (response.status(), begun.elapsed());
    if let Some(tenant) = whose.tenant() {
        let size = response.body().size_hint().exact();
        conduct.0.traffic.record(tenant, status.as_u16(), took, size.unwrap_or(0));
        if size.is_none() {
            response = metered(response, conduct.0.traffic.meter(tenant));
        }
    }
    conduct.count(route.as_ref(), status, took);
    let route = route.as_ref().map_or(OTHER, MatchedPath::as_str);
    if let Some((tracing, caller)) = tracing {
        let decision = response.extensions().get::<Why>().map(Why::kind);
        tracing.finish(|statements| Finished {
            request: id,
            caller,
            tenant: whose.tenant(),
            method: standard(&method).to_owned(),
            route: route.to_owned(),
            status: status.as_u16(),
            decision,
            ended: conduct.0.clock.now(),
            took,
            statements,
        });
    }
    let ended = Ended { request: id, tenant: whose.tenant(), method: &method, route, took };
    conduct.0.logbook.note(&ended, &mut response);
    response
}
