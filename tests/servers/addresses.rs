//! A name that leads to several addresses, of which not every one serves.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use wardgate::base::{Deadline, Engine, SystemClock};
use wardgate::pool::dial::{DialConfig, Dialer, EgressRules, Resolver};
use wardgate::pool::{Dial, LaneLimits, LaneSpec, PoolConfig, Pools};

use crate::harness::{Database, MariaDb, Postgres};
use crate::lane_bed::{lane_to, text};

const NAME: &str = "database.example";

/// An address that leads to a server of this machine. Connections that are open stay where they are when it is
/// told to lead elsewhere.
pub struct Address {
    /// Its port.
    pub port: u16,
    ip: IpAddr,
    leads_to: Arc<Mutex<Option<u16>>>,
    listening: AbortHandle,
}

impl Address {
    /// At 127.0.0.1, on a port of its own.
    pub async fn of(port: u16) -> Self {
        Self::at(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap(), Some(port))
    }

    /// Several on one port, each leading to the server on that port, or accepting and saying nothing.
    pub async fn several<const N: usize>(ports: [Option<u16>; N]) -> [Self; N] {
        for _ in 0..100 {
            let mut listeners = Vec::new();
            let mut port = 0;
            for n in 0..N {
                let ip = Ipv4Addr::new(127, 0, 0, 2 + u8::try_from(n).unwrap());
                // Somebody else may have it.
                let Ok(listener) = TcpListener::bind((ip, port)).await else { break };
                port = listener.local_addr().unwrap().port();
                listeners.push(listener);
            }
            if let Ok(listeners) = <[TcpListener; N]>::try_from(listeners) {
                let mut ports = ports.into_iter();
                return listeners.map(|listener| Self::at(listener, ports.next().flatten()));
            }
        }
        panic!("no port is free at all of them");
    }

    fn at(listener: TcpListener, to: Option<u16>) -> Self {
        let at = listener.local_addr().unwrap();
        let leads_to = Arc::new(Mutex::new(to));
        let now = Arc::clone(&leads_to);
        let listening = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let Some(port) = *now.lock().unwrap() else {
                    held.push(client);
                    continue;
                };
                tokio::spawn(async move {
                    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                    let Ok(mut server) = TcpStream::connect(server).await else { return };
                    let _ended = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self { port: at.port(), ip: at.ip(), leads_to, listening: listening.abort_handle() }
    }

    /// From now on whoever comes is led there.
    pub fn lead_to(&self, port: u16) {
        *self.leads_to.lock().unwrap() = Some(port);
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// A lane to `database` under a name that leads to `addresses`, with waits that a loaded machine meets.
pub fn named(database: &Database, addresses: &[Address]) -> (Pools, LaneSpec, tempfile::TempDir) {
    let names = HashMap::from([(NAME.to_owned(), addresses.iter().map(|a| a.ip).collect())]);
    let port = addresses[0].port;
    known_to(database, port, Resolver::fixed(names), PoolConfig::default())
}

/// The same under a name that `resolver` knows.
fn known_to(
    database: &Database,
    port: u16,
    resolver: Resolver,
    config: PoolConfig,
) -> (Pools, LaneSpec, tempfile::TempDir) {
    let sockets = tempfile::tempdir().unwrap();
    let dial = DialConfig {
        connect_timeout: Duration::from_secs(20),
        egress: EgressRules::parse(&["127.0.0.0/8:*"]).unwrap(),
        socket_dir: sockets.path().to_owned(),
        ..DialConfig::default()
    };
    let config = PoolConfig { connect_timeout: dial.connect_timeout, ..config };
    let clock = Arc::new(SystemClock);
    let dialer = Dialer::with_resolver(dial, Arc::clone(&clock) as _, resolver);
    let pools = Pools::new(config, Arc::new(dialer) as Arc<dyn Dial>, clock);

    let mut limits = LaneLimits::with_connections(5);
    limits.acquire_timeout = Duration::from_mins(1);
    limits.session.statement_timeout = Duration::from_mins(1);
    let mut record = database.server_record();
    (record.host, record.port) = (NAME.to_owned(), port);
    record.tls.server_name = Some("localhost".to_owned());
    (pools, lane_to(record, limits), sockets)
}

#[tokio::test]
async fn an_address_that_hangs_does_not_keep_the_next_one_waiting() {
    for database in [Postgres::database().await, MariaDb::database().await] {
        let addresses = Address::several([None, Some(database.server.port)]).await;
        let (pools, spec, _sockets) = named(&database, &addresses);
        let soon = Deadline::after(Duration::from_mins(1));
        let mut lease = pools.lease(&spec, soon).await.unwrap();
        assert_eq!(lease.run(soon, |c| text(c, "SELECT 'x'")).await.as_deref(), Ok("x"));
    }
}

/// A name that is given to another address is followed, though the server at the old one lives on and would answer
/// for ever.
#[tokio::test]
async fn a_name_that_leads_elsewhere_is_followed_while_the_old_server_lives() {
    for (database, own) in [
        (Postgres::database().await, "SELECT pg_backend_pid()::text"),
        (MariaDb::database().await, "SELECT CAST(CONNECTION_ID() AS CHAR)"),
    ] {
        let port = database.server.port;
        let [old, new] = Address::several([Some(port), Some(port)]).await;
        let soon = || Deadline::after(Duration::from_mins(1));
        let (pools, mut spec, _sockets) = named(&database, std::slice::from_ref(&old));
        let identity = pools.lease(&spec, soon()).await.unwrap().identity().clone();
        spec.expected = Some(identity);

        let resolver = Resolver::fixed(HashMap::from([(NAME.to_owned(), vec![old.ip])]));
        let often = Duration::from_millis(20);
        let config = PoolConfig {
            tick: often,
            identity_check: often,
            check_timeout: Duration::from_mins(1),
            ..PoolConfig::default()
        };
        let (pools, same, _sockets) = known_to(&database, old.port, resolver.clone(), config);
        spec.source = same.source;
        let _upkeep = tokio::spawn(pools.clone().run_maintenance(CancellationToken::new()));
        let mut lease = pools.lease(&spec, soon()).await.unwrap();
        let session = lease.run(soon(), |c| text(c, own)).await.unwrap();
        drop(lease);
        // Asked many times, and it stays where its name leads, be it to other places as well.
        resolver.lead(NAME, vec![new.ip, old.ip]);
        tokio::time::sleep(often * 20).await;
        assert!(lives(&database, &session).await, "{:?}", database.engine);
        resolver.lead(NAME, vec![new.ip]);
        let begun = std::time::Instant::now();
        while lives(&database, &session).await {
            assert!(begun.elapsed() < Duration::from_mins(1), "it stays with the old server");
            tokio::time::sleep(often).await;
        }
        let mut lease = pools.lease(&spec, soon()).await.unwrap();
        assert_ne!(lease.run(soon(), |c| text(c, own)).await.unwrap(), session);
    }
}

/// Whether a server has that session.
async fn lives(database: &Database, session: &str) -> bool {
    let found: i64 = if database.engine == Engine::Postgres {
        let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {session}");
        sqlx::query_scalar(&sql).fetch_one(&mut Postgres::admin().await).await.unwrap()
    } else {
        let sql =
            format!("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = {session}");
        sqlx::query_scalar(&sql).fetch_one(&mut MariaDb::admin().await).await.unwrap()
    };
    found > 0
}
