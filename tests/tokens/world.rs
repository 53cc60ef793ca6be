//! One gateway's authority, two hospitals' realms, an operators' realm, and tokens for all of them.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use serde_json::Value;
use wardgate::auth::{AuthConfig, AuthFault, Authority, IssuerConfig, OperatorsConfig, Principal};
use wardgate::base::{Clock, Deadline, Fault, FaultKind, ManualClock, TenantId, Timestamp};

use crate::directory::Bindings;
use crate::idp::{Idp, SigningKey, keycloak_claims};

/// What the clock shows when a test begins, in seconds.
pub const NOW: i64 = 1_800_000_000;

/// The answers of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// 200.
    Good,
    /// 401 with `error="invalid_token"`.
    InvalidToken,
    /// 401 with a bare challenge.
    NoToken,
    /// 400 with `error="invalid_request"`.
    InvalidRequest,
    /// 403 without a challenge.
    NoAccess,
    /// 503 with `Retry-After`.
    Unavailable,
}

impl Answer {
    /// The answer as it goes out: status, `WWW-Authenticate`, and whether `Retry-After` is there.
    fn wire(self) -> (u16, Option<&'static str>, bool) {
        match self {
            Self::Good => (200, None, false),
            Self::InvalidToken => (401, Some(r#"Bearer error="invalid_token""#), false),
            Self::NoToken => (401, Some("Bearer"), false),
            Self::InvalidRequest => (400, Some(r#"Bearer error="invalid_request""#), false),
            Self::NoAccess => (403, None, false),
            Self::Unavailable => (503, None, true),
        }
    }
}

/// A fault's status.
pub fn status(fault: &AuthFault) -> u16 {
    match fault.kind() {
        FaultKind::Invalid => 400,
        FaultKind::Unauthenticated => 401,
        FaultKind::Forbidden => 403,
        FaultKind::Unavailable => 503,
        other => panic!("{other:?} is no answer to a token"),
    }
}

/// Asserts one row of the table.
pub fn expect(row: &str, name: &str, answer: Answer, outcome: &Result<Principal, AuthFault>) {
    let got = match outcome {
        Ok(_) => (200, None, false),
        Err(fault) => (
            status(fault),
            fault.www_authenticate(),
            fault.retry_after_secs().is_some_and(|s| s > 0),
        ),
    };
    let wire = answer.wire();
    let reason = outcome.as_ref().err().map(AuthFault::reason);
    let wanted = (wire.0, wire.1.map(std::borrow::Cow::Borrowed), wire.2);
    assert_eq!(got, wanted, "row {row}: {name} ({reason:?})");
}

pub struct World {
    pub idp: Idp,
    pub clock: Arc<ManualClock>,
    pub directory: Arc<Bindings>,
    pub authority: Authority,
    /// Realm `a`: keys `rsa`, `pss`, `ec`, `ed`.
    pub rsa: SigningKey,
    pub pss: SigningKey,
    pub ec: SigningKey,
    pub ed: SigningKey,
    /// Realm `b`'s only key, which is also called `rsa`.
    pub other: SigningKey,
    pub operator: SigningKey,
    pub issuer: String,
    pub issuer_b: String,
    pub issuer_ops: String,
    pub tenant: TenantId,
    pub tenant_b: TenantId,
}

impl World {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With settings changed before the start.
    pub async fn with(how: impl FnOnce(&mut AuthConfig)) -> Self {
        let idp = Idp::start().await;
        let rsa = SigningKey::generate("rsa", "RS256");
        let pss = SigningKey::generate("pss", "PS256");
        let ec = SigningKey::generate("ec", "ES256");
        let ed = SigningKey::generate("ed", "EdDSA");
        let other = SigningKey::generate("rsa", "RS256");
        let operator = SigningKey::generate("ops", "ES256");
        let issuer = idp.realm("a", &[rsa.clone(), pss.clone(), ec.clone(), ed.clone()]);
        let issuer_b = idp.realm("b", std::slice::from_ref(&other));
        let issuer_ops = idp.realm("operators", std::slice::from_ref(&operator));
        let directory = Arc::new(Bindings::default());
        let tenant = directory.bind(&issuer, "hospital-a", &["emr-app", "second-app"]);
        let tenant_b = directory.bind(&issuer_b, "hospital-b", &["emr-app"]);
        let mut logged_out_by = IssuerConfig::keycloak(&issuer, "wardgate-api");
        logged_out_by.logout_audiences = vec!["emr-app".to_owned()];
        let mut config = AuthConfig {
            issuers: vec![logged_out_by, IssuerConfig::keycloak(&issuer_b, "wardgate-api")],
            operators: Some(OperatorsConfig::keycloak(&issuer_ops, "wardgate-admin", "operator")),
            min_refetch: Duration::from_millis(100),
            ..AuthConfig::default()
        };
        how(&mut config);
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(NOW)));
        let authority = Authority::start(config, clock.clone(), directory.clone()).await.unwrap();
        Self {
            idp,
            clock,
            directory,
            authority,
            rsa,
            pss,
            ec,
            ed,
            other,
            operator,
            issuer,
            issuer_b,
            issuer_ops,
            tenant,
            tenant_b,
        }
    }

    /// The seconds the clock shows.
    pub fn now(&self) -> i64 {
        self.clock.now().as_secs()
    }

    /// The claims of a good token of realm `a`.
    pub fn claims(&self) -> Value {
        keycloak_claims(&self.issuer, self.now())
    }

    /// A good token of realm `a` with its claims changed.
    pub fn token(&self, how: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims();
        how(&mut claims);
        self.rsa.token(&self.rsa.header(), &claims)
    }

    /// A good token of realm `a` with its header changed.
    pub fn token_with_header(&self, key: &SigningKey, how: impl FnOnce(&mut Value)) -> String {
        let mut header = key.header();
        how(&mut header);
        key.token(&header, &self.claims())
    }

    /// Presents a token as a bearer.
    pub async fn present(&self, token: &str) -> Result<Principal, AuthFault> {
        self.ask(&bearer(token)).await
    }

    /// Presents headers.
    pub async fn ask(&self, headers: &HeaderMap) -> Result<Principal, AuthFault> {
        self.authority.authenticate(headers, false, deadline()).await
    }

    /// Presents each token and asserts its answer; before and after, a good one passes.
    pub async fn table(&self, rows: &[(&str, &str, String, Answer)]) {
        expect("-", "before", Answer::Good, &self.present(&self.token(|_| {})).await);
        for (row, name, token, answer) in rows {
            expect(row, name, *answer, &self.present(token).await);
            if *answer != Answer::Good {
                expect(row, &format!("{name}, again"), *answer, &self.present(token).await);
            }
        }
        expect("-", "after", Answer::Good, &self.present(&self.token(|_| {})).await);
    }
}

pub fn deadline() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

pub fn bearer(token: &str) -> HeaderMap {
    authorization(format!("Bearer {token}"))
}

pub fn authorization(value: impl AsRef<[u8]>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_bytes(value.as_ref()).unwrap());
    headers
}

/// Removes a claim.
pub fn without(claims: &mut Value, name: &str) {
    claims.as_object_mut().unwrap().remove(name).unwrap();
}
