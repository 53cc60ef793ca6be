use std::time::Duration;

use tokio::time::Instant;

/// The moment by which a request's work must be over. One deadline travels with a request through
/// every room, so that nested waits cannot add up to more than the caller was promised.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// A deadline `after` from now.
    pub fn after(after: Duration) -> Self {
        Self(Instant::now() + after)
    }

    /// The earlier of this deadline and `after` from now.
    #[must_use]
    pub fn within(self, after: Duration) -> Self {
        Self(self.0.min(Instant::now() + after))
    }

    /// The moment itself, for `tokio::time::timeout_at`.
    pub const fn at(self) -> Instant {
        self.0
    }

    /// What is left; zero once it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    pub fn passed(self) -> bool {
        self.remaining().is_zero()
    }
}
