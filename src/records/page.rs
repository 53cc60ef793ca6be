//! What is wanted of each resource, and counting what could not be rendered.

use super::fault::RecordsFault;
use crate::auth::Right;
use crate::fhir::bundle::{MAX_BUNDLE, SearchSet};
use crate::fhir::elements::Elements;
use crate::fhir::query::Summary;
use crate::fhir::{QueryFault, SearchQuery};
use crate::mapping::{RenderReport, Shown};
use crate::store::StoreFault;
use crate::telemetry::names;
use crate::tenant::Session;

/// Which elements a query asks for. `_elements` and `_summary` together are refused, and so is the name of what
/// no resource that may be shown can have: `ty` if they are all of that type.
pub(super) fn shown(query: &mut SearchQuery, ty: Option<&str>) -> Result<Shown, RecordsFault> {
    let table = Elements::shared();
    let known = |name: &String| name == "resourceType" || table.has_top(ty, name);
    let named = std::mem::take(&mut query.elements);
    let (named, unknown) = named.into_iter().partition(known);
    query.elements = named;
    for name in unknown {
        query.unsupported(&format!("_elements={name}"))?;
    }
    let refused = |parameter: &str| QueryFault::Unsupported { parameter: parameter.to_owned() };
    match (query.summary, query.elements.is_empty()) {
        (Summary::False | Summary::Count, true) => Ok(Shown::All),
        (Summary::False | Summary::Count, false) => Ok(Shown::Only(query.elements.clone())),
        (_, false) => Err(refused("_elements with _summary").into()),
        (Summary::True, true) => Ok(Shown::Summary),
        (Summary::Text, true) => Ok(Shown::Only(vec!["text".to_owned()])),
        (Summary::Data, true) => Ok(Shown::NoText),
    }
}

/// The bundle, unless it has become too long.
pub(super) fn whole(bundle: SearchSet) -> Result<Vec<u8>, RecordsFault> {
    if bundle.is_too_long() {
        return Err(StoreFault::TooLarge { limit: MAX_BUNDLE }.into());
    }
    Ok(bundle.finish())
}

/// Counts cells and rows that could not be rendered; the log names elements, never values.
pub(super) fn count<R: Right>(session: &Session<R>, report: &RenderReport) {
    let bad: u64 = report.bad_cells().map(|(_, count)| u64::from(count)).sum();
    let left_out: u64 = report.rows_left_out().map(|(_, count)| u64::from(count)).sum();
    if bad == 0 && left_out == 0 {
        return;
    }
    let tenant = session.permit().tenant().to_string();
    if bad > 0 {
        metrics::counter!(names::BAD_CELLS, "tenant" => tenant.clone()).increment(bad);
    }
    if left_out > 0 {
        metrics::counter!(names::ROWS_LEFT_OUT, "tenant" => tenant.clone()).increment(left_out);
    }
    let paths: Vec<&str> =
        report.bad_cells().chain(report.rows_left_out()).map(|(path, _)| path).collect();
    let elements = paths.join(" ");
    tracing::debug!(target: "wardgate::records", tenant, bad, left_out, elements, "cells could not be rendered");
}
