use super::value::binds;
use super::{
    ActiveMapping, Connection, Registry, RegistryFault, StoredLimits, Tenant, TenantBinding,
    bindings, connections, flags, tenants,
};
use crate::base::{Flags, TenantId};

/// A tenant's whole configuration as of one moment; `tenant.generation` is its generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantConfig {
    /// The tenant's own row.
    pub tenant: Tenant,
    /// Who finds it.
    pub bindings: Vec<TenantBinding>,
    /// How its database is reached, sealed.
    pub connection: Option<Connection>,
    /// How its records are read.
    pub mapping: Option<ActiveMapping>,
    /// Its own limits.
    pub limits: StoredLimits,
    /// What its users are offered.
    pub flags: Flags,
}

const REST: &str = concat!(
    "SELECT ",
    tenants::tenant_columns!(),
    ", p.version, m.document, m.catalog, l.document, t.flags FROM tenants t \
     LEFT JOIN publications p ON p.tenant = t.id \
     AND p.seq = (SELECT max(q.seq) FROM publications q WHERE q.tenant = t.id) \
     LEFT JOIN mappings m ON m.tenant = t.id AND m.version = p.version \
     LEFT JOIN limits l ON l.tenant = t.id WHERE t.id = $1"
);

impl Registry {
    /// A tenant's configuration from one snapshot: nothing in it is newer than its generation.
    pub async fn tenant_config(&self, id: TenantId) -> Result<Option<TenantConfig>, RegistryFault> {
        let mut tx = self.read().await?;
        let Some(row) = tx.fetch_one(REST, binds![id]).await? else { return Ok(None) };
        let bindings = tx.fetch(bindings::OF_TENANT, binds![id]).await?;
        let connection = tx.fetch_one(connections::OF_TENANT, binds![id]).await?;
        tx.commit().await?;
        let at = tenants::TENANT_COLUMNS;
        let mapping = match row.opt_int(at)? {
            None => None,
            Some(_) => Some(ActiveMapping {
                version: row.counter(at)?,
                document: row.text(at + 1)?,
                catalog: row.text(at + 2)?,
            }),
        };
        let limits = match row.opt_text(at + 3)? {
            None => StoredLimits::default(),
            Some(_) => StoredLimits::read(&row, at + 3)?,
        };
        Ok(Some(TenantConfig {
            tenant: Tenant::read(&row)?,
            bindings: bindings.iter().map(TenantBinding::read).collect::<Result<_, _>>()?,
            connection: connection.as_ref().map(Connection::read).transpose()?,
            mapping,
            limits,
            flags: flags::read(&row, at + 4)?,
        }))
    }
}
