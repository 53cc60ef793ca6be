use std::time::Duration;

use super::{Running, StepFault, WorkOrder};
use crate::base::{ConnectionRecord, ConnectionRevision, Deadline, SqliteRecord, TenantId};
use crate::control::{Control, servers};
use crate::pool::dial::{Opened, SessionSettings};
use crate::registry::{Server, Tenant};
use crate::store::admin::{Admin, Names};
use crate::tenant::seal_place;

/// How long opening a connection may take.
const OPEN: Duration = Duration::from_secs(10);
/// How long one statement may take: a migration on a large table takes its time.
const STATEMENT: Duration = Duration::from_mins(10);
/// How long a statement may wait for a lock before it gives up, so that nobody waits behind it for long.
const LOCK: Duration = Duration::from_secs(2);

/// What a work order opens: one tenant's database as a whole, and the server it is on.
pub(in crate::control) struct Maintenance<'a> {
    control: &'a Control,
    /// The tenant it is of.
    pub(in crate::control) tenant: TenantId,
    /// The server the tenant's database is on.
    pub(in crate::control) server: Server,
}

/// A refusal of the server's administrator, which another account cures.
fn of_the_server(fault: StepFault) -> StepFault {
    if fault.code() != "auth" {
        return fault;
    }
    fault.during("the server's account").hint(
        "give the account that counts now: `server set-connection`, or Servers on the panel; then retry",
    )
}

impl<'a> Maintenance<'a> {
    /// Of the order's tenant, on that server.
    pub(in crate::control) async fn on(at: &Running<'a>, server: &str) -> Result<Self, StepFault> {
        let tenant = WorkOrder::tenant(at.order)?;
        let found = at.control.0.registry.server(server).await?;
        let gone = || StepFault::lasting("no_such_server", "the server is no longer registered");
        Ok(Self { control: at.control, tenant, server: found.ok_or_else(gone)? })
    }

    /// Of the order's tenant, on the server its database was made on.
    pub(in crate::control) async fn of(at: &Running<'a>) -> Result<Self, StepFault> {
        let tenant = WorkOrder::tenant(at.order)?;
        let known = at.control.0.registry.schemas(Some(tenant)).await?;
        let unknown =
            || StepFault::lasting("no_schema", "it is not known where its database was made");
        let server = known.first().ok_or_else(unknown)?.server.to_string();
        Self::on(at, &server).await
    }

    /// The server's administrator, in the database she was registered with.
    pub(in crate::control) async fn server(&self) -> Result<Admin, StepFault> {
        let record = servers::record(self.control, &self.server).await?;
        self.open(&record).await.map_err(of_the_server)
    }

    /// The server's administrator in the tenant's database; for SQLite, its file.
    pub(in crate::control) async fn database(&self, names: &Names) -> Result<Admin, StepFault> {
        let record = match self.server.sealed {
            None => ConnectionRecord::Sqlite(SqliteRecord { file: names.file() }),
            Some(_) => match servers::record(self.control, &self.server).await? {
                ConnectionRecord::Server(mut server) => {
                    names.database().clone_into(&mut server.database);
                    ConnectionRecord::Server(server)
                }
                file @ ConnectionRecord::Sqlite(_) => file,
            },
        };
        self.open(&record).await.map_err(of_the_server)
    }

    /// Whoever the record says.
    pub(in crate::control) async fn open(
        &self,
        record: &ConnectionRecord,
    ) -> Result<Admin, StepFault> {
        Ok(Admin::new(self.dial(record).await?, STATEMENT))
    }

    async fn dial(&self, record: &ConnectionRecord) -> Result<Opened, StepFault> {
        let session = SessionSettings {
            statement_timeout: STATEMENT,
            // What is meant for the clinicians' statements would cut a migration off.
            own_limit_counts: false,
            lock_timeout: LOCK,
            idle_in_transaction_timeout: Duration::from_mins(1),
            read_only: false,
            application_name: "wardgate maintenance".to_owned(),
            ..SessionSettings::default()
        };
        Ok(self.control.0.dialer.open(record, &session, Deadline::after(OPEN)).await?)
    }

    /// The tenant's row.
    pub(in crate::control) async fn row(&self) -> Result<Tenant, StepFault> {
        let row = self.control.0.registry.tenant(self.tenant).await?;
        row.ok_or_else(|| StepFault::lasting("not_found", "there is no such tenant"))
    }

    /// The tenant's own connection record, opened, with its names on the server.
    pub(in crate::control) async fn own(&self) -> Result<(ConnectionRecord, Names), StepFault> {
        let stored = self.control.0.registry.connection(self.tenant).await?;
        let none = || StepFault::lasting("no_connection", "the tenant has no connection");
        let stored = stored.ok_or_else(none)?;
        let place = seal_place(self.tenant, stored.record_id, stored.revision);
        let record = self.control.0.keyring.open(&place, &stored.sealed).await?;
        let names = match &record {
            ConnectionRecord::Server(server) => {
                Names::recognise(self.tenant, &server.database, &server.user)
            }
            ConnectionRecord::Sqlite(file) => {
                Some(Names::of(self.tenant, 1)).filter(|names| names.file() == file.file)
            }
        };
        let foreign = "the tenant's connection is not to the database that was made for it";
        let names = names.ok_or_else(|| StepFault::lasting("foreign_database", foreign))?;
        Ok((record, names))
    }

    /// The revision a new connection record of the tenant would have.
    pub(in crate::control) async fn next_revision(&self) -> Result<ConnectionRevision, StepFault> {
        Ok(ConnectionRevision(self.row().await?.connection_revision.0 + 1))
    }
}
