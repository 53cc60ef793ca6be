//! What is wrong with which element of what was sent.

use std::borrow::Cow;

use serde_json::{Value, json};

/// Most issues of one outcome; a body that is wrong everywhere is said to be so.
pub const MAX_ISSUES: usize = 100;

/// One thing that is wrong with what was sent, for an OperationOutcome. Names elements, never values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// A code of FHIR's value set `issue-type`.
    pub code: &'static str,
    /// The element, as a FHIRPath expression; empty for the whole.
    pub expression: String,
    /// What is wrong, in a sentence.
    pub message: Cow<'static, str>,
}

impl Issue {
    /// An issue of an element.
    pub fn new(
        code: &'static str,
        expression: impl Into<String>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { code, expression: expression.into(), message: message.into() }
    }

    /// An OperationOutcome that says that nothing is wrong.
    pub fn fine(message: &str) -> Value {
        let issue =
            json!({ "severity": "information", "code": "informational", "diagnostics": message });
        json!({ "resourceType": "OperationOutcome", "issue": [issue] })
    }

    /// Several as an OperationOutcome (FHIR R4, 2.32).
    pub fn outcome(issues: &[Self]) -> Value {
        let issue = |issue: &Self| {
            let mut value =
                json!({ "severity": "error", "code": issue.code, "diagnostics": issue.message });
            if !issue.expression.is_empty() {
                value["expression"] = json!([issue.expression]);
            }
            value
        };
        let issues: Vec<Value> = issues.iter().map(issue).collect();
        json!({ "resourceType": "OperationOutcome", "issue": issues })
    }
}
