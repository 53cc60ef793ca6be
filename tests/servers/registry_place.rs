//! A registry on PostgreSQL for the suite.

use std::net::SocketAddr;
use std::sync::Arc;

use sqlx::Connection as _;

use super::suite::Place;
use super::suite::prelude::*;
use crate::harness::{self, Database, Postgres};

/// A registry in a database of its own.
pub(super) struct OnPostgres {
    pub(super) database: Database,
    pub(super) clock: Arc<ManualClock>,
}

impl OnPostgres {
    pub(super) async fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_763_700_000)));
        Self { database: Postgres::database().await, clock }
    }

    pub(super) fn setting(&self, address: SocketAddr) -> SecretText {
        let d = &self.database;
        SecretText::new(format!(
            "postgres://{}:{}@{address}/{}?sslrootcert={}",
            d.user,
            d.password,
            d.name,
            d.server.ca_file.display()
        ))
    }

    pub(super) fn server(&self) -> SocketAddr {
        let server = &self.database.server;
        SocketAddr::new(server.host.parse().unwrap(), server.port)
    }

    pub(super) fn registry_at(&self, address: SocketAddr) -> Registry {
        Registry::open(&self.setting(address), self.clock.clone()).unwrap()
    }

    /// Ends the connections that wait for notifications; gives back how many there were.
    pub(super) async fn end_listeners(&self) -> usize {
        let ended: Vec<bool> = sqlx::query_scalar(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = $1 AND query ILIKE 'LISTEN%'",
        )
        .bind(&self.database.name)
        .fetch_all(&mut Postgres::admin().await)
        .await
        .unwrap();
        ended.len()
    }
}

impl Place for OnPostgres {
    fn registry(&self) -> Registry {
        self.registry_at(self.server())
    }

    fn clock(&self) -> Arc<ManualClock> {
        Arc::clone(&self.clock)
    }

    async fn plain(&self, sql: &str) -> Result<u64, String> {
        let mut conn = self.database.postgres().await;
        let done = sqlx::raw_sql(sql).execute(&mut conn).await;
        conn.close().await.unwrap();
        done.map(|done| done.rows_affected()).map_err(|error| error.to_string())
    }

    async fn backup(&self) {
        self.plain(harness::BACKUP_ON_POSTGRES).await.unwrap();
    }

    async fn restore(&self) {
        self.plain(harness::RESTORE_ON_POSTGRES).await.unwrap();
    }
}
