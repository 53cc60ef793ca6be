//! An account that the server refuses, while connections that were opened before are served.

use super::*;

#[tokio::test]
async fn open_connections_serve_on_when_the_account_is_refused_and_nobody_logs_in() {
    let bench = Bench::new(quick());
    let breaker = || bench.pools.breaker_status(bench.spec.tenant).unwrap();
    let first = bench.lease().await.unwrap();
    bench.mood(Mood::Fails(DialClass::Auth));
    // More at once than the lane may open, none of whom is refused.
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (pools, spec) = (bench.pools.clone(), bench.spec.clone());
            tokio::spawn(async move { pools.lease(&spec, soon()).await?.run(soon(), one).await })
        })
        .collect();
    bench.until(|status| status.is_some_and(|s| s.failed_total > 0)).await;
    drop(first);
    for caller in callers {
        assert_eq!(caller.await.unwrap(), Ok(1));
    }
    let tried = bench.opens();
    assert!(tried <= 5, "{tried}");
    assert_eq!(
        (breaker().state, breaker().last_reason),
        (BreakerState::Closed, Some("auth".into()))
    );

    // Hospitals lock accounts after a few failed logins: whoever comes waits for what there is.
    let held = bench.lease().await.unwrap();
    let brief = Deadline::after(Duration::from_millis(200));
    assert_eq!(bench.pools.lease(&bench.spec, brief).await.unwrap_err(), PoolFault::Timeout);
    drop(held);
    assert!(bench.lease().await.is_ok());
    assert_eq!(bench.opens(), tried);

    // Without any the breaker is open for the rest of the time.
    bench.pools.retire(bench.spec.tenant);
    for _ in 0..3 {
        let fault = bench.lease().await.unwrap_err();
        assert!(
            matches!(&fault, PoolFault::BreakerOpen { reason, .. } if reason == "auth"),
            "{fault}"
        );
    }
    assert_eq!((breaker().state, bench.opens()), (BreakerState::Open, tried));

    // An operator who has seen to it need not wait, and it is all forgotten.
    bench.mood(Mood::Opens);
    bench.pools.reset_breaker(bench.spec.tenant);
    let (one, two) = (bench.lease().await, bench.lease().await);
    assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
}

#[tokio::test]
async fn a_check_that_there_is_no_time_for_costs_no_connection() {
    let bench = Bench::new(PoolConfig { check_after_idle: Duration::ZERO, ..quick() });
    let (first, second) = (bench.lease().await.unwrap(), bench.lease().await.unwrap());
    drop((first, second));
    for _ in 0..3 {
        let passed = Deadline::after(Duration::ZERO);
        let fault = bench.pools.lease(&bench.spec, passed).await.unwrap_err();
        assert_eq!(fault, PoolFault::Timeout);
    }
    let status = bench.status().unwrap();
    assert_eq!((status.idle, status.created_total), (2, 2), "{status:?}");
}
