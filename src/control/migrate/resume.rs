//! The end of a suspension that a failed migration led to.

use super::UNSOUND;
use crate::base::TenantId;
use crate::control::operations::{Running, StepFault};
use crate::registry::{ActorKind, RegistryFault, TenantState};

/// Serves a tenant again that the gateway itself had suspended because its mapping did not fit its schema. To be
/// called when it fits. What an operator suspended is hers to resume, whatever she wrote as the reason; so is what
/// anybody changes meanwhile. `true`: it is served again.
pub(super) async fn resume(at: &Running<'_>, tenant: TenantId) -> Result<bool, StepFault> {
    let registry = &at.control.0.registry;
    let row = registry.tenant(tenant).await?.ok_or(RegistryFault::NotFound("tenant"))?;
    if (row.state, row.state_reason.as_deref()) != (TenantState::Suspended, Some(UNSOUND)) {
        return Ok(false);
    }
    let last = registry.last_event(tenant, "tenant.state").await?;
    if last.is_none_or(|event| event.actor.kind != ActorKind::WorkOrder) {
        return Ok(false);
    }
    // Read before the log was: whoever changes the tenant in between makes this step begin anew.
    let (seen, to) = (Some(row.generation), TenantState::Active);
    let now = registry.set_state(tenant, seen, to, None, &at.order.origin()).await?;
    at.control.announce(tenant, now).await;
    Ok(true)
}
