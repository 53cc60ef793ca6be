//! Long-running work as rows: what was ordered, how far it is, who holds it.

mod lease;
mod orders;
mod tally;

use serde::Serialize;
use serde_json::Value as Json;
use uuid::Uuid;

pub use lease::{Claim, Settled};
pub(super) use orders::order_in;
pub use orders::{NewOperation, OperationFilter};
pub use tally::OpenOperations;

use super::value::{Row, binds};
use super::{Actor, Registry, RegistryFault, words};
use crate::base::{TenantId, Timestamp};
use crate::keyring::{DataKeyId, Sealed};

words! {
    /// Where an operation is.
    OperationState {
        /// Waiting for its parent to let it begin.
        Held = "held",
        /// Waiting for a gateway to take it up.
        Pending = "pending",
        /// Being carried out, or left by a gateway that was killed and about to be taken up by another.
        Running = "running",
        /// Cancelled; what it made is being taken away again.
        Undoing = "undoing",
        /// Done.
        Succeeded = "succeeded",
        /// Stopped; can be retried.
        Failed = "failed",
        /// Cancelled, and nothing of it is left.
        Cancelled = "cancelled",
    }
}

impl OperationState {
    /// Whether nothing more will happen unless somebody orders it.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// An operation's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its id: a UUID of version 7, so ids are in the order of their making.
    pub id: Uuid,
    /// What is done, as `noun.verb`.
    pub kind: String,
    /// The operation it is a part of.
    pub parent: Option<Uuid>,
    /// The tenant it is about. At most one operation works on a tenant at a time.
    pub tenant: Option<TenantId>,
    /// What it is about, for people: a tenant's name, or how many.
    pub subject: String,
    /// What was ordered. Holds no secret.
    pub input: Json,
    /// Where it is.
    pub state: OperationState,
    /// The step it is at; of the way back while it is being undone.
    pub step: u64,
    /// How often this step was begun and put off.
    pub attempts: u64,
    /// How often this step was begun by a gateway that did not see it end: killed, or without its lease.
    pub broken_off: u64,
    /// What later steps need to know of earlier ones. Holds no secret.
    pub progress: Json,
    /// What came of it.
    pub result: Option<Json>,
    /// Why it failed, or why its step was put off last.
    pub error: Option<Json>,
    /// A secret on its way from one step to a later one, sealed.
    pub secret: Option<Sealed>,
    /// Whether it rests until somebody resumes it.
    pub frozen: bool,
    /// Whether somebody asked for an end.
    pub cancel_asked: bool,
    /// Who ordered it.
    pub actor: Actor,
    /// In which request.
    pub request_id: String,
    /// Raised by every claim; nothing is written under an older one.
    pub fence: u64,
    /// The gateway that holds it or held it last.
    pub holder: Option<String>,
    /// When it was ordered.
    pub created_at: Timestamp,
    /// When its row was last written.
    pub updated_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// How one step of an operation went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OperationStep {
    /// Whether it belongs to the way back.
    pub undo: bool,
    /// Its place.
    pub number: u64,
    /// Its name.
    pub name: String,
    /// `running`, `done` or `failed`.
    pub state: String,
    /// How often it was begun.
    pub attempts: u64,
    /// The fence it was last begun under.
    pub fence: u64,
    /// What it found or did, in a few words.
    pub note: Option<String>,
    /// When it was first begun.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

macro_rules! operation_columns {
    () => {
        "o.id, o.kind, o.parent, o.tenant, o.subject, o.input, o.state, o.step, o.attempts, \
         o.progress, o.result, o.error, o.secret, o.frozen, o.cancel_asked, o.actor_kind, o.actor, \
         o.request_id, o.fence, o.holder, o.created_at, o.updated_at, o.ended_at, o.broken_off"
    };
}

const BY_ID: &str = concat!("SELECT ", operation_columns!(), " FROM operations o WHERE o.id = $1");
const STEPS: &str = "SELECT undo, number, name, state, attempts, fence, note, started_at, ended_at \
                     FROM operation_steps WHERE operation = $1 ORDER BY undo, number";
const LIST: &str = concat!(
    "SELECT ",
    operation_columns!(),
    " FROM operations o WHERE o.id < $1 AND ($2 = '' OR o.state = $2) AND ($3 = '' OR o.kind = $3) \
     AND ($4 = '' OR o.tenant = $4) AND ($5 = '' OR o.parent = $5) \
     AND ($6 = 0 OR o.parent IS NULL) ORDER BY o.id DESC LIMIT $7"
);
const CHILDREN: &str = concat!(
    "SELECT ",
    operation_columns!(),
    " FROM operations o WHERE o.parent = $1 AND o.id > $2 ORDER BY o.id LIMIT 1000"
);

fn json(row: &Row, at: usize) -> Result<Option<Json>, RegistryFault> {
    let parse = |text: String| serde_json::from_str(&text);
    row.opt_text(at)?.map(parse).transpose().map_err(|_| RegistryFault::Damaged("operation"))
}

impl Operation {
    fn read(row: &Row) -> Result<Self, RegistryFault> {
        let whole = |at| -> Result<Json, RegistryFault> { Ok(json(row, at)?.unwrap_or_default()) };
        Ok(Self {
            id: row.parse(0, "operation")?,
            kind: row.text(1)?,
            parent: row.opt_text(2)?.map(|_| row.parse(2, "operation")).transpose()?,
            tenant: row.opt_text(3)?.map(|_| row.tenant(3)).transpose()?,
            subject: row.text(4)?,
            input: whole(5)?,
            state: row.parse(6, "operation's state")?,
            step: row.counter(7)?,
            attempts: row.counter(8)?,
            broken_off: row.counter(23)?,
            progress: whole(9)?,
            result: json(row, 10)?,
            error: json(row, 11)?,
            secret: row.opt_text(12)?.map(Sealed::from_stored),
            frozen: row.int(13)? != 0,
            cancel_asked: row.int(14)? != 0,
            actor: Actor { kind: row.parse(15, "actor")?, subject: row.text(16)? },
            request_id: row.text(17)?,
            fence: row.counter(18)?,
            holder: row.opt_text(19)?,
            created_at: row.time(20)?,
            updated_at: row.time(21)?,
            ended_at: row.opt_int(22)?.map(Timestamp::from_millis),
        })
    }
}

impl OperationStep {
    fn read(row: &Row) -> Result<Self, RegistryFault> {
        Ok(Self {
            undo: row.int(0)? != 0,
            number: row.counter(1)?,
            name: row.text(2)?,
            state: row.text(3)?,
            attempts: row.counter(4)?,
            fence: row.counter(5)?,
            note: row.opt_text(6)?,
            started_at: row.time(7)?,
            ended_at: row.opt_int(8)?.map(Timestamp::from_millis),
        })
    }
}

impl Registry {
    /// The operation with that id.
    pub async fn operation(&self, id: Uuid) -> Result<Option<Operation>, RegistryFault> {
        let mut tx = self.read().await?;
        let row = tx.fetch_one(BY_ID, binds![id]).await?;
        tx.commit().await?;
        row.as_ref().map(Operation::read).transpose()
    }

    /// The steps of an operation that were begun, in their order, those of the way back last.
    pub async fn operation_steps(&self, id: Uuid) -> Result<Vec<OperationStep>, RegistryFault> {
        let mut tx = self.read().await?;
        let rows = tx.fetch(STEPS, binds![id]).await?;
        tx.commit().await?;
        rows.iter().map(OperationStep::read).collect()
    }

    /// Operations newest first, older than `before`, at most `limit` (capped at 1,000).
    pub async fn list_operations(
        &self,
        filter: &OperationFilter,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Operation>, RegistryFault> {
        let mut tx = self.read().await?;
        let text = |id: Option<String>| id.unwrap_or_default();
        let rows = tx
            .fetch(
                LIST,
                binds![
                    before.unwrap_or(Uuid::max()),
                    filter.state.map_or("", OperationState::as_str),
                    filter.kind.as_deref().unwrap_or_default(),
                    text(filter.tenant.map(|id| id.to_string())),
                    text(filter.parent.map(|id| id.to_string())),
                    i64::from(filter.parent.is_none() && filter.whole),
                    limit.min(1000)
                ],
            )
            .await?;
        tx.commit().await?;
        rows.iter().map(Operation::read).collect()
    }

    /// All parts of an operation, in the order they were made.
    pub async fn operation_parts(&self, parent: Uuid) -> Result<Vec<Operation>, RegistryFault> {
        let mut parts: Vec<Operation> = Vec::new();
        loop {
            let after = parts.last().map(|o| o.id).unwrap_or_default();
            let mut tx = self.read().await?;
            let rows = tx.fetch(CHILDREN, binds![parent, after]).await?;
            tx.commit().await?;
            let full = rows.len() == 1000;
            parts.extend(rows.iter().map(Operation::read).collect::<Result<Vec<_>, _>>()?);
            if !full {
                return Ok(parts);
            }
        }
    }

    /// The data keys of secrets on their way, which are therefore in use.
    pub(super) async fn operation_keys(&self) -> Result<Vec<DataKeyId>, RegistryFault> {
        let mut tx = self.read().await?;
        let sql = "SELECT secret_key_id FROM operations WHERE secret_key_id IS NOT NULL \
                   UNION SELECT data_key_id FROM servers WHERE data_key_id IS NOT NULL";
        let rows = tx.fetch(sql, &[]).await?;
        tx.commit().await?;
        rows.iter().map(|row| row.data_key(0)).collect()
    }
}
