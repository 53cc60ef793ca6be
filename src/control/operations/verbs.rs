use uuid::Uuid;

use super::view::{OperationPage, OperationView, view};
use super::waves::Tally;
use crate::base::TenantId;
use crate::control::{Caller, Control, ControlFault};
use crate::registry::{NewOperation, Operation, OperationFilter, OperationState, RegistryFault};

/// Which operations to list.
#[derive(Debug, Clone, Default)]
pub struct OperationQuery {
    /// Only in this state.
    pub state: Option<String>,
    /// Only of this kind.
    pub kind: Option<String>,
    /// Only about this tenant, by slug or UUID.
    pub tenant: Option<String>,
    /// Only parts of this operation; without it parts are left out, unless a tenant is named.
    pub parent: Option<Uuid>,
}

impl Control {
    /// Operations, newest first.
    pub async fn operations(
        &self,
        _caller: &Caller,
        query: &OperationQuery,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<OperationPage, ControlFault> {
        let invalid = |what: &'static str| ControlFault::Invalid(what.into());
        let before = cursor
            .map(|c| c.parse::<Uuid>().map_err(|_| invalid("the cursor is not one of ours")))
            .transpose()?;
        let state = query.state.as_deref().map(str::parse::<OperationState>).transpose()?;
        let tenant = match &query.tenant {
            None => None,
            // Also of one that was never registered, or no longer is.
            Some(named) => Some(match named.parse::<TenantId>() {
                Ok(id) => id,
                Err(_) => self.identify(named).await?,
            }),
        };
        let filter = OperationFilter {
            state,
            kind: query.kind.clone(),
            tenant,
            parent: query.parent,
            whole: tenant.is_none(),
        };
        let limit = limit.clamp(1, 200);
        let mut found = self.0.registry.list_operations(&filter, before, limit + 1).await?;
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let next = found.last().filter(|_| more).map(|last| last.id.to_string());
        let mut operations: Vec<_> =
            found.into_iter().map(|operation| view(operation, Vec::new())).collect();
        let whole = operations.iter_mut().filter(|one| one.parent.is_none());
        self.count_parts(whole.map(|one| (one.id, &mut one.progress))).await?;
        Ok(OperationPage { operations, next })
    }

    /// One operation with its steps.
    pub async fn operation(
        &self,
        _caller: &Caller,
        id: Uuid,
    ) -> Result<OperationView, ControlFault> {
        self.shown(id).await
    }

    /// All parts of an operation, in the order they were made.
    pub async fn operation_parts(
        &self,
        _caller: &Caller,
        id: Uuid,
    ) -> Result<Vec<OperationView>, ControlFault> {
        let parts = self.0.registry.operation_parts(id).await?;
        Ok(parts.into_iter().map(|part| view(part, Vec::new())).collect())
    }

    /// Lets a failed operation go on where it stopped.
    pub async fn retry_operation(
        &self,
        caller: &Caller,
        id: Uuid,
    ) -> Result<OperationView, ControlFault> {
        self.0.registry.retry_operation(id, &caller.origin()).await?;
        self.ring(id).await
    }

    /// Asks for an operation's end: what it made is taken away again. Refused from the point on from which
    /// there is no way back.
    pub async fn cancel_operation(
        &self,
        caller: &Caller,
        id: Uuid,
    ) -> Result<OperationView, ControlFault> {
        let now = self.shown(id).await?;
        if !now.can_cancel && !["succeeded", "cancelled", "undoing"].contains(&now.state.as_str()) {
            return Err(ControlFault::Conflict(
                "it is past the point from which there is a way back",
            ));
        }
        self.0.registry.cancel_operation(id, &caller.origin()).await?;
        self.ring(id).await
    }

    /// Lets an operation rest after what is under way now, or go on.
    pub async fn freeze_operation(
        &self,
        caller: &Caller,
        id: Uuid,
        frozen: bool,
    ) -> Result<OperationView, ControlFault> {
        self.0.registry.freeze_operation(id, frozen, &caller.origin()).await?;
        self.ring(id).await
    }

    /// Orders an operation.
    pub(in crate::control) async fn order(
        &self,
        caller: &Caller,
        new: &NewOperation,
    ) -> Result<OperationView, ControlFault> {
        let made: Operation = self.0.registry.create_operation(new, &caller.origin()).await?;
        self.ring(made.id).await
    }

    async fn ring(&self, id: Uuid) -> Result<OperationView, ControlFault> {
        self.0.work.bell.notify_one();
        self.shown(id).await
    }

    pub(super) async fn shown(&self, id: Uuid) -> Result<OperationView, ControlFault> {
        let found = self.0.registry.operation(id).await?;
        let operation = found.ok_or(RegistryFault::NotFound("operation"))?;
        let steps = self.0.registry.operation_steps(id).await?;
        let mut view = view(operation, steps);
        self.count_parts([(view.id, &mut view.progress)]).await?;
        Ok(view)
    }

    /// Puts in how many parts are where now: what the operation itself noted last is older while it rests, waits, has
    /// failed or has just ended.
    pub(super) async fn count_parts<'a>(
        &self,
        of: impl IntoIterator<Item = (Uuid, &'a mut serde_json::Value)>,
    ) -> Result<(), ControlFault> {
        let mut of: Vec<_> = of.into_iter().collect();
        let ids = || of.iter().map(|(id, _)| *id);
        let (Some(first), Some(last)) = (ids().min(), ids().max()) else { return Ok(()) };
        let counted = self.0.registry.parts_by_state(first, last).await?;
        for (id, progress) in &mut of {
            let (Some(states), Some(progress)) = (counted.get(id), progress.as_object_mut()) else {
                continue;
            };
            let tally = serde_json::to_value(Tally::counted(states.iter().copied()));
            progress.insert("tenants".to_owned(), tally.unwrap_or_default());
        }
        Ok(())
    }
}
