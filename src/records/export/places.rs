use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::TenantId;

/// How many files of each tenant are being fetched; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Exports(Arc<Mutex<HashMap<TenantId, u32>>>);

/// One file being fetched.
#[derive(Debug)]
pub(super) struct Place(Exports, TenantId);

impl Exports {
    /// A place, unless the tenant has `most` already.
    pub(super) fn place(&self, tenant: TenantId, most: u32) -> Option<Place> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(tenant).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Place(self.clone(), tenant))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.1);
            }
        }
    }
}
