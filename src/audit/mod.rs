//! The access log: durable before the answer, chained, verifiable.

mod config;
mod event;
mod fault;
mod log;

pub use config::{AuditConfig, AuditPlace};
pub use event::{AccessEvent, Action, Actor, ActorKind, Outcome, Target};
pub use fault::AuditFault;
pub use log::{AuditLog, Receipt};
