//! Wardgate: a FHIR R4 gateway in front of many hospitals' own databases.
//!
//! The rooms are declared lowest first. A room uses only rooms above it in this list, as the table in
//! `docs/ARCHITECTURE.md` allows; `tests/architecture.rs` proves it from the sources.

// Building and running the whole gateway, and the demo.
pub mod app;
// The access log: durable before the answer, chained, verifiable.
pub mod audit;
// From a bearer token to a principal and its permits.
pub mod auth;
// Words everybody shares: ids, engines, connection records, secrets, time, fault kinds. No IO.
pub mod base;
// One file per command.
pub mod cli;
// File and environment to resolved settings.
pub mod config;
// What operators do to tenants.
pub mod control;
// FHIR R4 as a wire format: queries, bundles, outcomes, capability statements. No IO.
pub mod fhir;
// The two HTTP listeners: router, layers, extractors, errors.
pub mod http;
// Sealing, signing, key sources and key rotation.
pub mod keyring;
// The mapping language: document, compiled mapping, query plan, rows to FHIR bytes. No IO.
pub mod mapping;
// Dialling tenant databases, lanes of connections, breakers and admission.
pub mod pool;
// Reading and searching records, as methods of a session.
pub mod records;
// The control-plane repository and the store of wrapped data keys.
pub mod registry;
// Plans to SQL, cells to rows, catalogues from live databases.
pub mod store;
// Log subscriber, redaction, metric names.
pub mod telemetry;
// From a permit to the tenant's open resources.
pub mod tenant;
