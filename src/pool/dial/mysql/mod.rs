//! MySQL and MariaDB: greeting, TLS, login, session settings, hand-over to the driver, identity,
//! `KILL QUERY`.

mod answers;
mod auth;
mod login;
mod packet;

use std::net::SocketAddr;
use std::sync::Arc;

use sqlx::mysql::{MySqlConnectOptions, MySqlDatabaseError, MySqlRow, MySqlSslMode};
use sqlx::{ConnectOptions, Executor, MySqlConnection, Row};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::attach::{Doorway, attach};
use super::tls::{Demand, handshake};
use super::wire::{Buffered, Link, Wire};
use super::{
    Canceller, DialClass, DialFault, Dialled, Found, Inner, Opened, ServerFacts, ServerFlavour,
    SessionSettings, Steps, TenantConnection, guarded,
};
use crate::base::{Deadline, Engine, ServerIdentity, ServerRecord};
use answers::Bounded;
use packet::{Greeting, Packets, capability, framed, refusal};

/// Prepared statements a connection keeps. Each also lives in the server's memory.
const STATEMENTS: usize = 32;

/// MySQL's own lasting name, the schema's, and whether the server takes changes.
const IDENTITY_MYSQL: &str = "SELECT CAST(@@server_uuid AS CHAR CHARACTER SET utf8mb4), \
     CAST(DATABASE() AS CHAR CHARACTER SET utf8mb4), \
     CAST(@@global.read_only AS CHAR CHARACTER SET utf8mb4)";
/// MariaDB has no `server_uuid`; this is the nearest.
const IDENTITY_MARIADB: &str = "SELECT CAST(CONCAT_WS(':', @@server_id, @@hostname, @@port) AS \
     CHAR CHARACTER SET utf8mb4), CAST(DATABASE() AS CHAR CHARACTER SET utf8mb4), \
     CAST(@@global.read_only AS CHAR CHARACTER SET utf8mb4)";

/// What the version string gives away.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Flavour {
    mariadb: bool,
    version: String,
    numbers: (u32, u32, u32),
}

impl Flavour {
    fn of(version: &str) -> Self {
        let mariadb = version.to_ascii_lowercase().contains("mariadb");
        // MariaDB puts a version before its own that old replicas understand.
        let version = version.strip_prefix("5.5.5-").filter(|_| mariadb).unwrap_or(version);
        let mut parts = version.splitn(3, '.').map(|part| {
            let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            part[..end.min(4)].parse().unwrap_or(0)
        });
        let mut part = || parts.next().unwrap_or(0);
        let numbers = (part(), part(), part());
        Self { mariadb, version: version.to_owned(), numbers }
    }
}

/// A session that is logged in and not yet the driver's.
struct Session {
    wire: Buffered,
    sequence: u8,
    link: Link,
    greeting: Greeting,
}

/// Opens a session on a server just dialled.
pub(super) async fn open(
    inner: &Arc<Inner>,
    record: &Arc<ServerRecord>,
    session: &SessionSettings,
    dialled: Dialled,
    mut steps: Steps,
) -> Result<Opened, DialFault> {
    let (address, heard) = (dialled.address, dialled.heard.clone());
    let Session { mut wire, sequence, link, greeting } = secure(inner, record, dialled).await?;
    steps.done("tls");
    let mut packets = Packets::new(&mut wire, sequence);
    login::login(&mut packets, link, &greeting, record).await?;
    let flavour = Flavour::of(&greeting.version);
    login::set_up(&mut packets, &flavour, session).await?;
    steps.done("login");

    let doorway = Doorway::open(&inner.config.socket_dir, "mysql.sock")?;
    // The driver logs in to the relay, which asks for nothing, and runs no statement of its own.
    let options = MySqlConnectOptions::new()
        .host("localhost")
        .port(3306)
        .socket(doorway.socket())
        .username("tenant")
        .database("tenant")
        .ssl_mode(MySqlSslMode::Disabled)
        .charset("utf8mb4")
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .timezone(None)
        .set_names(false)
        .enable_cleartext_plugin(false)
        .statement_cache_capacity(STATEMENTS)
        .disable_statement_logging();
    let capabilities = login::agreed(&greeting)?;
    let hello = hello(&greeting, capabilities);
    let welcome = async |driver: &mut UnixStream| welcome(driver, &hello).await;
    let server = Bounded::new(wire, capabilities & capability::DEPRECATE_EOF == 0);
    let mut connection =
        attach(doorway, options.connect(), welcome, server, &inner.sessions).await?;
    steps.done("attach");

    let (identity, standby) = guarded(identify(&mut connection, flavour.mariadb)).await?;
    steps.done("session");
    let canceller = Canceller::mysql(inner, record, address, greeting.connection_id, heard);
    let facts = ServerFacts {
        version: flavour.version,
        flavour: if flavour.mariadb { ServerFlavour::MariaDb } else { ServerFlavour::MySql },
        encoding: None,
        tls: link.encrypted,
        standby,
        steps: steps.finish(),
    };
    Ok(Opened { connection: TenantConnection::MySql(connection), canceller, identity, facts })
}

/// Reads the greeting and takes up TLS as the record demands it.
async fn secure(
    inner: &Inner,
    record: &ServerRecord,
    dialled: Dialled,
) -> Result<Session, DialFault> {
    let ip = dialled.address.ip();
    let demand = inner.tls()?.demand(record, ip, &*inner.clock)?;
    let mut wire = BufReader::new(Wire::plain(dialled.stream).counted(&dialled.heard));
    let mut packets = Packets::new(&mut wire, 0);
    let greeting = Greeting::read(&packets.next().await?)?;
    let capabilities = login::agreed(&greeting)?;
    let link = |encrypted| Link { encrypted, loopback: ip.is_loopback() };
    let Demand::Tls(config, name) = demand else {
        return Ok(Session { wire, sequence: 1, link: link(false), greeting });
    };
    if greeting.capabilities & capability::SSL == 0 {
        return Err(DialFault::new(DialClass::Tls, "the server does not offer TLS"));
    }
    packets.send(&login::ssl_request(capabilities)).await?;
    // The server waits for TLS now; whatever follows its greeting was put in by somebody else.
    if !wire.buffer().is_empty() {
        return Err(DialFault::hostile("plaintext follows the server's turn to TLS"));
    }
    let Some(stream) = wire.into_inner().into_plain() else {
        return Err(DialFault::internal("TLS within TLS"));
    };
    let wire = BufReader::new(handshake(config, name, stream).await?.counted(&dialled.heard));
    Ok(Session { wire, sequence: 2, link: link(true), greeting })
}

/// The greeting the driver gets: the server's version and exactly the capabilities agreed with it.
fn hello(greeting: &Greeting, capabilities: u32) -> Vec<u8> {
    let bits = (capabilities | capability::LONG_PASSWORD).to_le_bytes();
    let numbers = Flavour::of(&greeting.version).numbers;
    let mut packet = format!("\x0a{}.{}.{}\0", numbers.0, numbers.1, numbers.2).into_bytes();
    packet.extend_from_slice(&greeting.connection_id.to_le_bytes());
    packet.extend_from_slice(b"00000000\0");
    packet.extend_from_slice(&bits[..2]);
    packet.extend_from_slice(&[45, 2, 0]);
    packet.extend_from_slice(&bits[2..]);
    packet.push(21);
    packet.extend_from_slice(&[0; 10]);
    packet.extend_from_slice(b"000000000000\0mysql_native_password\0");
    packet
}

/// The server's part of a login that asks for nothing.
async fn welcome(driver: &mut UnixStream, hello: &[u8]) -> std::io::Result<()> {
    driver.write_all(&framed(hello, 0)).await?;
    let length = usize::try_from(driver.read_u32_le().await? & 0xff_ffff).unwrap_or(0);
    let mut answer = vec![0; length.min(65_536)];
    driver.read_exact(&mut answer).await?;
    driver.write_all(&framed(&[0, 0, 0, 2, 0, 0, 0], 2)).await?;
    driver.flush().await
}

/// Which server and database it is, and whether it is closed to changes, as replicas are.
pub(super) async fn identify(
    connection: &mut MySqlConnection,
    mariadb: bool,
) -> Result<(ServerIdentity, bool), DialFault> {
    let sql = if mariadb { IDENTITY_MARIADB } else { IDENTITY_MYSQL };
    let row =
        connection.fetch_one(sqlx::raw_sql(sql)).await.map_err(|error| unidentified(&error))?;
    let text = |row: &MySqlRow, at: usize| {
        let cell: Result<String, _> = row.try_get(at);
        cell.map_err(|_| DialFault::protocol("the server's identity is malformed"))
    };
    let (system, database) = (text(&row, 0)?, text(&row, 1)?);
    let standby = !matches!(text(&row, 2)?.as_str(), "0" | "OFF");
    Ok((ServerIdentity { engine: Engine::MySql, system, database }, standby))
}

/// Why a server did not say who it is. One that lets an account with an expired password in, as MariaDB does,
/// refuses everything from then on.
fn unidentified(error: &sqlx::Error) -> DialFault {
    let refused =
        error.as_database_error().and_then(|e| e.try_downcast_ref::<MySqlDatabaseError>());
    match refused.map(MySqlDatabaseError::number) {
        Some(1820) => DialFault::with_code(
            DialClass::Auth,
            "the account's password has expired",
            "1820".to_owned(),
        ),
        Some(number) => DialFault::with_code(
            DialClass::Refused,
            "the server refused to identify itself",
            number.to_string(),
        ),
        None => DialFault::protocol("the server did not identify itself"),
    }
}

/// Sends `KILL QUERY` over a connection of its own, logged in with the same record.
pub(super) async fn cancel(
    inner: &Inner,
    record: &ServerRecord,
    address: SocketAddr,
    connection_id: u32,
    deadline: Deadline,
) -> Result<(), DialFault> {
    /// "Unknown thread id": the connection is gone, and its statement with it.
    const UNKNOWN_THREAD: u16 = 1094;
    let kill = format!("\x03KILL QUERY {connection_id}");
    let packet = beside(inner, record, address, kill.as_bytes(), deadline).await?;
    match packet[0] {
        0x00 => Ok(()),
        0xff if packet.get(1..3) == Some(&UNKNOWN_THREAD.to_le_bytes()) => Ok(()),
        0xff => Err(refusal(&packet)),
        _ => Err(DialFault::hostile("an unexpected answer to KILL QUERY")),
    }
}

/// Logs in on a connection of its own and pings.
pub(super) async fn look(
    inner: &Inner,
    record: &ServerRecord,
    address: SocketAddr,
    deadline: Deadline,
) -> Result<Found, DialFault> {
    beside(inner, record, address, b"\x0e", deadline).await.map(|_answer| Found::Answering)
}

/// Logs in on a connection of its own, sends one command and gives back the first packet of its answer.
async fn beside(
    inner: &Inner,
    record: &ServerRecord,
    address: SocketAddr,
    command: &[u8],
    deadline: Deadline,
) -> Result<Vec<u8>, DialFault> {
    let dialled = inner.reach(record, address, deadline).await?;
    let Session { mut wire, sequence, link, greeting } = secure(inner, record, dialled).await?;
    let mut packets = Packets::new(&mut wire, sequence);
    login::login(&mut packets, link, &greeting, record).await?;
    packets.restart();
    packets.send(command).await?;
    let packet = packets.next().await?;
    packets.restart();
    // A farewell that does not get through changes nothing.
    let _ = packets.send(b"\x01").await;
    Ok(packet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flavour_is_read_from_the_version() {
        let maria = Flavour::of("5.5.5-10.11.19-MariaDB-0+deb12u1");
        assert!(maria.mariadb);
        assert_eq!(maria.numbers, (10, 11, 19));
        let mysql = Flavour::of("8.0.36-0ubuntu0.22.04.1");
        assert!(!mysql.mariadb);
        assert_eq!(mysql.numbers, (8, 0, 36));
        assert_eq!(Flavour::of("99999999999.x").numbers, (9999, 0, 0));
    }
}
