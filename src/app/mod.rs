//! Building and running the whole gateway, and the demo.
//!
//! The boot order is [`Application::build`]: settings, databases, keys, lanes, tenants, issuers, listeners.
//! Sockets are bound before anything is spawned.

pub mod demo;

mod application;
mod console;
mod drift;
mod fault;
mod memory;
mod parts;
mod remote;
mod rooms;
mod settings;
mod signal;
mod traces;

pub use application::Application;
pub use console::{AccessLogFault, AccessLogReport, ChainVerdict, Console};
pub use fault::StartFault;
pub use memory::keep_memory_private;
pub use parts::{InitialKeys, StoreStatus, init_keys, migrate_stores, store_status};
pub use remote::{RemoteFault, Token, post_text};
pub use settings::check_settings;
pub use signal::stop_signal;

pub use crate::telemetry::{Format, quiet_panics, subscriber};

/// The JSON Schema of mapping documents.
pub fn mapping_schema() -> String {
    serde_json::to_string(&crate::mapping::schema::schema()).unwrap_or_default()
}
