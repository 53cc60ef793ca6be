//! What becomes of a tenant's lane when its configuration changed.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::cache::Standing;
use super::{Shared, TenantConfig, TenantFault, Tenants};
use crate::base::{Deadline, FaultKind, TenantId};
use crate::pool::{LaneSpec, LaneStatus, Lease, PoolFault};
use crate::registry::{Actor, ActorKind, Origin, TenantState};

/// Tenants settled at once. One whose registry row takes long to read delays no other's change.
const AT_ONCE: usize = 8;

impl Tenants {
    /// Follows the registry until `stop`, so that changes made elsewhere count here within seconds.
    /// `flush` is told of every tenant that changed, before anything is waited for.
    pub async fn follow(self, stop: CancellationToken, flush: impl Fn(TenantId) + Send) {
        let mut changes = self.shared.registry.watch(stop);
        let mut history = 0;
        let mut settling = Settling::default();
        loop {
            let change = tokio::select! {
                biased;
                change = changes.recv() => change,
                Some(_) = settling.tasks.join_next() => {
                    settling.go_on(&self);
                    continue;
                }
            };
            let Some(change) = change else { return };
            if change.history > history {
                history = change.history;
                self.restart();
            }
            if self.changed(change.tenant, change.generation) {
                flush(change.tenant);
                settling.queue(change.tenant);
                settling.go_on(&self);
            }
        }
    }

    /// The registry was restored from a backup: nothing read from it before counts, and no lane made
    /// from it lends another connection.
    fn restart(&self) {
        tracing::error!(target: "wardgate::tenant",
            "the registry was restored from a backup; everything known of it is forgotten");
        self.shared.directory.restart();
        self.shared.configs.restart();
        for (tenant, _) in self.shared.pools.statuses() {
            self.retire_lane(tenant);
        }
    }

    /// After a change: a tenant that is no longer active, or whose connection is another one or does not
    /// open any more, must not keep its lane. Goes on when the caller goes away, for nobody else is told of
    /// the same change again.
    pub async fn settle(&self, tenant: TenantId) {
        let tenants = self.clone();
        let settling = tokio::spawn(async move { tenants.settle_lane(tenant).await });
        let _ended = settling.await.is_ok();
    }

    async fn settle_lane(&self, tenant: TenantId) {
        let Some(lane) = self.shared.pools.status(tenant) else { return };
        let config = self.config(tenant).await;
        let spec = config.as_ref().ok().filter(|config| config.state == TenantState::Active);
        let keep = match spec.and_then(|config| config.lane.as_ref()) {
            Some(spec) => self.fits(spec, &lane).await,
            None => false,
        };
        if !keep {
            self.retire_lane(tenant);
        }
    }

    /// Whether the lane stands for the record that is registered now. A revision stands for one content,
    /// so another text under the same revision is a reseal, or somebody's hand in the registry: which of
    /// the two, only opening it tells.
    async fn fits(&self, spec: &LaneSpec, lane: &LaneStatus) -> bool {
        if spec.revision != lane.revision {
            return false;
        }
        if spec.record == lane.record {
            return true;
        }
        match spec.source.record().await {
            Ok(_) if spec.record.id == lane.record.id => {
                self.shared.pools.resealed(spec);
                true
            }
            Ok(_) => false,
            Err(fault) if fault.kind() == FaultKind::Integrity => {
                self.report_tampering(spec).await;
                false
            }
            // The keys cannot be reached, which says nothing of the record. It is asked again at the
            // next change; until then no new connection can be opened with it either.
            Err(_) => true,
        }
    }

    async fn report_tampering(&self, spec: &LaneSpec) {
        tracing::error!(target: "wardgate::integrity", tenant = %spec.tenant,
            record = %spec.record.id, revision = %spec.revision,
            "the registered connection was changed by another hand; its lane is closed");
        let actor = Actor { kind: ActorKind::WorkOrder, subject: "gateway".to_owned() };
        let origin = Origin { actor, request_id: String::new() };
        let detail = serde_json::json!({ "record": spec.record.id, "revision": spec.revision });
        let noted = self.shared.registry.record_event(
            "integrity.connection",
            Some(spec.tenant),
            &detail,
            &origin,
        );
        if let Err(fault) = noted.await {
            tracing::warn!(target: "wardgate::integrity", %fault, "the operators' log did not take it");
        }
    }

    /// Whether a lease made with `spec` may be used, although something changed since its session was
    /// opened.
    async fn still_served(&self, spec: &LaneSpec) -> Result<(), TenantFault> {
        let now = self.config(spec.tenant).await?;
        if now.state != TenantState::Active {
            return Err(TenantFault::NotServed(now.state.as_str()));
        }
        match &now.lane {
            Some(lane) if same(lane, spec) => Ok(()),
            _ => Err(PoolFault::Superseded.into()),
        }
    }
}

/// Whether two lanes are to one database, whatever their limits.
fn same(one: &LaneSpec, other: &LaneSpec) -> bool {
    one.revision == other.revision && one.record.id == other.record.id
}

impl Shared {
    /// Whether a configuration, read in that history of the registry, is the latest that was announced.
    pub(super) fn stands(&self, config: &TenantConfig, history: u64) -> bool {
        self.configs.standing(config.id) == Standing { floor: config.generation, history }
    }

    /// A tenant's configuration as it is now.
    pub(super) async fn present(
        self: &Arc<Self>,
        tenant: TenantId,
    ) -> Result<Arc<TenantConfig>, TenantFault> {
        Tenants { shared: Arc::clone(self) }.config(tenant).await
    }

    /// Borrows a connection for a session that was opened with `config` in that history of the registry.
    pub(super) async fn lease(
        self: &Arc<Self>,
        config: &TenantConfig,
        history: u64,
        writes: bool,
        deadline: Deadline,
    ) -> Result<Lease, TenantFault> {
        let tenants = Tenants { shared: Arc::clone(self) };
        let own = config.lane.as_ref().ok_or(TenantFault::Incomplete("connection"))?;
        // Work that lasts, as an export does, goes on under the limits of today: with those it began under,
        // its lane and everybody else's would replace each other in turn.
        let now =
            if self.stands(config, history) { None } else { tenants.config(config.id).await.ok() };
        let today = now.as_ref().and_then(|now| now.lane.as_ref()).filter(|lane| same(lane, own));
        let spec = today.unwrap_or(own);
        let lease = if writes {
            self.pools.lease_writer(spec, deadline).await?
        } else {
            self.pools.lease(spec, deadline).await?
        };
        let lease = lease.metered(Arc::clone(&config.meter));
        if lease.opened_lane() {
            self.suspect(config.id);
        }
        // Asked with the lease in hand: a change announced later finds the lane and settles it; one
        // announced before may have found none, for this lease may have made it.
        if self.stands(config, history) {
            return Ok(lease);
        }
        let served = tenants.still_served(spec).await;
        if served.is_err() {
            tenants.settle(config.id).await;
        }
        served.map(|()| lease)
    }
}

/// Tenants to be settled, each once, and those being settled.
#[derive(Default)]
struct Settling {
    tasks: JoinSet<()>,
    waiting: VecDeque<TenantId>,
    queued: HashSet<TenantId>,
}

impl Settling {
    fn queue(&mut self, tenant: TenantId) {
        if self.queued.insert(tenant) {
            self.waiting.push_back(tenant);
        }
    }

    fn go_on(&mut self, tenants: &Tenants) {
        while self.tasks.len() < AT_ONCE
            && let Some(tenant) = self.waiting.pop_front()
        {
            self.queued.remove(&tenant);
            let tenants = tenants.clone();
            self.tasks.spawn(async move { tenants.settle(tenant).await });
        }
    }
}
