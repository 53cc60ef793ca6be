//! The mapping language: a tenant's document, compiled against its catalogue, turns queries into
//! plans and rows into FHIR bytes. Pure data in, pure data out: no IO, no SQL text.
//!
//! `plan` is the border to `store`, which alone writes SQL; `catalog` and `rows` are what `store` gives
//! back. `docs/mapping/LANGUAGE.md` describes the language.
//!
//! To add a transform: a variant of `leaf::Step`, its name in `steps`, what it does in `leaf`, and how it is
//! turned around in `search`.

pub mod catalog;
pub mod plan;
pub mod rows;

mod codes;
mod compile;
mod compiled;
mod dates;
mod document;
mod inverse;
mod leaf;
mod lookup;
mod problem;
mod search;
mod shape;
mod source;
mod steps;
mod template;
mod values;

#[cfg(test)]
mod tests;

pub use compile::compile;
pub use compiled::{Compiled, PlanFault, PlannedSource, Position, Rendered};
pub use document::Document;
pub use problem::{MappingProblem, Severity};

/// FHIR R4's `id` (2.24.0.1): 1 to 64 letters, digits, `-` and `.`.
pub(crate) fn is_fhir_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}
