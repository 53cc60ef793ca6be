//! The servers on which tenants' databases are made.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;
use uuid::Uuid;

use super::connections::{ConnectionInput, transport};
use super::operations::StepFault;
use super::{Caller, Control, ControlFault};
use crate::base::{
    ConnectionRecord, ConnectionRevision, Engine, ServerIdentity, TenantId, TenantName,
};
use crate::keyring::{DataKeyId, SealPlace, Sealed};
use crate::registry::{RegistryFault, Server};
use crate::store::admin::Admin;

/// A server to be registered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewServer {
    /// Slug: 1 to 63 of a-z, 0-9 and -.
    pub name: String,
    /// An account of the server that may make databases and roles; left out for the gateway's own folder
    /// of SQLite files.
    #[serde(default)]
    pub connection: Option<ConnectionInput>,
}

/// Another account of a registered server, or the way to where it is now.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerConnection {
    /// An account that may make databases and roles.
    pub connection: ConnectionInput,
    /// Whether it may be another server than the one registered: all its databases were moved there.
    #[serde(default)]
    pub another_server: bool,
}

/// A server on which tenants' databases are made, without secrets.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ServerView {
    /// Its id.
    pub id: Uuid,
    /// Its slug.
    pub name: String,
    /// `postgres`, `mysql` or `sqlite`.
    pub engine: String,
    /// How its transport is secured.
    pub tls: String,
    /// The server found when it was registered.
    pub server_identity: Option<String>,
    /// When its account was sealed (RFC 3339).
    pub sealed_at: String,
    /// Tenants whose databases are on it.
    pub tenants: u64,
}

/// Where an administrator's record is sealed: bound to the server's own id.
const fn place(server: Uuid, revision: ConnectionRevision) -> SealPlace {
    SealPlace {
        purpose: "server administrator",
        table: "servers",
        column: "sealed",
        record_id: server,
        tenant: TenantId::from_uuid(server),
        revision,
    }
}

/// A server's administrator's record, opened.
pub(super) async fn record(
    control: &Control,
    server: &Server,
) -> Result<ConnectionRecord, StepFault> {
    let Some((sealed, _)) = &server.sealed else {
        return Err(StepFault::defect("a folder has no administrator"));
    };
    Ok(control.0.keyring.open(&place(server.id, server.revision), sealed).await?)
}

impl Control {
    /// Registers a server: connected to, its rights looked at, sealed.
    pub async fn add_server(
        &self,
        caller: &Caller,
        new: &NewServer,
    ) -> Result<ServerView, ControlFault> {
        let invalid = |e: crate::base::InvalidId| ControlFault::Invalid(e.to_string().into());
        let name: TenantName = new.name.parse().map_err(invalid)?;
        if self.0.registry.server(name.as_str()).await?.is_some() {
            return Err(ControlFault::Conflict("a server of that name exists already"));
        }
        let id = Uuid::new_v4();
        let now = self.0.clock.now();
        let mut server = Server {
            id,
            name,
            engine: Engine::Sqlite,
            revision: ConnectionRevision(1),
            sealed: None,
            sealed_at: now,
            identity: None,
            tls: "none".to_owned(),
            created_at: now,
        };
        match &new.connection {
            None => {
                if self.0.dialer.sqlite_dir().is_none() {
                    let text = "there is no folder for SQLite files; set [egress] sqlite_dir";
                    return Err(ControlFault::Invalid(text.into()));
                }
            }
            Some(input) => {
                let record = of_a_server(input)?;
                server.engine = record.engine();
                server.identity = Some(self.look_at_server(caller, &record).await?);
                transport(&record).clone_into(&mut server.tls);
                server.sealed = Some(self.seal_server(&server, &record).await?);
            }
        }
        self.0.registry.add_server(&server, &caller.origin()).await?;
        Ok(server_view(&server, 0))
    }

    /// Exchanges a server's account, for its password was changed or the server moved: connected to, its rights
    /// looked at, sealed. Operations use it from their next step on; the hospitals' own connections stay.
    pub async fn replace_server(
        &self,
        caller: &Caller,
        named: &str,
        new: &ServerConnection,
    ) -> Result<ServerView, ControlFault> {
        let found = self.0.registry.server(named).await?;
        let mut server = found.ok_or(RegistryFault::NotFound("server"))?;
        if server.sealed.is_none() {
            return Err(ControlFault::Conflict("the folder of SQLite files has no account"));
        }
        let record = of_a_server(&new.connection)?;
        if record.engine() != server.engine {
            return Err(ControlFault::Conflict("that is a server of another kind"));
        }
        let reached = self.look_at_server(caller, &record).await?;
        let known = |identity: &&ServerIdentity| !identity.system.is_empty();
        let before = server.identity.as_ref().filter(known);
        let other =
            before.is_some_and(|before| known(&&reached) && before.system != reached.system);
        if other && !new.another_server {
            return Err(ControlFault::Conflict(
                "that is another server than the one registered; if all its databases were moved there, say so \
                 (`another_server`, `--another-server`)",
            ));
        }
        // What is known of the server is not forgotten for an account that may not ask.
        if before.is_none() || known(&&reached) {
            server.identity = Some(reached);
        }
        transport(&record).clone_into(&mut server.tls);
        server.revision = ConnectionRevision(server.revision.0 + 1);
        server.sealed_at = self.0.clock.now();
        server.sealed = Some(self.seal_server(&server, &record).await?);
        self.0.registry.replace_server(&server, "server.connection", &caller.origin()).await?;
        let tenants = self.0.registry.schemas(None).await?;
        let tenants = tenants.iter().filter(|schema| schema.server == server.id).count();
        Ok(server_view(&server, tenants as u64))
    }

    /// Connects and refuses an account that could not make a tenant's database.
    async fn look_at_server(
        &self,
        caller: &Caller,
        record: &ConnectionRecord,
    ) -> Result<ServerIdentity, ControlFault> {
        let opened = self.dial(caller.deadline, record).await?;
        let identity = opened.identity.clone();
        let mut admin = Admin::new(opened, Duration::from_secs(10));
        let lacks = admin.lacks_rights().await;
        admin.close().await;
        let lacks = lacks.map_err(|fault| ControlFault::Invalid(fault.to_string().into()))?;
        if lacks.is_empty() {
            return Ok(identity);
        }
        let text = format!("the account lacks what making databases needs: {}", lacks.join(", "));
        Err(ControlFault::Invalid(text.into()))
    }

    async fn seal_server(
        &self,
        server: &Server,
        record: &ConnectionRecord,
    ) -> Result<(Sealed, DataKeyId), ControlFault> {
        let owner = TenantId::from_uuid(server.id);
        let key = match self.0.keyring.newest_data_key(owner).await? {
            Some(key) => key,
            None => self.0.keyring.create_data_key(owner).await?,
        };
        Ok((self.0.keyring.seal(&place(server.id, server.revision), key, record).await?, key))
    }

    /// All servers, by name.
    pub async fn servers(&self, _caller: &Caller) -> Result<Vec<ServerView>, ControlFault> {
        let (servers, schemas) =
            (self.0.registry.servers().await?, self.0.registry.schemas(None).await?);
        let count = |id| schemas.iter().filter(|schema| schema.server == id).count() as u64;
        Ok(servers.iter().map(|server| server_view(server, count(server.id))).collect())
    }

    /// Forgets a server on which no tenant's database is, with its account's key.
    pub async fn remove_server(&self, caller: &Caller, named: &str) -> Result<(), ControlFault> {
        let found = self.0.registry.server(named).await?;
        let server = found.ok_or(RegistryFault::NotFound("server"))?;
        self.0.registry.remove_server(server.id, &caller.origin()).await?;
        self.0.keyring.destroy_tenant_keys(TenantId::from_uuid(server.id)).await?;
        Ok(())
    }

    /// Gives every server's account a new data key, as tenants get them.
    pub(super) async fn renew_server_keys(&self, caller: &Caller) -> Result<u64, ControlFault> {
        let mut renewed = 0;
        for mut server in self.0.registry.servers().await? {
            let Some((sealed, _)) = &server.sealed else { continue };
            let record = self.0.keyring.open(&place(server.id, server.revision), sealed).await?;
            let key = self.0.keyring.create_data_key(TenantId::from_uuid(server.id)).await?;
            server.revision = ConnectionRevision(server.revision.0 + 1);
            server.sealed_at = self.0.clock.now();
            let place = place(server.id, server.revision);
            server.sealed = Some((self.0.keyring.seal(&place, key, &record).await?, key));
            self.0.registry.replace_server(&server, "server.reseal", &caller.origin()).await?;
            renewed += 1;
        }
        Ok(renewed)
    }
}

/// What leads to a server, and not to the gateway's own files.
fn of_a_server(input: &ConnectionInput) -> Result<ConnectionRecord, ControlFault> {
    let record = input.record()?;
    if record.engine() == Engine::Sqlite {
        let text = "the folder of SQLite files is registered without a connection";
        return Err(ControlFault::Invalid(text.into()));
    }
    Ok(record)
}

fn server_view(server: &Server, tenants: u64) -> ServerView {
    ServerView {
        id: server.id,
        name: server.name.to_string(),
        engine: server.engine.as_str().to_owned(),
        tls: server.tls.clone(),
        server_identity: server.identity.as_ref().map(|identity| identity.system.clone()),
        sealed_at: server.sealed_at.to_string(),
        tenants,
    }
}
