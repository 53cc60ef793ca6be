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
    pub(super) fn admits(&self) -> bool {
        let mut state = self.state();
        match state.open_until {
            None => true,
            Some(until) if Instant::now() < until => false,
            Some(_) => {
                state.open_until = Some(Instant::now() + state.open_for);
                true
            }
        }
    }

    pub(super) fn succeeded(&self) {
        *self.state() = State::default();
    }

    pub(super) fn failed(&self) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES {
            state.open_for = (state.open_for * 2).clamp(OPEN_FIRST, OPEN_AT_MOST);
            state.open_until = Some(Instant::now() + state.open_for);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn opens_after_three_failures_and_lets_one_probe_through() {
        let breaker = Breaker::default();
        for _ in 0..2 {
            breaker.failed();
            assert!(breaker.admits());
        }
        breaker.failed();
        assert!(!breaker.admits());
        tokio::time::advance(OPEN_FIRST).await;
        assert!(breaker.admits(), "the probe");
        assert!(!breaker.admits(), "nobody beside the probe");
        breaker.succeeded();
        assert!(breaker.admits() && breaker.admits());
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_without_a_verdict_does_not_keep_it_open() {
        let breaker = Breaker::default();
        (0..40).for_each(|_| breaker.failed());
        tokio::time::advance(OPEN_AT_MOST).await;
        assert!(breaker.admits());
        tokio::time::advance(OPEN_AT_MOST).await;
        assert!(breaker.admits());
    }
}
