use std::time::Duration;

use serde::Serialize;
use uuid::Uuid;

use super::fault::StartFault;
use super::parts::Parts;
use super::rooms;
use crate::audit::{self, AuditPlace, ChainReport, Export};
use crate::auth::OperatorPermit;
use crate::base::{Deadline, Timestamp};
use crate::config::Settings;
use crate::control::{Caller, Control, ControlFault, Work};
use crate::keyring::VerifyingKey;

/// How long one command may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// The control plane for the command line on the gateway's own machine: no listeners, no lanes.
pub struct Console {
    control: Control,
    user: String,
    access_log: AuditPlace,
    verifying_key: VerifyingKey,
}

/// What verifying a tenant's access log found.
#[derive(Debug, Serialize)]
pub struct AccessLogReport {
    /// One entry for each gateway instance that wrote to it.
    pub chains: Vec<ChainVerdict>,
}

/// What verifying one chain found.
#[derive(Debug, Serialize)]
pub struct ChainVerdict {
    /// The gateway instance.
    pub instance: String,
    /// Events that verify.
    pub events: u64,
    /// The last event a signed checkpoint vouches for; what follows it could be cut off without a trace.
    pub vouched: Option<u64>,
    /// The first place at which it does not verify.
    pub tampered: Option<String>,
}

/// Why an access log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AccessLogFault {
    /// The tenant is not known.
    #[error(transparent)]
    Control(#[from] ControlFault),
    /// The files cannot be read.
    #[error(transparent)]
    Audit(#[from] audit::AuditFault),
}

impl Console {
    /// Opens registry, key store and keys.
    pub async fn open(settings: Settings) -> Result<Self, StartFault> {
        let parts = Parts::open(&settings).await?;
        let access_log = rooms::audit(&settings).place();
        let verifying_key = parts.keyring.checkpoint_key().verifying_key();
        let control = Control::new(crate::control::Parts {
            registry: parts.registry,
            key_store: parts.key_store,
            keyring: parts.keyring,
            dialer: parts.dialer,
            clock: parts.clock,
            issuers: rooms::known_issuers(&settings),
            two_persons: settings.admin.two_persons,
            serving: None,
            work: Work::new(format!("console {}", Uuid::new_v4())),
        });
        let user = format!("uid-{}", rustix::process::getuid().as_raw());
        Ok(Self { control, user, access_log, verifying_key })
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

    /// Verifies a tenant's access log: every chain, against its signed checkpoints.
    pub async fn verify_access_log(&self, named: &str) -> Result<AccessLogReport, AccessLogFault> {
        let tenant = self.control.identify(named).await?;
        let reports = audit::verify(&self.access_log, tenant, &self.verifying_key)?;
        Ok(AccessLogReport { chains: reports.into_iter().map(ChainVerdict::from).collect() })
    }

    /// Hands a tenant's access log to `each`, one JSON event a line, oldest first.
    pub async fn export_access_log(
        &self,
        named: &str,
        each: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(), AccessLogFault> {
        let tenant = self.control.identify(named).await?;
        let ever = Timestamp::from_millis(i64::MAX);
        for event in Export::open(&self.access_log, tenant, Timestamp::from_millis(0), ever)? {
            each(&event?);
        }
        Ok(())
    }
}

impl AccessLogReport {
    /// Whether every chain verifies.
    pub fn sound(&self) -> bool {
        self.chains.iter().all(|chain| chain.tampered.is_none())
    }
}

impl From<ChainReport> for ChainVerdict {
    fn from(report: ChainReport) -> Self {
        Self {
            instance: report.instance,
            events: report.events,
            vouched: report.vouched.map(|(n, _)| n),
            tampered: report.tamper.map(|tamper| tamper.to_string()),
        }
    }
}

impl std::fmt::Display for AccessLogReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.chains.is_empty() {
            return write!(f, "nothing was ever recorded");
        }
        for chain in &self.chains {
            let ChainVerdict { instance, events, vouched, tampered } = chain;
            write!(f, "{instance}: {events} events verify")?;
            if let Some(vouched) = vouched {
                write!(f, ", signed up to {vouched}")?;
            }
            match tampered {
                None => writeln!(f)?,
                Some(place) => writeln!(f, "; TAMPERED WITH at {place}")?,
            }
        }
        Ok(())
    }
}
