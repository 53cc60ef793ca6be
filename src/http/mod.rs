//! The two HTTP listeners: router, layers, extractors, errors.

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
