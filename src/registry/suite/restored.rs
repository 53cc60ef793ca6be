//! A registry that is put back to an earlier state while gateways watch it.

use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use super::*;

/// Waits for a change to `generation` in a history from `least` on; gives back which.
async fn named(changes: &mut Receiver<Change>, generation: u64, least: u64) -> u64 {
    let seen = async {
        loop {
            let change = changes.recv().await.expect("the watch goes on");
            if change.generation.0 == generation && change.history >= least {
                return change.history;
            }
        }
    };
    let waited = tokio::time::timeout(PATIENCE, seen).await;
    waited.unwrap_or_else(|_| panic!("no generation {generation} of history {least}"))
}

pub async fn a_restored_registry_begins_another_history(place: &impl Place) {
    let registry = migrated(place).await;
    let (by, tenant) = (origin(), new_tenant(&registry, "a").await);
    let mut changes = registry.watch(CancellationToken::new());
    let (id, first) = (tenant.id, tenant.generation.0);
    assert_eq!(named(&mut changes, first, 0).await, 0);
    place.backup().await;
    for n in 1..=3 {
        registry.invalidate(id, None, &by).await.unwrap();
        assert_eq!(named(&mut changes, first + n, 0).await, 0);
    }
    // Put back, and changed as often as before, to something else: the generation alone tells nothing.
    let mut history = 0;
    for _ in 1..=2 {
        place.restore().await;
        for _ in 1..=3 {
            place.plain("UPDATE tenants SET updated_at = updated_at + 1").await.unwrap();
        }
        history = named(&mut changes, first + 3, history + 1).await;
    }
    // Put back and left so.
    place.restore().await;
    history = named(&mut changes, first, history + 1).await;
    let told = async {
        loop {
            let events = registry.list_events(&EventFilter::default(), 99).await.unwrap();
            if events.iter().any(|event| event.action == "registry.restored") {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("the operators are told");
    // Life goes on, in the same history.
    registry.invalidate(id, None, &by).await.unwrap();
    assert_eq!(named(&mut changes, first + 1, history).await, history);
}
