use std::sync::Arc;

use super::answer::{Access, Answer, Unreleased, release, write_down};
use super::fault::RecordsFault;
use super::page::{self, shown};
use crate::audit::{Action, Outcome, Target};
use crate::auth::{FhirRead, Interaction};
use crate::fhir::query::Summary;
use crate::fhir::{QueryFault, SearchQuery};
use crate::mapping::plan::{KeyedRead, Value};
use crate::mapping::{RenderReport, RowOutcome};
use crate::pool::Lease;
use crate::store::{self, StoreFault, run::FetchedPage};
use crate::tenant::Session;

impl Session<FhirRead> {
    /// Reads one resource (FHIR R4, 3.1.0.2). Of the query, `_elements` and `_summary` count.
    pub async fn read(
        &self,
        resource: &str,
        id: &str,
        query: &str,
    ) -> Result<Answer, RecordsFault> {
        self.find(resource, id, None, query).await
    }

    /// Reads one version of a resource (FHIR R4, 3.1.0.3): the present one, if that is its name. Older
    /// ones are nowhere kept.
    pub async fn vread(
        &self,
        resource: &str,
        id: &str,
        version: &str,
        query: &str,
    ) -> Result<Answer, RecordsFault> {
        self.find(resource, id, Some(version), query).await
    }

    /// The rows of a key, and of others' where they came at the same moment.
    async fn fetch(
        &self,
        name: &str,
        read: &Arc<KeyedRead>,
        key: Vec<Value>,
        lease: &mut Option<Lease>,
    ) -> Result<Result<Arc<FetchedPage>, StoreFault>, RecordsFault> {
        if let Some(fetched) = self.fetch_together(name, read, &key, lease).await? {
            return Ok(Ok(fetched));
        }
        let lent = match lease.take() {
            Some(lent) => lent,
            None => self.lease().await?,
        };
        let lent = lease.insert(lent);
        lent.doing(name);
        Ok(store::fetch_row(lent, read, key, self.deadline()).await.map(Arc::new))
    }

    async fn find(
        &self,
        resource: &str,
        id: &str,
        version: Option<&str>,
        query: &str,
    ) -> Result<Answer, RecordsFault> {
        let access = || Access {
            action: Action::Read,
            resource_type: resource,
            target: Target::One(id.to_owned()),
        };
        if !self.permit().allows(resource, Interaction::Read) {
            write_down(self, access(), Outcome::Denied, 403).await?;
            return Err(RecordsFault::Scope);
        }
        let mapping = self.mapping()?;
        if !mapping.compiled.maps(resource) {
            return Err(RecordsFault::NoSuchType);
        }
        let shown = if query.is_empty() {
            crate::mapping::Shown::All
        } else {
            let mut asked = SearchQuery::parse(query)?;
            if asked.summary == Summary::Count {
                // FHIR R4, 3.1.1.5.8: of searches alone. The whole resource would be no summary of it.
                let parameter = "_summary=count, of a single resource".to_owned();
                return Err(QueryFault::Unsupported { parameter }.into());
            }
            shown(&mut asked, Some(resource))?
        };
        let mut unreleased = None;
        let reads = mapping.compiled.plan_read(resource, id);
        if !reads.is_empty() {
            let mut lease = None;
            let name = [resource, " read"].concat();
            for mut read in reads {
                let key = std::mem::take(&mut read.key);
                let fetched = match self.fetch(&name, &read.read, key, &mut lease).await? {
                    Ok(fetched) => fetched,
                    Err(fault) => {
                        drop(lease);
                        return Err(self.refused(&mapping, fault).await);
                    }
                };
                let rows = read.page(&fetched.page, &fetched.children);
                // What the database calls equal may still be another id (case, padding).
                let mut own = String::with_capacity(64);
                let found = (0..rows.len()).find(|row| rows.id(*row, &mut own) && own == id);
                let Some(row) = found else { continue };
                if version.is_some_and(|wanted| rows.version(row).as_deref() != Some(wanted)) {
                    break;
                }
                let (mut body, mut report) = (Vec::with_capacity(2048), RenderReport::default());
                let outcome = rows.write(row, &shown, &mut body, &mut report);
                page::count(self, &report);
                if !matches!(outcome, Some(RowOutcome::Written { .. })) {
                    write_down(self, access(), Outcome::Failed, 500).await?;
                    return Err(RecordsFault::Unrenderable);
                }
                unreleased = Some(Unreleased {
                    body,
                    version: rows.version(row),
                    last_modified: rows.modified(row),
                });
                break;
            }
        }
        let Some(found) = unreleased else {
            write_down(self, access(), Outcome::Rejected, 404).await?;
            let none = RecordsFault::NotFound;
            return Err(version.map_or(none, |_| RecordsFault::NoSuchVersion));
        };
        Ok(release(self, access(), found).await?)
    }
}
