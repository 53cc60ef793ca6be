//! A loopback OpenID Connect issuer whose tokens look like Keycloak's, for the demo only.
//!
//! Two realms, `hospitals` and `operators`, share one RSA key that is made anew at every start. Sign-in is
//! a choice among the demo's users: there is nothing to protect here, and it listens on loopback only.

mod pages;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::base::{Clock, Timestamp};

/// The audience of clinicians' tokens.
pub const AUDIENCE: &str = "wardgate-api";
/// The audience of operators' tokens.
pub const ADMIN_AUDIENCE: &str = "wardgate-admin";
/// The OAuth client the demo's tokens are issued to.
pub const CLIENT: &str = "ward-app";
/// The OAuth client of the operators' panel.
pub const PANEL_CLIENT: &str = "wardgate-panel";
/// The OAuth client through which the panel signs clinicians in, to look at resources.
pub const PREVIEW_CLIENT: &str = "wardgate-preview";
/// How long an access token lives. Longer than a production realm's 5 minutes, so that a pasted line
/// still works after a look around.
const TOKEN_LIFE: Duration = Duration::from_mins(30);
/// How long a sign-in code may be redeemed.
const CODE_LIFE: Duration = Duration::from_mins(1);
/// How long a refresh token may be used: as Keycloak has it, and longer than a session of the panel may last.
const REFRESH_LIFE: Duration = Duration::from_hours(10);
const KEY_ID: &str = "demo-key-1";

/// One of the demo's users.
#[derive(Debug, Clone, Serialize)]
pub struct DemoUser {
    /// What is typed as user name.
    pub username: String,
    /// Shown to everybody; this is a demo.
    pub password: String,
    /// The tenant's claim value; `None` for operators.
    pub tenant: Option<String>,
    /// Realm roles.
    pub roles: Vec<String>,
}

/// The issuer, cheap to clone.
#[derive(Clone)]
pub struct Issuer(Arc<Inner>);

struct Inner {
    base: String,
    users: Vec<DemoUser>,
    key: KeyPair,
    random: SystemRandom,
    clock: Arc<dyn Clock>,
    panel_secret: String,
    codes: Mutex<HashMap<String, Code>>,
    refresh: Mutex<HashMap<String, Grant>>,
}

/// A sign-in: who, through which client, in which session, when.
#[derive(Clone)]
struct Grant {
    username: String,
    realm: &'static str,
    client: String,
    sid: String,
    signed_in: Timestamp,
}

struct Code {
    grant: Grant,
    redirect_uri: String,
    challenge: String,
    nonce: Option<String>,
    until: Timestamp,
}

/// The demo's issuer cannot make or use its key.
#[derive(Debug, thiserror::Error)]
#[error("the demo's issuer cannot make or use its signing key")]
pub struct IssuerFault;

/// A realm's name if there is such a realm.
fn realm(name: &str) -> Option<&'static str> {
    ["hospitals", "operators"].into_iter().find(|known| *known == name)
}

impl Issuer {
    /// An issuer reached at `base`, such as `http://127.0.0.1:8082`.
    pub fn new(
        base: String,
        users: Vec<DemoUser>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, IssuerFault> {
        let key = KeyPair::generate(KeySize::Rsa2048).map_err(|_| IssuerFault)?;
        Ok(Self(Arc::new(Inner {
            base,
            users,
            key,
            random: SystemRandom::new(),
            clock,
            panel_secret: format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()),
            codes: Mutex::default(),
            refresh: Mutex::default(),
        })))
    }

    /// The issuer name of a realm, exactly as in `iss`.
    pub fn realm_url(&self, realm: &str) -> String {
        format!("{}/realms/{realm}", self.0.base)
    }

    /// The secret of [`PANEL_CLIENT`] and [`PREVIEW_CLIENT`], new at every start.
    pub fn panel_secret(&self) -> &str {
        &self.0.panel_secret
    }

    /// Everybody who can sign in.
    pub fn users(&self) -> &[DemoUser] {
        &self.0.users
    }

    /// An access token as a password grant gives it; `None` for an unknown user.
    pub fn access_token(&self, username: &str) -> Option<String> {
        let user = self.0.users.iter().find(|u| u.username == username)?;
        self.sign(&self.access_claims(user, &self.grant(user, CLIENT))).ok()
    }

    /// The issuer's routes.
    pub fn router(&self) -> Router {
        const OIDC: &str = "/realms/{realm}/protocol/openid-connect";
        Router::new()
            .route("/realms/{realm}/.well-known/openid-configuration", get(discovery))
            .route(&format!("{OIDC}/certs"), get(keys))
            .route(&format!("{OIDC}/token"), post(token))
            .route(&format!("{OIDC}/auth"), get(pages::sign_in))
            .route(&format!("{OIDC}/auth/{{username}}"), get(pages::signed_in))
            .route(&format!("{OIDC}/logout"), get(pages::sign_out))
            .with_state(self.clone())
    }

    fn home(user: &DemoUser) -> &'static str {
        if user.tenant.is_some() { "hospitals" } else { "operators" }
    }

    fn subject(user: &DemoUser) -> String {
        Uuid::new_v5(&Uuid::NAMESPACE_OID, user.username.as_bytes()).to_string()
    }

    /// A sign-in made now.
    fn grant(&self, user: &DemoUser, client: &str) -> Grant {
        Grant {
            username: user.username.clone(),
            realm: Self::home(user),
            client: client.to_owned(),
            sid: Uuid::new_v4().to_string(),
            signed_in: self.0.clock.now(),
        }
    }

    fn access_claims(&self, user: &DemoUser, grant: &Grant) -> Value {
        let now = self.0.clock.now();
        let audience = if user.tenant.is_some() { AUDIENCE } else { ADMIN_AUDIENCE };
        let mut claims = json!({
            "exp": now.plus(TOKEN_LIFE).as_secs(),
            "iat": now.as_secs(),
            "jti": format!("onrtro:{}", Uuid::new_v4()),
            "iss": self.realm_url(Self::home(user)),
            "aud": [audience, "account"],
            "sub": Self::subject(user),
            "typ": "Bearer",
            "azp": grant.client,
            "sid": grant.sid,
            "auth_time": grant.signed_in.as_secs(),
            "acr": "1",
            "realm_access": { "roles": user.roles },
            "scope": "openid profile",
            "preferred_username": user.username,
        });
        if let (Some(tenant), Some(claims)) = (&user.tenant, claims.as_object_mut()) {
            claims.insert("client_id".to_owned(), json!(tenant));
        }
        claims
    }

    fn sign(&self, claims: &Value) -> Result<String, IssuerFault> {
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": KEY_ID });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", part(&header), part(claims));
        let mut signature = vec![0; self.0.key.public_modulus_len()];
        self.0
            .key
            .sign(&RSA_PKCS1_SHA256, &self.0.random, input.as_bytes(), &mut signature)
            .map_err(|_| IssuerFault)?;
        Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn redeem(&self, realm: &str, form: &TokenForm) -> Option<(Grant, Option<String>)> {
        let mut codes = self.0.codes.lock().unwrap_or_else(PoisonError::into_inner);
        let code = codes.remove(form.code.as_deref()?)?;
        let verifier = form.code_verifier.as_deref()?;
        let hashed = digest::digest(&digest::SHA256, verifier.as_bytes());
        let fits = code.grant.realm == realm
            && code.until > self.0.clock.now()
            && Some(&code.redirect_uri) == form.redirect_uri.as_ref()
            && code.challenge == URL_SAFE_NO_PAD.encode(hashed);
        fits.then_some((code.grant, code.nonce))
    }

    /// A refresh token counts once; with it goes the sign-in it stands for.
    fn refresh(&self, realm: &str, form: &TokenForm) -> Option<Grant> {
        let mut held = self.0.refresh.lock().unwrap_or_else(PoisonError::into_inner);
        let grant = held.remove(form.refresh_token.as_deref()?)?;
        let lives = grant.signed_in.plus(REFRESH_LIFE) > self.0.clock.now();
        (lives && grant.realm == realm).then_some(grant)
    }

    fn refresh_token(&self, grant: &Grant) -> String {
        let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let mut held = self.0.refresh.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.0.clock.now();
        held.retain(|_, grant| grant.signed_in.plus(REFRESH_LIFE) > now);
        held.insert(token.clone(), grant.clone());
        token
    }

    /// Whether the request may act as that client: the panel's have a secret.
    fn is_client(&self, client: &str, headers: &HeaderMap) -> bool {
        let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let pair = sent.and_then(|value| value.strip_prefix("Basic "));
        let pair = pair.and_then(|text| STANDARD.decode(text).ok());
        let wanted = format!("{client}:{}", self.0.panel_secret);
        ![PANEL_CLIENT, PREVIEW_CLIENT].contains(&client)
            || pair.is_some_and(|pair| pair == wanted.as_bytes())
    }
}

async fn discovery(State(issuer): State<Issuer>, Path(name): Path<String>) -> Response {
    let Some(realm) = realm(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let base = issuer.realm_url(realm);
    let endpoint = |name: &str| format!("{base}/protocol/openid-connect/{name}");
    Json(json!({
        "issuer": base,
        "authorization_endpoint": endpoint("auth"),
        "token_endpoint": endpoint("token"),
        "jwks_uri": endpoint("certs"),
        "end_session_endpoint": endpoint("logout"),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "password", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
    }))
    .into_response()
}

async fn keys(State(issuer): State<Issuer>, Path(name): Path<String>) -> Response {
    if realm(&name).is_none() {
        return StatusCode::NOT_FOUND.into_response();
    }
    let public = issuer.0.key.public_key();
    Json(json!({ "keys": [{
        "kid": KEY_ID, "kty": "RSA", "alg": "RS256", "use": "sig",
        "n": URL_SAFE_NO_PAD.encode(public.modulus().big_endian_without_leading_zero()),
        "e": URL_SAFE_NO_PAD.encode(public.exponent().big_endian_without_leading_zero()),
    }]}))
    .into_response()
}

#[derive(Deserialize)]
struct TokenForm {
    grant_type: String,
    username: Option<String>,
    password: Option<String>,
    code: Option<String>,
    code_verifier: Option<String>,
    redirect_uri: Option<String>,
    refresh_token: Option<String>,
}

async fn token(
    State(issuer): State<Issuer>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Form(form): Form<TokenForm>,
) -> Response {
    let refused = || {
        let body =
            json!({ "error": "invalid_grant", "error_description": "Invalid user credentials" });
        (StatusCode::UNAUTHORIZED, Json(body)).into_response()
    };
    let Some(realm) = realm(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let found = match form.grant_type.as_str() {
        "password" => issuer
            .users()
            .iter()
            .find(|u| Some(&u.username) == form.username.as_ref())
            .filter(|u| Some(&u.password) == form.password.as_ref() && Issuer::home(u) == realm)
            .map(|u| (issuer.grant(u, CLIENT), None)),
        "authorization_code" => issuer.redeem(realm, &form),
        "refresh_token" => issuer.refresh(realm, &form).map(|grant| (grant, None)),
        _ => None,
    };
    let Some((grant, nonce)) = found.filter(|(grant, _)| issuer.is_client(&grant.client, &headers))
    else {
        return refused();
    };
    let Some(user) = issuer.users().iter().find(|u| u.username == grant.username) else {
        return refused();
    };
    let access = issuer.access_claims(user, &grant);
    let mut id = access.clone();
    if let Some(id) = id.as_object_mut() {
        id.insert("typ".to_owned(), json!("ID"));
        id.insert("aud".to_owned(), json!(grant.client));
        if let Some(nonce) = nonce {
            id.insert("nonce".to_owned(), json!(nonce));
        }
    }
    let (Ok(access_token), Ok(id_token)) = (issuer.sign(&access), issuer.sign(&id)) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let body = json!({
        "access_token": access_token, "id_token": id_token, "token_type": "Bearer",
        "refresh_token": issuer.refresh_token(&grant),
        "expires_in": TOKEN_LIFE.as_secs(), "scope": "openid profile",
    });
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// Percent-encodes what may not stand in a query value (RFC 3986, unreserved characters).
fn query_value(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _infallible = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Asks a demo issuer for an access token; only over loopback, only for the demo.
pub(super) async fn password_grant(
    address: &str,
    username: &str,
    password: &str,
) -> Result<String, String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let away = |_| "the demo's issuer does not answer".to_owned();
    let rest = address.strip_prefix("http://").unwrap_or_default();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let form = format!(
        "grant_type=password&client_id={CLIENT}&username={}&password={}",
        query_value(username),
        query_value(password)
    );
    let request = format!(
        "POST /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    let mut stream = tokio::net::TcpStream::connect(authority).await.map_err(away)?;
    stream.write_all(request.as_bytes()).await.map_err(away)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(away)?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    let parsed: Value = serde_json::from_str(body).unwrap_or_default();
    let token = parsed.get("access_token").and_then(Value::as_str);
    token.map(str::to_owned).ok_or_else(|| format!("there is no demo user \"{username}\""))
}
