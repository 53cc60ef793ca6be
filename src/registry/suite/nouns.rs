//! What each noun's calls do.

use std::time::Duration;

use super::*;

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
    let at = registry.tenant(tenant.id).await.unwrap().unwrap().updated_at;
    registry.refuse_older_tokens(tenant.id, None, &by).await.unwrap();
    // A clock that was put back makes no token good again.
    place.clock().set(Timestamp::from_secs(99));
    registry.refuse_older_tokens(tenant.id, None, &by).await.unwrap();
    place.clock().set(at);
    registry.update_tenant(tenant.id, None, &patch, &by).await.unwrap();
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
    let alone = TenantBinding { claim_value: String::new(), ..binding("") };
    conflict(registry.add_binding(b.id, None, &alone, &by).await.unwrap_err());
    let realm =
        |value: &str| TenantBinding { issuer: "https://own.example".to_owned(), ..binding(value) };
    registry.add_binding(b.id, None, &realm(""), &by).await.unwrap();
    conflict(registry.add_binding(a.id, None, &realm(""), &by).await.unwrap_err());
    conflict(registry.add_binding(b.id, None, &realm("b"), &by).await.unwrap_err());
    let found = registry.find_binding("https://own.example", "").await.unwrap();
    assert_eq!(found.map(|found| found.tenant), Some(b.id));
    for other in ["*", "b"] {
        assert_eq!(registry.find_binding("https://own.example", other).await.unwrap(), None);
    }
    assert!(registry.bindings(b.id).await.unwrap().contains(&realm("")));
    registry.remove_binding(b.id, None, "https://own.example", "", &by).await.unwrap();
    assert_eq!(registry.find_binding("https://own.example", "").await.unwrap(), None);
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
        let list = registry.list_tenants(&filter, after, limit).await.unwrap();
        list.into_iter().map(|listed| listed.name).collect::<Vec<_>>().join(" ")
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
    let summary = list[0].summary.as_ref().unwrap();
    assert_eq!((summary.engine, summary.active_mapping), (Some(Engine::MySql), None));
}

pub async fn bindings_lead_to_their_tenant(place: &impl Place) {
    let registry = migrated(place).await;
    let by = origin();
    let tenant = new_tenant(&registry, "a").await;
    let found = registry.find_binding("https://idp.example", "a").await.unwrap().unwrap();
    assert_eq!((found.tenant, found.generation), (tenant.id, tenant.generation));
    assert_eq!((found.azp, found.state), (vec!["app".to_owned()], TenantState::Draft));
    assert_eq!(found.mark, "mark");
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
        to: Sealed::from_stored("sealed:v1:anew".to_owned()),
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
    let scan = async |after: Option<&str>| registry.sealed_connections(after, 2).await.unwrap();
    let owners = |page: &SealedPage| page.connections.iter().map(|c| c.tenant).collect::<Vec<_>>();
    let page = scan(None).await;
    assert_eq!(owners(&page), ids[..2]);
    assert_eq!(owners(&scan(page.next.as_deref()).await), ids[2..]);
    let sql = "UPDATE connections SET server_identity = '[]' WHERE tenant = ";
    place.plain(&format!("{sql}'{}'", ids[0])).await.unwrap();
    let page = scan(None).await;
    assert_eq!((owners(&page), page.damaged), (ids[1..2].to_vec(), 1));
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
    let zero = StoredLimits { export_jobs: Some(0), ..StoredLimits::default() };
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
    let newer = registry.events_since(put.id, 50).await.unwrap();
    assert_eq!(newer.iter().rev().collect::<Vec<_>>(), events[..2].iter().collect::<Vec<_>>());
    assert_eq!(registry.events_since(put.id, 1).await.unwrap(), newer[..1]);
}

pub async fn requests_are_reserved_once(place: &impl Place) {
    let registry = migrated(place).await;
    let key = IdempotencyKey { actor: "op", key: "k1", route: "POST /t", request_hash: b"h1" };
    let keep = Duration::from_mins(1);
    assert_eq!(registry.reserve_request(&key, keep).await.unwrap(), Reservation::New);
    assert_eq!(registry.reserve_request(&key, keep).await.unwrap(), Reservation::UnderWay);
    registry.abandon_request(&key).await.unwrap();
    assert_eq!(registry.reserve_request(&key, keep).await.unwrap(), Reservation::New);
    registry.complete_request(&key, "{\"id\":1}", keep).await.unwrap();
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

/// It goes to the server by its id when it is tried again, and when it is undone.
pub async fn a_server_that_an_operation_goes_to_stays(place: &impl Place) {
    let registry = migrated(place).await;
    let (by, now) = (origin(), SystemClock.now());
    let server = Server {
        id: Uuid::now_v7(),
        name: TenantName::for_new("east").unwrap(),
        engine: Engine::Sqlite,
        revision: ConnectionRevision(1),
        sealed: None,
        sealed_at: now,
        identity: None,
        tls: "none".to_owned(),
        created_at: now,
    };
    registry.add_server(&server, &by).await.unwrap();
    let (tenant, subject) = (None, "north".to_owned());
    let input = serde_json::json!({"server": server.id, "name": "north"});
    let new = NewOperation { kind: "provision", parent: None, tenant, subject, input };
    let made = registry.create_operation(&new, &by).await.unwrap();
    let refused = registry.remove_server(server.id, &by).await.unwrap_err();
    assert!(matches!(refused, RegistryFault::Conflict(_)), "{refused:?}");
    for (state, removed) in [("failed", false), ("cancelled", true)] {
        let sql = format!("UPDATE operations SET state = '{state}' WHERE id = '{}'", made.id);
        place.plain(&sql).await.unwrap();
        let outcome = registry.remove_server(server.id, &by).await;
        assert_eq!(outcome.is_ok(), removed, "{state}: {outcome:?}");
    }
}
