use std::time::Duration;

use super::Flavour;
use super::auth::{self, Plugin};
use super::packet::{Greeting, Packets, capability, refusal};
use crate::base::ServerRecord;
use crate::pool::dial::wire::Link;
use crate::pool::dial::{DialClass, DialFault, SessionSettings};

/// Login packets a server may send before it must have decided.
const MAX_ROUNDS: usize = 8;
/// The longest packet we announce to take, in bytes: 16 MiB, the protocol's own piece.
const MAX_PACKET_SIZE: u32 = 1 << 24;
/// `utf8mb4_general_ci`, the one collation with all of Unicode that every version has.
const COLLATION: u8 = 45;

/// What the session uses of what the server can do. Left out on purpose: several statements in one
/// text, LOCAL INFILE, compression, and IGNORE_SPACE, which changes what an SQL text means.
const WANTED: u32 = capability::LONG_PASSWORD
    | capability::FOUND_ROWS
    | capability::CONNECT_WITH_DB
    | capability::PROTOCOL_41
    | capability::TRANSACTIONS
    | capability::SECURE_CONNECTION
    | capability::MULTI_RESULTS
    | capability::PS_MULTI_RESULTS
    | capability::PLUGIN_AUTH
    | capability::PLUGIN_AUTH_LENENC_DATA
    | capability::DEPRECATE_EOF;
/// What a server must be able to do.
const NEEDED: u32 = capability::PROTOCOL_41
    | capability::SECURE_CONNECTION
    | capability::CONNECT_WITH_DB
    | capability::PLUGIN_AUTH
    | capability::TRANSACTIONS;

/// A password goes under a server's own key only where nobody can be on the way.
const UNVOUCHED: &str = "the server asks for the password under a key nobody vouches for";

/// The capabilities the session will have with this server.
pub(super) fn agreed(greeting: &Greeting) -> Result<u32, DialFault> {
    if greeting.capabilities & NEEDED == NEEDED {
        Ok(greeting.capabilities & WANTED)
    } else {
        Err(DialFault::protocol("the server is too old"))
    }
}

/// The packet that asks for TLS: the head of the login packet, with the TLS flag.
pub(super) fn ssl_request(capabilities: u32) -> Vec<u8> {
    head(capabilities | capability::SSL)
}

fn head(capabilities: u32) -> Vec<u8> {
    let mut packet = capabilities.to_le_bytes().to_vec();
    packet.extend_from_slice(&MAX_PACKET_SIZE.to_le_bytes());
    packet.push(COLLATION);
    packet.extend_from_slice(&[0; 23]);
    packet
}

/// Logs in. The driver never sees this exchange: it cannot know that the link is encrypted, would repeat
/// RSA rounds without end, and takes the end of a fast `caching_sha2_password` login for the answer
/// to its first statement.
pub(super) async fn login(
    packets: &mut Packets<'_>,
    link: Link,
    greeting: &Greeting,
    record: &ServerRecord,
) -> Result<(), DialFault> {
    let mut capabilities = agreed(greeting)?;
    if link.encrypted {
        capabilities |= capability::SSL;
    }
    // A default method we do not do is no matter yet: the account may have another, which the server
    // then switches to.
    let mut plugin = match Plugin::named(&greeting.plugin) {
        Ok(Plugin::CachingSha2) => Plugin::CachingSha2,
        _ => Plugin::Native,
    };
    let mut nonce = greeting.nonce.to_vec();
    let answer = match plugin {
        Plugin::CachingSha2 => auth::caching_sha2(&record.password, &nonce),
        _ => auth::native(&record.password, &nonce),
    };
    let mut packet = head(capabilities);
    packet.extend_from_slice(record.user.as_bytes());
    packet.push(0);
    // Both forms of the length agree below 251, and an answer has 20 or 32 bytes.
    packet.push(u8::try_from(answer.len()).unwrap_or(0));
    packet.extend_from_slice(&answer);
    for text in [record.database.as_str(), plugin.name()] {
        packet.extend_from_slice(text.as_bytes());
        packet.push(0);
    }
    packets.send(&packet).await?;

    for _ in 0..MAX_ROUNDS {
        let packet = packets.next().await?;
        match packet[0] {
            0x00 => return Ok(()),
            0xff => return Err(refusal(&packet)),
            0xfe => {
                (plugin, nonce) = switched(&packet)?;
                let answer = match plugin {
                    Plugin::Native => auth::native(&record.password, &nonce),
                    Plugin::CachingSha2 => auth::caching_sha2(&record.password, &nonce),
                    Plugin::Sha256 if link.encrypted => auth::clear(&record.password),
                    Plugin::Sha256 if link.loopback => vec![0x01].into(),
                    Plugin::Sha256 => return Err(DialFault::new(DialClass::Auth, UNVOUCHED)),
                };
                packets.send(&answer).await?;
            }
            0x01 => more(packets, link, plugin, &nonce, &packet[1..], record).await?,
            0xfb => return Err(DialFault::hostile("the server asks for a file of the gateway")),
            _ => return Err(DialFault::hostile("an unexpected packet in the login")),
        }
    }
    Err(DialFault::hostile("the login is endless"))
}

/// Answers a packet that continues a method.
async fn more(
    packets: &mut Packets<'_>,
    link: Link,
    plugin: Plugin,
    nonce: &[u8],
    data: &[u8],
    record: &ServerRecord,
) -> Result<(), DialFault> {
    match (plugin, data) {
        // The server knew the password; its verdict follows.
        (Plugin::CachingSha2, [0x03]) => Ok(()),
        (Plugin::CachingSha2, [0x04]) if link.encrypted => {
            packets.send(&auth::clear(&record.password)).await
        }
        // Nothing vouches for a key that comes in clear: whoever is on the way could send his own.
        (Plugin::CachingSha2, [0x04]) if !link.is_private() => {
            Err(DialFault::new(DialClass::Auth, UNVOUCHED))
        }
        // Asks for the server's key, which comes as a continuation.
        (Plugin::CachingSha2, [0x04]) => packets.send(&[0x02]).await,
        (Plugin::CachingSha2 | Plugin::Sha256, pem)
            if !link.encrypted && link.loopback && pem.starts_with(b"-----BEGIN") =>
        {
            let sealed = auth::under_key(&record.password, nonce, pem)?;
            packets.send(&sealed).await
        }
        _ => Err(DialFault::hostile("an unexpected packet in the login")),
    }
}

fn switched(packet: &[u8]) -> Result<(Plugin, Vec<u8>), DialFault> {
    let malformed = || DialFault::hostile("the change of login method is malformed");
    if packet.len() == 1 {
        return Err(DialFault::new(
            DialClass::Auth,
            "the account has a password of the form before MySQL 4.1",
        ));
    }
    let rest = &packet[1..];
    let end = rest.iter().position(|b| *b == 0).ok_or_else(malformed)?;
    let name = std::str::from_utf8(&rest[..end]).map_err(|_| malformed())?;
    let plugin = Plugin::named(name)?;
    let nonce = rest.get(end + 1..).unwrap_or_default();
    let nonce = nonce.strip_suffix(b"\0").unwrap_or(nonce);
    if nonce.len() == 20 { Ok((plugin, nonce.to_vec())) } else { Err(malformed()) }
}

/// Puts the session's settings in force with one statement of numbers and constants.
///
/// The time zone is UTC, so that TIMESTAMP columns read as UTC, and text is utf8mb4. The SQL mode is
/// set whole rather than added to: strict, so that a value that does not fit fails instead of being
/// cut, and without ANSI_QUOTES, PIPES_AS_CONCAT or NO_BACKSLASH_ESCAPES, so that one SQL text means the
/// same on every server. NO_ZERO_DATE is left out, because hospitals' old rows hold zero dates. What a server may
/// say for all its sessions and must not for these: how many rows an answer has at most, how many it may look
/// at, that a transaction follows on the one before, that transactions see what others have not or only just
/// stored (a snapshot then is none, and nothing says so), that a missing key means the last one given out, and
/// that changes must say more than ours do.
pub(super) async fn set_up(
    packets: &mut Packets<'_>,
    flavour: &Flavour,
    session: &SessionSettings,
) -> Result<(), DialFault> {
    packets.restart();
    packets.send(format!("\x03{}", set_up_sql(flavour, session)).as_bytes()).await?;
    let packet = packets.next().await?;
    match packet[0] {
        0x00 => Ok(()),
        0xff => {
            let refused = refusal(&packet);
            Err(match refused.code() {
                Some(code) => DialFault::with_code(
                    DialClass::Refused,
                    "the server refused a session setting",
                    code.to_owned(),
                ),
                None => refused,
            })
        }
        0xfb => Err(DialFault::hostile("the server asks for a file of the gateway")),
        _ => Err(DialFault::hostile("an unexpected answer to the session settings")),
    }
}

fn set_up_sql(flavour: &Flavour, session: &SessionSettings) -> String {
    // Zero is "no limit"; the server's clocks for locks count whole seconds, from one to a year.
    let seconds = |d: Duration| match d.as_secs() + u64::from(d.subsec_nanos() > 0) {
        0 => 31_536_000,
        n => n.min(31_536_000),
    };
    let lock = seconds(session.lock_timeout);
    let read_only = u8::from(session.read_only);
    // A limit that the account or the server has of its own counts where it is stricter.
    let limited = |variable: &str, limit: String, any: bool| match session.own_limit_counts {
        false => format!("{variable}={limit},"),
        // Of a signed and an unsigned number MySQL makes a decimal, which it does not take for milliseconds.
        true if any => {
            let own = format!("@@session.{variable}");
            let stricter = format!("IF({own}>0,LEAST({own},{limit}),{limit})");
            if flavour.mariadb {
                format!("{variable}={stricter},")
            } else {
                format!("{variable}=CAST({stricter} AS UNSIGNED),")
            }
        }
        true => String::new(),
    };
    // Both names changed at once.
    let mode = if !flavour.mariadb && flavour.numbers >= (5, 7, 20) { "transaction" } else { "tx" };
    // What an older server cannot limit by itself, the gateway still ends: it cancels what takes too long.
    let statement = if flavour.mariadb {
        let mut statement = String::new();
        if flavour.numbers >= (10, 1, 1) {
            let millis = session.statement_timeout.as_millis().min(31_536_000_000);
            let limit = format!("{}.{:03}", millis / 1000, millis % 1000);
            statement.push_str(&limited("max_statement_time", limit, millis > 0));
        }
        if flavour.numbers >= (10, 3, 0) {
            let idle = match session.idle_in_transaction_timeout {
                Duration::ZERO => 0,
                d => seconds(d),
            };
            statement.extend(["idle_transaction_timeout=", &idle.to_string(), ","]);
        }
        statement
    } else if flavour.numbers >= (5, 7, 8) {
        let millis = session.statement_timeout.as_millis().min(u128::from(u32::MAX));
        limited("max_execution_time", millis.to_string(), millis > 0)
    } else {
        String::new()
    };
    format!(
        "SET NAMES utf8mb4,time_zone='+00:00',sql_mode='STRICT_ALL_TABLES,\
         ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION',autocommit=1,\
         sql_select_limit=18446744073709551615,sql_big_selects=1,completion_type=0,\
         sql_auto_is_null=0,sql_safe_updates=0,\
         innodb_lock_wait_timeout={lock},lock_wait_timeout={lock},\
         {statement}{mode}_isolation='REPEATABLE-READ',{mode}_read_only={read_only}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_fit_the_flavour() {
        let session = SessionSettings {
            statement_timeout: Duration::from_millis(1500),
            lock_timeout: Duration::from_millis(200),
            ..SessionSettings::default()
        };
        let sql = |version: &str| set_up_sql(&Flavour::of(version), &session);
        let maria = sql("5.5.5-10.11.19-MariaDB");
        assert!(maria.contains(
            "max_statement_time=IF(@@session.max_statement_time>0,\
             LEAST(@@session.max_statement_time,1.500),1.500),idle_transaction_timeout=15"
        ));
        assert!(maria.contains("innodb_lock_wait_timeout=1,"));
        assert!(sql("8.0.36").contains(",1500),1500) AS UNSIGNED),transaction_isolation='REPEATABLE-READ',transaction_read_only=1"));
        let ours = SessionSettings { own_limit_counts: false, ..session.clone() };
        let ours = set_up_sql(&Flavour::of("8.0.36"), &ours);
        assert!(ours.contains("max_execution_time=1500,transaction_isolation="));
        let none = SessionSettings { statement_timeout: Duration::ZERO, ..session.clone() };
        assert!(!set_up_sql(&Flavour::of("8.0.36"), &none).contains("max_execution_time"));
        assert!(sql("5.7.19-log").contains(",tx_isolation='REPEATABLE-READ',tx_read_only=1"));
        for (old, without) in [
            ("5.5.5-10.0.38-MariaDB", "max_statement_time"),
            ("5.5.5-10.2.44-MariaDB", "idle_transaction_timeout"),
            ("5.6.51", "max_execution_time"),
        ] {
            assert!(!sql(old).contains(without), "{old}");
        }
    }

    #[test]
    fn a_change_of_method_is_read_strictly() {
        let good = b"\xfemysql_native_password\0abcdefghijabcdefghij\0";
        assert_eq!(switched(good).unwrap().0, Plugin::Native);
        for (bad, class) in [
            (&b"\xfe"[..], DialClass::Auth),
            (b"\xfemysql_clear_password\0abcdefghijabcdefghij\0", DialClass::Auth),
            (b"\xfeclient_ed25519\0abcdefghijabcdefghij\0", DialClass::Auth),
            (b"\xfemysql_native_password", DialClass::Hostile),
            (b"\xfemysql_native_password\0", DialClass::Hostile),
            (b"\xfemysql_native_password\0short\0", DialClass::Hostile),
            (b"\xfe\xff\0abcdefghijabcdefghij\0", DialClass::Hostile),
        ] {
            assert_eq!(switched(bad).unwrap_err().class(), class, "{bad:?}");
        }
    }

    /// The fault met when a server asks for the password under a key of its own, on a link of that kind;
    /// and what it was told after the login packet.
    async fn asked_under_a_key(loopback: bool, first: &[u8]) -> (DialFault, Vec<u8>) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        server.write_all(&super::super::packet::framed(first, 2)).await.unwrap();
        let mut wire = BufReader::new(crate::pool::dial::wire::Wire::plain(stream));
        let record = match crate::base::parse_connection_url("mysql://u:p@h/d").unwrap() {
            crate::base::ConnectionRecord::Server(record) => record,
            crate::base::ConnectionRecord::Sqlite(_) => panic!("a server"),
        };
        let greeting = Greeting {
            version: "9.7.4".to_owned(),
            connection_id: 1,
            capabilities: NEEDED,
            nonce: *b"abcdefghijabcdefghij",
            plugin: "caching_sha2_password".to_owned(),
        };
        let link = Link { encrypted: false, loopback };
        let hears = async {
            let mut heard = vec![0; 4];
            server.read_exact(&mut heard).await.unwrap();
            let length = usize::from(heard[0]) | usize::from(heard[1]) << 8;
            server.read_exact(&mut vec![0; length]).await.unwrap();
            server.shutdown().await.unwrap();
            let mut more = Vec::new();
            let _ended = server.read_to_end(&mut more).await;
            more
        };
        let logs_in = async {
            let mut packets = Packets::new(&mut wire, 1);
            let fault = login(&mut packets, link, &greeting, &record).await.unwrap_err();
            drop(wire);
            fault
        };
        tokio::join!(logs_in, hears)
    }

    #[tokio::test]
    async fn a_password_under_the_servers_own_key_is_refused_where_somebody_may_stand_between() {
        for first in [&b"\x01\x04"[..], b"\xfesha256_password\0abcdefghijabcdefghij\0"] {
            let (fault, told) = asked_under_a_key(false, first).await;
            assert_eq!((fault.class(), told), (DialClass::Auth, Vec::new()));
            // On the machine itself the key is asked for; this server hangs up then.
            let (fault, told) = asked_under_a_key(true, first).await;
            assert_ne!(fault.class(), DialClass::Auth);
            assert_eq!(told.len(), 5, "a packet of one byte");
        }
    }
}
