use super::*;

/// From the client's nonce to the server's challenge.
type Challenge = fn(&str) -> Vec<u8>;

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn request(code: u32, rest: &[u8]) -> Vec<u8> {
    message(b'R', &[&code.to_be_bytes(), rest].concat())
}

async fn startup(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<Vec<u8>> {
    let length = stream.read_u32().await.ok()?;
    let mut body = vec![0; usize::try_from(length).ok()?.checked_sub(4)?];
    stream.read_exact(&mut body).await.ok()?;
    Some(body)
}

async fn client_message(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<(u8, Vec<u8>)> {
    let kind = stream.read_u8().await.ok()?;
    Some((kind, startup(stream).await?))
}

fn plain(fake: &Fake) -> ServerRecord {
    record(Engine::Postgres, fake.port, TlsPolicy::LoopbackPlaintext)
}

/// The fault met when the server answers the start-up packet with `answer`.
async fn fault_at(answer: Vec<u8>) -> DialFault {
    let fake = Fake::start(move |mut stream| {
        let answer = answer.clone();
        async move {
            startup(&mut stream).await?;
            stream.write_all(&answer).await.ok()?;
            drain(&mut stream).await
        }
    })
    .await;
    Bench::new().fault(plain(&fake)).await
}

/// The fault met when the SCRAM challenge is what `challenge` makes of the client's nonce.
async fn fault_at_challenge(challenge: Challenge) -> DialFault {
    let fake = Fake::start(move |mut stream| async move {
        startup(&mut stream).await?;
        stream.write_all(&request(10, b"SCRAM-SHA-256\0\0")).await.ok()?;
        let (_, first) = client_message(&mut stream).await?;
        let first = String::from_utf8_lossy(&first).into_owned();
        let nonce = first.rsplit_once("r=")?.1.to_owned();
        stream.write_all(&challenge(&nonce)).await.ok()?;
        drain(&mut stream).await
    })
    .await;
    Bench::new().fault(plain(&fake)).await
}

#[tokio::test]
async fn hostile_answers_end_with_their_class() {
    use DialClass as C;
    let raw = |kind: u8, length: u32| [&[kind][..], &length.to_be_bytes()].concat();
    let ok = || request(0, b"");
    let version = || message(b'S', b"server_version\x0015.1\0");
    let key = || message(b'K', &[0; 8]);
    let table: Vec<(&str, Vec<u8>, DialClass)> = vec![
        ("another protocol", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), C::Protocol),
        ("a MySQL server", b"\x4a\0\0\0\x0a8.0.36\0".to_vec(), C::Protocol),
        ("length 0", raw(b'R', 0), C::Hostile),
        ("length 3", raw(b'R', 3), C::Hostile),
        ("64 KiB and one", raw(b'R', 65_537), C::Hostile),
        ("2 GiB", raw(b'R', 1 << 31), C::Hostile),
        ("4 GiB", raw(b'R', u32::MAX), C::Hostile),
        ("2 GiB error", raw(b'E', 1 << 31), C::Hostile),
        ("request without a code", raw(b'R', 4), C::Hostile),
        ("endless notices", message(b'N', &vec![b'x'; 60_000]).repeat(20), C::Hostile),
        ("clear text", request(3, b""), C::Auth),
        ("Kerberos", request(2, b""), C::Auth),
        ("GSSAPI", request(7, b""), C::Auth),
        ("SSPI", request(9, b""), C::Auth),
        ("unknown method", request(99, b""), C::Hostile),
        ("MD5 without salt", request(5, b""), C::Hostile),
        ("SASL of another kind", request(10, b"OAUTHBEARER\0\0"), C::Auth),
        ("a challenge out of turn", request(11, b"r=a,s=AAAA,i=4096"), C::Hostile),
        ("error without a code", message(b'E', b"SFATAL\0Mno\0\0"), C::Hostile),
        ("empty error", message(b'E', b""), C::Hostile),
        ("wrong password", message(b'E', b"SFATAL\0C28P01\0\0"), C::Auth),
        ("full", message(b'E', b"SFATAL\0C53300\0\0"), C::Full),
        ("starting", message(b'E', b"SFATAL\0C57P03\0\0"), C::NotReady),
        ("no database", message(b'E', b"SFATAL\0C3D000\0\0"), C::NoSuchDatabase),
        ("no login at all", message(b'Z', b"I"), C::Hostile),
        ("login twice", [ok(), ok()].concat(), C::Hostile),
        ("rows in the login", [ok(), message(b'D', b"\0\0")].concat(), C::Protocol),
        ("ready without a version", [ok(), key(), message(b'Z', b"I")].concat(), C::Protocol),
        ("ready without a key", [ok(), version(), message(b'Z', b"I")].concat(), C::Protocol),
        ("short key", [ok(), version(), message(b'K', &[0; 4])].concat(), C::Hostile),
        (
            "ready in a failed block",
            [ok(), version(), key(), message(b'Z', b"E")].concat(),
            C::Hostile,
        ),
        (
            "another encoding",
            [ok(), message(b'S', b"client_encoding\0LATIN1\0")].concat(),
            C::Protocol,
        ),
        ("a bad setting", [ok(), message(b'S', b"client_encoding")].concat(), C::Hostile),
        (
            "a bomb of a version",
            [ok(), message(b'S', b"server_version\x004294967295.1\0"), key(), message(b'Z', b"I")]
                .concat(),
            C::Protocol,
        ),
    ];
    for (what, answer, class) in table {
        assert_eq!(fault_at(answer).await.class(), class, "{what}");
    }
}

#[tokio::test]
async fn a_hostile_challenge_burns_nothing() {
    fn with(nonce: &str, rest: &str) -> Vec<u8> {
        request(11, format!("r={nonce}{rest}").as_bytes())
    }
    let table: [(Challenge, DialClass); 13] = [
        (|n| with(n, "x,s=AAAA,i=4294967295"), DialClass::Hostile),
        (|n| with(n, "x,s=AAAA,i=100001"), DialClass::Hostile),
        (|n| with(n, "x,s=AAAA,i=1"), DialClass::Hostile),
        (|_| request(11, b",,"), DialClass::Hostile),
        (|_| request(11, b""), DialClass::Hostile),
        (|n| with(n, ",s=AAAA,i=4096"), DialClass::Hostile),
        (|_| request(11, b"r=anothernonce,s=AAAA,i=4096"), DialClass::Hostile),
        (|n| with(n, "x,s=,i=4096"), DialClass::Hostile),
        (|n| with(n, &format!("{},s=AAAA,i=4096", "x".repeat(60_000))), DialClass::Hostile),
        (|_| request(0, b""), DialClass::Hostile),
        (|_| request(3, b""), DialClass::Hostile),
        (|_| message(b'Z', b"I"), DialClass::Hostile),
        (|_| message(b'E', b"SFATAL\0C28P01\0\0"), DialClass::Auth),
    ];
    for (at, (challenge, class)) in table.into_iter().enumerate() {
        assert_eq!(fault_at_challenge(challenge).await.class(), class, "{at}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_know_the_password_is_found_out() {
    let fake = Fake::start(|mut stream| async move {
        startup(&mut stream).await?;
        stream.write_all(&request(10, b"SCRAM-SHA-256\0\0")).await.ok()?;
        let (_, first) = client_message(&mut stream).await?;
        let first = String::from_utf8_lossy(&first).into_owned();
        let challenge = format!("r={}x,s=AAAA,i=4096", first.rsplit_once("r=")?.1);
        stream.write_all(&request(11, challenge.as_bytes())).await.ok()?;
        client_message(&mut stream).await?;
        let forged = b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let done = [request(12, forged), request(0, b"")].concat();
        stream.write_all(&done).await.ok()?;
        drain(&mut stream).await
    })
    .await;
    assert_eq!(Bench::new().fault(plain(&fake)).await.class(), DialClass::Hostile);
}

#[tokio::test]
async fn silence_and_dripping_end_at_the_deadline() {
    let silent = Fake::start(|mut stream| async move { drain(&mut stream).await }).await;
    let dripping = Fake::start(|mut stream| async move {
        startup(&mut stream).await?;
        for byte in message(b'N', &vec![b'x'; 60_000]) {
            stream.write_u8(byte).await.ok()?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        None
    })
    .await;
    let closing = Fake::start(|_stream| async { None }).await;
    let bench = Bench::with_timeout(Duration::from_millis(300));
    assert_eq!(bench.fault(plain(&silent)).await.class(), DialClass::Timeout);
    assert_eq!(bench.fault(plain(&dripping)).await.class(), DialClass::Timeout);
    assert_eq!(Bench::new().fault(plain(&closing)).await.class(), DialClass::Protocol);
}

/// A server that logs anybody in, then answers the driver's first query with `answer`.
async fn after_login(answer: Vec<u8>) -> Fake {
    Fake::start(move |mut stream| {
        let answer = answer.clone();
        async move {
            let settings = startup(&mut stream).await?;
            let settings = String::from_utf8_lossy(&settings).into_owned();
            // It would hide the role's own.
            assert!(!settings.contains("\0statement_timeout\0"));
            assert!(settings.contains("user\0reader\0database\0emr\0"));
            let login = [
                request(0, b""),
                message(b'S', b"server_version\x0015.1\0"),
                message(b'K', &[1; 8]),
                message(b'Z', b"I"),
            ];
            stream.write_all(&login.concat()).await.ok()?;
            client_message(&mut stream).await?;
            stream.write_all(&answer).await.ok()?;
            drain(&mut stream).await
        }
    })
    .await
}

fn identity_answer(timeout: &str) -> Vec<u8> {
    identity_on(timeout, "own")
}

fn identity_on(timeout: &str, path: &str) -> Vec<u8> {
    identity_in("true", timeout, path)
}

fn identity_in(formats: &str, timeout: &str, path: &str) -> Vec<u8> {
    let cells = ["emr", "16384", timeout, "on", formats, path, "repeatable read", "false", "7001"];
    let mut description = 9_u16.to_be_bytes().to_vec();
    let mut row = 9_u16.to_be_bytes().to_vec();
    for cell in cells {
        description.extend_from_slice(b"c\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0");
        row.extend_from_slice(&u32::try_from(cell.len()).unwrap().to_be_bytes());
        row.extend_from_slice(cell.as_bytes());
    }
    let done = [message(b'C', b"SELECT 1\0"), message(b'Z', b"I")].concat();
    [message(b'T', &description), message(b'D', &row), done].concat()
}

#[tokio::test]
async fn a_good_answer_opens_and_closing_leaves_nothing() {
    let fake = after_login(identity_answer("10000")).await;
    let bench = Bench::new();
    let opened = bench.open(plain(&fake)).await.unwrap();
    assert_eq!(
        (opened.identity.system.as_str(), opened.identity.database.as_str()),
        ("7001", "emr:16384")
    );
    assert_eq!((opened.facts.version.as_str(), opened.facts.tls), ("15.1", false));
    assert_eq!(bench.dialer.open_connections(), 1);
    drop(opened);
    bench.assert_clean().await;
}

#[tokio::test]
async fn hostile_answers_after_the_login_end_with_a_fault() {
    for (what, answer) in [
        ("settings ignored", identity_answer("0")),
        ("values written otherwise", identity_in("false", "10000", "own")),
        ("a pooler whose sessions are open to shadows", identity_on("10000", "exposed")),
        ("a path that nothing is said of", identity_on("10000", "")),
        ("a row that is cut short", [message(b'D', b""), message(b'Z', b"I")].concat()),
        ("a type that does not exist", vec![0xff; 64]),
        ("an error without fields", [message(b'E', b""), message(b'Z', b"I")].concat()),
        ("no row", [message(b'C', b"SELECT 0\0"), message(b'Z', b"I")].concat()),
    ] {
        let fake = after_login(answer).await;
        let class = Bench::new().fault(plain(&fake)).await.class();
        assert!(matches!(class, DialClass::Protocol | DialClass::Hostile), "{what}: {class:?}");
    }
    let silent = after_login(Vec::new()).await;
    let bench = Bench::with_timeout(Duration::from_millis(300));
    assert_eq!(bench.fault(plain(&silent)).await.class(), DialClass::Timeout);
}

#[tokio::test]
async fn servers_that_do_not_answer_keep_nobody_else_waiting() {
    let silent = Fake::start(|mut stream| async move { drain(&mut stream).await }).await;
    let good = after_login(identity_answer("10000")).await;
    let bench = Bench::with_timeout(Duration::from_secs(30));
    let hung = futures_util::future::join_all((0..40).map(|_| bench.open(plain(&silent))));
    let other = async {
        while silent.accepted() < 40 {
            tokio::task::yield_now().await;
        }
        bench.open(plain(&good)).await
    };
    tokio::select! {
        _ = hung => panic!("a silent server answered"),
        opened = other => assert!(opened.is_ok()),
    }
    bench.assert_clean().await;
}

#[tokio::test]
async fn an_md5_challenge_is_answered_on_a_private_link() {
    let fake = Fake::start(|mut stream| async move {
        startup(&mut stream).await?;
        stream.write_all(&request(5, &[1, 2, 3, 4])).await.ok()?;
        let (kind, answer) = client_message(&mut stream).await?;
        let good = kind == b'p' && answer.len() == 36 && answer.starts_with(b"md5");
        let state = if good { "53300" } else { "XX000" };
        stream.write_all(&message(b'E', format!("C{state}\0\0").as_bytes())).await.ok()?;
        drain(&mut stream).await
    })
    .await;
    assert_eq!(Bench::new().fault(plain(&fake)).await.class(), DialClass::Full);
}
