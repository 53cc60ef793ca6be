//! From a bearer token to a principal and its permits.
//!
//! The rules are those of RFC 8725 and RFC 9068 made stricter: a closed list of algorithms, the key decides
//! the algorithm, every claim is required, and the tenant follows from a registered binding of (issuer,
//! claim value, `azp`), never from the claim alone. openidconnect gives the types of discovery; what it
//! offers for ID tokens is not what access tokens need, so they are verified here.

mod authority;
mod bearer;
mod claims;
mod directory;
mod fault;
mod fetch;
mod issuer;
mod jose;
mod jwks;
mod permit;
mod principal;
mod scope;

pub use authority::{AuthConfig, Authority, IssuerConfig, IssuerReadiness, OperatorsConfig};
pub use directory::{Binding, Directory, DirectoryUnavailable};
pub use fault::{AuthFault, FORBIDDEN_MESSAGE};
pub use permit::{FhirAdmin, FhirRead, FhirWrite, OperatorPermit, Permit, Right};
pub use principal::Principal;
pub use scope::{Interaction, Scopes};
