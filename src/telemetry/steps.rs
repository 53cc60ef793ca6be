//! A histogram of times in few counters: each step a half power of two wide, from 0.25 ms to 11 s and more.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How many steps.
pub(super) const STEPS: usize = 32;
const FIRST_MICROS: f64 = 250.0;

/// The step a time falls into.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "clamped to the steps"
)]
pub(super) fn step(took: Duration) -> usize {
    let micros = took.as_micros().min(1 << 40) as f64;
    let steps = (micros / FIRST_MICROS).max(1.0).log2() * 2.0;
    (steps.ceil() as usize).min(STEPS - 1)
}

/// What that many of a hundred took no longer than; within the step, 41 % wide. Nothing of nothing.
pub(super) fn quantile(steps: &[u64; STEPS], percent: u64) -> Option<Duration> {
    let total: u64 = steps.iter().sum();
    if total == 0 {
        return None;
    }
    let wanted = (total * percent).div_ceil(100);
    let mut sum = 0;
    let reached = steps.iter().position(|count| {
        sum += count;
        sum >= wanted
    });
    let exponent = i32::try_from(reached?).unwrap_or(0);
    Some(Duration::from_secs_f64(FIRST_MICROS * 1e-6 * 2_f64.powf(f64::from(exponent) / 2.0)))
}

/// Adds counters to sums.
pub(super) fn add(sums: &mut [u64; STEPS], steps: &[AtomicU32; STEPS]) {
    for (sum, step) in sums.iter_mut().zip(steps) {
        *sum += u64::from(step.load(Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_has_a_step() {
        for took in [Duration::ZERO, Duration::from_micros(1), Duration::MAX] {
            assert!(step(took) < STEPS);
        }
        assert_eq!(step(Duration::from_micros(250)), 0);
        assert_eq!(step(Duration::from_micros(251)), 1);
    }
}
