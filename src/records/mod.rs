//! Reading, searching and writing records, as methods of a session.
//!
//! The session's mapping makes a plan of what is asked, a lease of the session's lane fetches the rows
//! (`together` for reads by id, `gather` for pages and what is shown `beside` them), the mapping writes them as
//! bytes. A change goes through `prepare` and `step`, one database transaction for each, alone (`change`) or
//! with others (`transaction`).
//!
//! An answer with a patient's data in it exists only as [`Answer`], and an [`Answer`] is made only from a
//! receipt of the access log: no durable event, no data.

mod access_log;
mod answer;
mod broken;
mod bundle;
mod change;
mod beside;
mod cursor;
#[cfg(test)]
mod drafts;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod us_core;
mod everything;
mod export;
mod fault;
mod drifted;
mod gather;
mod named;
mod offered;
mod page;
mod pointers;
mod patch;
mod prepare;
mod preview;
mod read;
mod refused;
mod search;
mod slices;
mod step;
mod together;
mod transaction;
mod validate;

pub use crate::audit::Action;
pub use access_log::AccessLogPage;
pub use answer::Answer;
pub use bundle::{Bundle, BundleKind, Entry, Wanted};
pub use change::{Writing, Written};
pub use export::{Export, ExportLevel, ExportPart, Exports};
pub use fault::RecordsFault;
pub use preview::{MOST_SHOWN, PreviewOf};
pub use refused::{Attempt, note_refused};
pub use search::{Searched, generic_capability};
pub use step::{Act, Order};
pub use validate::{Trial, Validation};

pub use crate::fhir::capability::{Endpoints, ServerDescription};
