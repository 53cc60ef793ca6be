//! What tests of lanes over real servers share.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sqlx::{Executor as _, Row as _};
use wardgate::base::{ConnectionRecord, ConnectionRevision, ServerRecord, SystemClock, TenantId};
use wardgate::pool::dial::{DialConfig, Dialer, EgressRules, TenantConnection};
use wardgate::pool::{
    Dial, LaneLimits, LaneSpec, PoolConfig, Pools, RecordFault, RecordMark, RecordSource,
};

use crate::fault_proxy::{Fault, FaultProxy, Side};
use crate::harness::Database;

/// Every byte is swallowed, both ways.
pub const SILENCE: Fault = Fault::Freeze { side: Side::Both, after: 0 };

struct Source(ConnectionRecord);

impl RecordSource for Source {
    fn record(&self) -> BoxFuture<'_, Result<ConnectionRecord, RecordFault>> {
        async { Ok(self.0.clone()) }.boxed()
    }
}

/// A lane to `database`, reached on `port`, of a tenant of its own.
pub fn lane(database: &Database, port: u16, limits: LaneLimits) -> LaneSpec {
    lane_to(ServerRecord { port, ..database.server_record() }, limits)
}

/// A lane as `record` says, of a tenant of its own.
pub fn lane_to(record: ServerRecord, limits: LaneLimits) -> LaneSpec {
    LaneSpec {
        tenant: TenantId::random(),
        revision: ConnectionRevision(1),
        engine: record.engine,
        limits,
        expected: None,
        record: RecordMark::default(),
        source: Arc::new(Source(ConnectionRecord::Server(record))),
    }
}

/// Lanes that may go to this machine, and the folder of their sockets.
pub fn pools(config: PoolConfig) -> (Pools, tempfile::TempDir) {
    let sockets = tempfile::tempdir().unwrap();
    let dial = DialConfig {
        connect_timeout: config.connect_timeout,
        egress: EgressRules::parse(&["127.0.0.1/32:*"]).unwrap(),
        socket_dir: sockets.path().to_owned(),
        ..DialConfig::default()
    };
    let clock = Arc::new(SystemClock);
    let dialer: Arc<dyn Dial> = Arc::new(Dialer::new(dial, Arc::clone(&clock) as _));
    (Pools::new(config, dialer, clock), sockets)
}

/// The first cell of a statement's answer.
pub fn text<'c>(
    connection: &'c mut TenantConnection,
    sql: &'static str,
) -> BoxFuture<'c, Result<String, sqlx::Error>> {
    async move {
        match connection {
            TenantConnection::Postgres(c) => {
                let mut rows = c.rows(sql).await?;
                rows.pop().and_then(|mut row| row.pop()).flatten().ok_or(sqlx::Error::RowNotFound)
            }
            TenantConnection::MySql(c) => {
                c.fetch_one(sqlx::query(sql)).await.and_then(|row| row.try_get(0))
            }
            TenantConnection::Sqlite(_) => panic!("a server"),
        }
    }
    .boxed()
}

/// A proxy before the database's server.
pub async fn proxied(database: &Database) -> FaultProxy {
    let address = format!("{}:{}", database.server.host, database.server.port);
    FaultProxy::start(address.parse::<SocketAddr>().unwrap()).await
}
