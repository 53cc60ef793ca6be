//! Comparing a tenant's live schema with what its mapping in force was checked against.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::{Control, ControlFault, Orders};
use crate::base::{Deadline, TenantId, Timestamp};
use crate::control::view::CheckFinding;
use crate::mapping::catalog::Catalog;
use crate::mapping::{Document, compile, drift};
use crate::registry::{Actor, ActorKind, Origin, SchemaCheck, Tenant, TenantState};
use crate::telemetry::names;

/// How a tenant's live schema compares with its mapping in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DriftView {
    /// The mapping version that was compared.
    pub version: u32,
    /// When it was looked at (RFC 3339).
    pub checked_at: String,
    /// What is not as it was; empty when all is.
    pub changes: Vec<DriftChange>,
}

impl DriftView {
    /// Whether requests fail until somebody acts.
    pub fn breaks(&self) -> bool {
        self.changes.iter().any(|change| change.breaks)
    }
}

/// One thing that changed in the hospital's database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DriftChange {
    /// The table.
    pub table: String,
    /// The column, when it is about one.
    pub column: Option<String>,
    /// `table_gone`, `column_gone`, `type_changed` or `index_gone`.
    pub kind: String,
    /// Whether requests fail until somebody acts.
    pub breaks: bool,
    /// In one sentence.
    pub message: String,
    /// Which parts of the mapping need it.
    pub paths: Vec<String>,
    /// When it was first seen (RFC 3339).
    #[serde(default)]
    pub since: Option<String>,
}

impl DriftChange {
    /// Whether it is about the same thing, seen at whatever time.
    fn is(&self, other: &Self) -> bool {
        (&self.table, &self.column, &self.kind) == (&other.table, &other.column, &other.kind)
    }
}

/// The gateway itself, under the order to look after schemas.
struct Upkeep {
    deadline: Deadline,
    request: Uuid,
}

impl Orders for Upkeep {}

impl super::super::orders::sealed::Orders for Upkeep {
    fn origin(&self) -> Origin {
        let actor = Actor { kind: ActorKind::WorkOrder, subject: "schema-check".to_owned() };
        Origin { actor, request_id: self.request.to_string() }
    }

    fn due(&self) -> Deadline {
        self.deadline
    }

    fn only(&self) -> Option<TenantId> {
        None
    }
}

impl Control {
    /// Compares a tenant's live schema with its mapping now.
    pub async fn check_drift(
        &self,
        caller: &impl Orders,
        named: &str,
    ) -> Result<DriftView, ControlFault> {
        let tenant = self.find_for(caller, named).await?;
        self.compare(caller, &tenant).await
    }

    /// How a tenant's database compares with the mapping in force now, for a check of its connection; nothing where
    /// none is in force or it cannot be told.
    pub(in crate::control) async fn fit_of(
        &self,
        caller: &impl Orders,
        tenant: &Tenant,
    ) -> Option<CheckFinding> {
        let drift = self.compare(caller, tenant).await.ok()?;
        let broken = drift.changes.iter().filter(|change| change.breaks);
        let said: Vec<&str> = broken.map(|change| change.message.trim_end_matches('.')).collect();
        let found = match said.as_slice() {
            [] => format!("version {} fits", drift.version),
            [first] => (*first).to_owned(),
            [first, rest @ ..] => format!("{first}, and {} more", rest.len()),
        };
        let warning = (!said.is_empty()).then(|| {
            "requests fail of it: have it undone, or publish a mapping for the schema as it is"
                .to_owned()
        });
        Some(CheckFinding { what: "mapping".to_owned(), found, warning })
    }

    /// What was found when a tenant's schema was looked at last; nothing before that, or when another
    /// mapping version is in force by now.
    pub async fn drift(
        &self,
        caller: &impl Orders,
        named: &str,
    ) -> Result<Option<DriftView>, ControlFault> {
        let tenant = self.find_for(caller, named).await?;
        let active = self.0.registry.active_mapping(tenant.id).await?;
        self.known_drift(tenant.id, active).await
    }

    /// The same, of the version in force.
    pub(in crate::control) async fn known_drift(
        &self,
        tenant: TenantId,
        active: Option<u64>,
    ) -> Result<Option<DriftView>, ControlFault> {
        let Some(check) = self.0.registry.schema_check(tenant).await? else { return Ok(None) };
        Ok(of_version(&check, active))
    }

    /// Looks at a tenant on the gateway's own account, unless it was looked at less than `spare` ago. Gives
    /// back whether it was looked at.
    pub async fn look_after(
        &self,
        tenant: TenantId,
        spare: std::time::Duration,
        deadline: Deadline,
    ) -> Result<bool, ControlFault> {
        let now = self.0.clock.now();
        if !self.0.registry.claim_schema_check(tenant, now, spare).await? {
            return Ok(false);
        }
        let upkeep = Upkeep { deadline, request: Uuid::now_v7() };
        let tenant = self.find_for(&upkeep, &tenant.to_string()).await?;
        self.compare(&upkeep, &tenant).await?;
        Ok(true)
    }

    /// Served tenants whose schema did not fit when it was looked at last, that long ago or longer.
    pub async fn schemas_broken(
        &self,
        age: std::time::Duration,
    ) -> Result<Vec<TenantId>, ControlFault> {
        let found = self.0.registry.changed_schemas(None).await?;
        let now = self.0.clock.now();
        let due = |check: &SchemaCheck| now.since(check.checked_at) >= age && view(check).breaks();
        Ok(found.into_iter().filter(|(_, check)| due(check)).map(|(id, _)| id).collect())
    }

    /// What was found last of served tenants whose schema is not as it was, of all or that one.
    pub(in crate::control) async fn changed_schemas(
        &self,
        only: Option<TenantId>,
    ) -> Result<HashMap<TenantId, DriftView>, ControlFault> {
        let found = self.0.registry.changed_schemas(only).await?;
        Ok(found.into_iter().map(|(id, check)| (id, view(&check))).collect())
    }

    /// Served tenants whose schema nobody looked at for that long.
    pub async fn schemas_due(
        &self,
        age: std::time::Duration,
    ) -> Result<Vec<TenantId>, ControlFault> {
        let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        let now = self.0.clock.now().as_millis();
        let since = Timestamp::from_millis(now.saturating_sub(age));
        Ok(self.0.registry.schemas_due(since, 1000).await?)
    }

    async fn compare(
        &self,
        caller: &impl Orders,
        tenant: &Tenant,
    ) -> Result<DriftView, ControlFault> {
        if matches!(tenant.state, TenantState::Offboarding | TenantState::Offboarded) {
            return Err(ControlFault::Conflict("the tenant is not served any more"));
        }
        let registry = &self.0.registry;
        let none = || ControlFault::Conflict("no mapping is in force yet");
        let version = registry.active_mapping(tenant.id).await?.ok_or_else(none)?;
        let stored = registry.mapping(tenant.id, version).await?.ok_or_else(none)?;
        let unreadable = ControlFault::Conflict("the mapping in force cannot be read any more");
        let saved: Option<Catalog> = serde_json::from_str(&stored.catalog).ok();
        let document = Document::parse(&stored.document).ok();
        let compiled = saved.as_ref().zip(document.as_ref());
        let compiled = compiled.and_then(|(saved, document)| compile(document, saved).ok());
        let (Some(saved), Some(compiled)) = (saved, compiled) else { return Err(unreadable) };
        let sources = document.as_ref().map(Document::sources).unwrap_or_default();
        let live = self.live(caller, tenant).await?.catalog(&sources).await?;
        let mut changes: Vec<DriftChange> =
            compiled.drift(Some(&saved), &live).into_iter().map(change).collect();
        let before =
            registry.schema_check(tenant.id).await?.filter(|check| check.version == version);
        let before = before.map(|check| view(&check).changes).unwrap_or_default();
        let now = self.0.clock.now();
        for one in &mut changes {
            let known = before.iter().find(|known| known.is(one));
            one.since = known.and_then(|known| known.since.clone()).or_else(|| Some(stamp(now)));
        }
        let found = super::json(&changes)?;
        let check = SchemaCheck { version, checked_at: now, found };
        registry.put_schema_check(tenant.id, &check).await?;
        let breaks = changes.iter().filter(|c| c.breaks).count();
        let label = tenant.id.to_string();
        metrics::gauge!(names::SCHEMA_DRIFT, "tenant" => label.clone(), "breaks" => "yes")
            .set(gauge(breaks));
        metrics::gauge!(names::SCHEMA_DRIFT, "tenant" => label, "breaks" => "no")
            .set(gauge(changes.len() - breaks));
        let same = |(was, is): (&DriftChange, &DriftChange)| was.is(is) && was.breaks == is.breaks;
        if before.len() != changes.len() || !before.iter().zip(&changes).all(same) {
            let about: Vec<String> = changes.iter().take(20).map(|c| c.message.clone()).collect();
            let detail = json!({ "version": version, "changes": about, "breaks": breaks });
            let action = if changes.is_empty() { "mapping.drift_over" } else { "mapping.drift" };
            registry.record_event(action, Some(tenant.id), &detail, &caller.origin()).await?;
            tracing::warn!(target: "wardgate::control", tenant = %tenant.id, changes = changes.len(), breaks, "the schema is not as the mapping in force needs it");
        }
        Ok(view(&check))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a handful of changes")]
const fn gauge(number: usize) -> f64 {
    number as f64
}

/// What a check found, if it was one of the version in force.
pub(in crate::control) fn of_version(
    check: &SchemaCheck,
    active: Option<u64>,
) -> Option<DriftView> {
    (active == Some(check.version)).then(|| view(check))
}

fn view(check: &SchemaCheck) -> DriftView {
    DriftView {
        version: u32::try_from(check.version).unwrap_or(u32::MAX),
        checked_at: stamp(check.checked_at),
        changes: serde_json::from_str(&check.found).unwrap_or_default(),
    }
}

fn stamp(at: Timestamp) -> String {
    at.to_string()
}

fn change(found: drift::Drift) -> DriftChange {
    let drift::Drift { table, column, kind, breaks, message, paths } = found;
    DriftChange { table, column, kind, breaks, message, paths, since: None }
}
