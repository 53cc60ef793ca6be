//! The two HTTP listeners: router, layers, extractors, errors.
//!
//! A connection is accepted by [`listener`] and served by `connection`. Its requests go through the layers of
//! their part's `router` (an id for each, the log's line, limits of time and size) to a handler of [`fhir`],
//! [`admin`] or [`panel`]. A handler has its caller's right as an argument, calls `records` or `control`, and
//! writes what came of it. To add a route: name it in its part's `routes` together with who is let in
//! ([`route`]); a test makes `docs/ROUTES.md` of them and asks each as everybody.

/// The control plane: admin API, health, metrics.
pub mod admin;
/// The data plane: FHIR R4.
pub mod fhir;
/// Accepting connections.
pub mod listener;
/// The operators' panel.
pub mod panel;
/// Routes, and who is let in at each.
pub mod route;

mod connection;
mod logbook;
mod problem;
mod request_id;
mod token_in_query;
