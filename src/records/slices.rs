//! Writing resources waits for nothing, and would keep its thread for as long as a page lasts: the requests of
//! every other hospital on that thread would wait with it.

use std::time::{Duration, Instant};

/// How long a page is written at a stretch.
const SLICE: Duration = Duration::from_millis(1);

/// Work done in slices.
pub(super) struct Slices {
    begun: Instant,
}

impl Slices {
    pub(super) fn begin() -> Self {
        Self { begun: Instant::now() }
    }

    /// Between two resources: whoever else is ready goes first when a slice is over. A request of which the
    /// time is up ends here as well.
    pub(super) async fn next(&mut self) {
        if self.begun.elapsed() >= SLICE {
            tokio::task::yield_now().await;
            self.begun = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test]
    async fn others_go_first_when_a_slice_is_over() {
        let went = Arc::new(AtomicBool::new(false));
        let other = Arc::clone(&went);
        // On this one thread, and only when the test gives way.
        tokio::spawn(async move { other.store(true, Ordering::SeqCst) });
        let mut slices = Slices { begun: Instant::now() + Duration::from_mins(10) };
        slices.next().await;
        assert!(!went.load(Ordering::SeqCst), "a slice has only begun");
        let mut slices = Slices::begin();
        std::thread::sleep(SLICE);
        slices.next().await;
        assert!(went.load(Ordering::SeqCst));
    }
}
