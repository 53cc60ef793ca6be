//! One line in the log for each request that failed, was refused or was slow: whose, where, what came of it,
//! why, how long it took. Never what was asked for: no path, no query, no header.
//!
//! Requests that went well cost two comparisons here. Lines are bounded, because whoever sends bad tokens,
//! and whatever makes every request fail, would else fill the disk; what was withheld is counted in the next.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use axum::response::Response;
use uuid::Uuid;

use crate::base::{Fault, TenantId};

/// A request that takes longer is worth a line.
const SLOW: Duration = Duration::from_secs(1);
/// Lines a second at most.
const LINES: u64 = 10;

/// Why nothing came of a request, on its way from the room that knows to the log.
#[derive(Debug, Clone)]
pub(super) struct Why {
    /// The kind of failure: the decision.
    kind: &'static str,
    /// The room's own words, which hold no secret and nothing of a patient.
    reason: Box<str>,
}

impl Why {
    pub(super) fn of(fault: &dyn Fault) -> Self {
        Self { kind: fault.kind().as_str(), reason: fault.to_string().into() }
    }

    /// The kind of failure.
    pub(super) const fn kind(&self) -> &'static str {
        self.kind
    }

    /// Says so at once, where no answer carries it on.
    pub(super) fn tell(&self, status: StatusCode) {
        let Self { kind, reason } = self;
        let status = status.as_u16();
        if status >= 500 {
            tracing::warn!(target: "wardgate::http", status, decision = kind, reason, "request failed");
        } else {
            tracing::debug!(target: "wardgate::http", status, decision = kind, reason, "request refused");
        }
    }
}

/// A request that has been answered.
pub(super) struct Ended<'r> {
    pub(super) request: Uuid,
    pub(super) tenant: Option<TenantId>,
    pub(super) method: &'r Method,
    /// The route's pattern.
    pub(super) route: &'r str,
    pub(super) took: Duration,
}

/// Writes the lines of one listener.
pub(super) struct Logbook {
    listener: &'static str,
    opened: Instant,
    /// The second that is being counted, from the opening.
    second: AtomicU64,
    lines: AtomicU64,
    withheld: AtomicU64,
}

impl Logbook {
    pub(super) fn new(listener: &'static str) -> Self {
        let (second, lines, withheld) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        Self { listener, opened: Instant::now(), second, lines, withheld }
    }

    /// Writes a line about an answer that is worth one.
    pub(super) fn note(&self, ended: &Ended<'_>, response: &mut Response) {
        let status = response.status();
        let worth = match status.as_u16() {
            500.. => "request failed",
            401 | 403 | 429 => "request refused",
            _ if ended.took >= SLOW => "request slow",
            400..500 if tracing::enabled!(target: "wardgate::http", tracing::Level::DEBUG) => {
                "request refused"
            }
            _ => return,
        };
        let why = response.extensions_mut().remove::<Why>();
        let (decision, reason) = why.as_ref().map_or_else(
            || (if status.is_success() { "served" } else { "answered" }, ""),
            |why| (why.kind, &*why.reason),
        );
        let Some(withheld) = self.room() else { return };
        let (listener, request, tenant) = (self.listener, ended.request, ended.tenant);
        let tenant = tenant.as_ref().map(tracing::field::display);
        let (method, route, status) = (ended.method.as_str(), ended.route, status.as_u16());
        let millis = u64::try_from(ended.took.as_millis()).unwrap_or(u64::MAX);
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "wardgate::http",
                    listener, %request, tenant, method, route, status, decision, reason, millis, withheld,
                    "{worth}"
                )
            };
        }
        match status {
            500.. => line!(warn),
            401 | 403 | 429 => line!(info),
            _ if ended.took >= SLOW => line!(info),
            _ => line!(debug),
        }
    }

    /// Whether there is room for another line, and how many were withheld since the last.
    fn room(&self) -> Option<u64> {
        let second = self.opened.elapsed().as_secs();
        // Two threads may both find a new second; then it has a few lines more.
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.lines.store(0, Ordering::Relaxed);
        }
        if self.lines.fetch_add(1, Ordering::Relaxed) < LINES {
            Some(self.withheld.swap(0, Ordering::Relaxed))
        } else {
            self.withheld.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use axum::response::IntoResponse;
    use tracing::level_filters::LevelFilter;

    use super::*;
    use crate::telemetry::{Format, subscriber};
    use crate::tenant::TenantFault;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The lines of answers with these statuses and times, at that level.
    fn lines(level: LevelFilter, answers: &[(u16, u64)]) -> Vec<serde_json::Value> {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = subscriber(Format::Json, level, move || writer.clone());
        let logbook = Logbook::new("fhir");
        tracing::subscriber::with_default(subscriber, || {
            for (status, millis) in answers {
                let mut response = StatusCode::from_u16(*status).unwrap().into_response();
                if *status >= 500 {
                    response.extensions_mut().insert(Why::of(&TenantFault::Unavailable));
                }
                let ended = Ended {
                    request: Uuid::from_u128(7),
                    tenant: Some(TenantId::from_uuid(Uuid::from_u128(9))),
                    method: &Method::GET,
                    route: "/fhir/{resource}",
                    took: Duration::from_millis(*millis),
                };
                logbook.note(&ended, &mut response);
                assert!(response.extensions().get::<Why>().is_none() || *status < 500);
            }
        });
        let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn failures_refusals_and_slow_answers_are_told_and_others_are_not() {
        let answers = [(200, 5), (503, 12), (403, 1), (404, 1), (400, 1), (200, 1500), (304, 1)];
        let lines = lines(LevelFilter::INFO, &answers);
        let told: Vec<_> = lines
            .iter()
            .map(|l| {
                (
                    l["level"].as_str().unwrap(),
                    l["message"].as_str().unwrap(),
                    l["status"].as_u64().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("WARN", "request failed", 503),
                ("INFO", "request refused", 403),
                ("INFO", "request slow", 200)
            ]
        );
        let failed = &lines[0];
        assert_eq!(failed["request"], Uuid::from_u128(7).to_string());
        assert_eq!(failed["tenant"], Uuid::from_u128(9).to_string());
        assert_eq!((&failed["decision"], &failed["millis"]), (&"unavailable".into(), &12.into()));
        assert_eq!(
            (&failed["method"], &failed["route"]),
            (&"GET".into(), &"/fhir/{resource}".into())
        );
        assert!(failed["reason"].as_str().unwrap().contains("cannot be loaded"), "{failed}");
    }

    #[test]
    fn a_flood_is_bounded_and_what_was_withheld_is_counted() {
        let mut answers = vec![(401, 1); 10_000];
        answers.push((503, 1));
        let flooded = lines(LevelFilter::INFO, &answers);
        let seconds = 1 + answers.len() / 1000;
        let withheld: u64 = flooded.iter().map(|line| line["withheld"].as_u64().unwrap()).sum();
        assert!(flooded.len() <= seconds * 10, "{} lines", flooded.len());
        assert!(withheld + flooded.len() as u64 <= answers.len() as u64);
    }
}
