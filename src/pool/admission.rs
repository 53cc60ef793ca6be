use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{PoolFault, TenantLimits};

/// Leave to answer one request. Dropping it makes room for the next.
#[derive(Debug)]
#[must_use = "dropping it ends the admission"]
pub struct Admission {
    place: OwnedSemaphorePermit,
    places: usize,
}

impl Admission {
    /// Whether no other request of the tenant is being answered.
    pub fn is_alone(&self) -> bool {
        self.place.semaphore().available_permits() + 1 >= self.places
    }
}

/// One tenant's rate and number of requests at once.
pub(crate) struct Gate {
    current: Mutex<Arc<Bounds>>,
    clock: DefaultClock,
}

struct Bounds {
    limits: TenantLimits,
    rate: DefaultDirectRateLimiter,
    places: Arc<Semaphore>,
}

impl Bounds {
    fn new(limits: TenantLimits) -> Self {
        let at_least_one = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(at_least_one(limits.requests_per_second))
            .allow_burst(at_least_one(limits.burst));
        Self {
            limits,
            rate: RateLimiter::direct(quota),
            places: Arc::new(Semaphore::new(
                at_least_one(limits.concurrent_requests).get() as usize
            )),
        }
    }

    /// How many requests there may be at once.
    fn places(&self) -> usize {
        self.limits.concurrent_requests.max(1) as usize
    }
}

impl Gate {
    pub(crate) fn new(limits: TenantLimits) -> Self {
        Self { current: Mutex::new(Arc::new(Bounds::new(limits))), clock: DefaultClock::default() }
    }

    /// The place comes first, so that a request turned away for want of one costs no rate.
    pub(crate) fn admit(&self, limits: &TenantLimits) -> Result<Admission, PoolFault> {
        let bounds = {
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            if current.limits != *limits {
                *current = Arc::new(Bounds::new(*limits));
            }
            Arc::clone(&current)
        };
        let place = Arc::clone(&bounds.places)
            .try_acquire_owned()
            .map_err(|_| PoolFault::Throttled { retry_after: Duration::from_secs(1) })?;
        bounds.rate.check().map_err(|not_until| PoolFault::Throttled {
            retry_after: not_until.wait_time_from(self.clock.now()),
        })?;
        Ok(Admission { place, places: bounds.places() })
    }

    /// Whether requests are being answered at present.
    pub(crate) fn in_use(&self) -> bool {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.places.available_permits() < current.places()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Fault, FaultKind};

    #[test]
    fn a_place_is_given_back_when_the_admission_ends() {
        let limits = TenantLimits { concurrent_requests: 2, ..TenantLimits::default() };
        let gate = Gate::new(limits);
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
        let gate = Gate::new(limits);
        for _ in 0..3 {
            drop(gate.admit(&limits).unwrap());
        }
        assert_eq!(gate.admit(&limits).unwrap_err().retry_after_secs(), Some(1));
    }

    #[test]
    fn a_request_without_a_place_costs_no_rate() {
        let limits = TenantLimits { requests_per_second: 1, burst: 2, concurrent_requests: 1 };
        let gate = Gate::new(limits);
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
        let gate = Gate::new(tight);
        let _held = gate.admit(&tight).unwrap();
        assert!(gate.admit(&tight).is_err());
        assert!(gate.admit(&TenantLimits::default()).is_ok());
    }
}
