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

/// How long a start waits for the first answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What an order is known by: its signature.
pub(super) type Mark = [u8; 32];

/// The orders that count no more, and until when they would have. Nothing until the registry was read once:
/// what was cancelled before this gateway began is written there and nowhere else.
#[derive(Default)]
pub(super) struct Cancelled(Mutex<Option<Marks>>);

type Marks = HashMap<TenantId, HashMap<Mark, Timestamp>>;

impl Cancelled {
    fn held(&self) -> MutexGuard<'_, Option<Marks>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These are all that the registry holds.
    fn learn_all(&self, found: &[CancelledExport], now: Timestamp) {
        self.held().get_or_insert_default();
        self.learn(found, now);
    }

    /// Those count no more; what would have ended by now is forgotten.
    fn learn(&self, found: &[CancelledExport], now: Timestamp) {
        let mut held = self.held();
        // What the registry took is in it when it is read.
        let Some(all) = held.as_mut() else { return };
        all.retain(|_, marks| {
            marks.retain(|_, ends_at| *ends_at > now);
            !marks.is_empty()
        });
        for one in found {
            let marks = all.entry(one.tenant).or_default();
            marks.insert(one.mark, one.ends_at);
        }
    }

    /// Whether the order was cancelled; `None` while that is not known.
    pub(super) fn contains(&self, tenant: TenantId, mark: &Mark) -> Option<bool> {
        let held = self.held();
        let all = held.as_ref()?;
        Some(all.get(&tenant).is_some_and(|marks| marks.contains_key(mark)))
    }
}

impl Tenants {
    /// Learns which exports were cancelled before this gateway began. Until it has, no order of an export
    /// counts here. Gives up after a few seconds; [`follow_cancellations`](Self::follow_cancellations) goes on.
    pub async fn learn_cancellations(&self) {
        let read = tokio::time::timeout(PATIENCE, self.shared.registry.cancelled_exports()).await;
        match read {
            Ok(Ok(found)) => self.shared.cancelled.learn_all(&found, self.shared.pools.now()),
            Ok(Err(fault)) => {
                tracing::warn!(target: "wardgate::tenant", %fault,
                    "which exports were cancelled cannot be read; none is given out until it can");
            }
            Err(_slow) => {
                tracing::warn!(target: "wardgate::tenant",
                    "which exports were cancelled is not read in time; none is given out until it is");
            }
        }
    }

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
                    self.shared.cancelled.learn_all(&found, self.shared.pools.now());
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
        let held = |number: u16| all.contains(tenant, &order(number));
        assert_eq!(held(2), None, "nobody has read the registry");
        cancel(2, 2002, 0);
        assert_eq!(held(2), None, "one that is known is not all of them");
        all.learn_all(&[], at(0));
        let holds = |number: u16| held(number).unwrap();
        assert!(!holds(2));
        for number in [2, 1000, 1001] {
            cancel(number, 2000 + number, 0);
        }
        assert!(holds(2));
        assert_eq!(all.contains(TenantId::random(), &order(2)), Some(false), "of another tenant");
        cancel(0, 9000, 3000);
        assert!(!holds(1000) && holds(1001) && holds(0));
        // What is read again, or is no longer in what is read, changes nothing.
        all.learn_all(&[], at(3000));
        assert!(holds(0));
        all.learn_all(&[], at(9000));
        assert!(!holds(0) && all.held().as_ref().unwrap().is_empty());
    }
}
