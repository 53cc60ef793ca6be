//! Wardgate: a FHIR R4 gateway in front of many hospitals' own databases.
//!
//! The rooms are declared lowest first. A room uses only rooms above it in this list, as the table in
//! `docs/ARCHITECTURE.md` allows; `tests/architecture.rs` proves it from the sources.

// Words everybody shares: ids, engines, connection records, secrets, time, fault kinds. No IO.
pub mod base;
// Log subscriber, redaction, metric names.
pub mod telemetry;
// FHIR R4 as a wire format: queries, bundles, outcomes, capability statements. No IO.
pub mod fhir;
// The mapping language: document, compiled mapping, query plan, rows to FHIR bytes. No IO.
pub mod mapping;
// Sealing, signing, key sources and key rotation.
pub mod keyring;
// From a bearer token to a principal and its permits.
pub mod auth;
// The control-plane repository and the store of wrapped data keys.
pub mod registry;
// Dialling tenant databases, lanes of connections, breakers and admission.
pub mod pool;
// Plans to SQL, cells to rows, catalogues from live databases.
pub mod store;
// The access log: durable before the answer, chained, verifiable.
pub mod audit;
// From a permit to the tenant's open resources.
pub mod tenant;
// Reading and searching records, as methods of a session.
pub mod records;
// What operators do to tenants.
pub mod control;
// The two HTTP listeners: router, layers, extractors, errors.
pub mod http;
// File and environment to resolved settings.
pub mod config;
// Building and running the whole gateway, and the demo.
pub mod app;
// One file per command.
pub mod cli;
