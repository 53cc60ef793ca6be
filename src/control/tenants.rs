use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::connections::ConnectionInput;
use super::fault::ControlFault;
use super::view::{ConnectionView, IdentityView, LimitsView, MappingPointer, TenantView};
use super::{Caller, Control};
use crate::base::{Generation, TenantId, TenantName};
use crate::registry::{self, Ownership, Placement, StoredLimits, TenantBinding, TenantState};

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
    pub limits: Option<LimitsView>,
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
    pub limits: Option<LimitsView>,
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
        let after = cursor
            .map(|c| c.parse::<TenantName>().map_err(|_| invalid("the cursor is not one of ours")))
            .transpose()?;
        let limit = limit.clamp(1, 200);
        let filter =
            registry::TenantFilter { state, name_prefix: filter.name_prefix, engine: None };
        let found = self.0.registry.list_tenants(&filter, after.as_ref(), limit + 1).await?;
        let more = found.len() > limit as usize;
        let mut tenants = Vec::new();
        for summary in found.into_iter().take(limit as usize) {
            tenants.push(self.view(summary.tenant.id).await?);
        }
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
        let name: TenantName = new
            .name
            .parse()
            .map_err(|e: crate::base::InvalidId| ControlFault::Invalid(e.to_string().into()))?;
        if new.identities.is_empty() {
            return Err(ControlFault::Invalid("a tenant needs at least one identity".into()));
        }
        let checked = match &new.connection {
            Some(input) => Some(self.prepare(caller, input, None).await?),
            None => None,
        };
        let origin = caller.origin();
        let tenant = self
            .0
            .registry
            .create_tenant(
                &registry::NewTenant {
                    id: TenantId::random(),
                    name,
                    display_name: new.display_name.unwrap_or(new.name),
                    ownership: Ownership::Attached,
                    placement: Placement::Database,
                    bindings: new.identities.iter().map(binding).collect(),
                },
                &origin,
            )
            .await?;
        let mut generation = tenant.generation;
        if let Some(limits) = &new.limits {
            let limits = stored(limits);
            generation = self.0.registry.set_limits(tenant.id, None, &limits, &origin).await?;
        }
        if let Some(prepared) = checked {
            let activate = prepared.checked();
            generation = self.write_connection(caller, &tenant, None, prepared).await?;
            if activate {
                let active = TenantState::Active;
                generation =
                    self.0.registry.set_state(tenant.id, None, active, None, &origin).await?;
            }
        }
        self.announce(tenant.id, generation).await;
        self.view(tenant.id).await
    }

    /// Changes display name, identities or limits.
    pub async fn change(
        &self,
        caller: &Caller,
        named: &str,
        expected: Generation,
        patch: TenantPatch,
    ) -> Result<TenantView, ControlFault> {
        let tenant = self.find(named).await?;
        let (registry, origin) = (&self.0.registry, caller.origin());
        let mut now = expected;
        if patch.display_name.is_some() {
            let patch = registry::TenantPatch { name: None, display_name: patch.display_name };
            now = registry.update_tenant(tenant.id, Some(now), &patch, &origin).await?;
        }
        if let Some(limits) = &patch.limits {
            now = registry.set_limits(tenant.id, Some(now), &stored(limits), &origin).await?;
        }
        if let Some(wanted) = &patch.identities {
            now = self.replace_identities(caller, tenant.id, now, wanted).await?;
        }
        if now == expected {
            return Err(ControlFault::Invalid("nothing was asked to be changed".into()));
        }
        self.announce(tenant.id, now).await;
        self.view(tenant.id).await
    }

    async fn replace_identities(
        &self,
        caller: &Caller,
        tenant: TenantId,
        mut now: Generation,
        wanted: &[IdentityView],
    ) -> Result<Generation, ControlFault> {
        let (registry, origin) = (&self.0.registry, caller.origin());
        let same = |a: &TenantBinding, b: &IdentityView| {
            a.issuer == b.issuer && a.claim_value == b.claim_value
        };
        let present = registry.bindings(tenant).await?;
        for identity in wanted {
            let binding = binding(identity);
            now = match present.iter().find(|b| same(b, identity)) {
                None => registry.add_binding(tenant, Some(now), &binding, &origin).await?,
                Some(b) if b.azp != binding.azp => {
                    registry.set_binding_clients(tenant, Some(now), &binding, &origin).await?
                }
                Some(_) => now,
            };
        }
        for gone in present.iter().filter(|b| !wanted.iter().any(|w| same(b, w))) {
            let (issuer, value) = (&gone.issuer, &gone.claim_value);
            now = registry.remove_binding(tenant, Some(now), issuer, value, &origin).await?;
        }
        Ok(now)
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
        let config =
            self.0.registry.tenant_config(tenant).await?.ok_or(ControlFault::NoSuchTenant)?;
        let connection = match &config.connection {
            None => None,
            Some(connection) => Some(ConnectionView {
                engine: connection.engine.as_str().to_owned(),
                tls: connection.tls.clone(),
                server_identity: connection
                    .identity
                    .as_ref()
                    .map(|identity| format!("{} {}", identity.system, identity.database)),
                sealed_at: connection.sealed_at.to_string(),
                revision: connection.revision.0,
                dek: connection.data_key.0,
                kek: self.kek_of(connection.data_key).await,
            }),
        };
        let row = config.tenant;
        Ok(TenantView {
            id: *row.id.as_uuid(),
            name: row.name.as_str().to_owned(),
            display_name: row.display_name,
            state: row.state.as_str().to_owned(),
            reason: row.state_reason,
            ownership: row.ownership.as_str().to_owned(),
            placement: row.placement.as_str().to_owned(),
            identities: config.bindings.into_iter().map(identity).collect(),
            generation: row.generation.0,
            connection,
            mapping: MappingPointer {
                active: config.mapping.and_then(|m| u32::try_from(m.version).ok()),
            },
            limits: shown(&config.limits),
        })
    }
}

fn binding(identity: &IdentityView) -> TenantBinding {
    TenantBinding {
        issuer: identity.issuer.clone(),
        claim_value: identity.claim_value.clone(),
        azp: identity.azp.clone(),
    }
}

fn identity(binding: TenantBinding) -> IdentityView {
    IdentityView { issuer: binding.issuer, claim_value: binding.claim_value, azp: binding.azp }
}

fn stored(limits: &LimitsView) -> StoredLimits {
    StoredLimits {
        requests_per_second: limits.requests_per_second,
        concurrent_requests: limits.concurrent_requests,
        max_connections: limits.max_connections,
        page_size: limits.page_size,
        page_size_max: limits.page_size_max,
        ..StoredLimits::default()
    }
}

fn shown(limits: &StoredLimits) -> LimitsView {
    LimitsView {
        requests_per_second: limits.requests_per_second,
        concurrent_requests: limits.concurrent_requests,
        max_connections: limits.max_connections,
        page_size: limits.page_size,
        page_size_max: limits.page_size_max,
    }
}
