//! FHIR R4 as a wire format: queries, bundles, capability statements, and what R4 says of elements and
//! search parameters. No IO.

pub mod bundle;
pub mod capability;
pub mod elements;
pub mod query;
pub mod search_params;
