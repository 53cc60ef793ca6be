use serde::Serialize;
use serde_json::json;

use super::bindings::TenantBinding;
use super::value::{Row, binds};
use super::{Origin, Registry, RegistryFault, words};
use crate::base::{ConnectionRevision, Generation, TenantId, TenantName, Timestamp};

words! {
    /// Where a tenant is in its life.
    TenantState {
        /// Registered, not yet served.
        Draft = "draft",
        /// Served.
        Active = "active",
        /// Refused until resumed.
        Suspended = "suspended",
        /// Being taken down.
        Offboarding = "offboarding",
        /// Gone; only its history remains.
        Offboarded = "offboarded",
    }
}

impl TenantState {
    /// Whether a tenant may go from this state to `next`. Offboarding has no way back.
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Draft | Self::Suspended, Self::Active)
                | (Self::Active, Self::Suspended)
                | (Self::Draft | Self::Active | Self::Suspended, Self::Offboarding)
                | (Self::Offboarding, Self::Offboarded)
        )
    }
}

words! {
    /// Whose database it is.
    Ownership {
        /// The hospital's own: never changed in structure, never dropped.
        Attached = "attached",
        /// Made, migrated and, in the end, destroyed by the gateway.
        Provisioned = "provisioned",
    }
}

words! {
    /// How a tenant's rows are kept apart from others'.
    Placement {
        /// A database of its own.
        Database = "database",
        /// A schema and role of its own on a shared PostgreSQL.
        Schema = "schema",
        /// Rows under row-level security, a role of its own.
        Shared = "shared",
    }
}

/// A tenant's own row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tenant {
    /// Its lasting identity.
    pub id: TenantId,
    /// Its slug.
    pub name: TenantName,
    /// What people call it; 1 to 200 characters.
    pub display_name: String,
    /// Where it is in its life.
    pub state: TenantState,
    /// Why it is in that state: a code of 1 to 64 characters, for operators only.
    pub state_reason: Option<String>,
    /// Whose database it is.
    pub ownership: Ownership,
    /// How its rows are kept apart.
    pub placement: Placement,
    /// Tokens issued earlier are refused.
    pub not_before: Option<Timestamp>,
    /// Bumped by every change of its configuration.
    pub generation: Generation,
    /// The highest connection revision ever used; 0 before the first.
    pub connection_revision: ConnectionRevision,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When its own row was last changed by the gateway.
    pub updated_at: Timestamp,
}

/// A tenant to be registered; it begins as a draft at generation 1 or higher.
#[derive(Debug, Clone)]
pub struct NewTenant {
    /// Its identity, chosen by the caller so that a retry names the same tenant.
    pub id: TenantId,
    /// Its slug; must be free.
    pub name: TenantName,
    /// What people call it; 1 to 200 characters.
    pub display_name: String,
    /// Whose database it is.
    pub ownership: Ownership,
    /// How its rows are kept apart.
    pub placement: Placement,
    /// Who finds it; more can be added later.
    pub bindings: Vec<TenantBinding>,
}

/// What to change of a tenant's own row; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct TenantPatch {
    /// A new slug; must be free.
    pub name: Option<TenantName>,
    /// A new display name.
    pub display_name: Option<String>,
}

/// The columns [`Tenant::read`] reads, from `tenants t`.
macro_rules! tenant_columns {
    () => {
        "t.id, t.name, t.display_name, t.state, t.state_reason, t.ownership, t.placement, \
         t.not_before, t.generation, t.connection_revision, t.created_at, t.updated_at"
    };
}
pub(super) use tenant_columns;

/// How many columns that is.
pub(super) const TENANT_COLUMNS: usize = 12;

impl Tenant {
    pub(super) fn read(row: &Row) -> Result<Self, RegistryFault> {
        Ok(Self {
            id: row.tenant(0)?,
            name: row.parse(1, "tenant name")?,
            display_name: row.text(2)?,
            state: row.parse(3, "tenant state")?,
            state_reason: row.opt_text(4)?,
            ownership: row.parse(5, "ownership")?,
            placement: row.parse(6, "placement")?,
            not_before: row.opt_int(7)?.map(Timestamp::from_millis),
            generation: row.generation(8)?,
            connection_revision: ConnectionRevision(row.counter(9)?),
            created_at: row.time(10)?,
            updated_at: row.time(11)?,
        })
    }
}

pub(super) const BY_ID: &str =
    concat!("SELECT ", tenant_columns!(), " FROM tenants t WHERE t.id = $1");
const BY_NAME: &str = concat!("SELECT ", tenant_columns!(), " FROM tenants t WHERE t.name = $1");
impl Registry {
    /// The tenant with that id.
    pub async fn tenant(&self, id: TenantId) -> Result<Option<Tenant>, RegistryFault> {
        let mut tx = self.read().await?;
        let row = tx.fetch_one(BY_ID, binds![id]).await?;
        tx.commit().await?;
        row.as_ref().map(Tenant::read).transpose()
    }

    /// The tenant with that slug.
    pub async fn tenant_by_name(&self, name: &TenantName) -> Result<Option<Tenant>, RegistryFault> {
        let mut tx = self.read().await?;
        let row = tx.fetch_one(BY_NAME, binds![name.as_str()]).await?;
        tx.commit().await?;
        row.as_ref().map(Tenant::read).transpose()
    }

    /// Renames a tenant or changes what it is called.
    pub async fn update_tenant(
        &self,
        id: TenantId,
        expected: Option<Generation>,
        patch: &TenantPatch,
        origin: &Origin,
    ) -> Result<Generation, RegistryFault> {
        patch.display_name.as_deref().map(check_display_name).transpose()?;
        let mut change = self.change(id, expected, origin).await?;
        change
            .tx
            .execute(
                "UPDATE tenants SET name = coalesce($2, name), \
                 display_name = coalesce($3, display_name), updated_at = $4 WHERE id = $1",
                binds![
                    id,
                    patch.name.as_ref().map(TenantName::as_str),
                    patch.display_name.as_deref(),
                    change.now
                ],
            )
            .await
            .map_err(name_taken)?;
        let detail = json!({"name": patch.name, "display_name": patch.display_name});
        change.finish("tenant.update", detail).await
    }

    /// Moves a tenant to another state, with a reason code for operators.
    pub async fn set_state(
        &self,
        id: TenantId,
        expected: Option<Generation>,
        state: TenantState,
        reason: Option<&str>,
        origin: &Origin,
    ) -> Result<Generation, RegistryFault> {
        if reason.is_some_and(|reason| reason.is_empty() || reason.chars().count() > 64) {
            return Err(RegistryFault::Invalid("a reason code has 1 to 64 characters"));
        }
        let mut change = self.change(id, expected, origin).await?;
        let row = change.tx.fetch_one(BY_ID, binds![id]).await?;
        let before = Tenant::read(&row.ok_or(RegistryFault::NotFound("tenant"))?)?.state;
        if !before.may_become(state) {
            return Err(RegistryFault::Conflict("a tenant cannot go from its state to that one"));
        }
        let sql = "UPDATE tenants SET state = $2, state_reason = $3, updated_at = $4 WHERE id = $1";
        change.tx.execute(sql, binds![id, state.as_str(), reason, change.now]).await?;
        let detail = json!({"from": before, "to": state, "reason": reason});
        change.finish("tenant.state", detail).await
    }

    /// Refuses tokens issued before now. What was refused stays so, also where a clock went back meanwhile.
    pub async fn refuse_older_tokens(
        &self,
        id: TenantId,
        expected: Option<Generation>,
        origin: &Origin,
    ) -> Result<Generation, RegistryFault> {
        let mut change = self.change(id, expected, origin).await?;
        let sql = "UPDATE tenants SET updated_at = $2, not_before = \
                   CASE WHEN not_before > $2 THEN not_before ELSE $2 END WHERE id = $1";
        let now = change.now;
        change.tx.execute(sql, binds![id, now]).await?;
        change.finish("tenant.not_before", json!({"not_before": now.to_string()})).await
    }

    /// Bumps the generation and nothing else: every gateway reads the configuration anew.
    pub async fn invalidate(
        &self,
        id: TenantId,
        expected: Option<Generation>,
        origin: &Origin,
    ) -> Result<Generation, RegistryFault> {
        let mut change = self.change(id, expected, origin).await?;
        let sql = "UPDATE tenants SET updated_at = $2 WHERE id = $1";
        change.tx.execute(sql, binds![id, change.now]).await?;
        change.finish("tenant.invalidate", json!({})).await
    }
}

pub(super) fn name_taken(fault: RegistryFault) -> RegistryFault {
    match fault {
        RegistryFault::Conflict(_) => {
            RegistryFault::Conflict("a tenant of that name exists already")
        }
        other => other,
    }
}

pub(super) fn check_display_name(name: &str) -> Result<(), RegistryFault> {
    if name.trim().is_empty() || name.chars().count() > 200 || name.chars().any(char::is_control) {
        return Err(RegistryFault::Invalid(
            "a display name has 1 to 200 characters and no control characters",
        ));
    }
    Ok(())
}
