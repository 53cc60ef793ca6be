use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

use super::traffic::Traffic;

/// How often recorded times are folded into the histograms.
const UPKEEP: Duration = Duration::from_secs(5);

/// Names of the gateway's own metrics. A name is written here once; `docs/OPERATIONS.md` explains them.
pub mod names {
    /// Counter: requests answered, by `listener`, `interaction` and `status` class.
    pub const REQUESTS: &str = "wardgate_requests_total";
    /// Histogram: seconds from request to the answer's first byte, by `interaction`.
    pub const REQUEST_SECONDS: &str = "wardgate_request_seconds";
    /// Counter: refused requests by `reason` (a closed list).
    pub const REFUSALS: &str = "wardgate_refusals_total";
    /// Counter: cells that could not be rendered, by `tenant`.
    pub const BAD_CELLS: &str = "wardgate_bad_cells_total";
    /// Counter: rows left out of an answer, by `tenant`.
    pub const ROWS_LEFT_OUT: &str = "wardgate_rows_left_out_total";
    /// Gauge: things of a tenant's schema that are not as its mapping in force needs them, by `tenant` and
    /// `breaks` (`yes`: requests fail of them).
    pub const SCHEMA_DRIFT: &str = "wardgate_schema_drift";
    /// Counter: integrity events (a seal that did not open, a server that is not the registered one).
    pub const INTEGRITY: &str = "wardgate_integrity_events_total";
    /// Counter: requests answered, by `tenant` and `status` class.
    pub const TENANT_REQUESTS: &str = "wardgate_tenant_requests_total";
    /// Gauge: seconds to the answer, of the last 15 minutes, by `tenant` and `quantile` (0.5, 0.99).
    pub const TENANT_SECONDS: &str = "wardgate_tenant_latency_seconds";
    /// Gauge, always 1: which `name` a `tenant` goes by.
    pub const TENANT_INFO: &str = "wardgate_tenant_info";
    /// Gauge: 1 while the access log can be written, 0 while it cannot and no data is given.
    pub const ACCESS_LOG_READY: &str = "wardgate_access_log_ready";
    /// Counter: events the access log did not take; each is a request that was answered 503.
    pub const ACCESS_LOG_REFUSED: &str = "wardgate_access_log_refused_total";
    /// Gauge: operations that are not over, by `kind` and `state`, of all gateways.
    pub const OPERATIONS: &str = "wardgate_operations";
    /// Gauge: seconds since the oldest of them was ordered, by `kind` and `state`; 0 when there is none.
    pub const OPERATIONS_OLDEST: &str = "wardgate_operations_oldest_age_seconds";
    /// Counter: operations that ended on this gateway, by `kind` and `state` (succeeded, failed, cancelled).
    pub const OPERATIONS_ENDED: &str = "wardgate_operations_ended_total";
    /// Counter: traced requests that a collector took.
    pub const TRACES_SENT: &str = "wardgate_traces_sent_total";
    /// Counter: traced requests that were dropped, by `reason` (queue, collector).
    pub const TRACES_DROPPED: &str = "wardgate_traces_dropped_total";
    /// Counter: configuration loads by `outcome` (hit, loaded, stale, failed).
    pub const CONFIG_LOADS: &str = "wardgate_config_loads_total";
}

/// The Prometheus text page. One for a process, as the metrics facade is.
#[derive(Clone)]
pub struct MetricsPage {
    page: PrometheusHandle,
    traffic: Traffic,
}

impl MetricsPage {
    /// Installs the recorder of this process; a second call shares nothing and records nothing, so tests
    /// with several gateways still work. What `traffic` knows of the last minutes is shown as well.
    pub fn install(traffic: Traffic) -> Self {
        let buckets =
            [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
        let builder = PrometheusBuilder::new();
        let builder = builder
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &buckets)
            .unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let page = Self { page: recorder.handle(), traffic };
        // Already installed: this page stays empty, which only a second gateway in a process sees.
        let _installed = metrics::set_global_recorder(recorder).is_ok();
        // The first one is to be seen as one more than none.
        metrics::counter!(names::INTEGRITY).increment(0);
        page
    }

    /// Folds what was recorded into the histograms from time to time, until `stop`. Without it every
    /// recorded time is held until somebody asks for the page, which may be never.
    pub async fn run_maintenance(self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(UPKEEP)).await.is_some() {
            self.page.run_upkeep();
        }
    }

    /// The page's text in Prometheus exposition format 0.0.4.
    pub fn render(&self) -> String {
        self.traffic.publish();
        self.page.run_upkeep();
        self.page.render()
    }
}
