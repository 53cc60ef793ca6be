use serde::Serialize;
use serde_json::Value as Json;

use super::change::{check_origin, write_event};
use super::value::{Row, binds};
use super::{Actor, Origin, Registry, RegistryFault};
use crate::base::{Generation, TenantId, Timestamp};

/// What an operator did. Append-only; holds no secret and nothing of a patient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OperatorEvent {
    /// Its place in the sequence; grows, with gaps.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What, as `noun.verb`.
    pub action: String,
    /// To which tenant.
    pub tenant: Option<TenantId>,
    /// The generation it led to.
    pub generation: Option<Generation>,
    /// More about it.
    pub detail: Json,
    /// The request's id, empty when there was none.
    pub request_id: String,
}

/// Which events to list, newest first.
#[derive(Debug, Clone, Copy, Default)]
pub struct EventFilter {
    /// Only of this tenant.
    pub tenant: Option<TenantId>,
    /// Only older than this id: the cursor of the next page.
    pub before: Option<u64>,
}

impl OperatorEvent {
    fn read(row: &Row) -> Result<Self, RegistryFault> {
        Ok(Self {
            id: row.counter(0)?,
            at: row.time(1)?,
            actor: Actor { kind: row.parse(2, "actor")?, subject: row.text(3)? },
            action: row.text(4)?,
            tenant: row.opt_text(5)?.map(|_| row.tenant(5)).transpose()?,
            generation: row.opt_int(6)?.map(|_| row.generation(6)).transpose()?,
            detail: row.json(7, "event")?,
            request_id: row.text(8)?,
        })
    }
}

impl Registry {
    /// Events newest first, at most `limit` (capped at 1,000).
    pub async fn list_events(
        &self,
        filter: &EventFilter,
        limit: u32,
    ) -> Result<Vec<OperatorEvent>, RegistryFault> {
        let mut tx = self.read().await?;
        let tenant = filter.tenant.map(|id| id.to_string()).unwrap_or_default();
        let rows = tx
            .fetch(
                "SELECT id, at, actor_kind, actor, action, tenant, generation, detail, request_id \
                 FROM operator_events WHERE ($1 = '' OR tenant = $1) AND id < $2 \
                 ORDER BY id DESC LIMIT $3",
                binds![tenant, filter.before.unwrap_or(u64::MAX), limit.min(1000)],
            )
            .await?;
        tx.commit().await?;
        rows.iter().map(OperatorEvent::read).collect()
    }

    /// Events newer than `after`, oldest first, at most `limit` (capped at 1,000). With several writers on
    /// PostgreSQL an event may appear below an id that was seen already; a view that must miss none asks
    /// again from a few seconds back.
    pub async fn events_since(
        &self,
        after: u64,
        limit: u32,
    ) -> Result<Vec<OperatorEvent>, RegistryFault> {
        let mut tx = self.read().await?;
        let sql = "SELECT id, at, actor_kind, actor, action, tenant, generation, detail, request_id \
                   FROM operator_events WHERE id > $1 ORDER BY id LIMIT $2";
        let rows = tx.fetch(sql, binds![after, limit.min(1000)]).await?;
        tx.commit().await?;
        rows.iter().map(OperatorEvent::read).collect()
    }

    /// The newest event of that kind about a tenant.
    pub async fn last_event(
        &self,
        tenant: TenantId,
        action: &str,
    ) -> Result<Option<OperatorEvent>, RegistryFault> {
        let mut tx = self.read().await?;
        let sql = "SELECT id, at, actor_kind, actor, action, tenant, generation, detail, request_id \
                   FROM operator_events WHERE tenant = $1 AND action = $2 ORDER BY id DESC LIMIT 1";
        let row = tx.fetch_one(sql, binds![tenant, action]).await?;
        tx.commit().await?;
        row.as_ref().map(OperatorEvent::read).transpose()
    }

    /// Records what an operator did that changes no tenant's configuration (a key rotation, a breaker
    /// reset). Changes of configuration write their own events.
    pub async fn record_event(
        &self,
        action: &str,
        tenant: Option<TenantId>,
        detail: &Json,
        origin: &Origin,
    ) -> Result<(), RegistryFault> {
        check_origin(origin)?;
        if !(1..=64).contains(&action.chars().count()) {
            return Err(RegistryFault::Invalid("an action has 1 to 64 characters"));
        }
        let mut tx = self.write().await?;
        let about = match tenant {
            None => None,
            Some(id) => {
                let sql = "SELECT generation FROM tenants WHERE id = $1";
                let row = tx.fetch_one(sql, binds![id]).await?;
                Some((id, row.ok_or(RegistryFault::NotFound("tenant"))?.generation(0)?))
            }
        };
        write_event(&mut tx, self.inner.clock.now(), origin, action, about, detail).await?;
        tx.commit().await
    }
}
