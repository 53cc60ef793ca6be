//! What checking a token costs: seen before, and never seen. In this process, without HTTP, with a
//! directory that answers at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};
use wardgate::auth::{AuthConfig, Authority, IssuerConfig};
use wardgate::base::{Clock as _, Deadline, SystemClock};

use crate::directory::Bindings;
use crate::idp::{Idp, SigningKey, keycloak_claims};
use crate::shared::{Arguments, Report, Times, micros};

pub async fn run(arguments: &Arguments, report: &mut Report) -> Value {
    let misses = arguments.number("misses", 200, 5_000) as usize;
    let hits = arguments.number("hits", 2_000, 200_000) as usize;
    let keys = [
        SigningKey::generate("rsa", "RS256"),
        SigningKey::generate("ec", "ES256"),
        SigningKey::generate("ed", "EdDSA"),
    ];
    let idp = Idp::start().await;
    let issuer = idp.realm("a", &keys);
    let directory = Arc::new(Bindings::default());
    directory.bind(&issuer, "hospital-a", &["emr-app"]);
    let config = AuthConfig {
        issuers: vec![IssuerConfig::keycloak(&issuer, "wardgate-api")],
        ..AuthConfig::default()
    };
    let authority = Authority::start(config, Arc::new(SystemClock), directory).await.unwrap();
    let mut figures = Vec::new();
    for key in &keys {
        let tokens: Vec<HeaderMap> = (0..misses).map(|_| bearer(key, &issuer)).collect();
        let bytes = tokens[0][header::AUTHORIZATION].len() - "Bearer ".len();
        let mut times = Vec::with_capacity(misses);
        for token in &tokens {
            times.push(check(&authority, token).await);
        }
        let miss = Times::of(times);
        // One clock reading for many: a check is not much longer than a reading.
        let mut seen = Vec::new();
        for turn in 0..hits.div_ceil(1000) {
            let token = &tokens[turn % tokens.len()];
            check(&authority, token).await;
            let begun = Instant::now();
            for _ in 0..1000 {
                check_quietly(&authority, token).await;
            }
            seen.push(begun.elapsed() / 1000);
        }
        let hit = Times::of(seen);
        let [miss_p50, miss_p99] = [0.5, 0.99].map(|share| micros(miss.at(share)));
        let [hit_p50, hit_p99] = [0.5, 0.99].map(|share| hit.at(share).as_nanos() as u64);
        report.line(format!(
            "tokens: {:<5} ({bytes} bytes): never seen p50 {miss_p50:.1} us, p99 {miss_p99:.1} us ({misses}); \
             seen before p50 {hit_p50} ns, p99 of means of 1000 {hit_p99} ns",
            key.alg
        ));
        figures.push(json!({ "alg": key.alg, "bytes": bytes, "miss_p50_us": miss_p50, "miss_p99_us": miss_p99,
            "hit_p50_ns": hit_p50, "hit_p99_ns": hit_p99 }));
    }
    json!(figures)
}

/// A token of its own id.
fn bearer(key: &SigningKey, issuer: &str) -> HeaderMap {
    let token = key.token(&key.header(), &keycloak_claims(issuer, SystemClock.now().as_secs()));
    let mut headers = HeaderMap::new();
    let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    headers.insert(header::AUTHORIZATION, value);
    headers
}

async fn check(authority: &Authority, token: &HeaderMap) -> Duration {
    let begun = Instant::now();
    check_quietly(authority, token).await;
    begun.elapsed()
}

async fn check_quietly(authority: &Authority, token: &HeaderMap) {
    let deadline = Deadline::after(Duration::from_secs(5));
    let principal = authority.authenticate(token, false, deadline).await;
    assert!(std::hint::black_box(principal).is_ok());
}
