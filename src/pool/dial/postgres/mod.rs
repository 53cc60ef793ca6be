//! PostgreSQL: TLS negotiation, login, identity, cancel requests.

mod login;
mod message;
mod scram;

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::TcpStream;

use super::tls::{Demand, handshake};
use super::wire::{Buffered, Link, Wire, read_exact, send};
use super::{
    Canceller, DialClass, DialFault, Dialled, Found, Inner, Opened, ServerFacts, ServerFlavour,
    SessionSettings, Steps, TenantConnection, guarded,
};
use crate::base::{Deadline, Engine, ServerIdentity, ServerRecord};
use crate::pool::postgres::{Cells, Parameter, PostgresSession};
use login::LoggedIn;

/// Everything about the server and the session in one round trip, the limit of its statements and its search
/// path set on the way (`limit.sql` and `path.sql` say how), and that a transaction which no statement began
/// sees one moment too, where it changes nothing. `$process` stands for what the login told.
///
/// `SQL_ASCII` holds bytes of which nobody says what they mean. Asked for UTF-8, such a database refuses a whole
/// answer over one cell; so it is asked for what it has, and each cell is judged here. `$encoding` is what the
/// session speaks otherwise.
const IDENTITY: &str = concat!(
    "SELECT d.datname::pg_catalog.text, d.oid::pg_catalog.text, ",
    include_str!("limit.sql"),
    ", pg_catalog.current_setting('default_transaction_read_only'), \
     (CASE WHEN pg_catalog.current_setting('server_encoding') OPERATOR(pg_catalog.=) 'SQL_ASCII' \
       AND pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.=) $process \
      THEN pg_catalog.set_config('client_encoding', 'SQL_ASCII', false) IS NOT NULL \
      ELSE pg_catalog.current_setting('client_encoding') OPERATOR(pg_catalog.=) '$encoding' END \
      AND pg_catalog.concat_ws('|', \
      pg_catalog.current_setting('DateStyle'), pg_catalog.current_setting('IntervalStyle'), \
      pg_catalog.current_setting('TimeZone'), pg_catalog.current_setting('bytea_output'), \
      pg_catalog.current_setting('extra_float_digits')) \
      OPERATOR(pg_catalog.=) 'ISO, MDY|iso_8601|UTC|hex|1')::pg_catalog.text, ",
    include_str!("path.sql"),
    ", CASE WHEN pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.=) $process \
      AND pg_catalog.current_setting('default_transaction_read_only') OPERATOR(pg_catalog.=) 'on' \
      THEN pg_catalog.set_config('default_transaction_isolation', 'repeatable read', false) ELSE '' END, \
     pg_catalog.pg_is_in_recovery()::pg_catalog.text, \
     (SELECT system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system()) \
     FROM pg_catalog.pg_database d \
     WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()"
);

/// Where the server's own name is asked for; some roles may not.
const SYSTEM: &str =
    "(SELECT system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system())";

/// What names a session to its server.
#[derive(Clone, Copy)]
pub(super) struct Key {
    /// As the login told.
    pub(super) bytes: [u8; 8],
    /// A pooler made it up: no process of the server has it.
    pooled: bool,
}

/// The longest a question after another session may run in the server.
const LOOK: Duration = Duration::from_secs(1);

/// Opens a session on a server just dialled.
pub(super) async fn open(
    inner: &Arc<Inner>,
    record: &Arc<ServerRecord>,
    session: &SessionSettings,
    dialled: Dialled,
    mut steps: Steps,
) -> Result<Opened, DialFault> {
    let (address, heard) = (dialled.address, dialled.heard.clone());
    let (mut wire, link) = secure(inner, record, dialled).await?;
    steps.done("tls");
    let iterations = inner.config.scram_iterations_max;
    let logged_in = login::login(&mut wire, link, record, session, iterations).await?;
    steps.done("login");

    let LoggedIn { version, encoding, key } = logged_in;
    let mut connection = session_over(inner, wire, key);
    let (identity, standby) = guarded(identify(&mut connection, session)).await?;
    if let Some(encoding) = &encoding {
        guarded(async { connection.speak(encoding).await.map_err(|error| query_fault(&error)) })
            .await?;
    }
    steps.done("session");
    let key = Key { bytes: key, pooled: connection.is_pooled() };
    let canceller = Canceller::postgres(inner, record, address, key, heard);
    let facts = ServerFacts {
        version,
        flavour: ServerFlavour::Postgres,
        encoding,
        tls: link.encrypted,
        standby,
        steps: steps.finish(),
    };
    let connection = TenantConnection::Postgres(Box::new(connection));
    Ok(Opened { connection, canceller, identity, facts })
}

fn session_over(inner: &Inner, wire: Buffered, key: [u8; 8]) -> PostgresSession {
    let early = wire.buffer().to_vec();
    PostgresSession::new(wire.into_inner(), &early, inner.sessions.token()).of_process(process(key))
}

/// The process that a cancel key names.
const fn process(key: [u8; 8]) -> i32 {
    let [a, b, c, d, ..] = key;
    i32::from_be_bytes([a, b, c, d])
}

/// TLS as the record demands it, on a fresh stream.
async fn secure(
    inner: &Inner,
    record: &ServerRecord,
    dialled: Dialled,
) -> Result<(Buffered, Link), DialFault> {
    let loopback = dialled.address.ip().is_loopback();
    let demand = inner.tls()?.demand(record, dialled.address.ip(), &*inner.clock)?;
    let wire = match demand {
        Demand::Plaintext => Wire::plain(dialled.stream),
        Demand::Tls(config, name) => {
            let mut stream = dialled.stream;
            request_tls(&mut stream).await?;
            dialled.heard.note();
            handshake(config, name, stream).await?
        }
    };
    let wire = wire.counted(&dialled.heard);
    let encrypted = wire.is_encrypted();
    Ok((BufReader::new(wire), Link { encrypted, loopback }))
}

async fn request_tls(stream: &mut TcpStream) -> Result<(), DialFault> {
    send(stream, &message::SSL_REQUEST).await?;
    let mut answer = [0];
    read_exact(stream, &mut answer).await?;
    match answer[0] {
        b'S' => {}
        b'N' => return Err(DialFault::new(DialClass::Tls, "the server does not offer TLS")),
        b'E' => return Err(DialFault::new(DialClass::Refused, "the server refused the session")),
        _ => return Err(DialFault::protocol("the peer does not speak PostgreSQL's protocol")),
    }
    // In TLS the client speaks first. Whatever lies here already was put in by somebody else, to be
    // taken for the server's words inside TLS (CVE-2021-23222).
    match stream.try_read(&mut [0]) {
        Ok(n) if n > 0 => Err(DialFault::hostile("plaintext follows the server's turn to TLS")),
        _ => Ok(()),
    }
}

/// Which server and database it is, and whether it is a standby, which takes no changes.
pub(super) async fn identify(
    connection: &mut PostgresSession,
    session: &SessionSettings,
) -> Result<(ServerIdentity, bool), DialFault> {
    let millis = session.statement_timeout.as_millis().min(i32::MAX as u128);
    let sql = IDENTITY
        .replace("$stands", &stands(session, millis))
        .replace("$limit", &millis.to_string())
        .replace("$encoding", connection.encoding())
        .replace("$process", &connection.process().to_string());
    let mut rows = connection.rows(&sql).await;
    if let Err(sqlx::Error::Database(error)) = &rows
        && error.code().as_deref() == Some("42501")
    {
        rows = connection.rows(&sql.replace(SYSTEM, "''")).await;
    }
    let rows = rows.map_err(|error| query_fault(&error))?;
    let malformed = || DialFault::protocol("the server's identity is malformed");
    let row: Option<Vec<String>> =
        rows.into_iter().next().and_then(|row| row.into_iter().collect());
    let row = <[String; 9]>::try_from(row.ok_or_else(malformed)?).map_err(|_| malformed())?;
    let [database, oid, limit, mode, formats, path, moment, standby, system] = row;
    // What changes rows says so in every transaction.
    let limited = limit.parse().is_ok_and(|limit| millis == 0 || (1..=millis).contains(&limit));
    // Written otherwise, a value would be read as another.
    if !limited || session.read_only && mode != "on" || formats != "true" {
        return Err(DialFault::protocol("the server or a pooler ignores session settings"));
    }
    if mode == "on" && moment == "repeatable read" {
        connection.sees_one_moment();
    }
    match path.as_str() {
        "own" => {}
        "pooled" => connection.keep_nothing(),
        _ => {
            return Err(DialFault::protocol(
                "behind a pooler the role's search_path must end with pg_temp",
            ));
        }
    }
    let database = format!("{database}:{oid}");
    Ok((ServerIdentity { engine: Engine::Postgres, system, database }, standby == "true"))
}

/// When the limit that the session has without the gateway's word stands, as a condition on `own`: that limit
/// in milliseconds, zero for none.
fn stands(session: &SessionSettings, millis: u128) -> String {
    match millis {
        _ if !session.own_limit_counts => "false".to_owned(),
        0 => "true".to_owned(),
        _ => format!("own OPERATOR(pg_catalog.>) 0 AND own OPERATOR(pg_catalog.<=) {millis}"),
    }
}

fn query_fault(error: &sqlx::Error) -> DialFault {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    match code.filter(|c| c.len() == 5 && c.bytes().all(|b| b.is_ascii_alphanumeric())) {
        Some(code) => DialFault::with_code(
            DialClass::Refused,
            "the server refused to identify itself",
            code.into_owned(),
        ),
        None => DialFault::protocol("the server did not identify itself"),
    }
}

/// Sends a CancelRequest over a connection of its own, TLS as on the original.
pub(super) async fn cancel(
    inner: &Inner,
    record: &ServerRecord,
    address: SocketAddr,
    key: [u8; 8],
    deadline: Deadline,
) -> Result<(), DialFault> {
    let dialled = inner.reach(record, address, deadline).await?;
    let (mut wire, _) = secure(inner, record, dialled).await?;
    let mut request = vec![0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e];
    request.extend_from_slice(&key);
    send(&mut wire, &request).await?;
    // The server acts, then closes without an answer.
    let _ = wire.read(&mut [0; 16]).await;
    Ok(())
}

/// Whether a session has long been waiting for a statement. A session of the same role sees it; without a
/// row nothing is known.
const WAITING: &str = "SELECT (state OPERATOR(pg_catalog.~~) 'idle%' \
     AND pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) state_change \
     OPERATOR(pg_catalog.>) '200 ms'::pg_catalog.interval)::pg_catalog.text \
     FROM pg_catalog.pg_stat_activity WHERE pid OPERATOR(pg_catalog.=) $1";

/// Logs in on a connection of its own and asks after the session with `key`. A pooler answers the login
/// itself, knows nothing of the session, and may let a question wait for as long as its sessions are at work:
/// behind one the login is all.
pub(super) async fn look(
    inner: &Inner,
    record: &ServerRecord,
    address: SocketAddr,
    key: Key,
    deadline: Deadline,
) -> Result<Found, DialFault> {
    let dialled = inner.reach(record, address, deadline).await?;
    let (mut wire, link) = secure(inner, record, dialled).await?;
    // Said at once: what hides behind it has nothing to say to one question.
    let session = SessionSettings {
        statement_timeout: LOOK,
        own_limit_counts: false,
        ..SessionSettings::default()
    };
    let iterations = inner.config.scram_iterations_max;
    login::login(&mut wire, link, record, &session, iterations).await?;
    let mut beside = session_over(inner, wire, key.bytes);
    // Asked once, so there is nothing to keep.
    beside.keep_nothing();
    if key.pooled {
        let _ = beside.close().await;
        return Ok(Found::Pooled);
    }
    let pid = Parameter::Int(i64::from(process(key.bytes)));
    let mut waiting = false;
    let each = |mut cells: Cells<'_>| {
        waiting = cells.next() == Some(Some(b"true"));
        ControlFlow::Continue(())
    };
    beside.select(WAITING, &[pid], each).await.map_err(|error| query_fault(&error))?;
    // What was asked is known; a farewell that does not get through changes nothing.
    let _ = beside.close().await;
    Ok(if waiting { Found::Waiting } else { Found::Answering })
}
