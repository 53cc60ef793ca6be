//! See `docs/ARCHITECTURE.md`.

/// Names of the metrics of lanes, breakers and admission.
pub mod pool_metrics;
