//! Making a tenant with a database of its own, from nothing to serving.
//!
//! The sealed record with the generated password is written first, as a draft's: whatever is made later can
//! be found again from it, also by whoever takes over after a kill. The tenant is activated last.

mod database;
mod isolation;
mod list;
mod mapping;
pub(super) mod several;
mod verbs;

use serde::{Deserialize, Serialize};

pub use list::{ListLine, faults_by_line, read_list};
pub use several::{ListedTenant, NewProvisions, PlannedTenant, ProvisionPlan};
pub use verbs::NewProvision;

pub(super) use database::{record_on, remove};
pub(super) use mapping::shipped;

use super::operations::{Ended, Maintenance, Running, Step, StepFault};
use super::view::IdentityView;
use crate::registry::{StoredLimits, TenantState};
use crate::store::admin::Names;

pub(super) const STEPS: &[&str] = &[
    "register draft",
    "make role",
    "make database",
    "apply schema",
    "load reference data",
    "grant rights",
    "prove isolation",
    "publish mapping",
    "seal",
    "activate",
];
pub(super) const UNDO: &[&str] = &["take database away", "take draft away"];

/// What was ordered, as the operation keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    name: String,
    display_name: String,
    identities: Vec<IdentityView>,
    limits: Option<StoredLimits>,
    server: String,
    release: u64,
}

pub(super) async fn carry_out(step: &'static str, at: &mut Running<'_>) -> Step {
    let order: Order = at.input()?;
    let place = Maintenance::on(at, &order.server).await?;
    match step {
        "register draft" => database::register(at, &place, &order).await,
        "make role" => database::make_role(&place).await,
        "make database" => database::make_database(at, &place).await,
        "apply schema" => database::apply_schema(at, &place, order.release).await,
        "load reference data" => database::load_reference(&place).await,
        "grant rights" => database::grant(&place).await,
        "prove isolation" => isolation::prove(at, &place).await,
        "publish mapping" => mapping::publish(at, &place).await,
        "seal" => database::seal(at, &place).await,
        "activate" => activate(at, &place).await,
        "take database away" => database::take_away(at, &place).await,
        "take draft away" => take_draft_away(at, &place).await,
        _ => Err(StepFault::defect("there is no such step")),
    }
}

/// Serves it, last of all.
async fn activate(at: &mut Running<'_>, place: &Maintenance<'_>) -> Step {
    let tenant = place.row().await?;
    if tenant.state == TenantState::Draft {
        let (registry, origin) = (&at.control.0.registry, at.order.origin());
        let to = TenantState::Active;
        let generation = registry.set_state(tenant.id, None, to, None, &origin).await?;
        at.control.announce(tenant.id, generation).await;
    }
    let (_, names) = place.own().await?;
    at.result = serde_json::json!({"tenant": tenant.id, "name": tenant.name,
        "database": names.database(), "server": place.server.name});
    Ok(Ended::Done(None))
}

/// Takes away what is left of it here: the row, its sealed record, its data keys.
async fn take_draft_away(at: &mut Running<'_>, place: &Maintenance<'_>) -> Step {
    let (registry, origin) = (&at.control.0.registry, at.order.origin());
    registry.remove_draft(place.tenant, &origin).await?;
    let keys = at.control.0.keyring.destroy_tenant_keys(place.tenant).await?;
    let names = Names::of(place.tenant, 1);
    at.result = serde_json::json!({"database": names.database(), "keys_destroyed": keys.len(),
        "left": at.noted::<serde_json::Value>("left")});
    Ok(Ended::Done(None))
}
