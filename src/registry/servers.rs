//! Servers on which the gateway makes databases, and how far those databases' schemas are.

use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::change::{check_origin, write_event};
use super::value::{Row, binds};
use super::{Origin, Registry, RegistryFault};
use crate::base::{ConnectionRevision, Engine, ServerIdentity, TenantId, TenantName, Timestamp};
use crate::keyring::{DataKeyId, Sealed};

/// A server on which the gateway makes databases. For SQLite, the gateway's own folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its lasting identity.
    pub id: Uuid,
    /// Its slug, of the form of a tenant's.
    pub name: TenantName,
    /// The kind of databases it holds.
    pub engine: Engine,
    /// The revision the seal is bound to.
    pub revision: ConnectionRevision,
    /// The record of its administrator's account and the data key it is sealed with; nothing for SQLite.
    pub sealed: Option<(Sealed, DataKeyId)>,
    /// When it was sealed.
    pub sealed_at: Timestamp,
    /// The server found when it was registered.
    pub identity: Option<ServerIdentity>,
    /// A word or two on the transport.
    pub tls: String,
    /// When it was registered.
    pub created_at: Timestamp,
}

/// How far the schema of a provisioned tenant's database is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TenantSchema {
    /// Whose database.
    pub tenant: TenantId,
    /// The tenant's slug.
    pub name: TenantName,
    /// On which server.
    pub server: Uuid,
    /// The database's kind.
    pub engine: Engine,
    /// The database's name, or the file's.
    pub database: String,
    /// The newest migration applied, as in `0102_care`.
    pub migration: String,
    /// The release that is whole: a migration's number without its last two digits.
    pub release: u64,
    /// Whether no migration was left in the middle.
    pub sound: bool,
    /// What went wrong last.
    pub trouble: Option<String>,
    /// When it was last looked at.
    pub checked_at: Timestamp,
}

/// The same in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaMark {
    /// Whose database.
    pub tenant: TenantId,
    /// The database's kind.
    pub engine: Engine,
    /// The release that is whole.
    pub release: u64,
    /// Whether its last migration failed, or was left in the middle.
    pub failed: bool,
}

macro_rules! servers {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, engine, revision, sealed, data_key_id, sealed_at, server_identity, \
             tls, created_at FROM servers ",
            $rest
        )
    };
}

impl Server {
    fn read(row: &Row) -> Result<Self, RegistryFault> {
        let sealed = match row.opt_text(4)? {
            None => None,
            Some(text) => Some((Sealed::from_stored(text), row.data_key(5)?)),
        };
        Ok(Self {
            id: row.parse(0, "server")?,
            name: row.parse(1, "server name")?,
            engine: row.opt_engine(2)?.ok_or(RegistryFault::Damaged("engine"))?,
            revision: ConnectionRevision(row.counter(3)?),
            sealed,
            sealed_at: row.time(6)?,
            identity: row
                .opt_text(7)?
                .map(|text| serde_json::from_str(&text))
                .transpose()
                .map_err(|_| RegistryFault::Damaged("server identity"))?,
            tls: row.text(8)?,
            created_at: row.time(9)?,
        })
    }
}

impl Registry {
    /// Registers a server.
    pub async fn add_server(&self, server: &Server, origin: &Origin) -> Result<(), RegistryFault> {
        let insert = "INSERT INTO servers (id, name, engine, revision, sealed, data_key_id, \
                      sealed_at, server_identity, tls, created_at) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let taken = RegistryFault::Conflict("a server of that name exists already");
        let written = self.write_server(server, insert, "server.put", origin).await;
        written.map(drop).map_err(|fault| match fault {
            RegistryFault::Conflict(_) => taken,
            other => other,
        })
    }

    /// Gives a server a new record, whose revision is one higher; refused where somebody else did meanwhile.
    /// `action` is what the operators' log calls it.
    pub async fn replace_server(
        &self,
        server: &Server,
        action: &'static str,
        origin: &Origin,
    ) -> Result<(), RegistryFault> {
        let update = "UPDATE servers SET name = $2, engine = $3, revision = $4, sealed = $5, \
                      data_key_id = $6, sealed_at = $7, server_identity = $8, tls = $9, \
                      created_at = $10 WHERE id = $1 AND revision = $4 - 1";
        match self.write_server(server, update, action, origin).await? {
            0 => Err(RegistryFault::Conflict("somebody else changed this server meanwhile")),
            _ => Ok(()),
        }
    }

    /// Gives back how many rows were written; without one nothing is told.
    async fn write_server(
        &self,
        server: &Server,
        sql: &'static str,
        action: &'static str,
        origin: &Origin,
    ) -> Result<u64, RegistryFault> {
        check_origin(origin)?;
        let mut tx = self.write().await?;
        let identity = server.identity.as_ref().map(|identity| json!(identity).to_string());
        let sealed = server.sealed.as_ref();
        let values = binds![
            server.id,
            server.name.as_str(),
            server.engine.as_str(),
            server.revision,
            sealed.map(|s| s.0.as_str()),
            sealed.map(|s| s.1.to_string()),
            server.sealed_at,
            identity,
            &server.tls,
            server.created_at
        ];
        let written = tx.execute(sql, values).await?;
        if written > 0 {
            let detail = json!({"server": server.name, "engine": server.engine,
                "server_identity": server.identity, "revision": server.revision});
            write_event(&mut tx, self.inner.clock.now(), origin, action, None, &detail).await?;
        }
        tx.commit().await?;
        Ok(written)
    }

    /// All servers, by name.
    pub async fn servers(&self) -> Result<Vec<Server>, RegistryFault> {
        let mut tx = self.read().await?;
        let rows = tx.fetch(servers!("ORDER BY name"), &[]).await?;
        tx.commit().await?;
        rows.iter().map(Server::read).collect()
    }

    /// The server with that slug or id.
    pub async fn server(&self, named: &str) -> Result<Option<Server>, RegistryFault> {
        let mut tx = self.read().await?;
        let row = tx.fetch_one(servers!("WHERE name = $1 OR id = $1"), binds![named]).await?;
        tx.commit().await?;
        row.as_ref().map(Server::read).transpose()
    }

    /// Forgets a server on which no tenant's database is, and none is being made or taken away.
    pub async fn remove_server(&self, id: Uuid, origin: &Origin) -> Result<(), RegistryFault> {
        check_origin(origin)?;
        let mut tx = self.write().await?;
        let used = tx
            .fetch_one("SELECT 1 FROM tenant_schemas WHERE server = $1", binds![id])
            .await?
            .is_some();
        if used {
            return Err(RegistryFault::Conflict("tenants' databases are on this server"));
        }
        // One that is to be tried again, or to be undone, goes to the server by its id.
        let awaited = tx
            .fetch_one(
                "SELECT 1 FROM operations WHERE state NOT IN ('succeeded', 'cancelled') AND input LIKE $1",
                binds![format!("%{id}%")],
            )
            .await?
            .is_some();
        if awaited {
            let conflict = "an operation on this server has not ended; retry or cancel it first";
            return Err(RegistryFault::Conflict(conflict));
        }
        if tx.execute("DELETE FROM servers WHERE id = $1", binds![id]).await? == 0 {
            return Err(RegistryFault::NotFound("server"));
        }
        let (now, detail) = (self.inner.clock.now(), json!({"server": id}));
        write_event(&mut tx, now, origin, "server.remove", None, &detail).await?;
        tx.commit().await
    }

    /// Notes how far a tenant's schema is.
    pub async fn put_schema(&self, schema: &TenantSchema) -> Result<(), RegistryFault> {
        let mut tx = self.write().await?;
        let values = binds![
            schema.tenant,
            schema.server,
            &schema.database,
            &schema.migration,
            schema.release,
            i64::from(schema.sound),
            schema.trouble.as_deref(),
            schema.checked_at
        ];
        tx.execute(
            "INSERT INTO tenant_schemas (tenant, server, database, migration, release, sound, \
             trouble, checked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (tenant) DO UPDATE SET server = $2, database = $3, migration = $4, \
             release = $5, sound = $6, trouble = $7, checked_at = $8",
            values,
        )
        .await?;
        tx.commit().await
    }

    /// The schema of one tenant, or of all provisioned tenants by their names.
    pub async fn schemas(
        &self,
        tenant: Option<TenantId>,
    ) -> Result<Vec<TenantSchema>, RegistryFault> {
        let mut tx = self.read().await?;
        let tenant = tenant.map(|id| id.to_string()).unwrap_or_default();
        let rows = tx
            .fetch(
                "SELECT s.tenant, t.name, s.server, v.engine, s.database, s.migration, s.release, \
                 s.sound, s.trouble, s.checked_at FROM tenant_schemas s \
                 JOIN tenants t ON t.id = s.tenant JOIN servers v ON v.id = s.server \
                 WHERE $1 = '' OR s.tenant = $1 ORDER BY t.name",
                binds![tenant],
            )
            .await?;
        tx.commit().await?;
        rows.iter().map(schema).collect()
    }

    /// How far schemas are, in short: of one tenant, or of all. One whose row does not read is left out, so
    /// that the others are still seen.
    pub async fn schema_marks(
        &self,
        tenant: Option<TenantId>,
    ) -> Result<Vec<SchemaMark>, RegistryFault> {
        let mut tx = self.read().await?;
        let tenant = tenant.map(|id| id.to_string()).unwrap_or_default();
        let sql = "SELECT s.tenant, v.engine, s.release, s.sound, s.trouble FROM tenant_schemas s \
                   JOIN servers v ON v.id = s.server WHERE $1 = '' OR s.tenant = $1";
        let rows = tx.fetch(sql, binds![tenant]).await?;
        tx.commit().await?;
        Ok(rows.iter().filter_map(|row| mark(row).ok()).collect())
    }

    /// Forgets how far a tenant's schema was: its database is gone.
    pub async fn remove_schema(&self, tenant: TenantId) -> Result<(), RegistryFault> {
        let mut tx = self.write().await?;
        tx.execute("DELETE FROM tenant_schemas WHERE tenant = $1", binds![tenant]).await?;
        tx.commit().await
    }

    /// Removes a tenant that was never served, as the cancelling of its provisioning does. Its name is
    /// free again.
    pub async fn remove_draft(
        &self,
        tenant: TenantId,
        origin: &Origin,
    ) -> Result<(), RegistryFault> {
        let change = match self.change(tenant, None, origin).await {
            Err(RegistryFault::NotFound(_)) => return Ok(()),
            other => other?,
        };
        let mut change = change;
        change.note("tenant.remove_draft", json!({})).await?;
        let sql = "DELETE FROM tenants WHERE id = $1 AND state = 'draft'";
        if change.tx.execute(sql, binds![tenant]).await? == 0 {
            return Err(RegistryFault::Conflict("only a draft can be removed"));
        }
        change.tx.commit().await
    }
}

fn mark(row: &Row) -> Result<SchemaMark, RegistryFault> {
    Ok(SchemaMark {
        tenant: row.tenant(0)?,
        engine: row.opt_engine(1)?.ok_or(RegistryFault::Damaged("engine"))?,
        release: row.counter(2)?,
        failed: row.int(3)? == 0 || row.opt_text(4)?.is_some(),
    })
}

fn schema(row: &Row) -> Result<TenantSchema, RegistryFault> {
    Ok(TenantSchema {
        tenant: row.tenant(0)?,
        name: row.parse(1, "tenant name")?,
        server: row.parse(2, "server")?,
        engine: row.opt_engine(3)?.ok_or(RegistryFault::Damaged("engine"))?,
        database: row.text(4)?,
        migration: row.text(5)?,
        release: row.counter(6)?,
        sound: row.int(7)? != 0,
        trouble: row.opt_text(8)?,
        checked_at: row.time(9)?,
    })
}
