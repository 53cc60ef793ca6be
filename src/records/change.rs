//! Writing, as methods of a session.
//!
//! Before a change is made last, an event that says so is on disk; after it, one that says what came of
//! it. A crash in between leaves the first alone, so no change is without a trace. The work is a task of
//! its own: a caller who goes away neither cuts it short nor keeps its outcome from being written down.

use std::sync::Arc;

use super::answer::{Access, event, http_date, write_down};
use super::fault::RecordsFault;
use super::named;
use super::page;
use super::step::{Act, Done, Job, Order};
use crate::audit::{Action, Outcome, Target};
use crate::auth::{FhirRead, FhirWrite, Interaction, Permit};
use crate::base::{Fault as _, FaultKind, Flag};
use crate::fhir::elements::Elements;
use crate::store::{Apart, Ending, Halt, Transaction, transact};
use crate::tenant::Session;
use bytes::Bytes;

/// What writing needs besides a session.
#[derive(Clone)]
pub struct Writing {
    /// R4's element table.
    pub elements: Arc<Elements>,
    /// The FHIR base URL, without a slash at its end.
    pub base: String,
    /// The writer's right to read, where she has it: without it she is shown nothing, not even what
    /// she wrote.
    pub reader: Option<Permit<FhirRead>>,
}

/// What an order came to. Made only once the access log says so.
#[derive(Debug, Clone)]
pub struct Written {
    /// HTTP status: 200, 201 or 204.
    pub status: u16,
    /// Type of resource.
    pub resource: String,
    /// Its id.
    pub id: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// When it was last updated, as an HTTP date.
    pub last_modified: Option<String>,
    /// When it was last updated, as a FHIR instant.
    pub updated: Option<String>,
    /// The resource, for callers who may read it.
    pub body: Option<Bytes>,
}

impl Session<FhirWrite> {
    /// Carries one order out in a transaction of its own.
    pub async fn write(
        self: &Arc<Self>,
        order: Order,
        with: Writing,
    ) -> Result<Written, RecordsFault> {
        let mut all = self.write_all(vec![order], with).await?;
        all.pop().ok_or(RecordsFault::Internal)
    }

    /// Carries orders out in one transaction, in the order given: all of them or none. What each is called
    /// by others is not looked at here.
    pub(super) async fn write_all(
        self: &Arc<Self>,
        orders: Vec<Order>,
        with: Writing,
    ) -> Result<Vec<Written>, RecordsFault> {
        for order in &orders {
            self.allow(order, &with).await?;
        }
        let session = Arc::clone(self);
        let task = tokio::spawn(async move { session.carry_through(orders, with).await });
        task.await.unwrap_or(Err(RecordsFault::Internal))
    }

    /// Whether the caller may, and whether the mapping takes it.
    pub(super) async fn allow(&self, order: &Order, with: &Writing) -> Result<(), RecordsFault> {
        let (ty, interaction) = (order.resource.as_str(), order.interaction());
        let reads = |what| with.reader.as_ref().is_some_and(|permit| permit.allows(ty, what));
        let reading = match (&order.act, order.is_conditional()) {
            (Act::Read, _) => reads(Interaction::Read),
            // A patch's tests and a condition's matches tell what is there.
            (Act::Patch(_), conditional) => {
                reads(Interaction::Read) && (!conditional || reads(Interaction::Search))
            }
            (_, true) => reads(Interaction::Search),
            (_, false) => true,
        };
        // A condition may come to a new resource.
        let making = matches!(order.act, Act::Update(_)) && order.query.is_some();
        let writing = order.act == Act::Read || self.permit().allows(ty, interaction);
        if !(writing && reading && (!making || self.permit().allows(ty, Interaction::Create))) {
            write_down(self, access(order, order.id.clone()), Outcome::Denied, 403).await?;
            return Err(RecordsFault::Scope);
        }
        if order.act != Act::Read {
            self.offered(Flag::Write)?;
        }
        let mapping = self.mapping()?;
        if !mapping.compiled.maps(ty) {
            return Err(RecordsFault::NoSuchType);
        }
        let powers = mapping.compiled.powers(ty);
        let what = match &order.act {
            Act::Create { .. } if !powers.create => "new resources",
            Act::Update(_) | Act::Patch(_) if !powers.update => "changes",
            Act::Delete if !powers.delete => "deletions",
            _ => return Ok(()),
        };
        Err(RecordsFault::NotWritable(what))
    }

    async fn carry_through(
        self: Arc<Self>,
        orders: Vec<Order>,
        with: Writing,
    ) -> Result<Vec<Written>, RecordsFault> {
        let orders = Arc::new(orders);
        let (ending, session) = (Ending::default(), Arc::clone(&self));
        let job = self.job(&with)?;
        let (ours, watched) = (Arc::clone(&orders), ending.clone());
        let outcome = self
            .in_transaction(&orders, ending, move |tx| {
                Box::pin(async move {
                    let mut all = Vec::with_capacity(ours.len());
                    for order in ours.iter() {
                        all.push(job.step(tx, order).await?);
                    }
                    session.seal(tx, &ours, &all).await?;
                    Ok(all)
                })
            })
            .await;
        self.settle(&orders, outcome, watched.is_unknown(), &with).await
    }

    /// What the steps of a request need.
    pub(super) fn job(&self, with: &Writing) -> Result<Job, RecordsFault> {
        Ok(Job {
            compiled: self.mapping()?.compiled.clone(),
            elements: Arc::clone(&with.elements),
            base: with.base.clone(),
            now: self.now().as_millis(),
            reader: with.reader.clone(),
            chains: self.offers(Flag::Chain),
        })
    }

    pub(super) async fn in_transaction<T: Send + 'static>(
        &self,
        orders: &[Order],
        ending: Ending,
        work: impl for<'t, 'c> FnOnce(
            &'t mut Transaction<'c>,
        ) -> futures_util::future::BoxFuture<
            't,
            Result<T, Halt<RecordsFault>>,
        > + Send
        + 'static,
    ) -> Result<T, RecordsFault> {
        let conditional = orders.iter().any(Order::is_conditional);
        let apart = if conditional { Apart::Wholly } else { Apart::Rows };
        let mut lease = self.lease_writer().await?;
        lease.doing(&named::orders(orders));
        transact(&mut lease, self.deadline(), apart, ending, work).await
    }

    /// Says on disk what is about to be made last, and makes it last.
    pub(super) async fn seal(
        &self,
        tx: &mut Transaction<'_>,
        orders: &[Order],
        all: &[Done],
    ) -> Result<(), Halt<RecordsFault>> {
        let changed = orders.iter().zip(all).filter(|(_, done)| done.changed);
        let begun = changed.map(|(order, done)| {
            self.record(event(self, access(order, done.id.clone()), Outcome::Begun, 0))
        });
        // The database's session is idle meanwhile, and no worse for it.
        let begun = tx.aside().during(futures_util::future::join_all(begun)).await;
        for written in begun {
            written.map_err(|fault| Halt::Work(fault.into()))?;
        }
        tx.commit().await
    }

    /// Writes down what came of it, and lets it out.
    pub(super) async fn settle(
        &self,
        orders: &[Order],
        outcome: Result<Vec<Done>, RecordsFault>,
        unknown: bool,
        with: &Writing,
    ) -> Result<Vec<Written>, RecordsFault> {
        let all = match outcome {
            Ok(all) => all,
            Err(fault) => {
                let fault = if unknown { RecordsFault::Unknown } else { self.told(fault).await };
                let status = status(fault.kind());
                let word = match status {
                    403 => Outcome::Denied,
                    ..500 => Outcome::Rejected,
                    _ => Outcome::Failed,
                };
                for order in orders {
                    let told =
                        write_down(self, access(order, order.id.clone()), word, status).await;
                    // Whoever is told to come back sends it again: not what may be stored.
                    told.or_else(|silent| if unknown { Ok(()) } else { Err(silent) })?;
                }
                return Err(fault);
            }
        };
        let told = orders.iter().zip(&all).map(|(order, done)| {
            write_down(self, access(order, done.id.clone()), Outcome::Success, done.status)
        });
        for written in futures_util::future::join_all(told).await {
            if written.is_err() && all.iter().any(|done| done.changed) {
                return Err(RecordsFault::Unlogged);
            }
            written?;
        }
        Ok(orders.iter().zip(all).map(|(order, done)| self.written(order, done, with)).collect())
    }

    fn written(&self, order: &Order, done: Done, with: &Writing) -> Written {
        let resource = order.resource.clone();
        let readable = |permit: &Permit<FhirRead>| permit.allows(&resource, Interaction::Read);
        let readable = with.reader.as_ref().is_some_and(readable);
        if let Some(shown) = &done.shown {
            page::count(self, &shown.report);
        }
        let shown = done.shown;
        let updated = shown.as_ref().and_then(|shown| shown.modified.clone());
        Written {
            status: done.status,
            id: done.id,
            version: shown.as_ref().and_then(|shown| shown.version.clone()),
            last_modified: updated.as_deref().and_then(http_date),
            updated,
            body: shown.filter(|_| readable).map(|shown| Bytes::from(shown.body)),
            resource,
        }
    }
}

/// What an order is in the access log.
pub(super) fn access(order: &Order, id: Option<String>) -> Access<'_> {
    let action = match order.interaction() {
        Interaction::Create => Action::Create,
        Interaction::Update => Action::Update,
        Interaction::Delete => Action::Delete,
        Interaction::Read | Interaction::Search => Action::Read,
    };
    let target = id.map_or(Target::None, Target::One);
    Access { action, resource_type: &order.resource, target }
}

/// The HTTP status of a fault, for the access log.
const fn status(kind: FaultKind) -> u16 {
    match kind {
        FaultKind::Invalid => 400,
        FaultKind::Unauthenticated => 401,
        FaultKind::Forbidden => 403,
        FaultKind::NotFound => 404,
        FaultKind::NotAllowed => 405,
        FaultKind::Conflict => 409,
        FaultKind::Stale => 412,
        FaultKind::TooLarge => 413,
        FaultKind::Unprocessable => 422,
        FaultKind::Throttled => 429,
        FaultKind::Unavailable => 503,
        FaultKind::Timeout => 504,
        FaultKind::Mapping | FaultKind::Integrity | FaultKind::Internal => 500,
    }
}
