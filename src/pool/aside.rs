use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// Whether the work on a connection waits for something that its server has no part in: nothing is heard of
/// the server then, and that says nothing of it. Cheap to clone; of one lease.
#[derive(Debug, Clone, Default)]
pub struct Aside(Arc<AtomicU64>);

/// Ends the wait, also of a caller who goes away.
struct Waiting<'a>(&'a AtomicU64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Aside {
    /// Waits for `other`. One at a time.
    pub async fn during<T>(&self, other: impl Future<Output = T>) -> T {
        self.0.fetch_add(1, SeqCst);
        let _waiting = Waiting(&self.0);
        other.await
    }

    /// How often such a wait has begun or ended: odd while there is one.
    pub(crate) fn turns(&self) -> u64 {
        self.0.load(SeqCst)
    }
}
