use tokio::time::timeout_at;

use super::{
    DialFault, Dialer, ServerFlavour, SessionSettings, TenantConnection, guarded, mysql, postgres,
    sqlite,
};
use crate::base::{ConnectionRecord, Deadline, ServerIdentity};

impl Dialer {
    /// Asks over a connection that stands which server and database it reaches now: behind a proxy, or at
    /// a file's path, that can become another one.
    pub async fn identify(
        &self,
        record: &ConnectionRecord,
        session: &SessionSettings,
        (connection, flavour): (&mut TenantConnection, ServerFlavour),
        deadline: Deadline,
    ) -> Result<ServerIdentity, DialFault> {
        let asking = async {
            match (connection, record) {
                (TenantConnection::Postgres(open), _) => {
                    guarded(postgres::identify(open, session)).await.map(|(found, _)| found)
                }
                (TenantConnection::MySql(open), _) => {
                    let mariadb = flavour == ServerFlavour::MariaDb;
                    guarded(mysql::identify(open, mariadb)).await.map(|(found, _)| found)
                }
                (TenantConnection::Sqlite(open), ConnectionRecord::Sqlite(file)) => {
                    sqlite::identify_file(&self.inner, file, open).await
                }
                (TenantConnection::Sqlite(_), ConnectionRecord::Server(_)) => {
                    Err(DialFault::internal("a file with a server's record"))
                }
            }
        };
        timeout_at(deadline.at(), asking)
            .await
            .unwrap_or_else(|_| Err(DialFault::timeout("the server did not say who it is")))
    }
}
