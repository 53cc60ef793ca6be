//! Code maps: the hospital's codes to FHIR's and, for searching, back.

/// A map from stored texts to codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CodeMap {
    pub(super) values: Vec<(String, String)>,
    /// What every other stored text means.
    pub(super) otherwise: Option<String>,
    /// What NULL or blank means.
    pub(super) missing: Option<String>,
    pub(super) ignore_case: bool,
}

/// Which stored texts mean a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inverse {
    /// These.
    pub(super) values: Vec<String>,
    /// And every text that is not among these.
    pub(super) other_than: Option<Vec<String>>,
    /// And NULL.
    pub(super) missing: bool,
}

impl CodeMap {
    /// The code for a stored text. `Err` for a text the map does not know.
    pub(super) fn forward(&self, stored: Option<&str>) -> Result<Option<String>, ()> {
        let Some(stored) = stored else { return Ok(self.missing.clone()) };
        let same = |key: &str| {
            if self.ignore_case { key.eq_ignore_ascii_case(stored) } else { key == stored }
        };
        match self.values.iter().find(|(key, _)| same(key)) {
            Some((_, code)) => Ok(Some(code.clone())),
            None => self.otherwise.clone().map(Some).ok_or(()),
        }
    }

    /// The stored texts for a code; codes are compared without case (as test suites do).
    pub(super) fn inverse(&self, code: &str) -> Inverse {
        let same = |candidate: &str| candidate.eq_ignore_ascii_case(code);
        let keys = |of: &dyn Fn(&str) -> bool| -> Vec<String> {
            self.values.iter().filter(|(_, c)| of(c)).map(|(key, _)| key.clone()).collect()
        };
        let rest = self.otherwise.as_deref().is_some_and(same);
        Inverse {
            values: keys(&same),
            other_than: rest.then(|| keys(&|_| true)),
            missing: self.missing.as_deref().is_some_and(same),
        }
    }
}
