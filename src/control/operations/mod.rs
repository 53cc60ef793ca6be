//! Long-running work: rows with numbered steps, each of which may be carried out again without harm.
//!
//! Whoever carries an operation out holds its lease and renews it; when it cannot be renewed she stops by
//! herself before anybody else may take it up. A gateway that is killed leaves a step begun; another one
//! begins it again. What a step changes elsewhere is either found by its name (a role, a database), guarded
//! by a lock there (a migration), or compared and set (the registry).

mod engine;
mod fault;
mod kind;
mod maintenance;
mod tally;
#[cfg(test)]
mod tests;
mod verbs;
mod view;
mod waves;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value as Json};
use tokio::sync::Notify;

pub(super) use fault::StepFault;
pub(super) use kind::Kind;
pub(super) use maintenance::Maintenance;
pub use verbs::OperationQuery;
pub use view::{OperationFault, OperationPage, OperationStepView, OperationView};
pub(super) use waves::{UNDO as WAVES_UNDO, Waves, back};

use super::Control;
use crate::base::{TenantId, Timestamp};
use crate::registry::{Actor, ActorKind, Operation, Origin};

/// How operations are carried out.
#[derive(Debug, Clone)]
pub struct Work {
    /// What this gateway is called in the rows it holds.
    pub holder: String,
    /// How long an operation is held without being renewed.
    pub lease: Duration,
    /// How long a change needs at most until every gateway lives by it.
    pub spread: Duration,
    /// Operations carried out at once by this gateway.
    pub workers: usize,
    /// Rings when something was ordered here.
    pub bell: Arc<Notify>,
}

impl Work {
    /// The usual way, under that name.
    pub fn new(holder: String) -> Self {
        Self {
            holder,
            lease: Duration::from_secs(15),
            spread: Duration::from_secs(6),
            workers: 4,
            bell: Arc::default(),
        }
    }
}

/// The order under which the gateway acts without anybody's token: an operation it holds. It opens
/// maintenance of the one tenant the operation is about, and no patient's data. Only the engine makes one.
pub(super) struct WorkOrder {
    operation: Operation,
}

impl WorkOrder {
    /// The tenant it is about.
    pub(super) fn tenant(&self) -> Result<TenantId, StepFault> {
        self.operation.tenant.ok_or_else(|| StepFault::defect("the operation names no tenant"))
    }

    /// What the operators' log says of what is done under it.
    pub(super) fn origin(&self) -> Origin {
        let subject = self.operation.id.hyphenated().to_string();
        let actor = Actor { kind: ActorKind::WorkOrder, subject };
        Origin { actor, request_id: self.operation.request_id.clone() }
    }
}

/// An operation under way, as its steps see it.
pub(super) struct Running<'a> {
    pub(super) control: &'a Control,
    pub(super) order: &'a WorkOrder,
    /// What later steps need to know; kept when the step is done or put off.
    pub(super) progress: Map<String, Json>,
    /// What came of the operation; of the last step.
    pub(super) result: Json,
}

impl Running<'_> {
    pub(super) const fn operation(&self) -> &Operation {
        &self.order.operation
    }

    /// What was ordered.
    pub(super) fn input<T: serde::de::DeserializeOwned>(&self) -> Result<T, StepFault> {
        serde_json::from_value(self.operation().input.clone())
            .map_err(|_| StepFault::defect("the operation's order cannot be read"))
    }

    /// What an earlier step noted.
    pub(super) fn noted<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_value(self.progress.get(name)?.clone()).ok()
    }

    /// Other gateways hear of a change within seconds: done when so long has passed since the moment that was
    /// noted.
    pub(super) fn followed(&self, since: &str) -> Ended {
        let since: Timestamp = self.noted(since).unwrap_or(Timestamp::from_millis(0));
        let passed = self.control.0.clock.now().since(since);
        match self.control.0.work.spread.checked_sub(passed) {
            Some(rest) if !rest.is_zero() => Ended::Wait(rest),
            _ => Ended::Done(None),
        }
    }

    /// Notes something for later steps.
    pub(super) fn note(&mut self, name: &str, value: impl serde::Serialize) {
        let value = serde_json::to_value(value).unwrap_or_default();
        self.progress.insert(name.to_owned(), value);
    }
}

/// How a step ended, when it did not fail.
pub(super) enum Ended {
    /// Done, with a few words.
    Done(Option<String>),
    /// To be asked again after a while.
    Wait(Duration),
}

impl Ended {
    pub(super) fn with(words: impl Into<String>) -> Self {
        Self::Done(Some(words.into()))
    }
}

/// What a step comes to.
pub(super) type Step = Result<Ended, StepFault>;
