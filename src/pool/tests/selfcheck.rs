use super::*;

fn often() -> PoolConfig {
    PoolConfig { identity_check: Duration::from_millis(30), ..quick() }
}

fn identified(bench: &Bench) -> u32 {
    bench.dialer.identified.load(SeqCst)
}

#[tokio::test]
async fn a_warm_lane_is_asked_without_traffic_and_another_answer_ends_it() {
    let bench = Bench::new(often());
    drop(bench.lease().await.unwrap());
    let asked = async |more: u32| {
        let (before, limit) = (identified(&bench), soon());
        while identified(&bench) < before + more {
            assert!(!limit.passed(), "nobody asks");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    asked(3).await;
    bench.until(|status| status.is_some_and(|s| s.idle == 1 && s.leased == 0)).await;
    assert_eq!(bench.opens(), 1, "it is the same connection still");

    // A statement is under way while another connection of the lane is asked.
    let (mut busy, idle) = (bench.lease().await.unwrap(), bench.lease().await.unwrap());
    let running = tokio::spawn(async move { busy.run(soon(), endless).await });
    drop(idle);
    bench.mood(Mood::Elsewhere);
    assert_eq!(running.await.unwrap().unwrap_err(), PoolFault::Retired);
    let opens = bench.opens();
    assert_eq!(bench.lease().await.unwrap_err(), PoolFault::WrongServer);
    assert_eq!(bench.opens(), opens + 1, "a new lane looks for itself");
    bench.until(|status| status.is_some_and(|s| s.open == 0 && s.leased == 0)).await;
}

#[tokio::test]
async fn a_connection_that_is_never_idle_is_asked_before_its_use() {
    // Maintenance comes too late here to ask anything.
    let config = PoolConfig { tick: Duration::from_hours(1), ..quick() };
    let seldom =
        Bench::new(PoolConfig { identity_check: Duration::from_hours(1), ..config.clone() });
    drop(seldom.lease().await.unwrap());
    drop(seldom.lease().await.unwrap());
    assert_eq!((identified(&seldom), seldom.opens()), (0, 1), "not yet due");

    let check = Duration::from_millis(1);
    let bench = Bench::new(PoolConfig { identity_check: check, ..config });
    drop(bench.lease().await.unwrap());
    tokio::time::sleep(4 * check).await;
    drop(bench.lease().await.unwrap());
    assert_eq!((identified(&bench), bench.opens()), (1, 1));
    tokio::time::sleep(4 * check).await;
    bench.mood(Mood::Elsewhere);
    assert_eq!(bench.lease().await.unwrap_err(), PoolFault::WrongServer);
    assert_eq!(bench.opens(), 1, "nothing was lent and nothing was read");
}

#[tokio::test]
async fn one_taken_over_while_waiting_to_open_is_asked_like_any_other() {
    let check = Duration::from_millis(1);
    let tick = Duration::from_hours(1);
    let bench =
        Bench::new(PoolConfig { total_connections: 1, identity_check: check, tick, ..quick() });
    let first = bench.lease().await.unwrap();
    let second = tokio::spawn({
        let (pools, spec) = (bench.pools.clone(), bench.spec.clone());
        async move { pools.lease(&spec, soon()).await.map(drop) }
    });
    while bench.pools.inner.budget.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(4 * check).await;
    bench.mood(Mood::Elsewhere);
    drop(first);
    assert_eq!(second.await.unwrap(), Err(PoolFault::WrongServer));
    assert_eq!(bench.opens(), 1, "nothing was lent and nothing was read");
}

#[tokio::test]
async fn a_server_that_does_not_say_costs_its_connection_and_nothing_else() {
    for mood in [Mood::Hangs, Mood::Panics, Mood::Fails(DialClass::Protocol)] {
        let config = PoolConfig { check_timeout: Duration::from_millis(50), ..often() };
        let bench = Bench::new(config);
        drop(bench.lease().await.unwrap());
        bench.mood(mood);
        bench.until(|status| status.is_some_and(|s| s.open == 0 && s.leased == 0)).await;
        bench.mood(Mood::Opens);
        assert!(bench.lease().await.is_ok(), "{mood:?}");
        let breaker = bench.pools.breaker_status(bench.spec.tenant).unwrap();
        assert_eq!(breaker.state, BreakerState::Closed);
    }
}

#[tokio::test]
async fn an_idle_lane_is_closed_however_often_it_is_asked() {
    // Asked a hundred times while it is idle, or a few times on a busy machine.
    let config = PoolConfig { idle_timeout: Duration::from_secs(3), ..often() };
    let bench = Bench::new(config);
    drop(bench.lease().await.unwrap());
    bench.until(|status| status.is_none()).await;
    assert!(identified(&bench) > 1, "{}", identified(&bench));
}

#[tokio::test]
async fn a_lane_of_any_server_is_not_asked() {
    let bench = Bench::new(often());
    let any = LaneSpec { expected: None, ..bench.spec.clone() };
    drop(bench.pools.lease(&any, soon()).await.unwrap());
    tokio::time::sleep(Duration::from_millis(150)).await;
    drop(bench.pools.lease(&any, soon()).await.unwrap());
    assert_eq!(identified(&bench), 0);
}
