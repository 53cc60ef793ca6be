//! The mapping language: a tenant's document, compiled against its catalogue, turns queries into
//! plans and rows into FHIR bytes. Pure data in, pure data out: no IO, no SQL text.
//!
//! [`Document`] is the text as its author wrote it; [`compile()`] makes it a [`Compiled`] or names every
//! fault. Of that, `tree` is what each source reads and writes and `lens` how cells become a value and back;
//! `search` turns queries into plans over it, `render` rows into bytes, `write` a resource into changes of
//! rows. [`mod@draft`], [`mod@diff`], [`mod@drift`], [`probe`] and [`tally`] serve whoever writes a mapping.
//!
//! [`plan`] is the border to `store`, which alone writes SQL; [`catalog`] and [`rows`] are what
//! `store` gives back. The language itself is described in `docs/mapping/LANGUAGE.md`.

pub mod catalog;
mod compile;
mod compiled;
mod document;
pub mod diff;
pub mod draft;
pub mod drift;
mod fault;
pub mod fold;
mod groups;
mod lens;
pub mod misfit;
pub mod import;
mod period;
pub mod plan;
pub mod probe;
mod problem;
mod render;
mod report;
pub mod rows;
pub mod schema;
mod search;
mod sources;
mod syntax;
pub mod tally;
mod tree;
mod write;

pub use compile::{compile, of_texts};
pub use compiled::{Compiled, PlannedRead, PlannedSource};
pub use document::Document;
pub use fault::PlanFault;
pub use problem::{MappingProblem, ProblemSeverity};
pub use render::Page;
pub use report::{RenderReport, RowOutcome, Shown};
pub use search::{
    Everything, Included, Includes, LostPlace, PageRequest, PlannedKeys, Position, SearchPlan,
    TypeSearches, Unserved, merge, resume,
};
pub use sources::DeclaredSource;
pub use write::{
    Change, ChangeKind, Confirmed, Creation, Fresh, MAX_CHILD_ROWS, Powers, Promises, Set, Target,
    Update, shows,
};

#[cfg(test)]
mod tests;
