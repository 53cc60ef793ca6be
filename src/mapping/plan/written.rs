//! Where `store` keeps what it wrote for a plan.

use std::any::Any;
use std::sync::{Arc, OnceLock};

/// A place beside a part of a plan for what `store` makes of it once, one for each engine it may be
/// written for. It belongs to the plan and goes with it; two plans are equal whatever was written.
#[derive(Default)]
pub struct Written([OnceLock<Arc<dyn Any + Send + Sync>>; 4]);

impl Written {
    /// What was kept at a place, made now if it is not there yet. `None` when there is no such place or
    /// something of another type was kept there; a failure is not kept.
    pub fn get_or_try<T: Any + Send + Sync, E>(
        &self,
        place: usize,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<Option<Arc<T>>, E> {
        let Some(cell) = self.0.get(place) else { return Ok(None) };
        if cell.get().is_none() {
            let made: Arc<dyn Any + Send + Sync> = Arc::new(make()?);
            // Whoever was first wins; both wrote the same.
            let _kept = cell.set(made);
        }
        Ok(cell.get().and_then(|kept| Arc::clone(kept).downcast().ok()))
    }
}

impl Clone for Written {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Written {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Written {}

impl std::fmt::Debug for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Written")
    }
}
