use serde_json::Value;

use super::answer::actor;
use super::fault::RecordsFault;
use crate::audit::{AccessEvent, Action, AuditFault, Outcome, Target};
use crate::auth::FhirAdmin;
use crate::tenant::Session;

/// A page of the hospital's own access log.
#[derive(Debug)]
pub struct AccessLogPage {
    /// Newest first.
    pub events: Vec<Value>,
    /// The next page's cursor.
    pub next: Option<String>,
}

impl Session<FhirAdmin> {
    /// The hospital's own access log, newest first; at most `limit` events. That it was read stands in
    /// it before the page is given out.
    pub async fn access_log(
        &self,
        cursor: Option<String>,
        limit: usize,
    ) -> Result<AccessLogPage, RecordsFault> {
        let (place, tenant) = (self.audit().place(), self.permit().tenant());
        let read = move || place.newest(tenant, cursor.as_deref(), limit);
        let page = tokio::task::spawn_blocking(read).await;
        let page =
            page.unwrap_or(Err(AuditFault::Closed)).map_err(crate::tenant::TenantFault::from)?;
        let page = page.ok_or(RecordsFault::Cursor)?;
        let event = AccessEvent {
            tenant,
            request: self.request(),
            actor: actor(self.permit().principal()),
            action: Action::Operate("access_log.read"),
            resource_type: None,
            target: Target::Count(page.events.len() as u64),
            outcome: Outcome::Success,
            status: 200,
            generation: self.config().generation,
            purpose: None,
        };
        self.record(event).await?;
        Ok(AccessLogPage { events: page.events, next: page.next })
    }
}
