use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::event::AccessEvent;
use super::{AuditFault, AuditLog, AuditPlace, segment};
use crate::base::{Clock, TenantId, Timestamp};
use crate::keyring::Keyring;

/// How often what is old enough is looked for.
const EVERY: Duration = Duration::from_hours(12);

/// How often the disk is tried.
const WATCH: Duration = Duration::from_secs(5);

impl AuditPlace {
    /// The tenants that have events.
    pub fn tenants(&self) -> Result<Vec<TenantId>, AuditFault> {
        let names = segment::names(&self.dir).map_err(AuditFault::io(&self.dir))?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }
}

impl AuditLog {
    /// Deletes what is older than `keep`, twice a day, until `shutdown`. Several gateways over one
    /// folder may do so at once.
    pub async fn run_retention(
        self,
        keep: Duration,
        keyring: Keyring,
        clock: std::sync::Arc<dyn Clock>,
        shutdown: CancellationToken,
    ) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => self.retain_all(keep, &keyring, clock.now()).await,
            }
        }
    }

    /// Tries the disk every few seconds, so that the gauge and the log say how it is without anybody
    /// asking, until `shutdown`.
    pub async fn run_watch(self, shutdown: CancellationToken) {
        let mut well = true;
        while shutdown.run_until_cancelled(tokio::time::sleep(WATCH)).await.is_some() {
            match self.ready().await {
                Ok(()) if !well => {
                    well = true;
                    tracing::info!(target: "wardgate::audit", "the access log can be written again");
                }
                Err(fault) if well => {
                    well = false;
                    tracing::error!(target: "wardgate::audit", %fault, "the access log cannot be written; no data is given until it can");
                }
                Ok(()) | Err(_) => {}
            }
        }
    }

    /// Deletes every tenant's sealed segments whose events are all older than `keep`, and writes down in
    /// the tenant's own log how many went. A tenant whose chains cannot be read is passed over with a
    /// warning.
    pub(super) async fn retain_all(&self, keep: Duration, keyring: &Keyring, now: Timestamp) {
        let millis = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp::from_millis(now.as_millis().saturating_sub(millis));
        let tenants = self.place().tenants().unwrap_or_default();
        for tenant in tenants {
            let (place, keyring) = (self.place(), keyring.clone());
            let work = move || place.retain(tenant, before, &keyring, now);
            let done = tokio::task::spawn_blocking(work).await.unwrap_or(Err(AuditFault::Closed));
            let deleted = match done {
                Ok(chains) => chains.iter().map(|chain| chain.deleted.len() as u64).sum(),
                Err(fault) => {
                    tracing::warn!(target: "wardgate::audit", %tenant, %fault, "retention did not go through");
                    0
                }
            };
            if deleted > 0 {
                tracing::info!(target: "wardgate::audit", %tenant, deleted, "old segments of the access log were deleted");
                let note = AccessEvent::note(tenant, "audit.retain", deleted);
                if let Err(fault) = self.append(note).await {
                    tracing::warn!(target: "wardgate::audit", %tenant, %fault, "a retention was not written down");
                }
            }
        }
    }
}
