//! The mapping that belongs to the schema of provisioned databases.

use crate::base::Engine;
use crate::control::operations::{Ended, Maintenance, Running, Step, StepFault};
use crate::mapping::{self, Document};
use crate::registry::NewMapping;
use crate::store;

const POSTGRES: &str = include_str!("../../../tenant-migrations/mappings/postgres.yaml");
const MYSQL: &str = include_str!("../../../tenant-migrations/mappings/mysql.yaml");
const SQLITE: &str = include_str!("../../../tenant-migrations/mappings/sqlite.yaml");

pub(in crate::control) const fn shipped(engine: Engine) -> &'static str {
    match engine {
        Engine::Postgres => POSTGRES,
        Engine::MySql => MYSQL,
        Engine::Sqlite => SQLITE,
    }
}

pub(super) async fn publish(at: &Running<'_>, place: &Maintenance<'_>) -> Step {
    let config = at.control.0.registry.tenant_config(place.tenant).await?;
    if config.is_some_and(|config| config.mapping.is_some()) {
        return Ok(Ended::with("a mapping was published already"));
    }
    let version = publish_shipped(at, place).await?;
    Ok(Ended::with(format!("version {version}")))
}

/// Checks the shipped mapping against the live schema, as any other, and puts it in force.
async fn publish_shipped(at: &Running<'_>, place: &Maintenance<'_>) -> Result<u64, StepFault> {
    let text = shipped(place.server.engine);
    let unfit = |problems: &[mapping::MappingProblem]| {
        let first = problems.first().map(|p| format!("{} {}", p.pointer, p.message));
        let why = first.unwrap_or_else(|| "it is empty".to_owned());
        StepFault::lasting("mapping", format!("the shipped mapping does not fit: {why}"))
    };
    let document = Document::parse(text).map_err(|problems| unfit(&problems))?;
    let (record, _) = place.own().await?;
    let mut own = place.open(&record).await?;
    let catalog = store::introspect_on(&mut own.connection().into()).await;
    own.close().await;
    let broken = |_| StepFault::passing("connection_lost", "the catalogue could not be read");
    let catalog = catalog.map_err(broken)??;
    let compiled = mapping::compile(&document, &catalog).map_err(|problems| unfit(&problems))?;
    let json = |value: &_| serde_json::to_string::<mapping::catalog::Catalog>(value);
    let catalog = json(&compiled.used_catalog(&catalog))
        .map_err(|_| StepFault::defect("the catalogue cannot be kept"))?;
    let document = document.to_json();
    let new = NewMapping { document: &document, source: text, catalog: &catalog, report: "[]" };
    let (registry, origin) = (&at.control.0.registry, at.order.origin());
    let version = registry.add_mapping(place.tenant, None, &new, &origin).await?;
    let now = registry.publish_mapping(place.tenant, None, version, &origin).await?;
    at.control.announce(place.tenant, now).await;
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_mappings_are_documents() {
        for engine in [Engine::Postgres, Engine::MySql, Engine::Sqlite] {
            assert!(Document::parse(shipped(engine)).is_ok(), "{engine}");
        }
    }
}
