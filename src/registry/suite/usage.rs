//! What tenants used, added up by several gateways.

use super::prelude::*;
use super::{Place, migrated, new_tenant};

fn usage(n: u64) -> Usage {
    Usage { requests: n, rows: 10 * n, bytes: 100 * n, database_micros: 1000 * n }
}

pub async fn usage_is_added_up_once(place: &impl Place) {
    let registry = migrated(place).await;
    let (a, b) = (new_tenant(&registry, "a").await.id, new_tenant(&registry, "b").await.id);
    let (november, december) = ("2026-11".parse().unwrap(), "2026-12".parse().unwrap());
    let add = async |run: &str, number: u64, month: &Month, used: &[(TenantId, Usage)]| {
        let addition = Addition { run, number, month, used };
        registry.add_usage(&addition).await.unwrap();
    };
    // Another process with its own connections, as a second gateway has.
    let second = place.registry();
    for number in 1..=3 {
        add("one", number, &november, &[(a, usage(1)), (b, usage(5))]).await;
        let addition = Addition { run: "two", number, month: &november, used: &[(a, usage(100))] };
        second.add_usage(&addition).await.unwrap();
    }
    // The answer to the last one was lost: it is tried again, also when nothing came of it.
    add("one", 3, &november, &[(a, usage(1)), (b, usage(5))]).await;
    add("one", 4, &december, &[(a, usage(7)), (TenantId::random(), usage(9))]).await;
    add("one", 2, &december, &[(a, usage(1))]).await;

    let months = async |tenant| {
        let found = second.usage_of(tenant, 24).await.unwrap();
        found.into_iter().map(|u| (u.month.to_string(), u.usage)).collect::<Vec<_>>()
    };
    let text = str::to_owned;
    assert_eq!(months(a).await, [(text("2026-12"), usage(7)), (text("2026-11"), usage(303))]);
    assert_eq!(months(b).await, [(text("2026-11"), usage(15))]);
    assert_eq!(registry.usage_of(a, 1).await.unwrap().len(), 1);

    let all = registry.usage_in(&november, None, 10).await.unwrap();
    let names: Vec<_> = all.iter().map(|u| (u.name.as_str(), u.usage.requests)).collect();
    assert_eq!(names, [("a", 303), ("b", 15)]);
    let rest = registry.usage_in(&november, Some("a"), 10).await.unwrap();
    assert_eq!(rest.len(), 1, "after a");

    let before = registry.tenant(a).await.unwrap().unwrap().generation;
    add("one", 5, &december, &[(a, usage(1))]).await;
    let after = registry.tenant(a).await.unwrap().unwrap().generation;
    assert_eq!(before, after, "it is no part of the configuration");
}

pub async fn gateways_add_up_at_the_same_time(place: &impl Place) {
    let registry = migrated(place).await;
    let mut tenants = Vec::new();
    for name in ["a", "b", "c"] {
        tenants.push(new_tenant(&registry, name).await.id);
    }
    let month: Month = "2026-11".parse().unwrap();
    let mut used: Vec<_> = tenants.iter().map(|id| (*id, usage(1))).collect();
    used.sort_by_key(|(id, _)| *id);
    let gateways = (0..4).map(|run| {
        let (registry, month, used) = (place.registry(), &month, &used);
        async move {
            let run = format!("run {run}");
            for number in 1..=10 {
                let addition = Addition { run: &run, number, month, used };
                while let Err(fault) = registry.add_usage(&addition).await {
                    assert!(matches!(fault, RegistryFault::Unavailable(_)), "{fault}");
                }
            }
        }
    });
    futures_util::future::join_all(gateways).await;
    for tenant in tenants {
        assert_eq!(registry.usage_of(tenant, 1).await.unwrap()[0].usage, usage(40));
    }
}
