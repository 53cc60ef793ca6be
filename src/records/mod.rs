//! Reading and searching records, as methods of a session.
//!
//! An answer with a patient's data in it exists only as [`Answer`], and an [`Answer`] is made only from a
//! receipt of the access log: no durable event, no data.

mod access_log;
mod answer;
mod beside;
mod cursor;
#[cfg(test)]
mod examples;
mod everything;
mod export;
mod fault;
mod gather;
mod page;
mod read;
mod refused;
mod search;
#[cfg(test)]
mod search_model;

pub use access_log::AccessLogPage;
pub use answer::Answer;
pub use export::{Export, ExportLevel, ExportPart, Exports};
pub use fault::RecordsFault;
pub use refused::{Attempt, note_refused};
pub use search::{Searched, generic_capability};

pub use crate::fhir::capability::{Endpoints, ServerDescription};
