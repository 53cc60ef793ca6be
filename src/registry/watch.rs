use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::db::{PATIENCE, Target, Tx};
use super::value::binds;
use super::{Actor, ActorKind, Origin, Registry, RegistryFault};
use crate::base::{Generation, TenantId};
use crate::telemetry::Recurring;

/// A tenant's configuration changed; its generation is now this one. For a tenant that was deleted it
/// is one above its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub tenant: TenantId,
    /// The generation now. Whatever was read under a lower one of the same history is stale.
    pub generation: Generation,
    /// Which history of the registry it belongs to, counted from 0. It rises when the registry was found
    /// restored from a backup: nothing read under an earlier one counts any more, whatever its
    /// generation. Every tenant is named again then.
    pub history: u64,
}

/// How often the feed is read without being called.
const POLL: Duration = Duration::from_secs(2);
/// The same on SQLite, where nobody calls and reading costs no network.
const POLL_FILE: Duration = Duration::from_millis(500);
/// How often all generations are compared, whatever the feed said.
const COMPARE: Duration = Duration::from_mins(1);
/// A feed entry is kept this long, and the newest of each tenant for ever.
const KEEP_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// Calls that come closer together are answered by one reading of the feed.
const CALM: Duration = Duration::from_millis(20);
/// How often the listening connection is checked for a peer that went silent.
const HEARTBEAT: Duration = Duration::from_secs(30);

const CHANNEL: &str = "wardgate_changes";

impl Registry {
    /// Changes of any tenant's configuration, whoever makes them and however.
    ///
    /// First every tenant is named once with its present generation, so that nothing read before the
    /// watch began escapes it; then each change. PostgreSQL's notifications call the reader of the feed
    /// at once; the feed is also read every 2 s (every 0.5 s on SQLite), so that a lost notification or listening connection
    /// delays a change and never loses it. A change may be named twice. After an outage all generations
    /// are compared. A registry restored from a backup is known by generations that fell or a feed that
    /// no longer holds what was read from it; it begins a new [`Change::history`] and is written to the
    /// operators' log. Ends when `shutdown` is cancelled or the receiver is dropped.
    pub fn watch(&self, shutdown: CancellationToken) -> mpsc::Receiver<Change> {
        let (sender, receiver) = mpsc::channel(1024);
        let watch = Watch {
            registry: self.clone(),
            sender,
            known: HashMap::new(),
            position: Position::default(),
            compared: None,
            history: 0,
            anchor: None,
            suspect: false,
            failing: Recurring::default(),
        };
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = watch.run() => {}
            }
        });
        receiver
    }
}

/// Where the reader of the feed stands.
///
/// SQLite: `from` is the highest `seq` read; one writer at a time makes that the order of commits.
/// PostgreSQL: `from` is `txid_snapshot_xmin` of the last reading, below which every transaction had
/// ended, and `seen` are the entries at or above it that were read already. A transaction that was under
/// way then, whatever numbers it had drawn, is at or above `from` and is found when it commits.
#[derive(Default)]
struct Position {
    from: i64,
    seen: HashSet<i64>,
}

struct Watch {
    registry: Registry,
    sender: mpsc::Sender<Change>,
    known: HashMap<TenantId, Generation>,
    position: Position,
    /// When all generations were last compared; `None` when it must be done next.
    compared: Option<Instant>,
    history: u64,
    anchor: Option<Anchor>,
    /// The feed went backwards or lost its anchor, and that was not yet acted upon.
    suspect: bool,
    failing: Recurring,
}

/// The newest entry of the feed at the last reading. An entry never changes, and the newest one stays
/// until its tenant has a newer one; so if it is gone or another, this is not the feed read before.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Anchor {
    seq: i64,
    tenant: String,
    generation: i64,
    at: i64,
}

/// A tenant and its generation now.
type Named = (TenantId, Generation);

/// What one reading of the feed found.
struct Reading {
    changes: Vec<Named>,
    /// The feed could not be continued from where it was; all generations must be compared.
    anew: bool,
    /// It went backwards.
    fell: bool,
}

/// What one look at the registry found.
struct Found {
    changes: Vec<Named>,
    restored: bool,
}

/// The receiver is gone.
struct Closed;

impl Watch {
    async fn run(mut self) {
        let (call, mut calls) = mpsc::channel::<()>(1);
        let file = matches!(self.registry.inner.db.target, Target::Sqlite(_));
        let mut poll = interval(if file { POLL_FILE } else { POLL });
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let listening = listen(self.registry.clone(), call);
        tokio::pin!(listening);
        loop {
            tokio::select! {
                _ = poll.tick() => {}
                Some(()) = calls.recv() => sleep(CALM).await,
                () = self.sender.closed() => return,
                () = &mut listening => {}
            }
            // Calls that came meanwhile are answered by the reading that begins now.
            while calls.try_recv().is_ok() {}
            match self.look().await {
                Ok(found) => {
                    if let Some(times) = self.failing.succeeded() {
                        tracing::info!(times, "the registry's feed of changes can be read again");
                    }
                    if self.announce(found.changes).await.is_err() {
                        return;
                    }
                    if found.restored {
                        self.note_restored().await;
                    }
                }
                Err(fault) => {
                    // What happens from here on may be pruned or undone before the next reading.
                    self.compared = None;
                    if let Some(times) = self.failing.failed() {
                        tracing::warn!(%fault, times, "the registry's feed of changes cannot be read");
                    }
                }
            }
        }
    }

    async fn look(&mut self) -> Result<Found, RegistryFault> {
        let mut tx = self.registry.read().await?;
        let reading = self.position.read(&mut tx).await?;
        // Asked in any case, for it also moves the anchor.
        let anchored = self.anchored(&mut tx).await?;
        self.suspect |= reading.fell || !anchored;
        let mut changes = reading.changes;
        let due =
            reading.anew || self.suspect || self.compared.is_none_or(|at| at.elapsed() >= COMPARE);
        let mut restored = false;
        if due {
            self.compared = None;
            let present = present(&mut tx).await?;
            let fell = |(tenant, last): (&TenantId, &Generation)| {
                present.get(tenant).is_some_and(|now| now < last)
            };
            restored = std::mem::take(&mut self.suspect) || self.known.iter().any(fell);
            changes.extend(self.compare(present, restored));
        }
        // Nothing was written; what was read must be announced however this ends.
        let _ = tx.commit().await;
        if due {
            self.compared = Some(Instant::now());
            self.prune().await;
        }
        Ok(Found { changes, restored })
    }

    /// Differences between all generations and those announced; all of them, and those that are gone,
    /// when the registry was restored.
    fn compare(&mut self, present: HashMap<TenantId, Generation>, restored: bool) -> Vec<Named> {
        let known = std::mem::replace(&mut self.known, present);
        let gone = known.iter().filter(|(tenant, _)| !self.known.contains_key(tenant));
        if restored {
            self.history += 1;
            // A tenant that is not there yet begins at 1 when it comes.
            let gone = gone.map(|(&tenant, _)| (tenant, Generation(1)));
            return self.known.iter().map(|(&t, &g)| (t, g)).chain(gone).collect();
        }
        let changed = self.known.iter().filter(|(tenant, now)| known.get(tenant) != Some(now));
        let gone = gone.map(|(&tenant, &last)| (tenant, Generation(last.0 + 1)));
        changed.map(|(&t, &g)| (t, g)).chain(gone).collect()
    }

    /// Whether the feed still holds what was its newest entry, and which is now.
    async fn anchored(&mut self, tx: &mut Tx) -> Result<bool, RegistryFault> {
        let sql = "SELECT seq, tenant, generation, at FROM changes \
                   WHERE seq = $1 OR seq = (SELECT max(seq) FROM changes) ORDER BY seq";
        let seq = self.anchor.as_ref().map_or(0, |anchor| anchor.seq);
        let mut found = Vec::new();
        for row in tx.fetch(sql, binds![seq]).await? {
            let (seq, at) = (row.int(0)?, row.int(3)?);
            let (tenant, generation) = (row.text(1)?, row.int(2)?);
            found.push(Anchor { seq, tenant, generation, at });
        }
        let pruned = self.registry.inner.clock.now().as_millis() - KEEP_MILLIS;
        let holds = self.anchor.as_ref().is_none_or(|anchor| {
            found.contains(anchor)
                || (anchor.at < pruned && found.iter().all(|f| f.seq != anchor.seq))
        });
        self.anchor = found.pop();
        Ok(holds)
    }

    /// Tells the operators; on every gateway that noticed.
    async fn note_restored(&self) {
        let actor = Actor { kind: ActorKind::WorkOrder, subject: "gateway".to_owned() };
        let origin = Origin { actor, request_id: String::new() };
        let detail = json!({ "tenants": self.known.len() });
        let noted = self.registry.record_event("registry.restored", None, &detail, &origin).await;
        if let Err(fault) = noted {
            tracing::warn!(%fault, "the operators' log did not take that the registry was restored");
        }
    }

    async fn announce(&mut self, changes: Vec<Named>) -> Result<(), Closed> {
        let mut newest: HashMap<TenantId, Generation> = HashMap::new();
        for (tenant, generation) in changes {
            let entry = newest.entry(tenant).or_default();
            *entry = generation.max(*entry);
        }
        let history = self.history;
        for (tenant, generation) in newest {
            self.known.insert(tenant, generation);
            let change = Change { tenant, generation, history };
            self.sender.send(change).await.map_err(|_| Closed)?;
        }
        Ok(())
    }

    async fn prune(&self) {
        let before = self.registry.inner.clock.now().as_millis() - KEEP_MILLIS;
        let done = async {
            let mut tx = self.registry.write().await?;
            let sql = "DELETE FROM changes WHERE at < $1 AND EXISTS (SELECT 1 FROM changes n \
                       WHERE n.tenant = changes.tenant AND n.generation > changes.generation)";
            tx.execute(sql, binds![before]).await?;
            tx.commit().await
        };
        if let Err(fault) = done.await {
            tracing::debug!(%fault, "old entries of the feed of changes stay for now");
        }
    }
}

impl Position {
    async fn read(&mut self, tx: &mut Tx) -> Result<Reading, RegistryFault> {
        let postgres = tx.is_postgres();
        let (now, entries) = if postgres {
            (
                "SELECT txid_snapshot_xmin(txid_current_snapshot())",
                "SELECT seq, tenant, generation FROM changes WHERE txid >= $1 ORDER BY seq",
            )
        } else {
            (
                "SELECT coalesce(max(seq), 0) FROM changes",
                "SELECT seq, tenant, generation FROM changes WHERE seq > $1 ORDER BY seq",
            )
        };
        let now = tx.fetch_one(now, &[]).await?.ok_or(RegistryFault::Damaged("feed"))?.int(0)?;
        // The beginning, or another history than the one read so far: the comparison of all generations
        // stands in for the feed.
        let fell = now < self.from;
        let anew = self.from == 0 || fell;
        if anew {
            *self = Self { from: now, seen: HashSet::new() };
        }
        let rows = tx.fetch(entries, binds![self.from]).await?;
        let mut seen = HashSet::with_capacity(rows.len());
        let mut changes = Vec::new();
        for row in &rows {
            let seq = row.int(0)?;
            seen.insert(seq);
            // An entry that does not read names nobody, and must not keep others' changes away.
            let named = row.tenant(1).ok().zip(row.generation(2).ok());
            changes.extend(named.filter(|_| !self.seen.contains(&seq)));
        }
        *self = Self { from: now, seen: if postgres { seen } else { HashSet::new() } };
        Ok(Reading { changes, anew, fell })
    }
}

async fn present(tx: &mut Tx) -> Result<HashMap<TenantId, Generation>, RegistryFault> {
    let rows = tx.fetch("SELECT id, generation FROM tenants", &[]).await?;
    // A tenant whose row does not read cannot be served, and must not keep others' changes away.
    Ok(rows.iter().filter_map(|row| row.tenant(0).ok().zip(row.generation(1).ok())).collect())
}

/// Calls whenever PostgreSQL notifies; nothing to do on SQLite. A listening connection that ends is
/// replaced, and each new one calls once, for what was notified in between.
async fn listen(registry: Registry, call: mpsc::Sender<()>) {
    let Target::Postgres(options) = &registry.inner.db.target else {
        return std::future::pending().await;
    };
    loop {
        if listen_once(options, &call).await.is_err() {
            tracing::debug!("listening for changes of the registry begins anew");
        }
        sleep(Duration::from_millis(500)).await;
    }
}

async fn listen_once(
    options: &PgConnectOptions,
    call: &mpsc::Sender<()>,
) -> Result<(), sqlx::Error> {
    // The listener insists on a pool; this one holds its single connection.
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(PATIENCE)
        .connect_lazy_with(options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    let _ = call.try_send(());
    loop {
        match timeout(HEARTBEAT, listener.try_recv()).await {
            Ok(Ok(Some(_))) => {
                // A full channel means that a call is waiting already.
                let _ = call.try_send(());
            }
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_) => {
                let heartbeat = sqlx::query("SELECT 1").execute(&mut listener);
                timeout(PATIENCE, heartbeat).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
            }
        }
    }
}
