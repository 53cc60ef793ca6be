//! What holds for a registry on either engine. The unit tests run it on SQLite, the tests with servers on
//! PostgreSQL; each gives a [`Place`] with an empty database.

mod approvals;
mod nouns;
mod order;
mod restored;
mod usage;
mod whole;

use std::sync::Arc;
use std::time::Duration;

pub use approvals::*;
pub use nouns::*;
pub use order::*;
use prelude::*;
pub use restored::*;
pub use usage::*;
pub use whole::*;

/// The crate's words, under one name in the unit tests and in the tests with servers.
pub mod prelude {
    pub use super::super::crate_words::*;
}

/// The longest the tests wait for a change to be seen. 5 s are promised, of which the poll takes 2; the rest
/// is room for a busy machine, and far from the minute after which all is compared anyway.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// An empty database and ways to it.
pub trait Place {
    /// A new registry over the same database.
    fn registry(&self) -> Registry;
    /// The clock of its registries.
    fn clock(&self) -> Arc<ManualClock>;
    /// Runs plain SQL on a connection of its own, as some other program would.
    fn plain(&self, sql: &str) -> impl Future<Output = Result<u64, String>>;
    /// Makes a backup.
    fn backup(&self) -> impl Future<Output = ()>;
    /// Puts it back under the feet of whoever is at work.
    fn restore(&self) -> impl Future<Output = ()>;
}

/// What callers do with the registry's answers: box them as `dyn Future + Send`, borrows and all.
pub fn boxed<'a>(
    registry: &'a Registry,
    issuer: &'a str,
    change: (&'a NewConnection, &'a Origin),
) -> Vec<std::pin::Pin<Box<dyn Future<Output = ()> + Send + 'a>>> {
    let id = TenantId::random();
    vec![
        Box::pin(async move { drop(registry.find_binding(issuer, issuer).await) }),
        Box::pin(async move { drop(registry.tenant_config(id).await) }),
        Box::pin(async move {
            drop(registry.put_connection(id, None, change.0, change.1).await);
        }),
        Box::pin(async move { drop(registry.migrate().await) }),
        Box::pin(async move { drop(registry.migration_status().await) }),
    ]
}

pub async fn migrated(place: &impl Place) -> Registry {
    let registry = place.registry();
    registry.migrate().await.unwrap();
    registry.require_current().await.unwrap();
    registry
}

pub fn origin() -> Origin {
    let actor = Actor { kind: ActorKind::Operator, subject: "op-1".to_owned() };
    Origin { actor, request_id: "req-1".to_owned() }
}

fn binding(claim_value: &str) -> TenantBinding {
    TenantBinding {
        issuer: "https://idp.example".to_owned(),
        claim_value: claim_value.to_owned(),
        azp: vec!["app".to_owned()],
        mark: "mark".to_owned(),
    }
}

fn draft(name: &str) -> NewTenant {
    NewTenant {
        id: TenantId::random(),
        name: name.parse().unwrap(),
        display_name: format!("Hospital {name}"),
        ownership: Ownership::Attached,
        placement: Placement::Database,
        bindings: vec![binding(name)],
    }
}

pub async fn new_tenant(registry: &Registry, name: &str) -> Tenant {
    registry.create_tenant(&draft(name), &origin()).await.unwrap()
}

fn connection(revision: u64, engine: Engine, text: &str) -> NewConnection {
    NewConnection {
        record_id: Uuid::new_v4(),
        revision: ConnectionRevision(revision),
        engine,
        sealed: Sealed::from_stored(format!("sealed:v1:{text}")),
        data_key: DataKeyId(Uuid::new_v4()),
        identity: Some(ServerIdentity {
            engine,
            system: "7".to_owned(),
            database: "emr".to_owned(),
        }),
        tls: "verify-full".to_owned(),
    }
}

const MAPPING: NewMapping<'static> =
    NewMapping { document: "{}", source: "a: 1", catalog: "{}", report: "[]" };

async fn generation(registry: &Registry, id: TenantId) -> Generation {
    registry.tenant(id).await.unwrap().unwrap().generation
}

pub fn wrapped_key(tenant: TenantId, at: i64, wrapped: &[u8]) -> WrappedKey {
    WrappedKey {
        id: DataKeyId(Uuid::new_v4()),
        tenant,
        kek: KekId("kek-1".to_owned()),
        wrapped: wrapped.to_vec(),
        created_at: Timestamp::from_secs(at),
    }
}

pub async fn keys_are_stored(keys: &impl WrappedKeys) {
    let tenant = TenantId::random();
    let (old, new) = (wrapped_key(tenant, 1, b"\x00old"), wrapped_key(tenant, 2, b"\xffnew"));
    keys.insert(new.clone()).await.unwrap();
    keys.insert(old.clone()).await.unwrap();
    assert!(keys.insert(old.clone()).await.is_err(), "an id is used once");
    assert_eq!(keys.get(old.id).await.unwrap(), Some(old.clone()));
    assert_eq!(keys.newest(tenant).await.unwrap(), Some(new.clone()));
    assert_eq!(keys.newest(TenantId::random()).await.unwrap(), None);

    let rewrapped =
        WrappedKey { kek: KekId("kek-2".to_owned()), wrapped: b"anew".to_vec(), ..old.clone() };
    assert!(keys.rewrap(old.kek.clone(), rewrapped.clone()).await.unwrap());
    assert!(!keys.rewrap(old.kek.clone(), rewrapped.clone()).await.unwrap());
    assert_eq!(keys.get(old.id).await.unwrap(), Some(rewrapped));

    let mut ids = [old.id, new.id];
    ids.sort();
    assert_eq!(keys.list(None, 1).await.unwrap()[0].id, ids[0]);
    let rest = keys.list(Some(ids[0]), 9).await.unwrap();
    assert_eq!(rest.iter().map(|key| key.id).collect::<Vec<_>>(), ids[1..]);
    assert!(keys.destroy(old.id).await.unwrap());
    assert!(!keys.destroy(old.id).await.unwrap());
    assert_eq!(keys.get(old.id).await.unwrap(), None);
    assert!(keys.destroy(new.id).await.unwrap());
}
