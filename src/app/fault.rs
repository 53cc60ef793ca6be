use crate::audit::AuditFault;
use crate::auth::AuthFault;
use crate::http::listener::ListenFault;
use crate::keyring::KeyFault;
use crate::registry::RegistryFault;

/// Why a gateway does not start, in words for whoever starts it.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// The control-plane databases.
    #[error("registry: {0}")]
    Registry(#[from] RegistryFault),
    /// The keys.
    #[error("keys: {0}")]
    Keys(#[from] KeyFault),
    /// An issuer.
    #[error("issuers: {0}")]
    Auth(#[from] AuthFault),
    /// The access log.
    #[error("access log: {0}")]
    Audit(#[from] AuditFault),
    /// A listener.
    #[error("{0}")]
    Listen(#[from] ListenFault),
    /// A setting that only shows when it is used.
    #[error("{0}")]
    Setting(String),
    /// Another demo holds the folder.
    #[error("a demo is running on that folder already")]
    DemoRuns,
    /// A file or folder.
    #[error("{0}: {1}")]
    File(String, std::io::ErrorKind),
    /// A background task ended although it never should.
    #[error("a background task ended: {0}")]
    Task(&'static str),
}

impl StartFault {
    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Registry(RegistryFault::Schema(_)) => {
                "a lost registry or key store is restored from its backup first, not migrated anew"
            }
            Self::Registry(_) => "check [registry] url and [keys] store",
            Self::Keys(_) => {
                "check [keys]; `wardgate keys init` makes a first key file in a folder that is there, a lost one \
                 comes from its backup"
            }
            Self::Auth(_) => "check [[issuers]] and [operators]",
            Self::Audit(AuditFault::InUse(_)) => {
                "is the gateway running already? otherwise set [audit] instance"
            }
            Self::Audit(_) => "check [audit] dir: it must be a folder this process can write to",
            Self::Listen(_) => "check listen of [fhir] and [admin], and [tls]",
            Self::Setting(_) => "`wardgate config check` names all faults of the settings",
            Self::DemoRuns => "end it with Ctrl-C, or give another --data-dir",
            Self::File(..) => "check that the folder exists and may be written to",
            Self::Task(_) => "look at the log; this is a defect",
        }
    }
}
