use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::RegistryFault;
use super::db::Tx;
use super::value::{Row, binds};
use crate::base::{Flag, Flags, TenantId};

/// What a row holds. A flag that stands as none can is not guessed at. One that this program does not know is a
/// newer one's: nothing here is switched by it, and no hospital goes unserved while its gateways are renewed one
/// after the other, or when one goes back to the release before.
pub(super) fn read(row: &Row, at: usize) -> Result<Flags, RegistryFault> {
    let mut named: BTreeMap<String, Json> = row.json(at, "flags document")?;
    let all = named.len();
    named.retain(|name, _| is_known(name));
    if named.len() < all {
        let newer = all - named.len();
        tracing::warn!(target: "wardgate::registry", newer, "flags of a newer program are passed over");
    }
    let damaged = || RegistryFault::Damaged("flags document");
    let text = |(name, offer): (String, Json)| Some((name, offer.as_str()?.to_owned()));
    let named: Option<BTreeMap<_, _>> = named.into_iter().map(text).collect();
    Flags::parse(&named.ok_or_else(damaged)?).map_err(|_| damaged())
}

fn is_known(name: &str) -> bool {
    name.parse::<Flag>().is_ok()
}

/// Writes a tenant's flags, and leaves those of a newer program as they stand; the tenant's row bumps its
/// generation by itself.
pub(super) async fn write(
    tx: &mut Tx,
    tenant: TenantId,
    flags: &Flags,
) -> Result<(), RegistryFault> {
    let sql = "SELECT flags FROM tenants WHERE id = $1";
    let row = tx.fetch_one(sql, binds![tenant]).await?.ok_or(RegistryFault::NotFound("tenant"))?;
    // What does not read is written anew.
    let mut all: BTreeMap<String, Json> = row.json(0, "flags document").unwrap_or_default();
    all.retain(|name, _| !is_known(name));
    all.extend(flags.named(false).into_iter().map(|(name, offer)| (name, Json::from(offer))));
    let sql = "UPDATE tenants SET flags = $2 WHERE id = $1";
    tx.execute(sql, binds![tenant, json!(all).to_string()]).await?;
    Ok(())
}
