//! Words in tokens: of claims the gateway has no use for, and of those it refuses.

use reqwest::Method;
use serde_json::{Value, json};
use wardgate::base::{Clock as _, SystemClock};

use super::{nowhere, sinks, unanswered};
use crate::idp::{Idp, SigningKey, b64, keycloak_claims};
use crate::support::{Gateway, Options, Reply, TestIssuer};
use crate::world;

/// Claims that tell who somebody is, or that nobody asked for. The access log keeps `sub`, `azp`, `sid`,
/// the roles and a hash of `jti`; it has no use for these.
const CLAIMS: [&str; 12] = [
    "preferred_username",
    "email",
    "name",
    "given_name",
    "family_name",
    "phone_number",
    "acr",
    "nonce",
    "session_state",
    "patient",
    "fhirUser",
    "canaryclaimname",
];

/// A change of claims to something that is refused.
type Spoil = fn(&mut Value);

const SPOILT: [(&str, Spoil); 9] = [
    ("aud", |claims| claims["aud"] = json!(["canaryclaim-aud"])),
    ("client_id", |claims| claims["client_id"] = json!("canaryclaim-tenant")),
    ("client_id, malformed", |claims| claims["client_id"] = json!("Canaryclaim ' OR 1=1 --")),
    ("client_id, a list", |claims| claims["client_id"] = json!(["canaryclaim-list"])),
    ("azp", |claims| claims["azp"] = json!("canaryclaim-azp")),
    ("typ", |claims| claims["typ"] = json!("canaryclaim-typ")),
    ("iss", |claims| claims["iss"] = json!("http://canaryclaim-iss.example/realms/x")),
    ("exp", |claims| claims["exp"] = json!("canaryclaim-exp")),
    ("roles", |claims| claims["realm_access"] = json!({ "roles": ["canaryclaim-role"] })),
];

struct World {
    gateway: Gateway,
    key: SigningKey,
    issuer: String,
    _issuers: (TestIssuer, Idp),
}

impl World {
    /// A gateway that believes a second issuer, whose tokens can say anything.
    async fn new() -> Self {
        let key = SigningKey::generate("canary-test-key", "RS256");
        let idp = Idp::start().await;
        let issuer = idp.realm("a", std::slice::from_ref(&key));
        let settings = format!("[[issuers]]\nurl = \"{issuer}\"\naudience = \"wardgate-api\"\n");
        let operators = TestIssuer::for_tenants(&["north"]).await;
        let options = Options { settings, ..Options::default() };
        let gateway = world::hospitals(&operators, &["north"], options).await;
        let identity = json!({ "issuer": issuer, "claim_value": "hospital-a", "azp": ["emr-app"] });
        let body = json!({ "identities": [identity] }).to_string();
        let generation = gateway.view("tenants/north").await["generation"].as_u64();
        let body = Some(("application/json", body));
        let patched = gateway.operate(Method::PATCH, "tenants/north", generation, body).await;
        assert_eq!(patched.status, 200, "{patched:?}");
        Self { gateway, key, issuer, _issuers: (operators, idp) }
    }

    fn claims(&self) -> Value {
        let mut claims = keycloak_claims(&self.issuer, SystemClock.now().as_secs());
        for claim in CLAIMS {
            claims[claim] = json!(format!("canaryclaim-{claim}"));
        }
        claims["address"] = json!({ "street_address": "canaryclaim-street" });
        claims["resource_access"]["canaryclaim-client"] = json!({ "roles": ["canaryclaim-role"] });
        claims
    }
}

#[tokio::test]
async fn nothing_of_a_token_is_repeated() {
    let world = World::new().await;
    let good = world.key.token(&world.key.header(), &world.claims());
    let read = world.gateway.get(&good, "/Patient/1001").await;
    assert_eq!(read.status, 200, "the token with canaries is a good one: {read:?}");
    let mut replies = vec![read, world.gateway.get(&good, "/metadata").await];

    let mut tokens = Vec::new();
    for (name, spoil) in SPOILT {
        let mut claims = world.claims();
        spoil(&mut claims);
        tokens.push((name, world.key.token(&world.key.header(), &claims)));
    }
    for member in ["alg", "kid", "typ", "jku", "x5u", "crit"] {
        let mut header = world.key.header();
        header[member] = json!(format!("canaryclaim-{member}"));
        tokens.push((member, world.key.token(&header, &world.claims())));
    }
    let claims = world.claims().to_string();
    tokens.push(("not JSON", world.key.token_of_text("{\"canaryclaim", &claims)));
    tokens.push((
        "twice",
        world
            .key
            .token_of_text(world.key.header().to_string(), "{\"canaryclaim\":1,\"canaryclaim\":2}"),
    ));
    tokens.push(("not signed", format!("{}.{}.", b64("{\"alg\":\"none\"}"), b64(&claims))));
    for (name, token) in &tokens {
        let reply = world.gateway.get(token, "/Patient/1001").await;
        assert!(matches!(reply.status, 401 | 403), "{name}: {reply:?}");
        replies.push(reply);
        let url = format!("{}/admin/v1/tenants", world.gateway.admin);
        let reply = Reply::of(world.gateway.http.get(url).bearer_auth(token)).await.unwrap();
        assert!(matches!(reply.status, 401 | 403), "{name}: {reply:?}");
        replies.push(reply);
    }
    // Neither in clear nor as it stands in the token.
    let mut words = vec!["canaryclaim", "Canaryclaim"];
    let parts: Vec<&str> = good.split('.').collect();
    words.extend([&parts[1][..64], parts[2]]);
    unanswered(&replies, &words);
    nowhere(&sinks(&world.gateway, &["registry.db", "registry.db-wal"]).await, &words);
}
