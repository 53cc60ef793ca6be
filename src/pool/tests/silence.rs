use super::*;
use crate::pool::dial::Found;

fn looking() -> PoolConfig {
    PoolConfig {
        look_after: Duration::from_millis(20),
        look_again: Duration::from_millis(20),
        look_timeout: Duration::from_millis(100),
        ..quick()
    }
}

/// A bench whose server is found like this. `None`: nobody answers.
fn found(config: PoolConfig, what: Option<Found>) -> Bench {
    let bench = Bench::new(config);
    let finds = what.ok_or(DialFault::timeout("silent"));
    *bench.dialer.canceller.finds.lock().unwrap() = Some(finds);
    bench
}

fn is_silent<T>(outcome: &Result<T, PoolFault>) -> bool {
    matches!(outcome, Err(fault @ PoolFault::Silent { .. })
        if fault.kind() == FaultKind::Unavailable && fault.retry_after_secs().is_some_and(|s| s > 0))
}

#[tokio::test]
async fn a_silent_server_ends_all_work_on_its_lane_and_nobody_waits_for_it() {
    let mut bench = found(looking(), None);
    bench.spec.limits = LaneLimits::with_connections(3);
    bench.spec.limits.acquire_timeout = Duration::from_secs(20);
    let mut leases = join_all((0..2).map(|_| bench.lease())).await;
    let idle = bench.lease().await.unwrap();
    let waiting = tokio::spawn({
        let (pools, spec) = (bench.pools.clone(), bench.spec.clone());
        async move { pools.lease(&spec, soon()).await.map(drop) }
    });
    bench.until(|status| status.is_some_and(|s| s.waiting == 1)).await;
    // A look that the machine held up would be made again.
    tokio::time::pause();
    let running = leases.iter_mut().map(|lease| lease.as_mut().unwrap().run(soon(), endless));
    let ended = join_all(running).await;
    assert!(ended.iter().all(is_silent), "{ended:?}");
    let refused = waiting.await.unwrap().unwrap_err();
    assert!(matches!(&refused, PoolFault::BreakerOpen { reason, .. } if reason == "silent"));
    assert!(bench.lease().await.is_err());
    assert_eq!(bench.dialer.canceller.looks.load(SeqCst), 1, "one look for all");
    assert_eq!(bench.dialer.canceller.cancels.load(SeqCst), 0, "there is nobody to be told");
    tokio::time::resume();
    drop((leases, idle));
    bench.until(|status| status.is_none_or(|s| s.leased == 0 && s.open == 0)).await;
    // Its end is found by the breaker's probe, here by an operator.
    bench.pools.reset_breaker(bench.spec.tenant);
    let all = join_all((0..3).map(|_| bench.lease())).await;
    assert!(all.iter().all(Result::is_ok), "every permit is there");
}

#[tokio::test]
async fn a_slow_statement_of_a_server_that_answers_is_left_alone() {
    let bench = found(looking(), Some(Found::Answering));
    let mut lease = bench.lease().await.unwrap();
    let canceller = Arc::clone(&bench.dialer.canceller);
    // It ends well when it was looked after a few times.
    let slow = lease.run(soon(), move |_connection| {
        async move {
            while canceller.looks.load(SeqCst) < 4 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(1)
        }
        .boxed()
    });
    assert_eq!(slow.await, Ok(1));
    assert_eq!(lease.run(soon(), one).await, Ok(1));
    let breaker = bench.pools.breaker_status(bench.spec.tenant).unwrap();
    assert_eq!((breaker.state, breaker.last_reason), (BreakerState::Closed, None));
}

#[tokio::test]
async fn a_server_that_is_being_heard_is_not_looked_after() {
    let config = PoolConfig { look_after: Duration::from_millis(200), ..looking() };
    let bench = found(config, None);
    let mut lease = bench.lease().await.unwrap();
    let canceller = Arc::clone(&bench.dialer.canceller);
    // From here on timers alone: a stall of the machine must not look like one of the server.
    tokio::time::pause();
    let streaming = lease.run(soon(), move |_connection| {
        async move {
            for _ in 0..60 {
                canceller.heard.fetch_add(1, SeqCst);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok(1)
        }
        .boxed()
    });
    assert_eq!(streaming.await, Ok(1));
    assert_eq!(bench.dialer.canceller.looks.load(SeqCst), 0);
}

#[tokio::test]
async fn a_connection_whose_statement_never_arrived_is_lost_alone() {
    let bench = found(looking(), Some(Found::Waiting));
    let mut lost = bench.lease().await.unwrap();
    let mut sound = bench.lease().await.unwrap();
    assert!(is_silent(&lost.run(soon(), endless).await));
    assert_eq!(lost.run(soon(), one).await, Err(PoolFault::Discarded));
    // However long this takes here, its server says that it is at work for it.
    *bench.dialer.canceller.finds.lock().unwrap() = Some(Ok(Found::Answering));
    assert_eq!(sound.run(soon(), one).await, Ok(1));
    bench.until(|status| status.is_some_and(|s| s.open == 1 && s.leased == 1)).await;
    let breaker = bench.pools.breaker_status(bench.spec.tenant).unwrap();
    assert_eq!(breaker.state, BreakerState::Closed);
    assert_eq!(bench.status().unwrap().last_error.unwrap().0, "lost");
}

#[tokio::test]
async fn a_connection_is_not_lost_while_its_work_waits_for_something_else() {
    let bench = found(looking(), Some(Found::Waiting));
    let mut lease = bench.lease().await.unwrap();
    // From here on timers alone.
    tokio::time::pause();
    let aside = lease.aside();
    let elsewhere = lease.run(soon(), move |_connection| {
        async move {
            aside.during(tokio::time::sleep(Duration::from_secs(3))).await;
            Ok(1)
        }
        .boxed()
    });
    assert_eq!(elsewhere.await, Ok(1));
    assert_eq!(bench.dialer.canceller.looks.load(SeqCst), 0, "nobody waited for the server");
    // One who went away in the middle of such a wait has ended it.
    let aside = lease.aside();
    assert!(aside.during(std::future::pending::<()>()).now_or_never().is_none());
    assert!(is_silent(&lease.run(soon(), endless).await));
}

#[tokio::test]
async fn a_statement_long_past_the_servers_own_limit_is_lost() {
    let mut bench = found(looking(), Some(Found::Answering));
    bench.spec.limits.session.statement_timeout = Duration::from_millis(50);
    let mut lease = bench.lease().await.unwrap();
    assert!(is_silent(&lease.run(soon(), endless).await));
}

#[tokio::test]
async fn a_look_goes_on_when_its_caller_goes_away() {
    let bench = found(looking(), None);
    let mut lease = bench.lease().await.unwrap();
    tokio::time::pause();
    let impatient = tokio::time::timeout(Duration::from_millis(60), lease.run(soon(), endless));
    assert!(impatient.await.is_err());
    drop(lease);
    let breaker = || bench.pools.breaker_status(bench.spec.tenant).unwrap();
    let limit = soon();
    while breaker().state != BreakerState::Open {
        assert!(!limit.passed(), "{:?}", breaker());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(breaker().last_reason, Some("silent".into()));
}

#[tokio::test]
async fn the_silence_of_a_replaced_server_is_not_held_against_its_successor() {
    let bench = found(looking(), None);
    let mut old = bench.lease().await.unwrap();
    let newer = LaneSpec { revision: ConnectionRevision(2), ..bench.spec.clone() };
    let held = bench.pools.lease(&newer, soon()).await.unwrap();
    assert!(is_silent(&old.run(soon(), endless).await));
    let breaker = bench.pools.breaker_status(bench.spec.tenant).unwrap();
    assert_eq!(breaker.state, BreakerState::Closed);
    drop(held);
    assert!(bench.pools.lease(&newer, soon()).await.is_ok());
}

#[tokio::test]
async fn a_caller_waits_no_longer_for_a_connection_to_be_opened_than_for_one_to_be_free() {
    let config = PoolConfig { connect_timeout: Duration::from_secs(20), ..quick() };
    let mut bench = Bench::new(config);
    bench.mood(Mood::Hangs);
    bench.spec.limits.acquire_timeout = Duration::from_millis(50);
    for _ in 0..3 {
        assert_eq!(bench.lease().await.unwrap_err(), PoolFault::AcquireTimeout);
    }
    let status = bench.status().unwrap();
    assert_eq!((status.leased, bench.opens()), (3, 3), "the attempts go on");
}
