use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use metrics::counter;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::admission::Gate;
use super::breaker::Breaker;
use super::fair::Fair;
use super::lane::Lane;
use super::lease::{Lease, background};
use super::open;
use super::{
    Admission, BreakerStatus, Dial, LaneSpec, LaneStatus, PoolConfig, PoolFault, TenantLimits,
};
use crate::base::{Clock, Deadline, TenantId};
use crate::telemetry::pool_metrics as names;

/// Every tenant's lane, breaker and admission. Cheap to clone.
///
/// Lanes close by themselves when idle only while [`Pools::run_maintenance`] runs.
#[derive(Clone)]
pub struct Pools {
    pub(super) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: PoolConfig,
    pub(crate) dialer: Arc<dyn Dial>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(super) lanes: Cache<TenantId, Arc<Lane>>,
    pub(super) evicted: Mutex<Option<mpsc::UnboundedReceiver<Arc<Lane>>>>,
    /// Lanes on their way out.
    pub(super) retiring: Mutex<Vec<Weak<Lane>>>,
    pub(super) tenants: RwLock<HashMap<TenantId, Arc<TenantState>>>,
    pub(super) budget: Fair,
    closed: AtomicBool,
    began: Instant,
}

/// What outlives a tenant's lane.
pub(super) struct TenantState {
    pub(super) gate: Gate,
    pub(super) breaker: Arc<Breaker>,
    revision: AtomicU64,
    /// Milliseconds after the pools began.
    pub(super) used: AtomicU64,
}

/// How much longer than her patience a caller waits for an attempt's own word of why it failed.
const WORD: Duration = Duration::from_millis(20);

impl Pools {
    /// Pools that open connections with `dialer`.
    pub fn new(config: PoolConfig, dialer: Arc<dyn Dial>, clock: Arc<dyn Clock>) -> Self {
        let (sender, evicted) = mpsc::unbounded_channel();
        // The listener runs inside other callers' operations, so it only passes the lane on.
        let lanes = Cache::builder()
            .max_capacity(config.max_lanes)
            .time_to_idle(config.idle_timeout)
            .eviction_policy(EvictionPolicy::lru())
            .eviction_listener(move |_tenant, lane, _cause| drop(sender.send(lane)))
            .build();
        let budget = Fair::new(config.total_connections);
        Self {
            inner: Arc::new(Inner {
                config,
                dialer,
                clock,
                lanes,
                evicted: Mutex::new(Some(evicted)),
                retiring: Mutex::default(),
                tenants: RwLock::default(),
                budget,
                closed: AtomicBool::new(false),
                began: Instant::now(),
            }),
        }
    }

    /// Admits a request of `tenant`, or turns it away with the time to come back. Keep the admission
    /// until the request is answered.
    pub fn admit(&self, tenant: TenantId, limits: &TenantLimits) -> Result<Admission, PoolFault> {
        if self.inner.is_closed() {
            return Err(PoolFault::Closed);
        }
        self.inner.tenant(tenant).gate.admit(limits).inspect_err(|_| {
            counter!(names::THROTTLED, names::TENANT => tenant.to_string()).increment(1);
        })
    }

    /// Borrows a connection, opening the tenant's lane and a connection where need be.
    ///
    /// A newer connection revision, or other limits, replace the lane. A newer revision also closes the
    /// breaker, because what it learnt was about another record.
    ///
    /// # Errors
    /// At once: [`PoolFault::BreakerOpen`], [`PoolFault::Saturated`], [`PoolFault::Superseded`] (an older
    /// revision than the lane's), [`PoolFault::Closed`]. After a wait of at most the acquire timeout in
    /// all: [`PoolFault::AcquireTimeout`], [`PoolFault::BudgetSpent`]. From opening a connection:
    /// [`PoolFault::Connect`], [`PoolFault::Record`], [`PoolFault::WrongServer`]. By an earlier `deadline`:
    /// [`PoolFault::Timeout`].
    pub async fn lease(&self, spec: &LaneSpec, deadline: Deadline) -> Result<Lease, PoolFault> {
        self.lend(spec, false, deadline).await
    }

    pub(super) async fn lend(
        &self,
        spec: &LaneSpec,
        writes: bool,
        deadline: Deadline,
    ) -> Result<Lease, PoolFault> {
        let tenant = self.inner.tenant(spec.tenant);
        if tenant.revision.fetch_max(spec.revision.0, Ordering::Relaxed) < spec.revision.0 {
            tenant.breaker.reset();
        }
        let patience = deadline.within(spec.limits.acquire_timeout);
        let mut refused = PoolFault::Retired;
        for _ in 0..4 {
            let lane = self.inner.lane(spec)?;
            match self.lease_from(&lane, spec, &tenant.breaker, writes, patience).await {
                // A lane can be retired between being found and being used; its successor is one step away.
                Err(PoolFault::Retired) => refused = PoolFault::Retired,
                // The server gives no more connections than there are: one of these will do.
                Err(fault @ PoolFault::Connect(_)) if fault.is_full() && lane.is_crowded() => {
                    refused = fault;
                }
                // It refuses the account and serves those that are open: likewise.
                Err(fault @ PoolFault::Connect(_))
                    if fault.is_refused_account() && tenant.breaker.holds_logins() =>
                {
                    refused = fault;
                }
                Err(PoolFault::AcquireTimeout) if deadline.passed() => {
                    return Err(PoolFault::Timeout);
                }
                outcome => return outcome,
            }
        }
        Err(refused)
    }

    async fn lease_from(
        &self,
        lane: &Arc<Lane>,
        spec: &LaneSpec,
        breaker: &Arc<Breaker>,
        writes: bool,
        patience: Deadline,
    ) -> Result<Lease, PoolFault> {
        let mut pass = breaker.enter()?;
        let writer = if writes { lane.writing(patience).await? } else { None };
        let writes = writer.is_some();
        let permits = (lane.permit(patience).await?, writer);
        if !pass.counts() {
            // The breaker changed its mind while this caller waited.
            drop(pass);
            pass = breaker.enter()?;
        }
        if lane.refuses() {
            return Err(PoolFault::WrongServer);
        }
        let inner = &self.inner;
        while let Some(mut link) = lane.take(writes) {
            if !link.is_quiet() {
                // A reply nobody asked for would be read as the next one; a farewell is for all.
                lane.distrust();
                continue;
            }
            if inner.is_overdue(&link) {
                let Some(asked) = inner.asked(lane, link, patience).await? else { continue };
                link = asked;
            }
            let config = &inner.config;
            if !link.suspect && link.idle_since.elapsed() < config.check_after_idle {
                return Ok(Lease::new(Arc::clone(inner), Arc::clone(lane), link, permits, pass));
            }
            if patience.passed() {
                if let Some(link) = lane.put_back(link) {
                    background(link.close(config.close_timeout));
                }
                return Err(PoolFault::AcquireTimeout);
            }
            let limit = config.check_timeout.min(patience.remaining());
            if link.answers(limit).await {
                link.suspect = false;
                return Ok(Lease::new(Arc::clone(inner), Arc::clone(lane), link, permits, pass));
            }
            if limit < config.check_timeout && patience.passed() {
                // It was given less time than a sound server may take: that says nothing of the others.
                return Err(PoolFault::AcquireTimeout);
            }
            // The others on the shelf are older still. A fresh attempt tells what is wrong.
            drop(link);
            drop(lane.clear());
        }
        // The caller's own source: the lane may be older than a reseal of its record.
        let wanted =
            open::Wanted { source: Arc::clone(&spec.source), weight: spec.limits.weight, patience };
        let opened = open::spawn(Arc::clone(inner), Arc::clone(lane), wanted, permits, pass);
        // The attempt knows better than the clock what it waited for.
        let until = patience.at() + WORD;
        tokio::select! {
            biased;
            opened = timeout_at(until, opened) => match opened {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_ended)) => Err(PoolFault::Internal),
                Err(_elapsed) => Err(PoolFault::AcquireTimeout),
            },
            () = lane.killed.cancelled() => Err(PoolFault::Retired),
        }
    }

    /// Retires the tenant's lane, if there is one: nobody new gets a connection of it, those lent may
    /// be used to the end, but no longer than the backstop.
    pub fn retire(&self, tenant: TenantId) {
        if let Some(lane) = self.inner.lanes.remove(&tenant) {
            self.inner.retire(&lane);
        }
    }

    /// Retires the tenant's lanes and waits until they are over. `false` when `deadline` came first.
    pub async fn drain(&self, tenant: TenantId, deadline: Deadline) -> bool {
        self.retire(tenant);
        let mut over = true;
        for lane in self.inner.retiring_lanes() {
            if lane.spec.tenant == tenant {
                over &= timeout_at(deadline.at(), lane.tracker.wait()).await.is_ok();
            }
        }
        over
    }

    /// Notes that the lane's record was found unchanged under another seal.
    pub fn resealed(&self, spec: &LaneSpec) {
        let mut lanes = self.inner.lanes.iter();
        if let Some((_, lane)) = lanes.find(|(tenant, _)| **tenant == spec.tenant)
            && lane.spec.revision == spec.revision
            && lane.spec.record.id == spec.record.id
        {
            lane.resealed(spec.record);
        }
    }

    /// What the tenant's lane is doing; `None` when there is none.
    pub fn status(&self, tenant: TenantId) -> Option<LaneStatus> {
        // Iterating, unlike getting, does not count as use.
        let mut lanes = self.inner.lanes.iter();
        lanes.find(|(key, _)| **key == tenant).map(|(_, lane)| lane.status())
    }

    /// What every lane is doing.
    pub fn statuses(&self) -> Vec<(TenantId, LaneStatus)> {
        self.inner.lanes.iter().map(|(tenant, lane)| (*tenant, lane.status())).collect()
    }

    /// What the tenant's breaker is doing; `None` when nothing was heard of the tenant for long.
    pub fn breaker_status(&self, tenant: TenantId) -> Option<BreakerStatus> {
        let tenants = self.inner.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.get(&tenant).map(|state| state.breaker.status())
    }

    /// Closes the tenant's breaker.
    pub fn reset_breaker(&self, tenant: TenantId) {
        let tenants = self.inner.tenants.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = tenants.get(&tenant) {
            state.breaker.reset();
        }
    }

    /// Ends all lanes at once: nothing is lent any more, what is lent may be used until `deadline`, then
    /// it is cut off. Returns when every connection is closed, one close timeout after that at most.
    pub async fn close(&self, deadline: Deadline) {
        let inner = &self.inner;
        inner.closed.store(true, Ordering::SeqCst);
        let open: Vec<_> = inner.lanes.iter().map(|(_, lane)| lane).collect();
        for lane in &open {
            inner.retire(lane);
        }
        inner.lanes.invalidate_all();
        let lanes = inner.retiring_lanes();
        let over = || futures_util::future::join_all(lanes.iter().map(|lane| lane.tracker.wait()));
        if timeout_at(deadline.at(), over()).await.is_err() {
            for lane in &lanes {
                lane.killed.cancel();
            }
            let config = &inner.config;
            let limit = config.cancel_timeout + config.check_timeout + config.close_timeout;
            let _outcome = timeout(limit, over()).await;
        }
    }
}

impl Inner {
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Milliseconds since the pools began.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn tenant(&self, tenant: TenantId) -> Arc<TenantState> {
        let now = self.now();
        {
            let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(state) = tenants.get(&tenant) {
                state.used.store(now, Ordering::Relaxed);
                return Arc::clone(state);
            }
        }
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        let state = tenants.entry(tenant).or_insert_with(|| {
            let breaker =
                Breaker::new(tenant, self.config.breaker.clone(), Arc::clone(&self.clock));
            Arc::new(TenantState {
                gate: Gate::new(&TenantLimits::default()),
                breaker: Arc::new(breaker),
                revision: AtomicU64::new(0),
                used: AtomicU64::new(now),
            })
        });
        Arc::clone(state)
    }

    /// The lane for `spec`, made or replaced where need be. Making one does no IO.
    fn lane(&self, spec: &LaneSpec) -> Result<Arc<Lane>, PoolFault> {
        if self.is_closed() {
            return Err(PoolFault::Closed);
        }
        let usable = |lane: &Lane| lane.serves(spec) && !lane.is_retired();
        let found = match self.lanes.get(&spec.tenant) {
            Some(lane) if usable(&lane) => return Ok(lane),
            found => found,
        };
        let newer = |lane: &Lane| lane.spec.revision > spec.revision && !lane.is_retired();
        let entry = self.lanes.entry(spec.tenant).or_insert_with_if(
            || Arc::new(Lane::new(spec.clone())),
            |lane| !usable(lane) && !newer(lane),
        );
        let lane = entry.into_value();
        if let Some(old) = found.filter(|old| !Arc::ptr_eq(old, &lane)) {
            self.retire(&old);
        }
        if self.is_closed() {
            // Closed since it was asked above; nobody else would see this lane out.
            self.lanes.invalidate(&spec.tenant);
            self.retire(&lane);
            return Err(PoolFault::Closed);
        }
        if lane.serves(spec) { Ok(lane) } else { Err(PoolFault::Superseded) }
    }

    /// Retires `lane` and sees it out in the background. Doing it twice is doing it once.
    pub(super) fn retire(&self, lane: &Arc<Lane>) {
        let Some(idle) = lane.retire() else { return };
        {
            let mut retiring = self.retiring.lock().unwrap_or_else(PoisonError::into_inner);
            retiring.retain(|lane| lane.strong_count() > 0);
            retiring.push(Arc::downgrade(lane));
        }
        let (backstop, limit) = (self.config.retire_backstop, self.config.close_timeout);
        let lane = Arc::clone(lane);
        background(async move {
            futures_util::future::join_all(idle.into_iter().map(|link| link.close(limit))).await;
            if timeout(backstop, lane.tracker.wait()).await.is_err() {
                tracing::warn!(tenant = %lane.spec.tenant, "leases of a retired lane are cut off");
                lane.killed.cancel();
                lane.tracker.wait().await;
            }
            lane.show(true);
        });
    }

    pub(super) fn retiring_lanes(&self) -> Vec<Arc<Lane>> {
        let retiring = self.retiring.lock().unwrap_or_else(PoisonError::into_inner);
        retiring.iter().filter_map(Weak::upgrade).collect()
    }
}
