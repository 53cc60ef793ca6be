//! The suite on SQLite, and what only SQLite has.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, Row as _};
use tempfile::TempDir;

use super::suite::{self, Place, prelude::*};
use crate::registry::KeyStore;

/// A registry in a temporary folder.
struct OnSqlite {
    dir: TempDir,
    clock: Arc<ManualClock>,
}

impl OnSqlite {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_763_700_000)));
        Self { dir: tempfile::tempdir().unwrap(), clock }
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.dir.path().join(file)
    }

    fn setting(&self, file: &str) -> SecretText {
        SecretText::new(format!("sqlite:{}", self.path(file).display()))
    }

    fn keys(&self) -> KeyStore {
        KeyStore::open(&self.setting("keys.db"), self.clock.clone()).unwrap()
    }
}

impl Place for OnSqlite {
    fn registry(&self) -> Registry {
        Registry::open(&self.setting("registry.db"), self.clock.clone()).unwrap()
    }

    fn clock(&self) -> Arc<ManualClock> {
        Arc::clone(&self.clock)
    }

    async fn plain(&self, sql: &str) -> Result<u64, String> {
        let mut conn = SqliteConnectOptions::new()
            .filename(self.path("registry.db"))
            .busy_timeout(Duration::from_secs(5))
            .connect()
            .await
            .unwrap();
        let done = conn.execute(sqlx::raw_sql(sql)).await;
        conn.close().await.unwrap();
        done.map(|done| done.rows_affected()).map_err(|error| error.to_string())
    }

    async fn backup(&self) {
        let sql = format!("VACUUM INTO '{}'", self.path("backup.db").display());
        self.plain(&sql).await.unwrap();
    }

    async fn restore(&self) {
        let backup = self.path("again.db");
        std::fs::copy(self.path("backup.db"), &backup).unwrap();
        for log in ["registry.db-wal", "registry.db-shm"] {
            let _was_not_there = std::fs::remove_file(self.path(log)).is_err();
        }
        std::fs::rename(backup, self.path("registry.db")).unwrap();
    }
}

macro_rules! on_sqlite {
    ($($name:ident),+ $(,)?) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            suite::$name(&OnSqlite::new()).await;
        }
    )+ };
}

on_sqlite!(
    a_tenant_lives_its_life,
    usage_is_added_up_once,
    gateways_add_up_at_the_same_time,
    names_and_bindings_are_unique,
    lists_page_and_filter,
    bindings_lead_to_their_tenant,
    connections_follow_their_revisions,
    mappings_publish_and_roll_back,
    a_second_person_decides_once_and_in_time,
    a_mapping_is_published_by_two,
    an_approved_version_takes_the_place_it_was_asked_for,
    flags_are_kept,
    limits_are_kept,
    every_change_writes_its_event,
    a_server_that_an_operation_goes_to_stays,
    history_cannot_be_rewritten,
    one_writer_wins_each_generation,
    plain_sql_bumps_and_is_seen,
    deletes_are_seen,
    two_registries_see_each_other,
    migrations_are_checked,
    migrating_at_once_is_harmless,
    requests_are_reserved_once,
    a_stale_order_changes_nothing,
    a_restored_registry_begins_another_history,
    orders_cut_off_anywhere_leave_nothing_or_everything,
    one_bad_part_spoils_the_whole,
    limits_out_of_bounds_are_read_within_them,
);

#[tokio::test]
async fn the_file_is_made_private_and_by_migrate_only() {
    let place = OnSqlite::new();
    let registry = place.registry();
    assert!(matches!(registry.ping().await, Err(RegistryFault::Unavailable(_))));
    assert!(matches!(registry.require_current().await, Err(RegistryFault::Schema(_))));
    assert!(!place.path("registry.db").exists(), "looking creates nothing");
    registry.migrate().await.unwrap();
    suite::new_tenant(&registry, "a").await;
    for file in ["registry.db", "registry.db-wal", "registry.db-shm"] {
        let mode = std::fs::metadata(place.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[tokio::test]
async fn replacing_a_row_hides_no_change() {
    let place = OnSqlite::new();
    let registry = suite::migrated(&place).await;
    let (a, b) = (suite::new_tenant(&registry, "a").await, suite::new_tenant(&registry, "b").await);
    let sql = format!(
        "INSERT OR REPLACE INTO bindings (issuer, claim_value, tenant, azp) \
         VALUES ('https://idp.example', 'a', '{}', '[\"app\"]')",
        b.id
    );
    place.plain(&sql).await.unwrap();
    for before in [a, b] {
        let now = registry.tenant(before.id).await.unwrap().unwrap().generation;
        assert!(now > before.generation, "{}", before.name);
    }
    let sql = "INSERT OR REPLACE INTO tenants SELECT * FROM tenants";
    assert!(place.plain(sql).await.is_err(), "a replaced tenant could begin again at 1");
}

#[tokio::test]
async fn a_held_write_lock_answers_in_time_and_is_gone_after() {
    let place = OnSqlite::new();
    let registry = suite::migrated(&place).await;
    let tenant = suite::new_tenant(&registry, "a").await;
    let options = SqliteConnectOptions::new().filename(place.path("registry.db"));
    let mut other = options.connect().await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let by = suite::origin();
    // As often as would open the breaker, were it a failure of the database.
    for _ in 0..3 {
        let work = registry.invalidate(tenant.id, None, &by);
        let refused = tokio::time::timeout(Duration::from_secs(10), work).await.unwrap();
        assert_eq!(refused, Err(RegistryFault::Unavailable("busy")));
    }
    assert!(registry.tenant(tenant.id).await.unwrap().is_some(), "reading goes on");
    other.execute("ROLLBACK").await.unwrap();
    registry.invalidate(tenant.id, None, &suite::origin()).await.unwrap();
}

#[tokio::test]
async fn keys_are_kept_apart_and_destroyed() {
    let place = OnSqlite::new();
    let keys = place.keys();
    assert!(keys.require_current().await.is_err());
    keys.migrate().await.unwrap();
    keys.require_current().await.unwrap();
    suite::keys_are_stored(&keys).await;

    let key = suite::wrapped_key(TenantId::random(), 7, b"a-wrapped-key-to-be-found-nowhere");
    keys.insert(key.clone()).await.unwrap();
    assert!(found_on_disk(&place, &key.wrapped));
    assert!(keys.destroy(key.id).await.unwrap());
    assert!(!found_on_disk(&place, &key.wrapped), "neither in the file nor in its log");
    assert!(!keys.destroy(key.id).await.unwrap());
}

fn found_on_disk(place: &OnSqlite, needle: &[u8]) -> bool {
    ["keys.db", "keys.db-wal"].iter().any(|file| {
        let bytes = std::fs::read(place.path(file)).unwrap_or_default();
        bytes.windows(needle.len()).any(|window| window == needle)
    })
}

#[tokio::test]
async fn a_key_store_others_can_read_is_refused() {
    let place = OnSqlite::new();
    place.keys().migrate().await.unwrap();
    let path = place.path("keys.db");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let refused = KeyStore::open(&place.setting("keys.db"), place.clock.clone());
    assert!(matches!(refused, Err(RegistryFault::Setting(_))));
}

#[tokio::test]
async fn the_key_store_flushes_and_overwrites() {
    let place = OnSqlite::new();
    place.keys().migrate().await.unwrap();
    let target = url::Setting::parse(&place.setting("keys.db")).unwrap().target(true);
    let Ok(db::Target::Sqlite(options)) = target else { panic!() };
    let mut conn = options.connect().await.unwrap();
    for (pragma, expected) in [("PRAGMA synchronous", 2_i64), ("PRAGMA secure_delete", 1)] {
        let row = conn.fetch_one(pragma).await.unwrap();
        assert_eq!(row.get::<i64, _>(0), expected, "{pragma}");
    }
}
