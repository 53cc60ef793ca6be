use serde_json::{Value as Json, json};

use crate::base::{Fault as _, FaultKind};
use crate::control::ControlFault;
use crate::keyring::{KeyFault, NoRandomness};
use crate::pool::dial::{DialClass, DialFault};
use crate::registry::RegistryFault;
use crate::store::StoreFault;
use crate::store::admin::AdminFault;

const PANICKED: &str = "panicked";
/// How often a step is begun whose gateway does not live to see it end.
pub(super) const BREAKS: u64 = 3;

/// Why a step could not be carried out: words for an operator, without values, secrets or a server's text.
#[derive(Debug)]
pub(in crate::control) struct StepFault {
    code: String,
    message: String,
    hint: Option<&'static str>,
    passing: bool,
    more: Option<Box<Json>>,
}

impl StepFault {
    /// Somebody must do something about it.
    pub(in crate::control) fn lasting(code: &'static str, message: impl Into<String>) -> Self {
        let (code, message) = (code.to_owned(), message.into());
        Self { code, message, hint: None, passing: false, more: None }
    }

    /// Trying again later may help.
    pub(in crate::control) fn passing(code: &'static str, message: impl Into<String>) -> Self {
        Self { passing: true, ..Self::lasting(code, message) }
    }

    pub(in crate::control) fn defect(message: &'static str) -> Self {
        Self::lasting("internal", message)
    }

    /// The step broke off in the middle: a defect of this program.
    pub(super) fn panicked(step: &str) -> Self {
        let message = format!("the step '{step}' broke off: a defect of the gateway");
        let hint = "its log says where; retry after an update, or cancel";
        Self::passing(PANICKED, message).hint(hint)
    }

    /// Whoever carried the step out was gone before its end, again and again.
    pub(super) fn broken_off(step: &str, times: u64) -> Self {
        let message = format!("the gateway ended {times} times in the middle of the step '{step}'");
        let hint = "it was killed, or lost its hold on the operation: the gateways' logs and the \
                    system's say which; then retry, or cancel";
        Self::lasting("broke_off", message).hint(hint)
    }

    /// How often the step is begun in all before the operation is left as failed. What is refused after an
    /// earlier run `broke_off` may be what that run was in the middle of: looked at again, it is there.
    pub(super) fn tries(&self, broke_off: bool) -> u64 {
        match (self.passing, self.code.as_str()) {
            (true, PANICKED) => BREAKS,
            (true, _) => 8,
            (false, _) if broke_off => 3,
            (false, _) => 1,
        }
    }

    #[must_use]
    pub(in crate::control) const fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// Says what was being done.
    #[must_use]
    pub(in crate::control) fn during(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// Adds figures or names.
    #[must_use]
    pub(in crate::control) fn with(mut self, more: Json) -> Self {
        self.more = Some(Box::new(more));
        self
    }

    pub(in crate::control) fn code(&self) -> &str {
        &self.code
    }

    pub(in crate::control) fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn to_json(&self) -> Json {
        json!({"code": self.code, "message": self.message, "hint": self.hint, "more": self.more})
    }
}

impl From<AdminFault> for StepFault {
    fn from(fault: AdminFault) -> Self {
        let code = match &fault {
            AdminFault::Refused { code, .. } => code.clone(),
            AdminFault::Lost => "connection_lost".to_owned(),
            AdminFault::Slow => "timeout".to_owned(),
            AdminFault::Held => "held".to_owned(),
            AdminFault::Pooled => "pooled".to_owned(),
            AdminFault::Unsound(_) => "unsound".to_owned(),
        };
        let hint = matches!(fault, AdminFault::Pooled)
            .then_some("maintenance needs the address of the server itself");
        let passing = fault.is_passing();
        Self { code, message: fault.to_string(), hint, passing, more: None }
    }
}

impl From<DialFault> for StepFault {
    fn from(fault: DialFault) -> Self {
        let class = fault.class();
        let passing = matches!(
            class,
            DialClass::Refused
                | DialClass::Timeout
                | DialClass::Full
                | DialClass::NotReady
                | DialClass::Protocol
                | DialClass::Resolve
        );
        let hint = Some(crate::control::connections::hint(class));
        let message = format!("the database could not be connected to: {fault}");
        Self { code: class.as_str().to_owned(), message, hint, passing, more: None }
    }
}

impl From<RegistryFault> for StepFault {
    fn from(fault: RegistryFault) -> Self {
        let passing = matches!(fault, RegistryFault::Unavailable(_) | RegistryFault::Stale { .. });
        let code = fault.kind().as_str().to_owned();
        Self { code, message: fault.to_string(), hint: None, passing, more: None }
    }
}

impl From<KeyFault> for StepFault {
    fn from(fault: KeyFault) -> Self {
        let passing = fault.kind() == FaultKind::Unavailable;
        let code = fault.kind().as_str().to_owned();
        Self { code, message: fault.to_string(), hint: None, passing, more: None }
    }
}

impl From<NoRandomness> for StepFault {
    fn from(fault: NoRandomness) -> Self {
        Self::passing("no_randomness", fault.to_string())
    }
}

impl From<StoreFault> for StepFault {
    fn from(fault: StoreFault) -> Self {
        let passing = fault.kind() == FaultKind::Unavailable;
        Self { passing, ..Self::lasting("catalogue", fault.to_string()) }
    }
}

impl From<ControlFault> for StepFault {
    fn from(fault: ControlFault) -> Self {
        match fault {
            ControlFault::Registry(fault) => fault.into(),
            ControlFault::Keys(fault) => fault.into(),
            ControlFault::Connection(fault) => fault.into(),
            ControlFault::Store(fault) => fault.into(),
            other => {
                let code = other.kind().as_str().to_owned();
                Self { code, ..Self::lasting("", other.to_string()) }
            }
        }
    }
}
