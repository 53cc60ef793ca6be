//! How many operations there are, for Prometheus.

use std::collections::HashMap;
use std::time::Duration;

use metrics::{counter, gauge};
use tokio_util::sync::CancellationToken;

use super::Kind;
use crate::control::Control;
use crate::registry::OperationState;
use crate::telemetry::names;

/// How often the registry is asked.
const EVERY: Duration = Duration::from_secs(15);
/// States that are not the end, and those that are.
const OPEN: [OperationState; 4] = [
    OperationState::Held,
    OperationState::Pending,
    OperationState::Running,
    OperationState::Undoing,
];
const OVER: [OperationState; 3] =
    [OperationState::Succeeded, OperationState::Failed, OperationState::Cancelled];

/// Counts an operation that ended here.
pub(super) fn ended(kind: &'static str, state: OperationState, count: u64) {
    counter!(names::OPERATIONS_ENDED, "kind" => kind, "state" => state.as_str()).increment(count);
}

impl Control {
    /// Shows how many operations there are, until `stop`. Every gateway shows those of all.
    pub async fn run_operation_metrics(self, stop: CancellationToken) {
        for kind in Kind::ALL {
            // Zero first: the first failure of all is to be seen as one more than before.
            for state in OVER {
                ended(kind.as_str(), state, 0);
            }
        }
        loop {
            self.show_operations().await;
            if stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
                return;
            }
        }
    }

    async fn show_operations(&self) {
        // Without an answer what was shown last stands; that the registry is away is alarmed by itself.
        let Ok(open) = self.0.registry.open_operations().await else { return };
        let now = self.0.clock.now();
        let found: HashMap<_, _> =
            open.iter().map(|one| ((one.kind.as_str(), one.state.as_str()), one)).collect();
        for kind in Kind::ALL {
            for state in OPEN {
                let labels = [("kind", kind.as_str()), ("state", state.as_str())];
                let one = found.get(&(kind.as_str(), state.as_str()));
                let count = one.map_or(0, |one| u32::try_from(one.count).unwrap_or(u32::MAX));
                let age = one.map_or(Duration::ZERO, |one| now.since(one.oldest));
                gauge!(names::OPERATIONS, &labels).set(f64::from(count));
                gauge!(names::OPERATIONS_OLDEST, &labels).set(age.as_secs_f64());
            }
        }
    }
}
