//! Counting what a mapping could not render.

use crate::auth::FhirRead;
use crate::telemetry::names;
use crate::tenant::{ActiveMapping, Session};

/// Counts bad cells; the log names the place in the mapping document, never the value.
pub(super) fn count_bad(session: &Session<FhirRead>, mapping: &ActiveMapping, bad: &[usize]) {
    let Some(first) = bad.first() else { return };
    let tenant = session.permit().tenant().to_string();
    metrics::counter!(names::BAD_CELLS, "tenant" => tenant.clone()).increment(bad.len() as u64);
    let place = mapping.compiled.path(*first).unwrap_or_default();
    tracing::debug!(target: "wardgate::records", tenant, cells = bad.len(), place, "cells could not be rendered");
}

/// Counts a row that was left out.
pub(super) fn count_left_out(session: &Session<FhirRead>) {
    let tenant = session.permit().tenant().to_string();
    metrics::counter!(names::ROWS_LEFT_OUT, "tenant" => tenant).increment(1);
}
