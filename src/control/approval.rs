//! Named sources run SQL that a document brings along, so an operator answers for them: a hospital's own
//! administrator may only use texts that are in force already, which an operator put there.

use std::collections::BTreeSet;

use super::Control;
use super::fault::ControlFault;
use crate::mapping::{DeclaredSource, Document, MappingProblem, ProblemSeverity};
use crate::registry::{Mapping, Tenant};

/// The sources of a stored version: of the document that is put in force, whatever text it was made from.
pub(super) fn declared(stored: &Mapping) -> Result<Vec<DeclaredSource>, ControlFault> {
    let unreadable = |_| ControlFault::Conflict("the stored mapping cannot be read any more");
    Document::parse(&stored.document).map(|document| document.sources()).map_err(unreadable)
}

impl Control {
    /// What is wrong with declared sources for someone who is no operator: each text that is not in
    /// force. Asked before any of them comes near the database.
    pub(super) async fn unapproved_sources(
        &self,
        tenant: &Tenant,
        declared: Vec<DeclaredSource>,
    ) -> Result<Vec<MappingProblem>, ControlFault> {
        if declared.is_empty() {
            return Ok(Vec::new());
        }
        let approved = self.sources_in_force(tenant).await?;
        let foreign = declared.into_iter().filter(|source| !approved.contains(&source.sql));
        let problem = |name: String| MappingProblem {
            pointer: format!("/sources/{}/sql", name.replace('~', "~0").replace('/', "~1")),
            code: "source-not-approved",
            message: "This statement is new or changed, and no operator has approved it."
                .to_owned(),
            hint: "Ask an operator of the gateway to check and publish the mapping.".to_owned(),
            severity: ProblemSeverity::Error,
        };
        Ok(foreign.map(|source| problem(source.name)).collect())
    }

    async fn sources_in_force(&self, tenant: &Tenant) -> Result<BTreeSet<String>, ControlFault> {
        let versions = self.0.registry.list_mappings(tenant.id, None, 1000).await?;
        let Some(active) = versions.iter().find(|version| version.active) else {
            return Ok(BTreeSet::new());
        };
        let stored = self.0.registry.mapping(tenant.id, active.version).await?;
        let sources = stored.map(|stored| declared(&stored)).transpose()?.unwrap_or_default();
        Ok(sources.into_iter().map(|source| source.sql).collect())
    }
}
