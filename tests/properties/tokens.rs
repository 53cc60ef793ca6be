//! Bearer headers and tokens: only what is good in every respect is accepted.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use wardgate::auth::{AuthConfig, Authority, IssuerConfig};
use wardgate::base::{Clock as _, Deadline, ManualClock, TenantId, Timestamp};

use crate::directory::Bindings;
use crate::idp::{Idp, SigningKey, keycloak_claims};
use crate::{damage, holds};

const NOW: i64 = 1_800_000_000;

struct World {
    runtime: Runtime,
    authority: Authority,
    key: SigningKey,
    issuer: String,
    tenant: TenantId,
    _idp: Idp,
}

impl World {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let key = SigningKey::generate("k", "ES256");
        let (idp, issuer, authority, tenant) = runtime.block_on(async {
            let idp = Idp::start().await;
            let issuer = idp.realm("a", std::slice::from_ref(&key));
            let other = idp.realm("b", &[]);
            let directory = Arc::new(Bindings::default());
            let tenant = directory.bind(&issuer, "hospital-a", &["emr-app"]);
            directory.bind(&other, "hospital-b", &["emr-app"]);
            let clock = Arc::new(ManualClock::at(Timestamp::from_secs(NOW)));
            assert_eq!(clock.now().as_secs(), NOW);
            let config = AuthConfig {
                issuers: vec![IssuerConfig::keycloak(&issuer, "wardgate-api")],
                ..AuthConfig::default()
            };
            let authority = Authority::start(config, clock, directory).await.unwrap();
            (idp, issuer, authority, tenant)
        });
        Self { runtime, authority, key, issuer, tenant, _idp: idp }
    }

    /// Whose the header is, if it is accepted. Waits for no key.
    fn present(&self, values: &[Vec<u8>]) -> Option<TenantId> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_bytes(value).ok()?);
        }
        let at_once = Deadline::after(Duration::ZERO);
        let principal = self.authority.authenticate(&headers, false, at_once);
        self.runtime.block_on(principal).ok().map(|principal| principal.tenant())
    }

    fn good(&self) -> String {
        self.key.token(&self.key.header(), &keycloak_claims(&self.issuer, NOW))
    }
}

#[test]
fn no_other_header_is_accepted() {
    let world = World::new();
    let good = world.good();
    let bearer = format!("Bearer {good}").into_bytes();
    assert_eq!(world.present(std::slice::from_ref(&bearer)), Some(world.tenant));
    let pieces: &[&str] =
        &["Bearer ", "bearer ", "DPoP ", "Basic ", " ", ".", "..", "=", ",", "\t", "eyJ"];
    let damaged = proptest::collection::vec(crate::edits(pieces), 1..4).prop_map({
        let bearer = bearer.clone();
        move |edits| {
            let mut bytes = bearer.clone();
            damage(&mut bytes, &edits);
            bytes
        }
    });
    let value = prop_oneof![damaged, proptest::collection::vec(any::<u8>(), 0..300)];
    holds(&(proptest::collection::vec(value, 1..3), any::<bool>()), |(mut values, twice)| {
        if twice {
            values.push(bearer.clone());
        }
        let same = |value: &[u8]| {
            // The scheme's name has no case (RFC 9110, 11.1); the token must be the very one.
            value.get(..7).is_some_and(|s| s.eq_ignore_ascii_case(b"Bearer "))
                && &value[7..] == good.as_bytes()
        };
        if !(values.len() == 1 && same(&values[0])) {
            prop_assert_eq!(world.present(&values), None);
        }
        Ok(())
    });
}

/// Values of one claim; `None` leaves it out. The first so many are good.
struct Choice {
    claim: &'static str,
    good: usize,
    values: Vec<Option<Value>>,
}

fn choices(issuer: &str) -> Vec<Choice> {
    let choice = |claim, good: &[Value], bad: &[Value], absent: bool| Choice {
        claim,
        good: good.len(),
        values: good.iter().chain(bad).cloned().map(Some).chain(absent.then_some(None)).collect(),
    };
    vec![
        choice(
            "iss",
            &[json!(issuer)],
            &[json!(format!("{issuer}/")), json!(""), json!([issuer])],
            true,
        ),
        choice(
            "aud",
            &[json!(["wardgate-api", "account"]), json!("wardgate-api")],
            &[
                json!("account"),
                json!([]),
                json!(["WARDGATE-API"]),
                json!({ "wardgate-api": 1 }),
                json!(null),
            ],
            true,
        ),
        choice(
            "exp",
            &[json!(NOW + 300), json!(NOW + 1)],
            &[json!(NOW - 31), json!(-1), json!("2000000000"), json!(1e300), json!(NOW + 90_000)],
            true,
        ),
        choice("iat", &[json!(NOW), json!(NOW - 5)], &[json!(NOW + 3600), json!("now")], true),
        choice(
            "typ",
            &[json!("Bearer")],
            &[json!("ID"), json!("Refresh"), json!("Logout"), json!(1)],
            true,
        ),
        choice(
            "azp",
            &[json!("emr-app")],
            &[json!("other-app"), json!(""), json!(["emr-app"])],
            true,
        ),
        choice(
            "client_id",
            &[json!("hospital-a")],
            &[
                json!("hospital-b"),
                json!("Hospital-A"),
                json!(" hospital-a"),
                json!(["hospital-a"]),
                json!(""),
            ],
            true,
        ),
        choice("sub", &[json!("0b4f1f3e")], &[json!(""), json!(7)], true),
    ]
}

#[test]
fn one_bad_claim_spoils_a_token_however_good_the_others_are() {
    let world = World::new();
    let choices = choices(&world.issuer);
    // Mostly good ones, so that a token with a single fault is the common case.
    let picks: Vec<_> = choices
        .iter()
        .map(|choice| prop_oneof![6 => 0..choice.good, 1 => choice.good..choice.values.len()])
        .collect();
    let accepted = std::sync::atomic::AtomicUsize::new(0);
    holds(&picks, |picks| {
        let mut claims = keycloak_claims(&world.issuer, NOW);
        let mut good = true;
        let mut wrong = Vec::new();
        for (choice, pick) in choices.iter().zip(picks) {
            let members = claims.as_object_mut().unwrap();
            members.remove(choice.claim);
            if let Some(value) = &choice.values[pick] {
                members.insert(choice.claim.to_owned(), value.clone());
            }
            if pick >= choice.good {
                good = false;
                wrong.push(choice.claim);
            }
        }
        let token = world.key.token(&world.key.header(), &claims);
        let tenant = world.present(&[format!("Bearer {token}").into_bytes()]);
        prop_assert_eq!(tenant, good.then_some(world.tenant), "{:?} {}", wrong, claims);
        accepted.fetch_add(usize::from(good), std::sync::atomic::Ordering::Relaxed);
        Ok(())
    });
    assert!(accepted.into_inner() > 0, "no good token was among them");
}
