//! The dialer against servers that misbehave, all in this process.

mod mysql;
mod postgres;
mod tls;

use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::*;
use crate::base::{
    ManualClock, SecretText, Timestamp, TlsException, TlsPolicy, TlsSettings, TlsWaiver,
};

/// The password every record of these tests holds.
const PASSWORD: &str = "correct horse";

/// A listener on loopback that plays `script` on every connection.
struct Fake {
    port: u16,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Fake {
    async fn start<F>(script: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Option<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                stream.set_nodelay(true).unwrap();
                tokio::spawn(script(stream));
            }
        });
        Self { port, accepted, task }
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads until the peer closes, so that what was sent is not lost to a reset.
async fn drain(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<()> {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).await.ok()? > 0 {}
    Some(())
}

/// A dialer with a folder of its own for sockets.
struct Bench {
    dialer: Dialer,
    sockets: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl Bench {
    fn new() -> Self {
        Self::with_timeout(Duration::from_secs(10))
    }

    fn with_timeout(connect_timeout: Duration) -> Self {
        let sockets = tempfile::tempdir().unwrap();
        let config = DialConfig {
            connect_timeout,
            egress: EgressRules::parse(&["127.0.0.0/8:*"]).unwrap(),
            socket_dir: sockets.path().to_owned(),
            ..DialConfig::default()
        };
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1000)));
        let names = HashMap::from([
            ("db.example".to_owned(), vec![IpAddr::from([127, 0, 0, 1])]),
            ("metadata.example".to_owned(), vec![IpAddr::from([169, 254, 169, 254])]),
        ]);
        let resolver = Resolver::fixed(names);
        let dialer = Dialer::with_resolver(config, Arc::<ManualClock>::clone(&clock), resolver);
        Self { dialer, sockets, clock }
    }

    async fn open(&self, record: ServerRecord) -> Result<Opened, DialFault> {
        let record = ConnectionRecord::Server(record);
        let session = SessionSettings::default();
        self.dialer.open(&record, &session, Deadline::after(Duration::from_secs(30))).await
    }

    /// Opens, expects a fault, and checks that nothing is left behind.
    async fn fault(&self, record: ServerRecord) -> DialFault {
        let Err(fault) = self.open(record).await else { panic!("it opened") };
        self.assert_clean().await;
        fault
    }

    /// No relay, folder or permit is left. Relays end by themselves once the driver is gone.
    async fn assert_clean(&self) {
        let sessions = &self.dialer.inner.sessions;
        sessions.close();
        tokio::time::timeout(Duration::from_secs(10), sessions.wait())
            .await
            .expect("a session lives");
        sessions.reopen();
        assert_eq!(std::fs::read_dir(self.sockets.path()).unwrap().count(), 0);
        assert_eq!(self.dialer.inner.permits.available_permits(), 16);
    }
}

fn record(engine: Engine, port: u16, policy: TlsPolicy) -> ServerRecord {
    ServerRecord {
        engine,
        host: "localhost".to_owned(),
        port,
        database: "emr".to_owned(),
        user: "reader".to_owned(),
        password: SecretText::new(PASSWORD.to_owned()),
        tls: TlsSettings { policy, server_name: None, ca_pem: None },
    }
}

fn exception(waiver: TlsWaiver, expires_at: i64) -> TlsPolicy {
    TlsPolicy::Exception(TlsException {
        waiver,
        expires_at: Timestamp::from_secs(expires_at),
        reason: "an old server".to_owned(),
    })
}

/// A certificate for `name` by an authority of its own: the authority's PEM, and the server's side.
fn certificate(name: &str) -> (String, TlsAcceptor) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf =
        CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    (issuer.pem(), acceptor(leaf.der().clone(), &key))
}

/// A server's side with that certificate.
fn acceptor(certificate: CertificateDer<'static>, key: &KeyPair) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn egress_and_names_are_decided_before_any_socket() {
    let fake = Fake::start(|_stream| async { Some(()) }).await;
    let bench = Bench::new();
    let policy = || TlsPolicy::VerifyFull;
    for (host, class) in [
        ("metadata.example", DialClass::Egress),
        ("169.254.169.254", DialClass::Egress),
        ("10.0.0.1", DialClass::Egress),
        ("::ffff:127.0.0.1", DialClass::Egress),
        ("::1", DialClass::Egress),
        ("0.0.0.0", DialClass::Egress),
        ("nowhere.example", DialClass::Resolve),
    ] {
        let host = host.to_owned();
        let record = ServerRecord { host, ..record(Engine::Postgres, fake.port, policy()) };
        assert_eq!(bench.fault(record).await.class(), class);
    }
    assert_eq!(fake.accepted(), 0);
    // Taken, so that nobody else listens there, and not listened on.
    let taken = tokio::net::TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = taken.local_addr().unwrap().port();
    let refused = bench.fault(record(Engine::MySql, port, policy())).await;
    assert_eq!(refused.class(), DialClass::Refused);
}

#[tokio::test]
async fn a_dropped_attempt_leaves_nothing() {
    let fake = Fake::start(|mut stream| async move { drain(&mut stream).await }).await;
    let bench = Bench::new();
    for engine in [Engine::Postgres, Engine::MySql] {
        let attempt = bench.open(record(engine, fake.port, TlsPolicy::LoopbackPlaintext));
        assert!(tokio::time::timeout(Duration::from_millis(100), attempt).await.is_err());
        bench.assert_clean().await;
    }
}
