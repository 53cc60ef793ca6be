//! Asking the servers behind warm lanes who they are, again and again: what a lane reached when it was
//! opened need not be what it reaches now, with a proxy in between or a file exchanged. And a name that leads
//! elsewhere by now is followed, though the old server may answer still.
//!
//! Idle connections are asked by the maintenance, without traffic; one that was never idle when its time
//! came is asked before its next use. Another answer than the registered one ends the lane.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt as _;
use metrics::counter;
use tokio::time::{Instant, timeout_at};

use super::PoolFault;
use super::dial::{DialFault, SessionSettings};
use super::lane::Lane;
use super::lease::background;
use super::link::Link;
use super::pools::Inner;
use crate::base::{Deadline, ServerIdentity};
use crate::telemetry::pool_metrics as names;

/// How long name servers may take to say where a name leads; what they do not say changes nothing.
const NAME_IDLE: Duration = Duration::from_secs(2);
/// The same while a caller waits.
const NAME_IN_USE: Duration = Duration::from_millis(200);

/// What asking came to.
enum Answer {
    /// It is the registered one.
    Same,
    /// It is another one.
    Other,
    /// It did not say.
    None,
}

impl Inner {
    /// Has one of the lane's idle connections asked whose time has come. One at a time: a caller must find
    /// the others.
    pub(super) fn check_idle(self: &Arc<Self>, lane: &Arc<Lane>) {
        let every = self.config.identity_check;
        let Some(expected) = lane.spec.expected.clone().filter(|_| !every.is_zero()) else {
            return;
        };
        if lane.asking.load(Ordering::Relaxed) > 0 {
            return;
        }
        let Some((mut link, permit)) = lane.unasked(every) else { return };
        let (pools, lane) = (Arc::clone(self), Arc::clone(lane));
        // Nobody's use: an idle lane stays one.
        lane.asking.fetch_add(1, Ordering::Relaxed);
        background(async move {
            let deadline = Deadline::after(pools.config.check_timeout);
            match pools.ask(&lane, &mut link, &expected, deadline).await {
                Answer::Same if moved(&lane, &link, Deadline::after(NAME_IDLE)).await => {
                    link.close(pools.config.close_timeout).await;
                }
                Answer::Same => {
                    if let Some(link) = lane.put_back(link) {
                        link.close(pools.config.close_timeout).await;
                    }
                }
                Answer::Other => pools.wrong_server(&lane, link).await,
                // Whoever wants a connection next finds out what is wrong with the server.
                Answer::None => link.close_hard(pools.config.close_timeout).await,
            }
            drop(permit);
            lane.asking.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// Asks a connection that is about to be used, when that is long overdue. `None` when it cannot be used.
    pub(super) async fn asked(
        self: &Arc<Self>,
        lane: &Arc<Lane>,
        mut link: Link,
        patience: Deadline,
    ) -> Result<Option<Link>, PoolFault> {
        let Some(expected) = &lane.spec.expected else { return Ok(Some(link)) };
        match self.ask(lane, &mut link, expected, patience).await {
            Answer::Same if moved(lane, &link, patience.within(NAME_IN_USE)).await => {
                background(link.close(self.config.close_timeout));
                Ok(None)
            }
            Answer::Same => Ok(Some(link)),
            Answer::None => Ok(None),
            Answer::Other => {
                self.wrong_server(lane, link).await;
                Err(PoolFault::WrongServer)
            }
        }
    }

    /// Whether a connection's identity was not asked for in so long that it is not used before.
    pub(super) fn is_overdue(&self, link: &Link) -> bool {
        let every = self.config.identity_check;
        !every.is_zero() && link.identified_at.elapsed() >= every * 2
    }

    async fn ask(
        &self,
        lane: &Lane,
        link: &mut Link,
        expected: &ServerIdentity,
        deadline: Deadline,
    ) -> Answer {
        let tenant = lane.spec.tenant;
        counter!(names::IDENTITY_CHECKS, names::TENANT => tenant.to_string()).increment(1);
        let asking = async {
            let record = lane.spec.source.record().await.ok()?;
            let session = lane.spec.limits.session.clone();
            let read_only = session.read_only && !link.writes;
            let session = SessionSettings { read_only, ..session };
            link.canceller.begin(deadline);
            let on = (&mut link.connection, link.facts.flavour);
            let asked = self.dialer.identify(&record, &session, on, deadline);
            let asked = AssertUnwindSafe(asked).catch_unwind().await;
            asked.unwrap_or_else(|_| Err(DialFault::hostile("the answer broke the driver"))).ok()
        };
        match timeout_at(deadline.at(), asking).await {
            Ok(Some(found)) if found == *expected => {
                link.identified_at = Instant::now();
                Answer::Same
            }
            Ok(Some(_other)) => Answer::Other,
            Ok(None) | Err(_) => Answer::None,
        }
    }

    /// Another server answers than the one registered: alarms, and ends the lane with all that is under way
    /// on it.
    async fn wrong_server(&self, lane: &Arc<Lane>, link: Link) {
        let (tenant, limit) = (lane.spec.tenant, self.config.close_timeout);
        alarm(self, lane);
        tracing::error!(%tenant, revision = %lane.spec.revision,
            "a warm connection reaches another server than the one registered; its lane is closed");
        let closing = lane.refuse(self.config.wrong_server_hold).into_iter().chain([link]);
        let closing = closing.map(|link| link.close_hard(limit));
        self.retire(lane);
        lane.killed.cancel();
        futures_util::future::join_all(closing).await;
    }
}

/// Whether the server's name leads elsewhere now: whoever wants a connection next reaches the one it leads to.
async fn moved(lane: &Lane, link: &Link, deadline: Deadline) -> bool {
    let moved = link.canceller.has_moved(deadline).await;
    if moved {
        let tenant = lane.spec.tenant;
        tracing::info!(%tenant, "a database's name leads elsewhere; a connection to where it led is closed");
    }
    moved
}

/// Counts that the wrong server answered.
pub(super) fn alarm(pools: &Inner, lane: &Lane) {
    counter!(crate::telemetry::names::INTEGRITY).increment(1);
    counter!(names::WRONG_SERVER, names::TENANT => lane.spec.tenant.to_string()).increment(1);
    lane.note_error(Cow::Borrowed("wrong_server"), pools.clock.now());
}
