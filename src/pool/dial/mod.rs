//! Opening one connection to a tenant's database: resolve, check egress, connect, TLS, log in, hand
//! over to the driver, set the session up, ask the server who it is.

mod cancel;
mod egress;
mod fault;
mod types;

use std::sync::Arc;

pub use cancel::Canceller;
pub use egress::{EgressFault, EgressRules};
pub use fault::{DialClass, DialFault};
pub use types::{
    DialConfig, Opened, ServerFacts, ServerFlavour, SessionSettings, TenantConnection,
};

use crate::base::{Clock, ConnectionRecord, Deadline};

/// Opens connections. Cheap to clone.
#[derive(Clone)]
pub struct Dialer {
    config: Arc<DialConfig>,
    clock: Arc<dyn Clock>,
}

impl Dialer {
    /// A dialer that lives by `config`.
    pub fn new(config: DialConfig, clock: Arc<dyn Clock>) -> Self {
        Self { config: Arc::new(config), clock }
    }

    /// Opens one connection, within `deadline` and the configured `connect_timeout`.
    #[expect(clippy::unused_async, reason = "becomes asynchronous with the engines")]
    pub async fn open(
        &self,
        _record: &ConnectionRecord,
        _session: &SessionSettings,
        deadline: Deadline,
    ) -> Result<Opened, DialFault> {
        let _ = (deadline.within(self.config.connect_timeout), self.clock.now());
        Err(DialFault::internal("not available"))
    }
}
