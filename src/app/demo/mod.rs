//! The demo: everything on embedded parts, on loopback, with obviously made-up patients.

pub mod issuer;
