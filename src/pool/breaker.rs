//! One tenant's breaker.
//!
//! Counting and backing off is `failsafe`'s: its consecutive-failures policy decides when to open and
//! for how long. The states are ours, because `failsafe`'s own state machine lets every caller through
//! when half-open, counts results of calls that began before it opened, takes an ignored error for a
//! success, reads the system's clock directly and does not say until when it is open. Its exponential
//! backoff is not used either: it panics below one second and drops fractions.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use failsafe::FailurePolicy as _;
use failsafe::failure_policy::{ConsecutiveFailures, consecutive_failures};
use metrics::{counter, gauge};
use tokio::time::Instant;

use super::verdict::Verdict;
use super::{BreakerConfig, BreakerStatus, PoolFault};
use crate::base::{Clock, TenantId, Timestamp};
use crate::telemetry::pool_metrics as names;

/// A breaker's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// Everybody may call.
    Closed,
    /// Nobody may.
    Open,
    /// One caller at a time may, to find out.
    HalfOpen,
}

impl BreakerState {
    /// The lower-case word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// Durations that double up to a bound.
#[derive(Debug, Clone)]
struct Doubling {
    next: Duration,
    at_most: Duration,
}

impl Doubling {
    fn new(first: Duration, at_most: Duration) -> Self {
        Self { next: first.min(at_most), at_most }
    }
}

impl Iterator for Doubling {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let now = self.next;
        self.next = now.saturating_mul(2).min(self.at_most);
        Some(now)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen { probing: bool },
}

struct Core {
    state: State,
    /// Moves on with every change of state that makes results of earlier calls meaningless.
    epoch: u64,
    policy: ConsecutiveFailures<Doubling>,
    auth: Doubling,
    /// Until when nobody logs in, though connections that are open serve; and why.
    logins: Option<(Instant, Cow<'static, str>)>,
    since: Timestamp,
    /// When it opened first and has not closed since, however often it was tried meanwhile.
    unwell_since: Option<Timestamp>,
    reason: Option<Cow<'static, str>>,
    opened: u64,
    rejected: u64,
}

pub(crate) struct Breaker {
    tenant: TenantId,
    config: BreakerConfig,
    clock: Arc<dyn Clock>,
    core: Mutex<Core>,
}

/// Leave to call the database. Results are reported through it; dropping a probe's without one lets
/// the next caller probe.
pub(crate) struct Pass {
    breaker: Arc<Breaker>,
    epoch: u64,
    probe: bool,
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass").field("probe", &self.probe).finish_non_exhaustive()
    }
}

impl Breaker {
    pub(crate) fn new(tenant: TenantId, config: BreakerConfig, clock: Arc<dyn Clock>) -> Self {
        let core = Core {
            state: State::Closed,
            epoch: 0,
            policy: consecutive_failures(
                config.failures.max(1),
                Doubling::new(config.open_for, config.open_at_most),
            ),
            auth: Doubling::new(config.auth_open_for, config.auth_open_at_most),
            logins: None,
            since: clock.now(),
            unwell_since: None,
            reason: None,
            opened: 0,
            rejected: 0,
        };
        Self { tenant, config, clock, core: Mutex::new(core) }
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for leave to call. Only a probe's caller turns an open breaker half-open.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Pass, PoolFault> {
        let mut core = self.core();
        let now = Instant::now();
        let probe = match core.state {
            State::Closed => false,
            State::Open { until } if now < until => {
                return Err(self.reject(&mut core, until - now));
            }
            State::HalfOpen { probing: true } => {
                return Err(self.reject(&mut core, Duration::from_secs(1)));
            }
            State::Open { .. } => {
                core.epoch += 1;
                core.since = self.clock.now();
                core.state = State::HalfOpen { probing: true };
                self.show(BreakerState::HalfOpen);
                true
            }
            State::HalfOpen { probing: false } => {
                core.state = State::HalfOpen { probing: true };
                true
            }
        };
        Ok(Pass { breaker: Arc::clone(self), epoch: core.epoch, probe })
    }

    fn reject(&self, core: &mut Core, retry_after: Duration) -> PoolFault {
        core.rejected += 1;
        counter!(names::BREAKER_REJECTED, names::TENANT => self.tenant.to_string()).increment(1);
        let reason = core.reason.clone().unwrap_or(Cow::Borrowed("unknown"));
        PoolFault::BreakerOpen { retry_after, reason }
    }

    fn open(&self, core: &mut Core, for_how_long: Duration, reason: Cow<'static, str>) {
        tracing::warn!(tenant = %self.tenant, reason = %reason, seconds = for_how_long.as_secs_f64(),
            "the breaker opens");
        counter!(names::BREAKER_OPENED, names::TENANT => self.tenant.to_string()).increment(1);
        core.state = State::Open { until: Instant::now() + for_how_long };
        core.epoch += 1;
        core.opened += 1;
        core.since = self.clock.now();
        core.unwell_since.get_or_insert(core.since);
        core.reason = Some(reason);
        self.show(BreakerState::Open);
    }

    fn close(&self, core: &mut Core) {
        tracing::info!(tenant = %self.tenant, "the breaker closes");
        core.state = State::Closed;
        core.epoch += 1;
        core.policy.revived();
        self.let_in(core);
        core.since = self.clock.now();
        core.unwell_since = None;
        self.show(BreakerState::Closed);
    }

    fn let_in(&self, core: &mut Core) {
        core.auth = Doubling::new(self.config.auth_open_for, self.config.auth_open_at_most);
        core.logins = None;
    }

    /// Whether the server refused the account a while ago, and nobody is to log in.
    pub(crate) fn holds_logins(&self) -> bool {
        self.core().logins.as_ref().is_some_and(|(until, _)| Instant::now() < *until)
    }

    fn show(&self, state: BreakerState) {
        let value = match state {
            BreakerState::Closed => 0.0,
            BreakerState::HalfOpen => 1.0,
            BreakerState::Open => 2.0,
        };
        gauge!(names::BREAKER_STATE, names::TENANT => self.tenant.to_string()).set(value);
    }

    /// Closes it whatever its state; results of calls in progress no longer count.
    pub(crate) fn reset(&self) {
        let mut core = self.core();
        self.close(&mut core);
        core.reason = None;
    }

    /// Opens it whatever was counted so far: the server was asked and said nothing.
    pub(crate) fn trip(&self, reason: &'static str) {
        let mut core = self.core();
        if !matches!(core.state, State::Open { .. }) {
            let wait = core.policy.mark_dead_on_failure().unwrap_or(self.config.open_for);
            self.open(&mut core, wait, Cow::Borrowed(reason));
        }
    }

    pub(crate) fn status(&self) -> BreakerStatus {
        let core = self.core();
        let (state, retry_after) = match core.state {
            State::Closed => (BreakerState::Closed, None),
            State::HalfOpen { .. } => (BreakerState::HalfOpen, None),
            State::Open { until } => {
                (BreakerState::Open, Some(until.saturating_duration_since(Instant::now())))
            }
        };
        BreakerStatus {
            state,
            since: core.since,
            unwell_since: core.unwell_since,
            last_reason: core.reason.clone(),
            holds_logins: core.logins.as_ref().is_some_and(|(until, _)| Instant::now() < *until),
            retry_after,
            opened: core.opened,
            rejected: core.rejected,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.core().state == State::Closed
    }
}

impl Pass {
    /// Whether results reported through it still count.
    pub(crate) fn counts(&self) -> bool {
        self.breaker.core().epoch == self.epoch
    }

    /// Whether the server refused the account a while ago, and nobody is to log in.
    pub(crate) fn holds_logins(&self) -> bool {
        self.breaker.holds_logins()
    }

    /// Notes that the server refuses the account, though it serves connections that are open: nobody logs in
    /// for as long as the breaker would stay open.
    pub(crate) fn hold_logins(&mut self, code: &str) {
        let breaker = &self.breaker;
        let mut core = breaker.core();
        if core.epoch != self.epoch {
            return;
        }
        if core.logins.as_ref().is_some_and(|(until, _)| Instant::now() < *until) {
            return;
        }
        let wait = core.auth.next().unwrap_or(breaker.config.auth_open_at_most);
        core.reason = Some(Cow::Owned(code.to_owned()));
        tracing::warn!(tenant = %breaker.tenant, reason = code, seconds = wait.as_secs_f64(),
            "the account is refused; connections that are open serve on");
        core.logins = Some((Instant::now() + wait, Cow::Owned(code.to_owned())));
    }

    /// Opens the breaker for the rest of the time for which nobody logs in: no connection is left.
    pub(crate) fn shut_out(&mut self) -> PoolFault {
        let mut core = self.breaker.core();
        let Some((until, code)) = core.logins.clone() else { return PoolFault::Retired };
        let left = until.saturating_duration_since(Instant::now());
        if core.epoch == self.epoch {
            self.breaker.open(&mut core, left, code);
        }
        self.breaker.reject(&mut core, left)
    }

    /// Notes that the server let the account in.
    pub(crate) fn logged_in(&mut self) {
        let mut core = self.breaker.core();
        if core.epoch == self.epoch {
            self.breaker.let_in(&mut core);
        }
    }

    /// Reports how a call ended. `code` says why it failed and is kept when the breaker opens.
    pub(crate) fn report(&mut self, verdict: Verdict, code: &str) {
        if verdict == Verdict::Neutral {
            return;
        }
        let breaker = Arc::clone(&self.breaker);
        let mut core = breaker.core();
        if core.epoch != self.epoch {
            return;
        }
        let code = || Cow::Owned(code.to_owned());
        match (verdict, core.state) {
            (Verdict::Healthy, State::HalfOpen { .. }) => {
                breaker.close(&mut core);
                // The call that closed it goes on under the new epoch, as anybody's.
                self.epoch = core.epoch;
                self.probe = false;
            }
            (Verdict::Healthy, _) => core.policy.record_success(),
            (Verdict::AuthRefused, State::Closed | State::HalfOpen { .. }) => {
                let wait = core.auth.next().unwrap_or(breaker.config.auth_open_at_most);
                breaker.open(&mut core, wait, code());
            }
            (Verdict::Unhealthy, State::Closed) => {
                core.reason = Some(code());
                if let Some(wait) = core.policy.mark_dead_on_failure() {
                    breaker.open(&mut core, wait, code());
                }
            }
            (Verdict::Unhealthy, State::HalfOpen { .. }) => {
                // After an opening for a refused account the policy may not have counted enough.
                let wait = core.policy.mark_dead_on_failure().unwrap_or(breaker.config.open_for);
                breaker.open(&mut core, wait, code());
            }
            (_, State::Open { .. }) | (Verdict::Neutral, _) => {}
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.probe {
            return;
        }
        let mut core = self.breaker.core();
        if core.epoch == self.epoch && core.state == (State::HalfOpen { probing: true }) {
            core.state = State::HalfOpen { probing: false };
        }
    }
}

#[cfg(test)]
mod tests;
