//! Log subscriber, redaction, metric names.
//!
//! What may be logged is decided here once: our own events at the configured level, other crates'
//! warnings, and nothing at all of crates whose lines quote statements, headers or settings. A level of
//! TRACE therefore shows more of Wardgate and never a token, a password or a patient.

mod log;
mod metric;
mod panic;
mod recurring;
mod steps;
/// Names of the metrics of lanes, breakers and admission.
pub mod pool_metrics;
/// How long each tenant's statements took.
pub mod plans;
/// Traces in the form collectors take.
pub mod otlp;
/// What each tenant was asked in the last minutes.
pub mod traffic;
/// What became of requests, for whoever collects traces.
pub mod trace;
/// What each tenant used.
pub mod usage;

pub use log::{Format, subscriber};
pub use metric::{MetricsPage, names};
pub use panic::quiet_panics;
pub use recurring::Recurring;
