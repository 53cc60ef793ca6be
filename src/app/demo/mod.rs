//! The demo: everything on embedded parts, on loopback, with obviously made-up patients.
//!
//! Three hospitals, each a SQLite file with a schema of its own, are registered through the same
//! operations an operator would use. A second start on the same folder finds them there and keeps them.

pub mod issuer;

mod hospital;
mod run;
mod text;

pub use run::{Demo, DemoOptions, running_issuer_token};
