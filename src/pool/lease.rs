use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::future::BoxFuture;
use metrics::counter;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout_at;

use super::breaker::Pass;
use super::dial::{DialClass, DialFault, ServerFacts, TenantConnection};
use super::fault::DatabaseFault;
use super::lane::Lane;
use super::link::Link;
use super::measure::{Measured, Timing};
use super::pools::Inner;
use super::silence::{Cut, cut};
use super::verdict::{Family, Verdict, classify};
use super::{Aside, PoolFault};
use crate::base::{Deadline, Engine, ServerIdentity, TenantId};
use crate::telemetry::plans::End;
use crate::telemetry::pool_metrics as names;
use crate::telemetry::trace::Trace;
use crate::telemetry::usage::Meter;

/// One borrowed connection. Dropping it gives the connection back, or closes it when a statement was cut
/// short; nobody has to wait for either.
pub struct Lease {
    pools: Arc<Inner>,
    lane: Arc<Lane>,
    identity: Arc<ServerIdentity>,
    facts: Arc<ServerFacts>,
    held: Option<Held>,
    measured: Option<Measured>,
    aside: Aside,
    /// A statement began and did not end.
    dirty: bool,
}

/// How often at most a lane's connections are exchanged because their server takes no changes: it may be meant
/// to take none.
const RENEW: Duration = Duration::from_secs(10);

/// The right to a connection, and where it is wanted the right to be the one who writes.
pub(crate) type Permits = (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>);

/// What is given back.
struct Held {
    link: Link,
    permit: OwnedSemaphorePermit,
    /// The right to be the one who writes, where there can be one only.
    writer: Option<OwnedSemaphorePermit>,
    pass: Pass,
}

/// Why a connection is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GivenUp {
    /// The deadline passed while the server was at work.
    Deadline,
    /// The caller went away while the server was at work.
    Abandoned,
    /// The connection failed beneath the protocol, or is lost while its server is there.
    Broken,
    /// The server said it is over, or a transaction was left open: there is nothing to stop.
    Over,
    /// The server fell silent: nothing it is told gets there.
    Silent,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("tenant", &self.lane.spec.tenant).finish_non_exhaustive()
    }
}

impl Lease {
    pub(crate) fn new(
        pools: Arc<Inner>,
        lane: Arc<Lane>,
        link: Link,
        (permit, writer): Permits,
        pass: Pass,
    ) -> Self {
        let (identity, facts) = (Arc::clone(&link.identity), Arc::clone(&link.facts));
        let held = Some(Held { link, permit, writer, pass });
        let (measured, aside) = (None, Aside::default());
        Self { pools, lane, identity, facts, held, measured, aside, dirty: false }
    }

    /// Has the time and the rows of its statements counted.
    #[must_use]
    pub fn metered(mut self, meter: Arc<Meter>) -> Self {
        self.measured = Some(Measured::new(meter));
        self
    }

    /// Has its statements noted in a request's trace.
    #[must_use]
    pub fn traced(mut self, trace: Arc<Trace>) -> Self {
        if let Some(measured) = &mut self.measured {
            measured.trace(trace);
        }
        self
    }

    /// Says by which plan the statements that follow are counted: a resource, what is done, and names of
    /// parameters. Never a value.
    pub fn doing(&mut self, plan: &str) {
        if let Some(measured) = &mut self.measured {
            measured.plan(plan);
        }
    }

    /// What its statements are counted by.
    pub const fn measured(&self) -> Option<&Measured> {
        self.measured.as_ref()
    }

    /// For work on the connection that waits for something else in between: the server is not looked after
    /// meanwhile.
    pub fn aside(&self) -> Aside {
        self.aside.clone()
    }

    /// Whether it is the first of its lane. Says so once.
    pub fn opened_lane(&self) -> bool {
        !self.lane.announced.load(Relaxed) && !self.lane.announced.swap(true, Relaxed)
    }

    /// Whose database.
    pub fn tenant(&self) -> TenantId {
        self.lane.spec.tenant
    }

    /// The kind of database.
    pub fn engine(&self) -> Engine {
        self.identity.engine
    }

    /// Which server and database.
    pub fn identity(&self) -> &ServerIdentity {
        &self.identity
    }

    /// What else is known of the server.
    pub fn facts(&self) -> &ServerFacts {
        &self.facts
    }

    /// Whether an earlier call cost the connection: what follows needs another lease.
    pub const fn is_lost(&self) -> bool {
        self.held.is_none()
    }

    /// Says that the server takes no changes. A name may lead to another server by now, and what is open stays
    /// where it is: nothing of the lane's that is open now is lent again.
    pub fn takes_no_changes(&self) {
        let limit = self.pools.config.close_timeout;
        let idle = self.lane.renew(RENEW);
        background(async move {
            futures_util::future::join_all(idle.into_iter().map(|link| link.close(limit))).await;
        });
    }

    /// Runs `work` on the connection, until `deadline` at the latest.
    ///
    /// When the deadline passes, or the caller drops the future, the server is told to stop and the
    /// connection is closed, both in the background. A server that says nothing is looked after
    /// meanwhile; when it does not answer that either, everybody's work on the lane ends. `work` must end the transactions it begins; a
    /// connection given back inside one is closed. Errors of the driver come back sorted and without
    /// the server's words.
    ///
    /// # Errors
    /// [`PoolFault::Timeout`], [`PoolFault::Silent`] and [`PoolFault::Retired`] when it was cut off, [`PoolFault::Database`]
    /// when a statement failed, [`PoolFault::Discarded`] when an earlier call cost the connection.
    pub async fn run<T>(
        &mut self,
        deadline: Deadline,
        work: impl for<'c> FnOnce(&'c mut TenantConnection) -> BoxFuture<'c, Result<T, sqlx::Error>>
        + Send,
    ) -> Result<T, PoolFault> {
        if self.dirty {
            // An earlier call's future was dropped: what it left on the wire is not this call's.
            self.give_up(GivenUp::Abandoned);
        }
        if !self.is_lost() && self.lane.killed.is_cancelled() {
            // The server may be known to be another one by now: it is told nothing more.
            return Err(self.cut_off(None));
        }
        let Some(held) = self.held.as_mut() else { return Err(PoolFault::Discarded) };
        if deadline.passed() {
            return Err(PoolFault::Timeout);
        }
        let statement_limit = self.lane.spec.limits.session.statement_timeout;
        let limit =
            if statement_limit.is_zero() { deadline } else { deadline.within(statement_limit) };
        held.link.canceller.begin(limit);
        self.dirty = true;
        let mut timing = Timing::begin(self.measured.as_ref());
        let beside = Arc::clone(&held.link.canceller);
        let ended = tokio::select! {
            biased;
            ended = work(&mut held.link.connection) => Ok(ended),
            cut = cut(&self.pools, &self.lane, (beside, &self.aside), deadline) => Err(Some(cut)),
            () = self.lane.killed.cancelled() => Err(None),
        };
        timing.end = match &ended {
            Ok(Ok(_)) => End::Done,
            Ok(Err(_)) => End::Failed,
            Err(_) => End::CutOff,
        };
        drop(timing);
        match ended {
            Ok(Ok(value)) => {
                self.dirty = false;
                held.pass.report(Verdict::Healthy, "");
                Ok(value)
            }
            Ok(Err(error)) => Err(self.failed(&error)),
            Err(cut) => Err(self.cut_off(cut)),
        }
    }

    /// The statement under way is given up; without a reason because the lane is.
    fn cut_off(&mut self, cut: Option<Cut>) -> PoolFault {
        let (tenant, now) = (self.lane.spec.tenant, self.pools.clock.now());
        match cut {
            Some(Cut::Deadline) => {
                self.lane.counters.timeouts.fetch_add(1, Relaxed);
                counter!(names::TIMEOUTS, names::TENANT => tenant.to_string()).increment(1);
                self.lane.note_error(Cow::Borrowed("timeout"), now);
                self.give_up(GivenUp::Deadline);
                PoolFault::Timeout
            }
            Some(Cut::Lost) => {
                self.lane.note_error(Cow::Borrowed("lost"), now);
                // What happened to this connection may have happened to the others.
                self.lane.distrust();
                if let Some(held) = self.held.as_mut() {
                    held.pass.report(Verdict::Unhealthy, "lost");
                }
                self.give_up(GivenUp::Broken);
                PoolFault::Silent { retry_after: Duration::ZERO }
            }
            None if self.lane.fell_silent() => {
                self.give_up(GivenUp::Silent);
                PoolFault::Silent { retry_after: self.pools.config.breaker.open_for }
            }
            None => {
                self.give_up(GivenUp::Abandoned);
                PoolFault::Retired
            }
        }
    }

    fn failed(&mut self, error: &sqlx::Error) -> PoolFault {
        let db = classify(error);
        let from_server = matches!(error, sqlx::Error::Database(_));
        // A plan that the server made anew is no failure; a table that is gone is one, of a server that is well.
        let unfit = db.family == Family::Mapping && db.code != "0A000";
        if unfit || db.verdict() != Verdict::Healthy {
            self.lane.note_error(db.code.clone(), self.pools.clock.now());
        }
        if let Some(held) = self.held.as_mut() {
            held.pass.report(db.verdict(), &db.code);
            // Rows may still be under way when decoding one of them failed.
            held.link.suspect |= !from_server;
        }
        if db.leaves_connection_usable() {
            self.dirty = false;
        } else {
            self.lane.distrust();
            self.give_up(if from_server { GivenUp::Over } else { GivenUp::Broken });
        }
        PoolFault::Database(DatabaseFault(db))
    }

    /// Parts with the connection for good.
    fn give_up(&mut self, why: GivenUp) {
        self.dirty = false;
        let Some(held) = self.held.take() else { return };
        let tenant = self.lane.spec.tenant;
        counter!(names::DISCARDS, names::TENANT => tenant.to_string()).increment(1);
        let (pools, lane) = (Arc::clone(&self.pools), Arc::clone(&self.lane));
        background(async move { clear_away(&pools, &lane, held, why).await });
    }

    /// Puts a clean connection back, unless something speaks against it.
    fn give_back(&mut self) {
        let Some(Held { link, permit, writer, pass }) = self.held.take() else { return };
        drop(pass);
        let config = &self.pools.config;
        let wanted = self.pools.budget.should_yield(self.lane.spec.tenant);
        let keep = link.opened_at.elapsed() < config.max_age && !wanted;
        let refused = if keep { self.lane.park(link) } else { Some(link) };
        if let Some(link) = refused {
            let limit = config.close_timeout;
            background(async move {
                link.close(limit).await;
                drop((permit, writer));
            });
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(held) = &self.held else { return };
        if self.dirty {
            self.give_up(GivenUp::Abandoned);
        } else if held.link.is_unclean() {
            self.give_up(GivenUp::Over);
        } else {
            self.give_back();
        }
    }
}

/// Runs `work` on its own. Outside the runtime, when the process ends, dropping it is all there is to do.
pub(crate) fn background(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        drop(runtime.spawn(work));
    }
}

/// Stops what the server is doing for a connection given up, judges the server by whether it answers,
/// and closes the connection. Keeps the permit meanwhile, so that the tenant's database never sees more
/// connections than the lane may hold.
async fn clear_away(pools: &Inner, lane: &Lane, held: Held, why: GivenUp) {
    let Held { mut link, permit, writer, mut pass } = held;
    let config = &pools.config;
    // MySQL is told by logging in. Where the account is refused, once more may lock it; the statement has the
    // server's own limit.
    let untold = lane.spec.engine == Engine::MySql && pass.holds_logins();
    let cancelled = match why {
        _ if untold => Ok(()),
        GivenUp::Over | GivenUp::Silent => Ok(()),
        GivenUp::Deadline | GivenUp::Abandoned | GivenUp::Broken => {
            let deadline = Deadline::after(config.cancel_timeout);
            match timeout_at(deadline.at(), link.canceller.cancel(deadline)).await {
                Ok(outcome) => outcome,
                Err(_elapsed) => Err(DialFault::timeout("stopping a statement took too long")),
            }
        }
    };
    let unreachable = cancelled.is_err_and(|fault| fault.class() != DialClass::Internal);
    // A caller's impatience says nothing about the server. That it cannot be reached to stop, or keeps
    // silent after it was stopped, does.
    let ask = match why {
        GivenUp::Deadline => !untold,
        GivenUp::Abandoned => unreachable,
        GivenUp::Broken | GivenUp::Over | GivenUp::Silent => false,
    };
    let silent = ask && !link.reacts(config.check_timeout).await;
    if silent {
        pass.report(Verdict::Unhealthy, "hung");
        lane.note_error(Cow::Borrowed("hung"), pools.clock.now());
    }
    drop(pass);
    if ask && !silent {
        link.close(config.close_timeout).await;
    } else {
        link.close_hard(config.close_timeout).await;
    }
    drop((permit, writer));
}
