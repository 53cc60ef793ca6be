use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::connections::ConnectionInput;
use super::fault::ControlFault;
use super::flags::{FlagsView, parsed};
use super::identities::identity;
use super::view::{ConnectionView, IdentityView, MappingPointer, TenantView};
use super::{Caller, Control};
use crate::base::{ConnectionRevision, Generation, ServerIdentity, TenantId, TenantName};
use crate::registry::{
    self, Amendment, Beginnings, Connection, Ownership, Placement, RegistryFault, StoredLimits,
    TenantBinding, TenantState,
};
use crate::tenant::vouches;

/// A tenant to be registered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    /// Slug: 1 to 63 of a-z, 0-9 and -.
    pub name: String,
    /// Name for people; the slug when left out.
    #[serde(default)]
    pub display_name: Option<String>,
    /// How tokens find it.
    pub identities: Vec<IdentityView>,
    /// Its own limits.
    #[serde(default)]
    pub limits: Option<StoredLimits>,
    /// Its connection; without one, or unchecked, it stays a draft.
    #[serde(default)]
    pub connection: Option<ConnectionInput>,
}

/// What to change of a tenant; what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantPatch {
    /// A new name for people.
    #[serde(default)]
    pub display_name: Option<String>,
    /// All its identities; others are removed.
    #[serde(default)]
    pub identities: Option<Vec<IdentityView>>,
    /// All its limits.
    #[serde(default)]
    pub limits: Option<StoredLimits>,
    /// All its flags, each `on`, `off` or a share of the users such as `25%`; those left out are on. They are
    /// `fhir.write`, `fhir.export`, `fhir.everything`, `fhir.include` and `search.chain`.
    #[serde(default)]
    pub flags: Option<FlagsView>,
}

/// Which tenants to list.
#[derive(Debug, Clone, Default)]
pub struct TenantFilter {
    /// Only in this state.
    pub state: Option<String>,
    /// Only whose slug begins so.
    pub name_prefix: Option<String>,
}

/// A page of tenants, in the order of their slugs.
#[derive(Debug, Serialize, ToSchema)]
pub struct TenantPage {
    /// The tenants.
    pub tenants: Vec<TenantView>,
    /// What to send as `cursor` for the next page; nothing on the last one.
    pub next: Option<String>,
}

impl Control {
    /// Lists tenants.
    pub async fn list(
        &self,
        _caller: &Caller,
        filter: TenantFilter,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<TenantPage, ControlFault> {
        let invalid = |what: &'static str| ControlFault::Invalid(what.into());
        let state = filter.state.map(|s| s.parse::<TenantState>()).transpose()?;
        // A cursor is a slug as it is stored, which in a damaged row is no slug.
        if cursor.is_some_and(|c| c.chars().count() > 63 || c.chars().any(char::is_control)) {
            return Err(invalid("the cursor is not one of ours"));
        }
        let limit = limit.clamp(1, 200);
        let filter =
            registry::TenantFilter { state, name_prefix: filter.name_prefix, engine: None };
        let found = self.0.registry.list_tenants(&filter, cursor, limit + 1).await?;
        let more = found.len() > limit as usize;
        let found = &found[..found.len().min(limit as usize)];
        let tenants = self.listed(&filter, found).await?;
        let next = if more { tenants.last().map(|t| t.name.clone()) } else { None };
        Ok(TenantPage { tenants, next })
    }

    /// Shows a tenant, named by UUID or slug.
    pub async fn show(&self, _caller: &Caller, named: &str) -> Result<TenantView, ControlFault> {
        let tenant = self.find(named).await?;
        self.view(tenant.id).await
    }

    /// Registers a tenant. Its connection is tried first: if it does not work nothing is registered. With
    /// a connection that was checked the tenant becomes active at once.
    pub async fn add(&self, caller: &Caller, new: NewTenant) -> Result<TenantView, ControlFault> {
        let name = TenantName::for_new(&new.name)
            .map_err(|e| ControlFault::Invalid(e.to_string().into()))?;
        if new.identities.is_empty() {
            return Err(ControlFault::Invalid("a tenant needs at least one identity".into()));
        }
        let id = TenantId::random();
        // All that can be refused without asking anybody is refused before a database is connected to.
        let bindings = self.bindings(id, &new.identities)?;
        new.limits.as_ref().map_or(Ok(()), StoredLimits::check)?;
        if self.0.registry.tenant_by_name(&name).await?.is_some() {
            return Err(ControlFault::Conflict("a tenant of that name exists already"));
        }
        let (mut connection, mut active) = (None, false);
        if let Some(input) = &new.connection {
            let prepared = self.prepare(caller, input).await?;
            active = prepared.checked();
            connection = Some(self.seal(id, ConnectionRevision(1), prepared).await?);
        }
        let row = registry::NewTenant {
            id,
            name,
            display_name: new.display_name.unwrap_or(new.name),
            ownership: Ownership::Attached,
            placement: Placement::Database,
            bindings,
        };
        let with = Beginnings { limits: new.limits, connection, active };
        let tenant = self.0.registry.create_tenant_with(&row, &with, &caller.origin()).await?;
        self.announce(tenant.id, tenant.generation).await;
        self.view(tenant.id).await
    }

    /// Changes display name, identities, limits or flags: all that is given, or nothing.
    pub async fn change(
        &self,
        caller: &Caller,
        named: &str,
        expected: Option<Generation>,
        patch: TenantPatch,
    ) -> Result<TenantView, ControlFault> {
        let TenantPatch { display_name, identities, limits, flags } = patch;
        if display_name.is_none() && identities.is_none() && limits.is_none() && flags.is_none() {
            return Err(ControlFault::Invalid("nothing was asked to be changed".into()));
        }
        let tenant = self.find(named).await?;
        let bindings =
            identities.as_deref().map(|all| self.bindings(tenant.id, all)).transpose()?;
        let flags = flags.as_ref().map(parsed).transpose()?;
        let amendment = Amendment { display_name, limits, flags, bindings };
        let (registry, origin) = (&self.0.registry, caller.origin());
        let now = registry.amend_tenant(tenant.id, expected, &amendment, &origin).await?;
        self.announce(tenant.id, now).await;
        self.view(tenant.id).await
    }

    /// Stops serving a tenant.
    pub async fn suspend(
        &self,
        caller: &Caller,
        named: &str,
        expected: Option<Generation>,
        reason: &str,
    ) -> Result<TenantView, ControlFault> {
        self.set_state(caller, named, expected, TenantState::Suspended, Some(reason)).await
    }

    /// Serves a suspended or draft tenant.
    pub async fn resume(
        &self,
        caller: &Caller,
        named: &str,
        expected: Option<Generation>,
    ) -> Result<TenantView, ControlFault> {
        let tenant = self.find(named).await?;
        if self.0.registry.connection(tenant.id).await?.is_none() {
            return Err(ControlFault::Conflict("a tenant without a connection cannot be served"));
        }
        if tenant.ownership == Ownership::Provisioned && tenant.state == TenantState::Draft {
            let text = "it is still being made, and served when that has ended; see its operation";
            return Err(ControlFault::Conflict(text));
        }
        self.set_state(caller, named, expected, TenantState::Active, None).await
    }

    /// Makes every gateway read the tenant's configuration again.
    pub async fn invalidate(
        &self,
        caller: &Caller,
        named: &str,
    ) -> Result<TenantView, ControlFault> {
        let tenant = self.find(named).await?;
        let generation = self.0.registry.invalidate(tenant.id, None, &caller.origin()).await?;
        self.announce(tenant.id, generation).await;
        self.view(tenant.id).await
    }

    /// Refuses every token of the tenant issued before now, on this gateway at once.
    pub async fn refuse_tokens(
        &self,
        caller: &Caller,
        named: &str,
        expected: Option<Generation>,
    ) -> Result<TenantView, ControlFault> {
        let tenant = self.find(named).await?;
        let (registry, origin) = (&self.0.registry, caller.origin());
        let generation = registry.refuse_older_tokens(tenant.id, expected, &origin).await?;
        self.announce(tenant.id, generation).await;
        self.view(tenant.id).await
    }

    async fn set_state(
        &self,
        caller: &Caller,
        named: &str,
        expected: Option<Generation>,
        state: TenantState,
        reason: Option<&str>,
    ) -> Result<TenantView, ControlFault> {
        let tenant = self.find(named).await?;
        let (registry, origin) = (&self.0.registry, caller.origin());
        let generation = registry.set_state(tenant.id, expected, state, reason, &origin).await?;
        self.announce(tenant.id, generation).await;
        self.view(tenant.id).await
    }

    pub(super) async fn view(&self, tenant: TenantId) -> Result<TenantView, ControlFault> {
        let mut view = self.described(tenant).await?;
        if let Ok(Some(connection)) = self.0.registry.connection(tenant).await {
            view.same_database = self.others_on(Some(tenant), connection.identity.as_ref()).await?;
        }
        Ok(view)
    }

    /// A tenant by itself, without a look at the others.
    async fn described(&self, tenant: TenantId) -> Result<TenantView, ControlFault> {
        let config = match self.0.registry.tenant_config(tenant).await {
            Err(RegistryFault::Damaged(what)) => return self.damaged_view(tenant, what).await,
            config => config?.ok_or(ControlFault::NoSuchTenant)?,
        };
        let connection = match &config.connection {
            None => None,
            Some(connection) => {
                let kek = self.kek_of(connection.data_key).await;
                Some(connection_view(connection, kek))
            }
        };
        let mut view = bare(config.tenant);
        let good = |b: &TenantBinding| {
            vouches(&self.0.keyring, tenant, (&b.issuer, &b.claim_value, &b.azp), &b.mark)
        };
        // Served through its other bindings, if it has any.
        view.damaged = (!config.bindings.iter().all(good)).then(|| "binding".to_owned());
        view.identities = config.bindings.into_iter().map(identity).collect();
        view.connection = connection;
        let active = config.mapping.as_ref().map(|mapping| mapping.version);
        view.mapping.active = active.and_then(|version| u32::try_from(version).ok());
        view.mapping.drift = self.known_drift(tenant, active).await?;
        view.limits = config.limits.clone();
        view.flags = config.flags.named(true);
        Ok(view)
    }

    /// What still reads of a tenant part of whose configuration does not.
    async fn damaged_view(
        &self,
        tenant: TenantId,
        what: &'static str,
    ) -> Result<TenantView, ControlFault> {
        let registry = &self.0.registry;
        let mut view = bare(registry.tenant(tenant).await?.ok_or(ControlFault::NoSuchTenant)?);
        view.damaged = Some(what.to_owned());
        if let Ok(bindings) = registry.bindings(tenant).await {
            view.identities = bindings.into_iter().map(identity).collect();
        }
        if let Ok(Some(connection)) = registry.connection(tenant).await {
            let kek = self.kek_of(connection.data_key).await;
            view.connection = Some(connection_view(&connection, kek));
        }
        Ok(view)
    }
}

pub(super) fn connection_view(connection: &Connection, kek: Option<String>) -> ConnectionView {
    let shown = |identity: &ServerIdentity| format!("{} {}", identity.system, identity.database);
    ConnectionView {
        engine: connection.engine.as_str().to_owned(),
        tls: connection.tls.clone(),
        server_identity: connection.identity.as_ref().map(shown),
        sealed_at: connection.sealed_at.to_string(),
        revision: connection.revision.0,
        dek: connection.data_key.0,
        kek,
    }
}

/// A tenant's own row and nothing else of it.
pub(super) fn bare(row: registry::Tenant) -> TenantView {
    TenantView {
        id: *row.id.as_uuid(),
        name: row.name.as_str().to_owned(),
        display_name: row.display_name,
        state: row.state.as_str().to_owned(),
        reason: row.state_reason,
        damaged: None,
        ownership: row.ownership.as_str().to_owned(),
        placement: row.placement.as_str().to_owned(),
        identities: Vec::new(),
        tokens_since: row.not_before.map(|at| at.to_string()),
        generation: row.generation.0,
        connection: None,
        same_database: Vec::new(),
        mapping: MappingPointer::default(),
        limits: StoredLimits::default(),
        flags: FlagsView::new(),
    }
}

/// A tenant whose own row does not read: nothing but what it is called.
pub(super) fn unreadable(listed: &registry::Listed) -> TenantView {
    TenantView {
        id: listed.id.map_or_else(uuid::Uuid::nil, |id| *id.as_uuid()),
        name: listed.name.clone(),
        display_name: listed.name.clone(),
        state: "damaged".to_owned(),
        reason: None,
        damaged: Some(listed.summary.as_ref().err().copied().unwrap_or("row").to_owned()),
        ownership: String::new(),
        placement: String::new(),
        identities: Vec::new(),
        tokens_since: None,
        generation: 0,
        connection: None,
        same_database: Vec::new(),
        mapping: MappingPointer::default(),
        limits: StoredLimits::default(),
        flags: FlagsView::new(),
    }
}
