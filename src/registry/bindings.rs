use serde::{Deserialize, Serialize};
use serde_json::json;

use super::db::Tx;
use super::tenants::TenantState;
use super::value::{Row, binds};
use super::{Origin, Registry, RegistryFault};
use crate::base::{Generation, TenantId, Timestamp};

/// Which tokens speak for a tenant: of this issuer, with this value of the tenant claim, given to one
/// of these clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantBinding {
    /// The issuer, exactly as in `iss`; 1 to 512 characters.
    pub issuer: String,
    /// The tenant claim's value; 1 to 512 characters. Empty where the issuer alone decides: then it is
    /// the issuer's only binding.
    pub claim_value: String,
    /// The clients (`azp`) that may present it; 1 to 64 of them. An empty list would admit nobody.
    pub azp: Vec<String>,
}

/// What a token's issuer and claim value lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundTenant {
    /// The tenant.
    pub tenant: TenantId,
    /// The clients that may present it.
    pub azp: Vec<String>,
    /// The tenant's state.
    pub state: TenantState,
    /// Tokens issued earlier are refused.
    pub not_before: Option<Timestamp>,
    /// The tenant's generation in the same snapshot.
    pub generation: Generation,
}

/// What is stored as claim value where the issuer alone decides. The tables want a value, and this is none
/// that a token may have.
const ISSUER_ALONE: &str = "*";

fn stored(claim_value: &str) -> &str {
    if claim_value.is_empty() { ISSUER_ALONE } else { claim_value }
}

fn given(stored: String) -> String {
    if stored == ISSUER_ALONE { String::new() } else { stored }
}

impl TenantBinding {
    /// Refuses what no token could match.
    pub fn check(&self) -> Result<(), RegistryFault> {
        let fits = |text: &str| {
            (1..=512).contains(&text.chars().count()) && !text.chars().any(char::is_control)
        };
        let value = self.claim_value.as_str();
        if !fits(&self.issuer) || value == ISSUER_ALONE || !(value.is_empty() || fits(value)) {
            return Err(RegistryFault::Invalid(
                "an issuer and a claim value have 1 to 512 characters and no control characters",
            ));
        }
        if !(1..=64).contains(&self.azp.len()) || !self.azp.iter().all(|azp| fits(azp)) {
            return Err(RegistryFault::Invalid("a binding names 1 to 64 clients (azp)"));
        }
        Ok(())
    }

    fn azp_json(&self) -> String {
        let mut azp: Vec<&str> = self.azp.iter().map(String::as_str).collect();
        azp.sort_unstable();
        azp.dedup();
        json!(azp).to_string()
    }

    /// The same for whoever replaces it: clients that do not read are none.
    pub(super) fn read_to_replace(row: &Row) -> Result<Self, RegistryFault> {
        let azp = row.json(2, "list of clients").unwrap_or_default();
        Ok(Self { issuer: row.text(0)?, claim_value: given(row.text(1)?), azp })
    }

    pub(super) fn read(row: &Row) -> Result<Self, RegistryFault> {
        Ok(Self {
            issuer: row.text(0)?,
            claim_value: given(row.text(1)?),
            azp: row.json(2, "list of clients")?,
        })
    }
}

/// The columns [`TenantBinding::read`] reads, of one tenant.
pub(super) const OF_TENANT: &str =
    "SELECT issuer, claim_value, azp FROM bindings WHERE tenant = $1 ORDER BY issuer, claim_value";

pub(super) async fn insert(
    tx: &mut Tx,
    tenant: TenantId,
    binding: &TenantBinding,
) -> Result<(), RegistryFault> {
    binding.check()?;
    // An issuer either names the tenant in a claim or is bound to one tenant as a whole.
    let others = if binding.claim_value.is_empty() {
        "SELECT 1 FROM bindings WHERE issuer = $1 AND claim_value <> $2 LIMIT 1"
    } else {
        "SELECT 1 FROM bindings WHERE issuer = $1 AND claim_value = $2 LIMIT 1"
    };
    if tx.fetch_one(others, binds![&binding.issuer, ISSUER_ALONE]).await?.is_some() {
        return Err(RegistryFault::Conflict(
            "an issuer is bound either by claim values or, alone, to exactly one tenant",
        ));
    }
    let sql = "INSERT INTO bindings (issuer, claim_value, tenant, azp) VALUES ($1, $2, $3, $4)";
    let values = binds![&binding.issuer, stored(&binding.claim_value), tenant, binding.azp_json()];
    tx.execute(sql, values).await.map(|_| ()).map_err(|fault| match fault {
        RegistryFault::Conflict(_) => {
            RegistryFault::Conflict("that issuer and claim value are bound already")
        }
        other => other,
    })
}

/// Replaces the clients of a binding of the tenant. Gives back whether it was there.
pub(super) async fn set_clients(
    tx: &mut Tx,
    tenant: TenantId,
    binding: &TenantBinding,
) -> Result<bool, RegistryFault> {
    let sql = "UPDATE bindings SET azp = $4 WHERE issuer = $1 AND claim_value = $2 AND tenant = $3";
    let values = binds![&binding.issuer, stored(&binding.claim_value), tenant, binding.azp_json()];
    Ok(tx.execute(sql, values).await? > 0)
}

/// Removes a binding of the tenant. Gives back whether it was there.
pub(super) async fn remove(
    tx: &mut Tx,
    tenant: TenantId,
    issuer: &str,
    claim_value: &str,
) -> Result<bool, RegistryFault> {
    let sql = "DELETE FROM bindings WHERE issuer = $1 AND claim_value = $2 AND tenant = $3";
    Ok(tx.execute(sql, binds![issuer, stored(claim_value), tenant]).await? > 0)
}

impl Registry {
    /// Whom a token of that issuer with that claim value speaks for; the value is empty where the issuer
    /// alone decides.
    pub async fn find_binding(
        &self,
        issuer: &str,
        claim_value: &str,
    ) -> Result<Option<BoundTenant>, RegistryFault> {
        if claim_value == ISSUER_ALONE {
            return Ok(None);
        }
        let mut tx = self.read().await?;
        let row = tx
            .fetch_one(
                "SELECT t.id, b.azp, t.state, t.not_before, t.generation \
                 FROM bindings b JOIN tenants t ON t.id = b.tenant \
                 WHERE b.issuer = $1 AND b.claim_value = $2",
                binds![issuer, stored(claim_value)],
            )
            .await?;
        tx.commit().await?;
        row.map(|row| {
            Ok(BoundTenant {
                tenant: row.tenant(0)?,
                azp: row.json(1, "list of clients")?,
                state: row.parse(2, "tenant state")?,
                not_before: row.opt_int(3)?.map(Timestamp::from_millis),
                generation: row.generation(4)?,
            })
        })
        .transpose()
    }

    /// A tenant's bindings.
    pub async fn bindings(&self, tenant: TenantId) -> Result<Vec<TenantBinding>, RegistryFault> {
        let mut tx = self.read().await?;
        let rows = tx.fetch(OF_TENANT, binds![tenant]).await?;
        tx.commit().await?;
        rows.iter().map(TenantBinding::read).collect()
    }

    /// Adds a binding. One that exists, for whomever, is a conflict.
    pub async fn add_binding(
        &self,
        tenant: TenantId,
        expected: Option<Generation>,
        binding: &TenantBinding,
        origin: &Origin,
    ) -> Result<Generation, RegistryFault> {
        binding.check()?;
        let mut change = self.change(tenant, expected, origin).await?;
        insert(&mut change.tx, tenant, binding).await?;
        change.finish("binding.add", json!(binding)).await
    }

    /// Replaces the clients of a binding of the tenant.
    pub async fn set_binding_clients(
        &self,
        tenant: TenantId,
        expected: Option<Generation>,
        binding: &TenantBinding,
        origin: &Origin,
    ) -> Result<Generation, RegistryFault> {
        binding.check()?;
        let mut change = self.change(tenant, expected, origin).await?;
        if !set_clients(&mut change.tx, tenant, binding).await? {
            return Err(RegistryFault::NotFound("binding"));
        }
        change.finish("binding.clients", json!(binding)).await
    }

    /// Removes a binding of the tenant.
    pub async fn remove_binding(
        &self,
        tenant: TenantId,
        expected: Option<Generation>,
        issuer: &str,
        claim_value: &str,
        origin: &Origin,
    ) -> Result<Generation, RegistryFault> {
        let mut change = self.change(tenant, expected, origin).await?;
        if !remove(&mut change.tx, tenant, issuer, claim_value).await? {
            return Err(RegistryFault::NotFound("binding"));
        }
        let detail = json!({"issuer": issuer, "claim_value": claim_value});
        change.finish("binding.remove", detail).await
    }
}
