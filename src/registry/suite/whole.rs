//! Orders of several parts: cut off anywhere, they leave nothing or everything.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use super::*;

/// Lets `work` be polled so often, then drops it as a killed process would. `None` when it was cut off.
async fn cut_off<T>(polls: u32, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut left = polls;
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

fn no_writing() -> Flags {
    let mut flags = Flags::default();
    flags.set(Flag::Write, Offer::OFF);
    flags
}

fn limits(page_size: u32) -> StoredLimits {
    StoredLimits { page_size: Some(page_size), ..StoredLimits::default() }
}

pub async fn orders_cut_off_anywhere_leave_nothing_or_everything(place: &impl Place) {
    let registry = migrated(place).await;
    let by = origin();
    let mut cuts = 0;
    let made = loop {
        let new = draft(&format!("t{cuts}"));
        let with = Beginnings {
            limits: Some(limits(7)),
            connection: Some(connection(1, Engine::Postgres, "x")),
            active: true,
        };
        let done = cut_off(cuts, registry.create_tenant_with(&new, &with, &by)).await;
        if let Some(whole) = registry.tenant_config(new.id).await.unwrap() {
            assert_eq!((whole.limits.clone(), whole.bindings.len()), (limits(7), 1), "{cuts}");
            assert!(whole.connection.is_some() && whole.tenant.state == TenantState::Active);
        } else {
            assert!(done.is_none(), "{cuts}: {done:?}");
        }
        match done {
            Some(done) => break done.unwrap(),
            None => cuts += 1,
        }
    };
    assert!(cuts > 5, "it was cut off {cuts} times");

    let before = registry.tenant_config(made.id).await.unwrap().unwrap();
    for cuts in 0.. {
        let amendment = Amendment {
            display_name: Some("Another".to_owned()),
            limits: Some(limits(9)),
            flags: Some(no_writing()),
            bindings: Some(vec![binding("one"), binding("two")]),
        };
        let done = cut_off(cuts, registry.amend_tenant(made.id, None, &amendment, &by)).await;
        let now = registry.tenant_config(made.id).await.unwrap().unwrap();
        if now.tenant.generation == before.tenant.generation {
            assert_eq!(now, before, "{cuts}");
            assert!(done.is_none(), "{cuts}: {done:?}");
        } else {
            assert_eq!((now.limits.clone(), now.bindings.len()), (limits(9), 2), "{cuts}");
            assert_eq!((now.tenant.display_name.as_str(), now.flags), ("Another", no_writing()));
            break;
        }
    }
}

pub async fn one_bad_part_spoils_the_whole(place: &impl Place) {
    let registry = migrated(place).await;
    let by = origin();
    let (a, b) = (new_tenant(&registry, "a").await, new_tenant(&registry, "b").await);
    let sound = Amendment {
        display_name: Some("Another".to_owned()),
        limits: Some(limits(9)),
        flags: Some(no_writing()),
        bindings: Some(vec![binding("one")]),
    };
    let before = registry.tenant_config(b.id).await.unwrap();
    for amendment in [
        Amendment { display_name: Some(String::new()), ..sound.clone() },
        Amendment { limits: Some(limits(0)), ..sound.clone() },
        Amendment { limits: Some(limits(u32::MAX)), ..sound.clone() },
        // Another tenant's.
        Amendment { bindings: Some(vec![binding("one"), binding("a")]), ..sound.clone() },
    ] {
        let refused = registry.amend_tenant(b.id, None, &amendment, &by).await;
        assert!(refused.is_err(), "{amendment:?}");
        assert_eq!(registry.tenant_config(b.id).await.unwrap(), before, "{amendment:?}");
    }
    for with in [
        Beginnings { limits: Some(limits(10_001)), ..Beginnings::default() },
        Beginnings {
            connection: Some(connection(0, Engine::Postgres, "x")),
            ..Beginnings::default()
        },
    ] {
        let new = draft("c");
        assert!(registry.create_tenant_with(&new, &with, &by).await.is_err(), "{with:?}");
        assert_eq!(registry.tenant(new.id).await.unwrap(), None, "{with:?}");
    }
    let generation = registry.amend_tenant(b.id, Some(b.generation), &sound, &by).await.unwrap();
    let stale = registry.amend_tenant(b.id, Some(b.generation), &sound, &by).await;
    assert_eq!(stale, Err(RegistryFault::Stale { current: generation }));
    assert!(
        registry.find_binding("https://idp.example", "a").await.unwrap().unwrap().tenant == a.id
    );
    let events = registry.list_events(&EventFilter::default(), 5).await.unwrap();
    let actions: Vec<_> = events.iter().rev().map(|event| event.action.as_str()).collect();
    let parts = ["tenant.update", "limits.set", "flags.set", "binding.remove", "binding.add"];
    assert_eq!(actions, parts);
}

pub async fn flags_are_kept(place: &impl Place) {
    let registry = migrated(place).await;
    let (by, id) = (origin(), new_tenant(&registry, "a").await.id);
    let read = async || registry.tenant_config(id).await.map(|found| found.unwrap());
    assert_eq!(read().await.unwrap().flags, Flags::default());
    for flags in [no_writing(), Flags::default()] {
        let before = read().await.unwrap().tenant.generation;
        let amendment = Amendment { flags: Some(flags), ..Amendment::default() };
        let after = registry.amend_tenant(id, Some(before), &amendment, &by).await.unwrap();
        let now = read().await.unwrap();
        assert_eq!((now.flags, now.tenant.generation), (flags, after));
        assert!(after > before);
    }
    let before = read().await.unwrap().tenant.generation;
    let sql = |document: &str| format!("UPDATE tenants SET flags = '{document}' WHERE id = '{id}'");
    place.plain(&sql(r#"{"fhir.write":"25%"}"#)).await.unwrap();
    let now = read().await.unwrap();
    assert_eq!(now.flags.get(Flag::Write).percent(), 25);
    assert!(now.tenant.generation > before, "plain SQL bumps the generation, too");
    // A newer program's flag takes no hospital from its users, and is not taken from the newer program.
    for newer in ["\"off\"", r#"{"until":"2030"}"#] {
        place
            .plain(&sql(&format!(r#"{{"fhir.newer":{newer},"fhir.write":"25%"}}"#)))
            .await
            .unwrap();
        let now = read().await.unwrap();
        assert_eq!((now.flags.get(Flag::Write).percent(), now.flags.named(false).len()), (25, 1));
        let listed = registry.list_tenants(&TenantFilter::default(), None, 9).await.unwrap();
        assert!(listed[0].summary.is_ok());
        for flags in [no_writing(), Flags::default()] {
            let amendment = Amendment { flags: Some(flags), ..Amendment::default() };
            registry.amend_tenant(id, None, &amendment, &by).await.unwrap();
            assert_eq!(read().await.unwrap().flags, flags);
            let kept = format!(
                r#"UPDATE tenants SET flags = flags WHERE id = '{id}' AND flags LIKE '%"fhir.newer":{newer}%'"#
            );
            assert_eq!(place.plain(&kept).await, Ok(1), "{newer}");
        }
    }
    for bad in [r#"{"fhir.write":"no"}"#, r#"{"fhir.write":3}"#, "[]"] {
        place.plain(&sql(bad)).await.unwrap();
        assert_eq!(read().await, Err(RegistryFault::Damaged("flags document")), "{bad}");
        let listed = registry.list_tenants(&TenantFilter::default(), None, 9).await.unwrap();
        assert_eq!(listed[0].summary, Err("flags document"));
    }
    assert!(place.plain(&sql("off")).await.is_err());
}

pub async fn limits_out_of_bounds_are_read_within_them(place: &impl Place) {
    let registry = migrated(place).await;
    let id = new_tenant(&registry, "a").await.id;
    let document = format!(
        r#"{{"page_size":0,"page_size_max":{max},"max_connections":{max},"export_jobs":{max}}}"#,
        max = u32::MAX
    );
    place.plain(&format!("INSERT INTO limits VALUES ('{id}', '{document}')")).await.unwrap();
    let read = registry.tenant_config(id).await.unwrap().unwrap().limits;
    let bounded = StoredLimits {
        page_size: Some(1),
        page_size_max: Some(10_000),
        max_connections: Some(1000),
        export_jobs: Some(100),
        ..StoredLimits::default()
    };
    assert_eq!(read, bounded);
}
