//! Work on many tenants: the canaries first, then the others, a few at a time, until too many fail.
//!
//! Every tenant is an operation of its own, held until it is let go; any gateway may take it up. The one that
//! holds the whole lets them go, counts, and stops.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::{Ended, Running, Step, StepFault};
use crate::base::TenantId;
use crate::registry::{Operation, OperationState};

/// The way back of every such operation.
pub(in crate::control) const UNDO: &[&str] = &["let go of what waits", "let end what runs"];

/// How often its parts are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// How parts are let go.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::control) struct Waves {
    /// Those that go first. When one fails nobody else is touched.
    pub(in crate::control) canary: Vec<TenantId>,
    /// At most so many at once.
    pub(in crate::control) parallel: usize,
    /// Stop when more than this share of those that ended have failed, in percent.
    pub(in crate::control) stop_at_percent: u64,
}

/// How many parts are where.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub(in crate::control) struct Tally {
    total: u64,
    waiting: u64,
    running: u64,
    pub(in crate::control) succeeded: u64,
    pub(in crate::control) failed: u64,
    cancelled: u64,
}

impl Tally {
    pub(in crate::control) fn of<'a>(parts: impl Iterator<Item = &'a Operation>) -> Self {
        Self::counted(parts.map(|part| (part.state, 1)))
    }

    /// So many in each state.
    pub(super) fn counted(states: impl Iterator<Item = (OperationState, u64)>) -> Self {
        let mut tally = Self::default();
        for (state, count) in states {
            tally.total += count;
            *match state {
                OperationState::Held => &mut tally.waiting,
                OperationState::Succeeded => &mut tally.succeeded,
                OperationState::Failed => &mut tally.failed,
                OperationState::Cancelled => &mut tally.cancelled,
                _ => &mut tally.running,
            } += count;
        }
        tally
    }

    /// Whether more of those that ended have failed than is borne.
    const fn too_many(&self, percent: u64) -> bool {
        let ended = self.succeeded + self.failed;
        // A first failure among few is no share yet, unless nothing may fail.
        self.failed > 0 && (percent == 0 || self.failed * 100 > percent * ended && ended >= 10)
    }
}

impl Waves {
    /// Lets the canaries go; done when all of them are well.
    pub(in crate::control) async fn first(&self, at: &mut Running<'_>) -> Step {
        let parts = parts(at).await?;
        let canaries: Vec<&Operation> = parts.iter().filter(|p| self.is_canary(p)).collect();
        at.note("tenants", Tally::of(parts.iter()));
        let tally = Tally::of(canaries.iter().copied());
        if tally.failed > 0 {
            let failed = failures(canaries.iter().copied());
            let fault = StepFault::lasting("canary", "a canary failed; nobody else was touched");
            return Err(fault
                .hint("see its cause; retry goes on from the canaries")
                .with(json!({"failed": failed})));
        }
        if tally.waiting == 0 && tally.running == 0 {
            let well = if tally.succeeded == 1 { "canary is" } else { "canaries are" };
            return Ok(Ended::with(format!("{} {well} well", tally.succeeded)));
        }
        self.let_go(at, &canaries, tally.running).await?;
        Ok(Ended::Wait(LOOK))
    }

    /// Lets the others go; done when all have ended well. `reached` says what was reached, for the sentence
    /// about those that have not.
    pub(in crate::control) async fn others(
        &self,
        at: &mut Running<'_>,
        reached: &str,
        more: Json,
    ) -> Step {
        let parts = parts(at).await?;
        let tally = Tally::of(parts.iter());
        at.note("tenants", tally);
        if tally.too_many(self.stop_at_percent) {
            if tally.running > 0 {
                return Ok(Ended::Wait(LOOK));
            }
            let text = format!(
                "stopped: {} of {} hospitals failed, {} were not begun",
                tally.failed,
                tally.succeeded + tally.failed,
                tally.waiting
            );
            return Err(StepFault::lasting("too_many_failures", text)
                .hint("see the causes; retry goes on with those that failed and those that wait")
                .with(json!({"failed": failures(parts.iter())})));
        }
        if tally.waiting > 0 || tally.running > 0 {
            let all: Vec<&Operation> = parts.iter().collect();
            self.let_go(at, &all, tally.running).await?;
            return Ok(Ended::Wait(LOOK));
        }
        if tally.failed > 0 {
            let text = format!("{} hospitals {reached}, {} failed", tally.succeeded, tally.failed);
            return Err(StepFault::lasting("some_failed", text)
                .hint("see each cause; retry goes on with those that failed")
                .with(report(&parts, more)));
        }
        at.result = report(&parts, more);
        Ok(Ended::Done(None))
    }

    fn is_canary(&self, part: &Operation) -> bool {
        part.tenant.is_some_and(|tenant| self.canary.contains(&tenant))
    }

    /// Lets so many begin that at most `parallel` are under way.
    async fn let_go(
        &self,
        at: &Running<'_>,
        parts: &[&Operation],
        running: u64,
    ) -> Result<(), StepFault> {
        let running = usize::try_from(running).unwrap_or(usize::MAX);
        let mut room = self.parallel.max(1).saturating_sub(running);
        for part in parts.iter().filter(|part| part.state == OperationState::Held) {
            if room == 0 {
                break;
            }
            // One on which something else works now is tried again at the next look.
            if at.control.0.registry.release_part(part.id).await? {
                room -= 1;
                at.control.0.work.bell.notify_one();
            }
        }
        Ok(())
    }
}

/// A step of the way back.
pub(in crate::control) async fn back(step: &'static str, at: &mut Running<'_>, more: Json) -> Step {
    match step {
        "let go of what waits" => {
            let cancelled = at.control.0.registry.cancel_held_parts(at.operation()).await?;
            Ok(Ended::with(format!("{cancelled} hospitals were not begun")))
        }
        "let end what runs" => {
            let parts = parts(at).await?;
            let tally = Tally::of(parts.iter());
            at.note("tenants", tally);
            at.result = report(&parts, more);
            Ok(if tally.running > 0 { Ended::Wait(LOOK) } else { Ended::Done(None) })
        }
        _ => Err(StepFault::defect("there is no such step")),
    }
}

async fn parts(at: &Running<'_>) -> Result<Vec<Operation>, StepFault> {
    Ok(at.control.0.registry.operation_parts(at.operation().id).await?)
}

fn failures<'a>(parts: impl Iterator<Item = &'a Operation>) -> Vec<Json> {
    let failed = parts.filter(|part| part.state == OperationState::Failed);
    let cause = |part: &Operation| {
        let error = part.error.clone().unwrap_or_default();
        json!({"tenant": part.subject, "operation": part.id, "code": error.get("code"),
            "cause": error.get("message")})
    };
    failed.map(cause).collect()
}

/// What is known of all parts, with what else there is to say.
fn report(parts: &[Operation], more: Json) -> Json {
    let mut report = more;
    report["tenants"] = json!(Tally::of(parts.iter()));
    report["failed"] = failures(parts.iter()).into();
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stops_at_a_share_of_failures() {
        let tally = |succeeded, failed| Tally { succeeded, failed, ..Tally::default() };
        assert!(!tally(0, 0).too_many(0) && !tally(100, 0).too_many(0));
        assert!(tally(100, 1).too_many(0));
        assert!(!tally(2, 3).too_many(10), "too few to say");
        assert!(!tally(9, 1).too_many(10));
        assert!(tally(8, 2).too_many(10));
        assert!(!tally(195, 5).too_many(10));
    }
}
