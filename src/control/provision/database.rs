//! The steps that make the database and take it away again.

use serde_json::json;

use super::Order;
use crate::base::{ConnectionRecord, ConnectionRevision, SecretText, ServerRecord, SqliteRecord};
use crate::control::connections::Prepared;
use crate::control::operations::{Ended, Maintenance, Running, Step, StepFault};
use crate::control::servers;
use crate::keyring::random_password;
use crate::registry::{self, Beginnings, Ownership, Placement, TenantSchema, TenantState};
use crate::store::admin::{self, Names, Schema};

/// The connection record of a tenant's own role on a server.
pub(in crate::control) async fn record_on(
    at: &Running<'_>,
    place: &Maintenance<'_>,
    names: &Names,
    password: SecretText,
) -> Result<ConnectionRecord, StepFault> {
    if place.server.sealed.is_none() {
        return Ok(ConnectionRecord::Sqlite(SqliteRecord { file: names.file() }));
    }
    match servers::record(at.control, &place.server).await? {
        ConnectionRecord::Server(server) => Ok(ConnectionRecord::Server(ServerRecord {
            database: names.database().to_owned(),
            user: names.role().to_owned(),
            password,
            ..server
        })),
        ConnectionRecord::Sqlite(_) => Err(StepFault::defect("a server without a host")),
    }
}

/// Registers the tenant as a draft with its sealed record. Nothing of it exists on the server yet.
pub(super) async fn register(at: &Running<'_>, place: &Maintenance<'_>, order: &Order) -> Step {
    let registry = &at.control.0.registry;
    if registry.tenant(place.tenant).await?.is_some() {
        return Ok(Ended::with("it was there already"));
    }
    let name = order.name.parse().map_err(|_| StepFault::defect("the name is not a slug"))?;
    let record = record_on(at, place, &Names::of(place.tenant, 1), random_password()?).await?;
    let prepared = Prepared { record, identity: None };
    let connection = at.control.seal(place.tenant, ConnectionRevision(1), prepared).await?;
    let row = registry::NewTenant {
        id: place.tenant,
        name,
        display_name: order.display_name.clone(),
        ownership: Ownership::Provisioned,
        placement: Placement::Database,
        bindings: at.control.bindings(place.tenant, &order.identities)?,
    };
    let limits = order.limits.clone();
    let with = Beginnings { limits, connection: Some(connection), active: false };
    let tenant = registry.create_tenant_with(&row, &with, &at.order.origin()).await?;
    at.control.announce(tenant.id, tenant.generation).await;
    Ok(Ended::with("sealed under a data key of its own"))
}

pub(super) async fn make_role(place: &Maintenance<'_>) -> Step {
    let (record, names) = place.own().await?;
    let ConnectionRecord::Server(own) = record else {
        return Ok(Ended::with("a file has no role"));
    };
    let mut admin = place.server().await?;
    let made = admin.make_role(&names, &own.password).await;
    admin.close().await;
    made?;
    Ok(Ended::with(names.role()))
}

pub(super) async fn make_database(at: &Running<'_>, place: &Maintenance<'_>) -> Step {
    let (_, names) = place.own().await?;
    if place.server.sealed.is_none() {
        make_file(at, &names).await?;
        return Ok(Ended::with(names.file()));
    }
    let mut admin = place.server().await?;
    let made = admin.make_database(&names, place.tenant).await;
    admin.close().await;
    made?;
    Ok(Ended::with(names.database()))
}

async fn make_file(at: &Running<'_>, names: &Names) -> Result<(), StepFault> {
    let path = folder(at)?.join(names.file());
    let made = tokio::task::spawn_blocking(move || admin::make_file(&path)).await;
    match made {
        Ok(Ok(())) => Ok(()),
        _ => Err(StepFault::passing("file", "the file cannot be made in the gateway's folder")),
    }
}

fn folder<'a>(at: &Running<'a>) -> Result<&'a std::path::Path, StepFault> {
    let none = || StepFault::lasting("file", "there is no folder for SQLite files");
    at.control.0.dialer.sqlite_dir().ok_or_else(none)
}

pub(super) async fn apply_schema(
    at: &mut Running<'_>,
    place: &Maintenance<'_>,
    release: u64,
) -> Step {
    let (_, names) = place.own().await?;
    let operation = at.operation().id.to_string();
    let mut database = place.database(&names).await?;
    let schema = Schema::of(place.server.engine);
    let applied = async {
        database.begin_migrating().await?;
        let standing = database.standing().await?;
        standing.require_known()?;
        for migration in standing.pending.iter().filter(|m| m.release() <= release) {
            database.apply(migration, &operation).await?;
        }
        database.mark(place.tenant).await?;
        database.standing().await
    }
    .await;
    database.close().await;
    let standing = applied?;
    let known = TenantSchema {
        tenant: place.tenant,
        name: place.row().await?.name,
        server: place.server.id,
        engine: place.server.engine,
        database: names.database().to_owned(),
        migration: standing.newest().to_owned(),
        release: standing.release(schema),
        sound: standing.unfinished.is_none(),
        trouble: None,
        checked_at: at.control.0.clock.now(),
    };
    at.control.0.registry.put_schema(&known).await?;
    Ok(Ended::with(format!("release {}, {}", known.release, known.migration)))
}

pub(super) async fn load_reference(place: &Maintenance<'_>) -> Step {
    let (_, names) = place.own().await?;
    let mut database = place.database(&names).await?;
    let loaded = admin::load_reference(&mut database).await;
    database.close().await;
    Ok(Ended::with(format!("{} codes", loaded?)))
}

pub(super) async fn grant(place: &Maintenance<'_>) -> Step {
    let (_, names) = place.own().await?;
    let mut database = place.database(&names).await?;
    let granted = database.grant(&names).await;
    database.close().await;
    granted?;
    Ok(Ended::Done(None))
}

/// Seals the record again together with the server found behind it, so that every lane is compared with it.
pub(super) async fn seal(at: &Running<'_>, place: &Maintenance<'_>) -> Step {
    let stored = at.control.0.registry.connection(place.tenant).await?;
    if stored.is_some_and(|stored| stored.identity.is_some()) {
        return Ok(Ended::with("it was sealed already"));
    }
    let (record, _) = place.own().await?;
    let own = place.open(&record).await?;
    let identity = own.opened().identity.clone();
    own.close().await;
    let shown = identity.system.clone();
    let prepared = Prepared { record, identity: Some(identity) };
    let connection = at.control.seal(place.tenant, place.next_revision().await?, prepared).await?;
    let (registry, origin) = (&at.control.0.registry, at.order.origin());
    let now = registry.put_connection(place.tenant, None, &connection, &origin).await?;
    at.control.announce(place.tenant, now).await;
    Ok(Ended::with(format!("bound to the server {shown}")))
}

/// Drops database and roles, and asks the server whether anything is left. Only of a tenant that was never
/// served: a database that serves is taken away by offboarding.
pub(super) async fn take_away(at: &mut Running<'_>, place: &Maintenance<'_>) -> Step {
    if let Some(tenant) = at.control.0.registry.tenant(place.tenant).await?
        && tenant.state != TenantState::Draft
    {
        return Err(StepFault::lasting("conflict", "the tenant is served already; offboard it"));
    }
    let left = remove(at, place, &Names::of(place.tenant, 1)).await?;
    at.note("left", left);
    Ok(Ended::with("no database and no role is left"))
}

/// Takes a tenant's database and roles from the server, and proves it.
pub(in crate::control) async fn remove(
    at: &Running<'_>,
    place: &Maintenance<'_>,
    names: &Names,
) -> Result<serde_json::Value, StepFault> {
    if place.server.sealed.is_none() {
        let path = folder(at)?.join(names.file());
        let gone = tokio::task::spawn_blocking(move || admin::remove_file(&path)).await;
        if !matches!(gone, Ok(Ok(()))) {
            return Err(StepFault::passing("file", "the file cannot be removed"));
        }
        return Ok(json!({"databases": 0, "roles": 0}));
    }
    let mut admin = place.server().await?;
    let removed = async {
        admin.drop_database(names).await?;
        for role in admin.roles(names).await? {
            admin.drop_role(&role).await?;
        }
        admin.traces(names).await
    }
    .await;
    admin.close().await;
    match removed? {
        (0, 0) => Ok(json!({"databases": 0, "roles": 0})),
        (databases, roles) => {
            let text = format!("{databases} databases and {roles} roles are left");
            Err(StepFault::passing("left_over", text))
        }
    }
}
