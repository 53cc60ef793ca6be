//! What a read by id costs the gateway beside HTTP, the statement and the access log: the way from a token
//! to a connection in hand, and one Patient from its row to its bytes. The rooms of the gateway in this
//! process and in one thread, over the registry and the lane of a hospital on PostgreSQL.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};
use uuid::Uuid;
use wardgate::audit::{AuditConfig, AuditLog};
use wardgate::auth::{AuthConfig, Authority, FhirRead, IssuerConfig, Shape};
use wardgate::base::{Clock, Deadline, SecretText, SystemClock};
use wardgate::keyring::{KekLocation, Keyring, KeyringConfig};
use wardgate::mapping::{RenderReport, Shown};
use wardgate::pool::dial::{DialConfig, Dialer, EgressRules};
use wardgate::pool::{LaneLimits, Lease, PoolConfig, Pools, TenantLimits};
use wardgate::registry::{KeyStore, Registry};
use wardgate::store;
use wardgate::tenant::{Session, TenantDefaults, Tenants};

use crate::harness::{Database, Postgres};
use crate::shared::one_table::{MAPPING, patients};
use crate::shared::{Arguments, Report, Times, micros};
use crate::support::gateway::Stores;
use crate::support::{Gateway, Options, TestIssuer};

/// Turns between two readings of the clock: one of them is shorter than a reading is exact.
const TURNS: u32 = 500;

pub async fn run(arguments: &Arguments, report: &mut Report) -> Value {
    let readings = arguments.number("readings", 10, 400) as usize;
    let folder = tempfile::tempdir().unwrap();
    let database = Postgres::database().await;
    database.execute(&patients(1000)).await;
    let issuer = TestIssuer::for_tenants(&["bench"]).await;
    let stores = registered(folder.path(), &database, &issuer).await;
    let rooms = Rooms::open(folder.path(), &stores, &issuer, database.server.port).await;
    let mut headers = HeaderMap::new();
    let bearer = format!("Bearer {}", issuer.token("bench"));
    headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&bearer).unwrap());
    rooms.before_mapping(&headers).await;
    let (mut before, mut mapping) = (Vec::new(), Vec::new());
    for _ in 0..readings {
        let begun = Instant::now();
        for _ in 0..TURNS {
            std::hint::black_box(rooms.before_mapping(&headers).await);
        }
        before.push(begun.elapsed() / TURNS);
        mapping.push(rooms.mapping_one(&headers).await);
    }
    let (before, mapping) = (Times::of(before), Times::of(mapping));
    let [before_p50, before_p99] = [0.5, 0.99].map(|share| micros(before.at(share)));
    let [mapping_p50, mapping_p99] = [0.5, 0.99].map(|share| micros(mapping.at(share)));
    report.line(format!(
        "request: before mapping (token seen before, rights, binding, configuration, limits, breaker, a connection in hand and \
         given back) p50 {before_p50:.2} us, p99 {before_p99:.2} us; mapping one Patient (plan, rows to FHIR bytes) \
         p50 {mapping_p50:.2} us, p99 {mapping_p99:.2} us; means of {TURNS}, {readings} of them"
    ));
    json!({ "before_mapping_p50_us": before_p50, "before_mapping_p99_us": before_p99,
        "mapping_one_p50_us": mapping_p50, "mapping_one_p99_us": mapping_p99, "readings": readings })
}

/// A hospital in stores of its own, registered and mapped by a gateway that has ended since.
async fn registered(folder: &Path, database: &Database, issuer: &TestIssuer) -> Stores {
    let stores = Stores::in_folder(folder);
    let port = database.server.port;
    let options = Options {
        egress: vec![format!("127.0.0.1/32:{port}")],
        stores: Some(stores.clone()),
        fresh: true,
        log_level: Some("warn"),
        ..Options::default()
    };
    let operator = Gateway::start(issuer, options).await;
    operator.register("bench", database.connection(port)).await;
    operator.publish("bench", MAPPING).await;
    stores
}

/// Who asks, in which hospital, and by which connection.
struct Rooms {
    authority: Authority,
    tenants: Tenants,
}

impl Rooms {
    async fn open(folder: &Path, stores: &Stores, issuer: &TestIssuer, port: u16) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let text = |setting: &str| SecretText::new(setting.to_owned());
        let registry = Registry::open(&text(&stores.registry), Arc::clone(&clock)).unwrap();
        let keys = Arc::new(KeyStore::open(&text(&stores.keys), Arc::clone(&clock)).unwrap());
        let config = KeyringConfig::new(KekLocation::File(stores.kek.clone()));
        let keyring = Keyring::start(config, keys, Arc::clone(&clock)).await.unwrap();
        let config = AuditConfig::new(folder.join("audit"), "bench".to_owned());
        let audit = AuditLog::open(config, keyring.clone(), Arc::clone(&clock)).await.unwrap();
        let egress = EgressRules::parse(&[format!("127.0.0.1/32:{port}")]).unwrap();
        let config = DialConfig { egress, ..DialConfig::default() };
        let dialer = Arc::new(Dialer::new(config, Arc::clone(&clock)));
        let pools = Pools::new(PoolConfig::default(), dialer, Arc::clone(&clock));
        // They are asked at each turn, and never reached.
        let limits = TenantLimits {
            requests_per_second: u32::MAX,
            burst: u32::MAX,
            ..TenantLimits::default()
        };
        let defaults = TenantDefaults {
            limits,
            lane: LaneLimits::default(),
            page_size: 50,
            page_size_max: 1000,
            export_jobs: 2,
        };
        let fresh = Duration::from_mins(5);
        let tenants = Tenants::new(registry, keyring, pools, audit, defaults, fresh);
        let config = AuthConfig {
            issuers: vec![IssuerConfig::keycloak(issuer.hospitals(), "wardgate-api")],
            ..AuthConfig::default()
        };
        let directory = Arc::new(tenants.clone());
        let authority = Authority::start(config, clock, directory).await.unwrap();
        Self { authority, tenants }
    }

    /// From the headers of a request to a connection in hand.
    async fn before_mapping(&self, headers: &HeaderMap) -> (Session<FhirRead>, Lease) {
        let deadline = Deadline::after(Duration::from_secs(30));
        let principal = self.authority.authenticate(headers, false, deadline).await.unwrap();
        let permit = self.authority.permit::<FhirRead>(&principal, Shape::Any).unwrap();
        let session = self.tenants.open(permit, Uuid::nil(), deadline).await.unwrap();
        let lease = session.lease().await.unwrap();
        (session, lease)
    }

    /// One Patient's plan and bytes, from rows that are there.
    async fn mapping_one(&self, headers: &HeaderMap) -> Duration {
        let (session, mut lease) = self.before_mapping(headers).await;
        let mapping = session.mapping().unwrap();
        let mut read = mapping.compiled.plan_read("Patient", "500").pop().unwrap();
        let key = std::mem::take(&mut read.key);
        let deadline = Deadline::after(Duration::from_secs(30));
        let fetched = store::fetch_row(&mut lease, &read.read, key, deadline).await.unwrap();
        let begun = Instant::now();
        for _ in 0..TURNS {
            let read = mapping.compiled.plan_read("Patient", "500").pop().unwrap();
            let rows = read.page(&fetched.page, &fetched.children);
            let mut id = String::with_capacity(64);
            assert!(rows.id(0, &mut id) && id == "500");
            let (mut body, mut seen) = (Vec::with_capacity(2048), RenderReport::default());
            rows.write(0, &Shown::All, &mut body, &mut seen).unwrap();
            std::hint::black_box(body);
        }
        begun.elapsed() / TURNS
    }
}
