use uuid::Uuid;

use super::answer::{actor, type_word};
use crate::audit::{AccessEvent, Action, Outcome, Target};
use crate::auth::Principal;
use crate::tenant::{TenantFault, Tenants};

/// What somebody tried who was not let in.
#[derive(Debug, Clone, Copy)]
pub enum Attempt<'a> {
    /// Reading one resource: type and id.
    Read(&'a str, &'a str),
    /// Searching a type.
    Search(&'a str),
    /// Writing: what was tried, type and id, which is empty where there is none.
    Write(Action, &'a str, &'a str),
    /// Something else, by a fixed name such as `mapping.publish`.
    Other(&'static str),
}

/// Writes down that a known user of a known tenant was refused for want of a right; durable when it
/// returns. Counted against the tenant's limits like any request, so that nobody can fill the log.
pub async fn note_refused(
    tenants: &Tenants,
    principal: &Principal,
    request: Uuid,
    attempt: Attempt<'_>,
    status: u16,
) -> Result<(), TenantFault> {
    let _admission = tenants.admit(principal.tenant()).await?;
    let (action, resource_type, target) = match attempt {
        Attempt::Read(resource, id) => (Action::Read, Some(resource), Target::One(id.to_owned())),
        Attempt::Search(resource) => (Action::Search, Some(resource), Target::None),
        Attempt::Write(action, resource, "") => (action, Some(resource), Target::None),
        Attempt::Write(action, resource, id) => {
            (action, Some(resource), Target::One(id.to_owned()))
        }
        Attempt::Other(what) => (Action::Operate(what), None, Target::None),
    };
    let event = AccessEvent {
        tenant: principal.tenant(),
        request,
        actor: actor(principal),
        action,
        resource_type: resource_type.map(|resource| type_word(resource).to_owned().into()),
        target,
        outcome: Outcome::Denied,
        status,
        generation: principal.generation(),
        purpose: None,
    };
    tenants.audit().append(event).await?;
    Ok(())
}
