//! FHIR R4 as a wire format. Pure functions over bytes: no IO, nothing of any tenant.

pub mod bulk;
pub mod bundle;
pub mod capability;
pub mod compartment;
pub mod elements;
mod fault;
pub mod invariants;
pub mod issue;
pub mod json;
pub mod judge;
pub mod moment;
pub mod params;
pub mod primitive;
pub mod query;
pub mod tree;

pub use fault::QueryFault;
pub use issue::Issue;
pub use query::SearchQuery;
pub use tree::Json;
