use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::{PoolFault, TenantLimits, untaken};

/// Leave to answer one request. Dropping it makes room for the next.
#[derive(Debug)]
#[must_use = "dropping it ends the admission"]
pub struct Admission {
    held: Arc<AtomicU32>,
}

impl Admission {
    /// Whether no other request of the tenant is being answered.
    pub fn is_alone(&self) -> bool {
        self.held.load(Relaxed) <= 1
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.held.fetch_sub(1, Relaxed);
    }
}

/// One tenant's rate and number of requests at once.
pub(crate) struct Gate {
    rate: Mutex<Rate>,
    /// Requests being answered, whatever the limits were when they came.
    held: Arc<AtomicU32>,
    /// Bytes of answers that were given and not taken yet.
    pub(super) untaken: Arc<AtomicU64>,
    clock: DefaultClock,
}

struct Rate {
    /// Requests a second, and at once after a pause.
    limits: (u32, u32),
    bucket: Arc<DefaultDirectRateLimiter>,
}

impl Rate {
    fn new(limits: &TenantLimits) -> Self {
        let at_least_one = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(at_least_one(limits.requests_per_second))
            .allow_burst(at_least_one(limits.burst));
        let bucket = Arc::new(RateLimiter::direct(quota));
        Self { limits: (limits.requests_per_second, limits.burst), bucket }
    }
}

impl Gate {
    pub(crate) fn new(limits: &TenantLimits) -> Self {
        let (rate, held) = (Mutex::new(Rate::new(limits)), Arc::default());
        Self { rate, held, untaken: Arc::default(), clock: DefaultClock::default() }
    }

    /// The place comes first, so that a request turned away for want of one costs no rate.
    pub(crate) fn admit(&self, limits: &TenantLimits) -> Result<Admission, PoolFault> {
        if self.untaken.load(Relaxed) > untaken::MOST {
            return Err(PoolFault::Throttled { retry_after: Duration::from_secs(1) });
        }
        let most = limits.concurrent_requests.max(1);
        let more = |held: u32| (held < most).then_some(held + 1);
        self.held
            .fetch_update(Relaxed, Relaxed, more)
            .map_err(|_| PoolFault::Throttled { retry_after: Duration::from_secs(1) })?;
        let admission = Admission { held: Arc::clone(&self.held) };
        self.bucket(limits).check().map_err(|not_until| PoolFault::Throttled {
            retry_after: not_until.wait_time_from(self.clock.now()),
        })?;
        Ok(admission)
    }

    fn bucket(&self, limits: &TenantLimits) -> Arc<DefaultDirectRateLimiter> {
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        if rate.limits != (limits.requests_per_second, limits.burst) {
            *rate = Rate::new(limits);
        }
        Arc::clone(&rate.bucket)
    }

    /// Whether requests are being answered at present.
    pub(crate) fn in_use(&self) -> bool {
        self.held.load(Relaxed) > 0 || self.untaken.load(Relaxed) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Fault, FaultKind};

    #[test]
    fn a_place_is_given_back_when_the_admission_ends() {
        let limits = TenantLimits { concurrent_requests: 2, ..TenantLimits::default() };
        let gate = Gate::new(&limits);
        let first = gate.admit(&limits).unwrap();
        let second = gate.admit(&limits).unwrap();
        let refused = gate.admit(&limits).unwrap_err();
        assert_eq!(refused.kind(), FaultKind::Throttled);
        assert_eq!(refused.retry_after_secs(), Some(1));
        assert!(gate.in_use());
        drop(first);
        let third = gate.admit(&limits).unwrap();
        drop((second, third));
        assert!(!gate.in_use());
    }

    #[test]
    fn a_burst_is_spent_and_says_when_to_come_back() {
        let limits = TenantLimits { requests_per_second: 1, burst: 3, concurrent_requests: 9 };
        let gate = Gate::new(&limits);
        for _ in 0..3 {
            drop(gate.admit(&limits).unwrap());
        }
        assert_eq!(gate.admit(&limits).unwrap_err().retry_after_secs(), Some(1));
    }

    #[test]
    fn a_request_without_a_place_costs_no_rate() {
        let limits = TenantLimits { requests_per_second: 1, burst: 2, concurrent_requests: 1 };
        let gate = Gate::new(&limits);
        let held = gate.admit(&limits).unwrap();
        for _ in 0..10 {
            assert!(gate.admit(&limits).is_err());
        }
        drop(held);
        assert!(gate.admit(&limits).is_ok());
    }

    #[test]
    fn new_limits_are_in_force_at_once() {
        let tight = TenantLimits { concurrent_requests: 1, ..TenantLimits::default() };
        let gate = Gate::new(&tight);
        let _held = gate.admit(&tight).unwrap();
        assert!(gate.admit(&tight).is_err());
        assert!(gate.admit(&TenantLimits::default()).is_ok());
    }

    #[test]
    fn lower_limits_count_those_who_were_let_in_before() {
        let wide = TenantLimits { concurrent_requests: 3, ..TenantLimits::default() };
        let gate = Gate::new(&wide);
        let held: Vec<_> = (0..3).map(|_| gate.admit(&wide).unwrap()).collect();
        let tight = TenantLimits { concurrent_requests: 1, ..wide };
        assert!(gate.admit(&tight).is_err());
        drop(held);
        let one = gate.admit(&tight).unwrap();
        assert!(gate.admit(&tight).is_err());
        drop(one);
        assert!(!gate.in_use());
    }

    #[test]
    fn another_limit_of_concurrency_fills_no_spent_bucket() {
        let limits = TenantLimits { requests_per_second: 1, burst: 1, concurrent_requests: 9 };
        let gate = Gate::new(&limits);
        drop(gate.admit(&limits).unwrap());
        let other = TenantLimits { concurrent_requests: 8, ..limits };
        assert!(gate.admit(&other).is_err());
    }
}
