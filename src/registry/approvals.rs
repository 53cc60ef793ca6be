//! Orders that wait for a second person. What was ordered is begun in the transaction that approves it, so that
//! nothing is approved and not begun, or begun and not approved.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::change::{TenantChange, check_origin, write_event};
use super::db::Tx;
use super::operations::order_in;
use super::value::{Row, binds};
use super::{Actor, NewOperation, Operation, Origin, Registry, RegistryFault, words};
use crate::base::{Generation, TenantId, Timestamp};

words! {
    /// What waits for a second person.
    ApprovalKind {
        /// The end of a tenant.
        Offboard = "tenant.offboard",
        /// A mapping with SQL of its own.
        Publish = "mapping.publish",
    }
}

words! {
    /// What became of a request.
    ApprovalState {
        /// Nobody has decided yet.
        Waiting = "waiting",
        /// What was ordered has begun.
        Approved = "approved",
        /// Somebody said no, or whoever asked has withdrawn it.
        Refused = "refused",
        /// Nobody decided in time.
        Expired = "expired",
    }
}

/// What a request to put a mapping version in force says, as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicationOrder {
    /// The version.
    pub version: u64,
    /// The version that was in force when it was asked, 0 for none. Requests of older programs say nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// Whether it was in force before and comes back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub back: bool,
}

/// A request to a second person.
#[derive(Debug, Clone, PartialEq)]
pub struct Approval {
    /// Names it.
    pub id: Uuid,
    /// What is to be done.
    pub kind: ApprovalKind,
    /// To which tenant.
    pub tenant: TenantId,
    /// That tenant's slug.
    pub tenant_name: String,
    /// What was ordered, as whoever ordered it needs it again.
    pub input: Json,
    /// What became of it.
    pub state: ApprovalState,
    /// Who asked.
    pub actor: Actor,
    /// The request it was asked in.
    pub request_id: String,
    /// When.
    pub created_at: Timestamp,
    /// Until when it can be approved.
    pub expires_at: Timestamp,
    /// Who decided, and when.
    pub decided: Option<(Actor, Timestamp)>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, kind, tenant, input, state, actor_kind, actor, request_id, created_at, \
             expires_at, decider_kind, decider, decided_at, \
             (SELECT t.name FROM tenants t WHERE t.id = approvals.tenant) FROM approvals ",
            $rest
        )
    };
}

const ALL: &str = select!("ORDER BY id DESC LIMIT $1");
const WAITING: &str =
    select!("WHERE state = 'waiting' AND expires_at > $2 ORDER BY id DESC LIMIT $1");
const BY_ID: &str = select!("WHERE id = $1");
const BY_ID_LOCKED: &str = select!("WHERE id = $1 FOR UPDATE");

impl Approval {
    fn read(row: &Row, now: Timestamp) -> Result<Self, RegistryFault> {
        let mut state = row.parse(4, "approval's state")?;
        let expires_at = row.time(9)?;
        if state == ApprovalState::Waiting && expires_at <= now {
            state = ApprovalState::Expired;
        }
        let decided = match row.opt_text(11)? {
            None => None,
            Some(subject) => {
                Some((Actor { kind: row.parse(10, "actor")?, subject }, row.time(12)?))
            }
        };
        Ok(Self {
            id: row.parse(0, "approval")?,
            kind: row.parse(1, "approval's kind")?,
            tenant: row.tenant(2)?,
            tenant_name: row.text(13)?,
            input: row.json(3, "approval's order")?,
            state,
            actor: Actor { kind: row.parse(5, "actor")?, subject: row.text(6)? },
            request_id: row.text(7)?,
            created_at: row.time(8)?,
            expires_at,
            decided,
        })
    }

    /// The mapping version it is about, where it is about one.
    pub fn publication(&self) -> Result<Option<PublicationOrder>, RegistryFault> {
        match self.kind {
            ApprovalKind::Offboard => Ok(None),
            ApprovalKind::Publish => serde_json::from_value(self.input.clone())
                .map(Some)
                .map_err(|_| RegistryFault::Damaged("approval's order")),
        }
    }

    /// In whose name what was ordered is carried out.
    fn origin(&self) -> Origin {
        Origin { actor: self.actor.clone(), request_id: self.request_id.clone() }
    }
}

impl Registry {
    /// Asks a second person, who has until `valid` has passed. Refused while the same is asked already.
    pub async fn request_approval(
        &self,
        kind: ApprovalKind,
        tenant: TenantId,
        expected: Option<Generation>,
        input: &Json,
        valid: Duration,
        origin: &Origin,
    ) -> Result<Approval, RegistryFault> {
        let mut change = self.change(tenant, expected, origin).await?;
        let (id, now) = (Uuid::now_v7(), change.now);
        let sql = "UPDATE approvals SET state = 'expired' \
                   WHERE tenant = $1 AND kind = $2 AND state = 'waiting' AND expires_at <= $3";
        change.tx.execute(sql, binds![tenant, kind.as_str(), now]).await?;
        let sql = "INSERT INTO approvals (id, kind, tenant, input, state, actor_kind, actor, \
                   request_id, created_at, expires_at) \
                   VALUES ($1, $2, $3, $4, 'waiting', $5, $6, $7, $8, $9)";
        let (actor, until) = (&origin.actor, now.plus(valid));
        let values = binds![
            id,
            kind.as_str(),
            tenant,
            input.to_string(),
            actor.kind.as_str(),
            &actor.subject,
            &origin.request_id,
            now,
            until
        ];
        change.tx.execute(sql, values).await.map_err(|fault| match fault {
            RegistryFault::Conflict(_) => RegistryFault::Conflict(
                "the same waits for a second person already; see `wardgate approval list`",
            ),
            other => other,
        })?;
        let made = found(&mut change.tx, id, now, false).await?;
        change.finish("approval.request", told(&made)).await?;
        Ok(made)
    }

    /// Requests, newest first, at most `limit` (capped at 1,000); only those that wait, or all.
    pub async fn approvals(
        &self,
        waiting: bool,
        limit: u32,
    ) -> Result<Vec<Approval>, RegistryFault> {
        let now = self.inner.clock.now();
        let mut tx = self.read().await?;
        let limit = limit.min(1000);
        let rows = if waiting {
            tx.fetch(WAITING, binds![limit, now]).await?
        } else {
            tx.fetch(ALL, binds![limit]).await?
        };
        tx.commit().await?;
        rows.iter().map(|row| Approval::read(row, now)).collect()
    }

    /// The request with that id.
    pub async fn approval(&self, id: Uuid) -> Result<Option<Approval>, RegistryFault> {
        let mut tx = self.read().await?;
        let approval = found(&mut tx, id, self.inner.clock.now(), false).await;
        tx.commit().await?;
        match approval {
            Err(RegistryFault::NotFound(_)) => Ok(None),
            approval => approval.map(Some),
        }
    }

    /// Says no, or takes a request back.
    pub async fn refuse_approval(
        &self,
        id: Uuid,
        origin: &Origin,
    ) -> Result<Approval, RegistryFault> {
        check_origin(origin)?;
        let (mut tx, now) = (self.write().await?, self.inner.clock.now());
        let refused = decide(&mut tx, id, ApprovalState::Refused, origin, now).await?;
        note(&mut tx, &refused, origin, "approval.refuse", now).await?;
        tx.commit().await?;
        Ok(refused)
    }

    /// Approves a request and orders the operation it was for, in the name of whoever asked.
    pub async fn approve_operation(
        &self,
        id: Uuid,
        new: &NewOperation,
        origin: &Origin,
    ) -> Result<(Approval, Operation), RegistryFault> {
        check_origin(origin)?;
        let (mut tx, now) = (self.write().await?, self.inner.clock.now());
        let approved = decide(&mut tx, id, ApprovalState::Approved, origin, now).await?;
        if new.tenant != Some(approved.tenant) {
            return Err(RegistryFault::Invalid("the request is about another tenant"));
        }
        note(&mut tx, &approved, origin, "approval.approve", now).await?;
        let operation = order_in(&mut tx, new, &approved.origin(), now).await?;
        tx.commit().await?;
        Ok((approved, operation))
    }

    /// Approves a request and puts the mapping version it was for in force, in the name of whoever asked.
    /// Refused when another one has come in force since it was asked.
    pub async fn approve_publication(
        &self,
        id: Uuid,
        origin: &Origin,
    ) -> Result<(Approval, Generation), RegistryFault> {
        let asked = self.approval(id).await?.ok_or(RegistryFault::NotFound("approval"))?;
        let author = asked.origin();
        let mut change: TenantChange<'_> = self.change(asked.tenant, None, &author).await?;
        let now = change.now;
        let approved = decide(&mut change.tx, id, ApprovalState::Approved, origin, now).await?;
        let order = approved.publication()?;
        let order = order.ok_or(RegistryFault::Invalid("the request is about something else"))?;
        note(&mut change.tx, &approved, origin, "approval.approve", now).await?;
        Ok((approved, change.publish_as_asked(&order).await?))
    }
}

async fn found(
    tx: &mut Tx,
    id: Uuid,
    now: Timestamp,
    lock: bool,
) -> Result<Approval, RegistryFault> {
    let sql = if lock && tx.is_postgres() { BY_ID_LOCKED } else { BY_ID };
    let row = tx.fetch_one(sql, binds![id]).await?;
    Approval::read(&row.ok_or(RegistryFault::NotFound("approval"))?, now)
}

/// Writes down who decided; of several exactly one does. Nobody approves what she asked for herself.
async fn decide(
    tx: &mut Tx,
    id: Uuid,
    to: ApprovalState,
    origin: &Origin,
    now: Timestamp,
) -> Result<Approval, RegistryFault> {
    let asked = found(tx, id, now, true).await?;
    match asked.state {
        ApprovalState::Waiting => {}
        ApprovalState::Expired => {
            return Err(RegistryFault::Conflict("nobody approved it in time; order it again"));
        }
        _ => return Err(RegistryFault::Conflict("somebody has decided already")),
    }
    if to == ApprovalState::Approved && asked.actor == origin.actor {
        return Err(RegistryFault::Conflict("nobody approves what she ordered herself"));
    }
    let sql = "UPDATE approvals SET state = $2, decider_kind = $3, decider = $4, decided_at = $5 \
               WHERE id = $1";
    let (kind, subject) = (origin.actor.kind.as_str(), &origin.actor.subject);
    tx.execute(sql, binds![id, to.as_str(), kind, subject, now]).await?;
    Ok(Approval { state: to, decided: Some((origin.actor.clone(), now)), ..asked })
}

async fn note(
    tx: &mut Tx,
    approval: &Approval,
    origin: &Origin,
    action: &str,
    now: Timestamp,
) -> Result<(), RegistryFault> {
    let sql = "SELECT generation FROM tenants WHERE id = $1";
    let row = tx.fetch_one(sql, binds![approval.tenant]).await?;
    let generation = row.ok_or(RegistryFault::NotFound("tenant"))?.generation(0)?;
    let about = Some((approval.tenant, generation));
    write_event(tx, now, origin, action, about, &told(approval)).await
}

fn told(approval: &Approval) -> Json {
    json!({"approval": approval.id, "kind": approval.kind, "requested_by": approval.actor})
}
