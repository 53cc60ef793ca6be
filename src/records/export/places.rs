use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::TenantId;

/// How many files of each tenant are being fetched on this gateway; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Exports(Arc<Mutex<HashMap<TenantId, u32>>>);

/// One file being fetched.
#[derive(Debug)]
pub(super) struct Place(Exports, TenantId);

impl Exports {
    fn held(&self) -> MutexGuard<'_, HashMap<TenantId, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, unless the tenant has so many already.
    pub(super) fn place(&self, tenant: TenantId, most: u32) -> Option<Place> {
        let mut all = self.held();
        let fetching = all.entry(tenant).or_default();
        if *fetching >= most {
            return None;
        }
        *fetching += 1;
        Some(Place(self.clone(), tenant))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.0.held();
        if let Some(fetching) = all.get_mut(&self.1) {
            *fetching -= 1;
            if *fetching == 0 {
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
}
