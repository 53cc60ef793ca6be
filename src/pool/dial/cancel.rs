use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::time::timeout_at;

use super::wire::Heard;
use super::{DialFault, Inner, mysql, postgres};
use crate::base::{Deadline, ServerRecord};

/// What a look at a session from beside it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The server answers, and nothing speaks against its being at work for the session.
    Answering,
    /// The server answers and says that the session waits for a statement.
    Waiting,
    /// A pooler answers: when the server takes the statement up is the pooler's to say.
    Pooled,
}

/// Stops what a connection is executing, from outside, and looks whether its server is there. Cheap to clone.
///
/// For servers it holds the connection record, password included, in memory for as long as the
/// connection lives: `KILL QUERY` needs a login of its own, and a cancel request needs the TLS settings.
/// It goes to the very address the connection was opened to, never to a freshly resolved one.
#[derive(Clone)]
pub struct Canceller(Target);

#[derive(Clone)]
enum Target {
    Postgres(Arc<Remote<postgres::Key>>),
    MySql(Arc<Remote<u32>>),
    Sqlite(Limit),
}

struct Remote<K> {
    inner: Arc<Inner>,
    record: Arc<ServerRecord>,
    address: SocketAddr,
    key: K,
    heard: Heard,
}

/// When a SQLite connection's statements must stop; read by its progress handler.
#[derive(Clone, Default)]
pub(super) struct Limit(Arc<Mutex<LimitState>>);

#[derive(Default, Clone, Copy)]
struct LimitState {
    cancelled: bool,
    until: Option<Instant>,
}

impl Limit {
    fn set(&self, state: LimitState) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// Whether a statement must stop now.
    pub(super) fn reached(&self) -> bool {
        let state = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.cancelled || state.until.is_some_and(|until| Instant::now() >= until)
    }
}

impl Canceller {
    pub(super) fn postgres(
        inner: &Arc<Inner>,
        record: &Arc<ServerRecord>,
        address: SocketAddr,
        key: postgres::Key,
        heard: Heard,
    ) -> Self {
        let (inner, record) = (Arc::clone(inner), Arc::clone(record));
        Self(Target::Postgres(Arc::new(Remote { inner, record, address, key, heard })))
    }

    pub(super) fn mysql(
        inner: &Arc<Inner>,
        record: &Arc<ServerRecord>,
        address: SocketAddr,
        key: u32,
        heard: Heard,
    ) -> Self {
        let (inner, record) = (Arc::clone(inner), Arc::clone(record));
        Self(Target::MySql(Arc::new(Remote { inner, record, address, key, heard })))
    }

    pub(super) const fn sqlite(limit: Limit) -> Self {
        Self(Target::Sqlite(limit))
    }

    /// Says that work begins which must be over by `deadline`. On SQLite this is the only statement limit
    /// and ends an earlier cancellation, so it is called before every piece of work; servers have their
    /// own limits, so there it does nothing.
    pub fn begin(&self, deadline: Deadline) {
        if let Target::Sqlite(limit) = &self.0 {
            let until = Instant::now().checked_add(deadline.remaining());
            limit.set(LimitState { cancelled: false, until });
        }
    }

    /// Says that the work is over: on SQLite no limit holds until the next one begins.
    pub fn end(&self) {
        if let Target::Sqlite(limit) = &self.0 {
            limit.set(LimitState::default());
        }
    }

    /// How often something was heard from the server so far; `None` where there is none to hear.
    pub fn heard(&self) -> Option<u64> {
        match &self.0 {
            Target::Postgres(remote) => Some(remote.heard.times()),
            Target::MySql(remote) => Some(remote.heard.times()),
            Target::Sqlite(_) => None,
        }
    }

    /// Whether the server's name is known to lead elsewhere now than to where the connection goes: it was
    /// moved, and the old one may live on for a while. Name servers that do not answer say nothing.
    pub async fn has_moved(&self, deadline: Deadline) -> bool {
        let (inner, record, address) = match &self.0 {
            Target::Postgres(r) => (&r.inner, &r.record, r.address),
            Target::MySql(r) => (&r.inner, &r.record, r.address),
            Target::Sqlite(_) => return false,
        };
        match inner.resolver.resolve(&record.host, deadline).await {
            Ok(now) => !now.contains(&address.ip()),
            Err(_) => false,
        }
    }

    /// Logs in beside the session and looks whether the server answers, and on PostgreSQL whether it has
    /// taken up what the session was told. Not answered by `deadline` is a fault of class
    /// [`super::DialClass::Timeout`]; any other fault is an answer, or the gateway's own trouble. Takes no
    /// cold-start permit, as [`Canceller::cancel`].
    pub async fn look(&self, deadline: Deadline) -> Result<Found, DialFault> {
        let look = async {
            match &self.0 {
                Target::Postgres(r) => {
                    postgres::look(&r.inner, &r.record, r.address, r.key, deadline).await
                }
                Target::MySql(r) => mysql::look(&r.inner, &r.record, r.address, deadline).await,
                Target::Sqlite(_) => Ok(Found::Answering),
            }
        };
        timeout_at(deadline.at(), Box::pin(look))
            .await
            .unwrap_or_else(|_| Err(DialFault::timeout("the server did not answer")))
    }

    /// Asks the server to stop the connection's present statement. `Ok` means the request arrived, not
    /// that the statement has stopped: wait for the connection or close it. Takes no cold-start permit,
    /// because a gateway busy opening connections must still be able to stop work.
    pub async fn cancel(&self, deadline: Deadline) -> Result<(), DialFault> {
        let request = async {
            match &self.0 {
                Target::Postgres(r) => {
                    postgres::cancel(&r.inner, &r.record, r.address, r.key.bytes, deadline).await
                }
                Target::MySql(r) => {
                    mysql::cancel(&r.inner, &r.record, r.address, r.key, deadline).await
                }
                Target::Sqlite(limit) => {
                    limit.set(LimitState { cancelled: true, until: None });
                    Ok(())
                }
            }
        };
        timeout_at(deadline.at(), Box::pin(request))
            .await
            .unwrap_or_else(|_| Err(DialFault::timeout("the cancel request was not answered")))
    }
}
