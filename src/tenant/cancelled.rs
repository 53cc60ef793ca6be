//! Orders of bulk exports that their users cancelled, on whichever gateway.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Shared, TenantFault, Tenants};
use crate::base::{TenantId, Timestamp};
use crate::registry::CancelledExport;
use crate::telemetry::Recurring;

/// How often the registry is asked what was cancelled elsewhere.
const EVERY: Duration = Duration::from_secs(2);

/// What an order is known by: its signature.
pub(super) type Mark = [u8; 32];

/// The orders that count no more, and until when they would have.
#[derive(Default)]
pub(super) struct Cancelled(Mutex<HashMap<TenantId, HashMap<Mark, Timestamp>>>);

impl Cancelled {
    fn held(&self) -> MutexGuard<'_, HashMap<TenantId, HashMap<Mark, Timestamp>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those count no more; what would have ended by now is forgotten.
    fn learn(&self, found: &[CancelledExport], now: Timestamp) {
        let mut all = self.held();
        all.retain(|_, marks| {
            marks.retain(|_, ends_at| *ends_at > now);
            !marks.is_empty()
        });
        for one in found {
            let marks = all.entry(one.tenant).or_default();
            marks.insert(one.mark, one.ends_at);
        }
    }

    /// Whether the order was cancelled.
    pub(super) fn contains(&self, tenant: TenantId, mark: &Mark) -> bool {
        self.held().get(&tenant).is_some_and(|marks| marks.contains_key(mark))
    }
}

impl Tenants {
    /// Learns until `stop`, every two seconds, which exports were cancelled on other gateways.
    pub async fn follow_cancellations(self, stop: CancellationToken) {
        let mut round = interval(EVERY);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = Recurring::default();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = round.tick() => {}
            }
            match self.shared.registry.cancelled_exports().await {
                Ok(found) => {
                    let _again = failing.succeeded();
                    self.shared.cancelled.learn(&found, self.shared.pools.now());
                }
                Err(fault) => {
                    if let Some(times) = failing.failed() {
                        tracing::warn!(target: "wardgate::tenant", %fault, times,
                            "which exports were cancelled elsewhere cannot be read");
                    }
                }
            }
        }
    }
}

impl Shared {
    /// From now on the tenant's order of an export is as if it had never been given.
    pub(super) async fn cancel_order(
        &self,
        tenant: TenantId,
        mark: Mark,
        ends_at: Timestamp,
    ) -> Result<(), TenantFault> {
        let cancelled = CancelledExport { tenant, mark, ends_at };
        // Written first: an order that only this gateway knows to be cancelled is not.
        self.registry.cancel_export(&cancelled).await.map_err(|fault| {
            tracing::warn!(target: "wardgate::tenant", %fault, "an export could not be cancelled");
            TenantFault::Unavailable
        })?;
        self.cancelled.learn(&[cancelled], self.pools.now());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cancelled_is_forgotten_when_it_would_have_ended() {
        let (all, tenant) = (Cancelled::default(), TenantId::random());
        let order = |number: u16| {
            let mut mark = [0; 32];
            mark[..2].copy_from_slice(&number.to_be_bytes());
            mark
        };
        let at = |number: u16| Timestamp::from_secs(i64::from(number));
        let cancel = |number: u16, ends: u16, now: u16| {
            all.learn(
                &[CancelledExport { tenant, mark: order(number), ends_at: at(ends) }],
                at(now),
            );
        };
        for number in [2, 1000, 1001] {
            cancel(number, 2000 + number, 0);
        }
        let holds = |number: u16| all.contains(tenant, &order(number));
        assert!(holds(2));
        assert!(!all.contains(TenantId::random(), &order(2)), "of another tenant");
        cancel(0, 9000, 3000);
        assert!(!holds(1000) && holds(1001) && holds(0));
        // What is read again, or is no longer in what is read, changes nothing.
        all.learn(&[], at(3000));
        assert!(holds(0));
        all.learn(&[], at(9000));
        assert!(!holds(0) && all.held().is_empty());
    }
}
