//! The second of the log's two threads: files what is durable in the spool into the chains, flushes
//! them a spool file at a time, and signs checkpoints.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::checkpoint::{ChainName, Checkpoint, Kind};
use super::line::EventHash;
use super::replay::{self, Book};
use super::spool::Chunk;
use super::{AuditConfig, AuditFault, AuditPlace};
use crate::base::{Clock, TenantId};
use crate::keyring::SigningKey;

/// How long it waits at most before it looks at the time.
const TICK: Duration = Duration::from_millis(250);

/// How long an order may wait for others: filing in the chains holds nobody up, and many events of one
/// chain are one write.
const GATHER: Duration = Duration::from_millis(2);

/// What the committer asks for.
pub(super) enum Order {
    /// File these; they are durable in the spool.
    File(Vec<Chunk>),
    /// Flush everything filed and delete the spool up to this number.
    Settle(u64),
}

/// What the two threads, and those who wait for them, tell each other.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Chains cannot be written; nothing more is to be promised.
    pub(super) behind: AtomicBool,
    /// Spool files up to this number are settled.
    pub(super) settled: AtomicU64,
    /// Accesses whose events will soon be here.
    pub(super) under_way: AtomicUsize,
}

pub(super) struct Filer {
    pub(super) config: Arc<AuditConfig>,
    pub(super) place: AuditPlace,
    pub(super) spool_folder: PathBuf,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) key: SigningKey,
    pub(super) shared: Arc<Shared>,
    pub(super) book: Book,
    /// Held as long as this instance's log is open.
    pub(super) lock: File,
}

/// A chain that grew since its last checkpoint.
struct Grown {
    n: u64,
    hash: EventHash,
    /// The last event with a checkpoint.
    checked: u64,
}

/// What the thread keeps in mind.
struct Mind {
    grown: HashMap<TenantId, Grown>,
    checkpoints_at: Instant,
    /// Since when chains cannot be written, and when that was last tried.
    behind: Option<Instant>,
    settle: u64,
}

impl Filer {
    /// Works until the committer is gone and everything is settled, or cannot be.
    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        let mut mind =
            Mind { grown: HashMap::new(), checkpoints_at: Instant::now(), behind: None, settle: 0 };
        loop {
            match orders.recv_timeout(TICK) {
                Ok(first) => {
                    std::thread::sleep(GATHER);
                    self.obey(&mut mind, std::iter::once(first).chain(orders.try_iter()));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if mind.behind.is_some_and(|tried| tried.elapsed() >= TICK) {
                self.catch_up(&mut mind);
            }
            if mind.checkpoints_at.elapsed() >= self.config.checkpoint_every {
                self.checkpoint_all(&mut mind);
            }
        }
        if mind.behind.is_some() {
            self.catch_up(&mut mind);
        }
        self.checkpoint_all(&mut mind);
        drop(self.lock);
    }

    fn obey(&mut self, mind: &mut Mind, orders: impl Iterator<Item = Order>) {
        let mut gathered = Vec::new();
        for order in orders {
            match order {
                Order::File(chunks) => gathered.extend(chunks),
                Order::Settle(number) => {
                    self.file(mind, std::mem::take(&mut gathered));
                    mind.settle = mind.settle.max(number);
                    self.settle(mind);
                }
            }
        }
        self.file(mind, gathered);
    }

    fn file(&mut self, mind: &mut Mind, mut chunks: Vec<Chunk>) {
        chunks.sort_by_key(|chunk| (chunk.tenant, chunk.segment, chunk.offset));
        // Events that follow one another in a file.
        for run in chunks.chunk_by(|a, b| a.end() == (b.tenant, b.segment, b.offset)) {
            // While behind nothing is lost: the events are in the spool, and catching up reads that.
            if mind.behind.is_none()
                && let Err(error) = self.write(run)
            {
                self.fall_behind(mind, &error.to_string());
            }
            for chunk in run {
                self.mind_growth(mind, chunk);
            }
        }
    }

    fn write(&mut self, run: &[Chunk]) -> std::io::Result<()> {
        let Some(first) = run.first() else { return Ok(()) };
        let bytes: Vec<&[u8]> = run.iter().map(|chunk| chunk.bytes.as_slice()).collect();
        self.book.write(first.tenant, first.segment, first.offset, &bytes.concat())
    }

    fn mind_growth(&self, mind: &mut Mind, chunk: &Chunk) {
        let checked = chunk.n - 1;
        let grown = mind.grown.entry(chunk.tenant);
        let grown = grown.or_insert(Grown { n: chunk.n, hash: chunk.hash, checked });
        (grown.n, grown.hash) = (chunk.n, chunk.hash);
        if mind.behind.is_some() {
            return;
        }
        if let Some((n, hash)) = chunk.sealed {
            self.checkpoint(chunk.tenant, n, hash);
        }
        if grown.n - grown.checked >= self.config.checkpoint_events
            && self.checkpoint(chunk.tenant, grown.n, grown.hash)
        {
            grown.checked = grown.n;
        }
    }

    fn settle(&mut self, mind: &mut Mind) {
        if mind.behind.is_some() {
            return;
        }
        let flushed = self.book.flush().map_err(AuditFault::io(&self.place.dir));
        match flushed.and_then(|()| replay::discard(&self.spool_folder, mind.settle)) {
            Ok(()) => self.shared.settled.store(mind.settle, Ordering::SeqCst),
            Err(fault) => self.fall_behind(mind, &fault.to_string()),
        }
    }

    fn fall_behind(&mut self, mind: &mut Mind, why: &str) {
        self.shared.behind.store(true, Ordering::SeqCst);
        mind.behind = Some(Instant::now());
        self.book.close_files();
        tracing::error!(
            target: "wardgate::audit",
            problem = why,
            "the access log's chains cannot be written; no data is given until they can"
        );
    }

    /// Files the whole spool again and flushes it. After a failed flush the system may have dropped
    /// what it could not write, so nothing less would do.
    fn catch_up(&mut self, mind: &mut Mind) {
        mind.behind = Some(Instant::now());
        let caught_up = replay::replay(&mut self.book, &self.spool_folder, false)
            .and_then(|_| replay::discard(&self.spool_folder, mind.settle));
        if caught_up.is_err() {
            self.book.close_files();
            return;
        }
        mind.behind = None;
        self.shared.settled.store(mind.settle, Ordering::SeqCst);
        self.shared.behind.store(false, Ordering::SeqCst);
        tracing::info!(target: "wardgate::audit", "the access log's chains can be written again");
    }

    fn checkpoint_all(&self, mind: &mut Mind) {
        mind.checkpoints_at = Instant::now();
        if mind.behind.is_some() {
            return;
        }
        mind.grown.retain(|tenant, grown| {
            grown.n != grown.checked && !self.checkpoint(*tenant, grown.n, grown.hash)
        });
    }

    /// Signs where a chain stands. A failure holds nothing back: the chain is whole without it, and
    /// the next checkpoint covers what this one would have.
    fn checkpoint(&self, tenant: TenantId, n: u64, hash: EventHash) -> bool {
        let checkpoint = Checkpoint { kind: Kind::Head, segment: 0, n, hash, at: self.clock.now() };
        let chain = ChainName { tenant, instance: &self.config.instance };
        let written = checkpoint.write(&self.place, chain, &self.key);
        if let Err(error) = &written {
            tracing::error!(
                target: "wardgate::audit",
                tenant = %tenant,
                problem = %error,
                "a checkpoint of an access log cannot be written"
            );
        }
        written.is_ok()
    }
}
