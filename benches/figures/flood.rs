//! A flood of key ids nobody has: how often the issuer is asked, and what becomes of a key that is really
//! new. In this process, against an issuer over HTTP, with the settings as delivered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use wardgate::auth::{AuthConfig, AuthFault, Authority, IssuerConfig, Principal};
use wardgate::base::{Clock as _, Deadline, Fault as _, FaultKind, SystemClock};

use crate::directory::Bindings;
use crate::idp::{Idp, SigningKey, b64, keycloak_claims};
use crate::shared::{Arguments, Report, millis};

/// Callers with invented key ids at once: more than may wait for one fetch.
const CALLERS: u64 = 400;
/// The window of the figure.
const WINDOW: Duration = Duration::from_secs(10);

struct Flooded {
    idp: Idp,
    issuer: String,
    authority: Authority,
    known: SigningKey,
    stop: AtomicBool,
}

pub async fn run(arguments: &Arguments, report: &mut Report) -> Value {
    let span = Duration::from_secs(arguments.number("flood-seconds", 12, 60));
    let known = SigningKey::generate("known", "RS256");
    let idp = Idp::start().await;
    let issuer = idp.realm("a", std::slice::from_ref(&known));
    let directory = Arc::new(Bindings::default());
    directory.bind(&issuer, "hospital-a", &["emr-app"]);
    let config = AuthConfig {
        issuers: vec![IssuerConfig::keycloak(&issuer, "wardgate-api")],
        ..AuthConfig::default()
    };
    let authority = Authority::start(config, Arc::new(SystemClock), directory).await.unwrap();
    let world = Arc::new(Flooded { idp, issuer, authority, known, stop: AtomicBool::new(false) });
    let before = world.idp.key_fetches("a");
    let begun = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        callers.spawn(flood(Arc::clone(&world), caller));
    }
    // In the middle of it, a key that is published, and a good token of the old one.
    tokio::time::sleep(span / 3).await;
    let new = new_key(&world).await;
    let good = status(&present(&world, &token(&world.known, &world.issuer)).await);
    tokio::time::sleep(span.saturating_sub(begun.elapsed())).await;
    world.stop.store(true, Ordering::SeqCst);
    let mut statuses = BTreeMap::new();
    while let Some(counts) = callers.join_next().await {
        for (status, count) in counts.unwrap() {
            *statuses.entry(status.to_string()).or_insert(0_u64) += count;
        }
    }
    let took = begun.elapsed();
    let fetches = world.idp.key_fetches("a") - before;
    let windows = took.as_secs_f64() / WINDOW.as_secs_f64();
    let tokens: u64 = statuses.values().sum();
    report.line(format!(
        "flood: {tokens} tokens with invented key ids in {:.0} s: {fetches} key fetches, {:.2} for each 10 s; \
         answers {statuses:?}",
        took.as_secs_f64(),
        fetches as f64 / windows
    ));
    report.line(format!(
        "flood: a new real key meanwhile: answers {:?}, served after {:.0} ms; a token of a known key: {good}",
        new.statuses,
        millis(new.served_after)
    ));
    json!({ "seconds": took.as_secs_f64(), "tokens": tokens, "key_fetches": fetches,
        "key_fetches_per_10_s": fetches as f64 / windows, "statuses": statuses,
        "new_key": { "statuses": new.statuses, "served_after_ms": millis(new.served_after) },
        "known_key": good })
}

/// Invented key ids until the end. One signature for all: it is never looked at.
async fn flood(world: Arc<Flooded>, caller: u64) -> BTreeMap<u16, u64> {
    let template = token(&world.known, &world.issuer);
    let (_, rest) = template.split_once('.').unwrap();
    let mut counts = BTreeMap::new();
    for n in 0_u64.. {
        if world.stop.load(Ordering::SeqCst) {
            break;
        }
        let header =
            json!({ "alg": "RS256", "typ": "JWT", "kid": format!("invented-{caller}-{n}") });
        let token = format!("{}.{rest}", b64(header.to_string()));
        *counts.entry(status(&present(&world, &token).await)).or_insert(0) += 1;
        // Fast enough for a flood, and the machine is left to the others.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    counts
}

struct NewKey {
    statuses: Vec<u16>,
    served_after: Duration,
}

/// Publishes a key and presents a token of it, again whenever it is told to come back, until it counts.
async fn new_key(world: &Flooded) -> NewKey {
    let new = SigningKey::generate("new", "RS256");
    world.idp.change("a", |realm| realm.keys.push(new.clone()));
    let begun = Instant::now();
    let mut statuses = Vec::new();
    loop {
        let status = status(&present(world, &token(&new, &world.issuer)).await);
        statuses.push(status);
        if status == 200 || begun.elapsed() > 6 * WINDOW {
            return NewKey { statuses, served_after: begun.elapsed() };
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn token(key: &SigningKey, issuer: &str) -> String {
    key.token(&key.header(), &keycloak_claims(issuer, SystemClock.now().as_secs()))
}

/// As a request with the deadline as delivered.
async fn present(world: &Flooded, token: &str) -> Result<Principal, AuthFault> {
    let mut headers = HeaderMap::new();
    let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    headers.insert(header::AUTHORIZATION, value);
    world.authority.authenticate(&headers, false, Deadline::after(Duration::from_secs(10))).await
}

fn status(outcome: &Result<Principal, AuthFault>) -> u16 {
    match outcome.as_ref().map_err(AuthFault::kind) {
        Ok(_) => 200,
        Err(FaultKind::Unauthenticated) => 401,
        Err(FaultKind::Forbidden) => 403,
        Err(FaultKind::Unavailable) => 503,
        Err(other) => panic!("{other:?} is no answer to a token"),
    }
}
