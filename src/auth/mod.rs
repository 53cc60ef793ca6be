//! From a bearer token to a principal and its permits.
//!
//! A token is judged in this order: how it is presented ([RFC 6750]), its form ([RFC 7515], strictly),
//! its claims ([RFC 9068], [RFC 8725]), its signature under a key its issuer publishes, the logout lists,
//! and the binding of (issuer, claim value, `azp`) to a tenant. Discovery and key sets come through
//! `openidconnect`; its token verifier is for ID tokens and is not used. See `docs/ARCHITECTURE.md`.
//!
//! [RFC 6750]: https://www.rfc-editor.org/rfc/rfc6750
//! [RFC 7515]: https://www.rfc-editor.org/rfc/rfc7515
//! [RFC 8725]: https://www.rfc-editor.org/rfc/rfc8725
//! [RFC 9068]: https://www.rfc-editor.org/rfc/rfc9068

mod authority;
mod bearer;
mod claims;
mod config;
mod denied;
mod directory;
mod fault;
mod fetch;
mod issuer;
mod json;
mod jws;
mod keys;
mod logout;
mod operator;
mod permit;
mod principal;
mod readiness;
mod scopes;
mod signin;
mod verify;
mod waiting;

pub use authority::Authority;
pub use config::{AuthConfig, IssuerConfig, OperatorsConfig, TokenProfile, check_issuer};
pub use directory::{Binding, Directory, DirectoryFuture, DirectoryUnavailable, is_claim_value};
pub use fault::{AuthFault, LogoutFault};
pub use operator::{OperatorPermit, OperatorRank, OperatorRoles, OperatorSource, WorkOrder};
pub use permit::{FhirAdmin, FhirRead, FhirWrite, Permit, Right, Shape};
pub use principal::{Principal, Roles};
pub use readiness::IssuerReadiness;
pub use scopes::{Interaction, Scopes};
pub use signin::{
    Begun, LookAt, Looker, Opened, Returned, SessionName, SignInSettings, SignIns, Typed, Visit,
};
