//! Traces of requests, when somebody collects them: one span for each request, and below it one for each
//! statement or transaction that was run for it. They hold ids, routes, statuses and names of plans; nothing
//! of what was asked for or found.
//!
//! Nothing is made while nobody collects. A collector that is slow or away costs traces, never time: what
//! the queue has no room for is dropped and counted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use metrics::counter;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::metric::names;
use super::plans::End;
use crate::base::{TenantId, Timestamp};

/// Finished requests that wait to be sent.
const QUEUE: usize = 2048;
/// Statements kept of one request.
const STATEMENTS: usize = 64;

/// The traces of a gateway. A cheap handle.
#[derive(Clone, Default)]
pub struct Traces(Arc<OnceLock<Collected>>);

struct Collected {
    sender: mpsc::Sender<Finished>,
    /// Of so many requests one is traced.
    one_in: u64,
    seen: AtomicU64,
    under_way: Mutex<HashMap<Uuid, Arc<Trace>>>,
}

/// One request under way.
pub struct Trace {
    begun: Instant,
    statements: Mutex<Vec<Statement>>,
}

/// One statement, or one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The plan it carried out: a resource, what is done, names of parameters.
    pub plan: String,
    /// How long after the request began.
    pub after: Duration,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub end: End,
}

/// What called the gateway, where it said so (W3C Trace Context).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The trace it belongs to.
    pub trace: [u8; 16],
    /// The span that called.
    pub span: [u8; 8],
}

/// A request that was answered.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Its id.
    pub request: Uuid,
    /// Who called, where that is known.
    pub caller: Option<Caller>,
    /// Whose it was.
    pub tenant: Option<TenantId>,
    /// HTTP method.
    pub method: String,
    /// The route's pattern.
    pub route: String,
    /// HTTP status.
    pub status: u16,
    /// The kind of failure, where it failed.
    pub decision: Option<&'static str>,
    /// When it was answered.
    pub ended: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What was run for it.
    pub statements: Vec<Statement>,
}

impl Caller {
    /// Reads a `traceparent` header; nothing when it is not exactly of version 00's form, or all zeros.
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let version = parts.next()?;
        let (trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?);
        if version != "00" || parts.next().is_some() || hex::<1>(flags).is_none() {
            return None;
        }
        let (trace, span) = (hex::<16>(trace)?, hex::<8>(span)?);
        (trace != [0; 16] && span != [0; 8]).then_some(Self { trace, span })
    }
}

/// Lower-case hexadecimal digits, exactly so many bytes.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

impl Traces {
    /// Collects from now on one in so many requests. `None` when somebody does already.
    pub fn collect(&self, one_in: u32) -> Option<mpsc::Receiver<Finished>> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let one_in = u64::from(one_in.max(1));
        let (seen, under_way) = (AtomicU64::new(0), Mutex::default());
        let collected = Collected { sender, one_in, seen, under_way };
        self.0.set(collected).is_ok().then_some(receiver)
    }

    /// A request begins. Nothing when it is not traced.
    pub fn begin(&self, request: Uuid, begun: Instant) -> Option<Tracing> {
        let collected = self.0.get()?;
        let nth = collected.seen.fetch_add(1, Ordering::Relaxed);
        if !nth.is_multiple_of(collected.one_in) {
            return None;
        }
        let trace = Arc::new(Trace { begun, statements: Mutex::default() });
        collected.held().insert(request, Arc::clone(&trace));
        Some(Tracing { traces: self.clone(), request, trace })
    }

    /// The trace of a request under way.
    pub fn of(&self, request: Uuid) -> Option<Arc<Trace>> {
        self.0.get()?.held().get(&request).cloned()
    }
}

impl Collected {
    fn held(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Trace>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request being traced, also one whose caller goes away.
pub struct Tracing {
    traces: Traces,
    request: Uuid,
    trace: Arc<Trace>,
}

impl Tracing {
    /// The request was answered: hands its trace over, without waiting. `fill` has all but its statements.
    pub fn finish(self, fill: impl FnOnce(Vec<Statement>) -> Finished) {
        let statements = std::mem::take(&mut *self.trace.statements());
        let Some(collected) = self.traces.0.get() else { return };
        if collected.sender.try_send(fill(statements)).is_err() {
            counter!(names::TRACES_DROPPED, "reason" => "queue").increment(1);
        }
    }
}

impl Drop for Tracing {
    fn drop(&mut self) {
        if let Some(collected) = self.traces.0.get() {
            collected.held().remove(&self.request);
        }
    }
}

impl Trace {
    fn statements(&self) -> MutexGuard<'_, Vec<Statement>> {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a statement that ended just now.
    pub fn statement(&self, plan: &str, took: Duration, end: End) {
        let mut statements = self.statements();
        if statements.len() < STATEMENTS {
            let after = self.begun.elapsed().saturating_sub(took);
            statements.push(Statement { plan: super::plans::cleaned(plan), after, took, end });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(request: Uuid) -> impl FnOnce(Vec<Statement>) -> Finished {
        move |statements| Finished {
            request,
            caller: None,
            tenant: None,
            method: "GET".to_owned(),
            route: "/fhir/{resource}".to_owned(),
            status: 200,
            decision: None,
            ended: Timestamp::from_secs(0),
            took: Duration::ZERO,
            statements,
        }
    }

    #[test]
    fn nothing_is_made_while_nobody_collects() {
        let traces = Traces::default();
        assert!(traces.begin(Uuid::from_u128(1), Instant::now()).is_none());
        assert!(traces.of(Uuid::from_u128(1)).is_none());
    }

    #[test]
    fn a_full_queue_drops_and_never_waits_and_nothing_is_left_behind() {
        let traces = Traces::default();
        let mut receiver = traces.collect(1).unwrap();
        assert!(traces.collect(1).is_none(), "twice");
        for n in 0..2 * QUEUE as u128 {
            let request = Uuid::from_u128(n);
            let tracing = traces.begin(request, Instant::now()).unwrap();
            let trace = traces.of(request).unwrap();
            for _ in 0..2 * STATEMENTS {
                trace.statement("Patient read", Duration::ZERO, End::Done);
            }
            tracing.finish(finished(request));
            assert!(traces.of(request).is_none());
        }
        drop(traces.begin(Uuid::max(), Instant::now()));
        assert!(traces.of(Uuid::max()).is_none(), "whose caller went away");
        let mut got = 0;
        while let Ok(finished) = receiver.try_recv() {
            assert_eq!(finished.statements.len(), STATEMENTS);
            got += 1;
        }
        assert_eq!(got, QUEUE);
    }

    #[test]
    fn one_in_so_many_is_traced() {
        let traces = Traces::default();
        let _receiver = traces.collect(10).unwrap();
        let begun = (0..100).filter_map(|n| traces.begin(Uuid::from_u128(n), Instant::now()));
        assert_eq!(begun.count(), 10);
    }

    #[test]
    fn a_caller_is_taken_at_her_exact_word_only() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let caller = Caller::parse(good).unwrap();
        assert_eq!((caller.trace[0], caller.span[7]), (0x0a, 0x31));
        for bad in [
            "",
            "00",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-canary00000000000000000000000000-b7ad6b7169203331-01",
        ] {
            assert_eq!(Caller::parse(bad), None, "{bad}");
        }
    }
}
