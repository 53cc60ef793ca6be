//! An OpenID Connect issuer on loopback that speaks like Keycloak, and misbehaves when asked to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaKeyPair,
};
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Base64url without padding.
pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A private key of the issuer.
#[derive(Clone)]
pub struct SigningKey {
    pub kid: String,
    pub alg: &'static str,
    pair: Pair,
}

#[derive(Clone)]
enum Pair {
    Rsa(Arc<RsaKeyPair>),
    Ec(Arc<EcdsaKeyPair>),
    Ed(Arc<Ed25519KeyPair>),
}

impl SigningKey {
    /// A new key for `RS256`, `RS512`, `PS256`, `ES256` or `EdDSA`.
    pub fn generate(kid: &str, alg: &'static str) -> Self {
        let pair = match alg {
            "RS256" | "RS512" | "PS256" => {
                Pair::Rsa(Arc::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
            }
            "ES256" => Pair::Ec(Arc::new(
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            )),
            "EdDSA" => Pair::Ed(Arc::new(Ed25519KeyPair::generate().unwrap())),
            other => panic!("no key for {other}"),
        };
        Self { kid: kid.to_owned(), alg, pair }
    }

    /// The same key under another name or algorithm.
    pub fn named(&self, kid: &str, alg: &'static str) -> Self {
        Self { kid: kid.to_owned(), alg, ..self.clone() }
    }

    /// The public half as a key set entry.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                json!({"kty": "RSA",
                    "n": b64(public.modulus().big_endian_without_leading_zero()),
                    "e": b64(public.exponent().big_endian_without_leading_zero())})
            }
            Pair::Ec(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": b64(x), "y": b64(y)})
            }
            Pair::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key())})
            }
        };
        jwk["kid"] = json!(self.kid);
        jwk["alg"] = json!(self.alg);
        jwk["use"] = json!("sig");
        jwk
    }

    /// The public half as DER (SubjectPublicKeyInfo or what the kind of key uses), for attacks that
    /// take it for a shared secret.
    pub fn public_bytes(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ec(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ed(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// The signature over these bytes by the key's algorithm.
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let encoding: &'static dyn aws_lc_rs::signature::RsaEncoding = match self.alg {
                    "PS256" => &RSA_PSS_SHA256,
                    "RS512" => &RSA_PKCS1_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, bytes, &mut signature).unwrap();
                signature
            }
            Pair::Ec(pair) => pair.sign(&random, bytes).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(bytes).as_ref().to_vec(),
        }
    }

    /// The header Keycloak gives its access tokens.
    pub fn header(&self) -> Value {
        json!({"alg": self.alg, "typ": "JWT", "kid": self.kid})
    }

    /// A compact token of header and payload as given.
    pub fn token(&self, header: &Value, payload: &Value) -> String {
        self.token_of_text(header.to_string(), payload.to_string())
    }

    /// The same from JSON texts, which may be anything.
    pub fn token_of_text(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let signed = format!("{}.{}", b64(header), b64(payload));
        let signature = self.sign(signed.as_bytes());
        format!("{signed}.{}", b64(signature))
    }
}

/// How a realm answers requests for its key set.
#[derive(Clone)]
pub enum Answer {
    /// The realm's keys.
    Keys,
    /// This text as JSON.
    Text(String),
    /// A status without a body.
    Status(u16),
    /// An HTML page with status 200.
    Html,
    /// A redirect there.
    Redirect(String),
    /// So many bytes of JSON.
    Huge(usize),
    /// A byte every 200 ms, without end.
    Drip,
    /// Nothing, for ever.
    Hang,
}

/// One realm.
#[derive(Clone)]
pub struct Realm {
    pub keys: Vec<SigningKey>,
    pub extra_keys: Vec<Value>,
    pub answer: Answer,
    pub discovery: Option<Value>,
    pub not_before: i64,
    /// How many times the key set was asked for.
    pub key_fetches: Arc<AtomicUsize>,
}

/// The issuer; its server ends when it is dropped.
pub struct Idp {
    pub base: String,
    realms: Arc<Mutex<HashMap<String, Realm>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Idp {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Clone)]
struct Shared {
    base: String,
    realms: Arc<Mutex<HashMap<String, Realm>>>,
}

impl Idp {
    /// An issuer without realms on a free loopback port.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener)
    }

    /// An issuer on that listener.
    pub fn on(listener: tokio::net::TcpListener) -> Self {
        let base = format!("http://{}", listener.local_addr().unwrap());
        let realms = Arc::new(Mutex::new(HashMap::new()));
        let shared = Shared { base: base.clone(), realms: realms.clone() };
        let router = axum::Router::new().fallback(answer).with_state(shared);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { base, realms, server }
    }

    /// Adds a realm with these keys; gives the issuer's name.
    pub fn realm(&self, name: &str, keys: &[SigningKey]) -> String {
        let realm = Realm {
            keys: keys.to_vec(),
            extra_keys: Vec::new(),
            answer: Answer::Keys,
            discovery: None,
            not_before: 0,
            key_fetches: Arc::default(),
        };
        self.realms.lock().unwrap().insert(name.to_owned(), realm);
        self.issuer(name)
    }

    /// The realm's name as an issuer.
    pub fn issuer(&self, name: &str) -> String {
        format!("{}/realms/{name}", self.base)
    }

    /// Changes a realm.
    pub fn change(&self, name: &str, how: impl FnOnce(&mut Realm)) {
        how(self.realms.lock().unwrap().get_mut(name).unwrap());
    }

    /// How many times the realm's key set was asked for.
    pub fn key_fetches(&self, name: &str) -> usize {
        self.realms.lock().unwrap()[name].key_fetches.load(Ordering::SeqCst)
    }
}

/// The discovery document of a realm.
pub fn discovery(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/protocol/openid-connect/auth"),
        "token_endpoint": format!("{issuer}/protocol/openid-connect/token"),
        "jwks_uri": format!("{issuer}/protocol/openid-connect/certs"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "PS256", "ES256", "EdDSA"],
    })
}

/// The payload of an access token as Keycloak makes them: `now` in seconds, valid for five minutes.
pub fn keycloak_claims(issuer: &str, now: i64) -> Value {
    json!({
        "exp": now + 300,
        "iat": now,
        "jti": format!("onrtac:{}", uuid::Uuid::new_v4()),
        "iss": issuer,
        "aud": ["wardgate-api", "account"],
        "sub": "0b4f1f3e-6f3c-4a52-9a0b-3d0f8b1f2c11",
        "typ": "Bearer",
        "azp": "emr-app",
        "sid": "7c1d2a1e-8a55-4a55-8a10-64b1f42b3f01",
        "acr": "1",
        "allowed-origins": ["https://emr.example.org"],
        "realm_access": {"roles": ["default-roles-hospitals", "fhir-read", "offline_access"]},
        "resource_access": {"account": {"roles": ["manage-account", "view-profile"]}},
        "scope": "openid profile email",
        "email_verified": true,
        "client_id": "hospital-a",
        "preferred_username": "a.clinician",
    })
}

/// The payload of a back-channel logout token as Keycloak makes them.
pub fn logout_claims(issuer: &str, now: i64) -> Value {
    json!({
        "exp": now + 120,
        "iat": now,
        "jti": uuid::Uuid::new_v4().to_string(),
        "iss": issuer,
        "aud": "emr-app",
        "sub": "0b4f1f3e-6f3c-4a52-9a0b-3d0f8b1f2c11",
        "typ": "Logout",
        "sid": "7c1d2a1e-8a55-4a55-8a10-64b1f42b3f01",
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    })
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let Some(rest) = path.strip_prefix("/realms/") else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let (name, what) = rest.split_once('/').unwrap_or((rest, ""));
    let Some(realm) = shared.realms.lock().unwrap().get(name).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let issuer = format!("{}/realms/{name}", shared.base);
    if let Answer::Status(status) = realm.answer {
        if what.ends_with("certs") {
            realm.key_fetches.fetch_add(1, Ordering::SeqCst);
        }
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    match what {
        "" => axum::Json(json!({"realm": name, "tokens-not-before": realm.not_before}))
            .into_response(),
        ".well-known/openid-configuration" => {
            axum::Json(realm.discovery.unwrap_or_else(|| discovery(&issuer))).into_response()
        }
        "protocol/openid-connect/certs" => {
            realm.key_fetches.fetch_add(1, Ordering::SeqCst);
            key_set(realm).await
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn key_set(realm: Realm) -> Response {
    let json_text = |text: String| ([(CONTENT_TYPE, "application/json")], text).into_response();
    match realm.answer {
        Answer::Keys => {
            let keys: Vec<_> =
                realm.keys.iter().map(SigningKey::jwk).chain(realm.extra_keys).collect();
            axum::Json(json!({ "keys": keys })).into_response()
        }
        Answer::Text(text) => json_text(text),
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::Html => axum::response::Html("<html><body>welcome</body></html>").into_response(),
        Answer::Redirect(to) => (StatusCode::FOUND, [(LOCATION, to)]).into_response(),
        Answer::Huge(size) => json_text(format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(size))),
        Answer::Drip => {
            let drops = futures_util::stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(200)).await;
                Some((Ok::<_, std::convert::Infallible>(Bytes::from_static(b" ")), ()))
            });
            ([(CONTENT_TYPE, "application/json")], Body::from_stream(drops)).into_response()
        }
        Answer::Hang => std::future::pending().await,
    }
}
