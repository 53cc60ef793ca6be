use super::answer::{Access, Answer, Unreleased, release, write_down};
use super::fault::RecordsFault;
use super::page;
use crate::audit::{Action, Outcome, Target};
use crate::auth::{FhirRead, Interaction};
use crate::mapping::Rendered;
use crate::store;
use crate::tenant::Session;

impl Session<FhirRead> {
    /// Reads one resource (FHIR R4, 3.1.0.2).
    pub async fn read(&self, resource: &str, id: &str) -> Result<Answer, RecordsFault> {
        if !self.permit().allows(resource, Interaction::Read) {
            return Err(RecordsFault::Scope);
        }
        let mapping = self.mapping()?;
        if !mapping.compiled.maps(resource) {
            return Err(RecordsFault::NoSuchType);
        }
        let access = || Access {
            action: Action::Read,
            resource_type: resource,
            target: Target::One(id.to_owned()),
        };
        let plans = mapping.compiled.plan_read(resource, id);
        let mut body = Vec::new();
        if !plans.is_empty() {
            let mut lease = self.lease().await?;
            for planned in &plans {
                let fetched = store::fetch_page(&mut lease, &planned.plan, self.deadline()).await?;
                let Some(row) = fetched.page.row(0) else { continue };
                // What the database calls equal may still be another id (case, padding).
                if planned.id(&row).as_deref() != Some(id) {
                    continue;
                }
                let grouped = planned.group(&fetched.children);
                let mut bad = Vec::new();
                let rendered = planned.render(row, &grouped, &mut body, &mut bad);
                page::count_bad(self, &mapping, &bad);
                if rendered == Rendered::LeftOut {
                    write_down(self, access(), Outcome::Failed, 500).await?;
                    return Err(RecordsFault::Unrenderable);
                }
                break;
            }
        }
        if body.is_empty() {
            write_down(self, access(), Outcome::Rejected, 404).await?;
            return Err(RecordsFault::NotFound);
        }
        let found = Unreleased { body, version: None, last_modified: None };
        Ok(release(self, access(), found).await?)
    }
}
