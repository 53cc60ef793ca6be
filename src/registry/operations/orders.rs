//! What somebody orders of operations.

use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{BY_ID, Operation, OperationState};
use crate::base::TenantId;
use crate::registry::change::{check_origin, write_event};
use crate::registry::db::Tx;
use crate::registry::value::binds;
use crate::registry::{Origin, Registry, RegistryFault};

/// An operation to be made.
#[derive(Debug, Clone)]
pub struct NewOperation {
    /// What is to be done.
    pub kind: &'static str,
    /// The operation it is a part of; it is held until that lets it begin.
    pub parent: Option<Uuid>,
    /// The tenant it is about.
    pub tenant: Option<TenantId>,
    /// What it is about, for people. 1 to 200 characters.
    pub subject: String,
    /// What is ordered. Holds no secret.
    pub input: Json,
}

/// Which operations to list. `None` filters nothing.
#[derive(Debug, Clone, Default)]
pub struct OperationFilter {
    /// In this state.
    pub state: Option<OperationState>,
    /// Of this kind.
    pub kind: Option<String>,
    /// About this tenant.
    pub tenant: Option<TenantId>,
    /// Parts of this operation.
    pub parent: Option<Uuid>,
    /// Only those that are no part of another.
    pub whole: bool,
}

const BUSY: RegistryFault =
    RegistryFault::Conflict("another operation of this tenant is under way; see its operations");

fn busy(fault: RegistryFault) -> RegistryFault {
    match fault {
        RegistryFault::Conflict(_) => BUSY,
        other => other,
    }
}

impl Registry {
    /// Makes an operation; parts are held, others may begin at once. Refused while another works on the
    /// same tenant.
    pub async fn create_operation(
        &self,
        new: &NewOperation,
        origin: &Origin,
    ) -> Result<Operation, RegistryFault> {
        check_origin(origin)?;
        if !(1..=200).contains(&new.subject.chars().count()) {
            return Err(RegistryFault::Invalid(
                "what an operation is about has 1 to 200 characters",
            ));
        }
        let (mut tx, now) = (self.write().await?, self.inner.clock.now());
        let made = order_in(&mut tx, new, origin, now).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// Makes the parts of an operation, once: parts that are there already are left as they are.
    pub async fn create_parts(
        &self,
        parent: &Operation,
        parts: &[NewOperation],
    ) -> Result<(), RegistryFault> {
        let origin = Origin { actor: parent.actor.clone(), request_id: parent.request_id.clone() };
        let mut tx = self.write().await?;
        let fenced = if tx.is_postgres() {
            "SELECT fence FROM operations WHERE id = $1 FOR UPDATE"
        } else {
            "SELECT fence FROM operations WHERE id = $1"
        };
        let row = tx.fetch_one(fenced, binds![parent.id]).await?;
        if row.ok_or(RegistryFault::NotFound("operation"))?.counter(0)? != parent.fence {
            return Err(RegistryFault::Conflict("another gateway has taken this operation up"));
        }
        for part in parts {
            let sql = "SELECT 1 FROM operations WHERE parent = $1 AND tenant = $2";
            let tenant = part.tenant.map(|id| id.to_string());
            if tx.fetch_one(sql, binds![parent.id, tenant]).await?.is_none() {
                insert(&mut tx, part, &origin, self.inner.clock.now()).await?;
            }
        }
        tx.commit().await
    }

    /// Lets a held part begin. Gives back `false` when something else works on its tenant now.
    pub async fn release_part(&self, id: Uuid) -> Result<bool, RegistryFault> {
        let mut tx = self.write().await?;
        let sql = "UPDATE operations SET state = 'pending', due_at = 0, updated_at = $2 \
                   WHERE id = $1 AND state = 'held'";
        match tx.execute(sql, binds![id, self.inner.clock.now()]).await {
            Ok(_) => tx.commit().await.map(|()| true),
            Err(RegistryFault::Conflict(_)) => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// Cancels the parts that were not let begin; gives back how many.
    pub async fn cancel_held_parts(&self, parent: &Operation) -> Result<u64, RegistryFault> {
        let mut tx = self.write().await?;
        let sql = "UPDATE operations SET state = 'cancelled', ended_at = $2, updated_at = $2 \
                   WHERE parent = $1 AND state = 'held'";
        let cancelled = tx.execute(sql, binds![parent.id, self.inner.clock.now()]).await?;
        tx.commit().await?;
        Ok(cancelled)
    }

    /// Lets a failed operation go on where it stopped; of one with parts, its failed parts too.
    pub async fn retry_operation(
        &self,
        id: Uuid,
        origin: &Origin,
    ) -> Result<Operation, RegistryFault> {
        let mut order = self.order(id, origin).await?;
        if order.operation.state != OperationState::Failed {
            return Err(RegistryFault::Conflict("only an operation that failed can be retried"));
        }
        let parts = "UPDATE operations SET state = 'held', attempts = 0, broken_off = 0, \
                     error = NULL, ended_at = NULL, updated_at = $2 WHERE parent = $1 AND state = 'failed'";
        order.tx.execute(parts, binds![id, order.now]).await?;
        // One that failed on its way back goes on with it.
        let sql = "UPDATE operations SET state = CASE WHEN EXISTS (SELECT 1 FROM operation_steps s \
                   WHERE s.operation = $1 AND s.undo = 1) THEN 'undoing' ELSE 'pending' END, \
                   attempts = 0, broken_off = 0, error = NULL, ended_at = NULL, frozen = 0, \
                   cancel_asked = 0, due_at = 0, lease_until = 0, updated_at = $2 WHERE id = $1";
        order.tx.execute(sql, binds![id, order.now]).await.map_err(busy)?;
        order.finish("operation.retry").await
    }

    /// Asks for an operation's end. It is taken up by whoever carries it out, and refused there when it
    /// is past the point from which there is a way back. What only waits ends at once.
    pub async fn cancel_operation(
        &self,
        id: Uuid,
        origin: &Origin,
    ) -> Result<Operation, RegistryFault> {
        let mut order = self.order(id, origin).await?;
        match order.operation.state {
            OperationState::Succeeded | OperationState::Cancelled => {
                return Err(RegistryFault::Conflict("it has ended already"));
            }
            OperationState::Undoing => {
                return Err(RegistryFault::Conflict("it is being cancelled already"));
            }
            _ => {}
        }
        let sql = "UPDATE operations SET cancel_asked = 1, frozen = 0, due_at = 0, updated_at = $2, \
                   state = CASE WHEN state IN ('held', 'failed') THEN 'pending' ELSE state END, \
                   ended_at = NULL WHERE id = $1";
        order.tx.execute(sql, binds![id, order.now]).await.map_err(busy)?;
        order.finish("operation.cancel").await
    }

    /// Lets an operation rest after what is under way, or go on.
    pub async fn freeze_operation(
        &self,
        id: Uuid,
        frozen: bool,
        origin: &Origin,
    ) -> Result<Operation, RegistryFault> {
        let mut order = self.order(id, origin).await?;
        if order.operation.state.is_over() {
            return Err(RegistryFault::Conflict("it has ended already"));
        }
        let sql = "UPDATE operations SET frozen = $2, due_at = 0, updated_at = $3 WHERE id = $1";
        order.tx.execute(sql, binds![id, i64::from(frozen), order.now]).await?;
        order.finish(if frozen { "operation.freeze" } else { "operation.resume" }).await
    }

    async fn order<'a>(&self, id: Uuid, origin: &'a Origin) -> Result<Order<'a>, RegistryFault> {
        check_origin(origin)?;
        let mut tx = self.write().await?;
        if tx.is_postgres() {
            let lock = "SELECT 1::bigint FROM operations WHERE id = $1 FOR UPDATE";
            tx.fetch(lock, binds![id]).await?;
        }
        let row = tx.fetch_one(BY_ID, binds![id]).await?;
        let operation = Operation::read(&row.ok_or(RegistryFault::NotFound("operation"))?)?;
        Ok(Order { tx, operation, origin, now: self.inner.clock.now() })
    }
}

/// An order about an operation whose row is locked.
struct Order<'a> {
    tx: Tx,
    operation: Operation,
    origin: &'a Origin,
    now: crate::base::Timestamp,
}

impl Order<'_> {
    async fn finish(mut self, action: &'static str) -> Result<Operation, RegistryFault> {
        let row = self.tx.fetch_one(BY_ID, binds![self.operation.id]).await?;
        let after = Operation::read(&row.ok_or(RegistryFault::NotFound("operation"))?)?;
        let detail = json!({"operation": after.id, "kind": after.kind, "subject": after.subject});
        note(&mut self.tx, &after, self.origin, action, &detail, self.now).await?;
        self.tx.commit().await?;
        Ok(after)
    }
}

/// Makes an operation as part of a larger order, with its operators' event.
pub(in crate::registry) async fn order_in(
    tx: &mut Tx,
    new: &NewOperation,
    origin: &Origin,
    now: crate::base::Timestamp,
) -> Result<Operation, RegistryFault> {
    let made = insert(tx, new, origin, now).await?;
    let detail = json!({"operation": made.id, "kind": made.kind, "subject": made.subject});
    note(tx, &made, origin, "operation.order", &detail, now).await?;
    Ok(made)
}

async fn insert(
    tx: &mut Tx,
    new: &NewOperation,
    origin: &Origin,
    now: crate::base::Timestamp,
) -> Result<Operation, RegistryFault> {
    let id = Uuid::now_v7();
    let state = if new.parent.is_some() { OperationState::Held } else { OperationState::Pending };
    tx.execute(
        "INSERT INTO operations (id, kind, parent, tenant, subject, input, state, actor_kind, \
         actor, request_id, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)",
        binds![
            id,
            new.kind,
            new.parent.map(|id| id.to_string()),
            new.tenant.map(|id| id.to_string()),
            &new.subject,
            new.input.to_string(),
            state.as_str(),
            origin.actor.kind.as_str(),
            &origin.actor.subject,
            &origin.request_id,
            now
        ],
    )
    .await
    .map_err(busy)?;
    let row = tx.fetch_one(BY_ID, binds![id]).await?;
    Operation::read(&row.ok_or(RegistryFault::NotFound("operation"))?)
}

/// Writes the operators' event, with the tenant's generation where there is such a tenant.
async fn note(
    tx: &mut Tx,
    operation: &Operation,
    origin: &Origin,
    action: &str,
    detail: &Json,
    now: crate::base::Timestamp,
) -> Result<(), RegistryFault> {
    let about = match operation.tenant {
        None => None,
        Some(id) => {
            let sql = "SELECT generation FROM tenants WHERE id = $1";
            let row = tx.fetch_one(sql, binds![id]).await?;
            row.map(|row| row.generation(0)).transpose()?.map(|generation| (id, generation))
        }
    };
    write_event(tx, now, origin, action, about, detail).await
}
