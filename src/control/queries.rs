//! Which of a tenant's plans take long.

use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

use super::fault::ControlFault;
use super::{Caller, Control};
use crate::telemetry::plans::{Queries, Query};

/// What is known of how long a tenant's statements took on this gateway.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct QueriesView {
    /// Seconds it goes back, at most a day; nothing before the first statement.
    pub window_secs: Option<u64>,
    /// Plans of which nothing is known any more because there were too many.
    pub dropped: u64,
    /// Those that took most time together first.
    pub queries: Vec<QueryView>,
}

/// What is known of one plan. The times are of the database's work, each request by itself.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct QueryView {
    /// The resource, what is done, and the names of the parameters; never a value.
    pub plan: String,
    /// How often it ran.
    pub count: u64,
    /// How often the database refused it.
    pub failed: u64,
    /// How often it was given up before it was answered.
    pub cut_off: u64,
    /// Rows it gave or changed.
    pub rows: u64,
    /// Half of the times were no longer, within 41 %.
    pub p50_ms: Option<f64>,
    /// 99 of 100 were no longer, within 41 %.
    pub p99_ms: Option<f64>,
    /// The longest.
    pub worst_ms: f64,
    /// All together.
    pub total_ms: f64,
    /// Seconds since it ran last.
    pub last_secs_ago: u64,
}

impl From<Queries> for QueriesView {
    fn from(found: Queries) -> Self {
        Self {
            window_secs: found.window.map(|window| window.as_secs()),
            dropped: found.dropped,
            queries: found.queries.into_iter().map(QueryView::from).collect(),
        }
    }
}

impl From<Query> for QueryView {
    fn from(query: Query) -> Self {
        let millis = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        Self {
            plan: query.plan,
            count: query.count,
            failed: query.failed,
            cut_off: query.cut_off,
            rows: query.rows,
            p50_ms: query.p50.map(millis),
            p99_ms: query.p99.map(millis),
            worst_ms: millis(query.worst),
            total_ms: millis(query.total),
            last_secs_ago: query.last.as_secs(),
        }
    }
}

impl Control {
    /// How long the tenant's statements took on this gateway, by plan.
    pub async fn queries(
        &self,
        _caller: &Caller,
        named: &str,
    ) -> Result<QueriesView, ControlFault> {
        let tenant = self.find(named).await?;
        let meter = self.serving()?.tenants.traffic().meter(tenant.id);
        Ok(meter.queries().into())
    }
}
