use super::{LaneSpec, Lease, PoolFault, Pools};
use crate::base::{Deadline, Timestamp};

impl Pools {
    /// Borrows a connection to write with. A SQLite file has one such connection, and callers wait for it
    /// in turn; on servers every transaction says for itself that it writes.
    ///
    /// # Errors
    /// As [`Self::lease`].
    pub async fn lease_writer(
        &self,
        spec: &LaneSpec,
        deadline: Deadline,
    ) -> Result<Lease, PoolFault> {
        self.lend(spec, true, deadline).await
    }

    /// The time, by the clock of the lanes.
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }
}
