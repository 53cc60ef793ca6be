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

/// Requests that were answered so long after the last error show that it is over.
const CALM: Duration = Duration::from_secs(30);

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
    /// Milliseconds, from 1, of the last answer without an error, and of the last one with.
    good_at: AtomicU64,
    bad_at: AtomicU64,
    /// Looked up once for each tenant; by [`class`] of status.
    answered: [Counter; 4],
    meter: Arc<Meter>,
}

#[derive(Default)]
struct Slot {
    /// The minute it counts, from 1; 0 when it never counted.
    minute: AtomicU64,
    errors: AtomicU32,
    /// Milliseconds, from 1, at which the first error came of those since which no minute in which something was
    /// asked went without one; 0 when this one did.
    failing_from: AtomicU64,
    steps: [AtomicU32; STEPS],
}

/// What one tenant was asked lately.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recent {
    /// Requests of each of the last [`MINUTES`] minutes, oldest first, the one under way last.
    pub requests: Vec<u32>,
    /// How many of them were answered with a status of 500 or more.
    pub errors: Vec<u32>,
    /// How long ago the first error came of those since which there was one in every minute in which something was
    /// asked; nothing when there was none in the last of them, or none of late.
    pub failing_for: Option<Duration>,
    /// How long ago the last error was.
    pub failed_ago: Option<Duration>,
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

    /// Requests and errors of the last so many minutes, the one under way included.
    pub fn last(&self, minutes: usize) -> (u64, u64) {
        let sum = |counts: &[u32]| counts.iter().rev().take(minutes).copied().map(u64::from).sum();
        (sum(&self.requests), sum(&self.errors))
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
        let (minute, moment) = (self.minute(), self.moment());
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
            slot.failing_from.store(0, Ordering::Relaxed);
            for step in &slot.steps {
                step.store(0, Ordering::Relaxed);
            }
        }
        slot.steps[step(took)].fetch_add(1, Ordering::Relaxed);
        if status < 500 {
            slots.good_at.store(moment, Ordering::Relaxed);
            return;
        }
        slots.bad_at.store(moment, Ordering::Relaxed);
        if slot.errors.fetch_add(1, Ordering::Relaxed) == 0 {
            let before = slots.last_before(minute);
            let from = before.map_or(0, |slot| slot.failing_from.load(Ordering::Relaxed));
            slot.failing_from.store(if from == 0 { moment } else { from }, Ordering::Relaxed);
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
        (recent.failing_for, recent.failed_ago) = self.failing(&slots, now);
        recent.p50 = quantile(&steps, 50);
        recent.p99 = quantile(&steps, 99);
        recent
    }

    /// How long ago the first of the errors that go on came, and the last one. The minute under way may still be too
    /// short for an error.
    fn failing(&self, slots: &Slots, now: u64) -> (Option<Duration>, Option<Duration>) {
        let load = |at: &AtomicU64| at.load(Ordering::Relaxed);
        let current = slots.at(now);
        let under_way = if load(&current.minute) == now { load(&current.failing_from) } else { 0 };
        let before = || slots.last_before(now).map_or(0, |slot| load(&slot.failing_from));
        let from = if under_way == 0 { before() } else { under_way };
        let (good, bad, moment) = (load(&slots.good_at), load(&slots.bad_at), self.moment());
        let ago = |at: u64| (at > 0).then(|| Duration::from_millis(moment.saturating_sub(at)));
        let over = good > bad && ago(bad).is_some_and(|ago| ago >= CALM);
        (ago(from).filter(|_| !over), ago(bad))
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

    /// Milliseconds since it was begun, from 1.
    fn moment(&self) -> u64 {
        u64::try_from(self.0.begun.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn minute(&self) -> u64 {
        self.0.begun.elapsed().as_secs() / 60 + 1
    }
}

impl Slots {
    fn new(tenant: TenantId) -> Self {
        let of = |class| counter!(names::TENANT_REQUESTS, "tenant" => tenant.to_string(), "status" => class);
        Self {
            minutes: Default::default(),
            good_at: AtomicU64::default(),
            bad_at: AtomicU64::default(),
            answered: CLASSES.map(of),
            meter: Arc::default(),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a remainder of 16")]
    fn at(&self, minute: u64) -> &Slot {
        &self.minutes[(minute % SLOTS as u64) as usize]
    }

    /// The last minute before that one in which something was asked, of those that are shown.
    fn last_before(&self, minute: u64) -> Option<&Slot> {
        let counted = |back| {
            let earlier = minute.checked_sub(back).filter(|earlier| *earlier > 0)?;
            let slot = self.at(earlier);
            (slot.minute.load(Ordering::Relaxed) == earlier).then_some(slot)
        };
        (1..MINUTES as u64).find_map(counted)
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
    async fn it_is_known_since_when_requests_fail() {
        let (traffic, tenant) = (Traffic::default(), TenantId::random());
        let ask = |status| traffic.record(tenant, status, Duration::from_millis(1), 0);
        let failing = || traffic.recent(tenant).failing_for.map(|age| age.as_secs());
        let pass = async |secs| tokio::time::advance(Duration::from_secs(secs)).await;
        ask(200);
        assert_eq!((failing(), traffic.recent(tenant).failed_ago), (None, None));
        pass(80).await;
        ask(200);
        ask(503);
        assert_eq!(failing(), Some(0));
        // Longer than is shown, with minutes in which nobody asked.
        for minute in (2..40).step_by(2) {
            pass(120).await;
            assert_eq!(failing(), Some(minute * 60), "nobody asked meanwhile");
            ask(500);
            ask(200);
            assert_eq!(failing(), Some(minute * 60));
        }
        pass(20).await;
        assert!(failing().is_some(), "one in many fails");
        ask(200);
        pass(10).await;
        assert_eq!(failing(), None, "it is over");
        assert_eq!(traffic.recent(tenant).failed_ago, Some(Duration::from_secs(30)));
        pass(60).await;
        ask(200);
        pass(60).await;
        ask(500);
        assert_eq!(failing(), Some(0), "and begins anew");
        pass(1200).await;
        assert_eq!(failing(), None, "nobody asked for so long that nothing is known");
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
