//! What holds for a registry on either engine. The unit tests run it on SQLite, the tests with servers on
//! PostgreSQL; each gives a [`Place`] with an empty database.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use prelude::*;

/// The crate's words, under one name in the unit tests and in the tests with servers.
pub mod prelude {
    pub use super::super::crate_words::*;
}

/// An empty database and ways to it.
pub trait Place {
    /// A new registry over the same database.
    fn registry(&self) -> Registry;
    /// The clock of its registries.
    fn clock(&self) -> Arc<ManualClock>;
    /// Runs plain SQL on a connection of its own, as some other program would.
    fn plain(&self, sql: &str) -> impl Future<Output = Result<u64, String>>;
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
        sealed: SealedText::from_stored(format!("sealed:v1:{text}")),
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

/// Waits for a change of `tenant` to at least `at_least`; 5 s is what the gateway promises.
async fn await_change(changes: &mut Receiver<Change>, tenant: TenantId, at_least: Generation) {
    let seen = async {
        loop {
            let change = changes.recv().await.expect("the watch goes on");
            if change.tenant == tenant && change.generation >= at_least {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), seen).await.expect("a change within 5 s");
}

pub async fn a_tenant_lives_its_life(place: &impl Place) {
    let registry = migrated(place).await;
    let by = origin();
    let tenant = new_tenant(&registry, "st-mary").await;
    assert_eq!(tenant.state, TenantState::Draft);
    assert_eq!(registry.tenant(tenant.id).await.unwrap().as_ref(), Some(&tenant));
    assert_eq!(registry.tenant_by_name(&tenant.name).await.unwrap(), Some(tenant.clone()));
    assert_eq!(registry.tenant(TenantId::random()).await.unwrap(), None);

    let mut last = tenant.generation;
    for (state, reason) in [
        (TenantState::Active, None),
        (TenantState::Suspended, Some("unpaid")),
        (TenantState::Active, None),
        (TenantState::Offboarding, None),
        (TenantState::Offboarded, None),
    ] {
        let next = registry.set_state(tenant.id, Some(last), state, reason, &by).await.unwrap();
        assert!(next > last);
        last = next;
        let now = registry.tenant(tenant.id).await.unwrap().unwrap();
        assert_eq!((now.state, now.state_reason.as_deref(), now.generation), (state, reason, next));
    }
    let back = registry.set_state(tenant.id, None, TenantState::Active, None, &by).await;
    assert!(matches!(back, Err(RegistryFault::Conflict(_))), "{back:?}");

    let patch = TenantPatch {
        name: Some("st-maria".parse().unwrap()),
        display_name: Some("St Maria ü".to_owned()),
    };
    place.clock().advance(Duration::from_secs(5));
    registry.update_tenant(tenant.id, None, &patch, &by).await.unwrap();
    let at = Timestamp::from_secs(99);
    registry.set_not_before(tenant.id, None, Some(at), &by).await.unwrap();
    let now = registry.tenant_by_name(&"st-maria".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((now.id, now.display_name.as_str()), (tenant.id, "St Maria ü"));
    assert_eq!(now.not_before, Some(at));
    assert_eq!(now.updated_at.since(now.created_at), Duration::from_secs(5));
}

pub async fn names_and_bindings_are_unique(place: &impl Place) {
    let registry = migrated(place).await;
    let (a, b) = (new_tenant(&registry, "a").await, new_tenant(&registry, "b").await);
    let conflict = |fault: RegistryFault| {
        assert!(matches!(fault, RegistryFault::Conflict(_)), "{fault:?}");
    };
    let by = origin();
    conflict(registry.create_tenant(&draft("a"), &by).await.unwrap_err());
    conflict(
        registry
            .create_tenant(&NewTenant { id: a.id, bindings: vec![], ..draft("c") }, &by)
            .await
            .unwrap_err(),
    );
    let stolen = NewTenant { bindings: vec![binding("a")], ..draft("c") };
    conflict(registry.create_tenant(&stolen, &by).await.unwrap_err());
    assert_eq!(registry.tenant(stolen.id).await.unwrap(), None, "all or nothing");
    conflict(registry.add_binding(b.id, None, &binding("a"), &by).await.unwrap_err());
    let patch = TenantPatch { name: Some(a.name.clone()), display_name: None };
    conflict(registry.update_tenant(b.id, None, &patch, &by).await.unwrap_err());
    registry.update_tenant(a.id, None, &patch, &by).await.expect("its own name is no collision");
}

pub async fn lists_page_and_filter(place: &impl Place) {
    let registry = migrated(place).await;
    for name in ["north-1", "north-2", "south-1", "west"] {
        new_tenant(&registry, name).await;
    }
    let by = origin();
    let west = registry.tenant_by_name(&"west".parse().unwrap()).await.unwrap().unwrap();
    let new = connection(1, Engine::MySql, "x");
    registry.put_connection(west.id, None, &new, &by).await.unwrap();
    registry.set_state(west.id, None, TenantState::Active, None, &by).await.unwrap();

    let names = async |filter: TenantFilter, after: Option<&str>, limit| {
        let after = after.map(|name| name.parse().unwrap());
        let list = registry.list_tenants(&filter, after.as_ref(), limit).await.unwrap();
        list.iter().map(|s| s.tenant.name.to_string()).collect::<Vec<_>>().join(" ")
    };
    let all = TenantFilter::default;
    assert_eq!(names(all(), None, 2).await, "north-1 north-2");
    assert_eq!(names(all(), Some("north-2"), 9).await, "south-1 west");
    let prefix = |p: &str| TenantFilter { name_prefix: Some(p.to_owned()), ..all() };
    assert_eq!(names(prefix("north-"), None, 9).await, "north-1 north-2");
    assert_eq!(names(prefix("%"), None, 9).await, "");
    let active = TenantFilter { state: Some(TenantState::Active), ..all() };
    assert_eq!(names(active, None, 9).await, "west");
    let mysql = TenantFilter { engine: Some(Engine::MySql), ..all() };
    assert_eq!(names(mysql, None, 9).await, "west");
    let list = registry.list_tenants(&prefix("west"), None, 9).await.unwrap();
    assert_eq!((list[0].engine, list[0].active_mapping), (Some(Engine::MySql), None));
}

pub async fn bindings_lead_to_their_tenant(place: &impl Place) {
    let registry = migrated(place).await;
    let by = origin();
    let tenant = new_tenant(&registry, "a").await;
    let found = registry.find_binding("https://idp.example", "a").await.unwrap().unwrap();
    assert_eq!((found.tenant, found.generation), (tenant.id, tenant.generation));
    assert_eq!((found.azp, found.state), (vec!["app".to_owned()], TenantState::Draft));
    for (issuer, value) in [
        ("https://idp.example", "A"),
        ("https://idp.example/", "a"),
        ("https://other.example", "a"),
        ("https://idp.example", ""),
        ("https://idp.example", "a' OR '1'='1"),
    ] {
        assert_eq!(registry.find_binding(issuer, value).await.unwrap(), None, "{issuer} {value}");
    }
    let wider = TenantBinding { azp: vec!["b".to_owned(), "a".to_owned()], ..binding("a") };
    registry.set_binding_clients(tenant.id, None, &wider, &by).await.unwrap();
    let found = registry.find_binding("https://idp.example", "a").await.unwrap().unwrap();
    assert_eq!(found.azp, ["a", "b"]);
    let nobody = TenantBinding { azp: vec![], ..binding("n") };
    let refused = registry.add_binding(tenant.id, None, &nobody, &by).await;
    assert!(matches!(refused, Err(RegistryFault::Invalid(_))));
    let other = new_tenant(&registry, "b").await;
    let foreign = registry.remove_binding(other.id, None, &wider.issuer, "a", &by).await;
    assert!(matches!(foreign, Err(RegistryFault::NotFound(_))));
    registry.remove_binding(tenant.id, None, &wider.issuer, "a", &by).await.unwrap();
    assert_eq!(registry.find_binding("https://idp.example", "a").await.unwrap(), None);
}

pub async fn connections_follow_their_revisions(place: &impl Place) {
    let registry = migrated(place).await;
    let by = origin();
    let tenant = new_tenant(&registry, "a").await;
    let first = connection(1, Engine::Postgres, "one");
    let bumped = registry.put_connection(tenant.id, None, &first, &by).await.unwrap();
    assert!(bumped > tenant.generation);
    let again = registry.put_connection(tenant.id, None, &first, &by).await;
    assert_eq!(again, Err(RegistryFault::Stale { current: bumped }));
    let skipped = connection(3, Engine::Postgres, "three");
    assert!(registry.put_connection(tenant.id, None, &skipped, &by).await.is_err());

    let stored = registry.connection(tenant.id).await.unwrap().unwrap();
    assert_eq!((stored.record_id, stored.revision), (first.record_id, first.revision));
    assert_eq!((&stored.sealed, stored.data_key), (&first.sealed, first.data_key));
    assert_eq!((&stored.identity, stored.tls.as_str()), (&first.identity, "verify-full"));

    let reseal = Reseal {
        tenant: tenant.id,
        from: first.sealed.clone(),
        to: SealedText::from_stored("sealed:v1:anew".to_owned()),
        data_key: DataKeyId(Uuid::new_v4()),
    };
    let resealed = registry.reseal_connection(&reseal, &by).await.unwrap().unwrap();
    assert!(resealed > bumped);
    assert_eq!(registry.reseal_connection(&reseal, &by).await.unwrap(), None, "compare-and-set");
    let stored = registry.connection(tenant.id).await.unwrap().unwrap();
    assert_eq!((stored.revision.0, stored.sealed.as_str()), (1, "sealed:v1:anew"));
    assert_eq!(registry.data_keys_in_use().await.unwrap(), [(reseal.data_key, 1)]);

    registry.remove_connection(tenant.id, None, &by).await.unwrap();
    assert_eq!(registry.connection(tenant.id).await.unwrap(), None);
    assert!(registry.put_connection(tenant.id, None, &first, &by).await.is_err(), "used once");
    let sql = format!(
        "INSERT INTO connections VALUES ('{}', '{}', 1, 'postgres', 'sealed:v1:old', '{}', 0, NULL, '')",
        tenant.id, first.record_id, first.data_key
    );
    assert!(place.plain(&sql).await.is_err(), "nor pasted back with plain SQL");
    let second = connection(2, Engine::Sqlite, "two");
    registry.put_connection(tenant.id, None, &second, &by).await.unwrap();

    let mut ids = vec![tenant.id];
    for name in ["b", "c"] {
        let id = new_tenant(&registry, name).await.id;
        registry.put_connection(id, None, &connection(1, Engine::MySql, name), &by).await.unwrap();
        ids.push(id);
    }
    ids.sort();
    let page = registry.sealed_connections(None, 2).await.unwrap();
    assert_eq!(page.iter().map(|c| c.tenant).collect::<Vec<_>>(), ids[..2]);
    let page = registry.sealed_connections(Some(ids[1]), 2).await.unwrap();
    assert_eq!(page.iter().map(|c| c.tenant).collect::<Vec<_>>(), ids[2..]);
}

pub async fn mappings_publish_and_roll_back(place: &impl Place) {
    let registry = migrated(place).await;
    let (by, id) = (origin(), new_tenant(&registry, "a").await.id);
    let before = generation(&registry, id).await;
    for version in 1..=3 {
        let document = format!("{{\"v\":{version}}}");
        let new = NewMapping { document: &document, ..MAPPING };
        assert_eq!(registry.add_mapping(id, None, &new, &by).await.unwrap(), version);
    }
    assert_eq!(generation(&registry, id).await, before, "a draft is not in force");
    assert_eq!(registry.tenant_config(id).await.unwrap().unwrap().mapping, None);

    for version in [1, 3, 2] {
        registry.publish_mapping(id, None, version, &by).await.unwrap();
    }
    let config = registry.tenant_config(id).await.unwrap().unwrap();
    let active = config.mapping.unwrap();
    assert_eq!((active.version, active.document.as_str()), (2, "{\"v\":2}"));
    assert_eq!(config.tenant.generation, generation(&registry, id).await);
    let same = registry.publish_mapping(id, None, 2, &by).await;
    assert!(matches!(same, Err(RegistryFault::Conflict(_))));
    let absent = registry.publish_mapping(id, None, 9, &by).await;
    assert!(matches!(absent, Err(RegistryFault::NotFound(_))));

    assert_eq!(registry.rollback_mapping(id, None, &by).await.unwrap().1, 3);
    assert_eq!(registry.rollback_mapping(id, None, &by).await.unwrap().1, 1);
    let end = registry.rollback_mapping(id, None, &by).await;
    assert!(matches!(end, Err(RegistryFault::Conflict(_))));
    registry.publish_mapping(id, None, 2, &by).await.unwrap();
    assert_eq!(registry.rollback_mapping(id, None, &by).await.unwrap().1, 1);

    let history = registry.mapping_history(id, 50).await.unwrap();
    let versions: Vec<_> = history.iter().map(|p| p.version).collect();
    assert_eq!(versions, [1, 2, 1, 3, 2, 3, 1], "newest first, nothing lost");
    let list = registry.list_mappings(id, None, 50).await.unwrap();
    let shown: Vec<_> = list.iter().map(|m| (m.version, m.active)).collect();
    assert_eq!(shown, [(3, false), (2, false), (1, true)]);
    assert_eq!(registry.list_mappings(id, Some(3), 1).await.unwrap()[0].version, 2);
    let whole = registry.mapping(id, 1).await.unwrap().unwrap();
    assert_eq!((whole.source.as_str(), whole.summary.created_by.as_str()), ("a: 1", "op-1"));
    assert_eq!(registry.mapping(id, 4).await.unwrap(), None);
}

pub async fn limits_are_kept(place: &impl Place) {
    let registry = migrated(place).await;
    let (by, id) = (origin(), new_tenant(&registry, "a").await.id);
    let limits = async || registry.tenant_config(id).await.unwrap().unwrap().limits;
    assert_eq!(limits().await, StoredLimits::default());
    for page_size in [Some(10), Some(20), None] {
        let new = StoredLimits { page_size, ..StoredLimits::default() };
        let before = generation(&registry, id).await;
        assert!(registry.set_limits(id, None, &new, &by).await.unwrap() > before);
        assert_eq!(limits().await, new);
    }
    let zero = StoredLimits { body_bytes: Some(0), ..StoredLimits::default() };
    assert!(registry.set_limits(id, None, &zero, &by).await.is_err());
}

pub async fn every_change_writes_its_event(place: &impl Place) {
    let registry = migrated(place).await;
    let (by, id) = (origin(), new_tenant(&registry, "a").await.id);
    let sealed = connection(1, Engine::Postgres, "canary-7f3a");
    let at = registry.put_connection(id, None, &sealed, &by).await.unwrap();
    registry.record_event("keys.rotate", None, &serde_json::json!({"n": 1}), &by).await.unwrap();
    let other = new_tenant(&registry, "b").await.id;

    let events = registry.list_events(&EventFilter::default(), 50).await.unwrap();
    let actions: Vec<_> = events.iter().map(|e| e.action.as_str()).collect();
    assert_eq!(actions, ["tenant.create", "keys.rotate", "connection.put", "tenant.create"]);
    let put = &events[2];
    assert_eq!((put.tenant, put.generation, &put.actor), (Some(id), Some(at), &by.actor));
    assert_eq!(put.request_id, "req-1");
    assert!(!format!("{events:?}").contains("canary-7f3a"));

    let of = EventFilter { tenant: Some(other), ..EventFilter::default() };
    assert_eq!(registry.list_events(&of, 50).await.unwrap().len(), 1);
    let older = EventFilter { before: Some(put.id), ..EventFilter::default() };
    assert_eq!(registry.list_events(&older, 50).await.unwrap(), events[3..]);
    let newer = EventFilter { after: Some(put.id), ..EventFilter::default() };
    assert_eq!(registry.list_events(&newer, 50).await.unwrap(), events[..2]);
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
    tokio::time::timeout(Duration::from_secs(5), ended).await.expect("the watch ends");
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

pub async fn requests_are_reserved_once(place: &impl Place) {
    let registry = migrated(place).await;
    let key = IdempotencyKey { actor: "op", key: "k1", route: "POST /t", request_hash: b"h1" };
    let keep = Duration::from_mins(1);
    assert_eq!(registry.reserve_request(&key, keep).await.unwrap(), Reservation::New);
    assert_eq!(registry.reserve_request(&key, keep).await.unwrap(), Reservation::UnderWay);
    registry.abandon_request(&key).await.unwrap();
    assert_eq!(registry.reserve_request(&key, keep).await.unwrap(), Reservation::New);
    registry.complete_request(&key, "{\"id\":1}").await.unwrap();
    registry.abandon_request(&key).await.unwrap();
    let done = Reservation::Done("{\"id\":1}".to_owned());
    assert_eq!(registry.reserve_request(&key, keep).await.unwrap(), done);
    let other = IdempotencyKey { request_hash: b"h2", ..key };
    assert_eq!(registry.reserve_request(&other, keep).await.unwrap(), Reservation::Mismatch);
    let somebody = IdempotencyKey { actor: "op-2", ..other };
    assert_eq!(registry.reserve_request(&somebody, keep).await.unwrap(), Reservation::New);
    place.clock().advance(keep);
    assert_eq!(registry.reserve_request(&other, keep).await.unwrap(), Reservation::New);
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
    let unknown = registry.invalidate(TenantId::random(), None, &by).await;
    assert_eq!(unknown, Err(RegistryFault::NotFound("tenant")));
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

    let mut ids = vec![old.id, new.id];
    ids.sort();
    assert_eq!(keys.list(None, 1).await.unwrap()[0].id, ids[0]);
    let rest = keys.list(Some(ids[0]), 9).await.unwrap();
    assert_eq!(rest.iter().map(|key| key.id).collect::<Vec<_>>(), ids[1..]);
    assert!(keys.destroy(old.id).await.unwrap());
    assert!(!keys.destroy(old.id).await.unwrap());
    assert_eq!(keys.get(old.id).await.unwrap(), None);
    assert!(keys.destroy(new.id).await.unwrap());
}
