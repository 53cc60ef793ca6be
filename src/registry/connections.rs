use serde_json::json;
use uuid::Uuid;

use super::db::Tx;
use super::value::{Row, binds};
use super::{Origin, Registry, RegistryFault};
use crate::base::{ConnectionRevision, Engine, Generation, ServerIdentity, TenantId, Timestamp};
use crate::keyring::{DataKeyId, Sealed};

/// How a tenant's database is reached, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Whose it is.
    pub tenant: TenantId,
    /// The id the seal is bound to.
    pub record_id: Uuid,
    /// The revision the seal is bound to.
    pub revision: ConnectionRevision,
    /// The database's kind.
    pub engine: Engine,
    /// The sealed record.
    pub sealed: Sealed,
    /// The data key it is sealed with.
    pub data_key: DataKeyId,
    /// When it was sealed.
    pub sealed_at: Timestamp,
    /// The server found when it was checked; `None` when it was registered without a check.
    pub identity: Option<ServerIdentity>,
    /// A word or two on the transport for lists, such as `verify-full`. Not what is enforced.
    pub tls: String,
}

/// A connection record to be written.
#[derive(Debug, Clone)]
pub struct NewConnection {
    /// The id the seal is bound to.
    pub record_id: Uuid,
    /// [`Tenant::connection_revision`](super::Tenant::connection_revision) plus one.
    pub revision: ConnectionRevision,
    /// The database's kind.
    pub engine: Engine,
    /// The sealed record.
    pub sealed: Sealed,
    /// The data key it is sealed with.
    pub data_key: DataKeyId,
    /// The server found by the check.
    pub identity: Option<ServerIdentity>,
    /// A word or two on the transport, at most 200 characters.
    pub tls: String,
}

/// The same record sealed anew, for the rotation of data keys.
#[derive(Debug, Clone)]
pub struct Reseal {
    /// Whose record.
    pub tenant: TenantId,
    /// The sealed text it replaces.
    pub from: Sealed,
    /// The new sealed text, of the same record id and revision.
    pub to: Sealed,
    /// The data key of the new text.
    pub data_key: DataKeyId,
}

/// A page of sealed records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedPage {
    /// What to give as `after` for the next page; nothing when this one is empty.
    pub next: Option<String>,
    /// The records.
    pub connections: Vec<Connection>,
    /// How many rows of the page do not read as records.
    pub damaged: u64,
}

/// The columns [`Connection::read`] reads, from `connections c`.
macro_rules! connection_columns {
    () => {
        "c.tenant, c.record_id, c.revision, c.engine, c.sealed, c.data_key_id, c.sealed_at, \
         c.server_identity, c.tls"
    };
}

pub(super) use connection_columns;

pub(super) const OF_TENANT: &str =
    concat!("SELECT ", connection_columns!(), " FROM connections c WHERE c.tenant = $1");
const SCAN: &str = concat!(
    "SELECT ",
    connection_columns!(),
    " FROM connections c WHERE c.tenant > $1 ORDER BY c.tenant LIMIT $2"
);

impl NewConnection {
    pub(super) fn check(&self) -> Result<(), RegistryFault> {
        if self.tls.chars().count() > 200 || !self.sealed.as_str().starts_with("sealed:") {
            return Err(RegistryFault::Invalid("the connection is not a sealed record"));
        }
        Ok(())
    }

    /// What the operators' log keeps of it.
    pub(super) fn detail(&self) -> serde_json::Value {
        json!({"revision": self.revision, "engine": self.engine, "tls": self.tls,
            "server_identity": self.identity, "data_key": self.data_key})
    }
}

/// Writes a tenant's connection record, in place of the one before.
pub(super) async fn write(
    tx: &mut Tx,
    tenant: TenantId,
    new: &NewConnection,
    now: Timestamp,
) -> Result<(), RegistryFault> {
    let identity = new.identity.as_ref().map(|identity| json!(identity).to_string());
    let values = binds![
        tenant,
        new.record_id,
        new.revision,
        new.engine.as_str(),
        new.sealed.as_str(),
        new.data_key,
        now,
        identity,
        &new.tls
    ];
    let update = "UPDATE connections SET record_id = $2, revision = $3, engine = $4, sealed = $5, \
                  data_key_id = $6, sealed_at = $7, server_identity = $8, tls = $9 \
                  WHERE tenant = $1";
    let insert = "INSERT INTO connections (tenant, record_id, revision, engine, sealed, \
                  data_key_id, sealed_at, server_identity, tls) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    if tx.execute(update, values).await? == 0 {
        tx.execute(insert, values).await?;
    }
    Ok(())
}

impl Connection {
    pub(super) fn read(row: &Row) -> Result<Self, RegistryFault> {
        Ok(Self {
            tenant: row.tenant(0)?,
            record_id: row.parse(1, "record id")?,
            revision: ConnectionRevision(row.counter(2)?),
            engine: row.opt_engine(3)?.ok_or(RegistryFault::Damaged("engine"))?,
            sealed: Sealed::from_stored(row.text(4)?),
            data_key: row.data_key(5)?,
            sealed_at: row.time(6)?,
            identity: row.opt_json(7, "server identity")?,
            tls: row.text(8)?,
        })
    }
}

impl Registry {
    /// How a tenant's database is reached, when a connection is registered.
    pub async fn connection(&self, tenant: TenantId) -> Result<Option<Connection>, RegistryFault> {
        let mut tx = self.read().await?;
        let row = tx.fetch_one(OF_TENANT, binds![tenant]).await?;
        tx.commit().await?;
        row.as_ref().map(Connection::read).transpose()
    }

    /// Writes a connection record if `new.revision` follows the highest revision ever used; otherwise
    /// somebody else wrote one and the change is stale: read, seal and try again. Bumps revision and
    /// generation.
    pub async fn put_connection(
        &self,
        tenant: TenantId,
        expected: Option<Generation>,
        new: &NewConnection,
        origin: &Origin,
    ) -> Result<Generation, RegistryFault> {
        new.check()?;
        let mut change = self.change(tenant, expected, origin).await?;
        let (now, sql) = (change.now, "SELECT connection_revision FROM tenants WHERE id = $1");
        let row = change.tx.fetch_one(sql, binds![tenant]).await?;
        let last = row.ok_or(RegistryFault::NotFound("tenant"))?.counter(0)?;
        if new.revision.0 != last + 1 {
            return Err(change.stale().await);
        }
        write(&mut change.tx, tenant, new, now).await?;
        change.finish("connection.put", new.detail()).await
    }

    /// Replaces a sealed text by the same record sealed anew. Gives back `None` when the stored text
    /// is no longer `reseal.from`. The revision stays, so no lane is dropped; the generation is bumped,
    /// so that no gateway keeps a text whose key is about to be destroyed.
    pub async fn reseal_connection(
        &self,
        reseal: &Reseal,
        origin: &Origin,
    ) -> Result<Option<Generation>, RegistryFault> {
        let mut change = self.change(reseal.tenant, None, origin).await?;
        let sql = "UPDATE connections SET sealed = $3, data_key_id = $4, sealed_at = $5 \
                   WHERE tenant = $1 AND sealed = $2";
        let (from, to) = (reseal.from.as_str(), reseal.to.as_str());
        let values = binds![reseal.tenant, from, to, reseal.data_key, change.now];
        if change.tx.execute(sql, values).await? == 0 {
            return Ok(None);
        }
        let detail = json!({"data_key": reseal.data_key});
        change.finish("connection.reseal", detail).await.map(Some)
    }

    /// Notes which server and database a connection leads to that was sealed without being tried. `None` when it
    /// is known already, or the connection is another one by now.
    pub async fn identify_connection(
        &self,
        of: &Connection,
        identity: &ServerIdentity,
        origin: &Origin,
    ) -> Result<Option<Generation>, RegistryFault> {
        let mut change = self.change(of.tenant, None, origin).await?;
        let sql = "UPDATE connections SET server_identity = $3 \
                   WHERE tenant = $1 AND record_id = $2 AND server_identity IS NULL";
        let values = binds![of.tenant, of.record_id, json!(identity).to_string()];
        if change.tx.execute(sql, values).await? == 0 {
            return Ok(None);
        }
        let detail = json!({"server_identity": identity});
        change.finish("connection.identify", detail).await.map(Some)
    }

    /// The slugs of tenants but `own` whose connection was found to lead to that very database, in their order;
    /// at most ten.
    pub async fn tenants_on(
        &self,
        identity: &ServerIdentity,
        own: Option<TenantId>,
    ) -> Result<Vec<String>, RegistryFault> {
        let mut tx = self.read().await?;
        let sql = "SELECT t.name FROM connections c JOIN tenants t ON t.id = c.tenant \
                   WHERE c.server_identity = $1 AND c.tenant <> $2 ORDER BY t.name LIMIT 10";
        let own = own.map(|own| own.to_string()).unwrap_or_default();
        let rows = tx.fetch(sql, binds![json!(identity).to_string(), own]).await?;
        tx.commit().await?;
        rows.iter().map(|row| row.text(0)).collect()
    }

    /// Removes a tenant's connection record, as offboarding does. Its revision is not used again.
    pub async fn remove_connection(
        &self,
        tenant: TenantId,
        expected: Option<Generation>,
        origin: &Origin,
    ) -> Result<Generation, RegistryFault> {
        let mut change = self.change(tenant, expected, origin).await?;
        let sql = "DELETE FROM connections WHERE tenant = $1";
        if change.tx.execute(sql, binds![tenant]).await? == 0 {
            return Err(RegistryFault::NotFound("connection"));
        }
        change.finish("connection.remove", json!({})).await
    }

    /// Sealed records in the order of their tenants' ids, after `after`, at most `limit` (capped at
    /// 1,000): for scans. A row that does not read is counted and hides no other.
    pub async fn sealed_connections(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<SealedPage, RegistryFault> {
        let mut tx = self.read().await?;
        let rows = tx.fetch(SCAN, binds![after.unwrap_or_default(), limit.min(1000)]).await?;
        tx.commit().await?;
        let next = rows.last().map(|row| row.text(0)).transpose()?;
        let mut page = SealedPage { next, connections: Vec::with_capacity(rows.len()), damaged: 0 };
        for row in &rows {
            match Connection::read(row) {
                Ok(connection) => page.connections.push(connection),
                Err(RegistryFault::Damaged(_)) => page.damaged += 1,
                Err(fault) => return Err(fault),
            }
        }
        Ok(page)
    }

    /// How many records are sealed with each data key. A key that is not listed is referenced nowhere
    /// in the registry.
    pub async fn data_keys_in_use(&self) -> Result<Vec<(DataKeyId, u64)>, RegistryFault> {
        let mut tx = self.read().await?;
        let sql = "SELECT data_key_id, count(*) FROM connections GROUP BY data_key_id ORDER BY 1";
        let rows = tx.fetch(sql, &[]).await?;
        tx.commit().await?;
        let counted = rows.iter().map(|row| Ok((row.data_key(0)?, row.counter(1)?)));
        let mut used: Vec<(DataKeyId, u64)> = counted.collect::<Result<_, RegistryFault>>()?;
        for key in self.operation_keys().await? {
            match used.iter_mut().find(|(known, _)| *known == key) {
                Some((_, count)) => *count += 1,
                None => used.push((key, 1)),
            }
        }
        Ok(used)
    }
}
