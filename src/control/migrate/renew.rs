//! A mapping is compiled against the catalogue it was published with, so one that was published before a
//! migration knows nothing of what the migration brought.

use crate::control::operations::{Maintenance, Running, StepFault};
use crate::control::provision::shipped;
use crate::mapping::catalog::Catalog;
use crate::mapping::{self, Compiled, Document};
use crate::registry::{Mapping, NewMapping};
use crate::store;
use crate::store::admin::{Admin, AdminFault};

/// The live schema with what a document's sources give there.
pub(super) async fn catalog(own: &mut Admin, document: &Document) -> Result<Catalog, StepFault> {
    let read = store::catalog_on(&mut own.connection().into(), &document.sources()).await;
    Ok(read.map_err(|_| AdminFault::Lost)??)
}

/// Publishes the mapping in force anew for the schema as it is now, where that is another than the one it was
/// published for; in place of a mapping that was shipped, the one that is shipped with this version, if it
/// fits. Gives back the version in force.
pub(super) async fn renew(
    at: &Running<'_>,
    place: &Maintenance<'_>,
    own: &mut Admin,
) -> Result<Option<u64>, StepFault> {
    let registry = &at.control.0.registry;
    let found = registry.tenant_config(place.tenant).await?;
    let Some((config, active)) = found.and_then(|mut c| c.mapping.take().map(|m| (c, m))) else {
        return Ok(None);
    };
    let stored = registry.mapping(place.tenant, active.version).await?;
    let stored = stored.ok_or_else(|| StepFault::defect("the mapping in force is not stored"))?;
    let mut texts = vec![stored.source.clone()];
    if by_gateway(at, &stored).await? {
        texts.insert(0, shipped(place.server.engine).to_owned());
    }
    for text in texts {
        let Some((document, used)) = fits(own, &text).await? else { continue };
        let before: Option<Catalog> = serde_json::from_str(&stored.catalog).ok();
        let same = before.is_some_and(|b| b.tables == used.tables && b.named == used.named);
        if same && document == stored.document {
            return Ok(Some(active.version));
        }
        let catalog = serde_json::to_string(&used)
            .map_err(|_| StepFault::defect("the catalogue cannot be kept"))?;
        let (document, source, report) = (document.as_str(), text.as_str(), "[]");
        let new = NewMapping { document, source, catalog: &catalog, report };
        // Whoever published meanwhile is not overwritten: the step is begun again, and looks again.
        let (origin, seen) = (at.order.origin(), Some(config.tenant.generation));
        let version = registry.add_mapping(place.tenant, seen, &new, &origin).await?;
        let now = registry.publish_mapping(place.tenant, seen, version, &origin).await?;
        at.control.announce(place.tenant, now).await;
        return Ok(Some(version));
    }
    let text = "the published mapping no longer fits the migrated schema";
    Err(StepFault::lasting("mapping", text))
}

/// Whether an operation of the gateway stored it, which knows only the mapping that is shipped.
async fn by_gateway(at: &Running<'_>, stored: &Mapping) -> Result<bool, StepFault> {
    let Ok(by) = stored.summary.created_by.parse() else { return Ok(false) };
    Ok(at.control.0.registry.operation(by).await?.is_some())
}

/// The document and what it uses of the live schema, where it fits.
async fn fits(own: &mut Admin, text: &str) -> Result<Option<(String, Catalog)>, StepFault> {
    let Ok(document) = Document::parse(text) else { return Ok(None) };
    let catalog = catalog(own, &document).await?;
    let compiled = mapping::compile(&document, &catalog).ok();
    let used = compiled.map(|compiled: Compiled| compiled.used_catalog(&catalog));
    Ok(used.map(|used| (document.to_json(), used)))
}
