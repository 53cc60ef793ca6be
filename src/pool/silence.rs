//! Telling a server that is slow from one that is gone.
//!
//! A statement may take as long as the server's own limit lets it, and says nothing meanwhile. So does a
//! server that was stopped, or is behind a network that swallows every byte; and TCP does not tell them
//! apart, because the system of a stopped process goes on acknowledging. What does is asking: after a
//! short silence somebody logs in beside the connection, in a task of its own and one at a time in a lane.
//! A server that does not answer that either has fallen silent, and with it every connection of its
//! lane. One that answers is left to its work, unless it says that the connection waits for a statement:
//! then what was sent has not arrived, and this one connection is lost.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::dial::{DialClass, DialFault, Found};
use super::lane::Lane;
use super::lease::background;
use super::pools::Inner;
use super::{Aside, Cancel};
use crate::base::Deadline;
use crate::telemetry::pool_metrics as names;

/// What a server gets beyond its own limit of a statement to say that it was reached.
const GRACE: Duration = Duration::from_secs(1);
/// A look that ends so much later than it had to was held up by the gateway itself.
const HELD_UP: Duration = Duration::from_millis(250);

/// Why a statement is given up before it was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The deadline passed.
    Deadline,
    /// The connection is lost, though its server answers.
    Lost,
}

/// Returns when the statement that `beside`'s connection is executing is to be given up.
pub(crate) async fn cut(
    pools: &Arc<Inner>,
    lane: &Arc<Lane>,
    (beside, aside): (Arc<dyn Cancel>, &Aside),
    deadline: Deadline,
) -> Cut {
    let config = &pools.config;
    let present = || (beside.heard(), aside.turns());
    let mut known = present();
    if known.0.is_none() {
        sleep_until(deadline.at()).await;
        return Cut::Deadline;
    }
    let mut limit = lane.spec.limits.session.statement_timeout;
    let (mut pause, mut since) = (config.look_after, Instant::now());
    loop {
        sleep_until(deadline.within(pause).at()).await;
        if deadline.passed() {
            return Cut::Deadline;
        }
        let now = present();
        // A server that is not waited for is not silent.
        if now != known || now.1 % 2 == 1 {
            (known, pause, since) = (now, config.look_after, Instant::now());
            continue;
        }
        if !limit.is_zero() && since.elapsed() > limit + GRACE {
            return Cut::Lost;
        }
        let found = look(Arc::clone(pools), Arc::clone(lane), Arc::clone(&beside)).await;
        if found == Found::Waiting && present() == known {
            return Cut::Lost;
        }
        if found == Found::Pooled {
            // The server's limit begins when the pooler has found it a session.
            limit = Duration::ZERO;
        }
        pause = config.look_again;
    }
}

/// Looks after the server, on behalf of all who wait for it: it goes on when the caller goes away.
async fn look(pools: Arc<Inner>, lane: Arc<Lane>, beside: Arc<dyn Cancel>) -> Found {
    let looking = tokio::spawn(async move {
        let one = lane.looking.acquire().await;
        // A look is a login. Where the account is refused, one more says nothing, and may lock it.
        if one.is_err()
            || lane.fell_silent()
            || pools.tenant(lane.spec.tenant).breaker.holds_logins()
        {
            return Found::Answering;
        }
        let deadline = Deadline::after(pools.config.look_timeout);
        let looked = timeout_at(deadline.at(), beside.look(deadline)).await;
        let late = deadline.at().elapsed();
        match looked.unwrap_or_else(|_| Err(DialFault::timeout("the server did not answer"))) {
            Ok(found) => return found,
            Err(fault) if fault.class() == DialClass::Timeout && late < HELD_UP => {
                pools.silenced(&lane);
            }
            // A refusal is an answer; what the gateway could not do says nothing.
            Err(_) => {}
        }
        Found::Answering
    });
    looking.await.unwrap_or(Found::Answering)
}

impl Inner {
    /// Gives up a lane whose server has fallen silent: the breaker opens, everybody who waits or executes
    /// is told, and the connections are closed without a word.
    fn silenced(&self, lane: &Arc<Lane>) {
        if !lane.fall_silent() {
            return;
        }
        let tenant = lane.spec.tenant;
        tracing::warn!(%tenant, "the database's server fell silent; its connections are given up");
        counter!(names::SILENCES, names::TENANT => tenant.to_string()).increment(1);
        lane.note_error(Cow::Borrowed("silent"), self.clock.now());
        // First, so that whoever is sent on finds it open. A lane that was replaced says nothing of the
        // record that took its place.
        if !lane.is_retired() {
            self.tenant(tenant).breaker.trip("silent");
        }
        let limit = self.config.close_timeout;
        let idle = lane.clear();
        background(async move {
            let closing = idle.into_iter().map(|link| link.close_hard(limit));
            futures_util::future::join_all(closing).await;
        });
        self.retire(lane);
        lane.killed.cancel();
    }
}
