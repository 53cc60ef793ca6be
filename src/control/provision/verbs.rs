use serde::Deserialize;
use utoipa::ToSchema;

use super::Order;
use crate::base::{TenantId, TenantName};
use crate::control::operations::{Kind, OperationView};
use crate::control::view::IdentityView;
use crate::control::{Caller, Control, ControlFault};
use crate::registry::{NewOperation, RegistryFault, StoredLimits};
use crate::store::admin::Schema;

/// A tenant to be made with a database of its own.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProvision {
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
    /// The server its database is made on, by slug.
    pub server: String,
    /// The release of the schema it begins with; the newest when left out.
    #[serde(default)]
    pub release: Option<u64>,
}

impl Control {
    /// Orders a tenant with a database of its own on a registered server.
    pub async fn provision(
        &self,
        caller: &Caller,
        new: NewProvision,
    ) -> Result<OperationView, ControlFault> {
        let invalid = |text: String| ControlFault::Invalid(text.into());
        let name = TenantName::for_new(&new.name).map_err(|e| invalid(format!("{e}")))?;
        if new.identities.is_empty() {
            return Err(invalid("a tenant needs at least one identity".to_owned()));
        }
        for identity in &new.identities {
            self.binding(identity)?;
        }
        new.limits.as_ref().map_or(Ok(()), StoredLimits::check)?;
        let display_name = new.display_name.unwrap_or_else(|| new.name.clone());
        if display_name.trim().is_empty() || display_name.chars().count() > 200 {
            return Err(invalid("a display name has 1 to 200 characters".to_owned()));
        }
        let found = self.0.registry.server(&new.server).await?;
        let server = found.ok_or(RegistryFault::NotFound("server"))?;
        let newest = Schema::of(server.engine).release();
        let release = new.release.unwrap_or(newest);
        if !(1..=newest).contains(&release) {
            return Err(invalid(format!("the schema's releases are 1 to {newest}")));
        }
        if self.0.registry.tenant_by_name(&name).await?.is_some() {
            return Err(ControlFault::Conflict("a tenant of that name exists already"));
        }
        for identity in &new.identities {
            let claim = identity.claim_value.as_deref().unwrap_or_default();
            let issuer = &identity.issuer;
            if self.0.registry.find_binding(issuer, claim).await?.is_some() {
                return Err(ControlFault::Conflict("that identity belongs to a tenant already"));
            }
        }
        let order = Order {
            name: new.name,
            display_name,
            identities: new.identities,
            limits: new.limits,
            server: server.id.to_string(),
            release,
        };
        let subject = order.name.clone();
        let input = serde_json::to_value(order)
            .map_err(|_| ControlFault::Conflict("the order cannot be kept"))?;
        let tenant = Some(TenantId::random());
        let kind = Kind::Provision.as_str();
        self.order(caller, &NewOperation { kind, parent: None, tenant, subject, input }).await
    }
}
