//! The mapping language: a tenant's document, compiled against its catalogue, turns queries into
//! plans and rows into FHIR bytes. Pure data in, pure data out: no IO, no SQL text.
//!
//! [`plan`] is the border to `store`, which alone writes SQL; [`catalog`] and [`rows`] are what
//! `store` gives back.

pub mod catalog;
pub mod plan;
pub mod rows;
