//! Who carries an operation out, and what only she may write.

use std::time::Duration;

use serde_json::Value as Json;
use uuid::Uuid;

use super::{BY_ID, Operation};
use crate::base::Timestamp;
use crate::keyring::{DataKeyId, Sealed};
use crate::registry::db::Tx;
use crate::registry::value::binds;
use crate::registry::{Registry, RegistryFault};

/// What a claim is for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Claim {
    /// Only this operation and its parts.
    pub only: Option<Uuid>,
}

/// How the step of a held operation ended.
#[derive(Debug, Clone)]
pub enum Settled {
    /// Done; the next one may be begun.
    Next {
        /// What later steps need to know.
        progress: Json,
        /// What was found or done, in a few words.
        note: Option<String>,
    },
    /// To be begun again after a while; the operation is given back.
    Later {
        /// After how long.
        after: Duration,
        /// Why, when it is for a failure.
        error: Option<Json>,
        /// What later steps need to know.
        progress: Json,
    },
    /// Done with everything.
    Succeeded {
        /// What came of it.
        result: Json,
    },
    /// Stopped.
    Failed {
        /// Why.
        error: Json,
    },
    /// From here on the way back.
    Undo,
    /// Back at the beginning.
    Cancelled {
        /// What came of it.
        result: Json,
    },
    /// Somebody asked for an end, too late for it.
    CancelRefused,
}

const ANY: &str =
    "SELECT id FROM operations WHERE state IN ('pending', 'running', 'undoing') LIMIT 1";
const OPEN: &str = "SELECT id FROM operations WHERE state IN ('pending', 'running', 'undoing') \
     AND lease_until <= $1 AND due_at <= $1 AND (frozen = 0 OR cancel_asked = 1) \
     AND ($2 = '' OR id = $2 OR parent = $2) \
     ORDER BY CASE WHEN parent IS NULL THEN 0 ELSE 1 END, due_at, id LIMIT 1";
const OPEN_POSTGRES: &str = "SELECT id FROM operations WHERE state IN ('pending', 'running', 'undoing') \
     AND lease_until <= $1 AND due_at <= $1 AND (frozen = 0 OR cancel_asked = 1) \
     AND ($2 = '' OR id = $2 OR parent = $2) \
     ORDER BY CASE WHEN parent IS NULL THEN 0 ELSE 1 END, due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED";
const TAKE: &str = "UPDATE operations SET fence = fence + 1, holder = $2, lease_until = $3, \
     state = CASE WHEN state = 'pending' THEN 'running' ELSE state END, updated_at = $4 WHERE id = $1";
const RENEW: &str = "UPDATE operations SET lease_until = $3 WHERE id = $1 AND fence = $2 \
     AND state IN ('running', 'undoing')";
// A step that was well and waited goes on; one that failed or was cut off is begun once more.
const BEGIN: &str = "INSERT INTO operation_steps \
     (operation, undo, number, name, state, attempts, fence, started_at) \
     VALUES ($1, $2, $3, $4, 'running', 1, $5, $6) ON CONFLICT (operation, undo, number) \
     DO UPDATE SET state = 'running', fence = $5, ended_at = NULL, \
     attempts = operation_steps.attempts + CASE WHEN operation_steps.state = 'failed' OR EXISTS \
     (SELECT 1 FROM operations o WHERE o.id = $1 AND (o.broken_off > 0 OR o.error IS NOT NULL)) \
     THEN 1 ELSE 0 END";
// Counted before anything is done, and taken back by whoever sees the step end.
const BEGUN: &str = "UPDATE operations SET broken_off = broken_off + 1 WHERE id = $1";
// A gateway that is told to stop has not died of its step.
const SPARE: &str = "UPDATE operations SET broken_off = broken_off - 1 WHERE holder = $1 AND broken_off > 0 \
     AND lease_until > $2 AND state IN ('running', 'undoing')";
const END: &str = "UPDATE operation_steps SET state = $4, note = coalesce($5, note), ended_at = $6 \
     WHERE operation = $1 AND undo = $2 AND number = $3";

impl Registry {
    /// Takes up the operation that has waited longest and that nobody holds, for `lease`. Exactly one of
    /// several gateways gets it.
    pub async fn claim_operation(
        &self,
        holder: &str,
        claim: Claim,
        lease: Duration,
    ) -> Result<Option<Operation>, RegistryFault> {
        // Looked at first, so that gateways without work do not stand in the way of writers.
        let mut look = self.read().await?;
        let any = look.fetch_one(ANY, &[]).await?;
        look.commit().await?;
        if any.is_none() {
            return Ok(None);
        }
        let mut tx = self.write().await?;
        let now = self.lease_now(&mut tx).await?;
        let only = claim.only.map(|id| id.to_string()).unwrap_or_default();
        let open = if tx.is_postgres() { OPEN_POSTGRES } else { OPEN };
        let Some(row) = tx.fetch_one(open, binds![now, only]).await? else { return Ok(None) };
        let id: Uuid = row.parse(0, "operation")?;
        let values = binds![id, holder, now.plus(lease), self.inner.clock.now()];
        tx.execute(TAKE, values).await?;
        let row = tx.fetch_one(BY_ID, binds![id]).await?;
        tx.commit().await?;
        row.as_ref().map(Operation::read).transpose()
    }

    /// Holds an operation for `lease` from now. `false`: it is held by somebody else, or over.
    pub async fn renew_operation(
        &self,
        held: &Operation,
        lease: Duration,
    ) -> Result<bool, RegistryFault> {
        let mut tx = self.write().await?;
        let until = self.lease_now(&mut tx).await?.plus(lease);
        let renewed = tx.execute(RENEW, binds![held.id, held.fence, until]).await?;
        tx.commit().await?;
        Ok(renewed == 1)
    }

    /// Notes that a step is begun. `false` as [`renew_operation`](Self::renew_operation).
    pub async fn begin_step(
        &self,
        held: &Operation,
        undo: bool,
        number: u64,
        name: &str,
    ) -> Result<bool, RegistryFault> {
        let mut tx = self.write().await?;
        if !lock(&mut tx, held).await? {
            return Ok(false);
        }
        let now = self.inner.clock.now();
        let values = binds![held.id, i64::from(undo), number, name, held.fence, now];
        tx.execute(BEGIN, values).await?;
        tx.execute(BEGUN, binds![held.id]).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Notes of all that `holder` is about to let go of in the middle of a step that it does so by itself.
    pub async fn spare_operations(&self, holder: &str) -> Result<(), RegistryFault> {
        let mut tx = self.write().await?;
        let now = self.lease_now(&mut tx).await?;
        tx.execute(SPARE, binds![holder, now]).await?;
        tx.commit().await
    }

    /// Keeps a secret on its way to a later step, or forgets it. `false` as above.
    pub async fn keep_secret(
        &self,
        held: &Operation,
        secret: Option<(&Sealed, DataKeyId)>,
    ) -> Result<bool, RegistryFault> {
        let mut tx = self.write().await?;
        if !lock(&mut tx, held).await? {
            return Ok(false);
        }
        let sql = "UPDATE operations SET secret = $2, secret_key_id = $3 WHERE id = $1";
        let (sealed, key) = (secret.map(|s| s.0.as_str()), secret.map(|s| s.1.to_string()));
        tx.execute(sql, binds![held.id, sealed, key]).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Writes down how the step a gateway holds has ended. Gives back the operation as it is then, or
    /// nothing when it is no longer hers.
    pub async fn settle_operation(
        &self,
        held: &Operation,
        undo: bool,
        settled: &Settled,
    ) -> Result<Option<Operation>, RegistryFault> {
        let mut tx = self.write().await?;
        if !lock(&mut tx, held).await? {
            return Ok(None);
        }
        let now = self.inner.clock.now();
        let step = |state: &'static str, note: Option<String>| (state, note);
        let ended = match settled {
            Settled::Next { note, .. } => Some(step("done", note.clone())),
            Settled::Succeeded { .. } | Settled::Cancelled { .. } => Some(step("done", None)),
            Settled::Failed { error } => {
                let text = error.get("message").and_then(Json::as_str).map(str::to_owned);
                Some(step("failed", text))
            }
            _ => None,
        };
        if let Some((state, note)) = ended {
            let values = binds![held.id, i64::from(undo), held.step, state, note.as_deref(), now];
            tx.execute(END, values).await?;
        }
        self.write_settled(&mut tx, held, settled, now).await?;
        let row = tx.fetch_one(BY_ID, binds![held.id]).await?;
        tx.commit().await?;
        row.as_ref().map(Operation::read).transpose()
    }

    async fn write_settled(
        &self,
        tx: &mut Tx,
        held: &Operation,
        settled: &Settled,
        now: Timestamp,
    ) -> Result<(), RegistryFault> {
        let id = held.id;
        let over = "UPDATE operations SET state = $2, result = coalesce($3, result), error = $4, \
                    secret = CASE WHEN $2 = 'failed' THEN secret END, \
                    secret_key_id = CASE WHEN $2 = 'failed' THEN secret_key_id END, \
                    cancel_asked = 0, lease_until = 0, ended_at = $5, updated_at = $5 WHERE id = $1";
        let none = None::<&str>;
        match settled {
            Settled::Next { progress, .. } => {
                let sql = "UPDATE operations SET step = step + 1, attempts = 0, broken_off = 0, \
                           progress = $2, error = NULL, updated_at = $3 WHERE id = $1";
                tx.execute(sql, binds![id, progress.to_string(), now]).await?;
            }
            Settled::Later { after, error, progress } => {
                let sql = "UPDATE operations SET attempts = attempts + $2, error = $3, due_at = $4, \
                           progress = $5, lease_until = 0, broken_off = $7, updated_at = $6 \
                           WHERE id = $1";
                let due = self.lease_now(tx).await?.plus(*after);
                let failure = error.as_ref().map(Json::to_string);
                let count = i64::from(failure.is_some());
                // A step that waits is well; one that failed may fall over what a broken run left.
                let broken = if failure.is_some() { held.broken_off } else { 0 };
                let progress = progress.to_string();
                tx.execute(sql, binds![id, count, failure, due, progress, now, broken]).await?;
            }
            Settled::Succeeded { result } => {
                let values = binds![id, "succeeded", result.to_string(), none, now];
                tx.execute(over, values).await?;
            }
            Settled::Failed { error } => {
                tx.execute(over, binds![id, "failed", none, error.to_string(), now]).await?;
            }
            Settled::Cancelled { result } => {
                let values = binds![id, "cancelled", result.to_string(), none, now];
                tx.execute(over, values).await?;
            }
            Settled::Undo => {
                let sql = "UPDATE operations SET state = 'undoing', step = 0, attempts = 0, \
                           broken_off = 0, cancel_asked = 0, updated_at = $2 WHERE id = $1";
                tx.execute(sql, binds![id, now]).await?;
            }
            Settled::CancelRefused => {
                let sql = "UPDATE operations SET cancel_asked = 0, updated_at = $2 WHERE id = $1";
                tx.execute(sql, binds![id, now]).await?;
            }
        }
        Ok(())
    }

    /// The hour by which leases are counted: PostgreSQL's own, so that gateways need not agree on it.
    async fn lease_now(&self, tx: &mut Tx) -> Result<Timestamp, RegistryFault> {
        if !tx.is_postgres() {
            return Ok(self.inner.clock.now());
        }
        let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        let row = tx.fetch_one(sql, &[]).await?;
        row.ok_or(RegistryFault::Damaged("clock"))?.time(0)
    }
}

/// Locks the operation's row, if the fence is still the holder's and it is not over.
async fn lock(tx: &mut Tx, held: &Operation) -> Result<bool, RegistryFault> {
    let sql = if tx.is_postgres() {
        "SELECT id FROM operations WHERE id = $1 AND fence = $2 \
         AND state IN ('running', 'undoing') FOR UPDATE"
    } else {
        "SELECT id FROM operations WHERE id = $1 AND fence = $2 AND state IN ('running', 'undoing')"
    };
    Ok(tx.fetch_one(sql, binds![held.id, held.fence]).await?.is_some())
}
