use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Barrier;

use super::*;

impl Versioned for u64 {
    fn generation(&self) -> Generation {
        Generation(*self)
    }
}

const FRESH: Duration = Duration::from_mins(5);
const STALE: Duration = Duration::from_hours(24);

fn cache() -> GenerationCache<u64> {
    GenerationCache::new(FRESH, STALE, 100)
}

#[tokio::test]
async fn a_change_in_the_middle_of_a_load_is_never_lost() {
    for _ in 0..1000 {
        let cache = cache();
        let tenant = TenantId::random();
        let stored = Arc::new(AtomicU64::new(1));
        let barrier = Arc::new(Barrier::new(2));
        let first = Arc::new(AtomicU64::new(0));
        let load = {
            let (stored, barrier, first) = (stored.clone(), barrier.clone(), first.clone());
            move || {
                let (stored, barrier, first) = (stored.clone(), barrier.clone(), first.clone());
                async move {
                    let seen = stored.load(Ordering::SeqCst);
                    if first.fetch_add(1, Ordering::SeqCst) == 0 {
                        barrier.wait().await; // the old row has been read …
                        barrier.wait().await; // … and the change is acknowledged
                    }
                    Ok(seen)
                }
            }
        };
        let reader = {
            let (cache, load) = (cache.clone(), load.clone());
            tokio::spawn(async move { cache.get(tenant, load).await })
        };
        barrier.wait().await;
        stored.store(2, Ordering::SeqCst);
        cache.announce(tenant, Generation(2));
        barrier.wait().await;
        assert_eq!(*reader.await.unwrap().unwrap(), 2);
        assert_eq!(*cache.get(tenant, load).await.unwrap(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn many_readers_share_one_load_and_a_leaving_reader_does_not_stop_it() {
    let cache = cache();
    let tenant = TenantId::random();
    let loads = Arc::new(AtomicU64::new(0));
    let load = {
        let loads = loads.clone();
        move || {
            let loads = loads.clone();
            async move {
                loads.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(7)
            }
        }
    };
    let impatient = tokio::time::timeout(Duration::from_millis(10), cache.get(tenant, &load));
    assert!(impatient.await.is_err());
    let readers = (0..50).map(|_| cache.get(tenant, &load));
    for got in futures_util::future::join_all(readers).await {
        assert_eq!(*got.unwrap(), 7);
    }
    assert_eq!(loads.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_bridged_until_the_limit_and_never_past_a_seen_change() {
    let cache = cache();
    let (calm, changed) = (TenantId::random(), TenantId::random());
    let away = || async { Err::<u64, _>(LoadFault::Unavailable) };
    for tenant in [calm, changed] {
        cache.get(tenant, || async { Ok(1) }).await.unwrap();
    }
    tokio::time::advance(FRESH + Duration::from_secs(1)).await;
    assert_eq!(*cache.get(calm, away).await.unwrap(), 1);
    cache.announce(changed, Generation(2));
    assert_eq!(cache.get(changed, away).await, Err(LoadFault::Unavailable));
    tokio::time::advance(STALE).await;
    assert_eq!(cache.get(calm, away).await, Err(LoadFault::Unavailable));
}

#[tokio::test]
async fn a_load_that_broke_off_is_begun_anew() {
    let (cache, tenant) = (cache(), TenantId::random());
    let breaks = || async { panic!("as told") };
    assert_eq!(cache.get(tenant, breaks).await, Err(LoadFault::Unavailable));
    assert_eq!(*cache.get(tenant, || async { Ok(7) }).await.unwrap(), 7);
}

#[tokio::test]
async fn an_unknown_tenant_is_forgotten() {
    let cache = cache();
    let tenant = TenantId::random();
    cache.get(tenant, || async { Ok(1) }).await.unwrap();
    cache.announce(tenant, Generation(2));
    let gone = cache.get(tenant, || async { Err(LoadFault::Unknown) }).await;
    assert_eq!(gone, Err(LoadFault::Unknown));
    assert!(cache.peek(tenant).is_none());
}

#[tokio::test]
async fn a_restored_registry_is_believed_and_nothing_older_is() {
    let cache = cache();
    let tenant = TenantId::random();
    cache.get(tenant, || async { Ok(7) }).await.unwrap();
    cache.announce(tenant, Generation(9));
    // A load that read the registry before it was restored ends after.
    let (begun, go_on) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let loads = Arc::new(AtomicU64::new(0));
    let load = {
        let (begun, go_on, loads) = (begun.clone(), go_on.clone(), loads.clone());
        move || {
            let (begun, go_on, loads) = (begun.clone(), go_on.clone(), loads.clone());
            async move {
                if loads.fetch_add(1, Ordering::SeqCst) == 0 {
                    begun.wait().await;
                    go_on.wait().await;
                    return Ok(9);
                }
                Ok(3)
            }
        }
    };
    let reader = tokio::spawn({
        let (cache, load) = (cache.clone(), load.clone());
        async move { cache.get(tenant, load).await }
    });
    begun.wait().await;
    cache.restart();
    assert!(cache.peek(tenant).is_none());
    go_on.wait().await;
    assert_eq!(*reader.await.unwrap().unwrap(), 3, "what the lost history said is given to nobody");
    assert_eq!(*cache.get(tenant, load).await.unwrap(), 3);
    assert_eq!(cache.standing(tenant), Standing { floor: Generation(3), history: 1 });
}
