use super::*;

/// A statement during which the connection is marked, as a foreign row would be.
fn mark(connection: &mut TenantConnection) -> BoxFuture<'_, Result<(), sqlx::Error>> {
    async move {
        let TenantConnection::Sqlite(connection) = connection else { panic!("SQLite") };
        connection.execute("CREATE TEMP TABLE mark(a)").await?;
        tokio::time::sleep(Duration::from_micros(200)).await;
        connection.execute("DROP TABLE mark").await?;
        Ok(())
    }
    .boxed()
}

fn marked(connection: &mut TenantConnection) -> BoxFuture<'_, Result<i64, sqlx::Error>> {
    async move {
        let TenantConnection::Sqlite(connection) = connection else { panic!("SQLite") };
        sqlx::query_scalar("SELECT count(*) FROM sqlite_temp_master").fetch_one(connection).await
    }
    .boxed()
}

#[tokio::test]
async fn a_thousand_callers_who_go_away_cost_no_permit_and_leave_no_mark() {
    let mut bench = Bench::with_dialer(quick(), Duration::from_micros(300));
    bench.spec.limits.max_waiting = 1_000;
    let mut served = 0;
    for round in 0..100_u64 {
        let calls = (0..10_u64).map(|caller| {
            let bench = &bench;
            async move {
                let patience = Duration::from_micros((round * 37 + caller * 211) % 3_000);
                tokio::time::timeout(patience, async {
                    let mut lease = bench.lease().await?;
                    assert_eq!(lease.run(soon(), marked).await, Ok(0), "a dirty connection");
                    lease.run(soon(), mark).await
                })
                .await
            }
        });
        served += join_all(calls).await.iter().filter(|outcome| outcome.is_ok()).count();
    }
    assert!(served < 1_000, "some went away");
    bench.until(|status| status.is_some_and(|s| s.leased == 0 && s.waiting == 0)).await;
    let all = join_all((0..5).map(|_| bench.lease())).await;
    assert!(all.iter().all(Result::is_ok), "every permit is there");
    assert!(bench.dialer.canceller.cancels.load(SeqCst) > 0, "some went away in a statement");
    for mut lease in all.into_iter().flatten() {
        assert_eq!(lease.run(soon(), marked).await, Ok(0));
    }
    let status = bench.status().unwrap();
    assert!(status.open <= 5, "{status:?}");
}

#[tokio::test]
async fn a_statement_past_its_deadline_is_stopped_in_the_server_and_its_connection_closed() {
    let bench = Bench::new(quick());
    let mut lease = bench.lease().await.unwrap();
    let brief = Deadline::after(Duration::from_millis(20));
    assert_eq!(lease.run(brief, endless).await, Err(PoolFault::Timeout));
    assert_eq!(lease.run(soon(), one).await, Err(PoolFault::Discarded));
    drop(lease);
    bench.until(|status| status.is_some_and(|s| s.open == 0 && s.leased == 0)).await;
    assert_eq!(bench.dialer.canceller.cancels.load(SeqCst), 1);
    let status = bench.status().unwrap();
    assert_eq!((status.timeouts_total, status.last_error.unwrap().0), (1, "timeout".into()));
    let breaker = bench.pools.breaker_status(bench.spec.tenant).unwrap();
    assert_eq!(breaker.last_reason, None, "the server reacted, so it is alive");
}

#[tokio::test]
async fn a_deadline_already_past_touches_nothing() {
    let bench = Bench::new(quick());
    let mut lease = bench.lease().await.unwrap();
    let past = Deadline::after(Duration::ZERO);
    assert_eq!(lease.run(past, endless).await, Err(PoolFault::Timeout));
    assert_eq!(lease.run(soon(), one).await, Ok(1));
    assert_eq!(bench.dialer.canceller.cancels.load(SeqCst), 0);
}

#[tokio::test]
async fn a_lease_whose_statement_was_dropped_serves_no_other() {
    let bench = Bench::new(quick());
    let mut lease = bench.lease().await.unwrap();
    assert!(lease.run(soon(), endless).now_or_never().is_none());
    assert_eq!(lease.run(soon(), one).await, Err(PoolFault::Discarded));
    bench.until(|status| status.is_some_and(|s| s.open == 0 && s.leased == 0)).await;
    assert_eq!(bench.dialer.canceller.cancels.load(SeqCst), 1);
}

#[tokio::test]
async fn nothing_more_is_said_on_a_lane_that_was_cut_off() {
    let none = Duration::ZERO;
    let config =
        PoolConfig { cancel_timeout: none, check_timeout: none, close_timeout: none, ..quick() };
    let bench = Bench::new(config);
    let mut lease = bench.lease().await.unwrap();
    // A lease between two statements; those who close its lane do not wait for it.
    bench.pools.close(Deadline::after(none)).await;
    let begun = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = Arc::clone(&begun);
    let outcome = lease.run(soon(), move |_connection| {
        async move {
            begun.store(true, SeqCst);
            Ok(())
        }
        .boxed()
    });
    assert_eq!(outcome.await, Err(PoolFault::Retired));
    assert!(!seen.load(SeqCst), "the statement was begun");
    assert_eq!(lease.run(soon(), one).await, Err(PoolFault::Discarded));
}

#[tokio::test]
async fn errors_are_sorted_and_harmless_ones_keep_the_connection() {
    let bench = Bench::new(quick());
    for (sql, kind) in [
        ("SELECT a FROM nowhere", FaultKind::Mapping),
        ("SELECT 1; INSERT INTO t VALUES (NULL)", FaultKind::Invalid),
    ] {
        for _ in 0..10 {
            let mut lease = bench.lease().await.unwrap();
            lease.run(soon(), |connection| one_off(connection, TABLE)).await.unwrap();
            let fault = lease.run(soon(), |connection| one_off(connection, sql)).await.unwrap_err();
            assert_eq!(fault.kind(), kind, "{fault}");
        }
    }
    assert_eq!(bench.opens(), 1);
    let mut lease = bench.lease().await.unwrap();
    assert_eq!(lease.run(soon(), gone).await.unwrap_err().kind(), FaultKind::Unavailable);
    drop(lease);
    bench.until(|status| status.is_some_and(|s| s.open == 0)).await;
}

const TABLE: &str = "CREATE TEMP TABLE IF NOT EXISTS t(a NOT NULL)";

fn gone(_: &mut TenantConnection) -> BoxFuture<'_, Result<(), sqlx::Error>> {
    async { Err(sqlx::Error::Io(std::io::Error::other("gone"))) }.boxed()
}

fn one_off<'c>(
    connection: &'c mut TenantConnection,
    sql: &'static str,
) -> BoxFuture<'c, Result<(), sqlx::Error>> {
    async move {
        let TenantConnection::Sqlite(connection) = connection else { panic!("SQLite") };
        connection.execute(sql).await.map(|_| ())
    }
    .boxed()
}
