//! A tenant's mapping: drafts, checks, versions.

mod diff;
mod draft;
mod drift;
mod import;
mod leading;
mod live;
mod looked;
mod trial;

pub use diff::{ChangeView, DiffView, Side};
pub use draft::{DoubtfulTable, DraftView, DraftedTable};
pub(super) use drift::of_version;
pub use drift::{DriftChange, DriftView};
pub use import::ImportView;
pub use trial::{
    BrokenRule, ElementTrial, PathCount, SearchTrial, SourceTrial, StatementTrial, TrialView,
    misfit_cure,
};

use super::approval::declared;
use super::fault::ControlFault;
use super::view::{MappingProblemView, MappingReport, MappingView, TenantView};
use super::{Control, Ordered, Orders};
use crate::base::Generation;
use crate::mapping::catalog::Catalog;
use crate::mapping::{self, Document, MappingProblem, TypeSearches};
use crate::registry::{NewMapping, RegistryFault, Tenant};

/// A document that was found sound, with what it was checked against.
struct Checked {
    document: Document,
    catalog: Catalog,
    problems: Vec<MappingProblem>,
    trial: TrialView,
    searches: Vec<TypeSearches>,
}

impl Control {
    /// Reports all faults of a mapping against the live schema; stores nothing.
    pub async fn check_mapping(
        &self,
        caller: &impl Orders,
        named: &str,
        text: &str,
    ) -> Result<MappingReport, ControlFault> {
        let tenant = self.find_for(caller, named).await?;
        Ok(match self.examine(caller, &tenant, text).await? {
            Ok(checked) => report(true, None, &checked.problems, Some(checked.trial))
                .searched(checked.searches),
            Err(problems) => report(false, None, &problems, None),
        })
    }

    /// Checks a mapping and stores it as a new version if it has no faults. It is not in force until it is
    /// published.
    pub async fn store_mapping(
        &self,
        caller: &impl Orders,
        named: &str,
        text: &str,
    ) -> Result<MappingReport, ControlFault> {
        let tenant = self.find_for(caller, named).await?;
        let checked = match self.examine(caller, &tenant, text).await? {
            Ok(checked) => checked,
            Err(problems) => return Ok(report(false, None, &problems, None)),
        };
        let document = checked.document.to_json();
        let catalog = json(&checked.catalog)?;
        let views: Vec<MappingProblemView> = checked.problems.iter().map(problem).collect();
        let found = json(&views)?;
        let new =
            NewMapping { document: &document, source: text, catalog: &catalog, report: &found };
        let version = self.0.registry.add_mapping(tenant.id, None, &new, &caller.origin()).await?;
        let version = u32::try_from(version).ok();
        let stored = report(true, version, &checked.problems, Some(checked.trial));
        Ok(stored.searched(checked.searches))
    }

    async fn examine(
        &self,
        caller: &impl Orders,
        tenant: &Tenant,
        text: &str,
    ) -> Result<Result<Checked, Vec<MappingProblem>>, ControlFault> {
        let document = match Document::parse(text) {
            Ok(document) => document,
            Err(problems) => return Ok(Err(problems)),
        };
        // Only an operator has no tenant of her own.
        if caller.only().is_some() {
            let problems = self.unapproved_sources(tenant, document.sources()).await?;
            if !problems.is_empty() {
                return Ok(Err(problems));
            }
        }
        let mut live = self.live(caller, tenant).await?;
        let catalog = live.catalog(&document.sources()).await?;
        let compiled = match mapping::compile(&document, &catalog) {
            Ok(compiled) => compiled,
            Err(problems) => return Ok(Err(problems)),
        };
        let trial = live.trial(&compiled, &catalog).await;
        self.looked(caller, tenant.id, "mapping.check").await?;
        let problems = compiled.warnings().to_vec();
        let (searches, catalog) = (compiled.searches(), compiled.used_catalog(&catalog));
        Ok(Ok(Checked { document, catalog, problems, trial, searches }))
    }

    /// A tenant's versions, newest first.
    pub async fn mappings(
        &self,
        caller: &impl Orders,
        named: &str,
    ) -> Result<Vec<MappingView>, ControlFault> {
        let tenant = self.find_for(caller, named).await?;
        let versions = self.0.registry.list_mappings(tenant.id, None, 1000).await?;
        Ok(versions
            .into_iter()
            .map(|v| MappingView {
                version: u32::try_from(v.version).unwrap_or(u32::MAX),
                active: v.active,
                created_by: v.created_by,
                created_at: v.created_at.to_string(),
            })
            .collect())
    }

    /// A version's text as it was stored.
    pub async fn mapping_text(
        &self,
        caller: &impl Orders,
        named: &str,
        version: u32,
    ) -> Result<String, ControlFault> {
        let tenant = self.find_for(caller, named).await?;
        let stored = self.0.registry.mapping(tenant.id, version.into()).await?;
        stored.map(|m| m.source).ok_or(RegistryFault::NotFound("mapping version").into())
    }

    /// Puts a version in force. One that brings SQL waits for a second person, where the settings ask for one.
    pub async fn publish_mapping(
        &self,
        caller: &impl Orders,
        named: &str,
        version: u32,
        expected: Option<Generation>,
    ) -> Result<Ordered<TenantView>, ControlFault> {
        let tenant = self.find_for(caller, named).await?;
        let (registry, origin) = (&self.0.registry, caller.origin());
        let version = version.into();
        self.may_bring(caller, &tenant, version).await?;
        self.still_sound(caller, &tenant, version).await?;
        if expected.is_some_and(|expected| expected != tenant.generation) {
            return Err(RegistryFault::Stale { current: tenant.generation }.into());
        }
        if let Some(waits) = self.ask_for_sources(&origin, &tenant, version, false).await? {
            return Ok(waits);
        }
        // What was looked at is what is replaced: who has since taken a version with SQL out of force, or moved
        // the hospital, is not overruled by a look of before.
        let looked = Some(expected.unwrap_or(tenant.generation));
        let now = registry.publish_mapping(tenant.id, looked, version, &origin).await?;
        self.announce(tenant.id, now).await;
        self.view(tenant.id).await.map(Ordered::Done)
    }

    /// Refuses a version with SQL that is not in force, of a hospital's own administrator.
    async fn may_bring(
        &self,
        caller: &impl Orders,
        tenant: &Tenant,
        version: u64,
    ) -> Result<(), ControlFault> {
        if caller.only().is_some()
            && let Some(stored) = self.0.registry.mapping(tenant.id, version).await?
            && !self.unapproved_sources(tenant, declared(&stored)?).await?.is_empty()
        {
            let message = "the version has a source that no operator has approved";
            return Err(ControlFault::Invalid(message.into()));
        }
        Ok(())
    }

    /// Refuses a version that has faults against the schema as it is now: it may have been stored long ago.
    pub(super) async fn still_sound(
        &self,
        caller: &impl Orders,
        tenant: &Tenant,
        version: u64,
    ) -> Result<(), ControlFault> {
        // That there is no such version is the registry's to say, with the generation it was asked under.
        let Some(stored) = self.0.registry.mapping(tenant.id, version).await? else {
            return Ok(());
        };
        let faulty = |problems: Vec<MappingProblem>| {
            ControlFault::Mapping(problems.iter().map(problem).collect())
        };
        let document = Document::parse(&stored.document).map_err(faulty)?;
        let sources = document.sources();
        let catalog = self.live(caller, tenant).await?.catalog(&sources).await?;
        mapping::compile(&document, &catalog).map(drop).map_err(faulty)
    }

    /// Puts the version that was in force before back in force. SQL that comes back with it is brought like
    /// any other: it may have been taken out of force for a reason. It has to fit the schema as it is now, as
    /// when it is published; a database that cannot be asked holds nobody up while things are on fire.
    pub async fn rollback_mapping(
        &self,
        caller: &impl Orders,
        named: &str,
        expected: Option<Generation>,
    ) -> Result<Ordered<TenantView>, ControlFault> {
        let tenant = self.find_for(caller, named).await?;
        let (registry, origin) = (&self.0.registry, caller.origin());
        // What is looked at here is what comes in force below, or nothing does.
        let expected = expected.unwrap_or(tenant.generation);
        if expected != tenant.generation {
            return Err(RegistryFault::Stale { current: tenant.generation }.into());
        }
        if let Some(version) = registry.mapping_before(tenant.id).await? {
            self.may_bring(caller, &tenant, version).await?;
            // A database or a key that cannot be reached, now of all times, holds nobody up.
            let sound = self.still_sound(caller, &tenant, version).await;
            if let Err(fault @ ControlFault::Mapping(_)) = sound {
                return Err(fault);
            }
            if let Some(waits) = self.ask_for_sources(&origin, &tenant, version, true).await? {
                return Ok(waits);
            }
        }
        let (now, _version) = registry.rollback_mapping(tenant.id, Some(expected), &origin).await?;
        self.announce(tenant.id, now).await;
        self.view(tenant.id).await.map(Ordered::Done)
    }
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, ControlFault> {
    serde_json::to_string(value).map_err(|_| ControlFault::Conflict("the catalogue cannot be kept"))
}

fn report(
    ok: bool,
    version: Option<u32>,
    problems: &[MappingProblem],
    trial: Option<TrialView>,
) -> MappingReport {
    let problems = problems.iter().map(problem).collect();
    MappingReport { ok, version, problems, trial, searches: Vec::new() }
}

fn problem(found: &MappingProblem) -> MappingProblemView {
    MappingProblemView {
        pointer: found.pointer.clone(),
        severity: found.severity.as_str().to_owned(),
        code: found.code.to_owned(),
        message: found.message.clone(),
        hint: found.hint.clone(),
    }
}
