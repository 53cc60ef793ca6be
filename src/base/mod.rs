//! Words everybody shares. Plain data and parsing only: no IO, no clock of its own, no globals.

mod clock;
mod deadline;
mod engine;
mod fault;
mod flag;
mod id;
mod record;
mod secret;
mod server;
mod url;
mod url_parameter;

pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use deadline::Deadline;
pub use engine::Engine;
pub use fault::{Fault, FaultKind};
pub use flag::{Flag, Flags, InvalidFlag, Offer};
pub use id::{ConnectionRevision, Generation, InvalidId, TenantId, TenantName};
pub use record::{
    ConnectionRecord, InvalidRecord, ServerRecord, SqliteRecord, TlsException, TlsPolicy,
    TlsSettings, TlsWaiver,
};
pub use secret::SecretText;
pub use server::ServerIdentity;
pub use url::{UrlFault, attach_ca_pem, canonical_host, is_loopback_host, parse_connection_url};
pub use url_parameter::ParameterName;
