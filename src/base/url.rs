use std::net::{Ipv4Addr, Ipv6Addr};

use super::{
    ConnectionRecord, Engine, ParameterName, SecretText, ServerRecord, SqliteRecord, TlsPolicy,
    TlsSettings,
};

/// The longest URL read, in bytes.
const MAX_URL: usize = 4096;
/// The longest PEM bundle attached to a record, in bytes.
const MAX_CA_PEM: usize = 64 * 1024;

/// Why a connection URL was refused. Carries nothing of what was typed but a parameter's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlFault {
    /// Longer than 4096 bytes.
    #[error("the URL is too long")]
    TooLong,
    /// A space, a control character or a character outside ASCII stands in the URL as it is.
    #[error("the URL holds a character that must be percent-encoded")]
    RawCharacter,
    /// Not one of the schemes read here.
    #[error("the URL's scheme is not known")]
    Scheme,
    /// `#…`.
    #[error("the URL has a fragment")]
    Fragment,
    /// A `%` that is not followed by two hexadecimal digits, or bytes that are not UTF-8.
    #[error("the URL's percent-encoding is malformed")]
    Encoding,
    /// A control character, spelled as `%00` to `%1F`, `%7F` or the like.
    #[error("the URL encodes a control character")]
    ControlCharacter,
    /// No user.
    #[error("the URL names no user")]
    MissingUser,
    /// No password.
    #[error("the URL names no password")]
    MissingPassword,
    /// No host.
    #[error("the URL names no host")]
    MissingHost,
    /// No database.
    #[error("the URL names no database")]
    MissingDatabase,
    /// More than one `@`.
    #[error("the URL has more than one @")]
    SeveralUsers,
    /// Hosts separated by commas.
    #[error("the URL names several hosts")]
    SeveralHosts,
    /// A path to a Unix socket in the place of a host.
    #[error("the URL names a Unix socket")]
    UnixSocket,
    /// Neither a DNS name nor a numeric address in its canonical spelling.
    #[error("the URL's host is not a DNS name or a canonical numeric address")]
    Host,
    /// Not a whole number from 1 to 65535 without leading zeros.
    #[error("the URL's port is not a number from 1 to 65535")]
    Port,
    /// More than one path segment.
    #[error("the URL's path is more than a database name")]
    Path,
    /// User, password or database longer than the engine allows.
    #[error("a part of the URL is longer than the database allows")]
    PartTooLong,
    /// A parameter this gateway does not know.
    #[error("the URL has the unknown parameter {0}")]
    UnknownParameter(ParameterName),
    /// A parameter given twice.
    #[error("the URL repeats the parameter {0}")]
    RepeatedParameter(ParameterName),
    /// `tls` has another value than those known.
    #[error("the value of tls is not known")]
    TlsValue,
    /// `tls-name` is not a DNS name or numeric address, or comes without TLS.
    #[error("the value of tls-name is not a host name")]
    TlsName,
    /// `tls=loopback-plaintext` for a host that is not this machine.
    #[error("plaintext is for a loopback host only")]
    PlaintextElsewhere,
    /// Not a plain file name below the folder for SQLite files.
    #[error("the SQLite file name is not a plain relative path")]
    FileName,
    /// The attached certificates are not PEM certificates, too long, or of no use to the record.
    #[error("the certificate bundle is not usable")]
    CaPem,
}

impl UrlFault {
    /// One line that says what to write instead.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::TooLong => "a connection URL has at most 4096 characters",
            Self::RawCharacter | Self::Encoding => {
                "write every other character as % and two hexadecimal digits of its UTF-8 bytes"
            }
            Self::ControlCharacter => "leave control characters out",
            Self::Scheme => "begin with postgres://, mysql:// or sqlite:",
            Self::Fragment => "write # as %23",
            Self::MissingUser | Self::MissingPassword | Self::SeveralUsers => {
                "write scheme://user:password@host/database, and @ : / ? # in a part percent-encoded"
            }
            Self::MissingHost => "name the server after the @",
            Self::MissingDatabase => "name the database after the host, as /database",
            Self::SeveralHosts => "name one host; register a name that follows the primary",
            Self::UnixSocket => "connect over TCP",
            Self::Host => {
                "write a DNS name, four decimal numbers as in 10.0.0.5, or [fd00::5] in short form"
            }
            Self::Port => "leave the port out or write it in decimal",
            Self::Path => "write one database name; a / in it is %2F",
            Self::PartTooLong => "names have at most 63 bytes, passwords at most 1024",
            Self::UnknownParameter(_) => "the only parameters are tls and tls-name",
            Self::RepeatedParameter(_) => "give every parameter once",
            Self::TlsValue => "tls is verify-full or loopback-plaintext",
            Self::TlsName => {
                "tls-name is the name in the server's certificate, with tls=verify-full"
            }
            Self::PlaintextElsewhere => {
                "use tls=verify-full; an exception for an old server is an operator's decision apart"
            }
            Self::FileName => "write sqlite:name.db, relative to the folder for SQLite files",
            Self::CaPem => {
                "attach up to 64 KiB of PEM certificates, no keys, to a record with verify-full"
            }
        }
    }
}

/// Reads a connection URL as people type it.
///
/// `postgres://user:password@host[:port]/database[?tls=…&tls-name=…]` (also `postgresql`, `mysql`,
/// `mariadb`) or `sqlite:relative/file.db` (also `sqlite://relative/file.db`). The syntax is RFC 3986
/// without its liberties: nothing is guessed, and nothing missing is filled in but the engine's usual
/// port (5432, 3306) and `tls=verify-full`.
pub fn parse_connection_url(text: &str) -> Result<ConnectionRecord, UrlFault> {
    if text.len() > MAX_URL {
        return Err(UrlFault::TooLong);
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(UrlFault::RawCharacter);
    }
    if text.contains('#') {
        return Err(UrlFault::Fragment);
    }
    let (scheme, rest) = text.split_once(':').ok_or(UrlFault::Scheme)?;
    let engine = match scheme {
        "postgres" | "postgresql" => Engine::Postgres,
        "mysql" | "mariadb" => Engine::MySql,
        "sqlite" => return sqlite(rest).map(ConnectionRecord::Sqlite),
        _ => return Err(UrlFault::Scheme),
    };
    let rest = rest.strip_prefix("//").ok_or(UrlFault::Scheme)?;
    server(engine, rest).map(ConnectionRecord::Server)
}

/// The same record, trusting only the certificates in `pem` (one or more `CERTIFICATE` blocks, at
/// most 64 KiB) instead of the public roots. Refused unless the record demands verified TLS.
pub fn attach_ca_pem(record: ConnectionRecord, pem: &str) -> Result<ConnectionRecord, UrlFault> {
    let ConnectionRecord::Server(mut server) = record else { return Err(UrlFault::CaPem) };
    let usable = pem.len() <= MAX_CA_PEM
        && pem.contains("-----BEGIN CERTIFICATE-----")
        && !pem.contains("PRIVATE KEY")
        && server.tls.policy == TlsPolicy::VerifyFull;
    if !usable {
        return Err(UrlFault::CaPem);
    }
    server.tls.ca_pem = Some(pem.to_owned());
    Ok(ConnectionRecord::Server(server))
}

fn server(engine: Engine, rest: &str) -> Result<ServerRecord, UrlFault> {
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(a, q)| (a, Some(q)));
    let (authority, path) = rest.split_once('/').map_or((rest, None), |(a, p)| (a, Some(p)));
    let (userinfo, hostport) = authority.rsplit_once('@').ok_or(UrlFault::MissingUser)?;
    if userinfo.contains('@') {
        return Err(UrlFault::SeveralUsers);
    }
    let (user, password) = userinfo.split_once(':').ok_or(UrlFault::MissingPassword)?;
    let user = decode(user)?;
    let password = decode(password)?;
    if user.is_empty() {
        return Err(UrlFault::MissingUser);
    }
    if password.is_empty() {
        return Err(UrlFault::MissingPassword);
    }
    let (host, port) = host_and_port(hostport)?;
    let database = match path {
        None | Some("") => return Err(UrlFault::MissingDatabase),
        Some(path) if path.contains('/') => return Err(UrlFault::Path),
        Some(path) => decode(path)?,
    };
    if user.len() > 63 || database.len() > 63 || password.len() > 1024 {
        return Err(UrlFault::PartTooLong);
    }
    let tls = tls_settings(query, &host)?;
    let usual = if engine == Engine::Postgres { 5432 } else { 3306 };
    Ok(ServerRecord {
        engine,
        host,
        port: port.unwrap_or(usual),
        database,
        user,
        password: SecretText::new(password),
        tls,
    })
}

fn tls_settings(query: Option<&str>, host: &str) -> Result<TlsSettings, UrlFault> {
    let mut policy = None;
    let mut server_name = None;
    for pair in query.into_iter().flat_map(|q| q.split('&')) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "tls" if policy.is_none() => {
                policy = Some(match value {
                    "verify-full" => TlsPolicy::VerifyFull,
                    "loopback-plaintext" => TlsPolicy::LoopbackPlaintext,
                    _ => return Err(UrlFault::TlsValue),
                });
            }
            "tls-name" if server_name.is_none() => {
                let name = canonical_host(&decode(value)?).map_err(|_| UrlFault::TlsName)?;
                server_name = Some(name);
            }
            "tls" | "tls-name" => {
                return Err(UrlFault::RepeatedParameter(ParameterName::of(name)));
            }
            _ => return Err(UrlFault::UnknownParameter(ParameterName::of(name))),
        }
    }
    let policy = policy.unwrap_or(TlsPolicy::VerifyFull);
    if policy == TlsPolicy::LoopbackPlaintext {
        if !is_loopback_host(host) {
            return Err(UrlFault::PlaintextElsewhere);
        }
        if server_name.is_some() {
            return Err(UrlFault::TlsName);
        }
    }
    Ok(TlsSettings { policy, server_name, ca_pem: None })
}

fn host_and_port(text: &str) -> Result<(String, Option<u16>), UrlFault> {
    if text.is_empty() || text.starts_with(':') {
        return Err(UrlFault::MissingHost);
    }
    if text.contains(',') {
        return Err(UrlFault::SeveralHosts);
    }
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("%2f") {
        return Err(UrlFault::UnixSocket);
    }
    if let Some(rest) = lower.strip_prefix('[') {
        let (inside, after) = rest.split_once(']').ok_or(UrlFault::Host)?;
        let address: Ipv6Addr = inside.parse().map_err(|_| UrlFault::Host)?;
        if address.to_string() != inside {
            return Err(UrlFault::Host);
        }
        let port = match after.strip_prefix(':') {
            Some(port) => Some(parse_port(port)?),
            None if after.is_empty() => None,
            None => return Err(UrlFault::Host),
        };
        return Ok((inside.to_owned(), port));
    }
    let (host, port) = match lower.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(parse_port(port)?)),
        Some(_) => return Err(UrlFault::Host),
        None => (lower.as_str(), None),
    };
    Ok((canonical_host(host)?, port))
}

fn parse_port(text: &str) -> Result<u16, UrlFault> {
    let plain = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    if !plain {
        return Err(UrlFault::Port);
    }
    text.parse().map_err(|_| UrlFault::Port)
}

/// A host as a record may carry it: a DNS name in lower case, or a numeric address (IPv6 without
/// brackets) spelled exactly as Rust and RFC 5952 print it. A name whose last label is a number, in any
/// base, is refused: resolvers and C libraries read such names as IPv4 addresses.
pub fn canonical_host(text: &str) -> Result<String, UrlFault> {
    let lower = text.to_ascii_lowercase();
    if let Ok(v4) = lower.parse::<Ipv4Addr>() {
        return if v4.to_string() == lower { Ok(lower) } else { Err(UrlFault::Host) };
    }
    if let Ok(v6) = lower.parse::<Ipv6Addr>() {
        return if v6.to_string() == lower { Ok(lower) } else { Err(UrlFault::Host) };
    }
    let label_is_good = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let last = lower.rsplit('.').next().unwrap_or("");
    let reads_as_number = last.bytes().all(|b| b.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|h| h.bytes().all(|b| b.is_ascii_hexdigit()));
    if lower.len() > 253 || reads_as_number || !lower.split('.').all(label_is_good) {
        return Err(UrlFault::Host);
    }
    Ok(lower)
}

/// Whether a record's host can only mean this machine: `localhost` or a loopback address.
pub fn is_loopback_host(host: &str) -> bool {
    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn sqlite(rest: &str) -> Result<SqliteRecord, UrlFault> {
    if let Some((_, query)) = rest.split_once('?') {
        let name = query.split(['=', '&']).next().unwrap_or("");
        return Err(UrlFault::UnknownParameter(ParameterName::of(name)));
    }
    let file = decode(rest.strip_prefix("//").unwrap_or(rest))?;
    let part_is_good = |part: &str| !part.is_empty() && part != "." && part != "..";
    let good = file.len() <= 255
        && !file.contains(['\\', ':'])
        && !rest.to_ascii_lowercase().contains("%2f")
        && file.split('/').all(part_is_good);
    if !good {
        return Err(UrlFault::FileName);
    }
    Ok(SqliteRecord { file })
}

/// Percent-decoding of RFC 3986: every `%` leads two hexadecimal digits, `+` is a plus sign, the
/// result is UTF-8 without control characters. Brackets must be encoded.
fn decode(text: &str) -> Result<String, UrlFault> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let mut digit = || {
                    rest.next()
                        .and_then(|b| char::from(b).to_digit(16))
                        .and_then(|d| u8::try_from(d).ok())
                };
                let (high, low) = digit().zip(digit()).ok_or(UrlFault::Encoding)?;
                bytes.push(high * 16 + low);
            }
            b'[' | b']' | b'<' | b'>' | b'"' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => {
                return Err(UrlFault::RawCharacter);
            }
            byte => bytes.push(byte),
        }
    }
    let decoded = String::from_utf8(bytes).map_err(|_| UrlFault::Encoding)?;
    if decoded.chars().any(char::is_control) {
        return Err(UrlFault::ControlCharacter);
    }
    Ok(decoded)
}

#[cfg(test)]
#[path = "url_tests.rs"]
mod tests;
