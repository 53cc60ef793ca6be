//! Orders of several parts, each in one transaction: killed anywhere, they leave nothing or everything.

use serde_json::json;

use super::bindings::{self, TenantBinding};
use super::change::{TenantChange, check_origin};
use super::db::Tx;
use super::tenants::{BY_ID, NewTenant, Tenant, TenantState, check_display_name, name_taken};
use super::value::binds;
use super::{
    NewConnection, Origin, Registry, RegistryFault, StoredLimits, connections, flags, limits,
};
use crate::base::{Flags, Generation, TenantId, TenantName};

/// What a new tenant begins with beside its own row.
#[derive(Debug, Clone, Default)]
pub struct Beginnings {
    /// Its own limits.
    pub limits: Option<StoredLimits>,
    /// Its connection; the revision is 1.
    pub connection: Option<NewConnection>,
    /// Whether it is served at once.
    pub active: bool,
}

/// What to change of a tenant; `None` leaves a part as it is.
#[derive(Debug, Clone, Default)]
pub struct Amendment {
    /// A new display name.
    pub display_name: Option<String>,
    /// All its own limits.
    pub limits: Option<StoredLimits>,
    /// What its users are offered.
    pub flags: Option<Flags>,
    /// All its bindings; others are removed.
    pub bindings: Option<Vec<TenantBinding>>,
}

impl Registry {
    /// Registers a tenant as a draft, with its bindings.
    pub async fn create_tenant(
        &self,
        new: &NewTenant,
        origin: &Origin,
    ) -> Result<Tenant, RegistryFault> {
        self.create_tenant_with(new, &Beginnings::default(), origin).await
    }

    /// Registers a tenant with all it begins with.
    pub async fn create_tenant_with(
        &self,
        new: &NewTenant,
        with: &Beginnings,
        origin: &Origin,
    ) -> Result<Tenant, RegistryFault> {
        check_origin(origin)?;
        check_display_name(&new.display_name)?;
        new.bindings.iter().try_for_each(TenantBinding::check)?;
        with.limits.as_ref().map_or(Ok(()), StoredLimits::check)?;
        with.connection.as_ref().map_or(Ok(()), NewConnection::check)?;
        let (id, now) = (new.id, self.inner.clock.now());
        let mut change = TenantChange { tx: self.write().await?, tenant: id, now, origin };
        refuse_taken(&mut change.tx, id, &new.name).await?;
        change
            .tx
            .execute(
                "INSERT INTO tenants (id, name, display_name, state, ownership, placement, \
                 created_at, updated_at) VALUES ($1, $2, $3, 'draft', $4, $5, $6, $6)",
                binds![
                    id,
                    new.name.as_str(),
                    &new.display_name,
                    new.ownership.as_str(),
                    new.placement.as_str(),
                    now
                ],
            )
            .await
            .map_err(name_taken)?;
        for binding in &new.bindings {
            bindings::insert(&mut change.tx, id, binding).await?;
        }
        let detail = json!({"name": new.name, "ownership": new.ownership,
            "placement": new.placement, "bindings": new.bindings});
        change.note("tenant.create", detail).await?;
        if let Some(limits) = &with.limits {
            limits::write(&mut change.tx, id, limits).await?;
            change.note("limits.set", json!(limits)).await?;
        }
        if let Some(connection) = &with.connection {
            connections::write(&mut change.tx, id, connection, now).await?;
            change.note("connection.put", connection.detail()).await?;
        }
        if with.active {
            let (from, to) = (TenantState::Draft, TenantState::Active);
            let sql = "UPDATE tenants SET state = $2 WHERE id = $1";
            change.tx.execute(sql, binds![id, to.as_str()]).await?;
            let detail = json!({"from": from, "to": to, "reason": null});
            change.note("tenant.state", detail).await?;
        }
        let row = change.tx.fetch_one(BY_ID, binds![id]).await?;
        let tenant = Tenant::read(&row.ok_or(RegistryFault::NotFound("tenant"))?)?;
        change.tx.commit().await?;
        Ok(tenant)
    }

    /// Changes several parts of a tenant's configuration at once.
    pub async fn amend_tenant(
        &self,
        id: TenantId,
        expected: Option<Generation>,
        amendment: &Amendment,
        origin: &Origin,
    ) -> Result<Generation, RegistryFault> {
        amendment.display_name.as_deref().map_or(Ok(()), check_display_name)?;
        amendment.limits.as_ref().map_or(Ok(()), StoredLimits::check)?;
        amendment.bindings.iter().flatten().try_for_each(TenantBinding::check)?;
        let mut change = self.change(id, expected, origin).await?;
        if let Some(name) = &amendment.display_name {
            let sql = "UPDATE tenants SET display_name = $2, updated_at = $3 WHERE id = $1";
            change.tx.execute(sql, binds![id, name, change.now]).await?;
            change.note("tenant.update", json!({"name": null, "display_name": name})).await?;
        }
        if let Some(limits) = &amendment.limits {
            limits::write(&mut change.tx, id, limits).await?;
            change.note("limits.set", json!(limits)).await?;
        }
        if let Some(wanted) = &amendment.flags {
            flags::write(&mut change.tx, id, wanted).await?;
            change.note("flags.set", json!(wanted.named(true))).await?;
        }
        if let Some(wanted) = &amendment.bindings {
            replace_bindings(&mut change, wanted).await?;
        }
        let generation = change.generation().await?;
        change.tx.commit().await?;
        Ok(generation)
    }
}

async fn replace_bindings(
    change: &mut TenantChange<'_>,
    wanted: &[TenantBinding],
) -> Result<(), RegistryFault> {
    let same = |a: &TenantBinding, b: &TenantBinding| {
        a.issuer == b.issuer && a.claim_value == b.claim_value
    };
    let id = change.tenant;
    let rows = change.tx.fetch(bindings::OF_TENANT, binds![id]).await?;
    let present = rows.iter().map(TenantBinding::read_to_replace).collect::<Result<Vec<_>, _>>()?;
    for gone in present.iter().filter(|b| !wanted.iter().any(|w| same(w, b))) {
        bindings::remove(&mut change.tx, id, &gone.issuer, &gone.claim_value).await?;
        let detail = json!({"issuer": gone.issuer, "claim_value": gone.claim_value});
        change.note("binding.remove", detail).await?;
    }
    for binding in wanted {
        let known = present.iter().find(|b| same(b, binding));
        if known.is_some_and(|known| known.azp == binding.azp && known.mark == binding.mark) {
            continue;
        }
        if known.is_some() {
            bindings::set_clients(&mut change.tx, id, binding).await?;
            change.note("binding.clients", json!(binding)).await?;
        } else {
            bindings::insert(&mut change.tx, id, binding).await?;
            change.note("binding.add", json!(binding)).await?;
        }
    }
    Ok(())
}

/// SQLite refuses a taken name or id in a trigger, without saying which; so it is asked beforehand.
async fn refuse_taken(tx: &mut Tx, id: TenantId, name: &TenantName) -> Result<(), RegistryFault> {
    let sql = "SELECT 1 FROM tenants WHERE id = $1";
    if tx.fetch_one(sql, binds![id]).await?.is_some() {
        return Err(RegistryFault::Conflict("a tenant of that id exists already"));
    }
    let sql = "SELECT 1 FROM tenants WHERE name = $1";
    if tx.fetch_one(sql, binds![name.as_str()]).await?.is_some() {
        return Err(RegistryFault::Conflict("a tenant of that name exists already"));
    }
    Ok(())
}
