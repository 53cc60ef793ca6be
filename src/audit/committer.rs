//! The first of the log's two threads: gives events their place in the chains and makes many of them
//! durable with one flush.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::chain::Head;
use super::event::{AccessEvent, Target};
use super::filer::{Order, Shared};
use super::line;
use super::log::Receipt;
use super::spool::{Chunk, Spool};
use super::{AuditConfig, AuditFault};
use crate::base::{Clock, TenantId, Timestamp};
use crate::keyring::{Keyring, MacKey, Purpose};

/// Most events that share a flush.
const BATCH: usize = 512;

/// With so many accesses under way a flush waits a moment for more of their events. A flush costs far more
/// of the machine than any event in it, so when the machine is busy waiting is answering sooner; with few
/// under way it is not busy, and nobody waits.
const COMPANY: usize = 16;
/// How long.
const GATHER: Duration = Duration::from_micros(400);

/// What is asked of the log, and who waits for it.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are events, and there are thousands a second"
)]
pub(super) enum Request {
    /// To make an event durable.
    Event(AccessEvent, oneshot::Sender<Result<Receipt, AuditFault>>),
    /// To say whether an event could be made durable now.
    Probe(oneshot::Sender<Result<(), AuditFault>>),
}

pub(super) struct Committer {
    pub(super) config: Arc<AuditConfig>,
    pub(super) keyring: Keyring,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) shared: Arc<Shared>,
    pub(super) spool: Spool,
    pub(super) orders: SyncSender<Order>,
    /// Every chain used since the log was opened; about 200 bytes each.
    pub(super) chains: HashMap<TenantId, Head>,
    pub(super) macs: HashMap<TenantId, MacKey>,
    /// Whether the last batch could not be made durable.
    pub(super) failing: bool,
}

/// Events that become durable together, or not at all.
#[derive(Default)]
struct Batch {
    heads: HashMap<TenantId, Head>,
    chunks: Vec<Chunk>,
    frames: Vec<u8>,
    waiting: Vec<(oneshot::Sender<Result<Receipt, AuditFault>>, Receipt)>,
}

impl Committer {
    /// Works until every handle of the log is gone.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Request>, notes: &[AccessEvent]) {
        self.note(notes);
        let mut requests = Vec::with_capacity(BATCH);
        while queue.blocking_recv_many(&mut requests, BATCH) > 0 {
            let under_way = self.shared.under_way.load(Ordering::Relaxed);
            if under_way >= COMPANY && requests.len() < under_way / 2 {
                std::thread::sleep(GATHER);
                while requests.len() < BATCH
                    && let Ok(request) = queue.try_recv()
                {
                    requests.push(request);
                }
            }
            self.take(requests.drain(..));
        }
        // The filer ends when the sender is dropped with `self`.
        self.order(Order::Settle(self.spool.number()));
    }

    /// Events of the log about itself. Nobody waits for them, so a failure only goes to the log.
    fn note(&mut self, notes: &[AccessEvent]) {
        let mut batch = Batch::default();
        let staged: Result<(), AuditFault> =
            notes.iter().try_for_each(|event| self.stage(&mut batch, event).map(drop));
        if let Err(fault) = staged.and_then(|()| self.commit(batch)) {
            tracing::error!(target: "wardgate::audit", %fault, "a note could not be recorded");
        }
    }

    fn take(&mut self, requests: impl Iterator<Item = Request>) {
        let mut batch = Batch::default();
        let refusal = self.refusal();
        for request in requests {
            let (event, reply) = match request {
                Request::Event(event, reply) => (event, reply),
                Request::Probe(reply) => {
                    let able = refusal.clone().map_or_else(|| self.probe(), Err);
                    drop(reply.send(able));
                    continue;
                }
            };
            // Whoever stopped waiting answered nothing.
            if reply.is_closed() {
                continue;
            }
            let staged = match &refusal {
                Some(fault) => Err(fault.clone()),
                None => self.stage(&mut batch, &event),
            };
            match staged {
                Ok(receipt) => batch.waiting.push((reply, receipt)),
                Err(fault) => drop(reply.send(Err(fault))),
            }
        }
        match self.commit(batch) {
            Ok(()) => self.failing = false,
            // Once for each time it begins: there may be thousands of requests a second.
            Err(fault) if !std::mem::replace(&mut self.failing, true) => {
                tracing::error!(target: "wardgate::audit", %fault, "events cannot be made durable; no data is given until they can");
            }
            Err(_) => {}
        }
    }

    /// Whether the spool takes bytes. Also cuts back what a failed write left.
    fn probe(&mut self) -> Result<(), AuditFault> {
        self.spool.probe().map_err(AuditFault::io(&self.config.dir))
    }

    fn refusal(&mut self) -> Option<AuditFault> {
        if self.shared.behind.load(Ordering::SeqCst) {
            return Some(AuditFault::Behind);
        }
        let settled = self.shared.settled.load(Ordering::SeqCst);
        let full = self.spool.unsettled(settled) >= self.config.spool_bytes_max;
        full.then_some(AuditFault::SpoolFull)
    }

    fn commit(&mut self, batch: Batch) -> Result<(), AuditFault> {
        if batch.chunks.is_empty() {
            return Ok(());
        }
        let Batch { heads, chunks, frames, waiting } = batch;
        if let Err(error) = self.spool.commit(&frames) {
            let fault = AuditFault::io(&self.config.dir)(error);
            for (reply, _) in waiting {
                drop(reply.send(Err(fault.clone())));
            }
            return Err(fault);
        }
        self.chains.extend(heads);
        for (reply, receipt) in waiting {
            drop(reply.send(Ok(receipt)));
        }
        self.order(Order::File(chunks));
        if self.spool.len() >= self.config.spool_bytes {
            match self.spool.rotate() {
                Ok(full) => self.order(Order::Settle(full)),
                // The file only grows longer than it should; the next flush tries again.
                Err(error) => {
                    let fault = AuditFault::io(&self.config.dir)(error);
                    tracing::error!(target: "wardgate::audit", %fault, "the spool cannot go on in a new file");
                }
            }
        }
        Ok(())
    }

    fn order(&self, order: Order) {
        // Without the filer nothing is settled any more; what was promised is in the spool.
        if self.orders.send(order).is_err() {
            self.shared.behind.store(true, Ordering::SeqCst);
        }
    }

    fn stage(&mut self, batch: &mut Batch, event: &AccessEvent) -> Result<Receipt, AuditFault> {
        let known = batch.heads.get(&event.tenant).or_else(|| self.chains.get(&event.tenant));
        let mut head = match known {
            Some(head) => *head,
            None => self.load(batch, event.tenant)?,
        };
        let receipt = self.push(batch, &mut head, event)?;
        batch.heads.insert(event.tenant, head);
        Ok(receipt)
    }

    /// A chain's end on first use, with a note when a crash had broken off its last line.
    fn load(&mut self, batch: &mut Batch, tenant: TenantId) -> Result<Head, AuditFault> {
        let loaded = Head::load(&self.config.dir, tenant, &self.config.instance)?;
        let mut head = loaded.head;
        if loaded.cut > 0 {
            let note = AccessEvent::note(tenant, "audit.tail-cut", loaded.cut);
            self.push(batch, &mut head, &note)?;
            batch.heads.insert(tenant, head);
        }
        Ok(head)
    }

    fn push(
        &mut self,
        batch: &mut Batch,
        head: &mut Head,
        event: &AccessEvent,
    ) -> Result<Receipt, AuditFault> {
        let (now, n, tenant) = (self.clock.now(), head.n + 1, event.tenant);
        let written = event.written(n, now.to_string(), self.digest(event));
        let mut line = Vec::with_capacity(512);
        let hash = line::push_event(&mut line, head.hash, &written)
            .map_err(|error| AuditFault::io(&self.config.dir)(error.into()))?;
        if self.is_full(head, line.len(), now) {
            (head.segment, head.offset, head.begun) = (head.segment + 1, 0, None);
        }
        let (mut bytes, mut sealed) = (line, None);
        if head.offset == 0 {
            let instance = &self.config.instance;
            let header = line::header(tenant, instance, head.segment, head.n, head.hash);
            bytes = [header.as_bytes(), &bytes].concat();
            sealed = (head.n > 0).then_some((head.n, head.hash));
        }
        let (segment, offset) = (head.segment, head.offset);
        head.offset += u64::try_from(bytes.len()).unwrap_or(0);
        (head.n, head.hash) = (n, hash);
        head.begun.get_or_insert(now);
        let chunk = Chunk { tenant, segment, offset, bytes, n, hash, sealed };
        chunk.push_frame(&mut batch.frames);
        batch.chunks.push(chunk);
        Ok(Receipt { n, hash })
    }

    fn is_full(&self, head: &Head, more: usize, now: Timestamp) -> bool {
        let len = head.offset + u64::try_from(more).unwrap_or(0);
        let old = head.begun.is_some_and(|begun| now.since(begun) >= self.config.segment_age);
        head.offset > 0 && (len > self.config.segment_bytes || old)
    }

    /// The keyed digest that stands for a resource's id.
    fn digest(&mut self, event: &AccessEvent) -> Option<String> {
        let Target::One(id) = &event.target else { return None };
        let keyring = &self.keyring;
        let mac = self
            .macs
            .entry(event.tenant)
            .or_insert_with(|| keyring.derive(Purpose::AuditIdentifier, event.tenant));
        let name = format!("{}/{id}", event.resource_type.as_deref().unwrap_or_default());
        Some(line::hex(&mac.sign(name.as_bytes())[..16]))
    }
}

/// The spool folder, for what opens it.
pub(super) fn spool_folder(config: &AuditConfig) -> PathBuf {
    super::spool::folder(&config.dir, &config.instance)
}
