use serde::Serialize;
use utoipa::ToSchema;

use super::super::{Control, ControlFault, Orders};
use crate::fhir::capability::TypeCapability;
use crate::mapping::catalog::Catalog;
use crate::mapping::{Document, compile, diff};
use crate::registry::Tenant;

/// One of the two mappings that are compared.
#[derive(Debug, Clone)]
pub enum Side {
    /// The version in force.
    Active,
    /// A stored version.
    Version(u32),
    /// A text that is not stored.
    Text(String),
}

/// What changes from one mapping to another.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DiffView {
    /// In document order: what was there first, then what is new.
    pub changes: Vec<ChangeView>,
    /// What changes of what the server promises, in sentences; nothing when a side does not compile.
    pub promises: Option<Vec<String>>,
}

/// One change.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChangeView {
    /// What it is about, such as `Patient 'pacientes'`.
    pub about: String,
    /// The part, such as `map.birthDate`; empty for the whole.
    pub part: String,
    /// `added`, `removed` or `changed`.
    pub kind: String,
    /// How it was written.
    pub before: String,
    /// How it is written.
    pub after: String,
}

/// A side read and, where it can be, compiled.
struct Read {
    document: Document,
    capability: Option<Vec<TypeCapability>>,
}

impl Control {
    /// Says what changes from one mapping to another.
    pub async fn diff_mapping(
        &self,
        caller: &impl Orders,
        named: &str,
        before: Side,
        after: Side,
    ) -> Result<DiffView, ControlFault> {
        let tenant = self.find_for(caller, named).await?;
        let before = self.side(caller, &tenant, before).await?;
        let after = self.side(caller, &tenant, after).await?;
        let changes = diff::documents(&before.document, &after.document).into_iter();
        let both = before.capability.zip(after.capability);
        Ok(DiffView {
            changes: changes
                .map(|c| ChangeView {
                    about: c.about,
                    part: c.part,
                    kind: c.kind.to_owned(),
                    before: c.before,
                    after: c.after,
                })
                .collect(),
            promises: both.map(|(before, after)| diff::capabilities(&before, &after)),
        })
    }

    async fn side(
        &self,
        caller: &impl Orders,
        tenant: &Tenant,
        side: Side,
    ) -> Result<Read, ControlFault> {
        let version = match side {
            Side::Text(text) => {
                let document = Document::parse(&text).map_err(|problems| {
                    ControlFault::Mapping(problems.iter().map(super::problem).collect())
                })?;
                // What nobody approved is not even prepared for a hospital's own administrator.
                let approved = caller.only().is_none()
                    || self.unapproved_sources(tenant, document.sources()).await?.is_empty();
                if !approved {
                    return Ok(Read { document, capability: None });
                }
                let sources = document.sources();
                let catalog = self.live(caller, tenant).await?.catalog(&sources).await?;
                let compiled = compile(&document, &catalog).ok();
                return Ok(Read { document, capability: compiled.map(|c| c.capability()) });
            }
            Side::Version(version) => u64::from(version),
            Side::Active => {
                let versions = self.0.registry.list_mappings(tenant.id, None, 1000).await?;
                let active = versions.iter().find(|version| version.active);
                active.ok_or(ControlFault::Conflict("no mapping is in force yet"))?.version
            }
        };
        let stored = self.0.registry.mapping(tenant.id, version).await?;
        let stored = stored.ok_or(ControlFault::Invalid("there is no such version".into()))?;
        let unreadable = ControlFault::Conflict("the stored version cannot be read any more");
        let document = Document::parse(&stored.document).map_err(|_| unreadable)?;
        let catalog = serde_json::from_str::<Catalog>(&stored.catalog).ok();
        let compiled = catalog.and_then(|catalog| compile(&document, &catalog).ok());
        Ok(Read { document, capability: compiled.map(|c| c.capability()) })
    }
}
