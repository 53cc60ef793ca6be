use super::*;

/// A PostgreSQL server's answer to the request for TLS, then silence.
async fn answering(answer: &'static [u8]) -> Fake {
    Fake::start(move |mut stream| async move {
        stream.read_exact(&mut [0; 8]).await.ok()?;
        stream.write_all(answer).await.ok()?;
        if answer == b"S" {
            return None;
        }
        drain(&mut stream).await
    })
    .await
}

async fn accept(mut stream: TcpStream, acceptor: TlsAcceptor) -> Option<TlsStream<TcpStream>> {
    stream.read_exact(&mut [0; 8]).await.ok()?;
    stream.write_all(b"S").await.ok()?;
    acceptor.accept(stream).await.ok()
}

/// A PostgreSQL server with TLS that answers the start-up packet with "wrong password".
async fn encrypted(acceptor: TlsAcceptor) -> Fake {
    Fake::start(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = accept(stream, acceptor).await?;
            stream.write_all(b"E\0\0\0\x0cC28P01\0\0").await.ok()?;
            stream.flush().await.ok()?;
            drain(&mut stream).await
        }
    })
    .await
}

fn verified(port: u16, ca_pem: Option<String>, server_name: Option<&str>) -> ServerRecord {
    let mut record = record(Engine::Postgres, port, TlsPolicy::VerifyFull);
    record.tls.ca_pem = ca_pem;
    record.tls.server_name = server_name.map(str::to_owned);
    record
}

#[tokio::test]
async fn a_server_that_does_not_take_tls_up_is_refused() {
    for (answer, class) in [
        (&b"N"[..], DialClass::Tls),
        (b"S", DialClass::Tls),
        (b"SE\0\0\0\x09hello", DialClass::Hostile),
        (b"S\x16\x03\x03\xff\xff", DialClass::Hostile),
        (b"E", DialClass::Refused),
        (b"X", DialClass::Protocol),
    ] {
        let fake = answering(answer).await;
        let fault = Bench::new().fault(verified(fake.port, None, None)).await;
        assert_eq!(fault.class(), class, "{answer:?}");
    }
}

#[tokio::test]
async fn chain_and_name_are_verified() {
    let (ca, acceptor) = certificate("db.example");
    let (other_ca, _) = certificate("db.example");
    let fake = encrypted(acceptor).await;
    let bench = Bench::new();
    let class = async |record: ServerRecord| bench.fault(record).await.class();
    // The refused password shows that TLS was accepted.
    assert_eq!(
        class(verified(fake.port, Some(ca.clone()), Some("db.example"))).await,
        DialClass::Auth
    );
    let named = ServerRecord {
        host: "db.example".to_owned(),
        ..verified(fake.port, Some(ca.clone()), None)
    };
    assert_eq!(class(named).await, DialClass::Auth);

    let wrong_name = bench.fault(verified(fake.port, Some(ca.clone()), None)).await;
    assert_eq!(wrong_name.class(), DialClass::Tls);
    assert_eq!(wrong_name.why(), "the server's certificate is for another name");
    let stranger = bench.fault(verified(fake.port, Some(other_ca), Some("db.example"))).await;
    assert_eq!(stranger.class(), DialClass::Tls);
    let public = bench.fault(verified(fake.port, None, Some("db.example"))).await;
    assert_eq!(public.why(), "the server's certificate has an unknown issuer");

    let before = fake.accepted();
    for unusable in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let record = verified(fake.port, Some(unusable.to_owned()), Some("db.example"));
        assert_eq!(class(record).await, DialClass::Tls);
    }
    assert_eq!(fake.accepted(), before, "an unusable authority opens no socket");
}

/// What `openssl req -x509` makes, which many a manual shows.
#[tokio::test]
async fn a_certificate_that_is_its_own_authority_is_told_as_that() {
    let mut own = CertificateParams::new(vec!["db.example".to_owned()]).unwrap();
    own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let own = own.self_signed(&key).unwrap();
    let fake = encrypted(acceptor(own.der().clone(), &key)).await;
    let fault = Bench::new().fault(verified(fake.port, Some(own.pem()), Some("db.example"))).await;
    assert_eq!(fault.class(), DialClass::Tls);
    assert!(fault.why().contains("itself an authority's"), "{fault}");
}

#[tokio::test]
async fn an_exception_counts_until_it_ends() {
    let (_, acceptor) = certificate("db.example");
    let fake = encrypted(acceptor).await;
    let bench = Bench::new();
    let with = |waiver| record(Engine::Postgres, fake.port, exception(waiver, 2000));
    assert_eq!(bench.fault(with(TlsWaiver::Unverified)).await.class(), DialClass::Auth);
    bench.clock.advance(Duration::from_secs(999));
    assert_eq!(bench.fault(with(TlsWaiver::Unverified)).await.class(), DialClass::Auth);
    let before = fake.accepted();
    bench.clock.advance(Duration::from_secs(1));
    for waiver in [TlsWaiver::Unverified, TlsWaiver::Plaintext] {
        let fault = bench.fault(with(waiver)).await;
        assert_eq!(fault.class(), DialClass::Tls);
        assert_eq!(fault.why(), "the TLS exception has ended");
    }
    assert_eq!(fake.accepted(), before, "an ended exception opens no socket");
}

#[tokio::test]
async fn plaintext_is_for_loopback_addresses_only() {
    let tls = super::super::tls::Tls::new().unwrap();
    let clock = ManualClock::at(Timestamp::from_secs(1));
    let record = record(Engine::Postgres, 5432, TlsPolicy::LoopbackPlaintext);
    for (address, allowed) in [
        ("127.0.0.1", true),
        ("127.5.5.5", true),
        ("::1", true),
        ("10.0.0.1", false),
        ("::ffff:127.0.0.1", false),
        ("0.0.0.0", false),
        ("169.254.1.1", false),
    ] {
        let demand = tls.demand(&record, address.parse().unwrap(), &clock);
        assert_eq!(demand.is_ok(), allowed, "{address}");
    }
}
