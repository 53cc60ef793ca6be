use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use http::HeaderMap;
use moka::sync::Cache;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::bearer;
use super::claims::{self, Expected};
use super::directory::Directory;
use super::fault::AuthFault;
use super::fetch;
use super::issuer::Issuer;
use super::jose;
use super::jwks::Key;
use super::permit::{OperatorPermit, Permit, Right};
use super::principal::{Identity, Principal};
use crate::base::{Clock, Deadline, TenantId};

/// Whose tokens count.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// Who may vouch for clinicians.
    pub issuers: Vec<IssuerConfig>,
    /// Who may vouch for operators.
    pub operators: Option<OperatorsConfig>,
    /// Difference of clocks that is tolerated.
    pub leeway: Duration,
    /// The longest life (`exp` - `iat`) a token may have.
    pub longest_life: Duration,
    /// How often keys are fetched without being asked for.
    pub refresh: Duration,
    /// How long a verified token is remembered.
    pub remember: Duration,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            issuers: Vec::new(),
            operators: None,
            leeway: Duration::from_secs(30),
            longest_life: Duration::from_hours(1),
            refresh: Duration::from_mins(5),
            remember: Duration::from_mins(1),
        }
    }
}

/// One issuer of clinicians' tokens.
#[derive(Debug, Clone)]
pub struct IssuerConfig {
    /// Exactly as in `iss`.
    pub url: String,
    /// What `aud` must contain.
    pub audience: String,
    /// Path of the tenant claim; empty binds by issuer alone.
    pub tenant_claim: String,
    /// Path of the roles claim.
    pub roles_claim: String,
    /// Where it is reached, when not at its own name.
    pub internal_url: Option<String>,
}

/// The issuer of operators' tokens.
#[derive(Debug, Clone)]
pub struct OperatorsConfig {
    /// Exactly as in `iss`.
    pub issuer: String,
    /// What `aud` must contain.
    pub audience: String,
    /// Path of the roles claim.
    pub roles_claim: String,
    /// The role that makes an operator.
    pub role: String,
    /// Where it is reached, when not at its own name.
    pub internal_url: Option<String>,
}

/// Whether an issuer's keys are at hand.
#[derive(Debug, Clone)]
pub struct IssuerReadiness {
    /// The issuer.
    pub issuer: String,
    /// What is wrong, as a stable word.
    pub trouble: Option<&'static str>,
}

/// All issuers. Cheap to clone.
#[derive(Clone)]
pub struct Authority(Arc<Inner>);

struct Inner {
    config: AuthConfig,
    clock: Arc<dyn Clock>,
    directory: Arc<dyn Directory>,
    issuers: HashMap<String, Realm>,
    operators: Option<Arc<Issuer>>,
    verified: Cache<[u8; 32], Verified>,
}

struct Realm {
    config: IssuerConfig,
    issuer: Arc<Issuer>,
}

/// A token whose signature was verified. It counts only while the key it was verified with is still in
/// its issuer's set, so a key that is withdrawn takes its tokens along.
#[derive(Clone)]
struct Verified {
    kid: String,
    key: Arc<Key>,
    identity: Arc<Identity>,
}

/// Verified tokens remembered.
const REMEMBERED: u64 = 100_000;

impl Authority {
    /// Discovers all issuers. One that contradicts itself is refused; one that is away is tried again when
    /// its tokens come.
    pub async fn start(
        config: AuthConfig,
        clock: Arc<dyn Clock>,
        directory: Arc<dyn Directory>,
    ) -> Result<Self, AuthFault> {
        let client = fetch::client()?;
        let mut issuers = HashMap::new();
        for config in &config.issuers {
            let issuer =
                Issuer::new(config.url.clone(), config.internal_url.clone(), client.clone());
            issuer.begin().await?;
            let realm = Realm { config: config.clone(), issuer: Arc::new(issuer) };
            issuers.insert(config.url.clone(), realm);
        }
        let operators = match &config.operators {
            None => None,
            Some(operators) => {
                let internal = operators.internal_url.clone();
                let issuer = Issuer::new(operators.issuer.clone(), internal, client);
                issuer.begin().await?;
                Some(Arc::new(issuer))
            }
        };
        let verified =
            Cache::builder().max_capacity(REMEMBERED).time_to_live(config.remember).build();
        Ok(Self(Arc::new(Inner { config, clock, directory, issuers, operators, verified })))
    }

    /// Fetches keys from time to time until `stop`.
    pub async fn run_maintenance(self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(self.0.config.refresh);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            for issuer in self.all() {
                issuer.refresh(Instant::now()).await;
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Issuer>> {
        self.0.issuers.values().map(|realm| &realm.issuer).chain(&self.0.operators)
    }

    /// Whether every issuer's keys are at hand.
    pub fn readiness(&self) -> Vec<IssuerReadiness> {
        self.all()
            .map(|i| IssuerReadiness { issuer: i.url.clone(), trouble: i.trouble() })
            .collect()
    }

    /// Who a clinician's request speaks for. `token_in_query` says whether the query holds a token.
    pub async fn authenticate(
        &self,
        headers: &HeaderMap,
        token_in_query: bool,
        deadline: Deadline,
    ) -> Result<Principal, AuthFault> {
        let token = bearer::token(headers, token_in_query)?;
        let identity = self.identity(token, deadline).await?;
        let found = self.0.directory.binding(&identity.issuer, &identity.claim_value).await;
        let binding = found
            .map_err(|_| AuthFault::Unavailable("directory"))?
            .ok_or(AuthFault::Forbidden("no_binding"))?;
        if !binding.azp.iter().any(|client| *client == identity.azp) {
            return Err(AuthFault::Forbidden("azp"));
        }
        if binding.not_before.is_some_and(|not_before| identity.issued_at < not_before) {
            return Err(AuthFault::InvalidToken("not_before"));
        }
        if !binding.active {
            return Err(AuthFault::Forbidden("not_active"));
        }
        Ok(Principal::new(identity, &binding))
    }

    /// Proof that the principal holds right `R`.
    pub fn permit<R: Right>(&self, principal: &Principal) -> Result<Permit<R>, AuthFault> {
        Permit::grant(principal)
    }

    /// Proof that an admin request is an operator's.
    pub async fn operator(
        &self,
        headers: &HeaderMap,
        deadline: Deadline,
    ) -> Result<OperatorPermit, AuthFault> {
        let token = bearer::token(headers, false)?;
        let (Some(config), Some(issuer)) = (&self.0.config.operators, &self.0.operators) else {
            return Err(AuthFault::Forbidden("no_operators"));
        };
        let parsed = jose::parse(token)?;
        let key = issuer.key(&parsed.kid, deadline).await?;
        if !key.verifies(&parsed.algorithm, parsed.input, &parsed.signature) {
            return Err(AuthFault::InvalidToken("signature"));
        }
        let identity = claims::check(
            &parsed.claims,
            &self.expected(&config.issuer, &config.audience, None, &config.roles_claim),
        )?;
        if !identity.roles.iter().any(|role| *role == config.role) {
            return Err(AuthFault::InsufficientScope("wardgate-operator"));
        }
        Ok(OperatorPermit::granted(identity.subject))
    }

    /// A tenant's configuration changed. Bindings are asked for at every request, so nothing of the
    /// tenant is kept here; the call is where a cache of decisions would have to be emptied.
    pub fn flush_tenant(&self, _tenant: TenantId) {}

    async fn identity(&self, token: &str, deadline: Deadline) -> Result<Arc<Identity>, AuthFault> {
        let mut id = [0; 32];
        id.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        if let Some(known) = self.0.verified.get(&id) {
            return self.still_good(&known);
        }
        let parsed = jose::parse(token)?;
        let issuer = parsed.claims.get("iss").and_then(serde_json::Value::as_str);
        let realm = issuer
            .and_then(|issuer| self.0.issuers.get(issuer))
            .ok_or(AuthFault::InvalidToken("iss"))?;
        let key = realm.issuer.key(&parsed.kid, deadline).await?;
        if !key.verifies(&parsed.algorithm, parsed.input, &parsed.signature) {
            return Err(AuthFault::InvalidToken("signature"));
        }
        let config = &realm.config;
        let tenant_claim = Some(config.tenant_claim.as_str());
        let expected =
            self.expected(&config.url, &config.audience, tenant_claim, &config.roles_claim);
        let identity = Arc::new(claims::check(&parsed.claims, &expected)?);
        let remembered = Verified { kid: parsed.kid, key, identity: Arc::clone(&identity) };
        self.0.verified.insert(id, remembered);
        Ok(identity)
    }

    fn still_good(&self, known: &Verified) -> Result<Arc<Identity>, AuthFault> {
        let identity = &known.identity;
        if identity.expires_at.plus(self.0.config.leeway) <= self.0.clock.now() {
            return Err(AuthFault::InvalidToken("expired"));
        }
        let realm = self.0.issuers.get(&identity.issuer).ok_or(AuthFault::InvalidToken("iss"))?;
        let set = realm.issuer.held().ok_or(AuthFault::Unavailable("keys_away"))?;
        // A key that is in the newest set under the same id may still be another key.
        match set.keys.get(&known.kid) {
            Some(key) if Arc::ptr_eq(key, &known.key) || key.same_as(&known.key) => {
                Ok(Arc::clone(identity))
            }
            _ => Err(AuthFault::InvalidToken("key_withdrawn")),
        }
    }

    fn expected<'a>(
        &self,
        issuer: &'a str,
        audience: &'a str,
        tenant_claim: Option<&'a str>,
        roles_claim: &'a str,
    ) -> Expected<'a> {
        Expected {
            issuer,
            audience,
            tenant_claim,
            roles_claim,
            now: self.0.clock.now(),
            leeway: self.0.config.leeway,
            longest_life: self.0.config.longest_life,
        }
    }
}
