//! Opening one connection to a tenant's database: resolve, check egress, connect, TLS, log in, set the
//! session up, ask the server who it is.
//!
//! No driver logs in by itself: a PostgreSQL session is the gateway's own ([`crate::pool::postgres`]), and the
//! MySQL driver is given a server that is already logged in, through a relay. A driver's connecting
//! trusts the server too far: it hashes for as long as a server likes, answers clear-text requests,
//! resolves names itself, and hides why a connection failed. Here every length, count and wait is
//! bounded, one deadline covers everything, and a dropped future leaves no task, socket or folder.

mod attach;
mod cancel;
mod egress;
mod fault;
mod identify;
mod mysql;
mod postgres;
mod progress;
mod race;
mod resolve;
mod sqlite;
mod tls;
mod types;
mod verifier;
pub(in crate::pool) mod wire;

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

pub use cancel::{Canceller, Found};
pub use egress::{EgressFault, EgressRules};
pub use fault::{DialClass, DialFault};
pub use progress::Progress;
pub use resolve::Resolver;
pub use types::{
    DialConfig, Opened, ServerFacts, ServerFlavour, SessionSettings, TenantConnection,
};
pub use verifier::{native_hash, scram_verifier};

use crate::base::{Clock, ConnectionRecord, Deadline, Engine, ServerRecord};

/// Opens connections. Cheap to clone.
#[derive(Clone)]
pub struct Dialer {
    inner: Arc<Inner>,
}

struct Inner {
    config: DialConfig,
    clock: Arc<dyn Clock>,
    resolver: Resolver,
    tls: Result<tls::Tls, DialFault>,
    permits: Semaphore,
    sessions: TaskTracker,
}

/// A TCP connection to an address the egress rules allow.
struct Dialled {
    stream: TcpStream,
    address: SocketAddr,
    heard: wire::Heard,
}

/// Where the time goes.
#[derive(Clone)]
struct Steps {
    last: Instant,
    done: Vec<(&'static str, Duration)>,
    progress: Option<Progress>,
}

impl Steps {
    fn start(progress: Option<Progress>) -> Self {
        Self { last: Instant::now(), done: Vec::with_capacity(7), progress }
    }

    fn done(&mut self, step: &'static str) {
        let now = Instant::now();
        self.done.push((step, now - self.last));
        if let Some(progress) = &self.progress {
            let mut progress = progress.lock();
            // Of several addresses the one that came furthest counts.
            if progress.iter().all(|(done, _)| *done != step) {
                progress.push((step, now - self.last));
            }
        }
        self.last = now;
    }

    fn finish(self) -> Vec<(&'static str, Duration)> {
        self.done
    }
}

impl Dialer {
    /// A dialer that lives by `config` and asks the system's name servers.
    pub fn new(config: DialConfig, clock: Arc<dyn Clock>) -> Self {
        Self::with_resolver(config, clock, Resolver::system())
    }

    /// A dialer that asks `resolver`.
    pub fn with_resolver(config: DialConfig, clock: Arc<dyn Clock>, resolver: Resolver) -> Self {
        let permits = Semaphore::new(config.cold_starts.clamp(1, Semaphore::MAX_PERMITS));
        let (tls, sessions) = (tls::Tls::new(), TaskTracker::new());
        Self { inner: Arc::new(Inner { config, clock, resolver, tls, permits, sessions }) }
    }

    /// Opens one connection, within `deadline` and the configured `connect_timeout`. Dropping the
    /// future abandons the attempt at once.
    pub async fn open(
        &self,
        record: &ConnectionRecord,
        session: &SessionSettings,
        deadline: Deadline,
    ) -> Result<Opened, DialFault> {
        self.open_noting(record, session, deadline, None).await
    }

    /// The same, noting each step in `progress` as it is done, so that an attempt that fails shows how far
    /// it came.
    pub async fn open_noting(
        &self,
        record: &ConnectionRecord,
        session: &SessionSettings,
        deadline: Deadline,
        progress: Option<Progress>,
    ) -> Result<Opened, DialFault> {
        let deadline = deadline.within(self.inner.config.connect_timeout);
        let opening = Box::pin(self.open_in_time(record, session, deadline, progress));
        timeout_at(deadline.at(), opening)
            .await
            .unwrap_or_else(|_| Err(DialFault::timeout("opening took too long")))
    }

    /// The folder tenants' SQLite files lie in, when there is one.
    pub fn sqlite_dir(&self) -> Option<&std::path::Path> {
        self.inner.config.sqlite_dir.as_deref()
    }

    /// How many sessions with servers stand.
    pub fn open_connections(&self) -> usize {
        self.inner.sessions.len()
    }

    async fn open_in_time(
        &self,
        record: &ConnectionRecord,
        session: &SessionSettings,
        deadline: Deadline,
        progress: Option<Progress>,
    ) -> Result<Opened, DialFault> {
        let inner = &self.inner;
        let mut steps = Steps::start(progress);
        // Turns spare the machine when many connections are opened at once. Servers that do not answer hold
        // theirs for seconds, and nobody waits for those.
        let turn = deadline.within(inner.config.turn);
        let _permit = timeout_at(turn.at(), inner.permits.acquire()).await;
        steps.done("permit");
        let server = match record {
            ConnectionRecord::Sqlite(file) => {
                return sqlite::open(inner, file, session, deadline, steps).await;
            }
            ConnectionRecord::Server(server) => Arc::new(server.clone()),
        };
        let addresses = inner.resolver.resolve(&server.host, deadline).await?;
        steps.done("resolve");
        inner.allow(&server, &addresses)?;
        let (server, steps) = (&server, &steps);
        let attempt = |address, heard| async move {
            let mut steps = steps.clone();
            let dialled = inner.connect(server, address, heard, deadline).await?;
            steps.done("connect");
            match server.engine {
                Engine::Postgres => {
                    Box::pin(postgres::open(inner, server, session, dialled, steps)).await
                }
                Engine::MySql => {
                    Box::pin(mysql::open(inner, server, session, dialled, steps)).await
                }
                Engine::Sqlite => {
                    Err(DialFault::internal("a SQLite record with a server's fields"))
                }
            }
        };
        let choice = |opened: &Opened| match &session.expected {
            Some(expected) if *expected != opened.identity => race::Choice::Stranger,
            _ if opened.facts.standby => race::Choice::Standby,
            _ => race::Choice::Best,
        };
        race::open(&addresses, deadline, choice, attempt).await
    }
}

impl Inner {
    fn tls(&self) -> Result<&tls::Tls, DialFault> {
        self.tls.as_ref().map_err(Clone::clone)
    }

    /// Whether the rules let a session go to each of `addresses`, in the transport that the record demands:
    /// an ended exception or a plaintext record opens no socket.
    fn allow(&self, record: &ServerRecord, addresses: &[IpAddr]) -> Result<(), DialFault> {
        self.config.egress.check(&record.host, record.port, addresses)?;
        for &address in addresses {
            self.tls()?.demand(record, address, &*self.clock)?;
        }
        Ok(())
    }

    /// Connects to an address that was allowed.
    async fn connect(
        &self,
        record: &ServerRecord,
        address: IpAddr,
        heard: wire::Heard,
        deadline: Deadline,
    ) -> Result<Dialled, DialFault> {
        let address = SocketAddr::new(address, record.port);
        Ok(Dialled { stream: wire::connect(address, deadline).await?, address, heard })
    }

    /// Connects to where a session of `record` stands, to reach around it.
    async fn reach(
        &self,
        record: &ServerRecord,
        address: SocketAddr,
        deadline: Deadline,
    ) -> Result<Dialled, DialFault> {
        self.allow(record, &[address.ip()])?;
        self.connect(record, address.ip(), wire::Heard::default(), deadline).await
    }
}

/// Runs driver code on a server's answers. The driver indexes into some of them without a look at their
/// length; its panic is the server's fault.
async fn guarded<T>(work: impl Future<Output = Result<T, DialFault>>) -> Result<T, DialFault> {
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Err(DialFault::hostile("the server's answer broke the driver")))
}

#[cfg(test)]
mod tests;
