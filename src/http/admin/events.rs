//! The operators' own log, and what is added to it as it is.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout_at};
use utoipa::IntoParams;

use super::ControlPlane;
use super::extract::{Operator, problem};
use crate::auth::{AuthFault, OperatorRank};
use crate::base::Deadline;
use crate::control::{Caller, EventPage, EventView, Following};
use crate::http::connection::Stopping;
use crate::http::problem::{Problem, ProblemBody};

/// How often the log is looked at for whoever follows it.
const LOOK: Duration = Duration::from_secs(1);
/// How long it is followed on one request.
const FOLLOWED: Duration = Duration::from_mins(5);
/// How many may follow it at once on a gateway.
const FOLLOWERS: usize = 32;

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventQuery {
    /// Only events before this number (`next` of the page before).
    before: Option<i64>,
    /// Entries of a page, 1 to 200.
    limit: Option<u32>,
}

/// How many may still begin to follow the log.
#[derive(Clone)]
pub(super) struct Places(Arc<Semaphore>);

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(FOLLOWERS)))
    }
}

/// What operators did, newest first. Asked with `Accept: text/event-stream` it tells instead what they do from
/// now on, or since the event in `Last-Event-ID`, for five minutes at most and while the token counts (Server-Sent
/// Events, HTML Living Standard 9.2).
#[utoipa::path(get, path = "/admin/v1/events", tag = "events", params(EventQuery), responses(
    (status = 200, body = EventPage), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub(super) async fn events(
    State(plane): State<ControlPlane>,
    Operator(caller): Operator,
    stopping: Option<Extension<Stopping>>,
    headers: HeaderMap,
    query: Result<Query<EventQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let invalid = |detail| Problem::new(StatusCode::BAD_REQUEST, "invalid", detail);
    let Query(query) = query.map_err(|_| invalid("The query takes before and limit."))?;
    if !wants_stream(&headers) {
        let limit = query.limit.unwrap_or(50);
        let page = plane.0.control.events(&caller, query.before, limit).await.map_err(problem)?;
        return Ok(Json(page).into_response());
    }
    if query.before.is_some() || query.limit.is_some() {
        return Err(invalid("What is added to the log has neither before nor limit."));
    }
    let place = Arc::clone(&plane.0.followers.0).try_acquire_owned().map_err(|_| {
        let detail = "As many follow the log as may. Try again in a minute.";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
            .with(header::RETRY_AFTER, header::HeaderValue::from_static("60"))
    })?;
    let at = match headers.get("last-event-id") {
        None => plane.0.control.end_of_events(&caller).await.map_err(problem)?,
        Some(id) => {
            let id = id.to_str().ok().and_then(|id| id.parse().ok());
            Following::behind(id.ok_or_else(|| invalid("Last-Event-ID is an event's number."))?)
        }
    };
    let stopping = stopping.map_or_else(Stopping::default, |Extension(stopping)| stopping);
    let log = Log {
        plane,
        caller,
        headers,
        at,
        ready: VecDeque::new(),
        until: Instant::now() + FOLLOWED,
        _place: place,
    };
    let told = futures_util::stream::unfold((log, stopping), |(mut log, stopping)| async move {
        let event = tokio::select! {
            event = log.next() => event?,
            () = stopping.stopped() => return None,
        };
        Some((Ok::<_, Infallible>(event), (log, stopping)))
    });
    Ok(Sse::new(told)
        .keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
        .into_response())
}

/// Whether a stream is asked for by name.
fn wants_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut ranges = accepted.flat_map(|value| value.split(','));
    ranges.any(|range| {
        let kind = range.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("text/event-stream")
    })
}

/// The log from somebody's place in it.
struct Log {
    plane: ControlPlane,
    caller: Caller,
    /// What she was let in by.
    headers: HeaderMap,
    at: Following,
    ready: VecDeque<EventView>,
    until: Instant,
    _place: OwnedSemaphorePermit,
}

impl Log {
    /// Whether she would be let in now. While the issuer's keys are not at hand nobody knows better.
    async fn stands(&self) -> bool {
        let (authority, by) = (&self.plane.0.authority, Deadline::after(LOOK));
        match authority.operator_of(&self.headers, OperatorRank::Viewer, by).await {
            Ok(_) | Err(AuthFault::Unavailable { .. }) => true,
            Err(_) => false,
        }
    }

    /// The next event, as soon as there is one; `None` when the log was followed for long enough, or when she
    /// may no more: her token has ended, or she was logged out.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Event::default().id(event.id.to_string()).json_data(event).ok();
            }
            if !self.stands().await {
                return None;
            }
            let look = self.plane.0.control.events_since(&self.caller, &mut self.at);
            // A registry that is away for a while is asked again: nothing is missed.
            if let Ok(found) = timeout_at(self.until, look).await.ok()? {
                self.ready.extend(found);
            }
            if self.ready.is_empty() {
                timeout_at(self.until, sleep(LOOK)).await.ok()?;
            }
        }
    }
}
