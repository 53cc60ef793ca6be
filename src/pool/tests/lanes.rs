use super::*;

#[tokio::test]
async fn two_hundred_first_leases_make_one_lane_and_few_connections() {
    let mut bench = Bench::with_dialer(quick(), Duration::from_millis(20));
    // How long they wait is not what is asked here; how many may wait is as delivered.
    bench.spec.limits.acquire_timeout = Duration::from_secs(10);
    let answers = join_all((0..200).map(|_| async {
        let mut lease = bench.lease().await?;
        lease.run(soon(), one).await
    }))
    .await;
    assert!(answers.iter().all(|answer| *answer == Ok(1)), "{answers:?}");
    assert!((1..=5).contains(&bench.opens()), "{}", bench.opens());
    let status = bench.status().unwrap();
    assert_eq!((status.leased, status.waiting, status.idle), (0, 0, bench.opens()));
    assert_eq!(bench.pools.statuses().len(), 1);
}

#[tokio::test]
async fn the_connection_put_back_last_is_taken_first() {
    let bench = Bench::new(quick());
    let (first, second) = (bench.lease().await.unwrap(), bench.lease().await.unwrap());
    drop((first, second));
    for _ in 0..20 {
        drop(bench.lease().await.unwrap());
    }
    assert_eq!(bench.opens(), 2);
}

#[tokio::test]
async fn an_idle_lane_closes_without_traffic() {
    let config = PoolConfig { idle_timeout: Duration::from_secs(2), ..quick() };
    let bench = Bench::new(config);
    drop(bench.lease().await.unwrap());
    assert_eq!(bench.status().unwrap().open, 1);
    bench.until(|status| status.is_none()).await;
    assert!(bench.pools.drain(bench.spec.tenant, soon()).await);
    drop(bench.lease().await.unwrap());
    assert_eq!(bench.opens(), 2);
}

#[tokio::test]
async fn a_lane_in_use_outlives_its_idle_time_and_sheds_what_it_does_not_need() {
    let config = PoolConfig { idle_timeout: Duration::from_secs(2), ..quick() };
    let bench = Bench::new(config);
    let held = bench.lease().await.unwrap();
    drop(bench.lease().await.unwrap());
    assert_eq!(bench.status().unwrap().idle, 1);
    bench.until(|status| status.is_some_and(|s| s.idle == 0 && s.open == 1)).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(bench.status().unwrap().leased, 1, "the lane is still there");
    drop(held);
}

#[tokio::test]
async fn a_connection_idle_for_long_is_checked_before_use() {
    let config = PoolConfig { check_after_idle: Duration::ZERO, ..quick() };
    let bench = Bench::new(config);
    for _ in 0..3 {
        let mut lease = bench.lease().await.unwrap();
        assert_eq!(lease.run(soon(), one).await, Ok(1));
    }
    assert_eq!(bench.opens(), 1, "it was sound");
}

#[tokio::test]
async fn an_old_connection_is_replaced_and_one_inside_a_transaction_is_not_kept() {
    let bench = Bench::new(PoolConfig { max_age: Duration::ZERO, ..quick() });
    drop(bench.lease().await.unwrap());
    bench.until(|status| status.is_some_and(|s| s.open == 0)).await;

    let bench = Bench::new(quick());
    let mut lease = bench.lease().await.unwrap();
    let begun = lease.run(soon(), |connection| {
        async move {
            let TenantConnection::Sqlite(connection) = connection else { panic!("SQLite") };
            std::mem::forget(sqlx::Connection::begin(connection).await?);
            Ok(())
        }
        .boxed()
    });
    begun.await.unwrap();
    drop(lease);
    bench.until(|status| status.is_some_and(|s| s.closed_total == 1 && s.leased == 0)).await;
}

#[tokio::test]
async fn waiters_are_bounded_in_number_and_in_time() {
    let mut bench = Bench::new(quick());
    bench.spec.limits = LaneLimits::with_connections(1);
    bench.spec.limits.acquire_timeout = Duration::from_millis(300);
    bench.spec.limits.max_waiting = 4;
    let held = bench.lease().await.unwrap();
    let outcomes = join_all((0..20).map(|_| bench.lease())).await;
    let count = |code: &str| {
        let is = |outcome: &&Result<Lease, PoolFault>| outcome.as_ref().unwrap_err().code() == code;
        outcomes.iter().filter(is).count()
    };
    assert_eq!((count("acquire_timeout"), count("saturated")), (4, 16));
    assert_eq!(bench.status().unwrap().saturated_total, 20);
    drop(held);
    assert!(bench.lease().await.is_ok());
    assert_eq!(bench.pools.breaker_status(bench.spec.tenant).unwrap().state, BreakerState::Closed);
}

#[tokio::test]
async fn a_retired_lane_lets_its_leases_finish_and_its_waiters_move_on() {
    let mut bench = Bench::new(quick());
    bench.spec.limits = LaneLimits::with_connections(1);
    bench.spec.limits.acquire_timeout = Duration::from_secs(10);
    let mut old = bench.lease().await.unwrap();
    let mut waiter = Box::pin(bench.lease());
    assert!((&mut waiter).now_or_never().is_none());
    bench.pools.retire(bench.spec.tenant);
    let mut fresh = waiter.await.unwrap();
    assert_eq!(bench.opens(), 2, "the waiter got a connection of a new lane");
    assert_eq!(old.run(soon(), one).await, Ok(1));
    assert_eq!(fresh.run(soon(), one).await, Ok(1));
    let brief = Deadline::after(Duration::from_millis(50));
    assert!(!bench.pools.drain(bench.spec.tenant, brief).await, "a lease is out");
    drop((old, fresh));
    assert!(bench.pools.drain(bench.spec.tenant, soon()).await);
    assert_eq!(bench.status(), None);
}

#[tokio::test]
async fn a_retired_lane_ends_by_its_backstop() {
    let config = PoolConfig { retire_backstop: Duration::from_millis(50), ..quick() };
    let bench = Bench::new(config);
    let mut lease = bench.lease().await.unwrap();
    let running = lease.run(soon(), endless);
    bench.pools.retire(bench.spec.tenant);
    assert_eq!(running.await, Err(PoolFault::Retired));
    assert!(bench.pools.drain(bench.spec.tenant, soon()).await);
}

#[tokio::test]
async fn a_new_revision_replaces_the_lane_and_an_old_one_is_refused() {
    let bench = Bench::new(quick());
    let held = bench.lease().await.unwrap();
    let newer = LaneSpec { revision: ConnectionRevision(2), ..bench.spec.clone() };
    drop(bench.pools.lease(&newer, soon()).await.unwrap());
    assert_eq!(bench.status().unwrap().revision, ConnectionRevision(2));
    assert_eq!(bench.lease().await.unwrap_err(), PoolFault::Superseded);
    drop(held);
    drop(bench.pools.lease(&newer, soon()).await.unwrap());
    assert_eq!(bench.opens(), 2, "the old lane's connection was not put on the new shelf");
}

#[tokio::test]
async fn the_budget_is_shared_and_taken_from_the_lane_unused_longest() {
    let bench = Bench::new(PoolConfig { total_connections: 2, ..quick() });
    let (a, b, c) = (Bench::tenant(), Bench::tenant(), Bench::tenant());
    drop(bench.pools.lease(&a, soon()).await.unwrap());
    drop(bench.pools.lease(&b, soon()).await.unwrap());
    let of_c = bench.pools.lease(&c, soon()).await.unwrap();
    let open = |spec: &LaneSpec| bench.pools.status(spec.tenant).unwrap().open;
    assert_eq!((open(&a), open(&b), open(&c)), (0, 1, 1));
    let of_b = bench.pools.lease(&b, soon()).await.unwrap();
    let mut hasty = a.clone();
    hasty.limits.acquire_timeout = Duration::from_millis(100);
    assert_eq!(bench.pools.lease(&hasty, soon()).await.unwrap_err(), PoolFault::BudgetSpent);
    // One given back while somebody waits goes to him.
    let waiting = tokio::spawn({
        let (pools, a) = (bench.pools.clone(), a.clone());
        async move { pools.lease(&a, soon()).await.is_ok() }
    });
    while bench.pools.inner.budget.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    drop(of_b);
    assert!(waiting.await.unwrap());
    drop(of_c);
}

#[tokio::test]
async fn a_spent_budget_goes_round_by_weight_whoever_asks_most() {
    let bench = Bench::new(PoolConfig { total_connections: 1, ..quick() });
    let weighing = |weight| {
        let acquire_timeout = Duration::from_mins(5);
        let limits = LaneLimits { acquire_timeout, weight, ..LaneLimits::with_connections(100) };
        LaneSpec { limits, ..Bench::tenant() }
    };
    let (loud, quiet, heavy) = (weighing(1), weighing(1), weighing(2));
    let held = bench.pools.lease(&Bench::tenant(), soon()).await.unwrap();
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut callers = tokio::task::JoinSet::new();
    for (spec, count) in [(&loud, 60), (&quiet, 3), (&heavy, 6)] {
        for _ in 0..count {
            let (pools, spec, order) = (bench.pools.clone(), spec.clone(), Arc::clone(&order));
            callers.spawn(async move {
                let deadline = Deadline::after(Duration::from_mins(5));
                let lease = pools.lease(&spec, deadline).await.unwrap();
                order.lock().unwrap().push(spec.tenant);
                drop(lease);
            });
        }
    }
    while bench.pools.inner.budget.waiting() < 69 {
        tokio::task::yield_now().await;
    }
    drop(held);
    callers.join_all().await;
    let order = order.lock().unwrap();
    let turns = |spec: &LaneSpec| order[..12].iter().filter(|t| **t == spec.tenant).count();
    assert_eq!([turns(&loud), turns(&quiet), turns(&heavy)], [3, 3, 6], "{order:?}");
    assert_eq!(order.len(), 69);
    let status = bench.pools.status(loud.tenant).unwrap();
    assert_eq!(status.open, 1, "alone, it goes on with the connection it has");
    assert!(status.created_total < 10, "{status:?}");
}

#[tokio::test]
async fn one_waiting_to_open_takes_what_is_put_back_in_its_own_lane() {
    let bench = Bench::new(PoolConfig { total_connections: 1, ..quick() });
    let first = bench.lease().await.unwrap();
    let second = tokio::spawn({
        let (pools, spec) = (bench.pools.clone(), bench.spec.clone());
        async move { pools.lease(&spec, soon()).await.map(drop) }
    });
    while bench.pools.inner.budget.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    drop(first);
    second.await.unwrap().unwrap();
    assert_eq!(bench.opens(), 1, "no connection was closed to open another");
    assert_eq!(bench.pools.inner.budget.waiting(), 0);
}

#[tokio::test]
async fn the_wrong_server_is_refused_before_anything_is_read() {
    let bench = Bench::new(quick());
    bench.mood(Mood::Elsewhere);
    for _ in 0..20 {
        let fault = bench.lease().await.unwrap_err();
        assert_eq!((fault.kind(), fault), (FaultKind::Integrity, PoolFault::WrongServer));
    }
    assert_eq!(bench.opens(), 1, "the lane refuses without asking again");
    let status = bench.status().unwrap();
    assert_eq!((status.open, status.leased, status.identity), (0, 0, None));
    assert_eq!(bench.pools.breaker_status(bench.spec.tenant).unwrap().state, BreakerState::Closed);

    let any = LaneSpec { expected: None, revision: ConnectionRevision(2), ..bench.spec.clone() };
    assert_eq!(bench.pools.lease(&any, soon()).await.unwrap().identity(), &identity("b"));
}

#[tokio::test]
async fn what_fails_to_open_opens_the_breaker_and_a_new_revision_closes_it() {
    for (mood, opens, reason) in [
        (Mood::Fails(DialClass::Refused), 5, "refused"),
        (Mood::Fails(DialClass::Resolve), 5, "resolve"),
        (Mood::Fails(DialClass::Auth), 1, "auth"),
        (Mood::Panics, 5, "hostile"),
    ] {
        let bench = Bench::new(quick());
        bench.mood(mood);
        for _ in 0..20 {
            assert!(bench.lease().await.is_err());
        }
        assert_eq!(bench.opens(), opens, "{mood:?}");
        let breaker = bench.pools.breaker_status(bench.spec.tenant).unwrap();
        assert_eq!((breaker.state, breaker.last_reason), (BreakerState::Open, Some(reason.into())));
        bench.mood(Mood::Opens);
        let newer = LaneSpec { revision: ConnectionRevision(2), ..bench.spec.clone() };
        assert!(bench.pools.lease(&newer, soon()).await.is_ok());
    }
}

#[tokio::test]
async fn a_connection_nobody_waits_for_any_more_goes_to_the_shelf() {
    let bench = Bench::with_dialer(quick(), Duration::from_millis(50));
    let mut impatient = Box::pin(bench.lease());
    assert!((&mut impatient).now_or_never().is_none());
    drop(impatient);
    bench.until(|status| status.is_some_and(|s| s.idle == 1 && s.leased == 0)).await;
    drop(bench.lease().await.unwrap());
    assert_eq!(bench.opens(), 1);
}

#[tokio::test]
async fn a_hanging_attempt_holds_nobody_longer_than_his_deadline() {
    let config = PoolConfig { connect_timeout: Duration::from_millis(300), ..quick() };
    let bench = Bench::new(config);
    bench.mood(Mood::Hangs);
    let brief = Deadline::after(Duration::from_millis(30));
    let fault = bench.pools.lease(&bench.spec, brief).await.unwrap_err();
    assert_eq!(fault, PoolFault::Timeout);
    assert_eq!(bench.lease().await.unwrap_err().kind(), FaultKind::Timeout);
    bench.until(|status| status.is_some_and(|s| s.leased == 0 && s.failed_total == 2)).await;
}

#[tokio::test]
async fn closing_ends_everything_within_its_time() {
    let bench = Bench::new(quick());
    let other = Bench::tenant();
    drop(bench.lease().await.unwrap());
    let mut stuck = bench.pools.lease(&other, soon()).await.unwrap();
    let running = tokio::spawn(async move { stuck.run(soon(), endless).await });
    tokio::task::yield_now().await;
    bench.pools.close(Deadline::after(Duration::from_millis(50))).await;
    assert_eq!(running.await.unwrap(), Err(PoolFault::Retired));
    assert_eq!(bench.lease().await.unwrap_err(), PoolFault::Closed);
    let admitted = bench.pools.admit(other.tenant, &TenantLimits::default());
    assert_eq!(admitted.unwrap_err(), PoolFault::Closed);
    assert!(bench.pools.statuses().is_empty());
}

#[tokio::test]
async fn a_tenant_unheard_of_for_long_is_forgotten_unless_its_breaker_is_open() {
    let bench = Bench::new(PoolConfig { forget_after: Duration::from_millis(50), ..quick() });
    let sick = Bench::tenant();
    let admission = bench.pools.admit(bench.spec.tenant, &TenantLimits::default()).unwrap();
    bench.mood(Mood::Fails(DialClass::Auth));
    assert!(bench.pools.lease(&sick, soon()).await.is_err());
    bench.pools.retire(sick.tenant);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(bench.pools.breaker_status(bench.spec.tenant).is_some(), "in use");
    drop(admission);
    let limit = soon();
    while bench.pools.breaker_status(bench.spec.tenant).is_some() && !limit.passed() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(bench.pools.breaker_status(bench.spec.tenant), None);
    assert!(bench.pools.breaker_status(sick.tenant).is_some());
}
