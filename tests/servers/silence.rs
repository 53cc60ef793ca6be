//! Servers that fall silent, and servers that only take their time, with the lanes' settings as delivered but
//! for the statement's own limit.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use wardgate::base::{Deadline, Fault as _, FaultKind};
use wardgate::pool::{BreakerState, LaneLimits, LaneSpec, Lease, PoolConfig, PoolFault, Pools};

use super::harness::{Database, MariaDb, Postgres};
use super::lane_bed::{SILENCE, lane, pools, proxied, text};
use super::stoppable::Stoppable;

/// 1.5 s is promised and measured by the benches; the rest is room for a busy machine. Without looking, a
/// caller waits for her deadline.
const BOUND: Duration = Duration::from_secs(12);
/// 10 s are promised.
const RECOVERY: Duration = Duration::from_secs(30);

struct Bench {
    pools: Pools,
    spec: LaneSpec,
    _sockets: tempfile::TempDir,
}

fn patience() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

impl Bench {
    /// A lane to `database`, reached on `port`.
    fn new(database: &Database, port: u16) -> Self {
        let (pools, sockets) = pools(PoolConfig::default());
        let mut limits = LaneLimits::default();
        // So that nothing else ends a statement within the bound.
        limits.session.statement_timeout = Duration::from_mins(1);
        Self { pools, spec: lane(database, port, limits), _sockets: sockets }
    }

    async fn lease(&self) -> Result<Lease, PoolFault> {
        self.pools.lease(&self.spec, patience()).await
    }

    async fn ask(&self, sql: &'static str) -> Result<String, PoolFault> {
        self.lease().await?.run(patience(), |connection| text(connection, sql)).await
    }

    fn breaker(&self) -> BreakerState {
        self.pools.breaker_status(self.spec.tenant).unwrap().state
    }

    /// More callers than there are connections, each refused with a word of when to come back, and none
    /// kept waiting.
    async fn is_silent(&self, sql: &'static str) {
        let refused = join_all((0..8).map(|_| async {
            let begun = Instant::now();
            (self.ask(sql).await, begun.elapsed())
        }));
        for (outcome, took) in refused.await {
            let fault = outcome.unwrap_err();
            assert_eq!(fault.kind(), FaultKind::Unavailable, "{fault}");
            assert!(fault.retry_after_secs().is_some_and(|seconds| seconds > 0), "{fault}");
            assert!(took < BOUND, "{fault} after {took:?}");
        }
    }

    /// Served again, with every permit there.
    async fn recovers(&self) {
        let begun = Instant::now();
        while self.ask("SELECT 'x'").await.as_deref() != Ok("x") {
            assert!(begun.elapsed() < RECOVERY, "{:?}", self.breaker());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let begun = Instant::now();
        while self.pools.status(self.spec.tenant).is_some_and(|lane| lane.leased > 0) {
            assert!(begun.elapsed() < RECOVERY, "{:?}", self.pools.status(self.spec.tenant));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let leases = join_all((0..5).map(|_| self.lease())).await;
        assert!(leases.iter().all(Result::is_ok), "{leases:?}");
    }
}

async fn both() -> [(Database, &'static str); 2] {
    let (postgres, mariadb) = tokio::join!(Postgres::database(), MariaDb::database());
    [(postgres, "SELECT pg_sleep(3)::text"), (mariadb, "SELECT CAST(sleep(3) AS CHAR)")]
}

#[tokio::test]
async fn a_network_that_swallows_every_byte_in_the_middle_of_a_statement() {
    for (database, sleep) in both().await {
        let proxy = proxied(&database).await;
        let bench = Bench::new(&database, proxy.address().port());
        bench.recovers().await;
        let (asked, ()) = tokio::join!(
            async {
                let begun = Instant::now();
                (bench.ask(sleep).await, begun.elapsed())
            },
            async {
                // The statement is under way: it was taken up, and takes longer than this.
                tokio::time::sleep(Duration::from_millis(100)).await;
                proxy.set(SILENCE).await;
            }
        );
        assert!(matches!(asked.0, Err(PoolFault::Silent { .. })), "{:?}", asked.0);
        assert!(asked.1 < BOUND, "{:?}", asked.1);
        assert_eq!(bench.breaker(), BreakerState::Open);
        bench.is_silent("SELECT 'x'").await;
        proxy.heal().await;
        bench.recovers().await;
    }
}

#[tokio::test]
async fn a_network_that_swallows_every_byte_between_statements() {
    for (database, _) in both().await {
        let proxy = proxied(&database).await;
        let bench = Bench::new(&database, proxy.address().port());
        bench.recovers().await;
        proxy.set(SILENCE).await;
        bench.is_silent("SELECT 'x'").await;
        assert_eq!(bench.breaker(), BreakerState::Open);
        proxy.heal().await;
        bench.recovers().await;
    }
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_from_the_beginning() {
    for (database, _) in both().await {
        let proxy = proxied(&database).await;
        proxy.set(SILENCE).await;
        let bench = Bench::new(&database, proxy.address().port());
        bench.is_silent("SELECT 'x'").await;
        proxy.heal().await;
        bench.recovers().await;
    }
}

#[tokio::test]
async fn a_slow_statement_of_a_server_that_is_well_is_answered() {
    for (database, sleep) in both().await {
        let bench = Bench::new(&database, database.server.port);
        let all = join_all((0..5).map(|_| bench.ask(sleep))).await;
        assert!(all.iter().all(Result::is_ok), "{all:?}");
        let breaker = bench.pools.breaker_status(bench.spec.tenant).unwrap();
        assert_eq!((breaker.state, breaker.last_reason), (BreakerState::Closed, None));
        assert_eq!(bench.pools.status(bench.spec.tenant).unwrap().created_total, 5);
    }
}

#[tokio::test]
async fn a_stopped_server_of_either_engine() {
    let (postgres, mariadb) = tokio::join!(Stoppable::postgres(), Stoppable::mariadb());
    let databases = [
        Postgres::database_on(postgres.server()).await,
        MariaDb::database_on(mariadb.server()).await,
    ];
    for (server, database) in [postgres, mariadb].iter().zip(databases) {
        let bench = Bench::new(&database, database.server.port);
        for _ in 0..2 {
            bench.recovers().await;
            server.stop();
            bench.is_silent("SELECT 'x'").await;
            assert_eq!(bench.breaker(), BreakerState::Open);
            server.go_on();
            bench.recovers().await;
        }
    }
}

#[tokio::test]
async fn a_stopped_session_among_living_ones_is_given_up_alone() {
    let database = Postgres::database().await;
    let bench = Bench::new(&database, database.server.port);
    let pid = bench.ask("SELECT pg_backend_pid()::text").await.unwrap().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let begun = Instant::now();
    let outcome = bench.ask("SELECT 'x'").await;
    let took = begun.elapsed();
    assert_eq!(bench.ask("SELECT 'x'").await.as_deref(), Ok("x"), "the next one is served at once");
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    assert!(matches!(outcome, Err(PoolFault::Silent { .. })), "{outcome:?}");
    assert!(took < BOUND, "{took:?}");
    assert_eq!(bench.breaker(), BreakerState::Closed);
    bench.recovers().await;
}
