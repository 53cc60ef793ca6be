use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const FAILURES: u32 = 3;
const OPEN_FIRST: Duration = Duration::from_millis(500);
const OPEN_AT_MOST: Duration = Duration::from_secs(4);

/// Answers at once while the database is away. After three failures in a row nobody is let through for
/// a while; then one caller at a time tries, and the first success closes it.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open_until: Option<Instant>,
    open_for: Duration,
}

impl Breaker {
    /// Whether a caller may try now. The one who is let through an open breaker moves its end into
    /// the future, so that a probe that is dropped without a verdict blocks nobody for longer.
    pub(super) fn admits(&self, now: Instant) -> bool {
        let mut state = self.state();
        match state.open_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                state.open_until = Some(now + state.open_for);
                true
            }
        }
    }

    pub(super) fn succeeded(&self) {
        *self.state() = State::default();
    }

    pub(super) fn failed(&self, now: Instant) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES {
            state.open_for = (state.open_for * 2).clamp(OPEN_FIRST, OPEN_AT_MOST);
            state.open_until = Some(now + state.open_for);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_after_three_failures_and_lets_one_probe_through() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        for _ in 0..2 {
            breaker.failed(start);
            assert!(breaker.admits(start));
        }
        breaker.failed(start);
        assert!(!breaker.admits(start));
        let later = start + OPEN_FIRST;
        assert!(breaker.admits(later), "the probe");
        assert!(!breaker.admits(later), "nobody beside the probe");
        breaker.succeeded();
        assert!(breaker.admits(later) && breaker.admits(later));
    }

    #[test]
    fn a_probe_without_a_verdict_does_not_keep_it_open() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        (0..40).for_each(|_| breaker.failed(start));
        assert!(!breaker.admits(start + OPEN_AT_MOST - Duration::from_millis(1)));
        assert!(breaker.admits(start + OPEN_AT_MOST));
        assert!(breaker.admits(start + OPEN_AT_MOST * 2));
    }
}
