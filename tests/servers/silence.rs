//! Servers that fall silent, and servers that only take their time, with the lanes' settings as delivered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use sqlx::{Executor as _, Row as _};
use wardgate::base::{
    ConnectionRecord, ConnectionRevision, Deadline, Fault as _, FaultKind, SystemClock, TenantId,
};
use wardgate::pool::dial::{DialConfig, Dialer, EgressRules, TenantConnection};
use wardgate::pool::{
    BreakerState, Dial, LaneLimits, LaneSpec, Lease, PoolConfig, PoolFault, Pools, RecordFault,
    RecordMark, RecordSource,
};

use super::fault_proxy::{Fault, FaultProxy, Side};
use super::harness::{Database, MariaDb, Postgres};
use super::stoppable::Stoppable;

/// 1.5 s is promised and measured by the benches; the rest is room for a busy machine. Without looking, a
/// caller waits for her deadline.
const BOUND: Duration = Duration::from_secs(4);
/// 10 s are promised.
const RECOVERY: Duration = Duration::from_secs(15);

const SILENCE: Fault = Fault::Freeze { side: Side::Both, after: 0 };

struct Source(ConnectionRecord);

impl RecordSource for Source {
    fn record(&self) -> BoxFuture<'_, Result<ConnectionRecord, RecordFault>> {
        async { Ok(self.0.clone()) }.boxed()
    }
}

struct Bench {
    pools: Pools,
    spec: LaneSpec,
    _sockets: tempfile::TempDir,
}

fn patience() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

fn text<'c>(
    connection: &'c mut TenantConnection,
    sql: &'static str,
) -> BoxFuture<'c, Result<String, sqlx::Error>> {
    async move {
        match connection {
            TenantConnection::Postgres(c) => {
                let mut rows = c.rows(sql).await?;
                rows.pop().and_then(|mut row| row.pop()).flatten().ok_or(sqlx::Error::RowNotFound)
            }
            TenantConnection::MySql(c) => {
                c.fetch_one(sqlx::query(sql)).await.and_then(|row| row.try_get(0))
            }
            TenantConnection::Sqlite(_) => panic!("a server"),
        }
    }
    .boxed()
}

impl Bench {
    /// A lane to `database`, reached on `port`.
    fn new(database: &Database, port: u16) -> Self {
        let sockets = tempfile::tempdir().unwrap();
        let dial = DialConfig {
            egress: EgressRules::parse(&["127.0.0.1/32:*"]).unwrap(),
            socket_dir: sockets.path().to_owned(),
            ..DialConfig::default()
        };
        let clock = Arc::new(SystemClock);
        let dialer: Arc<dyn Dial> = Arc::new(Dialer::new(dial, Arc::clone(&clock) as _));
        let mut record = database.server_record();
        record.port = port;
        let spec = LaneSpec {
            tenant: TenantId::random(),
            revision: ConnectionRevision(1),
            engine: database.engine,
            limits: LaneLimits::default(),
            expected: None,
            record: RecordMark::default(),
            source: Arc::new(Source(ConnectionRecord::Server(record))),
        };
        Self { pools: Pools::new(PoolConfig::default(), dialer, clock), spec, _sockets: sockets }
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

async fn proxied(database: &Database) -> FaultProxy {
    let address = format!("{}:{}", database.server.host, database.server.port);
    FaultProxy::start(address.parse::<SocketAddr>().unwrap()).await
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
