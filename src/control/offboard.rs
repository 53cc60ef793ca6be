//! The end of a tenant, with a certificate of what was destroyed, how that was checked, and what remains.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::operations::{Ended, Kind, Maintenance, OperationView, Running, Step, StepFault};
use super::provision;
use super::{Caller, Control, ControlFault, Ordered};
use crate::base::Generation;
use crate::keyring::{DataKeyId, KeyFault, WrappedKeys as _};
use crate::registry::{
    Amendment, ApprovalKind, NewOperation, Ownership, RegistryFault, Tenant, TenantState,
};

pub(super) const STEPS: &[&str] = &[
    "stop serving",
    "let gateways follow",
    "check whose database it is",
    "destroy database",
    "destroy record and keys",
    "certify",
];

#[derive(Serialize, Deserialize)]
struct Order {
    ownership: Ownership,
    /// The second person, where one was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approved_by: Option<String>,
}

/// What the sealed record was, without it: the certificate names it.
#[derive(Serialize, Deserialize)]
struct Record {
    revision: u64,
    data_key: uuid::Uuid,
}

impl Control {
    /// Orders the end of a tenant. The database of a provisioned one is destroyed, so `confirm` must be
    /// its slug; an attached one's is never touched.
    pub async fn offboard(
        &self,
        caller: &Caller,
        named: &str,
        expected: Option<Generation>,
        confirm: Option<&str>,
    ) -> Result<Ordered<OperationView>, ControlFault> {
        let tenant = self.find(named).await?;
        if expected.is_some_and(|expected| expected != tenant.generation) {
            return Err(RegistryFault::Stale { current: tenant.generation }.into());
        }
        let new = Self::offboarding(&tenant, confirm, None)?;
        if self.wants_two() {
            let input = json!({ "confirm": confirm });
            let (origin, kind) = (caller.origin(), ApprovalKind::Offboard);
            return self
                .ask(&origin, kind, &tenant, &input)
                .await
                .map(|view| Ordered::Waits(Box::new(view)));
        }
        self.order(caller, &new).await.map(Ordered::Done)
    }

    /// The order of a tenant's end, if it can be given now.
    pub(super) fn offboarding(
        tenant: &Tenant,
        confirm: Option<&str>,
        approved_by: Option<String>,
    ) -> Result<NewOperation, ControlFault> {
        if tenant.state == TenantState::Offboarded {
            return Err(ControlFault::Conflict("it is offboarded already"));
        }
        if tenant.ownership == Ownership::Provisioned && tenant.state == TenantState::Draft {
            let text = "it was not made to its end: cancel its provisioning, which takes all back";
            return Err(ControlFault::Conflict(text));
        }
        if confirm.is_some_and(|confirm| confirm != tenant.name.as_str()) {
            return Err(ControlFault::Invalid("the confirmation is not the tenant's name".into()));
        }
        if tenant.ownership == Ownership::Provisioned && confirm.is_none() {
            let text = "its database is destroyed with it: confirm with the tenant's name";
            return Err(ControlFault::Invalid(text.into()));
        }
        let order = Order { ownership: tenant.ownership, approved_by };
        let input = serde_json::to_value(order)
            .map_err(|_| ControlFault::Conflict("the order cannot be kept"))?;
        let (kind, subject) = (Kind::Offboard.as_str(), tenant.name.to_string());
        Ok(NewOperation { kind, parent: None, tenant: Some(tenant.id), subject, input })
    }
}

pub(super) async fn carry_out(step: &'static str, at: &mut Running<'_>) -> Step {
    let order: Order = at.input()?;
    let provisioned = order.ownership == Ownership::Provisioned;
    match step {
        "stop serving" => stop(at).await,
        "let gateways follow" => Ok(at.followed("stopped_at")),
        "check whose database it is" if provisioned => check(at).await,
        "destroy database" if provisioned => destroy(at).await,
        "check whose database it is" | "destroy database" => {
            Ok(Ended::with("the hospital's own; it is not touched"))
        }
        "destroy record and keys" => forget(at).await,
        "certify" => certify(at, provisioned).await,
        _ => Err(StepFault::defect("there is no such step")),
    }
}

async fn stop(at: &mut Running<'_>) -> Step {
    let (registry, id) = (&at.control.0.registry, at.order.tenant()?);
    let tenant = registry.tenant(id).await?;
    let tenant =
        tenant.ok_or_else(|| StepFault::lasting("not_found", "there is no such tenant"))?;
    if tenant.state != TenantState::Offboarding {
        let (to, origin) = (TenantState::Offboarding, at.order.origin());
        let generation = registry.set_state(id, None, to, None, &origin).await?;
        at.control.announce(id, generation).await;
    }
    at.note("stopped_at", at.control.0.clock.now());
    Ok(Ended::with("its callers get 403"))
}

/// Before anything is destroyed: the server is the registered one, and the database bears this tenant's
/// mark.
async fn check(at: &mut Running<'_>) -> Step {
    let Some((place, names)) = database(at).await? else {
        return Ok(Ended::with("no database was made for it"));
    };
    let mut admin = place.database(&names).await?;
    let identity = admin.opened().identity.clone();
    let owner = admin.owner().await;
    admin.close().await;
    let stored = at.control.0.registry.connection(place.tenant).await?;
    if let Some(expected) = stored.and_then(|stored| stored.identity)
        && (expected.system != identity.system || expected.database != identity.database)
    {
        let text = "the server reached is not the one the tenant's database was made on";
        return Err(StepFault::lasting("wrong_server", text));
    }
    if owner? != Some(place.tenant) {
        let text = "the database does not bear this tenant's mark";
        return Err(StepFault::lasting("wrong_database", text));
    }
    at.note("server", &identity.system);
    at.note("database", names.database());
    Ok(Ended::with("the registered server, and a database marked as this tenant's"))
}

/// Where its database is, when there is one.
async fn database<'a>(
    at: &Running<'a>,
) -> Result<Option<(Maintenance<'a>, crate::store::admin::Names)>, StepFault> {
    if at.control.0.registry.schemas(Some(at.order.tenant()?)).await?.is_empty() {
        return Ok(None);
    }
    let place = Maintenance::of(at).await?;
    let (_, names) = place.own().await?;
    Ok(Some((place, names)))
}

async fn destroy(at: &mut Running<'_>) -> Step {
    let Some((place, names)) = database(at).await? else {
        return Ok(Ended::with("no database was made for it"));
    };
    let left = provision::remove(at, &place, &names).await?;
    at.note("left", left);
    at.control.0.registry.remove_schema(place.tenant).await?;
    Ok(Ended::with(format!("{} and its roles are gone", names.database())))
}

async fn forget(at: &mut Running<'_>) -> Step {
    let (registry, id) = (&at.control.0.registry, at.order.tenant()?);
    if at.noted::<Record>("record").is_none()
        && let Some(stored) = registry.connection(id).await?
    {
        // Put off once, so that it is noted before the record goes.
        let (revision, data_key) = (stored.revision.0, stored.data_key.0);
        at.note("record", Record { revision, data_key });
        return Ok(Ended::Wait(std::time::Duration::ZERO));
    }
    match registry.remove_connection(id, None, &at.order.origin()).await {
        Ok(generation) => at.control.announce(id, generation).await,
        Err(RegistryFault::NotFound(_)) => {}
        Err(fault) => return Err(fault.into()),
    }
    let keys = at.control.0.keyring.destroy_tenant_keys(id).await?;
    Ok(Ended::with(format!("{} data keys destroyed", keys.len())))
}

async fn certify(at: &mut Running<'_>, provisioned: bool) -> Step {
    let (registry, id) = (&at.control.0.registry, at.order.tenant()?);
    let record: Option<Record> = at.noted("record");
    let mut checked = vec!["the registry holds no connection record of the tenant".to_owned()];
    if registry.connection(id).await?.is_some() {
        return Err(StepFault::defect("the connection record is still there"));
    }
    if at.control.0.keyring.newest_data_key(id).await?.is_some() {
        return Err(StepFault::defect("a data key of the tenant is still in the key store"));
    }
    checked.push("the key store holds no data key of the tenant".to_owned());
    if let Some(record) = &record {
        let found = at.control.0.key_store.get(DataKeyId(record.data_key)).await;
        if found.map_err(KeyFault::from)?.is_some() {
            return Err(StepFault::defect("the data key is still in the key store"));
        }
        let text =
            "the data key that the sealed record names is gone, so that the record does not open";
        checked.push(text.to_owned());
    }
    if provisioned {
        let asked = at.noted::<String>("database").is_some();
        checked.push(if asked {
            "the server was asked and holds no database and no role of the tenant".to_owned()
        } else {
            "the registry knows of no database that was made for the tenant".to_owned()
        });
    }
    let tenant = registry.tenant(id).await?;
    let tenant =
        tenant.ok_or_else(|| StepFault::lasting("not_found", "there is no such tenant"))?;
    if tenant.state == TenantState::Offboarding {
        let origin = at.order.origin();
        let free = Amendment { bindings: Some(Vec::new()), ..Amendment::default() };
        registry.amend_tenant(id, None, &free, &origin).await?;
        let to = TenantState::Offboarded;
        let generation = registry.set_state(id, None, to, None, &origin).await?;
        at.control.announce(id, generation).await;
    }
    let certificate = json!({
        "tenant": id, "name": tenant.name, "ownership": tenant.ownership, "placement": tenant.placement,
        "at": at.control.0.clock.now().to_string(), "operation": at.operation().id,
        "ordered_by": format!("{}:{}", at.operation().actor.kind, at.operation().actor.subject),
        "approved_by": at.input::<Order>()?.approved_by,
        "destroyed": destroyed(at, provisioned, record.as_ref()),
        "checked": checked,
        "remains": remains(provisioned),
    });
    let key = at.control.0.keyring.checkpoint_key();
    let text = certificate.to_string();
    at.result = json!({"certificate": text, "signature": STANDARD.encode(key.sign(text.as_bytes())),
        "key": key.verifying_key().to_string()});
    Ok(Ended::Done(None))
}

fn destroyed(at: &Running<'_>, provisioned: bool, record: Option<&Record>) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(record) = record {
        all.push(format!("the sealed connection record, revision {}", record.revision));
        all.push(format!("the data key {} and any older one of the tenant", record.data_key));
    }
    if provisioned {
        let name = |key| at.noted::<String>(key).unwrap_or_else(|| "none".to_owned());
        all.push(format!(
            "the database {} on the server {}, with its roles",
            name("database"),
            name("server")
        ));
    }
    all
}

fn remains(provisioned: bool) -> Vec<&'static str> {
    let mut all = vec![
        "the tenant's row, its published mappings and the operators' log, without secrets",
        "the access log of who read what, as long as it is to be kept",
        "copies of the registry made earlier hold the sealed record, which no longer opens",
        "copies of the key store made earlier hold the wrapped data key until they expire",
    ];
    if provisioned {
        all.push("backups and logs of the database server itself, which the gateway does not know");
    } else {
        all.push(
            "the hospital's own database, untouched, and the account that was used, which the \
                  hospital may now take away",
        );
    }
    all
}
