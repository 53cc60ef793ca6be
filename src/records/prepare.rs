//! A body before it meets rows: what the server keeps itself is taken away, the rest held against FHIR.

use super::fault::RecordsFault;
use super::step::Job;
use crate::fhir::judge::judge;
use crate::fhir::{Issue, Json};

impl Job {
    /// The body as it is to be stored, if it is a resource of FHIR R4.
    pub fn prepare(&self, ty: &str, body: &Json) -> Result<Json, RecordsFault> {
        match self.judged(ty, body) {
            (sent, issues) if issues.is_empty() => Ok(sent),
            (_, issues) => Err(RecordsFault::Invalid(issues)),
        }
    }

    /// The body as it is to be stored, and everything that makes it no resource of FHIR R4.
    pub fn judged(&self, ty: &str, body: &Json) -> (Json, Vec<Issue>) {
        let mut issues = judge(&self.elements, body, ty);
        issues.truncate(crate::fhir::issue::MAX_ISSUES);
        let mut sent = body.clone();
        if let Some(mut meta) = sent.take("meta") {
            meta.take("versionId");
            meta.take("lastUpdated");
            if !meta.members().is_empty() {
                sent.put("meta", meta);
            }
        }
        // A generated narrative holds nothing that the resource does not (R4, 2.6.4); any other does.
        let status = |text: &Json| text.get("status").and_then(Json::text) == Some("generated");
        if !self.compiled.fills_element(ty, "text") && sent.get("text").is_some_and(status) {
            sent.take("text");
        }
        self.localise(&mut sent);
        (sent, issues)
    }

    /// Makes the server's own addresses in references relative, as it writes them itself.
    fn localise(&self, value: &mut Json) {
        match value {
            Json::Object(members) => {
                for (name, value) in members {
                    if let (true, Json::Text(text)) = (name == "reference", &*value) {
                        let own = text.strip_prefix(self.base.as_str());
                        if let Some(relative) = own.and_then(|rest| rest.strip_prefix('/')) {
                            *value = Json::Text(relative.to_owned());
                        }
                    } else {
                        self.localise(value);
                    }
                }
            }
            Json::List(items) => items.iter_mut().for_each(|item| self.localise(item)),
            _ => {}
        }
    }
}

/// What is wrong when a body does not name the resource it is to become. Where a search names that, the
/// body may leave it out.
pub(super) fn other_id(ty: &str, sent: &Json, id: &str, found: bool) -> Option<Issue> {
    match sent.get("id").and_then(Json::text) {
        Some(own) if own == id => None,
        None if found => None,
        _ => {
            let message = "The id in the body must be the one of the address.";
            Some(Issue::new("invalid", format!("{ty}.id"), message))
        }
    }
}
