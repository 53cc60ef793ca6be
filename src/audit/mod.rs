//! The access log: durable before the answer, chained, verifiable.
//!
//! An event is first made durable in a spool that the whole gateway shares, so that many requests
//! share one flush; it is then filed in its tenant's own hash chain. Signed checkpoints of the chains
//! go to a place of their own. Form and proofs: `docs/AUDIT.md`.

mod chain;
mod checkpoint;
mod committer;
mod config;
mod disk;
mod event;
mod export;
mod fault;
mod filer;
mod line;
mod log;
mod page;
mod replay;
mod retain;
mod segment;
mod spool;
mod upkeep;
mod verify;

#[cfg(test)]
mod tests;

pub use config::{AuditConfig, AuditPlace};
pub use event::{AccessEvent, Action, Actor, ActorKind, Outcome, Target};
pub use export::Export;
pub use fault::AuditFault;
pub use line::EventHash;
pub use log::{AuditLog, Expected, Receipt};
pub use page::LogPage;
pub use retain::Retained;
pub use verify::{ChainReport, Tamper, TamperKind, verify};
