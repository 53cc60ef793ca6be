use serde::Deserialize;
use utoipa::ToSchema;

use super::fleet::{Order, Target};
use super::report::{MigrationPlan, migrations, newest, view};
use crate::base::TenantId;
use crate::control::operations::{Kind, OperationView, Waves};
use crate::control::{Caller, Control, ControlFault};
use crate::registry::{NewOperation, Ownership, TenantSchema, TenantState};

/// Which tenants are brought to which release, and how.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMigration {
    /// Tenants by slug or UUID; all provisioned ones when left out.
    #[serde(default)]
    pub tenants: Option<Vec<String>>,
    /// The release of the schema they are brought to; the newest when left out.
    #[serde(default)]
    pub release: Option<u64>,
    /// Tenants that go first; the first of each engine when left out.
    #[serde(default)]
    pub canary: Option<Vec<String>>,
    /// Tenants at once, 1 to 32; 4 when left out.
    #[serde(default)]
    pub parallel: Option<u32>,
    /// Stop when more than this share of those that ended have failed, in percent, counted from the tenth
    /// on; 10 when left out. 0 stops at the first.
    #[serde(default)]
    pub stop_at_percent: Option<u32>,
}

/// What was chosen.
struct FleetMigration {
    chosen: Vec<TenantSchema>,
    canary: Vec<TenantId>,
    already: u64,
    release: u64,
}

impl Control {
    /// What a migration would do, with the SQL; nothing is done.
    pub async fn plan_migration(
        &self,
        _caller: &Caller,
        wanted: &NewMigration,
    ) -> Result<MigrationPlan, ControlFault> {
        let FleetMigration { chosen, canary, already, release } = self.choose(wanted).await?;
        let first = chosen.iter().filter(|schema| canary.contains(&schema.tenant));
        Ok(MigrationPlan {
            release,
            canary: first.map(|schema| schema.name.to_string()).collect(),
            migrations: migrations(&chosen, release),
            already,
            tenants: chosen.into_iter().map(view).collect(),
        })
    }

    /// Orders a migration of the fleet or of some of it.
    pub async fn migrate(
        &self,
        caller: &Caller,
        wanted: &NewMigration,
    ) -> Result<OperationView, ControlFault> {
        let parallel = wanted.parallel.unwrap_or(4);
        let stop_at_percent = wanted.stop_at_percent.unwrap_or(10);
        if !(1..=32).contains(&parallel) || stop_at_percent > 100 {
            let text = "parallel is 1 to 32, stop_at_percent 0 to 100";
            return Err(ControlFault::Invalid(text.into()));
        }
        let FleetMigration { chosen, canary, already, release } = self.choose(wanted).await?;
        if chosen.is_empty() {
            return Err(ControlFault::Conflict("every tenant named is at that release already"));
        }
        let filter = crate::registry::OperationFilter {
            kind: Some(Kind::MigrateFleet.as_str().to_owned()),
            ..crate::registry::OperationFilter::default()
        };
        let earlier = self.0.registry.list_operations(&filter, None, 50).await?;
        if earlier.iter().any(|operation| !operation.state.is_over()) {
            return Err(ControlFault::Conflict("another migration of the fleet is under way"));
        }
        let target =
            |schema: &TenantSchema| Target { id: schema.tenant, name: schema.name.to_string() };
        let subject = match chosen.as_slice() {
            [one] => format!("{} to release {release}", one.name),
            many => {
                format!("{} hospitals to release {release}, {already} there already", many.len())
            }
        };
        let order = Order {
            release,
            tenants: chosen.iter().map(target).collect(),
            waves: Waves {
                canary,
                parallel: parallel as usize,
                stop_at_percent: stop_at_percent.into(),
            },
        };
        let input = serde_json::to_value(order)
            .map_err(|_| ControlFault::Conflict("the order cannot be kept"))?;
        let kind = Kind::MigrateFleet.as_str();
        let new = NewOperation { kind, parent: None, tenant: None, subject, input };
        self.order(caller, &new).await
    }

    async fn choose(&self, wanted: &NewMigration) -> Result<FleetMigration, ControlFault> {
        let newest = newest();
        let release = wanted.release.unwrap_or(newest);
        if !(1..=newest).contains(&release) {
            let text = format!("the schema's releases are 1 to {newest}");
            return Err(ControlFault::Invalid(text.into()));
        }
        let known = self.0.registry.schemas(None).await?;
        let mut chosen = match &wanted.tenants {
            None => self.served(known).await?,
            Some(named) => self.named(named, &known).await?,
        };
        let before = chosen.len();
        chosen.retain(|schema| schema.release < release);
        let already = (before - chosen.len()) as u64;
        let canary = match &wanted.canary {
            None => first_of_each_engine(&chosen),
            Some(named) => {
                let mut ids = Vec::new();
                for named in named {
                    let id = self.find(named).await?.id;
                    if !chosen.iter().any(|schema| schema.tenant == id) {
                        let text = format!("{named} is not among the tenants to be migrated");
                        return Err(ControlFault::Invalid(text.into()));
                    }
                    ids.push(id);
                }
                ids
            }
        };
        Ok(FleetMigration { chosen, canary, already, release })
    }

    /// All that are, or will again be, served.
    async fn served(&self, known: Vec<TenantSchema>) -> Result<Vec<TenantSchema>, ControlFault> {
        let mut served = Vec::new();
        for schema in known {
            let row = self.0.registry.tenant(schema.tenant).await?;
            let state = row.map(|row| row.state);
            if matches!(state, Some(TenantState::Active | TenantState::Suspended)) {
                served.push(schema);
            }
        }
        Ok(served)
    }

    async fn named(
        &self,
        named: &[String],
        known: &[TenantSchema],
    ) -> Result<Vec<TenantSchema>, ControlFault> {
        let mut chosen: Vec<TenantSchema> = Vec::new();
        for named in named {
            let tenant = self.find(named).await?;
            if tenant.ownership != Ownership::Provisioned {
                let text = "an attached hospital's schema is its own and is never changed";
                return Err(ControlFault::Conflict(text));
            }
            if !matches!(tenant.state, TenantState::Active | TenantState::Suspended) {
                return Err(ControlFault::Conflict("a tenant that is not served is not migrated"));
            }
            let schema = known.iter().find(|schema| schema.tenant == tenant.id);
            let Some(schema) = schema else {
                return Err(ControlFault::Conflict("its database has not been made yet"));
            };
            if !chosen.iter().any(|other| other.tenant == schema.tenant) {
                chosen.push(schema.clone());
            }
        }
        Ok(chosen)
    }
}

fn first_of_each_engine(chosen: &[TenantSchema]) -> Vec<TenantId> {
    let mut first: Vec<&TenantSchema> = Vec::new();
    for schema in chosen {
        if !first.iter().any(|known| known.engine == schema.engine) {
            first.push(schema);
        }
    }
    first.into_iter().map(|schema| schema.tenant).collect()
}
