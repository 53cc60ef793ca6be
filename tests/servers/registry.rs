//! The registry on PostgreSQL: the same suite as on SQLite, and what only a server can do.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use wardgate::registry::KeyStore;

use self::suite::Place;
use self::suite::prelude::*;
use crate::fault_proxy::{Fault, FaultProxy, Side};
use crate::harness::Postgres;

/// What the suite calls the crate's words.
mod crate_words {
    pub use uuid::Uuid;
    pub use wardgate::base::*;
    pub use wardgate::keyring::*;
    pub use wardgate::registry::*;
    pub use wardgate::telemetry::usage::Usage;
}
#[path = "../../src/registry/suite/mod.rs"]
mod suite;

#[path = "registry_place.rs"]
mod place;
use place::OnPostgres;

macro_rules! on_postgres {
    ($($name:ident),+ $(,)?) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            suite::$name(&OnPostgres::new().await).await;
        }
    )+ };
}

on_postgres!(
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

/// Waits until the watch has named `tenant`.
async fn named(
    changes: &mut tokio::sync::mpsc::Receiver<Change>,
    tenant: TenantId,
    at_least: Generation,
) -> Change {
    let seen = async {
        loop {
            let change = changes.recv().await.expect("the watch goes on");
            if change.tenant == tenant && change.generation >= at_least {
                return change;
            }
        }
    };
    timeout(suite::PATIENCE, seen).await.expect("the change is seen")
}

/// Waits until somebody listens for changes.
async fn until_listening(place: &OnPostgres) {
    let mut admin = Postgres::admin().await;
    let listening = async {
        loop {
            let count: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND query ILIKE 'LISTEN%' \
                 AND state = 'idle'",
            )
            .bind(&place.database.name)
            .fetch_one(&mut admin)
            .await
            .unwrap();
            if count > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(10), listening).await.expect("a listening connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_too_old_is_told() {
    let database = Postgres::database_on(Postgres::old_server()).await;
    let place = OnPostgres { database, clock: Arc::new(ManualClock::at(Timestamp::from_secs(0))) };
    let refused = place.registry().migrate().await.unwrap_err().to_string();
    assert!(refused.contains("PostgreSQL 9") && refused.contains("12 or later"), "{refused}");
    let tables = "SELECT 1 / count(*) FROM pg_class WHERE relname LIKE 'wardgate%'";
    place.plain(tables).await.expect_err("nothing was made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_arrives_and_carries_tenant_and_generation() {
    let place = OnPostgres::new().await;
    let registry = suite::migrated(&place).await;
    let tenant = suite::new_tenant(&registry, "a").await;
    let d = &place.database;
    let options = sqlx::postgres::PgConnectOptions::new_without_pgpass()
        .host(&d.server.host)
        .port(d.server.port)
        .username(&d.user)
        .password(&d.password)
        .database(&d.name);
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(1).connect_lazy_with(options);
    let mut listener = sqlx::postgres::PgListener::connect_with(&pool).await.unwrap();
    listener.listen("wardgate_changes").await.unwrap();
    place.plain("DELETE FROM bindings").await.unwrap();
    let note = timeout(suite::PATIENCE, listener.recv()).await.unwrap().unwrap();
    assert_eq!(note.payload(), format!("{} {}", tenant.id, tenant.generation.0 + 1));
}

/// Twenty changes in a row: through notifications they arrive as they are made. If only the poll saw them
/// it would take 40 s, so the bound can tell the two apart with room for a slow machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifications_are_not_waiting_for_the_poll() {
    let place = OnPostgres::new().await;
    let registry = suite::migrated(&place).await;
    let tenant = suite::new_tenant(&registry, "a").await;
    let mut changes = registry.watch(CancellationToken::new());
    named(&mut changes, tenant.id, tenant.generation).await;
    until_listening(&place).await;
    let all = async {
        for n in 1..=20 {
            place.plain("UPDATE tenants SET updated_at = updated_at").await.unwrap();
            named(&mut changes, tenant.id, Generation(tenant.generation.0 + n)).await;
        }
    };
    timeout(Duration::from_secs(20), all).await.expect("notifications call the reader");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_listeners_lose_nothing() {
    let place = OnPostgres::new().await;
    let registry = suite::migrated(&place).await;
    let tenant = suite::new_tenant(&registry, "a").await;
    let mut changes = registry.watch(CancellationToken::new());
    named(&mut changes, tenant.id, tenant.generation).await;
    for n in 1..=3 {
        until_listening(&place).await;
        assert!(place.end_listeners().await > 0, "there was a listener to end");
        place.plain("UPDATE tenants SET updated_at = updated_at").await.unwrap();
        named(&mut changes, tenant.id, Generation(tenant.generation.0 + n)).await;
    }
}

/// A change whose notification never comes: the trigger that announces is switched off, which leaves
/// the poll alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_notification_is_found_by_the_poll() {
    let place = OnPostgres::new().await;
    let registry = suite::migrated(&place).await;
    let tenant = suite::new_tenant(&registry, "a").await;
    place.plain("ALTER TABLE changes DISABLE TRIGGER changes_announce").await.unwrap();
    let mut changes = registry.watch(CancellationToken::new());
    named(&mut changes, tenant.id, tenant.generation).await;
    until_listening(&place).await;
    for (n, sql) in [(1, "DELETE FROM bindings"), (2, "DELETE FROM tenants")] {
        place.plain(sql).await.unwrap();
        named(&mut changes, tenant.id, Generation(tenant.generation.0 + n)).await;
    }
}

/// The order of commits is not the order of sequence numbers: a transaction that drew its number first
/// and commits last must not be passed over, however many readings lie in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_commit_is_not_passed_over() {
    let place = OnPostgres::new().await;
    let registry = suite::migrated(&place).await;
    let slow = suite::new_tenant(&registry, "slow").await;
    let fast = suite::new_tenant(&registry, "fast").await;
    place.plain("ALTER TABLE changes DISABLE TRIGGER changes_announce").await.unwrap();
    let mut changes = registry.watch(CancellationToken::new());
    named(&mut changes, slow.id, slow.generation).await;

    let mut open = place.database.postgres().await;
    for sql in ["BEGIN", "UPDATE tenants SET updated_at = updated_at WHERE name = 'slow'"] {
        sqlx::raw_sql(sql).execute(&mut open).await.unwrap();
    }
    for n in 1..=2 {
        registry.invalidate(fast.id, None, &suite::origin()).await.unwrap();
        // Seen by the poll: so the feed was read while the other transaction was open.
        let change = named(&mut changes, fast.id, Generation(fast.generation.0 + n)).await;
        assert_eq!(change.generation.0, fast.generation.0 + n);
    }
    sqlx::raw_sql("COMMIT").execute(&mut open).await.unwrap();
    named(&mut changes, slow.id, Generation(slow.generation.0 + 1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn truncating_is_refused() {
    let place = OnPostgres::new().await;
    suite::migrated(&place).await;
    for table in ["tenants", "bindings", "connections", "limits", "mappings", "operator_events"] {
        assert!(place.plain(&format!("TRUNCATE {table} CASCADE")).await.is_err(), "{table}");
    }
}

/// A failed run leaves neither half a schema nor a lock behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_migration_leaves_nothing_behind() {
    let place = OnPostgres::new().await;
    place.plain("CREATE TABLE memberships (x int)").await.unwrap();
    let registry = place.registry();
    assert!(registry.migrate().await.is_err());
    assert!(registry.migration_status().await.unwrap().applied.is_empty());
    assert!(place.plain("SELECT 1 FROM tenants").await.is_err());
    place.plain("DROP TABLE memberships").await.unwrap();
    let again = timeout(Duration::from_secs(30), registry.migrate()).await;
    assert!(again.expect("no lock is held").unwrap().is_current());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_answers_fast_and_ends() {
    let place = OnPostgres::new().await;
    let proxy = FaultProxy::start(place.server()).await;
    let registry = place.registry_at(proxy.address());
    registry.migrate().await.unwrap();
    let tenant = suite::new_tenant(&registry, "a").await;
    let mut changes = registry.watch(CancellationToken::new());
    named(&mut changes, tenant.id, tenant.generation).await;

    for fault in [Fault::Reset, Fault::Freeze { side: Side::Both, after: 0 }] {
        proxy.set(fault).await;
        let mut quick = 0;
        for _ in 0..40 {
            let asked = Instant::now();
            let answer = timeout(Duration::from_secs(10), registry.tenant(tenant.id)).await;
            let answer = answer.expect("every call ends");
            assert!(matches!(answer, Err(RegistryFault::Unavailable(_))), "{answer:?}");
            quick += u32::from(asked.elapsed() < Duration::from_millis(100));
        }
        assert!(quick >= 25, "an open breaker answers at once: {quick} of 40");
        // Meanwhile the configuration changes behind the registry's back.
        let before = place.registry().tenant(tenant.id).await.unwrap().unwrap().generation;
        place.plain("UPDATE tenants SET updated_at = updated_at").await.unwrap();
        proxy.heal().await;
        let healed = async {
            while registry.tenant(tenant.id).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(Duration::from_secs(15), healed).await.expect("the outage ends");
        let seen = async {
            loop {
                let change = changes.recv().await.unwrap();
                if change.generation > before {
                    return;
                }
            }
        };
        timeout(Duration::from_secs(15), seen).await.expect("what changed meanwhile is seen");
    }
}

/// Somebody's open transaction holds up one tenant and is no failure of the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_row_holds_up_nobody_else() {
    let place = OnPostgres::new().await;
    let registry = suite::migrated(&place).await;
    let held = suite::new_tenant(&registry, "held").await;
    let free = suite::new_tenant(&registry, "free").await;
    let mut blocker = place.database.postgres().await;
    for sql in ["BEGIN", "SELECT 1 FROM tenants WHERE name = 'held' FOR UPDATE"] {
        sqlx::raw_sql(sql).execute(&mut blocker).await.unwrap();
    }
    let by = suite::origin();
    // As often as would open the breaker, were it a failure of the database.
    for _ in 0..3 {
        let refused = registry.invalidate(held.id, None, &by).await;
        assert_eq!(refused, Err(RegistryFault::Unavailable("busy")));
    }
    registry.invalidate(free.id, None, &by).await.unwrap();
    assert!(registry.tenant(held.id).await.unwrap().is_some());
    sqlx::raw_sql("ROLLBACK").execute(&mut blocker).await.unwrap();
    registry.invalidate(held.id, None, &by).await.unwrap();
}

/// A caller that gives up in the middle of a statement takes its connection with it, not a place in
/// the queue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_give_up_cost_nothing_lasting() {
    let place = OnPostgres::new().await;
    let registry = suite::migrated(&place).await;
    let tenant = suite::new_tenant(&registry, "a").await;
    let mut blocker = place.database.postgres().await;
    for sql in ["BEGIN", "SELECT 1 FROM tenants FOR UPDATE"] {
        sqlx::raw_sql(sql).execute(&mut blocker).await.unwrap();
    }
    for _ in 0..30 {
        let by = suite::origin();
        let work = registry.invalidate(tenant.id, None, &by);
        let _ = timeout(Duration::from_millis(60), work).await;
    }
    sqlx::raw_sql("ROLLBACK").execute(&mut blocker).await.unwrap();
    registry.invalidate(tenant.id, None, &suite::origin()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_prove_itself_gets_no_password() {
    let place = OnPostgres::new().await;
    let d = &place.database;
    let strangers = tempfile::NamedTempFile::new().unwrap();
    let key = rcgen::generate_simple_self_signed(vec!["other.example".to_owned()]).unwrap();
    std::fs::write(strangers.path(), key.cert.pem()).unwrap();
    let setting = SecretText::new(format!(
        "postgres://{}:{}@{}/{}?sslrootcert={}",
        d.user,
        d.password,
        place.server(),
        d.name,
        strangers.path().display()
    ));
    let registry = Registry::open(&setting, place.clock.clone()).unwrap();
    assert!(matches!(registry.ping().await, Err(RegistryFault::Unavailable("TLS refused"))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_live_on_postgres_too() {
    let place = OnPostgres::new().await;
    let keys = KeyStore::open(&place.setting(place.server()), place.clock.clone()).unwrap();
    assert!(keys.require_current().await.is_err());
    keys.migrate().await.unwrap();
    keys.require_current().await.unwrap();
    suite::keys_are_stored(&keys).await;
}
