//! Lanes over real servers, and over a network that breaks.

use std::time::Duration;

use futures_util::future::join_all;
use wardgate::base::{Deadline, Engine, Fault as _, FaultKind};
use wardgate::pool::{
    BreakerConfig, BreakerState, LaneLimits, LaneSpec, Lease, PoolConfig, PoolFault, Pools,
};

use super::fault_proxy::FaultProxy;
use super::harness::{Database, MariaDb, Postgres};
use super::lane_bed::{SILENCE, lane, pools, proxied, text};

struct Bench {
    pools: Pools,
    spec: LaneSpec,
    _sockets: tempfile::TempDir,
    maintenance: tokio::task::JoinHandle<()>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.maintenance.abort();
    }
}

/// Waits that end soon, for tests that break the network.
fn brief() -> PoolConfig {
    let short = Duration::from_millis(60);
    PoolConfig {
        tick: Duration::from_millis(50),
        cancel_timeout: short,
        check_timeout: short,
        close_timeout: short,
        ..PoolConfig::default()
    }
}

/// Waits a loaded machine can meet.
fn patient() -> PoolConfig {
    PoolConfig {
        tick: Duration::from_millis(50),
        connect_timeout: Duration::from_secs(20),
        cancel_timeout: Duration::from_secs(10),
        ..PoolConfig::default()
    }
}

impl Bench {
    /// Lanes to `database`, by way of `proxy` if there is one.
    fn new(config: PoolConfig, database: &Database, proxy: Option<&FaultProxy>) -> Self {
        let (pools, sockets) = pools(config);
        let port = proxy.map_or(database.server.port, |proxy| proxy.address().port());
        let mut limits = LaneLimits::with_connections(5);
        limits.acquire_timeout = Duration::from_secs(20);
        limits.max_waiting = 1_000;
        limits.session.statement_timeout = Duration::from_mins(1);
        let spec = lane(database, port, limits);
        let maintenance = tokio::spawn(
            pools.clone().run_maintenance(tokio_util::sync::CancellationToken::default()),
        );
        Self { pools, spec, _sockets: sockets, maintenance }
    }

    async fn lease(&self) -> Result<Lease, PoolFault> {
        self.pools.lease(&self.spec, soon()).await
    }

    async fn settled(&self) {
        let limit = soon();
        loop {
            let Some(status) = self.pools.status(self.spec.tenant) else { return };
            if status.leased == 0 && status.open == status.idle {
                assert!(status.open <= status.max);
                return;
            }
            assert!(!limit.passed(), "{status:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Every permit can be had at once, and every connection serves.
    async fn whole(&self) {
        self.settled().await;
        let mut all = join_all((0..5).map(|_| self.lease())).await;
        for lease in &mut all {
            let lease = lease.as_mut().unwrap();
            assert_eq!(lease.run(soon(), |c| text(c, "SELECT 'x'")).await.as_deref(), Ok("x"));
        }
        drop(all);
        self.settled().await;
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

/// Sessions of the database's owner that the server knows, and how many of them execute.
async fn sessions(database: &Database) -> (i64, i64) {
    const POSTGRES: &str = "SELECT count(*), count(*) FILTER (WHERE state = 'active') \
        FROM pg_stat_activity WHERE usename = $1";
    const MARIADB: &str = "SELECT count(*), CAST(coalesce(sum(command <> 'Sleep'), 0) AS SIGNED) \
        FROM information_schema.processlist WHERE user = ?";
    if database.engine == Engine::Postgres {
        let mut admin = Postgres::admin().await;
        sqlx::query_as(POSTGRES).bind(&database.user).fetch_one(&mut admin).await.unwrap()
    } else {
        let mut admin = MariaDb::admin().await;
        sqlx::query_as(MARIADB).bind(&database.user).fetch_one(&mut admin).await.unwrap()
    }
}

async fn until_sessions(database: &Database, wanted: impl Fn((i64, i64)) -> bool) {
    let limit = soon();
    loop {
        let now = sessions(database).await;
        if wanted(now) {
            return;
        }
        assert!(!limit.passed(), "(sessions, executing) = {now:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn both() -> [(Database, &'static str); 2] {
    let (postgres, mariadb) = tokio::join!(Postgres::database(), MariaDb::database());
    [(postgres, "SELECT pg_sleep(50)::text"), (mariadb, "SELECT CAST(sleep(50) AS CHAR)")]
}

#[tokio::test]
async fn a_statement_nobody_waits_for_is_stopped_in_the_server() {
    for (database, sleep) in both().await {
        let bench = Bench::new(patient(), &database, None);
        let mut lease = bench.lease().await.unwrap();
        let running = tokio::spawn(async move { lease.run(soon(), |c| text(c, sleep)).await });
        until_sessions(&database, |now| now == (1, 1)).await;
        running.abort();
        until_sessions(&database, |now| now == (0, 0)).await;
        bench.whole().await;
    }
}

#[tokio::test]
async fn a_statement_past_its_deadline_is_stopped_in_the_server() {
    for (database, sleep) in both().await {
        let bench = Bench::new(patient(), &database, None);
        let mut lease = bench.lease().await.unwrap();
        let short = Deadline::after(Duration::from_millis(300));
        let outcome = lease.run(short, |c| text(c, sleep)).await;
        assert_eq!(outcome, Err(PoolFault::Timeout));
        until_sessions(&database, |now| now == (0, 0)).await;
        let breaker = bench.pools.breaker_status(bench.spec.tenant).unwrap();
        assert_eq!(breaker.last_reason, None, "the server obeyed, so it is well");
        bench.whole().await;
    }
}

#[tokio::test]
async fn the_servers_own_limit_ends_a_statement_and_keeps_the_connection() {
    for (database, sleep) in both().await {
        let mut bench = Bench::new(patient(), &database, None);
        bench.spec.limits.session.statement_timeout = Duration::from_secs(1);
        let mut lease = bench.lease().await.unwrap();
        let fault = lease.run(soon(), |c| text(c, sleep)).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Timeout, "{fault}");
        assert_eq!(lease.run(soon(), |c| text(c, "SELECT 'x'")).await.as_deref(), Ok("x"));
        drop(lease);
        assert_eq!(bench.pools.status(bench.spec.tenant).unwrap().created_total, 1);
    }
}

#[tokio::test]
async fn two_hundred_first_callers_open_five_sessions_at_most() {
    for (database, _) in both().await {
        let bench = Bench::new(patient(), &database, None);
        let answers = join_all((0..200).map(|_| async {
            let mut lease = bench.lease().await?;
            lease.run(soon(), |c| text(c, "SELECT 'x'")).await
        }))
        .await;
        assert!(answers.iter().all(|answer| answer.as_deref() == Ok("x")));
        let status = bench.pools.status(bench.spec.tenant).unwrap();
        assert!((1..=5).contains(&status.created_total), "{status:?}");
        assert_eq!(sessions(&database).await.0, i64::from(status.open));
    }
}

#[tokio::test]
async fn a_thousand_callers_who_go_away_cost_no_permit_and_leave_no_mark() {
    const MARK: &str = "SELECT set_config('ward.mark', 'left', false) || pg_sleep(0.002)::text";
    const CLEAR: &str = "SELECT set_config('ward.mark', '', false)";
    const READ: &str = "SELECT coalesce(current_setting('ward.mark', true), '')";
    let database = Postgres::database().await;
    let bench = Bench::new(patient(), &database, None);
    for round in 0..50_u64 {
        join_all((0..20_u64).map(|caller| {
            let bench = &bench;
            async move {
                let patience = Duration::from_micros((round * 173 + caller * 1_511) % 30_000);
                let call = async {
                    let mut lease = bench.lease().await.unwrap();
                    assert_eq!(lease.run(soon(), |c| text(c, READ)).await.as_deref(), Ok(""));
                    lease.run(soon(), |c| text(c, MARK)).await.unwrap();
                    lease.run(soon(), |c| text(c, CLEAR)).await.unwrap();
                };
                tokio::time::timeout(patience, call).await.is_ok()
            }
        }))
        .await;
    }
    bench.settled().await;
    let mut all = join_all((0..5).map(|_| bench.lease())).await;
    for lease in &mut all {
        let mark = lease.as_mut().unwrap().run(soon(), |c| text(c, READ)).await;
        assert_eq!(mark.as_deref(), Ok(""));
    }
    drop(all);
    bench.whole().await;
    assert!(sessions(&database).await.0 <= 5);
}

#[tokio::test]
async fn an_idle_lane_leaves_the_server_without_traffic() {
    for (database, _) in both().await {
        let config = PoolConfig { idle_timeout: Duration::from_secs(1), ..patient() };
        let bench = Bench::new(config, &database, None);
        drop(bench.lease().await.unwrap());
        until_sessions(&database, |now| now.0 == 1).await;
        until_sessions(&database, |now| now.0 == 0).await;
        assert_eq!(bench.pools.status(bench.spec.tenant), None);
    }
}

#[tokio::test]
async fn nobody_notices_that_the_server_ended_its_sessions() {
    let database = Postgres::database().await;
    let bench = Bench::new(patient(), &database, None);
    bench.whole().await;
    sqlx::query("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = $1")
        .bind(&database.user)
        .execute(&mut Postgres::admin().await)
        .await
        .unwrap();
    for _ in 0..10 {
        let mut lease = bench.lease().await.unwrap();
        assert_eq!(lease.run(soon(), |c| text(c, "SELECT 'x'")).await.as_deref(), Ok("x"));
    }
    bench.whole().await;
}

#[tokio::test]
async fn nobody_notices_that_mariadb_ended_its_sessions() {
    let database = MariaDb::database().await;
    let bench = Bench::new(patient(), &database, None);
    for round in 1..=3 {
        for _ in 0..20 {
            let mut lease = bench.lease().await.unwrap();
            assert_eq!(lease.run(soon(), |c| text(c, "SELECT 'x'")).await.as_deref(), Ok("x"));
        }
        assert_eq!(bench.pools.status(bench.spec.tenant).unwrap().created_total, round);
        let kill = format!("KILL HARD USER {}", database.user);
        sqlx::raw_sql(&kill).execute(&mut MariaDb::admin().await).await.unwrap();
        until_sessions(&database, |now| now.0 == 0).await;
        tokio::time::sleep(Duration::from_millis(200)).await; // for the end of the stream to get here
    }
}

#[tokio::test]
async fn a_wrong_server_is_closed_before_a_row_is_read() {
    let (one, other) = tokio::join!(Postgres::database(), Postgres::database());
    let known = Bench::new(patient(), &one, None).lease().await.unwrap().identity().clone();
    let mut bench = Bench::new(patient(), &other, None);
    bench.spec.expected = Some(known);
    assert_eq!(bench.lease().await.unwrap_err(), PoolFault::WrongServer);
    until_sessions(&other, |now| now.0 == 0).await;
}

#[tokio::test]
async fn a_hundred_silences_cost_no_permit() {
    for (database, _) in both().await {
        let proxy = proxied(&database).await;
        let bench = Bench::new(brief(), &database, Some(&proxy));
        bench.whole().await;
        for cycle in 0..50 {
            let mut lease = bench.lease().await.unwrap();
            proxy.set(SILENCE).await;
            let short = Deadline::after(Duration::from_millis(50));
            let outcome = lease.run(short, |c| text(c, "SELECT 'x'")).await;
            assert_eq!(outcome, Err(PoolFault::Timeout), "{cycle}");
            drop(lease);
            proxy.heal().await;
            let mut lease = bench.lease().await.unwrap();
            let outcome = lease.run(soon(), |c| text(c, "SELECT 'x'")).await;
            assert_eq!(outcome.as_deref(), Ok("x"), "{cycle}");
        }
        bench.whole().await;
    }
}

#[tokio::test]
async fn a_silent_server_opens_the_breaker_and_recovers_by_a_single_probe() {
    let database = Postgres::database().await;
    let proxy = proxied(&database).await;
    let second = Duration::from_secs(1);
    let breaker = BreakerConfig { open_for: second, open_at_most: second, ..Default::default() };
    let config = PoolConfig { breaker, connect_timeout: second, ..brief() };
    let bench = Bench::new(config, &database, Some(&proxy));
    bench.whole().await;
    proxy.set(SILENCE).await;
    let state = || bench.pools.breaker_status(bench.spec.tenant).unwrap().state;
    let limit = soon();
    while state() != BreakerState::Open {
        assert!(!limit.passed());
        let Ok(mut lease) = bench.lease().await else { continue };
        let short = Deadline::after(Duration::from_millis(50));
        assert!(lease.run(short, |c| text(c, "SELECT 'x'")).await.is_err());
    }
    let refused = bench.lease().await.unwrap_err();
    assert!(matches!(refused, PoolFault::BreakerOpen { .. }), "{refused}");
    assert_eq!(refused.retry_after_secs(), Some(1));

    proxy.heal().await;
    let limit = soon();
    while state() != BreakerState::Closed {
        assert!(!limit.passed());
        // The second lease of the pair is turned away while the first one probes.
        let (first, second) = tokio::join!(bench.lease(), bench.lease());
        assert!(first.is_err() || second.is_err());
        for mut lease in [first, second].into_iter().flatten() {
            let _outcome = lease.run(soon(), |c| text(c, "SELECT 'x'")).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bench.whole().await;
}
