//! Lists of tenants. A row that does not read as what it should be is named as damaged and hides no other.

use std::collections::HashSet;

use serde::Serialize;
use uuid::Uuid;

use super::bindings::TenantBinding;
use super::tenants::{TENANT_COLUMNS, Tenant, TenantState, tenant_columns};
use super::value::{Row, binds};
use super::{Registry, RegistryFault, StoredLimits, flags};
use crate::base::{Engine, ServerIdentity, TenantId};

/// A tenant as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TenantSummary {
    /// Its row.
    pub tenant: Tenant,
    /// Its database's kind, once a connection is registered.
    pub engine: Option<Engine>,
    /// The mapping version in force.
    pub active_mapping: Option<u64>,
}

/// One entry of a list of tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its slug as it is stored, which is also where the next page begins.
    pub name: String,
    /// Its id, unless that is damaged.
    pub id: Option<TenantId>,
    /// Its own row, unless that is damaged.
    pub tenant: Option<Tenant>,
    /// The tenant, or which part of its configuration is damaged.
    pub summary: Result<TenantSummary, &'static str>,
}

/// Which tenants to list. `None` filters nothing.
#[derive(Debug, Clone, Default)]
pub struct TenantFilter {
    /// In this state.
    pub state: Option<TenantState>,
    /// Whose slug begins so.
    pub name_prefix: Option<String>,
    /// Whose database is of this kind.
    pub engine: Option<Engine>,
}

const LIST: &str = concat!(
    "SELECT ",
    tenant_columns!(),
    ", c.engine, p.version, c.record_id, c.data_key_id, c.server_identity, l.document, t.flags \
     FROM tenants t LEFT JOIN connections c ON c.tenant = t.id \
     LEFT JOIN publications p ON p.tenant = t.id \
     AND p.seq = (SELECT max(q.seq) FROM publications q WHERE q.tenant = t.id) \
     LEFT JOIN limits l ON l.tenant = t.id \
     WHERE t.name > $1 AND ($2 = '' OR t.state = $2) AND t.name LIKE $3 \
     AND ($4 = '' OR c.engine = $4) ORDER BY t.name LIMIT $5"
);
const BINDINGS: &str = "SELECT b.issuer, b.claim_value, b.azp, b.tenant FROM bindings b \
     JOIN tenants t ON t.id = b.tenant WHERE t.name > $1 AND t.name <= $2";

impl Registry {
    /// Tenants in the order of their slugs, after `after`, at most `limit` (capped at 1,000).
    pub async fn list_tenants(
        &self,
        filter: &TenantFilter,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Listed>, RegistryFault> {
        let prefix = filter.name_prefix.as_deref().unwrap_or_default();
        let slug = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if !prefix.bytes().all(slug) {
            return Ok(Vec::new());
        }
        let after = after.unwrap_or_default();
        let mut tx = self.read().await?;
        let rows = tx
            .fetch(
                LIST,
                binds![
                    after,
                    filter.state.map_or("", TenantState::as_str),
                    format!("{prefix}%"),
                    filter.engine.map_or("", Engine::as_str),
                    limit.min(1000)
                ],
            )
            .await?;
        let last = rows.last().map(|row| row.text(1)).transpose()?.unwrap_or_default();
        let bindings = tx.fetch(BINDINGS, binds![after, last]).await?;
        tx.commit().await?;
        let unbound: HashSet<String> = bindings
            .iter()
            .filter(|row| TenantBinding::read(row).is_err())
            .map(|row| row.text(3))
            .collect::<Result<_, _>>()?;
        rows.iter().map(|row| Listed::read(row, &unbound)).collect()
    }
}

impl Registry {
    /// The slugs of those tenants, as far as there are such; at most some hundreds are asked for.
    pub async fn tenant_names(
        &self,
        ids: impl Iterator<Item = TenantId> + Send,
    ) -> Result<Vec<(TenantId, String)>, RegistryFault> {
        // Both engines understand this, and ids are all of one length, so that none is part of another.
        let wanted = ids.map(|id| id.to_string()).collect::<Vec<_>>().join(",");
        let sql = "SELECT id, name FROM tenants WHERE $1 LIKE '%' || id || '%'";
        let mut tx = self.read().await?;
        let rows = tx.fetch(sql, binds![wanted.as_str()]).await?;
        tx.commit().await?;
        // One whose id does not read has no such name.
        Ok(rows.iter().filter_map(|row| Some((row.tenant(0).ok()?, row.text(1).ok()?))).collect())
    }
}

impl Listed {
    /// `unbound` are the ids of tenants one of whose bindings does not read.
    fn read(row: &Row, unbound: &HashSet<String>) -> Result<Self, RegistryFault> {
        let tenant = Tenant::read(row);
        let summary = match &tenant {
            Ok(tenant) => TenantSummary::read(row, tenant, unbound.contains(&row.text(0)?)),
            Err(fault) => Err(fault.clone()),
        };
        let summary = match summary {
            Ok(summary) => Ok(summary),
            Err(RegistryFault::Damaged(what)) => Err(what),
            Err(fault) => return Err(fault),
        };
        let id = row.tenant(0).ok();
        Ok(Self { name: row.text(1)?, id, tenant: tenant.ok(), summary })
    }
}

impl TenantSummary {
    /// Reads also what lists do not show, so that they say of a tenant that it cannot be served.
    fn read(row: &Row, tenant: &Tenant, unbound: bool) -> Result<Self, RegistryFault> {
        let at = TENANT_COLUMNS;
        let engine = row.opt_engine(at)?;
        if engine.is_some() {
            row.parse::<Uuid>(at + 2, "record id")?;
            row.data_key(at + 3)?;
            row.opt_json::<ServerIdentity>(at + 4, "server identity")?;
        }
        row.opt_json::<StoredLimits>(at + 5, "limits document")?;
        flags::read(row, at + 6)?;
        if unbound {
            return Err(RegistryFault::Damaged("list of clients"));
        }
        let version = |n| u64::try_from(n).map_err(|_| RegistryFault::Damaged("mapping version"));
        let active_mapping = row.opt_int(at + 1)?.map(version).transpose()?;
        Ok(Self { tenant: tenant.clone(), engine, active_mapping })
    }
}
