use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::registry::StoredLimits;

/// A tenant's own limits; what is left out is the gateway's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsView {
    /// Requests a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<u32>,
    /// Requests under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent_requests: Option<u32>,
    /// Connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// Entries of a page when `_count` is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
    /// The most `_count` gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size_max: Option<u32>,
    /// Milliseconds a request may take; never longer than the gateway's setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_timeout_ms: Option<u32>,
    /// Milliseconds a statement may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement_timeout_ms: Option<u32>,
    /// Files of exports fetched at once, on each gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export_jobs: Option<u32>,
    /// Weight against other tenants where all share the gateway's connections; 1 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
}

/// One limit as a form or a command line shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitEntry {
    /// Its name in the API.
    pub name: &'static str,
    /// What it is, for people.
    pub title: &'static str,
    /// The tenant's own value.
    pub value: Option<u32>,
}

impl LimitsView {
    /// All limits, in the order they are shown in.
    pub fn entries(&self) -> [LimitEntry; 9] {
        let mut copy = self.clone();
        copy.fields().map(|(name, title, value)| LimitEntry { name, title, value: *value })
    }

    /// Sets the limit of that name, or leaves it to the gateway. `false` when there is none.
    pub fn set(&mut self, name: &str, value: Option<u32>) -> bool {
        let field = self.fields().into_iter().find(|(known, ..)| *known == name);
        field.map(|(_, _, field)| *field = value).is_some()
    }

    fn fields(&mut self) -> [(&'static str, &'static str, &mut Option<u32>); 9] {
        [
            ("requests_per_second", "Requests a second", &mut self.requests_per_second),
            ("concurrent_requests", "Requests at once", &mut self.concurrent_requests),
            ("max_connections", "Connections", &mut self.max_connections),
            ("page_size", "Page size", &mut self.page_size),
            ("page_size_max", "Largest page", &mut self.page_size_max),
            ("request_timeout_ms", "Request, ms", &mut self.request_timeout_ms),
            ("statement_timeout_ms", "Statement, ms", &mut self.statement_timeout_ms),
            ("export_jobs", "Export files at once", &mut self.export_jobs),
            ("weight", "Weight", &mut self.weight),
        ]
    }
}

pub(super) fn stored(limits: &LimitsView) -> StoredLimits {
    StoredLimits {
        requests_per_second: limits.requests_per_second,
        concurrent_requests: limits.concurrent_requests,
        max_connections: limits.max_connections,
        page_size: limits.page_size,
        page_size_max: limits.page_size_max,
        request_timeout_ms: limits.request_timeout_ms,
        statement_timeout_ms: limits.statement_timeout_ms,
        export_jobs: limits.export_jobs,
        weight: limits.weight,
    }
}

pub(super) fn shown(limits: &StoredLimits) -> LimitsView {
    LimitsView {
        requests_per_second: limits.requests_per_second,
        concurrent_requests: limits.concurrent_requests,
        max_connections: limits.max_connections,
        page_size: limits.page_size,
        page_size_max: limits.page_size_max,
        request_timeout_ms: limits.request_timeout_ms,
        statement_timeout_ms: limits.statement_timeout_ms,
        export_jobs: limits.export_jobs,
        weight: limits.weight,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_has_its_name_and_is_stored() {
        let mut view = LimitsView::default();
        for (at, entry) in view.entries().into_iter().enumerate() {
            assert!(view.set(entry.name, u32::try_from(at + 1).ok()), "{}", entry.name);
        }
        let json = serde_json::to_value(&view).unwrap();
        for (at, entry) in view.entries().into_iter().enumerate() {
            assert_eq!(json[entry.name], at + 1);
        }
        assert_eq!(shown(&stored(&view)), view);
        assert_eq!(json.as_object().unwrap().len(), view.entries().len());
        assert!(!view.set("body_bytes", None));
    }
}
