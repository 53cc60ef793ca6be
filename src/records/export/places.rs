use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Tag;
use crate::base::{TenantId, Timestamp};

/// Cancelled orders of one tenant that are remembered; beyond them the one that ends soonest is forgotten.
const CANCELLED: usize = 1000;

/// Which files of each tenant are being fetched on this gateway, and which orders were cancelled on it;
/// cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Exports(Arc<Mutex<HashMap<TenantId, Held>>>);

#[derive(Debug, Default)]
struct Held {
    /// Files being fetched.
    fetching: u32,
    /// Orders that count no more, and until when they would have.
    cancelled: HashMap<Tag, Timestamp>,
}

/// One file being fetched.
#[derive(Debug)]
pub(super) struct Place(Exports, TenantId);

impl Exports {
    fn held(&self) -> MutexGuard<'_, HashMap<TenantId, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, unless the tenant has so many already.
    pub(super) fn place(&self, tenant: TenantId, most: u32) -> Option<Place> {
        let mut all = self.held();
        let held = all.entry(tenant).or_default();
        if held.fetching >= most {
            return None;
        }
        held.fetching += 1;
        Some(Place(self.clone(), tenant))
    }

    /// From now on the order is as if it had never been given.
    pub(super) fn cancel(&self, tenant: TenantId, order: Tag, until: Timestamp, now: Timestamp) {
        let mut all = self.held();
        let cancelled = &mut all.entry(tenant).or_default().cancelled;
        cancelled.retain(|_, until| *until > now);
        if cancelled.len() >= CANCELLED
            && let Some(first) = cancelled.iter().min_by_key(|(_, until)| **until)
        {
            let first = *first.0;
            cancelled.remove(&first);
        }
        cancelled.insert(order, until);
    }

    /// Whether the order was cancelled here.
    pub(super) fn is_cancelled(&self, tenant: TenantId, order: &Tag) -> bool {
        self.held().get(&tenant).is_some_and(|held| held.cancelled.contains_key(order))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.0.held();
        if let Some(held) = all.get_mut(&self.1) {
            held.fetching -= 1;
            if held.fetching == 0 && held.cancelled.is_empty() {
                all.remove(&self.1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_tenant_and_come_back() {
        let (exports, a, b) = (Exports::default(), TenantId::random(), TenantId::random());
        let first = exports.place(a, 2).unwrap();
        let second = exports.place(a, 2).unwrap();
        assert!(exports.place(a, 2).is_none());
        assert!(exports.place(b, 2).is_some(), "another's");
        let third = exports.place(a, 3).expect("the limit was raised");
        drop((first, third));
        assert!(exports.place(a, 1).is_none(), "the limit was lowered");
        drop(second);
        assert!(exports.place(a, 1).is_some());
    }

    #[test]
    fn what_was_cancelled_is_forgotten_when_it_would_have_ended() {
        let (exports, tenant) = (Exports::default(), TenantId::random());
        let order = |number: u16| {
            let mut tag = [0; 32];
            tag[..2].copy_from_slice(&number.to_be_bytes());
            tag
        };
        let at = |number: u16| Timestamp::from_secs(i64::from(number));
        for number in 1..=1001 {
            exports.cancel(tenant, order(number), at(2000 + number), at(0));
        }
        assert!(!exports.is_cancelled(tenant, &order(1)), "the first to end gave way");
        assert!(exports.is_cancelled(tenant, &order(2)));
        assert!(!exports.is_cancelled(TenantId::random(), &order(2)), "of another tenant");
        exports.cancel(tenant, order(0), at(9000), at(3000));
        assert!(!exports.is_cancelled(tenant, &order(1000)));
        assert!(
            exports.is_cancelled(tenant, &order(1001)) && exports.is_cancelled(tenant, &order(0))
        );
    }
}
