use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::lane::Lane;
use super::lease::background;
use super::pools::{Inner, Pools};

impl Pools {
    /// Closes what nobody uses, with or without traffic, until `shutdown`. Run it once.
    pub async fn run_maintenance(self, shutdown: CancellationToken) {
        let evicted = self.inner.evicted.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut evicted) = evicted else {
            tracing::error!("the lanes' maintenance runs already");
            return;
        };
        let mut ticks = tokio::time::interval(self.inner.config.tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(lane) = evicted.recv() => self.inner.retire(&lane),
                _ = ticks.tick() => self.inner.tend(),
            }
        }
    }
}

impl Inner {
    fn tend(self: &Arc<Self>) {
        for (tenant, lane) in &self.lanes {
            if lane.in_use() {
                // A long statement does not touch the cache; its lane is in use all the same.
                let _touched = self.lanes.get(&*tenant);
            }
            self.close_worn(&lane);
            self.check_idle(&lane);
            lane.show(false);
        }
        // Without this an idle lane would be noticed by the next caller only.
        self.lanes.run_pending_tasks();
        self.forget();
    }

    fn close_worn(&self, lane: &Arc<Lane>) {
        let config = &self.config;
        while let Some((link, permit)) = lane.worn(config.idle_timeout, config.max_age) {
            let limit = config.close_timeout;
            background(async move {
                link.close(limit).await;
                drop(permit);
            });
        }
    }

    /// Drops what is known of tenants nobody asked for in a long time, but never an open breaker.
    fn forget(&self) {
        let after = u64::try_from(self.config.forget_after.as_millis()).unwrap_or(u64::MAX);
        let now = self.now();
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        tenants.retain(|tenant, state| {
            now.saturating_sub(state.used.load(Ordering::Relaxed)) < after
                || Arc::strong_count(state) > 1
                || state.gate.in_use()
                || !state.breaker.is_closed()
                || self.lanes.contains_key(tenant)
        });
    }
}
