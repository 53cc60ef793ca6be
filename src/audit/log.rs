use std::fs::File;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, mpsc as channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::committer::{Committer, Request, spool_folder};
use super::disk::{self, Disk};
use super::event::AccessEvent;
use super::filer::{Filer, Shared};
use super::line::EventHash;
use super::replay::{self, Book};
use super::spool::{self, Spool};
use super::{AuditConfig, AuditFault, AuditPlace, config, segment};
use crate::base::{Clock, Deadline, TenantId};
use crate::keyring::Keyring;
use crate::telemetry::names;

/// Batches that may wait to be filed before further ones wait to be promised.
const BATCHES_AHEAD: usize = 64;

/// How often an instance's lock is tried again, and how long after.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(25);

/// How often at most the disk is tried for whoever asks whether the log is ready.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// How long between two looks whether it is quiet.
const QUIET_PAUSE: Duration = Duration::from_millis(10);

/// An event's place in its tenant's chain on this instance. Whoever holds one may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Its number, from 1.
    pub n: u64,
    /// The chain's hash up to it.
    pub hash: EventHash,
}

/// The access log of one gateway. Cheap to clone.
#[derive(Clone)]
pub struct AuditLog(Arc<Inner>);

/// An access under way, from which an event will come. Only tells the log how busy it is about to be.
#[derive(Debug)]
pub struct Expected(Arc<Shared>);

impl Drop for Expected {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Inner {
    config: Arc<AuditConfig>,
    shared: Arc<Shared>,
    queue: Mutex<Option<mpsc::Sender<Request>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// When the disk was last tried, and what came of it.
    probed: tokio::sync::Mutex<Option<(Instant, Result<(), AuditFault>)>>,
}

impl AuditLog {
    /// Opens the log: takes the instance's lock, files what a crash left in its spool (and in the
    /// spools of instances that no longer run), and starts its two threads.
    pub async fn open(
        config: AuditConfig,
        keyring: Keyring,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AuditFault> {
        Self::open_on(Disk::default(), config, keyring, clock).await
    }

    pub(super) async fn open_on(
        disk: Disk,
        config: AuditConfig,
        keyring: Keyring,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AuditFault> {
        let opened = tokio::task::spawn_blocking(move || open(&disk, &config, keyring, clock));
        opened.await.unwrap_or(Err(AuditFault::Closed))
    }

    /// Makes an event durable: when this returns a receipt, the event survives a power cut. Any fault
    /// means that nothing may be answered. Dropping the future may leave an event of an access that
    /// was not answered, never the reverse.
    pub async fn append(&self, event: AccessEvent) -> Result<Receipt, AuditFault> {
        let queue = self.queue().clone().ok_or(AuditFault::Closed)?;
        let (reply, answer) = oneshot::channel();
        let durable = async {
            let sent = queue.send(Request::Event(event, reply)).await;
            sent.map_err(|_| AuditFault::Closed)?;
            answer.await.map_err(|_| AuditFault::Closed)?
        };
        let limit = self.0.config.append_timeout;
        let outcome = tokio::time::timeout(limit, durable).await.unwrap_or(Err(AuditFault::Slow));
        if outcome.is_err() {
            metrics::counter!(names::ACCESS_LOG_REFUSED).increment(1);
        }
        outcome
    }

    /// Whether an event could be made durable now, tried on the disk at most once a second; the gauge
    /// of it follows.
    pub async fn ready(&self) -> Result<(), AuditFault> {
        let mut last = self.0.probed.lock().await;
        if let Some((at, outcome)) = &*last
            && at.elapsed() < PROBE_EVERY
        {
            return outcome.clone();
        }
        let queue = self.queue().clone().ok_or(AuditFault::Closed)?;
        let (reply, answer) = oneshot::channel();
        let probe = async {
            queue.send(Request::Probe(reply)).await.map_err(|_| AuditFault::Closed)?;
            answer.await.map_err(|_| AuditFault::Closed)?
        };
        let limit = self.0.config.append_timeout;
        let outcome = tokio::time::timeout(limit, probe).await.unwrap_or(Err(AuditFault::Slow));
        metrics::gauge!(names::ACCESS_LOG_READY).set(if outcome.is_ok() { 1.0 } else { 0.0 });
        *last = Some((Instant::now(), outcome.clone()));
        outcome
    }

    /// Says that an access is under way, for as long as the guard is kept.
    pub fn expect(&self) -> Expected {
        self.0.shared.under_way.fetch_add(1, Ordering::Relaxed);
        Expected(Arc::clone(&self.0.shared))
    }

    /// Waits until no access is under way any more, until `deadline` at the latest.
    pub async fn quiet(&self, deadline: Deadline) {
        while self.0.shared.under_way.load(Ordering::Relaxed) > 0 && !deadline.passed() {
            tokio::time::sleep(QUIET_PAUSE).await;
        }
    }

    /// Where the log lies, for verifying and exporting.
    pub fn place(&self) -> AuditPlace {
        self.0.config.place()
    }

    /// Takes no more events, settles the spool, signs last checkpoints and ends the threads. Without
    /// it the same happens after the last handle is dropped, with nobody waiting.
    pub async fn close(&self) {
        self.queue().take();
        let threads =
            std::mem::take(&mut *self.0.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let joined = tokio::task::spawn_blocking(move || {
            threads.into_iter().all(|thread| thread.join().is_ok())
        });
        if !joined.await.unwrap_or(false) {
            tracing::error!(target: "wardgate::audit", "a thread of the access log broke off");
        }
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Option<mpsc::Sender<Request>>> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(
    disk: &Disk,
    config: &AuditConfig,
    keyring: Keyring,
    clock: Arc<dyn Clock>,
) -> Result<AuditLog, AuditFault> {
    config.check()?;
    let (config, place, folder) = (Arc::new(config.clone()), config.place(), spool_folder(config));
    for needed in [&folder, &place.checkpoint_dir] {
        disk::make_folder(needed).map_err(AuditFault::io(needed))?;
    }
    let lock = wait_for_lock(&folder)?.ok_or_else(|| AuditFault::InUse(folder.clone()))?;
    settle_the_dead(disk, &config)?;
    let mut book = Book::new(disk.clone(), &config.dir, &config.instance, config.open_files);
    let replayed = replay::replay(&mut book, &folder, true)?;
    replay::discard(&folder, replayed.highest)?;
    // The chains' ends are read anew, and written through new handles.
    book.close_files();
    let spool = Spool::create(disk.clone(), &folder, replayed.highest + 1)
        .map_err(AuditFault::io(&folder))?;

    let mut notes = Vec::new();
    for (what, count) in [("audit.recovered", replayed.events), ("audit.spool-cut", replayed.torn)]
    {
        if count > 0 {
            notes.push(AccessEvent::note(TenantId::from_uuid(uuid::Uuid::nil()), what, count));
        }
    }
    let shared = Arc::new(Shared::default());
    let filer = Filer {
        config: config.clone(),
        place,
        spool_folder: folder.clone(),
        clock: clock.clone(),
        key: keyring.checkpoint_key(),
        shared: shared.clone(),
        book,
        lock,
    };
    let (orders, order_queue) = channel::sync_channel(BATCHES_AHEAD);
    let committer = Committer {
        config: config.clone(),
        keyring,
        clock,
        shared: shared.clone(),
        spool,
        orders,
        chains: std::collections::HashMap::new(),
        macs: std::collections::HashMap::new(),
        failing: false,
    };
    let (queue, requests) = mpsc::channel(config.queue.max(1));
    let threads = [
        thread("audit-commit", move || committer.run(requests, &notes)),
        thread("audit-file", move || filer.run(&order_queue)),
    ];
    let threads = threads.into_iter().collect::<Result<_, _>>().map_err(AuditFault::io(&folder))?;
    Ok(AuditLog(Arc::new(Inner {
        config,
        shared,
        queue: Mutex::new(Some(queue)),
        threads: Mutex::new(threads),
        probed: tokio::sync::Mutex::new(None),
    })))
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}

/// An instance's lock, for which a process that is just ending is given a moment.
fn wait_for_lock(folder: &Path) -> Result<Option<File>, AuditFault> {
    for _ in 0..LOCK_TRIES {
        if let Some(lock) = lock(folder)? {
            return Ok(Some(lock));
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    lock(folder)
}

/// An instance's lock; nothing when another process has it.
fn lock(folder: &Path) -> Result<Option<File>, AuditFault> {
    let path = folder.join("lock");
    let file = disk::open(&path).map_err(AuditFault::io(&path))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(errno) => Err(AuditFault::io(&path)(errno.into())),
    }
}

/// Files what crashed instances left: one of them may never come back under its name.
fn settle_the_dead(disk: &Disk, config: &AuditConfig) -> Result<(), AuditFault> {
    let spools = config.dir.join("spool");
    for name in segment::names(&spools).map_err(AuditFault::io(&spools))? {
        if name == config.instance || !config::is_instance(&name) {
            continue;
        }
        let folder = spool::folder(&config.dir, &name);
        let Some(_lock) = lock(&folder)? else { continue };
        let mut book = Book::new(disk.clone(), &config.dir, &name, config.open_files);
        let replayed = replay::replay(&mut book, &folder, true)?;
        replay::discard(&folder, replayed.highest)?;
    }
    Ok(())
}
