use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Kind;
use crate::registry::{Operation, OperationState, OperationStep};

/// Long-running work and how far it is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OperationView {
    /// Its id.
    pub id: Uuid,
    /// What is done: `tenant.provision`, `fleet.provision`, `tenant.migrate`, `fleet.migrate`,
    /// `tenant.rotate-password`, `tenant.offboard`.
    pub kind: String,
    /// The operation it is a part of.
    pub parent: Option<Uuid>,
    /// The tenant it is about.
    pub tenant: Option<Uuid>,
    /// What it is about, for people.
    pub subject: String,
    /// `held`, `pending`, `running`, `undoing`, `succeeded`, `failed` or `cancelled`.
    pub state: String,
    /// Whether it rests until it is resumed.
    pub frozen: bool,
    /// Whether its end was asked for.
    pub cancel_asked: bool,
    /// Whether it can be cancelled as it stands.
    pub can_cancel: bool,
    /// Whether it can be retried as it stands.
    pub can_retry: bool,
    /// Steps done of those there are.
    pub done: u64,
    /// Steps there are.
    pub of: u64,
    /// The step it is at, or stopped at.
    pub step: Option<String>,
    /// Figures of its progress: of one with parts, how many tenants are where.
    #[schema(value_type = Object)]
    pub progress: serde_json::Value,
    /// What came of it.
    #[schema(value_type = Option<Object>)]
    pub result: Option<serde_json::Value>,
    /// Why it failed, or why its present step was put off last.
    pub error: Option<OperationFault>,
    /// Who ordered it.
    pub ordered_by: String,
    /// Which gateway carries it out or did last.
    pub holder: Option<String>,
    /// When it was ordered (RFC 3339).
    pub created_at: String,
    /// When something of it changed last (RFC 3339).
    pub updated_at: String,
    /// When it ended (RFC 3339).
    pub ended_at: Option<String>,
    /// Its steps so far; only where one operation is shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<OperationStepView>,
}

/// Why an operation failed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OperationFault {
    /// A stable word, or the server's own code.
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Figures and names.
    #[schema(value_type = Option<Object>)]
    pub more: Option<serde_json::Value>,
}

/// One step of an operation.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OperationStepView {
    /// Its name.
    pub name: String,
    /// Whether it belongs to the way back.
    pub undo: bool,
    /// `running`, `done` or `failed`.
    pub state: String,
    /// How often it was begun: once, and again after each failure or end of a gateway, however often it waited.
    pub attempts: u64,
    /// What it found or did.
    pub note: Option<String>,
    /// When it was first begun (RFC 3339).
    pub started_at: String,
    /// When it ended (RFC 3339).
    pub ended_at: Option<String>,
}

/// A page of operations, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct OperationPage {
    /// The operations.
    pub operations: Vec<OperationView>,
    /// What to send as `cursor` for the next page; nothing on the last one.
    pub next: Option<String>,
}

/// What is kept between steps and is nobody's concern.
const PRIVATE: [&str; 1] = ["old"];

pub(super) fn view(operation: Operation, steps: Vec<OperationStep>) -> OperationView {
    let kind = Kind::parse(&operation.kind);
    let undoing = operation.state == OperationState::Undoing
        || steps.iter().any(|step| step.undo) && operation.state != OperationState::Succeeded;
    let names = kind.map_or(&[][..], |kind| if undoing { kind.undo() } else { kind.steps() });
    let of = names.len() as u64;
    let over = matches!(operation.state, OperationState::Succeeded | OperationState::Cancelled);
    let at = usize::try_from(operation.step).unwrap_or(usize::MAX);
    let before = kind.is_some_and(|kind| operation.step < kind.way_back_before());
    let text = |value: &serde_json::Value, name: &str| {
        value.get(name).and_then(serde_json::Value::as_str).map(str::to_owned)
    };
    let error = operation.error.as_ref().map(|error| OperationFault {
        code: text(error, "code").unwrap_or_default(),
        message: text(error, "message").unwrap_or_default(),
        hint: text(error, "hint"),
        more: error.get("more").filter(|more| !more.is_null()).cloned(),
    });
    let mut progress = operation.progress;
    if let Some(map) = progress.as_object_mut() {
        map.retain(|name, _| !PRIVATE.contains(&name.as_str()));
    }
    OperationView {
        id: operation.id,
        kind: operation.kind,
        parent: operation.parent,
        tenant: operation.tenant.map(|id| *id.as_uuid()),
        subject: operation.subject,
        state: operation.state.as_str().to_owned(),
        frozen: operation.frozen,
        cancel_asked: operation.cancel_asked,
        can_cancel: !over && !undoing && before && !operation.cancel_asked,
        can_retry: operation.state == OperationState::Failed,
        done: if over { of } else { operation.step.min(of) },
        of,
        step: names.get(at).filter(|_| !over).map(|name| (*name).to_owned()),
        progress,
        result: operation.result,
        error,
        ordered_by: format!("{}:{}", operation.actor.kind, operation.actor.subject),
        holder: operation.holder,
        created_at: operation.created_at.to_string(),
        updated_at: operation.updated_at.to_string(),
        ended_at: operation.ended_at.map(|at| at.to_string()),
        steps: steps.into_iter().map(step).collect(),
    }
}

fn step(step: OperationStep) -> OperationStepView {
    OperationStepView {
        name: step.name,
        undo: step.undo,
        state: step.state,
        attempts: step.attempts,
        note: step.note,
        started_at: step.started_at.to_string(),
        ended_at: step.ended_at.map(|at| at.to_string()),
    }
}
