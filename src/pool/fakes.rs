//! Connections without servers: SQLite in memory behind a dialer that obeys the test.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use futures_util::FutureExt as _;
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::Notify;

use super::dial::DialClass;
use super::*;
use crate::base::{ManualClock, SqliteRecord, Timestamp};

/// What the dialer does when asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Opens,
    Fails(DialClass),
    Hangs,
    Panics,
    Elsewhere,
}

/// Counts what it is asked and does what the mood says.
pub(super) struct FakeDialer {
    pub(super) mood: Mutex<Mood>,
    pub(super) opens: AtomicU32,
    pub(super) identified: AtomicU32,
    /// Attempts in progress now and at most so far.
    pub(super) busy: AtomicU32,
    pub(super) busiest: AtomicU32,
    pub(super) took: Duration,
    pub(super) canceller: Arc<FakeCanceller>,
}

#[derive(Default)]
pub(super) struct FakeCanceller {
    pub(super) cancels: AtomicU32,
    /// Looks made; and what they find, when there is a server at all. Faults take their time.
    pub(super) looks: AtomicU32,
    pub(super) finds: Mutex<Option<Result<Found, DialFault>>>,
    pub(super) heard: std::sync::atomic::AtomicU64,
    pub(super) silent: Mutex<bool>,
    pub(super) cancelled: Notify,
}

impl Cancel for FakeCanceller {
    fn begin(&self, _: Deadline) {}

    fn cancel(&self, deadline: Deadline) -> BoxFuture<'_, Result<(), DialFault>> {
        self.cancels.fetch_add(1, SeqCst);
        self.cancelled.notify_one();
        let silent = *self.silent.lock().unwrap();
        async move {
            if silent {
                tokio::time::sleep_until(deadline.at()).await;
                return Err(DialFault::timeout("silent"));
            }
            Ok(())
        }
        .boxed()
    }

    fn heard(&self) -> Option<u64> {
        self.finds.lock().unwrap().as_ref().map(|_| self.heard.load(SeqCst))
    }

    fn has_moved(&self, _: Deadline) -> BoxFuture<'_, bool> {
        std::future::ready(false).boxed()
    }

    fn look(&self, deadline: Deadline) -> BoxFuture<'_, Result<Found, DialFault>> {
        self.looks.fetch_add(1, SeqCst);
        let found = self.finds.lock().unwrap().clone().expect("somebody to look after");
        async move {
            if found.is_err() {
                tokio::time::sleep_until(deadline.at()).await;
            }
            found
        }
        .boxed()
    }
}

pub(super) fn identity(system: &str) -> ServerIdentity {
    let (system, database) = (system.to_owned(), "0".to_owned());
    ServerIdentity { engine: Engine::Sqlite, system, database }
}

impl Dial for FakeDialer {
    fn open<'a>(
        &'a self,
        _: &'a ConnectionRecord,
        _: &'a SessionSettings,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Dialled, DialFault>> {
        self.opens.fetch_add(1, SeqCst);
        let mood = *self.mood.lock().unwrap();
        async move {
            self.busiest.fetch_max(self.busy.fetch_add(1, SeqCst) + 1, SeqCst);
            tokio::time::sleep(self.took).await;
            self.busy.fetch_sub(1, SeqCst);
            match mood {
                Mood::Fails(class) => return Err(DialFault::new(class, "as told")),
                Mood::Hangs => tokio::time::sleep_until(deadline.at()).await,
                Mood::Panics => panic!("as told"),
                Mood::Opens | Mood::Elsewhere => {}
            }
            let connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
            Ok(Dialled {
                connection: TenantConnection::Sqlite(connection),
                canceller: Arc::clone(&self.canceller) as Arc<dyn Cancel>,
                identity: identity(if mood == Mood::Elsewhere { "b" } else { "a" }),
                facts: ServerFacts {
                    version: "3".to_owned(),
                    flavour: ServerFlavour::Sqlite,
                    encoding: None,
                    tls: false,
                    standby: false,
                    steps: Vec::new(),
                },
            })
        }
        .boxed()
    }

    fn identify<'a>(
        &'a self,
        _: &'a ConnectionRecord,
        _: &'a SessionSettings,
        _: (&'a mut TenantConnection, ServerFlavour),
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<ServerIdentity, DialFault>> {
        self.identified.fetch_add(1, SeqCst);
        let mood = *self.mood.lock().unwrap();
        async move {
            match mood {
                Mood::Fails(class) => Err(DialFault::new(class, "as told")),
                Mood::Hangs => {
                    tokio::time::sleep_until(deadline.at()).await;
                    Err(DialFault::timeout("as told"))
                }
                Mood::Panics => panic!("as told"),
                Mood::Opens => Ok(identity("a")),
                Mood::Elsewhere => Ok(identity("b")),
            }
        }
        .boxed()
    }
}

struct FakeSource;

impl RecordSource for FakeSource {
    fn record(&self) -> BoxFuture<'_, Result<ConnectionRecord, RecordFault>> {
        async { Ok(ConnectionRecord::Sqlite(SqliteRecord { file: "a.db".to_owned() })) }.boxed()
    }
}

/// A test's pools with maintenance running, and what they stand on.
pub(super) struct Bench {
    pub(super) pools: Pools,
    pub(super) dialer: Arc<FakeDialer>,
    pub(super) spec: LaneSpec,
    shutdown: tokio_util::sync::CancellationToken,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

pub(super) fn quick() -> PoolConfig {
    PoolConfig { tick: Duration::from_millis(20), ..PoolConfig::default() }
}

impl Bench {
    pub(super) fn new(config: PoolConfig) -> Self {
        Self::with_dialer(config, Duration::ZERO)
    }

    pub(super) fn with_dialer(config: PoolConfig, took: Duration) -> Self {
        let dialer = Arc::new(FakeDialer {
            mood: Mutex::new(Mood::Opens),
            opens: AtomicU32::new(0),
            identified: AtomicU32::new(0),
            busy: AtomicU32::new(0),
            busiest: AtomicU32::new(0),
            took,
            canceller: Arc::default(),
        });
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(0)));
        let pools = Pools::new(config, Arc::clone(&dialer) as Arc<dyn Dial>, clock);
        let shutdown = tokio_util::sync::CancellationToken::new();
        tokio::spawn(pools.clone().run_maintenance(shutdown.clone()));
        Self { pools, dialer, spec: Self::tenant(), shutdown }
    }

    /// A spec of a new tenant.
    pub(super) fn tenant() -> LaneSpec {
        LaneSpec {
            tenant: TenantId::random(),
            revision: ConnectionRevision(1),
            engine: Engine::Sqlite,
            // As delivered a caller gives up after a second, which a busy machine may need.
            limits: LaneLimits {
                acquire_timeout: Duration::from_secs(10),
                ..LaneLimits::default()
            },
            expected: Some(identity("a")),
            record: RecordMark::default(),
            source: Arc::new(FakeSource),
        }
    }

    pub(super) fn mood(&self, mood: Mood) {
        *self.dialer.mood.lock().unwrap() = mood;
    }

    pub(super) fn opens(&self) -> u32 {
        self.dialer.opens.load(SeqCst)
    }

    pub(super) async fn lease(&self) -> Result<Lease, PoolFault> {
        self.pools.lease(&self.spec, soon()).await
    }

    pub(super) fn status(&self) -> Option<LaneStatus> {
        self.pools.status(self.spec.tenant)
    }

    /// Waits until the lane's status is as asked.
    pub(super) async fn until(&self, what: impl Fn(Option<LaneStatus>) -> bool) {
        let limit = Deadline::after(Duration::from_secs(20));
        while !what(self.status()) {
            assert!(!limit.passed(), "still {:?}", self.status());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

pub(super) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

/// A statement that never ends.
pub(super) fn endless(_: &mut TenantConnection) -> BoxFuture<'_, Result<(), sqlx::Error>> {
    std::future::pending().boxed()
}

/// A statement that ends at once: reads the connection's mark, which a cut-off statement leaves.
pub(super) fn one(connection: &mut TenantConnection) -> BoxFuture<'_, Result<i64, sqlx::Error>> {
    async move {
        let TenantConnection::Sqlite(connection) = connection else { panic!("SQLite") };
        sqlx::query_scalar("SELECT 1").fetch_one(connection).await
    }
    .boxed()
}
