//! The fleet: canary tenants first, then the others, a few at a time, until too many fail.
//!
//! Every tenant is an operation of its own, held until it is let go; any gateway may take it up. This one
//! lets them go, counts, and stops.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::Order as One;
use crate::base::TenantId;
use crate::control::operations::{Ended, Kind, Running, Step, StepFault};
use crate::registry::{NewOperation, Operation, OperationState};

pub(in crate::control) const STEPS: &[&str] = &["select", "canary", "others"];
pub(in crate::control) const UNDO: &[&str] = &["let go of what waits", "let end what runs"];

/// How often its parts are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What was ordered of the fleet.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) release: u64,
    pub(super) tenants: Vec<Target>,
    pub(super) canary: Vec<TenantId>,
    pub(super) parallel: usize,
    /// Stop when more than this share of those that ended have failed, in percent.
    pub(super) stop_at_percent: u64,
}

/// A tenant to be migrated.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Target {
    pub(super) id: TenantId,
    pub(super) name: String,
}

/// How many parts are where.
#[derive(Debug, Default, Clone, Copy, Serialize)]
struct Tally {
    total: usize,
    waiting: usize,
    running: usize,
    succeeded: usize,
    failed: usize,
    cancelled: usize,
}

impl Tally {
    fn of<'a>(parts: impl Iterator<Item = &'a Operation>) -> Self {
        let mut tally = Self::default();
        for part in parts {
            tally.total += 1;
            match part.state {
                OperationState::Held => tally.waiting += 1,
                OperationState::Succeeded => tally.succeeded += 1,
                OperationState::Failed => tally.failed += 1,
                OperationState::Cancelled => tally.cancelled += 1,
                _ => tally.running += 1,
            }
        }
        tally
    }

    /// Whether more of those that ended have failed than is borne.
    const fn too_many(&self, percent: u64) -> bool {
        let ended = (self.succeeded + self.failed) as u64;
        // A first failure among few is no share yet, unless nothing may fail.
        self.failed > 0
            && (percent == 0 || self.failed as u64 * 100 > percent * ended && ended >= 10)
    }
}

pub(in crate::control) async fn carry_out(step: &'static str, at: &mut Running<'_>) -> Step {
    let order: Order = at.input()?;
    let parts = at.control.0.registry.operation_parts(at.operation().id).await?;
    match step {
        "select" => select(at, &order).await,
        "canary" => canary(at, &order, &parts).await,
        "others" => others(at, &order, &parts).await,
        "let go of what waits" => {
            let cancelled = at.control.0.registry.cancel_held_parts(at.operation()).await?;
            Ok(Ended::with(format!("{cancelled} tenants were not begun")))
        }
        "let end what runs" => {
            let tally = Tally::of(parts.iter());
            at.note("tenants", tally);
            at.result = report(&order, &parts);
            Ok(if tally.running > 0 { Ended::Wait(LOOK) } else { Ended::Done(None) })
        }
        _ => Err(StepFault::defect("there is no such step")),
    }
}

async fn select(at: &mut Running<'_>, order: &Order) -> Step {
    let one = |target: &Target| -> Result<NewOperation, StepFault> {
        let input = serde_json::to_value(One { release: order.release })
            .map_err(|_| StepFault::defect("a part cannot be ordered"))?;
        Ok(NewOperation {
            kind: Kind::Migrate.as_str(),
            parent: Some(at.operation().id),
            tenant: Some(target.id),
            subject: target.name.clone(),
            input,
        })
    };
    let parts = order.tenants.iter().map(one).collect::<Result<Vec<_>, _>>()?;
    at.control.0.registry.create_parts(at.operation(), &parts).await?;
    Ok(Ended::with(format!("{} tenants, {} of them canaries", parts.len(), order.canary.len())))
}

fn is_canary(order: &Order, part: &Operation) -> bool {
    part.tenant.is_some_and(|tenant| order.canary.contains(&tenant))
}

async fn canary(at: &mut Running<'_>, order: &Order, parts: &[Operation]) -> Step {
    let canaries: Vec<&Operation> = parts.iter().filter(|p| is_canary(order, p)).collect();
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
        return Ok(Ended::with(format!("{} canaries are well", tally.succeeded)));
    }
    release(at, order, &canaries, tally.running).await?;
    Ok(Ended::Wait(LOOK))
}

async fn others(at: &mut Running<'_>, order: &Order, parts: &[Operation]) -> Step {
    let tally = Tally::of(parts.iter());
    at.note("tenants", tally);
    if tally.too_many(order.stop_at_percent) {
        if tally.running > 0 {
            return Ok(Ended::Wait(LOOK));
        }
        let text = format!(
            "stopped: {} of {} tenants failed, {} were not begun",
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
        release(at, order, &all, tally.running).await?;
        return Ok(Ended::Wait(LOOK));
    }
    if tally.failed > 0 {
        let text = format!(
            "{} tenants are at release {}, {} failed",
            tally.succeeded, order.release, tally.failed
        );
        return Err(StepFault::lasting("some_failed", text)
            .hint("see each cause; retry goes on with those that failed")
            .with(report(order, parts)));
    }
    at.result = report(order, parts);
    Ok(Ended::Done(None))
}

/// Lets so many begin that at most `parallel` are under way.
async fn release(
    at: &Running<'_>,
    order: &Order,
    parts: &[&Operation],
    running: usize,
) -> Result<(), StepFault> {
    let mut room = order.parallel.max(1).saturating_sub(running);
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

fn failures<'a>(parts: impl Iterator<Item = &'a Operation>) -> Vec<Json> {
    let failed = parts.filter(|part| part.state == OperationState::Failed);
    let cause = |part: &Operation| {
        let error = part.error.clone().unwrap_or_default();
        json!({"tenant": part.subject, "operation": part.id, "code": error.get("code"),
            "cause": error.get("message")})
    };
    failed.map(cause).collect()
}

fn report(order: &Order, parts: &[Operation]) -> Json {
    json!({"release": order.release, "tenants": Tally::of(parts.iter()), "failed": failures(parts.iter())})
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
