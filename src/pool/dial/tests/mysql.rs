use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeySize, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

const NONCE: &[u8; 20] = b"abcdefghijklmnopqrst";
const SSL: u32 = 1 << 11;
/// Everything MySQL 8 announces, TLS and LOCAL FILES included.
const EVERYTHING: u32 = 0xc7ff_ffff;

/// What a fake says in turn.
type Answers = &'static [&'static [u8]];

fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    [&[length[0], length[1], length[2], sequence][..], payload].concat()
}

fn greeting(capabilities: u32, plugin: &str) -> Vec<u8> {
    let bits = capabilities.to_le_bytes();
    let mut payload = b"\x0a8.0.36\0".to_vec();
    payload.extend_from_slice(&77_u32.to_le_bytes());
    payload.extend_from_slice(&NONCE[..8]);
    payload.push(0);
    payload.extend_from_slice(&[bits[0], bits[1], 255, 2, 0, bits[2], bits[3], 21]);
    payload.extend_from_slice(&[0; 10]);
    payload.extend_from_slice(&NONCE[8..]);
    payload.push(0);
    payload.extend_from_slice(plugin.as_bytes());
    payload.push(0);
    packet(0, &payload)
}

fn switch(sequence: u8, plugin: &str) -> Vec<u8> {
    packet(sequence, &[b"\xfe", plugin.as_bytes(), b"\0abcdefghijabcdefghij\0"].concat())
}

async fn client_packet(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<(u8, Vec<u8>)> {
    let header = stream.read_u32_le().await.ok()?;
    let mut payload = vec![0; usize::try_from(header & 0xff_ffff).ok()?];
    stream.read_exact(&mut payload).await.ok()?;
    Some((u8::try_from(header >> 24).ok()?, payload))
}

fn plain(fake: &Fake) -> ServerRecord {
    record(Engine::MySql, fake.port, TlsPolicy::LoopbackPlaintext)
}

/// The fault met when the server begins with `first` and answers every packet with the next of `rest`,
/// numbered by what the client sent.
async fn fault_at(first: Vec<u8>, rest: Answers) -> DialFault {
    let fake = Fake::start(move |mut stream| {
        let first = first.clone();
        async move {
            stream.write_all(&first).await.ok()?;
            for payload in rest {
                let (sequence, _) = client_packet(&mut stream).await?;
                stream.write_all(&packet(sequence + 1, payload)).await.ok()?;
            }
            drain(&mut stream).await
        }
    })
    .await;
    Bench::new().fault(plain(&fake)).await
}

#[tokio::test]
async fn hostile_greetings_end_with_their_class() {
    use DialClass as C;
    let table: Vec<(&str, Vec<u8>, DialClass)> = vec![
        ("another protocol", b"HTTP/1.1 400 Bad Request\r\n".to_vec(), C::Protocol),
        ("SSH", b"SSH-2.0-OpenSSH_9\r\n".to_vec(), C::Protocol),
        ("protocol 9", packet(0, b"\x095.0\0"), C::Protocol),
        ("empty", packet(0, b""), C::Hostile),
        ("16 MiB", vec![0xff, 0xff, 0xff, 0], C::Hostile),
        ("64 KiB and one", vec![1, 0, 1, 0], C::Hostile),
        ("wrong number", packet(1, &greeting(EVERYTHING, "x")[4..]), C::Protocol),
        ("too long", packet(0, &[&b"\x0a8\0"[..], &[b'x'; 4000]].concat()), C::Hostile),
        ("no end of version", packet(0, &[10; 40]), C::Hostile),
        ("cut short", packet(0, b"\x0a8.0.36\0abcd"), C::Hostile),
        ("empty version", packet(0, &[b"\x0a\0".as_slice(), &[0; 60]].concat()), C::Hostile),
        ("too old", greeting(0x0fff_f000 & !(1 << 19), "x"), C::Protocol),
        ("full", packet(0, b"\xff\x10\x04Too many connections"), C::Full),
        ("host not allowed", packet(0, b"\xff\x6a\x04Host"), C::Auth),
        ("error without a code", packet(0, b"\xff"), C::Hostile),
    ];
    for (what, first, class) in table {
        assert_eq!(fault_at(first, &[]).await.class(), class, "{what}");
    }
}

#[tokio::test]
async fn hostile_logins_end_with_their_class() {
    use DialClass as C;
    let native = || greeting(EVERYTHING, "mysql_native_password");
    let sha2 = || greeting(EVERYTHING, "caching_sha2_password");
    let again: &[u8] = b"\xfemysql_native_password\0abcdefghijabcdefghij\0";
    let clear: &[u8] = b"\xfemysql_clear_password\0abcdefghijabcdefghij\0";
    let key: &[u8] = b"\x01-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
    let rest = |answers: Vec<&'static [u8]>| -> Answers { answers.leak() };
    let table: Vec<(&str, Vec<u8>, Answers, DialClass)> = vec![
        ("clear-text switch", native(), rest(vec![clear]), C::Auth),
        (
            "clear-text switch, no data",
            native(),
            rest(vec![b"\xfemysql_clear_password\0"]),
            C::Auth,
        ),
        ("dialog", native(), rest(vec![b"\xfedialog\0Password: "]), C::Auth),
        ("unknown plugin", native(), rest(vec![b"\xfesomething\0abcdefghijabcdefghij\0"]), C::Auth),
        ("old password", native(), rest(vec![b"\xfe"]), C::Auth),
        ("short nonce", native(), rest(vec![b"\xfemysql_native_password\0abc\0"]), C::Hostile),
        ("LOCAL INFILE", native(), rest(vec![b"\xfb/etc/passwd"]), C::Hostile),
        (
            "LOCAL INFILE after login",
            native(),
            rest(vec![b"\0\0\0\x02\0\0\0", b"\xfb/etc/passwd"]),
            C::Hostile,
        ),
        ("endless switches", native(), rest(vec![again; 20]), C::Hostile),
        ("endless keys", sha2(), rest(vec![b"\x01\x04"; 20]), C::Hostile),
        ("bad key", sha2(), rest(vec![b"\x01\x04", key]), C::Hostile),
        ("key for native", native(), rest(vec![key]), C::Hostile),
        ("continued native", native(), rest(vec![b"\x01\x04"]), C::Hostile),
        ("nonsense", native(), rest(vec![b"\x42nonsense"]), C::Hostile),
        ("wrong password", native(), rest(vec![b"\xff\x15\x04#28000no"]), C::Auth),
        ("no database", native(), rest(vec![b"\xff\x19\x04#42000no"]), C::NoSuchDatabase),
        (
            "setting refused",
            native(),
            rest(vec![b"\0\0\0\x02\0\0\0", b"\xff\xa9\x04#HY000no"]),
            C::Refused,
        ),
    ];
    for (what, first, rest, class) in table {
        assert_eq!(fault_at(first, rest).await.class(), class, "{what}");
    }
}

#[tokio::test]
async fn verified_tls_is_not_given_up() {
    let fake = Fake::start(|mut stream| async move {
        stream.write_all(&greeting(EVERYTHING & !SSL, "mysql_native_password")).await.ok()?;
        drain(&mut stream).await
    })
    .await;
    let fault = Bench::new().fault(record(Engine::MySql, fake.port, TlsPolicy::VerifyFull)).await;
    assert_eq!(fault.class(), DialClass::Tls);
    let injected = Fake::start(|mut stream| async move {
        let first = [greeting(EVERYTHING, "mysql_native_password"), switch(1, "dialog")].concat();
        stream.write_all(&first).await.ok()?;
        drain(&mut stream).await
    })
    .await;
    let fault =
        Bench::new().fault(record(Engine::MySql, injected.port, TlsPolicy::VerifyFull)).await;
    assert_eq!(fault.class(), DialClass::Hostile);
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let silent = Fake::start(|mut stream| async move { drain(&mut stream).await }).await;
    let bench = Bench::with_timeout(Duration::from_millis(300));
    assert_eq!(bench.fault(plain(&silent)).await.class(), DialClass::Timeout);
}

/// Takes the session settings, and waits to be asked who it is.
async fn set_up(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin)) -> Option<()> {
    let (_, settings) = client_packet(stream).await?;
    assert!(settings.starts_with(b"\x03SET NAMES utf8mb4,"));
    stream.write_all(&packet(1, b"\0\0\0\x02\0\0\0")).await.ok()?;
    stream.flush().await.ok()?;
    client_packet(stream).await.map(drop)
}

/// What follows a login as MySQL 8 does it: the session settings, then the identity, then nothing.
async fn serve(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin)) -> Option<()> {
    set_up(stream).await?;
    let column = |name: &[u8]| {
        let mut bytes = b"\x03def\0\0\0".to_vec();
        bytes.push(u8::try_from(name.len()).unwrap());
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(b"\0\x0c\x2d\0\0\x01\0\0\xfd\0\0\0\0\0");
        bytes
    };
    let answer = [
        packet(1, b"\x03"),
        packet(2, &column(b"a")),
        packet(3, &column(b"b")),
        packet(4, &column(b"c")),
        packet(5, b"\x04uuid\x03emr\x010"),
        packet(6, b"\xfe\0\0\x02\0\0\0"),
    ];
    stream.write_all(&answer.concat()).await.ok()?;
    stream.flush().await.ok()?;
    drain(stream).await
}

#[tokio::test]
async fn a_full_sha2_login_over_tls_sends_the_password_inside_it() {
    let (ca, acceptor) = certificate("localhost");
    let fake = Fake::start(move |mut stream| {
        let acceptor = acceptor.clone();
        async move {
            stream.write_all(&greeting(EVERYTHING, "caching_sha2_password")).await.ok()?;
            let (number, request) = client_packet(&mut stream).await?;
            assert_eq!((number, request.len()), (1, 32));
            let mut stream = acceptor.accept(stream).await.ok()?;
            let (number, login) = client_packet(&mut stream).await?;
            assert_eq!(number, 2);
            let flags = u32::from_le_bytes(login[..4].try_into().unwrap());
            assert_eq!(flags & (1 << 7 | 1 << 16), 0, "no LOCAL FILES, no multiple statements");
            stream.write_all(&packet(3, b"\x01\x04")).await.ok()?;
            stream.flush().await.ok()?;
            let (number, password) = client_packet(&mut stream).await?;
            assert_eq!((number, &*password), (4, format!("{PASSWORD}\0").as_bytes()));
            stream.write_all(&packet(5, b"\0\0\0\x02\0\0\0")).await.ok()?;
            stream.flush().await.ok()?;
            serve(&mut stream).await
        }
    })
    .await;
    let bench = Bench::new();
    let mut record = record(Engine::MySql, fake.port, TlsPolicy::VerifyFull);
    record.tls.ca_pem = Some(ca);
    let opened = bench.open(record).await.unwrap();
    assert_eq!(
        (opened.identity.system.as_str(), opened.identity.database.as_str()),
        ("uuid", "emr")
    );
    assert_eq!(opened.facts.flavour, ServerFlavour::MySql);
    assert!(opened.facts.tls);
    drop(opened);
    bench.assert_clean().await;
}

#[tokio::test]
async fn a_fast_sha2_login_does_not_confuse_the_driver() {
    let fake = Fake::start(|mut stream| async move {
        stream.write_all(&greeting(EVERYTHING, "caching_sha2_password")).await.ok()?;
        client_packet(&mut stream).await?;
        let verdict = [packet(2, b"\x01\x03"), packet(3, b"\0\0\0\x02\0\0\0")].concat();
        stream.write_all(&verdict).await.ok()?;
        serve(&mut stream).await
    })
    .await;
    let opened = Bench::new().open(plain(&fake)).await.unwrap();
    assert_eq!(opened.identity.system, "uuid");
}

#[tokio::test]
async fn without_tls_the_password_goes_under_the_servers_key() {
    let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
    let der: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    let pem = format!(
        "\x01-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(der.as_ref())
    );
    let key = Arc::new(OaepPrivateDecryptingKey::new(key).unwrap());
    let fake = Fake::start(move |mut stream| {
        let (pem, key) = (pem.clone(), Arc::clone(&key));
        async move {
            stream.write_all(&greeting(EVERYTHING, "caching_sha2_password")).await.ok()?;
            client_packet(&mut stream).await?;
            stream.write_all(&packet(2, b"\x01\x04")).await.ok()?;
            assert_eq!(client_packet(&mut stream).await?, (3, vec![2]));
            stream.write_all(&packet(4, pem.as_bytes())).await.ok()?;
            let (_, sealed) = client_packet(&mut stream).await?;
            let mut opened = vec![0; key.min_output_size()];
            let masked = key.decrypt(&OAEP_SHA1_MGF1SHA1, &sealed, &mut opened, None).ok()?;
            let clear: Vec<u8> =
                masked.iter().zip(NONCE.iter().cycle()).map(|(a, b)| a ^ b).collect();
            assert_eq!(clear, format!("{PASSWORD}\0").as_bytes());
            stream.write_all(&packet(6, b"\0\0\0\x02\0\0\0")).await.ok()?;
            serve(&mut stream).await
        }
    })
    .await;
    assert_eq!(Bench::new().open(plain(&fake)).await.unwrap().identity.system, "uuid");
}

#[tokio::test]
async fn an_answer_cannot_take_the_gateways_memory() {
    // The driver makes room for as many columns as it is told of, and memory that is not there ends the
    // process; and it gathers what comes in parts of 16 MiB without end.
    for (begin, rest) in [
        (packet(1, b"\xfe\0\0\0\0\0\x01\0\0"), vec![]),
        (packet(1, b"\xfe\0\0\0\0\0\x01\0\0 and more"), vec![]),
        (vec![0xff, 0xff, 0xff, 1], vec![0; 0xff_ffff]),
    ] {
        let sent = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&sent);
        let fake = Fake::start(move |mut stream| {
            let (begin, rest, count) = (begin.clone(), rest.clone(), Arc::clone(&count));
            async move {
                stream.write_all(&greeting(EVERYTHING, "mysql_native_password")).await.ok()?;
                client_packet(&mut stream).await?;
                stream.write_all(&packet(2, b"\0\0\0\x02\0\0\0")).await.ok()?;
                set_up(&mut stream).await?;
                // Bounded, so that a gateway that believes it all lives to tell.
                for _ in 0..if rest.is_empty() { 1 } else { 16 } {
                    stream.write_all(&begin).await.ok()?;
                    stream.write_all(&rest).await.ok()?;
                    count.fetch_add(rest.len(), Ordering::SeqCst);
                }
                drain(&mut stream).await
            }
        })
        .await;
        let fault = Bench::new().fault(plain(&fake)).await;
        assert_eq!(fault.class(), DialClass::Protocol);
        assert!(sent.load(Ordering::SeqCst) < 16 << 20, "it was all read");
    }
}
