//! What keeps changes in order: generations, the feed, immutability, migrations.

use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use super::*;

/// Waits for a change of `tenant` to at least `at_least`.
async fn await_change(changes: &mut Receiver<Change>, tenant: TenantId, at_least: Generation) {
    let seen = async {
        loop {
            let change = changes.recv().await.expect("the watch goes on");
            if change.tenant == tenant && change.generation >= at_least {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.expect("the change is seen");
}

pub async fn history_cannot_be_rewritten(place: &impl Place) {
    let registry = migrated(place).await;
    let (by, id) = (origin(), new_tenant(&registry, "a").await.id);
    registry.add_mapping(id, None, &MAPPING, &by).await.unwrap();
    registry.publish_mapping(id, None, 1, &by).await.unwrap();
    for sql in [
        "UPDATE operator_events SET actor = 'x'",
        "DELETE FROM operator_events",
        "UPDATE mappings SET document = '[]'",
        "DELETE FROM mappings",
        "UPDATE publications SET version = 1",
        "DELETE FROM publications",
        "UPDATE tenants SET generation = 1",
        "UPDATE tenants SET connection_revision = -1",
    ] {
        assert!(place.plain(sql).await.is_err(), "{sql}");
    }
    let gone = generation(&registry, id).await;
    place.plain(&format!("DELETE FROM tenants WHERE id = '{id}'")).await.unwrap();
    let again = registry.create_tenant(&NewTenant { id, ..draft("a") }, &by).await.unwrap();
    assert!(again.generation > gone, "a generation is not used again");
    assert_eq!(registry.list_mappings(id, None, 9).await.unwrap(), []);
}

pub async fn one_writer_wins_each_generation(place: &impl Place) {
    let registry = migrated(place).await;
    let start = new_tenant(&registry, "a").await;
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..200_u32 {
        // Four rounds of fifty, each round expecting what the round before must have led to.
        let expected = Generation(start.generation.0 + u64::from(n / 50));
        let (registry, id) = (registry.clone(), start.id);
        writers.spawn(async move {
            loop {
                match registry.invalidate(id, Some(expected), &origin()).await {
                    Ok(now) => return (expected, Some(now)),
                    Err(RegistryFault::Stale { current }) if current > expected => {
                        return (expected, None);
                    }
                    // Its round has not come, or the queue of writers is long.
                    Err(RegistryFault::Stale { .. } | RegistryFault::Unavailable(_)) => {
                        tokio::task::yield_now().await;
                    }
                    Err(fault) => panic!("{fault:?}"),
                }
            }
        });
    }
    let mut won = Vec::new();
    while let Some(done) = writers.join_next().await {
        if let (expected, Some(now)) = done.unwrap() {
            assert_eq!(now.0, expected.0 + 1);
            won.push(now.0);
        }
    }
    won.sort_unstable();
    let first = start.generation.0 + 1;
    assert_eq!(won, (first..first + 4).collect::<Vec<_>>(), "one winner each, and no more");
    assert_eq!(generation(&registry, start.id).await.0, first + 3);
}

pub async fn plain_sql_bumps_and_is_seen(place: &impl Place) {
    let registry = migrated(place).await;
    let tenant = new_tenant(&registry, "a").await;
    let id = tenant.id;
    let new = connection(1, Engine::Postgres, "x");
    registry.put_connection(id, None, &new, &origin()).await.unwrap();
    registry.add_mapping(id, None, &MAPPING, &origin()).await.unwrap();
    let stop = CancellationToken::new();
    let mut changes = registry.watch(stop.clone());
    let mut last = generation(&registry, id).await;
    await_change(&mut changes, id, last).await;
    for sql in [
        "UPDATE tenants SET state = 'suspended'".to_owned(),
        "UPDATE bindings SET azp = '[\"other\"]'".to_owned(),
        format!("INSERT INTO bindings VALUES ('https://i.example', 'v', '{id}', '[\"x\"]')"),
        "UPDATE connections SET tls = 'none'".to_owned(),
        format!("INSERT INTO limits VALUES ('{id}', '{{\"page_size\":5}}')"),
        "UPDATE limits SET document = '{}'".to_owned(),
        "DELETE FROM limits".to_owned(),
        format!("INSERT INTO publications VALUES ('{id}', 1, 1, NULL, 'x', 0)"),
        "DELETE FROM connections".to_owned(),
    ] {
        place.plain(&sql).await.unwrap();
        let now = generation(&registry, id).await;
        assert!(now > last, "{sql}");
        await_change(&mut changes, id, now).await;
        last = now;
    }
    stop.cancel();
    let ended = async { while changes.recv().await.is_some() {} };
    tokio::time::timeout(PATIENCE, ended).await.expect("the watch ends");
}

pub async fn deletes_are_seen(place: &impl Place) {
    let registry = migrated(place).await;
    let tenant = new_tenant(&registry, "a").await;
    let mut changes = registry.watch(CancellationToken::new());
    await_change(&mut changes, tenant.id, tenant.generation).await;
    place.plain("DELETE FROM bindings").await.unwrap();
    let after = Generation(tenant.generation.0 + 1);
    await_change(&mut changes, tenant.id, after).await;
    assert_eq!(registry.find_binding("https://idp.example", "a").await.unwrap(), None);
    place.plain("DELETE FROM tenants").await.unwrap();
    await_change(&mut changes, tenant.id, Generation(after.0 + 1)).await;
    assert_eq!(registry.tenant(tenant.id).await.unwrap(), None);
}

pub async fn two_registries_see_each_other(place: &impl Place) {
    let (one, two) = (migrated(place).await, place.registry());
    let mut at_one = one.watch(CancellationToken::new());
    let mut at_two = two.watch(CancellationToken::new());
    let a = new_tenant(&one, "a").await;
    let b = new_tenant(&two, "b").await;
    for (id, generation) in [(a.id, a.generation), (b.id, b.generation)] {
        // Either order: each receiver may get them in one reading or two.
        let (first, second) = (one.tenant(id).await.unwrap(), two.tenant(id).await.unwrap());
        assert_eq!(first.unwrap().generation, generation);
        assert_eq!(second.unwrap().generation, generation);
    }
    let now_a = two.invalidate(a.id, Some(a.generation), &origin()).await.unwrap();
    await_change(&mut at_one, a.id, now_a).await;
    let now_b = one.invalidate(b.id, Some(b.generation), &origin()).await.unwrap();
    await_change(&mut at_two, b.id, now_b).await;
}

pub async fn migrations_are_checked(place: &impl Place) {
    let registry = place.registry();
    let fresh = registry.migration_status().await.unwrap();
    assert!(fresh.applied.is_empty() && !fresh.is_current());
    let pending = registry.require_current().await.unwrap_err();
    assert!(pending.to_string().contains("wardgate registry migrate"), "{pending}");
    let done = registry.migrate().await.unwrap();
    assert_eq!(done.applied, fresh.pending);
    registry.require_current().await.unwrap();

    let ledger = "wardgate_registry_migrations";
    let newer = format!(
        "INSERT INTO {ledger} SELECT 9999, 'later', checksum, 0 FROM {ledger} WHERE version = 1"
    );
    place.plain(&newer).await.unwrap();
    assert_eq!(registry.migration_status().await.unwrap().unknown, ["later"]);
    assert!(matches!(registry.require_current().await, Err(RegistryFault::Schema(_))));
    assert!(matches!(registry.migrate().await, Err(RegistryFault::Schema(_))));
    place.plain(&format!("DELETE FROM {ledger} WHERE version = 9999")).await.unwrap();
    registry.require_current().await.unwrap();

    let other = format!(
        "UPDATE {ledger} SET checksum = (SELECT checksum FROM {ledger} WHERE version = 1) WHERE version = 2"
    );
    place.plain(&other).await.unwrap();
    assert_eq!(registry.migration_status().await.unwrap().altered, ["0002_operators"]);
    assert!(matches!(registry.require_current().await, Err(RegistryFault::Schema(_))));
    assert!(matches!(registry.migrate().await, Err(RegistryFault::Schema(_))));
}

pub async fn migrating_at_once_is_harmless(place: &impl Place) {
    let mut runs = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let registry = place.registry();
        runs.spawn(async move { registry.migrate().await });
    }
    while let Some(run) = runs.join_next().await {
        assert!(run.unwrap().unwrap().is_current());
    }
    place.registry().require_current().await.unwrap();
}

pub async fn a_stale_order_changes_nothing(place: &impl Place) {
    let registry = migrated(place).await;
    let (by, tenant) = (origin(), new_tenant(&registry, "a").await);
    let old = Some(Generation(tenant.generation.0 - 1));
    let stale = RegistryFault::Stale { current: tenant.generation };
    let patch = TenantPatch { display_name: Some("X".to_owned()), name: None };
    assert_eq!(registry.update_tenant(tenant.id, old, &patch, &by).await, Err(stale.clone()));
    let put = connection(1, Engine::Postgres, "x");
    assert_eq!(registry.put_connection(tenant.id, old, &put, &by).await, Err(stale.clone()));
    assert_eq!(registry.add_mapping(tenant.id, old, &MAPPING, &by).await, Err(stale.clone()));
    assert_eq!(registry.add_binding(tenant.id, old, &binding("z"), &by).await, Err(stale));
    assert_eq!(registry.tenant(tenant.id).await.unwrap().unwrap(), tenant);
    assert_eq!(registry.list_events(&EventFilter::default(), 9).await.unwrap().len(), 1);
    for work in boxed(&registry, "nobody", (&put, &by)) {
        work.await;
    }
    let unknown = registry.invalidate(TenantId::random(), None, &by).await;
    assert_eq!(unknown, Err(RegistryFault::NotFound("tenant")));
}
