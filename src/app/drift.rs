//! Looking after tenants' schemas: on a schedule, when a lane opens, when a statement was refused.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::base::{Deadline, Fault as _, TenantId};
use crate::control::Control;

/// Schemas looked at at once: one hung database must not hold the others up.
const AT_ONCE: usize = 8;
/// The longest one may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// A tenant that came up by itself is not looked at again within this.
const AGAIN: Duration = Duration::from_mins(1);

/// Looks after schemas until `stop`; each served tenant about once in `every`, no two at the same moment for
/// having begun together.
pub(super) async fn look_after(
    control: Control,
    mut suspects: mpsc::Receiver<TenantId>,
    every: Duration,
    stop: CancellationToken,
) {
    let mut round = tokio::time::interval((every / 20).min(AGAIN));
    round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut under_way = JoinSet::new();
    loop {
        let due = tokio::select! {
            () = stop.cancelled() => return,
            Some(tenant) = suspects.recv() => vec![(tenant, AGAIN.min(every))],
            _ = round.tick() => scheduled(&control, every).await,
            Some(_) = under_way.join_next() => continue,
        };
        for (tenant, spare) in due {
            while under_way.len() >= AT_ONCE {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = under_way.join_next() => {}
                }
            }
            let control = control.clone();
            under_way.spawn(async move { look(&control, tenant, spare).await });
        }
    }
}

async fn look(control: &Control, tenant: TenantId, spare: Duration) {
    let looked = control.look_after(tenant, spare, Deadline::after(PATIENCE)).await;
    if let Err(fault) = looked {
        // A database that does not answer is its breaker's business.
        let kind = fault.kind().as_str();
        tracing::info!(target: "wardgate::app", %tenant, kind, "the schema could not be looked at");
    }
}

/// Tenants that are due, each with its own period: a tenth more or less than `every`. Those whose schema does not fit
/// are looked at every minute, so that what the hospital put right is not shown as wrong for long.
async fn scheduled(control: &Control, every: Duration) -> Vec<(TenantId, Duration)> {
    let soon = AGAIN.min(every);
    let broken = control.schemas_broken(soon).await.unwrap_or_default();
    let due = control.schemas_due(every.mul_f64(0.9)).await.unwrap_or_default();
    let due = due.into_iter().map(|tenant| (tenant, period(tenant, every)));
    broken.into_iter().map(|tenant| (tenant, soon)).chain(due).collect()
}

/// A tenant's own period.
fn period(tenant: TenantId, every: Duration) -> Duration {
    let spread = tenant.as_uuid().as_bytes().iter().fold(0_u32, |sum, byte| sum + u32::from(*byte));
    every.mul_f64(0.9 + f64::from(spread % 200) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_spread_around_the_setting() {
        let hour = Duration::from_hours(1);
        let periods: Vec<Duration> = (0..200).map(|_| period(TenantId::random(), hour)).collect();
        assert!(periods.iter().all(|p| *p >= hour.mul_f64(0.9) && *p < hour.mul_f64(1.1)));
        assert!(periods.iter().max() > periods.iter().min());
    }
}
