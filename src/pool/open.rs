use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::FutureExt as _;
use metrics::counter;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::breaker::Pass;
use super::budget::Room;
use super::dial::{DialClass, DialFault, SessionSettings};
use super::fault::dial_code;
use super::lane::Lane;
use super::lease::{Lease, Permits, background};
use super::link::{Link, Tally};
use super::pools::Inner;
use super::selfcheck;
use super::verdict::Verdict;
use super::{Dialled, PoolFault, RecordFault, RecordSource};
use crate::base::{Deadline, FaultKind};
use crate::telemetry::pool_metrics as names;

/// How long a lane makes do with the connections it has, when its server gives no more.
const MAKES_DO: Duration = Duration::from_secs(5);

/// Reports what a failed attempt to connect says about the database. `others` are open.
fn report(pass: &mut Pass, fault: &DialFault, others: bool, code: &str) {
    match fault.class() {
        // Changed on the server: whoever was let in before is not thrown out by that.
        DialClass::Auth if others => pass.hold_logins(code),
        DialClass::Auth => pass.report(Verdict::AuthRefused, code),
        // An account's limit below the lane's: those that are open serve on.
        DialClass::Full if others => {}
        DialClass::Internal => {}
        _ => pass.report(Verdict::Unhealthy, code),
    }
}

/// What the caller says of the connection to be opened; the lane may be older than that.
pub(crate) struct Wanted {
    /// Gives the record.
    pub(crate) source: Arc<dyn RecordSource>,
    /// The tenant's weight among those who wait for a place in the gateway's budget.
    pub(crate) weight: u32,
    /// How long to wait for one.
    pub(crate) patience: Deadline,
}

/// Opens a connection in a task of its own: a caller who goes away neither aborts it nor makes anybody start
/// again. What it opens then goes to the shelf.
pub(crate) fn spawn(
    pools: Arc<Inner>,
    lane: Arc<Lane>,
    wanted: Wanted,
    permits: Permits,
    mut pass: Pass,
) -> oneshot::Receiver<Result<Lease, PoolFault>> {
    let (sender, receiver) = oneshot::channel();
    let alive = lane.tracker.token();
    tokio::spawn(async move {
        let writes = permits.1.is_some();
        let outcome = connect(&pools, &lane, &wanted, writes, &mut pass).await;
        let answer = match outcome {
            Ok(link) if lane.is_retired() => {
                link.close(pools.config.close_timeout).await;
                Err(PoolFault::Retired)
            }
            Ok(link) => Ok(Lease::new(pools, lane, link, permits, pass)),
            Err(fault) => {
                // The permit and the pass are free before the caller hears of it, or the permit is known to
                // be held back.
                let (permit, writer) = permits;
                drop((writer, pass));
                if is_crowded(&lane, &fault) {
                    background(lane.withhold(permit, MAKES_DO));
                } else {
                    drop(permit);
                }
                Err(fault)
            }
        };
        drop(alive);
        // A lease nobody waits for any more puts itself on the shelf.
        drop(sender.send(answer));
    });
    receiver
}

/// Whether the server gives the lane no connection beside those it has.
fn is_crowded(lane: &Lane, fault: &PoolFault) -> bool {
    fault.is_full() && has_others(lane)
}

fn has_others(lane: &Lane) -> bool {
    lane.counters.open.load(Relaxed) > 0
}

async fn connect(
    pools: &Arc<Inner>,
    lane: &Arc<Lane>,
    wanted: &Wanted,
    writes: bool,
    pass: &mut Pass,
) -> Result<Link, PoolFault> {
    if lane.refuses() {
        return Err(PoolFault::WrongServer);
    }
    let tenant = lane.spec.tenant;
    let budget = loop {
        let may_open = !pass.holds_logins();
        if !may_open && !has_others(lane) {
            return Err(pass.shut_out());
        }
        let weight = may_open.then_some(wanted.weight);
        match pools.room(lane, weight, writes, wanted.patience).await? {
            Room::New(place) => break place,
            Room::Parked(link) if !pools.is_overdue(&link) => return Ok(*link),
            Room::Parked(link) => {
                if let Some(link) = pools.asked(lane, *link, wanted.patience).await? {
                    return Ok(link);
                }
            }
        }
    };
    let deadline = Deadline::after(pools.config.connect_timeout);
    match dial(pools, lane, &*wanted.source, writes, deadline).await {
        Ok(dialled) => {
            pass.logged_in();
            let alive = lane.tracker.token();
            let tally = Tally::new(tenant, Arc::clone(&lane.counters), budget, alive);
            accept(pools, lane, dialled, writes, tally).await
        }
        Err(fault) => {
            let code = fault.code();
            lane.counters.failed.fetch_add(1, Relaxed);
            counter!(names::CONNECT_FAILURES, names::TENANT => tenant.to_string()).increment(1);
            lane.note_error(code.clone(), pools.clock.now());
            if let PoolFault::Connect(dial) = &fault {
                tracing::warn!(%tenant, class = dial.class().as_str(), code = %dial_code(dial),
                    "a connection could not be opened");
                report(pass, dial, has_others(lane), &code);
            }
            Err(fault)
        }
    }
}

async fn dial(
    pools: &Inner,
    lane: &Lane,
    source: &dyn RecordSource,
    writes: bool,
    deadline: Deadline,
) -> Result<Dialled, PoolFault> {
    let record = timeout_at(deadline.at(), source.record()).await.map_err(|_| {
        PoolFault::Record(RecordFault::new(FaultKind::Unavailable, "it took too long"))
    })??;
    let session = lane.spec.limits.session.clone();
    let (read_only, expected) = (session.read_only && !writes, lane.spec.expected.clone());
    let session = SessionSettings { read_only, expected, ..session };
    let open = AssertUnwindSafe(pools.dialer.open(&record, &session, deadline)).catch_unwind();
    match timeout_at(deadline.at(), open).await {
        Ok(Ok(opened)) => Ok(opened?),
        Ok(Err(_panic)) => Err(DialFault::hostile("opening it made the driver panic").into()),
        Err(_elapsed) => Err(DialFault::timeout("opening it took too long").into()),
    }
}

/// Takes the connection over if it reaches the server that was registered, before anything is read.
async fn accept(
    pools: &Inner,
    lane: &Lane,
    dialled: Dialled,
    writes: bool,
    tally: Tally,
) -> Result<Link, PoolFault> {
    let now = Instant::now();
    let link = Link {
        connection: dialled.connection,
        canceller: dialled.canceller,
        identity: Arc::new(dialled.identity),
        facts: Arc::new(dialled.facts),
        opened_at: now,
        idle_since: now,
        heard: None,
        identified_at: now,
        writes,
        suspect: false,
        tally,
    };
    let tenant = lane.spec.tenant;
    if lane.spec.expected.as_ref().is_some_and(|expected| *expected != *link.identity) {
        tracing::error!(%tenant, revision = %lane.spec.revision,
            "the server reached is not the one registered; nothing was read from it");
        selfcheck::alarm(pools, lane);
        let limit = pools.config.close_timeout;
        let idle = lane.refuse(pools.config.wrong_server_hold);
        let closing = idle.into_iter().chain([link]).map(|link| link.close_hard(limit));
        futures_util::future::join_all(closing).await;
        return Err(PoolFault::WrongServer);
    }
    lane.connected(Arc::clone(&link.identity));
    Ok(link)
}
