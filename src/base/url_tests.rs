use proptest::prelude::*;

use super::*;

fn server_of(url: &str) -> ServerRecord {
    match parse_connection_url(url) {
        Ok(ConnectionRecord::Server(server)) => server,
        other => panic!("{url}: {other:?}"),
    }
}

fn fault(url: &str) -> UrlFault {
    parse_connection_url(url).expect_err(url)
}

#[test]
fn reads_the_plain_forms() {
    let s = server_of("postgres://reader:p%40ss%3A%2F@DB.example:6432/emr?tls-name=pg.internal");
    assert_eq!((s.engine, s.host.as_str(), s.port), (Engine::Postgres, "db.example", 6432));
    assert_eq!((s.user.as_str(), s.password.expose()), ("reader", "p@ss:/"));
    assert_eq!((s.database.as_str(), s.tls.server_name.as_deref()), ("emr", Some("pg.internal")));
    assert_eq!(s.tls.policy, TlsPolicy::VerifyFull);
    assert_eq!(server_of("postgresql://u:p@h/d").port, 5432);
    assert_eq!(server_of("mysql://u:p@h/d").port, 3306);
    assert_eq!(server_of("mariadb://u:p@h/d").engine, Engine::MySql);
    assert_eq!(server_of("postgres://u:p@[fd00::5]:1/d").host, "fd00::5");
    assert_eq!(server_of("postgres://u:a:b+c@h/d").password.expose(), "a:b+c");
    assert_eq!(server_of("postgres://u:p@10.0.0.5/d%2Fe").database, "d/e");
    for host in ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"] {
        let s = server_of(&format!("mysql://u:p@{host}/d?tls=loopback-plaintext"));
        assert_eq!(s.tls.policy, TlsPolicy::LoopbackPlaintext);
    }
    for url in ["sqlite:a/b.db", "sqlite://a/b.db"] {
        let Ok(ConnectionRecord::Sqlite(record)) = parse_connection_url(url) else { panic!() };
        assert_eq!(record.file, "a/b.db");
    }
}

type Case = (String, UrlFault);

fn owned(cases: &[(&str, UrlFault)]) -> Vec<Case> {
    cases.iter().map(|(url, fault)| ((*url).to_owned(), fault.clone())).collect()
}

fn syntax_cases() -> Vec<Case> {
    use UrlFault as F;
    let long = format!("postgres://u:{}@h/d", "p".repeat(5000));
    let long_password = format!("postgres://u:{}@h/d", "p".repeat(1025));
    owned(&[
        ("", F::Scheme),
        ("postgres", F::Scheme),
        ("postgres:u:p@h/d", F::Scheme),
        ("POSTGRES://u:p@h/d", F::Scheme),
        ("mssql://u:p@h/d", F::Scheme),
        ("file:///etc/passwd", F::Scheme),
        ("jdbc:postgresql://u:p@h/d", F::Scheme),
        (" postgres://u:p@h/d", F::RawCharacter),
        ("postgres://u:p@h/d\n", F::RawCharacter),
        ("postgres://u:p@h/d\0", F::RawCharacter),
        ("postgres://u:pä@h/d", F::RawCharacter),
        ("postgres://u:p[x@h/d", F::RawCharacter),
        ("postgres://u:p@h/d{e}", F::RawCharacter),
        ("postgres://u:p@h/d#x", F::Fragment),
        ("postgres://u:p#x@h/d", F::Fragment),
        (&*long, F::TooLong),
        (&*long_password, F::PartTooLong),
        ("postgres://h/d", F::MissingUser),
        ("postgres://:p@h/d", F::MissingUser),
        ("postgres:///d", F::MissingUser),
        ("postgres://u@h/d", F::MissingPassword),
        ("postgres://u:@h/d", F::MissingPassword),
        ("postgres://u:p@/d", F::MissingHost),
        ("postgres://u:p@:5432/d", F::MissingHost),
        ("postgres://u:p@h", F::MissingDatabase),
        ("postgres://u:p@h/", F::MissingDatabase),
        ("postgres://u:p@h?tls=verify-full", F::MissingDatabase),
        ("postgres://u:p@evil@h/d", F::SeveralUsers),
        ("postgres://u:p@h1,h2/d", F::SeveralHosts),
        ("postgres://u:p@h1:1,h2:2/d", F::SeveralHosts),
        ("postgres://u:p@%2Fvar%2Frun/d", F::UnixSocket),
        ("postgres://u:p@%2fvar%2frun/d", F::UnixSocket),
    ])
}

fn host_cases() -> Vec<Case> {
    use UrlFault as F;
    let long_label = format!("postgres://u:p@{}.example/d", "a".repeat(64));
    owned(&[
        ("postgres://u:p@%68/d", F::Host),
        ("postgres://u:p@h_x/d", F::Host),
        ("postgres://u:p@h./d", F::Host),
        ("postgres://u:p@.h/d", F::Host),
        ("postgres://u:p@a..b/d", F::Host),
        ("postgres://u:p@-h/d", F::Host),
        ("postgres://u:p@h-/d", F::Host),
        (&*long_label, F::Host),
        ("postgres://u:p@127.1/d", F::Host),
        ("postgres://u:p@127.0.1/d", F::Host),
        ("postgres://u:p@2130706433/d", F::Host),
        ("postgres://u:p@0x7f000001/d", F::Host),
        ("postgres://u:p@0x7f.0.0.1/d", F::Host),
        ("postgres://u:p@0177.0.0.1/d", F::Host),
        ("postgres://u:p@127.0.0.01/d", F::Host),
        ("postgres://u:p@127.0.0.0x1/d", F::Host),
        ("postgres://u:p@127.0.0.0x/d", F::Host),
        ("postgres://u:p@256.0.0.1/d", F::Host),
        ("postgres://u:p@1.2.3.4.5/d", F::Host),
        ("postgres://u:p@1.2.3.4./d", F::Host),
        ("postgres://u:p@0/d", F::Host),
        ("postgres://u:p@[::1/d", F::Host),
        ("postgres://u:p@[::1]x/d", F::Host),
        ("postgres://u:p@[0:0:0:0:0:0:0:1]/d", F::Host),
        ("postgres://u:p@[::0001]/d", F::Host),
        ("postgres://u:p@[fe80::1%25eth0]/d", F::Host),
        ("postgres://u:p@[127.0.0.1]/d", F::Host),
        ("postgres://u:p@::1/d", F::MissingHost),
        ("postgres://u:p@fd00::1/d", F::Host),
        ("postgres://u:p@h:0/d", F::Port),
        ("postgres://u:p@h:65536/d", F::Port),
        ("postgres://u:p@h:05432/d", F::Port),
        ("postgres://u:p@h:+5432/d", F::Port),
        ("postgres://u:p@h:/d", F::Port),
        ("postgres://u:p@h:x/d", F::Port),
        ("postgres://u:p@h/d/e", F::Path),
        ("postgres://u:p@h//d", F::Path),
    ])
}

fn part_cases() -> Vec<Case> {
    use UrlFault as F;
    let parameter = |n: &str| F::UnknownParameter(ParameterName::of(n));
    owned(&[
        ("postgres://u:p%@h/d", F::Encoding),
        ("postgres://u:p%4@h/d", F::Encoding),
        ("postgres://u:p%zz@h/d", F::Encoding),
        ("postgres://u:p%+1@h/d", F::Encoding),
        ("postgres://u:p%ff@h/d", F::Encoding),
        ("postgres://u:p%c0%80@h/d", F::Encoding),
        ("postgres://u:p%00@h/d", F::ControlCharacter),
        ("postgres://u%0A:p@h/d", F::ControlCharacter),
        ("postgres://u:p@h/d%7F", F::ControlCharacter),
        ("postgres://u:p@h/d%C2%85", F::ControlCharacter),
        ("postgres://u:p@h/d?host=169.254.169.254", parameter("host")),
        ("postgres://u:p@h/d?sslmode=disable", parameter("sslmode")),
        ("postgres://u:p@h/d?sslrootcert=/etc/passwd", parameter("sslrootcert")),
        ("postgres://u:p@h/d?options=-c%20x", parameter("options")),
        ("postgres://u:p@h/d?TLS=verify-full", parameter("?")),
        ("postgres://u:p@h/d?%74ls=verify-full", parameter("?")),
        ("postgres://u:p@h/d?", parameter("?")),
        ("postgres://u:p@h/d?tls=verify-full&", parameter("?")),
        ("postgres://u:p@h/d?tls=require", F::TlsValue),
        ("postgres://u:p@h/d?tls", F::TlsValue),
        ("postgres://u:p@h/d?tls=verify-full%20", F::TlsValue),
        (
            "postgres://u:p@h/d?tls=verify-full&tls=verify-full",
            F::RepeatedParameter(ParameterName::of("tls")),
        ),
        (
            "postgres://u:p@h/d?tls-name=a&tls-name=b",
            F::RepeatedParameter(ParameterName::of("tls-name")),
        ),
        ("postgres://u:p@h/d?tls-name=", F::TlsName),
        ("postgres://u:p@h/d?tls-name=a_b", F::TlsName),
        ("postgres://u:p@localhost/d?tls=loopback-plaintext&tls-name=a", F::TlsName),
        ("postgres://u:p@h/d?tls=loopback-plaintext", F::PlaintextElsewhere),
        ("postgres://u:p@10.0.0.1/d?tls=loopback-plaintext", F::PlaintextElsewhere),
        ("postgres://u:p@localhost.example/d?tls=loopback-plaintext", F::PlaintextElsewhere),
        ("postgres://u:p@[::ffff:127.0.0.1]/d?tls=loopback-plaintext", F::PlaintextElsewhere),
        ("sqlite:", F::FileName),
        ("sqlite:/etc/passwd", F::FileName),
        ("sqlite:///etc/passwd", F::FileName),
        ("sqlite:../x.db", F::FileName),
        ("sqlite:a/../../x.db", F::FileName),
        ("sqlite:a//x.db", F::FileName),
        ("sqlite:a/", F::FileName),
        ("sqlite:./x.db", F::FileName),
        ("sqlite::memory:", F::FileName),
        ("sqlite:file:x.db", F::FileName),
        ("sqlite:%2e%2e/x.db", F::FileName),
        ("sqlite:a%2Fb.db", F::FileName),
        ("sqlite:a%5Cb.db", F::FileName),
        ("sqlite:x%00.db", F::ControlCharacter),
        ("sqlite:x.db?mode=rwc", parameter("mode")),
        ("sqlite:x.db?vfs=unix", parameter("vfs")),
    ])
}

#[test]
fn refuses_nasty_inputs() {
    let cases = [syntax_cases(), host_cases(), part_cases()].concat();
    assert!(cases.len() >= 100);
    for (url, expected) in cases {
        assert_eq!(fault(&url), expected, "{url}");
    }
}

#[test]
fn a_certificate_bundle_goes_on_verified_records_only() {
    let pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
    let record = parse_connection_url("postgres://u:p@h/d").unwrap();
    let Ok(ConnectionRecord::Server(server)) = attach_ca_pem(record.clone(), pem) else { panic!() };
    assert_eq!(server.tls.ca_pem.as_deref(), Some(pem));
    let key = format!("{pem}-----BEGIN PRIVATE KEY-----");
    assert_eq!(attach_ca_pem(record.clone(), &key).unwrap_err(), UrlFault::CaPem);
    assert_eq!(attach_ca_pem(record.clone(), "").unwrap_err(), UrlFault::CaPem);
    assert_eq!(attach_ca_pem(record, &pem.repeat(2000)).unwrap_err(), UrlFault::CaPem);
    let plain = parse_connection_url("mysql://u:p@[::1]/d?tls=loopback-plaintext").unwrap();
    assert_eq!(attach_ca_pem(plain, pem).unwrap_err(), UrlFault::CaPem);
}

fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |text, b| text + &format!("%{b:02x}"))
}

proptest! {
    #[test]
    fn any_text_is_answered_without_repeating_it(text in "\\PC{0,80}") {
        if let Err(fault) = parse_connection_url(&text) {
            let shown = format!("{fault} {fault:?} {}", fault.hint());
            prop_assert!(text.len() < 24 || !shown.contains(&text));
        }
    }

    #[test]
    fn encoded_parts_come_back_whole(
        user in "[^\\p{C}]{1,12}", password in "[^\\p{C}]{1,40}", database in "[^\\p{C}]{1,12}",
    ) {
        let url =
            format!("postgres://{}:{}@h/{}", encode(&user), encode(&password), encode(&database));
        let s = server_of(&url);
        prop_assert_eq!(s.user, user);
        prop_assert_eq!(s.password.expose(), password);
        prop_assert_eq!(s.database, database);
    }

    #[test]
    fn a_numeric_host_has_one_spelling(bits in any::<u32>()) {
        let address = Ipv4Addr::from(bits);
        let host = address.to_string();
        prop_assert_eq!(canonical_host(&host), Ok(host.clone()));
        let [a, b, c, d] = address.octets();
        for other in [
            bits.to_string(), format!("{bits:#x}"), format!("0{bits:o}"),
            format!("{a:#x}.{b}.{c}.{d}"), format!("{a}.{b}.{c}.{d:#x}"), format!("{a}.{b}.{}", u16::from_be_bytes([c, d])),
            format!("{a}.{b}.{c}.0{d:o}"), format!("0{a:o}.{b}.{c}.{d}"), format!("{host}."),
        ] {
            prop_assert_eq!(canonical_host(&other), Err(UrlFault::Host), "{}", other);
        }
    }

    #[test]
    fn a_secret_never_shows(secret in "[a-zA-Z0-9]{16,30}") {
        for url in [
            format!("postgres://u:{secret}@h:x/d"), format!("postgres://u@{secret}/d/e"),
            format!("postgres://u:p@h/d?{secret}{secret}={secret}"), format!("sqlite:../{secret}"),
            format!("postgres://u:p@h/d?password={secret}"), format!("postgres://u:p@h/d?tls={secret}"),
        ] {
            let fault = fault(&url);
            let shown = format!("{fault} {fault:?} {}", fault.hint());
            prop_assert!(!shown.contains(&secret), "{}", shown);
        }
    }
}
