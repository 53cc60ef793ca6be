//! A panic's message may quote whatever the code had in its hands. It reaches neither the caller nor the
//! log, it ends one request, and the next is served.
//!
//! The panics are real: the data plane's own router, layers, extractors and pools run over parts that a
//! caller of the library supplies (a directory of bindings, a dialer), and these panic.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests stop at a surprise")]

#[path = "support/directory.rs"]
#[expect(unused, reason = "made for the tests of tokens")]
mod directory;
#[path = "support/idp.rs"]
#[expect(unused, reason = "made for the tests of tokens")]
mod idp;

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use directory::Bindings;
use futures_util::future::BoxFuture;
use idp::{Idp, SigningKey, keycloak_claims};
use tower::ServiceExt as _;
use tracing::level_filters::LevelFilter;
use wardgate::app::{Format, quiet_panics, subscriber};
use wardgate::audit::{AuditConfig, AuditLog};
use wardgate::auth::{AuthConfig, Authority, Directory, DirectoryFuture, IssuerConfig};
use wardgate::base::{
    Clock, ConnectionRecord, ConnectionRevision, Deadline, Engine, Fault as _, SecretText,
    ServerIdentity, ServerRecord, SystemClock, TenantId, TlsPolicy, TlsSettings,
};
use wardgate::control::{Control, Parts, Work};
use wardgate::http::fhir::{DataPlane, DataPlaneSettings, router};
use wardgate::keyring::{HeldKeys, KekLocation, Keyring, KeyringConfig, MemoryKeys};
use wardgate::pool::dial::{
    DialConfig, DialFault, Dialer, ServerFlavour, SessionSettings, TenantConnection,
};
use wardgate::pool::{
    Dial, Dialled, LaneLimits, LaneSpec, PoolConfig, Pools, RecordFault, RecordMark, RecordSource,
    TenantLimits,
};
use wardgate::records::ServerDescription;
use wardgate::registry::{KeyStore, Registry};
use wardgate::telemetry::traffic::Traffic;
use wardgate::tenant::{TenantDefaults, Tenants};

/// What the panics say: a patient, a password, a token.
const CANARY: &str = "canarypanic";

/// The log of this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Bindings that panic when told to.
struct Trapdoor {
    bindings: Bindings,
    open: AtomicBool,
}

impl Directory for Trapdoor {
    fn binding<'a>(&'a self, issuer: &'a str, claim_value: &'a str) -> DirectoryFuture<'a> {
        assert!(!self.open.load(Ordering::SeqCst), "no binding: {CANARY} {claim_value}");
        self.bindings.binding(issuer, claim_value)
    }
}

/// A dialer that panics, with the record in its message.
struct BadDialer;

impl Dial for BadDialer {
    fn open<'a>(
        &'a self,
        record: &'a ConnectionRecord,
        _session: &'a SessionSettings,
        _deadline: Deadline,
    ) -> BoxFuture<'a, Result<Dialled, DialFault>> {
        let ConnectionRecord::Server(server) = record else { panic!("another record") };
        panic!("cannot dial {} with {}", server.host, server.password.expose());
    }

    fn identify<'a>(
        &'a self,
        _record: &'a ConnectionRecord,
        _session: &'a SessionSettings,
        _on: (&'a mut TenantConnection, ServerFlavour),
        _deadline: Deadline,
    ) -> BoxFuture<'a, Result<ServerIdentity, DialFault>> {
        panic!("nothing was ever opened");
    }
}

struct Record;

impl RecordSource for Record {
    fn record(&self) -> BoxFuture<'_, Result<ConnectionRecord, RecordFault>> {
        Box::pin(async {
            Ok(ConnectionRecord::Server(ServerRecord {
                engine: Engine::Postgres,
                host: format!("{CANARY}.example"),
                port: 5432,
                database: "d".to_owned(),
                user: "u".to_owned(),
                password: SecretText::new(CANARY.to_owned()),
                tls: TlsSettings { policy: TlsPolicy::VerifyFull, server_name: None, ca_pem: None },
            }))
        })
    }
}

struct World {
    router: axum::Router,
    pools: Pools,
    directory: Arc<Trapdoor>,
    /// A good token each time: a known one would not ask the directory anew.
    issuer: String,
    key: SigningKey,
    _idp: Idp,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let key = SigningKey::generate("k", "ES256");
        let idp = Idp::start().await;
        let issuer = idp.realm("a", std::slice::from_ref(&key));
        let bindings = Bindings::default();
        bindings.bind(&issuer, "hospital-a", &["emr-app"]);
        let directory = Arc::new(Trapdoor { bindings, open: AtomicBool::new(false) });
        let setting = format!("sqlite:{}", folder.path().join("registry.db").display());
        let registry = Registry::open(&SecretText::new(setting), Arc::clone(&clock)).unwrap();
        registry.migrate().await.unwrap();
        let held = KekLocation::Source(Arc::new(HeldKeys::ephemeral().unwrap()));
        let keys = Arc::<MemoryKeys>::default();
        let keyring =
            Keyring::init(KeyringConfig::new(held), keys, Arc::clone(&clock)).await.unwrap();
        let audit = AuditConfig::new(folder.path().join("audit"), "gw-1".to_owned());
        let audit = AuditLog::open(audit, keyring.clone(), Arc::clone(&clock)).await.unwrap();
        let pools = Pools::new(PoolConfig::default(), Arc::new(BadDialer), Arc::clone(&clock));
        let defaults = TenantDefaults {
            limits: TenantLimits::default(),
            lane: LaneLimits::default(),
            page_size: 50,
            page_size_max: 1000,
            export_jobs: 2,
        };
        let setting = format!("sqlite:{}", folder.path().join("keys.db").display());
        let key_store = KeyStore::open(&SecretText::new(setting), Arc::clone(&clock)).unwrap();
        let control = Control::new(Parts {
            registry: registry.clone(),
            key_store: Arc::new(key_store),
            keyring: keyring.clone(),
            dialer: Dialer::new(DialConfig::default(), Arc::clone(&clock)),
            clock: Arc::clone(&clock),
            issuers: Vec::new(),
            two_persons: false,
            serving: None,
            work: Work::new("test".to_owned()),
        });
        let fresh = Duration::from_mins(5);
        let tenants = Tenants::new(registry, keyring, pools.clone(), audit, defaults, fresh);
        let config = AuthConfig {
            issuers: vec![IssuerConfig::keycloak(&issuer, "wardgate-api")],
            ..AuthConfig::default()
        };
        let known: Arc<dyn Directory> = directory.clone();
        let authority = Authority::start(config, Arc::clone(&clock), known).await.unwrap();
        let settings = DataPlaneSettings {
            public_url: "http://gateway.test/fhir".to_owned(),
            request_timeout: Duration::from_secs(10),
            body_bytes: 1 << 20,
        };
        let description = ServerDescription {
            version: "0".to_owned(),
            base: settings.public_url.clone(),
            date: "2026-01-01".to_owned(),
            authorization: None,
        };
        let router = router(DataPlane::new(
            authority,
            tenants,
            control,
            settings,
            description,
            Traffic::default(),
            clock,
        ));
        Self { router, pools, directory, issuer, key, _idp: idp, _folder: folder }
    }

    /// One request through the whole router, with a new good token: status, headers and body.
    async fn ask(&self, path: &str) -> (u16, String) {
        let claims = keycloak_claims(&self.issuer, SystemClock.now().as_secs());
        let token = self.key.token(&self.key.header(), &claims);
        let request = Request::get(path).header(header::AUTHORIZATION, format!("Bearer {token}"));
        let response =
            self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (status, headers) = (response.status().as_u16(), format!("{:?}", response.headers()));
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, headers + &String::from_utf8_lossy(&body))
    }

    async fn lease(&self) -> String {
        let spec = LaneSpec {
            tenant: TenantId::random(),
            revision: ConnectionRevision(1),
            engine: Engine::Postgres,
            limits: LaneLimits::default(),
            expected: None,
            record: RecordMark::default(),
            source: Arc::new(Record),
        };
        let deadline = Deadline::after(Duration::from_secs(10));
        match self.pools.lease(&spec, deadline).await {
            Ok(_) => panic!("a lease from a dialer that panics"),
            Err(fault) => format!("{fault} {fault:?} {}", fault.client_message()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panics_message_goes_nowhere() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = subscriber(Format::Json, LevelFilter::TRACE, move || writer.clone());
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let world = World::new().await;
    let before = world.ask("/fhir/Patient/1").await;
    let hook = std::panic::take_hook();
    quiet_panics();
    world.directory.open.store(true, Ordering::SeqCst);
    let mut broken = Vec::new();
    for path in ["/fhir/Patient/1", "/fhir/Patient?family=x", "/fhir/metadata"] {
        broken.push(world.ask(path).await);
    }
    world.directory.open.store(false, Ordering::SeqCst);
    let lease = tokio::spawn(async move { (world.lease().await, world) }).await;
    // From here on a failed assertion may say why.
    std::panic::set_hook(hook);
    let (lease, world) = lease.unwrap();
    let after = world.ask("/fhir/Patient/1").await;

    // The tenant is bound and not registered: 403, before and after.
    assert_eq!((before.0, after.0), (403, 403), "{before:?} {after:?}");
    for (status, shown) in &broken {
        assert_eq!(*status, 500, "{shown}");
        assert!(shown.contains("OperationOutcome") && shown.contains("x-request-id"), "{shown}");
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let panics = log.matches("a task panicked").count();
    assert_eq!(panics, broken.len() + 1, "each panic is in the log, with its place: {log}");
    assert!(log.contains("tests/panics.rs:"), "{log}");
    for (name, text) in [("the log", &log), ("a fault", &lease)]
        .into_iter()
        .chain(broken.iter().map(|b| ("an answer", &b.1)))
    {
        assert!(!text.contains(CANARY), "{name}: {text}");
    }
}
