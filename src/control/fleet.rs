//! The whole fleet at a glance, on this gateway.

use std::collections::HashMap;

use uuid::Uuid;

use super::events::event_view;
use super::fault::ControlFault;
use super::health::{self, Broken, Health, Level, Signs};
use super::lanes::{breaker_view, lane_view};
use super::skew::{SchemaFilter, SchemaStand};
use super::view::EventView;
use super::{BreakerView, Caller, Control, LaneView};
use crate::base::{Generation, TenantId};
use crate::registry::{self, EventFilter, RegistryFault, Tenant, TenantSummary};
use crate::telemetry::traffic::Recent;

/// Tenants read from the registry at a time.
const BATCH: u32 = 1000;
/// Changes told to somebody who has seen an older state.
const CHANGES: u32 = 10;

/// A tenant's line in the fleet.
#[derive(Debug, Clone)]
pub struct FleetRow {
    /// Immutable identity.
    pub id: Uuid,
    /// Slug.
    pub name: String,
    /// Name for people.
    pub display_name: String,
    /// Where it is in its life.
    pub state: &'static str,
    /// Its database's kind, once a connection is registered.
    pub engine: Option<&'static str>,
    /// Configuration generation.
    pub generation: u64,
    /// The mapping version in force.
    pub mapping: Option<u64>,
    /// How far its database's schema is, where the gateway made it.
    pub schema: Option<SchemaStand>,
    /// Its lane on this gateway.
    pub lane: LaneView,
    /// Its breaker on this gateway.
    pub breaker: BreakerView,
    /// What it was asked lately, on this gateway.
    pub recent: Recent,
    /// How it is.
    pub health: Health,
}

/// In which order. Ties are in the order of slugs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FleetOrder {
    /// The sickest first.
    #[default]
    Health,
    /// By slug.
    Name,
    /// The busiest first.
    Requests,
    /// Most errors first.
    Errors,
    /// The slowest first.
    Slowest,
    /// Failed and old schemas first.
    Schema,
}

/// Which tenants to show. `None` and empty filter nothing.
#[derive(Debug, Clone, Default)]
pub struct FleetFilter {
    /// Part of the slug or the display name, in any case.
    pub text: String,
    /// Only how they are.
    pub level: Option<Level>,
    /// Only in this state.
    pub state: Option<String>,
    /// Only of this engine.
    pub engine: Option<String>,
    /// Only with their schema so far.
    pub schema: Option<SchemaFilter>,
    /// In which order.
    pub order: FleetOrder,
    /// Which page, from 1.
    pub page: usize,
    /// Lines of a page, 1 to 200.
    pub size: usize,
}

/// A page of the fleet.
#[derive(Debug, Clone)]
pub struct FleetPage {
    /// The lines of this page.
    pub rows: Vec<FleetRow>,
    /// How many fit the filter, on all pages.
    pub matching: usize,
    /// How many there are, by how they are: ill, to be watched, well, off.
    pub levels: [usize; 4],
    /// This page, from 1.
    pub page: usize,
    /// How many pages there are, at least 1.
    pub pages: usize,
}

impl Control {
    /// The fleet as this gateway sees it now.
    pub async fn fleet(
        &self,
        _caller: &Caller,
        filter: &FleetFilter,
    ) -> Result<FleetPage, ControlFault> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let every = registry::TenantFilter::default();
            let batch = self.0.registry.list_tenants(&every, after.as_deref(), BATCH).await?;
            let full = batch.len() == BATCH as usize;
            after = batch.last().map(|last| last.name.clone());
            all.extend(batch);
            if !full {
                break;
            }
        }
        let stands = self.schema_stands(None).await?;
        let changed = self.changed_schemas(None).await?;
        let serving = self.serving()?;
        let mut lanes: HashMap<_, _> = serving.pools.statuses().into_iter().collect();
        let rows = all.into_iter().map(|listed| match listed.summary {
            Ok(summary) => {
                let id = summary.tenant.id;
                let lane = lane_view(lanes.remove(&id));
                let breaker = breaker_view(serving.pools.breaker_status(id));
                let recent = serving.traffic.recent(id);
                let broken = changed.get(&id).and_then(|drift| Broken::of(drift, &summary));
                let broken = broken.as_ref();
                let signs = Signs { lane: &lane, breaker: &breaker, recent: &recent, broken };
                let health = health::of(&summary, &signs, self.0.clock.now());
                let schema = stands.get(&id).copied();
                row(summary, (lane, breaker), recent, schema, health)
            }
            Err(what) => damaged_row(listed.id, &listed.name, listed.tenant, what),
        });
        let mut levels = [0; 4];
        let mut rows: Vec<FleetRow> =
            rows.inspect(|row| levels[row.health.level as usize] += 1).collect();
        let text = filter.text.trim().to_lowercase();
        rows.retain(|row| {
            (text.is_empty()
                || row.name.contains(&text)
                || row.display_name.to_lowercase().contains(&text))
                && filter.level.is_none_or(|level| row.health.level == level)
                && filter.state.as_deref().is_none_or(|state| row.state == state)
                && filter.engine.as_deref().is_none_or(|engine| row.engine == Some(engine))
                && filter.schema.is_none_or(|schema| schema.fits(row.schema))
        });
        order(&mut rows, filter.order);
        let size = filter.size.clamp(1, 200);
        let pages = rows.len().div_ceil(size).max(1);
        let page = filter.page.clamp(1, pages);
        let matching = rows.len();
        let rows = rows.into_iter().skip((page - 1) * size).take(size).collect();
        Ok(FleetPage { rows, matching, levels, page, pages })
    }

    /// One tenant's line.
    pub async fn fleet_row(&self, _caller: &Caller, named: &str) -> Result<FleetRow, ControlFault> {
        let tenant = self.find(named).await?;
        let config = match self.0.registry.tenant_config(tenant.id).await {
            Err(RegistryFault::Damaged(what)) => {
                let name = tenant.name.as_str().to_owned();
                return Ok(damaged_row(Some(tenant.id), &name, Some(tenant), what));
            }
            config => config?.ok_or(ControlFault::NoSuchTenant)?,
        };
        let summary = TenantSummary {
            engine: config.connection.as_ref().map(|connection| connection.engine),
            active_mapping: config.mapping.as_ref().map(|mapping| mapping.version),
            tenant: config.tenant,
        };
        let serving = self.serving()?;
        let id = summary.tenant.id;
        let lane = lane_view(serving.pools.status(id));
        let breaker = breaker_view(serving.pools.breaker_status(id));
        let schema = self.schema_stands(Some(id)).await?.remove(&id);
        let recent = serving.traffic.recent(id);
        let changed = self.changed_schemas(Some(id)).await?.remove(&id);
        let broken = changed.and_then(|drift| Broken::of(&drift, &summary));
        let broken = broken.as_ref();
        let signs = Signs { lane: &lane, breaker: &breaker, recent: &recent, broken };
        let health = health::of(&summary, &signs, self.0.clock.now());
        Ok(row(summary, (lane, breaker), recent, schema, health))
    }

    /// What was done to a tenant, newest first.
    pub async fn tenant_events(
        &self,
        _caller: &Caller,
        named: &str,
        limit: u32,
    ) -> Result<Vec<EventView>, ControlFault> {
        let tenant = self.find(named).await?;
        let filter = EventFilter { tenant: Some(tenant.id), before: None };
        let found = self.0.registry.list_events(&filter, limit.clamp(1, 200)).await?;
        Ok(found.into_iter().map(event_view).collect())
    }

    /// What was done to a tenant since it was as somebody has seen it, newest first; the last few where it
    /// was much.
    pub async fn changes_since(
        &self,
        caller: &Caller,
        named: &str,
        seen: Generation,
    ) -> Result<Vec<EventView>, ControlFault> {
        let mut found = self.tenant_events(caller, named, CHANGES).await?;
        found.retain(|event| event.generation.is_some_and(|generation| generation > seen.0));
        Ok(found)
    }

    /// The slugs of tenants by their ids, as far as they are known.
    pub async fn tenant_names(
        &self,
        _caller: &Caller,
        ids: impl Iterator<Item = Uuid> + Send,
    ) -> Result<HashMap<Uuid, String>, ControlFault> {
        let ids: std::collections::BTreeSet<_> = ids.map(TenantId::from_uuid).collect();
        let names = self.0.registry.tenant_names(ids.into_iter()).await?;
        Ok(names.into_iter().map(|(id, name)| (*id.as_uuid(), name)).collect())
    }
}

fn row(
    summary: TenantSummary,
    (lane, breaker): (LaneView, BreakerView),
    recent: Recent,
    schema: Option<SchemaStand>,
    health: Health,
) -> FleetRow {
    let tenant = summary.tenant;
    FleetRow {
        id: *tenant.id.as_uuid(),
        name: tenant.name.as_str().to_owned(),
        display_name: tenant.display_name,
        state: tenant.state.as_str(),
        engine: summary.engine.map(crate::base::Engine::as_str),
        generation: tenant.generation.0,
        mapping: summary.active_mapping,
        schema,
        lane,
        breaker,
        recent,
        health,
    }
}

/// The line of a tenant whose configuration does not read.
fn damaged_row(
    id: Option<TenantId>,
    name: &str,
    tenant: Option<Tenant>,
    what: &'static str,
) -> FleetRow {
    FleetRow {
        id: id.map_or_else(Uuid::nil, |id| *id.as_uuid()),
        name: name.to_owned(),
        display_name: tenant.as_ref().map_or_else(|| name.to_owned(), |t| t.display_name.clone()),
        state: tenant.as_ref().map_or("damaged", |t| t.state.as_str()),
        engine: None,
        generation: tenant.map_or(0, |t| t.generation.0),
        mapping: None,
        schema: None,
        lane: lane_view(None),
        breaker: breaker_view(None),
        recent: Recent::default(),
        health: health::damaged(what),
    }
}

/// They come in the order of their slugs, and sorting keeps what is equal in place.
fn order(rows: &mut [FleetRow], by: FleetOrder) {
    use std::cmp::Reverse;
    match by {
        FleetOrder::Name => {}
        FleetOrder::Health => rows.sort_by_key(|row| row.health.level),
        FleetOrder::Requests => rows.sort_by_key(|row| Reverse(row.recent.total())),
        FleetOrder::Errors => rows.sort_by_key(|row| Reverse(row.recent.failed())),
        FleetOrder::Schema => rows.sort_by_key(|row| SchemaStand::place(row.schema)),
        FleetOrder::Slowest => rows.sort_by_key(|row| Reverse(row.recent.p99)),
    }
}
