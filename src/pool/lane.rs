use std::borrow::Cow;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::counter;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::link::{Counters, Link};
use super::{LaneSpec, LaneStatus, PoolFault, RecordMark};
use crate::base::{Deadline, Engine, ServerIdentity, Timestamp};
use crate::telemetry::pool_metrics as names;

/// One tenant's connections.
///
/// A permit stands for the right to hold one connection outside the shelf. A connection is opened only
/// by the holder of a permit who finds the shelf empty, so the connections on the shelf and the permits
/// in use together never exceed the limit.
pub(crate) struct Lane {
    pub(crate) spec: LaneSpec,
    pub(crate) permits: Arc<Semaphore>,
    /// The one who writes to a SQLite file. Its connection comes on top of the readers' limit.
    pub(crate) writer: Arc<Semaphore>,
    pub(crate) counters: Arc<Counters>,
    /// Lives in every connection and every attempt; a retired lane ends when all are gone.
    pub(crate) tracker: TaskTracker,
    /// Cancelled when a retired lane's leases have had their time, or the server fell silent.
    pub(crate) killed: CancellationToken,
    /// Somebody was told that the lane is open.
    pub(super) announced: AtomicBool,
    /// Ring when a connection was put back while somebody waits to open one: one that only reads, and one
    /// that writes.
    parked: [Notify; 2],
    openers: AtomicU32,
    /// For one look after the server at a time.
    pub(crate) looking: Semaphore,
    /// Permits in use by whoever asks a server who it is; nobody's traffic.
    pub(crate) asking: AtomicU32,
    /// Permits held back because the server gives no more connections.
    withheld: AtomicU32,
    silent: AtomicBool,
    max: usize,
    shelf: Mutex<Shelf>,
}

struct Shelf {
    /// The sealed text that holds the lane's record now.
    record: RecordMark,
    /// The last one put back is the first one taken.
    idle: Vec<Link>,
    retired: bool,
    used: Instant,
    refuse_until: Option<Instant>,
    /// Connections that were opened before are not lent any more.
    renewed: Option<Instant>,
    identity: Option<Arc<ServerIdentity>>,
    last_error: Option<(Cow<'static, str>, Timestamp)>,
}

impl Shelf {
    fn takes(&self, link: &Link) -> bool {
        let outdated = self.renewed.is_some_and(|since| link.opened_at < since);
        !self.retired && self.refuse_until.is_none() && !outdated
    }
}

/// Counts a waiting caller, also one who goes away.
struct Waiting<'a>(&'a Counters);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

/// Counts somebody who waits to open a connection.
pub(super) struct Opener<'a>(&'a AtomicU32);

impl Drop for Opener<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Lane {
    pub(crate) fn new(spec: LaneSpec) -> Self {
        let max = spec.limits.max_connections.max(1) as usize;
        let record = spec.record;
        Self {
            spec,
            permits: Arc::new(Semaphore::new(max)),
            writer: Arc::new(Semaphore::new(1)),
            counters: Arc::default(),
            tracker: TaskTracker::new(),
            killed: CancellationToken::new(),
            announced: AtomicBool::new(false),
            parked: [Notify::new(), Notify::new()],
            openers: AtomicU32::new(0),
            looking: Semaphore::new(1),
            asking: AtomicU32::new(0),
            withheld: AtomicU32::new(0),
            silent: AtomicBool::new(false),
            max,
            shelf: Mutex::new(Shelf {
                record,
                idle: Vec::new(),
                retired: false,
                used: Instant::now(),
                refuse_until: None,
                renewed: None,
                identity: None,
                last_error: None,
            }),
        }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the lane serves `spec` as it stands.
    pub(crate) fn serves(&self, spec: &LaneSpec) -> bool {
        self.spec.revision == spec.revision
            && self.spec.limits.fit(&spec.limits)
            && self.spec.expected == spec.expected
            && self.spec.record.id == spec.record.id
    }

    /// Waits for a permit, in turn, as long as `patience` lasts. [`PoolFault::Retired`] sends the caller to
    /// the lane's successor.
    pub(crate) async fn permit(
        &self,
        patience: Deadline,
    ) -> Result<OwnedSemaphorePermit, PoolFault> {
        match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => return Ok(permit),
            Err(TryAcquireError::Closed) => return Err(PoolFault::Retired),
            Err(TryAcquireError::NoPermits) => {}
        }
        let before = self.counters.waiting.fetch_add(1, Relaxed);
        let _waiting = Waiting(&self.counters);
        if before >= self.spec.limits.max_waiting {
            self.saturated();
            return Err(PoolFault::Saturated);
        }
        match timeout_at(patience.at(), Arc::clone(&self.permits).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_closed)) => Err(PoolFault::Retired),
            Err(_elapsed) => {
                self.saturated();
                Err(PoolFault::AcquireTimeout)
            }
        }
    }

    /// Notes that the server fell silent; `false` when that was known.
    pub(crate) fn fall_silent(&self) -> bool {
        !self.silent.swap(true, Relaxed)
    }

    /// Whether the server fell silent.
    pub(crate) fn fell_silent(&self) -> bool {
        self.silent.load(Relaxed)
    }

    /// Waits to be the one who writes, in turn, where there can be one only.
    pub(crate) async fn writing(
        &self,
        deadline: Deadline,
    ) -> Result<Option<OwnedSemaphorePermit>, PoolFault> {
        if self.spec.engine != Engine::Sqlite {
            return Ok(None);
        }
        let until = deadline.within(self.spec.limits.acquire_timeout).at();
        match timeout_at(until, Arc::clone(&self.writer).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Some(permit)),
            Ok(Err(_closed)) => Err(PoolFault::Retired),
            Err(_elapsed) => {
                self.saturated();
                Err(PoolFault::AcquireTimeout)
            }
        }
    }

    fn saturated(&self) {
        self.counters.saturated.fetch_add(1, Relaxed);
        counter!(names::SATURATED, names::TENANT => self.spec.tenant.to_string()).increment(1);
    }

    /// The connection put back last that can write, or that only reads. For holders of a permit.
    pub(crate) fn take(&self, writes: bool) -> Option<Link> {
        let mut shelf = self.shelf();
        shelf.used = Instant::now();
        let at = shelf.idle.iter().rposition(|link| link.writes == writes)?;
        Some(shelf.idle.remove(at))
    }

    /// Puts a clean connection back; returns it when the lane takes none.
    pub(crate) fn park(&self, mut link: Link) -> Option<Link> {
        let mut shelf = self.shelf();
        if !shelf.takes(&link) {
            return Some(link);
        }
        link.idle_since = Instant::now();
        link.heard = link.canceller.heard();
        shelf.used = link.idle_since;
        let writes = link.writes;
        shelf.idle.push(link);
        drop(shelf);
        if self.openers.load(SeqCst) > 0 {
            self.parked(writes).notify_one();
        }
        None
    }

    /// Rings when a connection that writes, or only reads, was put back while somebody waits to open one.
    pub(super) fn parked(&self, writes: bool) -> &Notify {
        &self.parked[usize::from(writes)]
    }

    /// Puts a connection back that was taken for no caller's sake: it has been idle all the while.
    pub(crate) fn put_back(&self, link: Link) -> Option<Link> {
        let mut shelf = self.shelf();
        if !shelf.takes(&link) {
            return Some(link);
        }
        shelf.idle.insert(0, link);
        None
    }

    /// Counts somebody who waits to open a connection, and would as soon take one that is put back.
    pub(super) fn opener(&self) -> Opener<'_> {
        self.openers.fetch_add(1, SeqCst);
        Opener(&self.openers)
    }

    /// Notes that the lane's record was sealed anew.
    pub(crate) fn resealed(&self, record: RecordMark) {
        self.shelf().record = record;
    }

    /// Empties the shelf.
    pub(crate) fn clear(&self) -> Vec<Link> {
        std::mem::take(&mut self.shelf().idle)
    }

    /// Has no connection lent again that is open now, and gives those on the shelf; at most once in `pause`.
    pub(crate) fn renew(&self, pause: Duration) -> Vec<Link> {
        let mut shelf = self.shelf();
        if shelf.renewed.is_some_and(|since| since.elapsed() < pause) {
            return Vec::new();
        }
        shelf.renewed = Some(Instant::now());
        std::mem::take(&mut shelf.idle)
    }

    /// Has every connection on the shelf checked before its next use: what ended one of them, a restart
    /// say, ended all.
    pub(crate) fn distrust(&self) {
        self.shelf().idle.iter_mut().for_each(|link| link.suspect = true);
    }

    /// Ends the lane for newcomers and wakes those who wait. `None` when it had ended before.
    pub(crate) fn retire(&self) -> Option<Vec<Link>> {
        let mut shelf = self.shelf();
        if std::mem::replace(&mut shelf.retired, true) {
            return None;
        }
        self.permits.close();
        self.writer.close();
        self.tracker.close();
        Some(std::mem::take(&mut shelf.idle))
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.shelf().retired
    }

    /// Notes that the wrong server answered, and empties the shelf.
    pub(crate) fn refuse(&self, hold: Duration) -> Vec<Link> {
        let mut shelf = self.shelf();
        shelf.refuse_until = Some(Instant::now() + hold);
        std::mem::take(&mut shelf.idle)
    }

    /// Whether the wrong server answered a short while ago.
    pub(crate) fn refuses(&self) -> bool {
        let mut shelf = self.shelf();
        match shelf.refuse_until {
            Some(until) if Instant::now() < until => true,
            _ => {
                shelf.refuse_until = None;
                false
            }
        }
    }

    pub(crate) fn connected(&self, identity: Arc<ServerIdentity>) {
        self.shelf().identity = Some(identity);
    }

    pub(crate) fn note_error(&self, code: Cow<'static, str>, at: Timestamp) {
        self.shelf().last_error = Some((code, at));
    }

    /// Permits in use.
    pub(crate) fn leased(&self) -> usize {
        let withheld = self.withheld.load(Relaxed) as usize;
        self.max.saturating_sub(self.permits.available_permits()).saturating_sub(withheld)
    }

    /// Whether the server gave no more connections a short while ago than the lane has.
    pub(crate) fn is_crowded(&self) -> bool {
        self.withheld.load(SeqCst) > 0
    }

    /// Holds a permit back for a while, from now on: whoever comes meanwhile waits, in turn, for a connection
    /// that there is.
    pub(crate) fn withhold(
        self: &Arc<Self>,
        permit: OwnedSemaphorePermit,
        time: Duration,
    ) -> impl Future<Output = ()> + use<> {
        let lane = Arc::clone(self);
        lane.withheld.fetch_add(1, SeqCst);
        async move {
            let _killed = timeout_at(Instant::now() + time, lane.killed.cancelled()).await;
            drop(permit);
            lane.withheld.fetch_sub(1, SeqCst);
        }
    }

    /// When it was last used, if there is a connection it could spare.
    pub(crate) fn could_spare_since(&self) -> Option<Instant> {
        let shelf = self.shelf();
        (!shelf.idle.is_empty()).then_some(shelf.used)
    }

    /// Takes the connection that sat longest off the shelf, with a permit, so that it stays within the
    /// lane's limit until it is closed.
    pub(crate) fn spare(&self) -> Option<(Link, OwnedSemaphorePermit)> {
        self.take_oldest(|_| true)
    }

    /// Takes a connection that sat too long or is too old.
    pub(crate) fn worn(
        &self,
        idle: Duration,
        age: Duration,
    ) -> Option<(Link, OwnedSemaphorePermit)> {
        self.take_oldest(|link| {
            link.idle_since.elapsed() >= idle || link.opened_at.elapsed() >= age
        })
    }

    /// Takes a connection whose server was not asked in `every` who it is.
    pub(crate) fn unasked(&self, every: Duration) -> Option<(Link, OwnedSemaphorePermit)> {
        self.take_oldest(|link| link.identified_at.elapsed() >= every)
    }

    /// Whether anybody uses it.
    pub(crate) fn in_use(&self) -> bool {
        self.leased() > self.asking.load(Relaxed) as usize
    }

    fn take_oldest(&self, which: impl Fn(&Link) -> bool) -> Option<(Link, OwnedSemaphorePermit)> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        let mut shelf = self.shelf();
        let at = shelf.idle.iter().position(which)?;
        Some((shelf.idle.remove(at), permit))
    }

    pub(crate) fn status(&self) -> LaneStatus {
        let shelf = self.shelf();
        let counters = &self.counters;
        let as_u32 = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        LaneStatus {
            engine: self.spec.engine,
            revision: self.spec.revision,
            record: shelf.record,
            identity: shelf.identity.as_deref().cloned(),
            max: as_u32(self.max),
            open: counters.open.load(Relaxed),
            idle: as_u32(shelf.idle.len()),
            leased: as_u32(self.leased()),
            waiting: counters.waiting.load(Relaxed),
            created_total: counters.created.load(Relaxed),
            closed_total: counters.closed.load(Relaxed),
            failed_total: counters.failed.load(Relaxed),
            timeouts_total: counters.timeouts.load(Relaxed),
            saturated_total: counters.saturated.load(Relaxed),
            last_error: shelf.last_error.clone(),
        }
    }
}
