use proptest::prelude::*;

use super::*;
use crate::base::{Fault as _, ManualClock};

const CODE: &str = "refused";

fn config() -> BreakerConfig {
    BreakerConfig { failures: 3, open_at_most: Duration::from_mins(1), ..BreakerConfig::default() }
}

fn breaker() -> Arc<Breaker> {
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(0)));
    Arc::new(Breaker::new(TenantId::random(), config(), clock))
}

fn call(breaker: &Arc<Breaker>, verdict: Verdict) -> bool {
    breaker.enter().map(|mut pass| pass.report(verdict, CODE)).is_ok()
}

fn state(breaker: &Breaker) -> BreakerState {
    breaker.status().state
}

async fn pass_time(secs: u64) {
    tokio::time::advance(Duration::from_secs(secs)).await;
}

#[tokio::test(start_paused = true)]
async fn only_consecutive_failures_open_it() {
    use Verdict::{AuthRefused, Healthy, Neutral, Unhealthy};
    for (calls, expected) in [
        (&[Unhealthy, Unhealthy][..], BreakerState::Closed),
        (&[Unhealthy, Unhealthy, Unhealthy], BreakerState::Open),
        (&[Unhealthy, Unhealthy, Healthy, Unhealthy, Unhealthy], BreakerState::Closed),
        (&[Unhealthy, Neutral, Unhealthy, Neutral, Unhealthy], BreakerState::Open),
        (&[Neutral; 50], BreakerState::Closed),
        (&[Healthy; 50], BreakerState::Closed),
        (&[AuthRefused], BreakerState::Open),
    ] {
        let breaker = breaker();
        for verdict in calls {
            call(&breaker, *verdict);
        }
        assert_eq!(state(&breaker), expected, "{calls:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_says_when_to_come_back_and_waits_longer_every_time() {
    let breaker = breaker();
    for _ in 0..3 {
        assert!(call(&breaker, Verdict::Unhealthy));
    }
    for wait in [5, 10, 20, 40, 60, 60] {
        let refused = breaker.enter().unwrap_err();
        assert_eq!(refused.retry_after_secs(), Some(wait));
        assert_eq!(breaker.status().retry_after, Some(Duration::from_secs(wait)));
        assert_eq!(breaker.status().last_reason.as_deref(), Some(CODE));
        pass_time(wait - 1).await;
        assert!(breaker.enter().is_err());
        pass_time(1).await;
        assert!(call(&breaker, Verdict::Unhealthy), "a probe may pass");
    }
    pass_time(60).await;
    assert!(call(&breaker, Verdict::Healthy));
    assert_eq!(state(&breaker), BreakerState::Closed);
    for _ in 0..3 {
        call(&breaker, Verdict::Unhealthy);
    }
    assert_eq!(breaker.enter().unwrap_err().retry_after_secs(), Some(5), "it begins anew");
}

#[tokio::test(start_paused = true)]
async fn how_long_it_is_down_is_not_forgotten_at_every_try() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(0)));
    let breaker = Arc::new(Breaker::new(TenantId::random(), config(), clock.clone()));
    let later = async |secs| {
        clock.advance(Duration::from_secs(secs));
        pass_time(secs).await;
    };
    assert_eq!(breaker.status().unwell_since, None);
    later(10).await;
    for _ in 0..3 {
        call(&breaker, Verdict::Unhealthy);
    }
    for _ in 0..5 {
        later(60).await;
        assert!(call(&breaker, Verdict::Unhealthy), "a probe may pass");
        let status = breaker.status();
        assert_eq!(status.unwell_since, Some(Timestamp::from_secs(10)));
        assert!(status.since > Timestamp::from_secs(10), "this state is newer");
    }
    later(60).await;
    let probe = breaker.enter().unwrap();
    let trying = breaker.status();
    assert_eq!(trying.state, BreakerState::HalfOpen);
    assert_eq!(trying.unwell_since, Some(Timestamp::from_secs(10)));
    drop(probe);
    assert!(call(&breaker, Verdict::Healthy));
    assert_eq!(breaker.status().unwell_since, None);
}

#[tokio::test(start_paused = true)]
async fn a_refused_account_is_left_alone_for_longer() {
    let breaker = breaker();
    for wait in [120, 240, 480, 600, 600] {
        assert!(call(&breaker, Verdict::AuthRefused));
        assert_eq!(breaker.enter().unwrap_err().retry_after_secs(), Some(wait));
        pass_time(wait).await;
    }
    breaker.reset();
    assert!(call(&breaker, Verdict::AuthRefused));
    assert_eq!(breaker.enter().unwrap_err().retry_after_secs(), Some(120));
}

async fn half_open() -> Arc<Breaker> {
    let breaker = breaker();
    for _ in 0..3 {
        call(&breaker, Verdict::Unhealthy);
    }
    pass_time(5).await;
    breaker
}

#[tokio::test(start_paused = true)]
async fn half_open_lets_exactly_one_of_a_hundred_through() {
    let breaker = half_open().await;
    let passes: Vec<_> = (0..100).map(|_| breaker.enter()).collect();
    assert_eq!(passes.iter().filter(|pass| pass.is_ok()).count(), 1);
    assert_eq!(state(&breaker), BreakerState::HalfOpen);
    drop(passes);
    let again: Vec<_> = (0..100).map(|_| breaker.enter()).collect();
    assert_eq!(
        again.iter().filter(|pass| pass.is_ok()).count(),
        1,
        "a dropped probe frees its place"
    );
}

#[tokio::test(start_paused = true)]
async fn a_neutral_result_neither_closes_nor_opens_a_half_open_breaker() {
    let breaker = half_open().await;
    for _ in 0..10 {
        assert!(call(&breaker, Verdict::Neutral));
        assert_eq!(state(&breaker), BreakerState::HalfOpen);
    }
}

#[tokio::test(start_paused = true)]
async fn results_of_calls_begun_before_it_opened_do_not_count() {
    let breaker = breaker();
    let mut early: Vec<_> = (0..10).map(|_| breaker.enter().unwrap()).collect();
    for _ in 0..3 {
        call(&breaker, Verdict::Unhealthy);
    }
    let opened = breaker.status();
    early[0].report(Verdict::Healthy, CODE);
    early[1].report(Verdict::Unhealthy, CODE);
    assert_eq!(breaker.status(), opened);
    pass_time(5).await;
    let mut probe = breaker.enter().unwrap();
    early[2].report(Verdict::Healthy, CODE);
    early[3].report(Verdict::Unhealthy, CODE);
    early.clear();
    assert_eq!(state(&breaker), BreakerState::HalfOpen);
    assert!(breaker.enter().is_err(), "the probe's place is still taken");
    probe.report(Verdict::Healthy, CODE);
    assert_eq!(state(&breaker), BreakerState::Closed);
    assert!(probe.counts(), "the call that closed it goes on");
}

/// What the breaker should do, in the plainest words.
#[derive(Debug)]
struct Model {
    now: u64,
    failures: u32,
    backoff: u64,
    state: ModelState,
    epoch: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ModelState {
    Closed,
    Open(u64),
    HalfOpen(bool),
}

impl Model {
    fn enter(&mut self) -> Option<(u32, bool)> {
        match self.state {
            ModelState::Closed => Some((self.epoch, false)),
            ModelState::Open(until) if self.now < until => None,
            ModelState::HalfOpen(true) => None,
            ModelState::Open(_) => {
                self.epoch += 1;
                self.state = ModelState::HalfOpen(true);
                Some((self.epoch, true))
            }
            ModelState::HalfOpen(false) => {
                self.state = ModelState::HalfOpen(true);
                Some((self.epoch, true))
            }
        }
    }

    fn finish(&mut self, (epoch, probe): (u32, bool), verdict: Verdict) {
        if epoch != self.epoch {
            return;
        }
        match verdict {
            Verdict::Healthy => {
                self.failures = 0;
                if probe {
                    self.backoff = 5;
                    self.epoch += 1;
                    self.state = ModelState::Closed;
                }
            }
            Verdict::Unhealthy => {
                self.failures += 1;
                if probe || self.failures >= 3 {
                    self.state = ModelState::Open(self.now + self.backoff);
                    self.backoff = (self.backoff * 2).min(60);
                    self.epoch += 1;
                }
            }
            Verdict::Neutral | Verdict::AuthRefused if probe => {
                self.state = ModelState::HalfOpen(false);
            }
            Verdict::Neutral | Verdict::AuthRefused => {}
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Enter,
    Finish(usize, Verdict),
    Wait(u64),
    Reset,
}

fn step() -> impl Strategy<Value = Step> {
    let verdict = prop_oneof![1 => Just(Verdict::Healthy), 1 => Just(Verdict::Neutral), 4 => Just(Verdict::Unhealthy)];
    prop_oneof![
        6 => Just(Step::Enter),
        6 => (0..8_usize, verdict).prop_map(|(at, verdict)| Step::Finish(at, verdict)),
        2 => (0..30_u64).prop_map(Step::Wait),
        1 => Just(Step::Reset),
    ]
}

proptest! {
    #[test]
    fn it_does_what_the_model_does(steps in prop::collection::vec(step(), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let breaker = breaker();
            let mut model =
                Model { now: 0, failures: 0, backoff: 5, state: ModelState::Closed, epoch: 0 };
            let mut calls = Vec::new();
            for step in steps {
                match step {
                    Step::Enter => {
                        let (real, expected) = (breaker.enter().ok(), model.enter());
                        assert_eq!(real.is_some(), expected.is_some());
                        calls.extend(real.zip(expected));
                    }
                    Step::Finish(at, verdict) if at < calls.len() => {
                        let (mut real, expected): (Pass, _) = calls.swap_remove(at);
                        real.report(verdict, CODE);
                        drop(real);
                        model.finish(expected, verdict);
                    }
                    Step::Finish(..) => {}
                    Step::Wait(secs) => {
                        pass_time(secs).await;
                        model.now += secs;
                    }
                    Step::Reset => {
                        breaker.reset();
                        model = Model {
                            now: model.now,
                            failures: 0,
                            backoff: 5,
                            state: ModelState::Closed,
                            epoch: model.epoch + 1,
                        };
                    }
                }
                let (real, retry) = (state(&breaker), breaker.status().retry_after);
                let expected = match model.state {
                    ModelState::Closed => (BreakerState::Closed, None),
                    ModelState::HalfOpen(_) => (BreakerState::HalfOpen, None),
                    ModelState::Open(until) => {
                        (BreakerState::Open, Some(until.saturating_sub(model.now)))
                    }
                };
                assert_eq!((real, retry.map(|left| left.as_secs())), expected);
            }
        });
    }
}
