use std::collections::BTreeMap;

use serde_json::json;

use super::RegistryFault;
use super::db::Tx;
use super::value::{Row, binds};
use crate::base::{Flags, TenantId};

/// What a row holds. A flag this version does not know, or that stands as none can, is not guessed at.
pub(super) fn read(row: &Row, at: usize) -> Result<Flags, RegistryFault> {
    let named: BTreeMap<String, String> = row.json(at, "flags document")?;
    Flags::parse(&named).map_err(|_| RegistryFault::Damaged("flags document"))
}

/// Writes a tenant's flags; the tenant's row bumps its generation by itself.
pub(super) async fn write(
    tx: &mut Tx,
    tenant: TenantId,
    flags: &Flags,
) -> Result<(), RegistryFault> {
    let sql = "UPDATE tenants SET flags = $2 WHERE id = $1";
    tx.execute(sql, binds![tenant, json!(flags.named(false)).to_string()]).await?;
    Ok(())
}
