//! Orders that need a second person, where the settings ask for one: the end of a tenant, and a mapping that
//! brings SQL of its own.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value as Json, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::approval::declared;
use super::view::TenantView;
use super::{Caller, Control, ControlFault};
use crate::auth::{OperatorRank, OperatorSource};
use crate::base::TenantId;
use crate::registry::{
    Actor, Approval, ApprovalKind, ApprovalState, Origin, PublicationOrder, RegistryFault, Tenant,
};

/// How long a request waits.
const VALID: Duration = Duration::from_hours(24);

/// What came of an order.
#[derive(Debug)]
pub enum Ordered<T> {
    /// It was carried out, or begun.
    Done(T),
    /// It waits for a second person.
    Waits(Box<ApprovalView>),
}

/// A request to a second person.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ApprovalView {
    /// Its id.
    pub id: Uuid,
    /// `tenant.offboard` or `mapping.publish`.
    pub kind: String,
    /// The tenant's name.
    pub tenant: String,
    /// `waiting`, `approved`, `refused` or `expired`.
    pub state: String,
    /// What is to be done, in a sentence.
    pub what: String,
    /// The mapping version to be put in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The SQL that is to be approved with it; in lists only of what waits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceView>,
    /// Who asked, as kind and subject.
    pub requested_by: String,
    /// When (RFC 3339).
    pub requested_at: String,
    /// Until when it can be approved (RFC 3339).
    pub expires_at: String,
    /// Who decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// When (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<String>,
    /// The operation that has begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<Uuid>,
}

/// A named source of a mapping.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SourceView {
    /// Its name in the mapping.
    pub name: String,
    /// Its text.
    pub sql: String,
}

impl Control {
    /// Whether the settings ask for a second person.
    pub(super) fn wants_two(&self) -> bool {
        self.0.two_persons
    }

    /// Asks a second person.
    pub(super) async fn ask(
        &self,
        origin: &Origin,
        kind: ApprovalKind,
        tenant: &Tenant,
        input: &Json,
    ) -> Result<ApprovalView, ControlFault> {
        let registry = &self.0.registry;
        let seen = Some(tenant.generation);
        let asked = registry.request_approval(kind, tenant.id, seen, input, VALID, origin).await?;
        self.approval_view(asked).await
    }

    /// How many requests wait for a second person; nothing where the settings ask for none.
    pub async fn approvals_waiting(&self, _caller: &Caller) -> Option<usize> {
        if !self.wants_two() {
            return None;
        }
        // A page without the number is better than none.
        Some(self.0.registry.approvals(true, 100).await.map_or(0, |waiting| waiting.len()))
    }

    /// Requests, newest first: those that wait, or all of them as far as they are kept in sight (1,000).
    pub async fn approvals(
        &self,
        _caller: &Caller,
        all: bool,
    ) -> Result<Vec<ApprovalView>, ControlFault> {
        let mut views = Vec::new();
        for found in self.0.registry.approvals(!all, 1000).await? {
            // A mapping's texts are large: they are read for what somebody is to decide, and that is at most
            // one of a tenant.
            views.push(match found.state {
                ApprovalState::Waiting => self.approval_view(found).await?,
                _ => told(found, Vec::new())?,
            });
        }
        Ok(views)
    }

    /// One request.
    pub async fn approval(&self, _caller: &Caller, id: Uuid) -> Result<ApprovalView, ControlFault> {
        self.approval_view(self.asked(id).await?).await
    }

    /// Approves a request: what was ordered is begun, or in force, when this returns. Asks for the role of an
    /// approver, proven by a token, and for another person than the one who ordered it. At the command line on
    /// the gateway's machine nobody proves who she is, so nothing can be approved there.
    pub async fn approve(&self, caller: &Caller, id: Uuid) -> Result<ApprovalView, ControlFault> {
        let (permit, origin) = (&caller.permit, caller.origin());
        if permit.source() == OperatorSource::Console || permit.rank() < OperatorRank::Approver {
            return Err(ControlFault::NotAllowed(
                "only an operator with the approver's role approves",
            ));
        }
        let asked = self.asked(id).await?;
        if asked.actor == origin.actor {
            return Err(ControlFault::NotAllowed("nobody approves what she ordered herself"));
        }
        let registry = &self.0.registry;
        match asked.kind {
            ApprovalKind::Offboard => {
                let confirm = asked.input.get("confirm").and_then(Json::as_str);
                let tenant = self.find(&asked.tenant.to_string()).await?;
                let by = Some(who(&origin.actor));
                let new = Self::offboarding(&tenant, confirm, by)?;
                let (approved, operation) = registry.approve_operation(id, &new, &origin).await?;
                self.0.work.bell.notify_one();
                let view = self.approval_view(approved).await?;
                Ok(ApprovalView { operation: Some(operation.id), ..view })
            }
            ApprovalKind::Publish => {
                let tenant = self.find(&asked.tenant.to_string()).await?;
                let order =
                    asked.publication()?.ok_or(RegistryFault::Damaged("approval's order"))?;
                self.still_sound(caller, &tenant, order.version).await?;
                let (approved, now) = registry.approve_publication(id, &origin).await?;
                self.announce(tenant.id, now).await;
                self.approval_view(approved).await
            }
        }
    }

    /// Refuses a request, or takes it back.
    pub async fn refuse(&self, caller: &Caller, id: Uuid) -> Result<ApprovalView, ControlFault> {
        let refused = self.0.registry.refuse_approval(id, &caller.origin()).await?;
        self.approval_view(refused).await
    }

    async fn asked(&self, id: Uuid) -> Result<Approval, ControlFault> {
        let found = self.0.registry.approval(id).await?;
        found.ok_or_else(|| RegistryFault::NotFound("request").into())
    }

    async fn approval_view(&self, asked: Approval) -> Result<ApprovalView, ControlFault> {
        let sources = match asked.publication()? {
            Some(order) => self.brought(asked.tenant, order.version).await?,
            None => Vec::new(),
        };
        told(asked, sources)
    }

    /// The sources of a stored version.
    async fn brought(
        &self,
        tenant: TenantId,
        version: u64,
    ) -> Result<Vec<SourceView>, ControlFault> {
        let stored = self.0.registry.mapping(tenant, version).await?;
        // One that cannot be read cannot be put in force either.
        let sources = stored.and_then(|stored| declared(&stored).ok()).unwrap_or_default();
        let view = |s: crate::mapping::DeclaredSource| SourceView { name: s.name, sql: s.sql };
        Ok(sources.into_iter().map(view).collect())
    }

    /// Asks a second person for a version of a mapping with SQL that is not in force, where one is wanted;
    /// `back`: it was in force before.
    pub(super) async fn ask_for_sources(
        &self,
        origin: &Origin,
        tenant: &Tenant,
        version: u64,
        back: bool,
    ) -> Result<Option<Ordered<TenantView>>, ControlFault> {
        if !self.wants_two() {
            return Ok(None);
        }
        let Some(stored) = self.0.registry.mapping(tenant.id, version).await? else {
            return Ok(None);
        };
        if self.unapproved_sources(tenant, declared(&stored)?).await?.is_empty() {
            return Ok(None);
        }
        let from = Some(self.0.registry.active_mapping(tenant.id).await?.unwrap_or(0));
        let input = json!(PublicationOrder { version, from, back });
        self.ask(origin, ApprovalKind::Publish, tenant, &input)
            .await
            .map(|view| Some(Ordered::Waits(Box::new(view))))
    }
}

fn told(asked: Approval, sources: Vec<SourceView>) -> Result<ApprovalView, ControlFault> {
    let order = asked.publication()?;
    let name = &asked.tenant_name;
    let what = match order {
        None => format!("offboard {name}"),
        Some(PublicationOrder { version, back, .. }) if back => {
            format!("roll the mapping of {name} back to version {version}, with SQL of its own")
        }
        Some(PublicationOrder { version, .. }) => {
            format!("put version {version} of the mapping of {name} in force, with SQL of its own")
        }
    };
    Ok(ApprovalView {
        id: asked.id,
        kind: asked.kind.as_str().to_owned(),
        what,
        state: asked.state.as_str().to_owned(),
        version: order.and_then(|order| u32::try_from(order.version).ok()),
        sources,
        requested_by: who(&asked.actor),
        requested_at: asked.created_at.to_string(),
        expires_at: asked.expires_at.to_string(),
        decided_by: asked.decided.as_ref().map(|(actor, _)| who(actor)),
        decided_at: asked.decided.as_ref().map(|(_, at)| at.to_string()),
        operation: None,
        tenant: asked.tenant_name,
    })
}

fn who(actor: &Actor) -> String {
    format!("{}:{}", actor.kind, actor.subject)
}
