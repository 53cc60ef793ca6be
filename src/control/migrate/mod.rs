//! Bringing provisioned databases to a release of their schema: one tenant, or the fleet.

pub(super) mod fleet;
mod renew;
mod report;
mod resume;
mod verbs;

use serde::{Deserialize, Serialize};
use serde_json::json;

pub use report::{MigrationPlan, PlannedMigration, SchemaReport, SchemaView};
pub use verbs::NewMigration;

use super::operations::{Ended, Maintenance, Running, Step, StepFault};
use crate::mapping::{self, Document};
use crate::registry::{TenantSchema, TenantState};
use crate::store::admin::{Admin, Names, Schema, Standing};

/// Why a tenant is suspended whose mapping does not fit its schema after a migration that failed.
pub(super) const UNSOUND: &str = "schema-unsound";

pub(super) const STEPS: &[&str] =
    &["preflight", "migrate", "grant rights", "verify", "renew mapping"];

/// What was ordered of one tenant.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    release: u64,
}

pub(super) async fn carry_out(step: &'static str, at: &mut Running<'_>) -> Step {
    let order: Order = at.input()?;
    let place = Maintenance::of(at).await?;
    let (record, names) = place.own().await?;
    match step {
        "preflight" => preflight(at, &place, &names, order.release).await,
        "migrate" => migrate(at, &place, &names, order.release).await,
        "grant rights" => {
            let mut database = place.database(&names).await?;
            let granted = database.grant(&names).await;
            database.close().await;
            granted?;
            Ok(Ended::Done(None))
        }
        "verify" => {
            let mut own = place.open(&record).await?;
            let sound = sound(at, &place, &mut own).await;
            own.close().await;
            if !sound? {
                let text = "the published mapping no longer fits the migrated schema";
                return Err(StepFault::lasting("mapping", text));
            }
            Ok(Ended::with("the published mapping fits"))
        }
        "renew mapping" => {
            let mut own = place.open(&record).await?;
            let renewed = renew::renew(at, &place, &mut own).await;
            own.close().await;
            let renewed = renewed?;
            let served_again = resume::resume(at, place.tenant).await?;
            at.result = json!({"from": at.noted::<u64>("from"), "to": order.release,
                "applied": at.noted::<Vec<String>>("applied").unwrap_or_default(),
                "mapping": renewed, "served_again": served_again});
            Ok(Ended::Done(None))
        }
        _ => Err(StepFault::defect("there is no such step")),
    }
}

/// Refuses what should not be begun: another server, another tenant's database, a ledger that is not this
/// program's.
async fn preflight(
    at: &mut Running<'_>,
    place: &Maintenance<'_>,
    names: &Names,
    release: u64,
) -> Step {
    let mut database = place.database(names).await?;
    let looked = async {
        let expected = at.control.0.registry.connection(place.tenant).await?;
        if let Some(expected) = expected.and_then(|stored| stored.identity)
            && expected != database.opened().identity
        {
            let text = "the server reached is not the one the tenant's database was made on";
            return Err(StepFault::lasting("wrong_server", text));
        }
        if database.owner().await? != Some(place.tenant) {
            let text = "the database does not bear this tenant's mark";
            return Err(StepFault::lasting("wrong_database", text));
        }
        let standing = database.standing().await?;
        standing.require_known()?;
        Ok(standing)
    }
    .await;
    database.close().await;
    let standing = looked?;
    let from = standing.release(Schema::of(place.server.engine));
    at.note("from", from);
    let pending = standing.pending.iter().filter(|m| m.release() <= release).count();
    Ok(Ended::with(format!("release {from}, {pending} migrations to apply")))
}

async fn migrate(
    at: &mut Running<'_>,
    place: &Maintenance<'_>,
    names: &Names,
    release: u64,
) -> Step {
    let operation = at.operation().id.to_string();
    let mut database = place.database(names).await?;
    let mut applied: Vec<String> = at.noted("applied").unwrap_or_default();
    let done = run(&mut database, release, &operation, &mut applied).await;
    database.close().await;
    at.note("applied", &applied);
    let standing = done?;
    write_down(at, place, names, &standing, None).await?;
    Ok(Ended::with(applied.join(", ")))
}

/// Applies what is pending up to `release`, under the database's own lock, on a connection that is closed
/// afterwards whatever came of it.
async fn run(
    database: &mut Admin,
    release: u64,
    operation: &str,
    applied: &mut Vec<String>,
) -> Result<Standing, StepFault> {
    database.begin_migrating().await?;
    let standing = database.standing().await?;
    standing.require_known()?;
    for migration in standing.pending.iter().filter(|m| m.release() <= release) {
        let done = database.apply(migration, operation).await;
        done.map_err(|fault| StepFault::from(fault).during(migration.name))?;
        applied.push(migration.name.to_owned());
    }
    Ok(database.standing().await?)
}

async fn write_down(
    at: &Running<'_>,
    place: &Maintenance<'_>,
    names: &Names,
    standing: &Standing,
    trouble: Option<String>,
) -> Result<(), StepFault> {
    let known = TenantSchema {
        tenant: place.tenant,
        name: place.row().await?.name,
        server: place.server.id,
        engine: place.server.engine,
        database: names.database().to_owned(),
        migration: standing.newest().to_owned(),
        release: standing.release(Schema::of(place.server.engine)),
        sound: standing.unfinished.is_none(),
        trouble,
        checked_at: at.control.0.clock.now(),
    };
    Ok(at.control.0.registry.put_schema(&known).await?)
}

/// Whether the mapping in force can still be served from the schema as it is.
async fn sound(
    at: &Running<'_>,
    place: &Maintenance<'_>,
    own: &mut Admin,
) -> Result<bool, StepFault> {
    let Some(config) = at.control.0.registry.tenant_config(place.tenant).await? else {
        return Ok(true);
    };
    let Some(active) = config.mapping else { return Ok(true) };
    let Ok(document) = Document::parse(&active.document) else { return Ok(false) };
    let catalog = renew::catalog(own, &document).await?;
    Ok(mapping::compile(&document, &catalog).is_ok())
}

/// Marks a tenant whose migration failed. It keeps serving as long as its schema is sound; one that cannot
/// be served any more is suspended, with that reason, until a migration of it succeeds.
pub(super) async fn failed(at: &mut Running<'_>, fault: &StepFault) {
    if let Err(second) = mark(at, fault).await {
        tracing::warn!(target: "wardgate::operations", operation = %at.operation().id,
            reason = second.message(), "a failed migration could not be written down");
    }
}

async fn mark(at: &Running<'_>, fault: &StepFault) -> Result<(), StepFault> {
    let place = Maintenance::of(at).await?;
    let registry = &at.control.0.registry;
    let Some(mut known) = registry.schemas(Some(place.tenant)).await?.into_iter().next() else {
        return Ok(());
    };
    known.trouble = Some(fault.message().chars().take(500).collect());
    known.checked_at = at.control.0.clock.now();
    // What cannot be looked at now is not judged.
    registry.put_schema(&known).await?;
    let (record, names) = place.own().await?;
    let mut database = place.database(&names).await?;
    let standing = database.standing().await;
    database.close().await;
    write_down(at, &place, &names, &standing?, known.trouble).await?;
    let mut own = place.open(&record).await?;
    let sound = sound(at, &place, &mut own).await;
    own.close().await;
    if !sound? && place.row().await?.state == TenantState::Active {
        let (to, reason) = (TenantState::Suspended, Some(UNSOUND));
        let origin = at.order.origin();
        let now = registry.set_state(place.tenant, None, to, reason, &origin).await?;
        at.control.announce(place.tenant, now).await;
    }
    Ok(())
}
