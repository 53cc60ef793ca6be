use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long what was found counts.
const KEPT: Duration = Duration::from_secs(30);

/// What parts of a mapping a database turned out to lack, found out once in a while however many requests
/// fail of it.
#[derive(Default)]
pub struct Lost(Mutex<Option<(Instant, Arc<Vec<String>>)>>);

impl Lost {
    /// What is known, else what `find` finds; the others who ask meanwhile wait for it.
    pub async fn get_or_find(
        &self,
        find: impl Future<Output = Option<Vec<String>>>,
    ) -> Option<Arc<Vec<String>>> {
        let mut known = self.0.lock().await;
        if let Some((at, paths)) = &*known
            && at.elapsed() < KEPT
        {
            return Some(Arc::clone(paths));
        }
        let paths = Arc::new(find.await?);
        *known = Some((Instant::now(), Arc::clone(&paths)));
        Some(paths)
    }
}
