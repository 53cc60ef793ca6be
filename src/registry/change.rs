use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::db::Tx;
use super::value::binds;
use super::{Registry, RegistryFault, words};
use crate::base::{Generation, TenantId, Timestamp};

words! {
    /// In which capacity somebody acts.
    ActorKind {
        /// An operator with a token of the operator issuer.
        Operator = "operator",
        /// Somebody at the command line on the gateway's own machine.
        Console = "console",
        /// The gateway itself, under a work order.
        WorkOrder = "work_order",
        /// A hospital's own administrator, with a token of her hospital's issuer.
        Hospital = "hospital",
    }
}

/// Who makes a change.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Actor {
    /// In which capacity.
    pub kind: ActorKind,
    /// The token's subject, the system user, or the work order's id. 1 to 512 characters.
    pub subject: String,
}

/// Where a change comes from: written to the operator events with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Who.
    pub actor: Actor,
    /// The request's id, empty when there is none.
    pub request_id: String,
}

/// A change of one tenant under way: the tenant's row is locked and its generation is as expected.
/// [`finish`](Self::finish) writes the operator event and commits; dropping it undoes everything.
pub(super) struct TenantChange<'a> {
    pub(super) tx: Tx,
    pub(super) tenant: TenantId,
    pub(super) now: Timestamp,
    pub(super) origin: &'a Origin,
}

impl Registry {
    /// Locks the tenant's row and checks its generation.
    pub(super) async fn change<'a>(
        &self,
        tenant: TenantId,
        expected: Option<Generation>,
        origin: &'a Origin,
    ) -> Result<TenantChange<'a>, RegistryFault> {
        check_origin(origin)?;
        let mut tx = self.write().await?;
        // On SQLite the write transaction itself is the lock.
        let lock = if tx.is_postgres() {
            "SELECT generation FROM tenants WHERE id = $1 FOR UPDATE"
        } else {
            "SELECT generation FROM tenants WHERE id = $1"
        };
        let row = tx.fetch_one(lock, binds![tenant]).await?;
        let current = row.ok_or(RegistryFault::NotFound("tenant"))?.generation(0)?;
        if expected.is_some_and(|expected| expected != current) {
            return Err(RegistryFault::Stale { current });
        }
        Ok(TenantChange { tx, tenant, now: self.inner.clock.now(), origin })
    }
}

impl TenantChange<'_> {
    /// The present generation, for a refusal after the lock was taken.
    pub(super) async fn stale(mut self) -> RegistryFault {
        match self.generation().await {
            Ok(current) => RegistryFault::Stale { current },
            Err(fault) => fault,
        }
    }

    pub(super) async fn generation(&mut self) -> Result<Generation, RegistryFault> {
        let sql = "SELECT generation FROM tenants WHERE id = $1";
        let row = self.tx.fetch_one(sql, binds![self.tenant]).await?;
        row.ok_or(RegistryFault::NotFound("tenant"))?.generation(0)
    }

    /// Writes the operator event and commits. Gives back the generation the change led to.
    pub(super) async fn finish(
        mut self,
        action: &'static str,
        detail: Json,
    ) -> Result<Generation, RegistryFault> {
        let generation = self.note(action, detail).await?;
        self.tx.commit().await?;
        Ok(generation)
    }

    /// Writes the operator event of one part of a change of several. Gives back the generation so far.
    pub(super) async fn note(
        &mut self,
        action: &'static str,
        detail: Json,
    ) -> Result<Generation, RegistryFault> {
        let generation = self.generation().await?;
        let about = Some((self.tenant, generation));
        write_event(&mut self.tx, self.now, self.origin, action, about, &detail).await?;
        Ok(generation)
    }
}

pub(super) fn check_origin(origin: &Origin) -> Result<(), RegistryFault> {
    if origin.actor.subject.is_empty() || origin.actor.subject.chars().count() > 512 {
        return Err(RegistryFault::Invalid("an actor has 1 to 512 characters"));
    }
    Ok(())
}

pub(super) async fn write_event(
    tx: &mut Tx,
    at: Timestamp,
    origin: &Origin,
    action: &str,
    about: Option<(TenantId, Generation)>,
    detail: &Json,
) -> Result<(), RegistryFault> {
    let detail = detail.to_string();
    tx.execute(
        "INSERT INTO operator_events \
         (at, actor_kind, actor, action, tenant, generation, detail, request_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        binds![
            at,
            origin.actor.kind.as_str(),
            &origin.actor.subject,
            action,
            about.map(|(tenant, _)| tenant.to_string()),
            about.and_then(|(_, generation)| i64::try_from(generation.0).ok()),
            &detail,
            &origin.request_id
        ],
    )
    .await?;
    Ok(())
}
