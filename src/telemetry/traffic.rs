//! What each tenant was asked in the last minutes, in memory: for people who look at a fleet, not for
//! statistics. Prometheus has the history.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use metrics::{Counter, counter, gauge};
use tokio::time::Instant;

use super::metric::names;
use super::steps::{STEPS, add, quantile, step};
use super::usage::{Meter, Usage};
use crate::base::TenantId;

/// Minutes shown, the one under way included.
pub const MINUTES: usize = 15;
/// One more, so that the minute being begun never takes the place of one that is shown.
const SLOTS: usize = MINUTES + 1;
/// Tenants counted at most; about 2.3 KiB each, and 300 bytes more for each plan.
const TENANTS: usize = 20_000;

/// Classes of statuses, as labels.
pub const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// Which of [`CLASSES`] a status belongs to.
pub const fn class(status: u16) -> usize {
    match status {
        0..=299 => 0,
        300..=399 => 1,
        400..=499 => 2,
        _ => 3,
    }
}

/// Counts of all tenants. A cheap handle.
#[derive(Clone)]
pub struct Traffic(Arc<Inner>);

struct Inner {
    begun: Instant,
    tenants: RwLock<HashMap<TenantId, Arc<Slots>>>,
}

struct Slots {
    minutes: [Slot; SLOTS],
    /// Looked up once for each tenant; by [`class`] of status.
    answered: [Counter; 4],
    meter: Arc<Meter>,
}

#[derive(Default)]
struct Slot {
    /// The minute it counts, from 1; 0 when it never counted.
    minute: AtomicU64,
    errors: AtomicU32,
    steps: [AtomicU32; STEPS],
}

/// What one tenant was asked lately.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recent {
    /// Requests of each of the last [`MINUTES`] minutes, oldest first, the one under way last.
    pub requests: Vec<u32>,
    /// How many of them were answered with a status of 500 or more.
    pub errors: Vec<u32>,
    /// Half of all requests took no longer than this. Within the histogram's step, 41 % wide.
    pub p50: Option<Duration>,
    /// 99 of 100 took no longer than this.
    pub p99: Option<Duration>,
}

impl Recent {
    /// Requests of all minutes together.
    pub fn total(&self) -> u64 {
        self.requests.iter().copied().map(u64::from).sum()
    }

    /// Errors of all minutes together.
    pub fn failed(&self) -> u64 {
        self.errors.iter().copied().map(u64::from).sum()
    }
}

impl Default for Traffic {
    fn default() -> Self {
        Self(Arc::new(Inner { begun: Instant::now(), tenants: RwLock::default() }))
    }
}

impl Traffic {
    /// Counts one answered request, of that many bytes: a lookup and a few relaxed atomic operations.
    pub fn record(&self, tenant: TenantId, status: u16, took: Duration, bytes: u64) {
        let minute = self.minute();
        let Some(slots) = self.slots(tenant) else { return };
        slots.answered[class(status)].increment(1);
        slots.meter.request();
        slots.meter.bytes(bytes);
        let slot = slots.at(minute);
        let seen = slot.minute.load(Ordering::Relaxed);
        // Whoever comes first in a minute clears what stood there 16 minutes ago. A count that comes in
        // between may be lost with it.
        if seen != minute
            && slot
                .minute
                .compare_exchange(seen, minute, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            slot.errors.store(0, Ordering::Relaxed);
            for step in &slot.steps {
                step.store(0, Ordering::Relaxed);
            }
        }
        slot.steps[step(took)].fetch_add(1, Ordering::Relaxed);
        if status >= 500 {
            slot.errors.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What that tenant was asked; nothing at all gives zeros.
    pub fn recent(&self, tenant: TenantId) -> Recent {
        let held = self.0.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let slots = held.get(&tenant).cloned();
        drop(held);
        let now = self.minute();
        let mut recent =
            Recent { requests: vec![0; MINUTES], errors: vec![0; MINUTES], ..Recent::default() };
        let Some(slots) = slots else { return recent };
        let mut steps = [0_u64; STEPS];
        for (at, back) in (0..MINUTES as u64).rev().enumerate() {
            let Some(minute) = now.checked_sub(back).filter(|minute| *minute > 0) else { continue };
            let slot = slots.at(minute);
            if slot.minute.load(Ordering::Relaxed) != minute {
                continue;
            }
            let before = steps.iter().sum::<u64>();
            add(&mut steps, &slot.steps);
            let count = steps.iter().sum::<u64>() - before;
            recent.requests[at] = u32::try_from(count).unwrap_or(u32::MAX);
            recent.errors[at] = slot.errors.load(Ordering::Relaxed);
        }
        recent.p50 = quantile(&steps, 50);
        recent.p99 = quantile(&steps, 99);
        recent
    }

    /// The tenant's meter; one that nobody reads when there are too many tenants.
    pub fn meter(&self, tenant: TenantId) -> Arc<Meter> {
        self.slots(tenant).map_or_else(Arc::default, |slots| Arc::clone(&slots.meter))
    }

    /// What each tenant used since this gateway began.
    pub fn used(&self) -> Vec<(TenantId, Usage)> {
        let held = self.0.tenants.read().unwrap_or_else(PoisonError::into_inner);
        held.iter().map(|(tenant, slots)| (*tenant, slots.meter.read())).collect()
    }

    fn slots(&self, tenant: TenantId) -> Option<Arc<Slots>> {
        let held = self.0.tenants.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(slots) = held.get(&tenant) {
            return Some(Arc::clone(slots));
        }
        drop(held);
        let mut held = self.0.tenants.write().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= TENANTS && !held.contains_key(&tenant) {
            return None;
        }
        let slots = held.entry(tenant);
        Some(Arc::clone(slots.or_insert_with(|| Arc::new(Slots::new(tenant)))))
    }

    /// Sets the gauges of how long each tenant's requests took lately; those of a tenant nobody asked
    /// are no number.
    pub(super) fn publish(&self) {
        let held = self.0.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let tenants: Vec<TenantId> = held.keys().copied().collect();
        drop(held);
        for tenant in tenants {
            let recent = self.recent(tenant);
            for (quantile, took) in [("0.5", recent.p50), ("0.99", recent.p99)] {
                gauge!(names::TENANT_SECONDS, "tenant" => tenant.to_string(), "quantile" => quantile)
                    .set(took.map_or(f64::NAN, |took| took.as_secs_f64()));
            }
        }
    }

    fn minute(&self) -> u64 {
        self.0.begun.elapsed().as_secs() / 60 + 1
    }
}

impl Slots {
    fn new(tenant: TenantId) -> Self {
        let of = |class| counter!(names::TENANT_REQUESTS, "tenant" => tenant.to_string(), "status" => class);
        Self { minutes: Default::default(), answered: CLASSES.map(of), meter: Arc::default() }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a remainder of 16")]
    fn at(&self, minute: u64) -> &Slot {
        &self.minutes[(minute % SLOTS as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn minutes_come_and_go() {
        let (traffic, tenant) = (Traffic::default(), TenantId::random());
        for minute in 0..40_u32 {
            for _ in 0..=minute {
                traffic.record(tenant, 200, Duration::from_millis(1), 0);
            }
            traffic.record(tenant, 503, Duration::from_millis(1), 0);
            let recent = traffic.recent(tenant);
            assert_eq!(recent.requests.last(), Some(&(minute + 2)));
            let shown = MINUTES.min(minute as usize + 1);
            assert_eq!(recent.failed(), shown as u64, "minute {minute}");
            let before = recent.requests[MINUTES - 2];
            assert_eq!(before, if minute == 0 { 0 } else { minute + 1 });
            tokio::time::advance(Duration::from_mins(1)).await;
        }
        tokio::time::advance(Duration::from_mins(20)).await;
        assert_eq!(traffic.recent(tenant).total(), 0);
        assert_eq!(traffic.recent(tenant).p99, None);
    }

    #[tokio::test(start_paused = true)]
    async fn quantiles_are_within_a_step() {
        let (traffic, tenant) = (Traffic::default(), TenantId::random());
        for _ in 0..98 {
            traffic.record(tenant, 200, Duration::from_millis(10), 0);
        }
        for _ in 0..2 {
            traffic.record(tenant, 200, Duration::from_secs(1), 0);
        }
        let recent = traffic.recent(tenant);
        let within = |found: Option<Duration>, real: f64| {
            let found = found.unwrap().as_secs_f64();
            assert!((real..=real * 1.42).contains(&found), "{found} for {real}");
        };
        within(recent.p50, 0.010);
        within(recent.p99, 1.0);
        assert_eq!(traffic.recent(TenantId::random()).total(), 0);
    }
}
