//! Access tokens, good and bad, against a loopback issuer. The rows are those of the table of bad
//! tokens in `docs/SECURITY.md`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests and their helpers stop at a surprise"
)]

#[path = "support/directory.rs"]
mod directory;
#[path = "support/idp.rs"]
mod idp;

#[path = "tokens/claims.rs"]
mod claims;
#[path = "tokens/forms.rs"]
mod forms;
#[path = "tokens/keys.rs"]
mod keys;
#[path = "tokens/logout.rs"]
mod logout;
#[path = "tokens/mutants.rs"]
mod mutants;
#[path = "tokens/outages.rs"]
mod outages;
#[path = "tokens/rights.rs"]
mod rights;
#[path = "tokens/tenants.rs"]
mod tenants;
#[path = "tokens/world.rs"]
mod world;
