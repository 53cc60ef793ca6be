//! Adding up what tenants used, and showing it.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;
use uuid::Uuid;

use super::fault::ControlFault;
use super::{Caller, Control};
use crate::base::TenantId;
use crate::registry::{Addition, Month, Registry, RegistryFault, UsedInMonth};
use crate::telemetry::Recurring;
use crate::telemetry::traffic::Traffic;
use crate::telemetry::usage::Usage;

/// How often it is added up.
const EVERY: Duration = Duration::from_mins(1);
/// Tenants added up in one transaction: others write the registry too.
const TOGETHER: usize = 100;
/// Months shown of a tenant: ten years.
const MONTHS: u32 = 120;
/// Tenants on a page of a month.
const PAGE: u32 = 500;

/// What a tenant used in a month.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct UsageView {
    /// Identity.
    pub tenant: Uuid,
    /// Slug.
    pub name: String,
    /// `YYYY-MM`, UTC.
    pub month: String,
    /// Requests with one of the tenant's tokens, whatever was answered.
    pub requests: u64,
    /// Rows read from and changed in its database.
    pub rows: u64,
    /// Bytes of the answers' bodies, as they were sent.
    pub bytes: u64,
    /// Seconds during which its database was at work for requests, each connection by itself.
    pub database_seconds: f64,
}

/// What a tenant used, month by month.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TenantUsage {
    /// Newest first; months without a request are left out, unless one was asked for.
    pub months: Vec<UsageView>,
}

/// What every tenant used in a month.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct UsagePage {
    /// By name; tenants without a request are left out.
    pub tenants: Vec<UsageView>,
    /// For `cursor`, where there are more.
    pub next: Option<String>,
}

impl From<UsedInMonth> for UsageView {
    fn from(used: UsedInMonth) -> Self {
        let UsedInMonth { tenant, name, month, usage } = used;
        Self {
            tenant: *tenant.as_uuid(),
            name: name.as_str().to_owned(),
            month: month.to_string(),
            requests: usage.requests,
            rows: usage.rows,
            bytes: usage.bytes,
            database_seconds: Duration::from_micros(usage.database_micros).as_secs_f64(),
        }
    }
}

/// How far this run's counts are in the registry.
#[derive(Default)]
pub(super) struct AddedUp {
    /// What is there, of each tenant.
    added: HashMap<TenantId, Usage>,
    /// The number of the last addition.
    number: u64,
    /// One whose outcome was not heard; it is tried again as it was.
    pending: Option<Pending>,
    failing: Recurring,
}

struct Pending {
    month: Month,
    used: Vec<(TenantId, Usage)>,
}

/// What a serving gateway adds up by.
pub struct Bookkeeping {
    /// Names this run in the registry; another start is another run.
    run: String,
    state: Mutex<AddedUp>,
}

impl Bookkeeping {
    /// Nothing is added up yet. `instance` is for people who read the registry.
    pub fn new(instance: &str) -> Self {
        Self { run: format!("{instance} {}", Uuid::new_v4()), state: Mutex::default() }
    }

    /// Adds what was counted since the last time to the registry.
    async fn add_up(
        &self,
        registry: &Registry,
        traffic: &Traffic,
        month: impl Fn() -> Month,
    ) -> Result<(), RegistryFault> {
        let mut state = self.state.lock().await;
        state.add_pending(registry, &self.run).await?;
        let mut used = state.open(traffic);
        // In one order everywhere, so that two gateways never wait for each other's rows.
        used.sort_unstable_by_key(|(tenant, _)| *tenant);
        for used in used.chunks(TOGETHER) {
            state.number += 1;
            state.pending = Some(Pending { month: month(), used: used.to_vec() });
            state.add_pending(registry, &self.run).await?;
        }
        Ok(())
    }
}

impl AddedUp {
    /// What was counted and is not added up.
    fn open(&self, traffic: &Traffic) -> Vec<(TenantId, Usage)> {
        let open = traffic.used().into_iter().map(|(tenant, used)| {
            (tenant, used - self.added.get(&tenant).copied().unwrap_or_default())
        });
        open.filter(|(_, open)| !open.is_nothing()).collect()
    }

    async fn add_pending(&mut self, registry: &Registry, run: &str) -> Result<(), RegistryFault> {
        let Some(Pending { month, used }) = &self.pending else { return Ok(()) };
        registry.add_usage(&Addition { run, number: self.number, month, used }).await?;
        for (tenant, used) in used {
            let added = self.added.entry(*tenant).or_default();
            *added = *added + *used;
        }
        self.pending = None;
        Ok(())
    }
}

impl Control {
    /// Adds up what tenants used, about once a minute, until `stop`.
    pub async fn run_usage(self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
            self.add_up_usage().await;
        }
    }

    /// Adds up what tenants used up to now. While the registry is away it is kept in memory.
    pub async fn add_up_usage(&self) {
        let Some(serving) = &self.0.serving else { return };
        let month = || Month::of(self.0.clock.now());
        let (registry, traffic) = (&self.0.registry, serving.tenants.traffic());
        let outcome = serving.usage.add_up(registry, traffic, month).await;
        let mut state = serving.usage.state.lock().await;
        match outcome {
            Ok(()) => {
                if let Some(times) = state.failing.succeeded() {
                    tracing::info!(target: "wardgate::control", times, "usage is added up again");
                }
            }
            Err(fault) => {
                if let Some(times) = state.failing.failed() {
                    tracing::warn!(target: "wardgate::control", reason = %fault, times,
                        "usage could not be added up; it is kept in memory");
                }
            }
        }
    }

    /// What a tenant used: in that month, or in each of the last ones. What this gateway counted up to now is
    /// in it; other gateways' last minute may not be.
    pub async fn usage(
        &self,
        _caller: &Caller,
        named: &str,
        month: Option<&str>,
    ) -> Result<TenantUsage, ControlFault> {
        let wanted = month.map(str::parse::<Month>).transpose()?;
        let tenant = self.find(named).await?;
        self.add_up_usage().await;
        let mut months = self.0.registry.usage_of(tenant.id, MONTHS).await?;
        if let Some(month) = wanted {
            months.retain(|used| used.month == month);
            if months.is_empty() {
                let usage = Usage::default();
                months.push(UsedInMonth { tenant: tenant.id, name: tenant.name, month, usage });
            }
        }
        Ok(TenantUsage { months: months.into_iter().map(UsageView::from).collect() })
    }

    /// What a tenant used, as far as it is added up.
    pub async fn usage_added_up(
        &self,
        _caller: &Caller,
        named: &str,
    ) -> Result<TenantUsage, ControlFault> {
        let tenant = self.find(named).await?;
        let months = self.0.registry.usage_of(tenant.id, MONTHS).await?;
        Ok(TenantUsage { months: months.into_iter().map(UsageView::from).collect() })
    }

    /// What every tenant used in a month, the present one by default: a page of it.
    pub async fn usage_of_all(
        &self,
        _caller: &Caller,
        month: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<UsagePage, ControlFault> {
        let month = month.map(str::parse::<Month>).transpose()?;
        let month = month.unwrap_or_else(|| Month::of(self.0.clock.now()));
        self.add_up_usage().await;
        let found = self.0.registry.usage_in(&month, cursor, PAGE + 1).await?;
        let more = found.len() > PAGE as usize;
        let tenants: Vec<UsageView> =
            found.into_iter().take(PAGE as usize).map(UsageView::from).collect();
        let next = if more { tenants.last().map(|used| used.name.clone()) } else { None };
        Ok(UsagePage { tenants, next })
    }
}
