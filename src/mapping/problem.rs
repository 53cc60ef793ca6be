use serde::Serialize;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The mapping cannot become active.
    Error,
    /// It can; somebody should look.
    Warning,
}

impl Severity {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing wrong with a mapping document, in words for a person who does not know FHIR well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MappingProblem {
    /// Where in the document (RFC 6901).
    pub pointer: String,
    /// How bad.
    pub severity: Severity,
    /// A stable word for the kind of problem.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

/// Collects problems while a document is read, so that all come at once.
#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<MappingProblem>);

impl Problems {
    pub(super) fn error(
        &mut self,
        pointer: &str,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(pointer, Severity::Error, code, message.into(), hint.into());
    }

    pub(super) fn warning(
        &mut self,
        pointer: &str,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(pointer, Severity::Warning, code, message.into(), hint.into());
    }

    fn push(
        &mut self,
        pointer: &str,
        severity: Severity,
        code: &'static str,
        message: String,
        hint: String,
    ) {
        self.0.push(MappingProblem { pointer: pointer.to_owned(), severity, code, message, hint });
    }

    pub(super) fn any_error(&self) -> bool {
        self.0.iter().any(|p| p.severity == Severity::Error)
    }
}

/// A pointer one level deeper (RFC 6901, 3).
pub(super) fn below(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}
