//! What each tenant used since this gateway began: counters that only grow, read by whoever adds them to
//! the registry. Counting costs one relaxed addition each.

use std::ops::Sub;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::plans::{Plans, Queries};

/// One tenant's counters.
#[derive(Default)]
pub struct Meter {
    requests: AtomicU64,
    rows: AtomicU64,
    bytes: AtomicU64,
    database_micros: AtomicU64,
    plans: Plans,
}

/// What a meter, or a part of a month, comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Requests answered, whatever was answered.
    pub requests: u64,
    /// Rows read from and changed in the tenant's database.
    pub rows: u64,
    /// Bytes of the answers' bodies, as they were sent.
    pub bytes: u64,
    /// Microseconds during which a statement was under way, each connection by itself.
    pub database_micros: u64,
}

impl Meter {
    /// Counts an answered request.
    pub fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts bytes of an answer.
    pub fn bytes(&self, count: u64) {
        self.bytes.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts rows.
    pub fn rows(&self, count: u64) {
        self.rows.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts the time of a statement.
    pub fn database(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.database_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn read(&self) -> Usage {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Usage {
            requests: of(&self.requests),
            rows: of(&self.rows),
            bytes: of(&self.bytes),
            database_micros: of(&self.database_micros),
        }
    }

    /// The tenant's statements by plan.
    pub const fn plans(&self) -> &Plans {
        &self.plans
    }

    /// What is known of the tenant's statements by plan.
    pub fn queries(&self) -> Queries {
        self.plans.queries()
    }
}

impl Usage {
    /// Whether nothing was used.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl std::ops::Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            rows: self.rows.saturating_add(other.rows),
            bytes: self.bytes.saturating_add(other.bytes),
            database_micros: self.database_micros.saturating_add(other.database_micros),
        }
    }
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(other.requests),
            rows: self.rows.saturating_sub(other.rows),
            bytes: self.bytes.saturating_sub(other.bytes),
            database_micros: self.database_micros.saturating_sub(other.database_micros),
        }
    }
}
