//! Writing down that a tenant's rows were looked at for its mapping.

use serde_json::json;

use super::super::{Caller, Control, ControlFault, Orders};
use crate::audit::{AccessEvent, Action, Actor, ActorKind, Outcome, Target};
use crate::base::{Generation, TenantId};
use crate::registry::ActorKind as Capacity;
use crate::tenant::TenantFault;

impl Control {
    /// Writes down which operator opened a look at resources of a mapping, which somebody else's rights allow:
    /// beside that person's own event, under the same request.
    pub async fn preview_opened(
        &self,
        caller: &Caller,
        tenant: TenantId,
    ) -> Result<(), ControlFault> {
        self.looked(caller, tenant, "mapping.preview_opened").await
    }

    /// Writes down which operator's look at resources of a mapping was refused, because whoever signed in for it
    /// did not do so as somebody of that hospital. Who that was is another hospital's to know.
    pub async fn preview_refused(
        &self,
        caller: &Caller,
        tenant: TenantId,
    ) -> Result<(), ControlFault> {
        self.noted(caller, tenant, "mapping.preview_opened", (Outcome::Denied, 403)).await
    }

    /// Writes down who had rows of a tenant looked at, before anything of it is given out: on a serving
    /// gateway in the hospital's own access log. A command line writes no access log, for its chain belongs
    /// to the gateway; it writes to the operators' log.
    pub(super) async fn looked(
        &self,
        caller: &impl Orders,
        tenant: TenantId,
        action: &'static str,
    ) -> Result<(), ControlFault> {
        self.noted(caller, tenant, action, (Outcome::Success, 200)).await
    }

    async fn noted(
        &self,
        caller: &impl Orders,
        tenant: TenantId,
        action: &'static str,
        (outcome, status): (Outcome, u16),
    ) -> Result<(), ControlFault> {
        let origin = caller.origin();
        let Some(serving) = &self.0.serving else {
            let nothing = json!({});
            return Ok(self
                .0
                .registry
                .record_event(action, Some(tenant), &nothing, &origin)
                .await?);
        };
        let kind = match origin.actor.kind {
            Capacity::Operator | Capacity::Console => ActorKind::Operator,
            Capacity::WorkOrder => ActorKind::Gateway,
            Capacity::Hospital => ActorKind::User,
        };
        let event = AccessEvent {
            tenant,
            request: origin.request_id.parse().unwrap_or_default(),
            actor: Actor {
                kind,
                issuer: None,
                subject: origin.actor.subject,
                azp: None,
                sid: None,
                token_id_hash: None,
                roles: Vec::new(),
            },
            action: Action::Operate(action),
            resource_type: None,
            target: Target::None,
            outcome,
            status,
            generation: Generation(0),
            purpose: None,
        };
        let written = serving.tenants.audit().append(event).await;
        written.map(drop).map_err(|fault| ControlFault::Unwritten(TenantFault::from(fault)))
    }
}
