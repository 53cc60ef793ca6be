use std::time::Duration;

use uuid::Uuid;

use super::fault::StartFault;
use super::parts::Parts;
use crate::auth::OperatorPermit;
use crate::base::Deadline;
use crate::config::Settings;
use crate::control::{Caller, Control};

/// How long one command may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The control plane for the command line on the gateway's own machine: no listeners, no lanes.
pub struct Console {
    control: Control,
    user: String,
}

impl Console {
    /// Opens registry, key store and keys.
    pub async fn open(settings: Settings) -> Result<Self, StartFault> {
        let parts = Parts::open(&settings).await?;
        let control = Control::new(crate::control::Parts {
            registry: parts.registry,
            key_store: parts.key_store,
            keyring: parts.keyring,
            dialer: parts.dialer,
            clock: parts.clock,
            serving: None,
        });
        let user = format!("uid-{}", rustix::process::getuid().as_raw());
        Ok(Self { control, user })
    }

    /// The verbs.
    pub const fn control(&self) -> &Control {
        &self.control
    }

    /// A caller for one command.
    pub fn caller(&self) -> Caller {
        Caller {
            permit: OperatorPermit::console(&self.user),
            request: Uuid::now_v7(),
            deadline: Deadline::after(PATIENCE),
        }
    }
}
