use md5::{Digest, Md5};
use zeroize::Zeroizing;

use super::message::{Incoming, message, split_u32, startup};
use super::scram::Scram;
use crate::base::{SecretText, ServerRecord};
use crate::pool::dial::wire::{Buffered, Link, send};
use crate::pool::dial::{DialClass, DialFault, SessionSettings};

/// What a finished login leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LoggedIn {
    /// The server's own wording of its version.
    pub(super) version: String,
    /// The encoding of the database's texts, in the server's words.
    pub(super) encoding: Option<String>,
    /// The backend's process id and secret, for cancelling.
    pub(super) key: [u8; 8],
}

/// Logs in. No driver sees this exchange: it would trust a server's iteration count, nonce and
/// lengths, answer a request for the password in clear text, and lose the reason of a refusal.
pub(super) async fn login(
    wire: &mut Buffered,
    link: Link,
    record: &ServerRecord,
    session: &SessionSettings,
    max_iterations: u32,
) -> Result<LoggedIn, DialFault> {
    send(wire, &startup(record, session)).await?;
    let mut incoming = Incoming::new(wire);
    authenticate(&mut incoming, link, record, max_iterations).await?;
    ready(&mut incoming).await
}

async fn authenticate(
    incoming: &mut Incoming<'_>,
    link: Link,
    record: &ServerRecord,
    max_iterations: u32,
) -> Result<(), DialFault> {
    let body = request(incoming).await?;
    let (code, rest) = split_u32(&body)?;
    let unsupported = |why| Err(DialFault::new(DialClass::Auth, why));
    match code {
        0 => return Ok(()),
        3 => return unsupported("the server asks for the password in clear text"),
        5 if !link.is_private() => {
            return unsupported("the server asks for an MD5 password without TLS");
        }
        5 => {
            let salt: [u8; 4] = rest
                .try_into()
                .map_err(|_| DialFault::hostile("the MD5 challenge is malformed"))?;
            let answer = md5_answer(&record.user, &record.password, salt);
            send(incoming.wire(), &message(b'p', &answer)).await?;
        }
        10 => sasl(incoming, rest, record, max_iterations).await?,
        2 | 6..=9 => {
            return unsupported("the server asks for a login method that is not supported");
        }
        _ => return Err(DialFault::hostile("the server asks for an unknown login method")),
    }
    match split_u32(&request(incoming).await?)?.0 {
        0 => Ok(()),
        _ => Err(DialFault::hostile("the server asks for a second login")),
    }
}

async fn request(incoming: &mut Incoming<'_>) -> Result<Vec<u8>, DialFault> {
    match incoming.next().await? {
        (b'R', body) => Ok(body),
        (b'v', _) => Err(DialFault::protocol("the server does not speak protocol 3.0")),
        _ => Err(DialFault::hostile("the server skipped the login")),
    }
}

async fn sasl(
    incoming: &mut Incoming<'_>,
    mechanisms: &[u8],
    record: &ServerRecord,
    max_iterations: u32,
) -> Result<(), DialFault> {
    const MECHANISM: &[u8] = b"SCRAM-SHA-256";
    if !mechanisms.split(|b| *b == 0).any(|name| name == MECHANISM) {
        return Err(DialFault::new(DialClass::Auth, "the server does not offer SCRAM-SHA-256"));
    }
    let scram = Scram::new()?;
    let first = scram.first();
    let mut body = [MECHANISM, b"\0"].concat();
    body.extend_from_slice(&u32::try_from(first.len()).unwrap_or(u32::MAX).to_be_bytes());
    body.extend_from_slice(first.as_bytes());
    send(incoming.wire(), &message(b'p', &body)).await?;

    let challenge = expect(incoming, 11).await?;
    let read = scram.read_first(&challenge, max_iterations)?;
    let proof = scram.prove("", &challenge, read, &record.password).await?;
    send(incoming.wire(), &message(b'p', proof.message.as_bytes())).await?;
    proof.check(&expect(incoming, 12).await?)
}

async fn expect(incoming: &mut Incoming<'_>, code: u32) -> Result<Vec<u8>, DialFault> {
    let body = request(incoming).await?;
    let (found, rest) = split_u32(&body)?;
    if found == code {
        return Ok(rest.to_vec());
    }
    Err(DialFault::hostile("the server left the SCRAM exchange"))
}

fn md5_answer(user: &str, password: &SecretText, salt: [u8; 4]) -> Zeroizing<Vec<u8>> {
    let hex = |digest: &[u8]| {
        let digits = digest.iter().flat_map(|b| [b >> 4, b & 15]);
        Zeroizing::new(digits.map(|d| b"0123456789abcdef"[usize::from(d)]).collect::<Vec<u8>>())
    };
    let inner = hex(&Md5::new().chain_update(password.expose()).chain_update(user).finalize());
    let outer = hex(&Md5::new().chain_update(&*inner).chain_update(salt).finalize());
    let mut answer = Zeroizing::new(b"md5".to_vec());
    answer.extend_from_slice(&outer);
    answer.push(0);
    answer
}

async fn ready(incoming: &mut Incoming<'_>) -> Result<LoggedIn, DialFault> {
    let (mut version, mut encoding) = (None, None);
    let mut key = None;
    loop {
        let (kind, body) = incoming.next().await?;
        match kind {
            b'S' => match parameter(&body) {
                Some(("server_version", value)) => version = Some(value.to_owned()),
                Some(("server_encoding", value)) => encoding = Some(value.to_owned()),
                Some(("client_encoding", value)) if value != "UTF8" => {
                    return Err(DialFault::protocol("the server does not speak UTF-8"));
                }
                Some(_) => {}
                None => return Err(DialFault::hostile("a server setting is malformed")),
            },
            b'K' => {
                let bytes = <[u8; 8]>::try_from(&*body);
                key = Some(bytes.map_err(|_| DialFault::hostile("the cancel key is malformed"))?);
            }
            b'Z' if *body == *b"I" => break,
            _ => return Err(DialFault::hostile("an unexpected message ends the login")),
        }
    }
    let version = version.filter(|text| numbers(text).is_some());
    let (Some(version), Some(key)) = (version, key) else {
        return Err(DialFault::protocol("the server does not tell its version or cancel key"));
    };
    // The longest name of one has fourteen letters.
    let encoding = encoding.filter(|name| name.len() <= 32);
    Ok(LoggedIn { version, encoding, key })
}

fn parameter(body: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(body).ok()?.strip_suffix('\0')?;
    text.split_once('\0').filter(|(_, value)| !value.contains('\0'))
}

/// The first two numbers of a version like `15.20 (Debian …)`, `17beta1` or `9.6.24`, each at most 999.
fn numbers(text: &str) -> Option<(u32, u32)> {
    let printable = text.len() <= 128 && text.chars().all(|c| matches!(c, ' '..='~'));
    let digits = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        (1..=3).contains(&end).then(|| text[..end].parse().ok()).flatten()
    };
    let major = digits(text).filter(|_| printable)?;
    let minor = text.split_once('.').and_then(|(_, rest)| digits(rest)).unwrap_or(0);
    Some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_carefully() {
        for (text, expected) in [
            ("15.20 (Debian 15.20-1)", Some((15, 20))),
            ("17beta1", Some((17, 0))),
            ("9.6.24", Some((9, 6))),
            ("4294967295.1", None),
            ("", None),
            ("x15", None),
            ("15.1\u{7}", None),
        ] {
            assert_eq!(numbers(text), expected, "{text}");
        }
    }

    #[test]
    fn md5_answers_as_postgresql_expects() {
        // Computed with an independent implementation (Python's hashlib).
        let answer = md5_answer("reader", &SecretText::new("secret".to_owned()), [1, 2, 3, 4]);
        assert_eq!(&**answer, b"md52177da53809de71635ae580e71325335\0");
    }

    #[tokio::test]
    async fn md5_is_refused_where_somebody_may_listen() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        server.write_all(b"R\0\0\0\x0c\0\0\0\x05salt").await.unwrap();
        let mut wire = BufReader::new(crate::pool::dial::wire::Wire::plain(stream));
        let record = match crate::base::parse_connection_url("postgres://u:p@h/d").unwrap() {
            crate::base::ConnectionRecord::Server(record) => record,
            crate::base::ConnectionRecord::Sqlite(_) => panic!(),
        };
        let link = Link { encrypted: false, loopback: false };
        let session = SessionSettings::default();
        let fault = login(&mut wire, link, &record, &session, 4096).await.unwrap_err();
        assert_eq!(fault.class(), DialClass::Auth);
        drop(wire);
        let mut sent = Vec::new();
        server.read_to_end(&mut sent).await.unwrap();
        assert!(!sent.windows(3).any(|w| w == b"md5"), "nothing of the password was sent");
    }
}
