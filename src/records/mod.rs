//! Reading, searching and writing records, as methods of a session.
//!
//! An answer with a patient's data in it exists only as [`Answer`], and an [`Answer`] is made only from a
//! receipt of the access log: no durable event, no data.

mod access_log;
mod answer;
mod broken;
mod bundle;
mod change;
mod cursor;
#[cfg(test)]
mod examples;
mod fault;
mod page;
mod patch;
mod read;
mod refused;
mod search;
mod step;
mod transaction;
#[cfg(test)]
mod search_model;

pub use crate::audit::Action;
pub use access_log::AccessLogPage;
pub use answer::Answer;
pub use bundle::{Bundle, BundleKind, Entry, Wanted};
pub use change::{Writing, Written};
pub use fault::RecordsFault;
pub use refused::{Attempt, note_refused};
pub use search::generic_capability;
pub use step::{Act, Order};

pub use crate::fhir::capability::{Endpoints, ServerDescription};
