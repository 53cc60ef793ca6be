//! What lists tell of tenants beyond their own rows: of a whole page with as many statements as of one tenant.

use std::collections::HashMap;

use super::list::{Listed, TenantFilter};
use super::value::{Row, binds};
use super::{
    Connection, Registry, RegistryFault, SchemaCheck, StoredLimits, TenantBinding, connections,
    flags,
};
use crate::base::{Flags, TenantId};

/// The rest of a tenant's configuration, without its mapping's text.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    /// Who finds it; nothing where one of them does not read.
    pub bindings: Option<Vec<TenantBinding>>,
    /// How its database is reached, sealed; nothing where that does not read.
    pub connection: Option<Connection>,
    /// Its own limits.
    pub limits: StoredLimits,
    /// What its users are offered.
    pub flags: Flags,
    /// What was found last when its schema was compared with its mapping.
    pub check: Option<SchemaCheck>,
    /// Which part does not read.
    pub damaged: Option<&'static str>,
}

const REST: &str = "SELECT t.id, l.document, t.flags, s.version, s.checked_at, s.found FROM tenants t \
     LEFT JOIN limits l ON l.tenant = t.id \
     LEFT JOIN schema_checks s ON s.tenant = t.id AND s.version > 0 \
     WHERE t.name >= $1 AND t.name <= $2 AND ($3 = '' OR t.state = $3)";
const BINDINGS: &str = "SELECT b.issuer, b.claim_value, b.azp, b.tenant FROM bindings b \
     JOIN tenants t ON t.id = b.tenant \
     WHERE t.name >= $1 AND t.name <= $2 AND ($3 = '' OR t.state = $3) \
     ORDER BY b.issuer, b.claim_value";
const CONNECTIONS: &str = concat!(
    "SELECT ",
    connections::connection_columns!(),
    " FROM connections c JOIN tenants t ON t.id = c.tenant \
     WHERE t.name >= $1 AND t.name <= $2 AND ($3 = '' OR t.state = $3)"
);

impl Registry {
    /// What there is to tell of these tenants, listed with that filter, by their ids.
    pub async fn overviews(
        &self,
        filter: &TenantFilter,
        listed: &[Listed],
    ) -> Result<HashMap<TenantId, Overview>, RegistryFault> {
        let (Some(first), Some(last)) = (listed.first(), listed.last()) else {
            return Ok(HashMap::new());
        };
        let state = filter.state.map_or("", super::TenantState::as_str);
        let of = binds![&first.name, &last.name, state];
        let mut tx = self.read().await?;
        let rest = tx.fetch(REST, of).await?;
        let bindings = tx.fetch(BINDINGS, of).await?;
        let connections = tx.fetch(CONNECTIONS, of).await?;
        tx.commit().await?;
        // Ids that do not read are of rows that are listed as damaged themselves.
        let mut all = HashMap::new();
        for row in &rest {
            let Ok(id) = row.tenant(0) else { continue };
            all.insert(id, Overview::read(row)?);
        }
        for row in &bindings {
            let Some(one) = row.tenant(3).ok().and_then(|id| all.get_mut(&id)) else { continue };
            match TenantBinding::read(row) {
                Ok(binding) => one.bindings.iter_mut().for_each(|all| all.push(binding.clone())),
                Err(fault) => {
                    one.bindings = None;
                    one.hurt(fault)?;
                }
            }
        }
        for row in &connections {
            let Some(one) = row.tenant(0).ok().and_then(|id| all.get_mut(&id)) else { continue };
            match Connection::read(row) {
                Ok(connection) => one.connection = Some(connection),
                Err(fault) => one.hurt(fault)?,
            }
        }
        Ok(all)
    }
}

impl Overview {
    fn read(row: &Row) -> Result<Self, RegistryFault> {
        let mut one = Self { bindings: Some(Vec::new()), ..Self::default() };
        match row.opt_text(1) {
            Ok(None) => {}
            Ok(Some(_)) => match StoredLimits::read(row, 1) {
                Ok(limits) => one.limits = limits,
                Err(fault) => one.hurt(fault)?,
            },
            Err(fault) => one.hurt(fault)?,
        }
        match flags::read(row, 2) {
            Ok(flags) => one.flags = flags,
            Err(fault) => one.hurt(fault)?,
        }
        if row.opt_int(3)?.is_some() {
            let (version, checked_at) = (row.counter(3)?, row.time(4)?);
            one.check = Some(SchemaCheck { version, checked_at, found: row.text(5)? });
        }
        Ok(one)
    }

    /// Notes damage; any other fault is no damage of one tenant.
    fn hurt(&mut self, fault: RegistryFault) -> Result<(), RegistryFault> {
        match fault {
            RegistryFault::Damaged(what) => {
                self.damaged.get_or_insert(what);
                Ok(())
            }
            other => Err(other),
        }
    }
}
