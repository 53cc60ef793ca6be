use serde::Serialize;
use utoipa::ToSchema;

use super::fault::ControlFault;
use super::{Caller, Control, Serving};
use crate::pool::{BreakerStatus, LaneStatus};

/// A tenant's lane on this gateway.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct LaneView {
    /// Whether there is one; it is made by the first request.
    pub open: bool,
    /// Connections at most.
    pub max: u32,
    /// Connections open.
    pub connections: u32,
    /// Of these, free.
    pub idle: u32,
    /// Of these, lent or being opened.
    pub in_use: u32,
    /// Requests waiting for one.
    pub waiting: u32,
    /// Connections opened since the lane began.
    pub created_total: u64,
    /// Attempts to connect that failed.
    pub failed_total: u64,
    /// Statements cut off by their deadline.
    pub timeouts_total: u64,
    /// Code of the last failure.
    pub last_error: Option<String>,
    /// When it was (RFC 3339).
    pub last_error_at: Option<String>,
}

/// A tenant's breaker on this gateway.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BreakerView {
    /// `closed`, `open` or `half_open`.
    pub state: String,
    /// Since when it is in this state (RFC 3339); nothing while nothing was ever asked of it.
    pub since: Option<String>,
    /// While it is not closed: when it opened first (RFC 3339). Each try that fails begins its state anew, and not this.
    pub unwell_since: Option<String>,
    /// Code of the last failure that counted.
    pub last_reason: Option<String>,
    /// Whether the server refuses the account, so that nobody logs in for a while; connections that are open serve.
    pub holds_logins: bool,
    /// While open: seconds until a probe may pass.
    pub retry_after_secs: Option<u64>,
    /// How often it opened.
    pub opened_total: u64,
    /// How many requests it turned away.
    pub rejected_total: u64,
}

impl Control {
    pub(super) fn serving(&self) -> Result<&Serving, ControlFault> {
        self.0.serving.as_ref().ok_or(ControlFault::NotServing)
    }

    /// The tenant's lane.
    pub async fn lane(&self, _caller: &Caller, named: &str) -> Result<LaneView, ControlFault> {
        let tenant = self.find(named).await?;
        Ok(lane_view(self.serving()?.pools.status(tenant.id)))
    }

    /// Retires the tenant's lane.
    pub async fn drain(&self, caller: &Caller, named: &str) -> Result<(), ControlFault> {
        let tenant = self.find(named).await?;
        self.serving()?.tenants.retire_lane(tenant.id);
        self.note(caller, "lane.drain", &tenant).await
    }

    /// The tenant's breaker.
    pub async fn breaker(
        &self,
        _caller: &Caller,
        named: &str,
    ) -> Result<BreakerView, ControlFault> {
        let tenant = self.find(named).await?;
        Ok(breaker_view(self.serving()?.pools.breaker_status(tenant.id)))
    }

    /// Closes the tenant's breaker now.
    pub async fn reset_breaker(&self, caller: &Caller, named: &str) -> Result<(), ControlFault> {
        let tenant = self.find(named).await?;
        self.serving()?.pools.reset_breaker(tenant.id);
        self.note(caller, "breaker.reset", &tenant).await
    }

    /// Writes the operators' log for what changes no configuration.
    async fn note(
        &self,
        caller: &Caller,
        action: &str,
        tenant: &crate::registry::Tenant,
    ) -> Result<(), ControlFault> {
        let detail = serde_json::json!({});
        let origin = caller.origin();
        Ok(self.0.registry.record_event(action, Some(tenant.id), &detail, &origin).await?)
    }
}

/// A lane as operators see it; none is made before the first request.
pub(super) fn lane_view(status: Option<LaneStatus>) -> LaneView {
    let Some(status) = status else { return LaneView::default() };
    LaneView {
        open: true,
        max: status.max,
        connections: status.open,
        idle: status.idle,
        in_use: status.leased,
        waiting: status.waiting,
        created_total: status.created_total,
        failed_total: status.failed_total,
        timeouts_total: status.timeouts_total,
        last_error: status.last_error.as_ref().map(|(code, _)| code.to_string()),
        last_error_at: status.last_error.as_ref().map(|(_, at)| at.to_string()),
    }
}

/// A breaker as operators see it; closed while nothing was ever asked of it.
pub(super) fn breaker_view(status: Option<BreakerStatus>) -> BreakerView {
    status.map_or_else(
        || BreakerView {
            state: "closed".to_owned(),
            since: None,
            unwell_since: None,
            last_reason: None,
            holds_logins: false,
            retry_after_secs: None,
            opened_total: 0,
            rejected_total: 0,
        },
        |status| BreakerView {
            state: status.state.as_str().to_owned(),
            since: Some(status.since.to_string()),
            unwell_since: status.unwell_since.map(|at| at.to_string()),
            last_reason: status.last_reason.map(|reason| reason.to_string()),
            holds_logins: status.holds_logins,
            retry_after_secs: status.retry_after.map(|wait| wait.as_secs()),
            opened_total: status.opened,
            rejected_total: status.rejected,
        },
    )
}
