//! The mapping language: a tenant's document, compiled against its catalogue, turns queries into
//! plans and rows into FHIR bytes. Pure data in, pure data out: no IO, no SQL text.
//!
//! [`plan`] is the border to `store`, which alone writes SQL; [`catalog`] and [`rows`] are what
//! `store` gives back. The language itself is described in `docs/mapping/LANGUAGE.md`.

pub mod catalog;
mod compile;
mod compiled;
mod document;
mod fault;
pub mod fold;
mod groups;
mod lens;
pub mod plan;
mod problem;
mod render;
mod report;
pub mod rows;
mod search;
mod sources;
mod syntax;
mod tree;

pub use compile::compile;
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

#[cfg(test)]
mod tests;
