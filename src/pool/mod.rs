//! Dialling tenant databases, lanes of connections, breakers and admission.

/// Opening one connection to a tenant's database.
pub mod dial;
