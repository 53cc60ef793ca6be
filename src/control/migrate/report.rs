use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::base::Engine;
use crate::control::{Caller, Control, ControlFault};
use crate::registry::TenantSchema;
use crate::store::admin::Schema;

/// How far the schemas of provisioned tenants are.
#[derive(Debug, Serialize, ToSchema)]
pub struct SchemaReport {
    /// The newest release there is.
    pub newest: u64,
    /// How many tenants are at each release.
    pub at_release: Vec<ReleaseCount>,
    /// The tenants, by name.
    pub tenants: Vec<SchemaView>,
}

/// Tenants at one release.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReleaseCount {
    /// The release.
    pub release: u64,
    /// How many tenants are at it.
    pub tenants: u64,
}

/// How far one tenant's schema is, as of when it was last looked at.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SchemaView {
    /// The tenant's id.
    pub id: Uuid,
    /// Its slug.
    pub name: String,
    /// Its engine.
    pub engine: String,
    /// The release that is whole.
    pub release: u64,
    /// The newest migration applied.
    pub migration: String,
    /// Whether no migration was left in the middle.
    pub sound: bool,
    /// Why its last migration failed.
    pub trouble: Option<String>,
    /// When it was last looked at (RFC 3339).
    pub checked_at: String,
}

/// What a migration would do; nothing is done.
#[derive(Debug, Serialize, ToSchema)]
pub struct MigrationPlan {
    /// The release it leads to.
    pub release: u64,
    /// The tenants that would go first.
    pub canary: Vec<String>,
    /// All tenants that would be migrated.
    pub tenants: Vec<SchemaView>,
    /// Tenants that are there already.
    pub already: u64,
    /// What would be run, by engine.
    pub migrations: Vec<PlannedMigration>,
}

/// One migration of one engine.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlannedMigration {
    /// `postgres`, `mysql` or `sqlite`.
    pub engine: String,
    /// Its number and name.
    pub name: String,
    /// The release it is a part of.
    pub release: u64,
    /// What would be run.
    pub sql: String,
    /// On how many of the tenants.
    pub tenants: u64,
}

impl Control {
    /// How far the schemas of provisioned tenants are.
    pub async fn schemas(&self, _caller: &Caller) -> Result<SchemaReport, ControlFault> {
        let known = self.0.registry.schemas(None).await?;
        let mut at_release: Vec<ReleaseCount> = Vec::new();
        for schema in &known {
            match at_release.iter_mut().find(|count| count.release == schema.release) {
                Some(count) => count.tenants += 1,
                None => at_release.push(ReleaseCount { release: schema.release, tenants: 1 }),
            }
        }
        at_release.sort_by_key(|count| count.release);
        let tenants = known.into_iter().map(view).collect();
        Ok(SchemaReport { newest: newest(), at_release, tenants })
    }
}

/// The newest release of all engines.
pub(super) fn newest() -> u64 {
    let engines = [Engine::Postgres, Engine::MySql, Engine::Sqlite];
    engines.into_iter().map(|engine| Schema::of(engine).release()).max().unwrap_or(0)
}

pub(super) fn view(schema: TenantSchema) -> SchemaView {
    SchemaView {
        id: *schema.tenant.as_uuid(),
        name: schema.name.to_string(),
        engine: schema.engine.as_str().to_owned(),
        release: schema.release,
        migration: schema.migration,
        sound: schema.sound,
        trouble: schema.trouble,
        checked_at: schema.checked_at.to_string(),
    }
}

/// The migrations tenants at these releases lack of `release`.
pub(super) fn migrations(tenants: &[TenantSchema], release: u64) -> Vec<PlannedMigration> {
    let mut planned = Vec::new();
    for engine in [Engine::Postgres, Engine::MySql, Engine::Sqlite] {
        for migration in Schema::of(engine).all().iter().filter(|m| m.release() <= release) {
            let lacks =
                |t: &&TenantSchema| t.engine == engine && t.migration.as_str() < migration.name;
            let count = tenants.iter().filter(lacks).count() as u64;
            if count > 0 {
                planned.push(PlannedMigration {
                    engine: engine.as_str().to_owned(),
                    name: migration.name.to_owned(),
                    release: migration.release(),
                    sql: migration.sql.trim().to_owned(),
                    tenants: count,
                });
            }
        }
    }
    planned
}
