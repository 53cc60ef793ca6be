use crate::auth::FhirAdmin;
use crate::base::{Deadline, TenantId};
use crate::registry::{Actor, ActorKind, Origin, Tenant};
use crate::tenant::Session;

use super::fault::ControlFault;
use super::{Caller, Control};

/// Who may order something of a tenant's mapping: an operator, of any tenant, or the hospital's own
/// administrator, whose session is of her own tenant and of no other.
pub trait Orders: sealed::Orders {}

impl Orders for Caller {}
impl Orders for Session<FhirAdmin> {}

pub(super) mod sealed {
    use super::{Deadline, Origin, TenantId};

    /// What an order needs to know of who gives it.
    pub trait Orders {
        /// For the operators' log.
        fn origin(&self) -> Origin;
        /// When the answer is due.
        fn due(&self) -> Deadline;
        /// The only tenant she may order anything of.
        fn only(&self) -> Option<TenantId>;
    }
}

impl sealed::Orders for Caller {
    fn origin(&self) -> Origin {
        Self::origin(self)
    }

    fn due(&self) -> Deadline {
        self.deadline
    }

    fn only(&self) -> Option<TenantId> {
        None
    }
}

impl sealed::Orders for Session<FhirAdmin> {
    fn origin(&self) -> Origin {
        let principal = self.permit().principal();
        let subject = format!("{} {}", principal.issuer(), principal.subject());
        let subject = subject.chars().take(512).collect();
        let actor = Actor { kind: ActorKind::Hospital, subject };
        Origin { actor, request_id: self.request().to_string() }
    }

    fn due(&self) -> Deadline {
        self.deadline()
    }

    fn only(&self) -> Option<TenantId> {
        Some(self.permit().tenant())
    }
}

impl Control {
    /// The tenant of that UUID or slug, if `caller` may order anything of it. Another's is not there.
    pub(super) async fn find_for(
        &self,
        caller: &impl Orders,
        named: &str,
    ) -> Result<Tenant, ControlFault> {
        let tenant = self.find(named).await?;
        match caller.only() {
            Some(own) if own != tenant.id => Err(ControlFault::NoSuchTenant),
            _ => Ok(tenant),
        }
    }
}
