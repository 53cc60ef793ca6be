//! File and environment to resolved settings. The only room that reads either.
//!
//! [`layers`] merges the TOML file and `WARDGATE__SECTION__KEY` variables into one tree;
//! [`reader`] takes typed values out of it, collecting every fault instead of stopping at the first
//! and remembering where each value came from; [`sections`] names every setting once.
//!
//! To add a setting: one line in [`sections`], one in `config/wardgate.toml`, and the field of the room
//! that uses it, filled by `app`.

mod layers;
mod reader;
mod sections;
mod settings;

pub use layers::{Examined, Origin, examine, parse};
pub use reader::{SettingFault, ShownSetting};
pub use settings::{
    AdminSettings, AuditSettings, BreakerSettings, EgressSettings, FhirSettings, IssuerSettings,
    KeySettings, LimitSettings, ListenerTls, LogSettings, OperatorSettings, PoolSettings, Settings,
    TelemetrySettings,
};
