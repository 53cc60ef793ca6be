//! Lanes and changes, over a registry and hospitals on SQLite.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::*;
use crate::audit::AuditConfig;
use crate::base::{
    ConnectionRecord, ConnectionRevision, Engine, ManualClock, SecretText, SqliteRecord, Timestamp,
};
use crate::keyring::{
    DataKeyId, HeldKeys, KekId, KekLocation, KeyringConfig, MemoryKeys, WrappedKey, WrappedKeys,
    WrappedKeysFuture,
};
use crate::pool::dial::{DialConfig, Dialer, SessionSettings};
use crate::pool::{LaneLimits, LaneStatus, PoolConfig, PoolFault, TenantLimits};
use crate::registry::{
    Actor, ActorKind, EventFilter, NewConnection, NewTenant, Origin, Ownership, Placement, Reseal,
    StoredLimits, TenantState,
};

/// A key store that falls silent when told to.
#[derive(Default)]
struct Keys {
    keys: MemoryKeys,
    silent: AtomicBool,
}

impl WrappedKeys for Keys {
    fn get(&self, id: DataKeyId) -> WrappedKeysFuture<'_, Option<WrappedKey>> {
        if self.silent.load(Ordering::SeqCst) {
            return Box::pin(std::future::pending());
        }
        self.keys.get(id)
    }
    fn newest(&self, tenant: TenantId) -> WrappedKeysFuture<'_, Option<WrappedKey>> {
        self.keys.newest(tenant)
    }
    fn insert(&self, key: WrappedKey) -> WrappedKeysFuture<'_, ()> {
        self.keys.insert(key)
    }
    fn rewrap(&self, from: KekId, to: WrappedKey) -> WrappedKeysFuture<'_, bool> {
        self.keys.rewrap(from, to)
    }
    fn list(&self, after: Option<DataKeyId>, limit: u32) -> WrappedKeysFuture<'_, Vec<WrappedKey>> {
        self.keys.list(after, limit)
    }
    fn destroy(&self, id: DataKeyId) -> WrappedKeysFuture<'_, bool> {
        self.keys.destroy(id)
    }
}

struct Rig {
    dir: TempDir,
    keys: Arc<Keys>,
    tenants: Tenants,
}

fn by() -> Origin {
    let actor = Actor { kind: ActorKind::Operator, subject: "op-1".to_owned() };
    Origin { actor, request_id: String::new() }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

impl Rig {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_763_700_000)));
        let setting = format!("sqlite:{}", dir.path().join("registry.db").display());
        let registry = Registry::open(&SecretText::new(setting), clock.clone()).unwrap();
        registry.migrate().await.unwrap();
        let keys = Arc::new(Keys::default());
        let location = KekLocation::Source(Arc::new(HeldKeys::ephemeral().unwrap()));
        let ring = Keyring::init(KeyringConfig::new(location), keys.clone(), clock.clone());
        let ring = ring.await.unwrap();
        let config = AuditConfig::new(dir.path().join("audit"), "one".to_owned());
        let audit = AuditLog::open(config, ring.clone(), clock.clone()).await.unwrap();
        let dial = DialConfig { sqlite_dir: Some(dir.path().to_owned()), ..DialConfig::default() };
        let dialer = Dialer::new(dial, clock.clone());
        let pools = Pools::new(PoolConfig::default(), Arc::new(dialer), clock);
        let session = SessionSettings { read_only: true, ..SessionSettings::default() };
        let defaults = TenantDefaults {
            limits: TenantLimits::default(),
            lane: LaneLimits { session, ..LaneLimits::default() },
            page_size: 50,
            page_size_max: 100,
            export_jobs: 2,
        };
        let fresh = Duration::from_mins(5);
        let tenants = Tenants::new(registry, ring, pools, audit, defaults, fresh);
        Self { dir, keys, tenants }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.tenants.shared
    }

    /// An active tenant with a database of its own.
    async fn tenant(&self, name: &str) -> TenantId {
        let file = format!("{name}.db");
        let options = SqliteConnectOptions::new().filename(self.dir.path().join(&file));
        options.create_if_missing(true).connect().await.unwrap().close().await.unwrap();
        let Shared { registry, keyring, .. } = &**self.shared();
        let new = NewTenant {
            id: TenantId::random(),
            name: name.parse().unwrap(),
            display_name: name.to_owned(),
            ownership: Ownership::Attached,
            placement: Placement::Database,
            bindings: Vec::new(),
        };
        let id = registry.create_tenant(&new, &by()).await.unwrap().id;
        let (key, record_id) = (keyring.create_data_key(id).await.unwrap(), Uuid::new_v4());
        let revision = ConnectionRevision(1);
        let place = seal_place(id, record_id, revision);
        let record = ConnectionRecord::Sqlite(SqliteRecord { file });
        let sealed = keyring.seal(&place, key, &record).await.unwrap();
        let new = NewConnection {
            record_id,
            revision,
            engine: Engine::Sqlite,
            sealed,
            data_key: key,
            identity: None,
            tls: "none".to_owned(),
        };
        registry.put_connection(id, None, &new, &by()).await.unwrap();
        self.state(id, TenantState::Active).await;
        id
    }

    async fn state(&self, id: TenantId, state: TenantState) -> Generation {
        self.shared().registry.set_state(id, None, state, None, &by()).await.unwrap()
    }

    async fn borrow(&self, id: TenantId) -> Result<(), TenantFault> {
        let config = self.tenants.config(id).await?;
        self.shared().lease(&config, 0, false, soon()).await.map(drop)
    }

    fn lane(&self, id: TenantId) -> Option<LaneStatus> {
        self.shared().pools.status(id)
    }

    async fn plain(&self, sql: &str) {
        let mut conn: SqliteConnection = SqliteConnectOptions::new()
            .filename(self.dir.path().join("registry.db"))
            .busy_timeout(Duration::from_secs(5))
            .connect()
            .await
            .unwrap();
        sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
    }

    /// What a gateway does when it hears of a change.
    async fn take_up(&self, id: TenantId) {
        let row = self.shared().registry.tenant(id).await.unwrap().unwrap();
        self.tenants.changed(id, row.generation);
        self.tenants.settle(id).await;
    }

    async fn tampering_is_noted(&self) -> bool {
        let registry = &self.shared().registry;
        let events = registry.list_events(&EventFilter::default(), 99).await.unwrap();
        events.iter().any(|event| event.action == "integrity.connection")
    }
}

async fn until(what: impl Fn() -> bool) {
    let waited = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waited).await.expect("it comes about");
}

#[tokio::test]
async fn a_session_opened_before_a_suspension_makes_no_lane_after_it() {
    let rig = Rig::new().await;
    let id = rig.tenant("north").await;
    let config = rig.tenants.config(id).await.unwrap();
    let suspended = rig.state(id, TenantState::Suspended).await;
    rig.tenants.changed(id, suspended);
    rig.tenants.settle(id).await;
    let refused = rig.shared().lease(&config, 0, false, soon()).await.map(drop);
    assert!(matches!(refused, Err(TenantFault::NotServed("suspended"))), "{refused:?}");
    assert!(rig.lane(id).is_none(), "a suspended tenant keeps no lane");
}

#[tokio::test]
async fn a_change_whose_author_went_away_is_settled_all_the_same() {
    let rig = Rig::new().await;
    let id = rig.tenant("north").await;
    rig.borrow(id).await.unwrap();
    let suspended = rig.state(id, TenantState::Suspended).await;
    rig.tenants.changed(id, suspended);
    let mut settling = Box::pin(rig.tenants.settle(id));
    assert!(futures_util::poll!(&mut settling).is_pending(), "the registry is asked");
    drop(settling);
    until(|| rig.lane(id).is_none()).await;
}

#[tokio::test]
async fn a_session_opened_before_another_connection_does_not_go_back_to_the_old_one() {
    let rig = Rig::new().await;
    let id = rig.tenant("north").await;
    let config = rig.tenants.config(id).await.unwrap();
    // A change that is not about the connection lets it go on.
    let renamed = rig.shared().registry.invalidate(id, None, &by()).await.unwrap();
    rig.tenants.changed(id, renamed);
    rig.shared().lease(&config, 0, false, soon()).await.map(drop).unwrap();
    rig.tenants.retire_lane(id);

    rig.plain("UPDATE connections SET revision = 2").await;
    let row = rig.shared().registry.tenant(id).await.unwrap().unwrap();
    rig.tenants.changed(id, row.generation);
    let refused = rig.shared().lease(&config, 0, false, soon()).await.map(drop);
    assert!(matches!(refused, Err(TenantFault::Pool(PoolFault::Superseded))), "{refused:?}");
    assert!(rig.lane(id).is_none());
}

#[tokio::test]
async fn a_session_opened_before_a_change_of_limits_does_not_go_back_to_the_old_ones() {
    let rig = Rig::new().await;
    let id = rig.tenant("north").await;
    let config = rig.tenants.config(id).await.unwrap();
    rig.borrow(id).await.unwrap();
    assert_eq!(rig.lane(id).unwrap().max, 5);
    let limits = StoredLimits { max_connections: Some(2), ..StoredLimits::default() };
    let changed = rig.shared().registry.set_limits(id, None, &limits, &by()).await.unwrap();
    rig.tenants.changed(id, changed);
    rig.borrow(id).await.unwrap();
    rig.shared().lease(&config, 0, false, soon()).await.map(drop).unwrap();
    let lane = rig.lane(id).unwrap();
    assert_eq!((lane.max, lane.created_total), (2, 1), "one lane serves both");
}

#[tokio::test]
async fn a_lane_ends_when_another_hand_changed_its_record_and_not_when_it_was_resealed() {
    let rig = Rig::new().await;
    let id = rig.tenant("north").await;
    rig.borrow(id).await.unwrap();
    let Shared { registry, keyring, .. } = &**rig.shared();
    let old = registry.connection(id).await.unwrap().unwrap();
    let place = seal_place(id, old.record_id, old.revision);
    let key = keyring.create_data_key(id).await.unwrap();
    let to = keyring.reseal(&place, &old.sealed, key).await.unwrap();
    let reseal = Reseal { tenant: id, from: old.sealed, to, data_key: key };
    registry.reseal_connection(&reseal, &by()).await.unwrap();
    let made = rig.lane(id).unwrap().record;
    rig.take_up(id).await;
    let kept = rig.lane(id).expect("a reseal keeps the lane");
    assert_eq!((kept.created_total, kept.record == made), (1, false));
    assert!(!rig.tampering_is_noted().await);

    rig.plain("UPDATE connections SET sealed = 'sealed:v1:' || upper(substr(sealed, 11))").await;
    rig.take_up(id).await;
    assert!(rig.lane(id).is_none(), "nothing of a record that does not open is served");
    assert!(rig.tampering_is_noted().await);
    assert!(rig.borrow(id).await.is_err());
}

#[tokio::test]
async fn a_tenant_that_cannot_be_settled_delays_no_others_change() {
    let rig = Rig::new().await;
    let (slow, other) = (rig.tenant("slow").await, rig.tenant("other").await);
    let stop = CancellationToken::new();
    let following = tokio::spawn(rig.tenants.clone().follow(stop.clone(), |_| {}));
    let floor = |id| rig.shared().configs.floor(id);
    until(|| floor(slow).0 > 0 && floor(other).0 > 0).await;
    rig.borrow(slow).await.unwrap();
    rig.borrow(other).await.unwrap();
    // The text is another one, and the store that holds its key says nothing.
    rig.keys.silent.store(true, Ordering::SeqCst);
    let resealed = format!(
        "UPDATE connections SET sealed = (SELECT substr(c.sealed, 1, 40) || 'AAAA' || \
         substr(c.sealed, 45) FROM connections c WHERE c.tenant = '{slow}') WHERE tenant = '{slow}'"
    );
    rig.plain(&resealed).await;
    let now = rig.shared().registry.tenant(slow).await.unwrap().unwrap().generation;
    until(|| floor(slow) == now).await;
    rig.state(other, TenantState::Suspended).await;
    until(|| rig.lane(other).is_none()).await;
    assert!(rig.lane(slow).is_some(), "it is still being settled");
    stop.cancel();
    following.await.unwrap();
}

#[tokio::test]
async fn a_restored_registry_is_served_as_it_is() {
    let rig = Rig::new().await;
    let id = rig.tenant("north").await;
    let stop = CancellationToken::new();
    let following = tokio::spawn(rig.tenants.clone().follow(stop.clone(), |_| {}));
    let backup = rig.dir.path().join("backup.db");
    rig.plain(&format!("VACUUM INTO '{}'", backup.display())).await;
    let before = rig.tenants.config(id).await.unwrap().generation;
    rig.borrow(id).await.unwrap();
    // Known on this gateway, and lost with the restoration: the tenant is suspended, and more.
    for state in [TenantState::Suspended, TenantState::Active, TenantState::Suspended] {
        let generation = rig.state(id, state).await;
        until(|| rig.shared().configs.floor(id) == generation).await;
    }
    assert_eq!(rig.tenants.config(id).await.unwrap().state, TenantState::Suspended);
    for log in ["registry.db-wal", "registry.db-shm"] {
        let _was_not_there = std::fs::remove_file(rig.dir.path().join(log)).is_err();
    }
    std::fs::rename(backup, rig.dir.path().join("registry.db")).unwrap();
    until(|| rig.shared().configs.standing(id).history > 0).await;
    until(|| rig.shared().configs.floor(id) == before).await;
    let config = rig.tenants.config(id).await.unwrap();
    assert_eq!((config.state, config.generation), (TenantState::Active, before));
    let history = rig.shared().configs.standing(id).history;
    rig.shared().lease(&config, history, false, soon()).await.map(drop).expect("served again");
    stop.cancel();
    following.await.unwrap();
}
