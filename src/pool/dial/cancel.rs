use super::DialFault;
use crate::base::Deadline;

/// Stops what a connection is executing, from outside. Cheap to clone.
#[derive(Clone)]
pub struct Canceller(());

impl Canceller {
    /// Asks the server to stop the connection's present statement.
    #[expect(clippy::unused_async, reason = "becomes asynchronous with the engines")]
    pub async fn cancel(&self, _deadline: Deadline) -> Result<(), DialFault> {
        Err(DialFault::internal("not available"))
    }
}
