use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::Engine;

/// The steps of opening a connection that are done so far, with the time each took.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Mutex<Vec<(&'static str, Duration)>>>);

impl Progress {
    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<(&'static str, Duration)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The steps done.
    pub fn steps(&self) -> Vec<(&'static str, Duration)> {
        self.lock().clone()
    }

    /// The step that was under way when it broke off.
    pub fn next(&self, engine: Engine) -> &'static str {
        let all: &[&str] = match engine {
            Engine::Postgres => &["permit", "resolve", "connect", "tls", "login", "session"],
            Engine::MySql => &["permit", "resolve", "connect", "tls", "login", "attach", "session"],
            Engine::Sqlite => &["permit", "file", "session"],
        };
        all.get(self.lock().len()).copied().unwrap_or("session")
    }
}
