mod standing;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderMap;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::claims::hex;
use super::denied::Who;
use super::issuer::Issuer;
use super::jws::{Jws, Typ};
use super::principal::Token;
use super::verify::{check_signature, issuer_of, step_up};
use super::{
    AuthConfig, AuthFault, Binding, Directory, FhirAdmin, IssuerConfig, IssuerReadiness,
    LogoutFault, OperatorPermit, OperatorRank, Permit, Principal, Right, Shape, bearer, logout,
};
use crate::base::{Clock, Deadline, Generation, TenantId, Timestamp};

/// A token counts to its end.
const NOT_BEYOND: Duration = Duration::ZERO;

/// All issuers; judges tokens and gives permits. A cheap handle: clones share everything, and the
/// background tasks end with the last of them.
#[derive(Clone)]
pub struct Authority {
    inner: Arc<Inner>,
}

type Issuers = HashMap<Arc<str>, Kept>;

struct Inner {
    config: AuthConfig,
    clock: Arc<dyn Clock>,
    directory: Arc<dyn Directory>,
    issuers: ArcSwap<Issuers>,
    /// Held while the map of issuers is replaced.
    changing: Mutex<()>,
    operators: Option<Kept>,
    verified: Cache<[u8; 32], Arc<Verified>>,
}

#[derive(Clone)]
struct Kept {
    issuer: Arc<Issuer>,
    /// Ends the keeper when the last one lets go.
    _keeper: Arc<DropGuard>,
}

/// A token that was found good, as long as its issuer's keys and its tenant stay as they were.
struct Verified {
    token: Arc<Token>,
    issuer: Arc<Issuer>,
    epoch: u64,
    bound: Option<(TenantId, Generation)>,
}

impl Authority {
    /// Discovers every issuer, all at once. An issuer whose discovery document contradicts the settings
    /// is refused; one that cannot be reached is tried again in the background, and until then its
    /// tokens are answered with [`AuthFault::Unavailable`]. Takes up to 15 seconds when one is slow.
    pub async fn start(
        config: AuthConfig,
        clock: Arc<dyn Clock>,
        directory: Arc<dyn Directory>,
    ) -> Result<Self, AuthFault> {
        let mut starting = Vec::new();
        for issuer in &config.issuers {
            starting.push(Issuer::new(issuer.clone(), None, &config)?);
        }
        if let Some(operators) = &config.operators {
            let roles = Some(operators.roles.clone());
            starting.push(Issuer::new(operators.as_issuer(), roles, &config)?);
        }
        for (at, one) in starting.iter().enumerate() {
            if starting[..at].iter().any(|other| other.config.url == one.config.url) {
                return Err(configuration(&one.config, "the issuer is there twice"));
            }
        }
        let discovering: Vec<_> = starting
            .into_iter()
            .map(|issuer| tokio::spawn(async move { issuer.discover().await.map(|()| issuer) }))
            .collect();
        let mut issuers = Issuers::new();
        let mut operators = None;
        for task in discovering {
            let issuer = task.await.map_err(|_| AuthFault::Unavailable {
                reason: "discovery_stopped",
                retry_after_secs: 1,
            })??;
            let kept = Kept::keep(issuer);
            if kept.issuer.rules.operator_roles.is_some() {
                operators = Some(kept);
            } else {
                issuers.insert(kept.issuer.rules.issuer.clone(), kept);
            }
        }
        let verified = Cache::builder()
            .max_capacity(config.cache_capacity)
            .time_to_live(config.cache_ttl)
            .eviction_policy(EvictionPolicy::lru())
            .support_invalidation_closures()
            .build();
        let issuers = ArcSwap::from_pointee(issuers);
        let changing = Mutex::new(());
        let inner = Inner { config, clock, directory, issuers, changing, operators, verified };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Adds an issuer while running, or replaces the one of the same name. The rules of
    /// [`start`](Self::start) hold.
    pub async fn add_issuer(&self, config: IssuerConfig) -> Result<(), AuthFault> {
        let issuer = Issuer::new(config, None, &self.inner.config)?;
        if self.inner.operators.as_ref().is_some_and(|o| o.issuer.config.url == issuer.config.url) {
            return Err(configuration(&issuer.config, "it is the operators' issuer"));
        }
        issuer.discover().await?;
        let name = issuer.rules.issuer.clone();
        self.change(|issuers| {
            let mut issuer = issuer;
            if let Some(old) = issuers.get(&name) {
                // Who was logged out stays logged out.
                issuer.denied = old.issuer.denied.clone();
            }
            issuers.insert(name, Kept::keep(issuer))
        });
        Ok(())
    }

    /// Takes an issuer away; its tokens are unknown from then on. `false` when there is none of that
    /// name.
    pub fn remove_issuer(&self, url: &str) -> bool {
        self.change(|issuers| issuers.remove(url))
    }

    fn change(&self, how: impl FnOnce(&mut Issuers) -> Option<Kept>) -> bool {
        let _held = self.inner.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut issuers = Issuers::clone(&self.inner.issuers.load());
        let gone = how(&mut issuers);
        self.inner.issuers.store(Arc::new(issuers));
        gone.is_some_and(|gone| {
            gone.issuer.retire();
            true
        })
    }

    /// Who the request's bearer token speaks for. `query_has_token` says whether the query string has
    /// an `access_token` parameter, which is refused. May wait for an issuer's keys and the directory,
    /// never beyond the deadline.
    pub async fn authenticate(
        &self,
        headers: &HeaderMap,
        query_has_token: bool,
        deadline: Deadline,
    ) -> Result<Principal, AuthFault> {
        let outcome = self.judge(headers, query_has_token, deadline).await;
        if let Err(fault) = &outcome {
            tracing::debug!(reason = fault.reason(), "a caller was not let in");
        }
        outcome
    }

    async fn judge(
        &self,
        headers: &HeaderMap,
        query_has_token: bool,
        deadline: Deadline,
    ) -> Result<Principal, AuthFault> {
        self.clinician_token(bearer::token(headers, query_has_token)?, deadline).await
    }

    /// Who an access token of one of the tenants' issuers speaks for.
    pub(super) async fn clinician_token(
        &self,
        text: &str,
        deadline: Deadline,
    ) -> Result<Principal, AuthFault> {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        if let Some(verified) = self.inner.verified.get(&hash) {
            let epoch = verified.issuer.epoch();
            if epoch.as_ref().is_ok_and(|epoch| *epoch == verified.epoch) {
                let binding = self
                    .still_good(&verified.token, &verified.issuer, NOT_BEYOND, deadline)
                    .await?;
                if verified.bound == Some((binding.tenant, binding.generation)) {
                    return Ok(principal(&verified.token, &binding));
                }
            }
            // The keys or the tenant have changed since: judged anew from its bytes.
            self.inner.verified.invalidate(&hash);
        }
        let find = |name: &str| self.inner.issuers.load().get(name).map(|k| k.issuer.clone());
        let (token, issuer, epoch) = self.verify(text, find, deadline).await?;
        let token = Arc::new(token);
        let binding = self.still_good(&token, &issuer, NOT_BEYOND, deadline).await?;
        let bound = Some((binding.tenant, binding.generation));
        let principal = principal(&token, &binding);
        self.inner.verified.insert(hash, Arc::new(Verified { token, issuer, epoch, bound }));
        Ok(principal)
    }

    /// The right `R` for that principal, as far as roles and scopes give it.
    pub fn permit<R: Right>(
        &self,
        principal: &Principal,
        shape: Shape<'_>,
    ) -> Result<Permit<R>, AuthFault> {
        let permit = Permit::grant(principal, shape)?;
        if R::NAME == FhirAdmin::NAME {
            let issuers = self.inner.issuers.load();
            let kept = issuers.get(principal.issuer());
            let kept = kept.ok_or(AuthFault::InvalidToken("iss_unknown"))?;
            step_up(&kept.issuer.config.admin_acr_values, principal.acr())?;
        }
        Ok(permit)
    }

    /// The operator the request's bearer token speaks for, of at least [`OperatorRank::Operator`]. Every
    /// call verifies the signature.
    pub async fn operator(
        &self,
        headers: &HeaderMap,
        deadline: Deadline,
    ) -> Result<OperatorPermit, AuthFault> {
        self.operator_of(headers, OperatorRank::Operator, deadline).await
    }

    /// The same for whoever is of at least that rank.
    pub async fn operator_of(
        &self,
        headers: &HeaderMap,
        least: OperatorRank,
        deadline: Deadline,
    ) -> Result<OperatorPermit, AuthFault> {
        let text = bearer::token(headers, false)?;
        self.operator_token(text, least, deadline).await.map(|(permit, _)| permit)
    }

    /// The operator an access token speaks for, and the token's end.
    pub(super) async fn operator_token(
        &self,
        text: &str,
        least: OperatorRank,
        deadline: Deadline,
    ) -> Result<(OperatorPermit, Timestamp), AuthFault> {
        let operators = self.inner.operators.as_ref().map(|kept| kept.issuer.clone());
        let find = |name: &str| operators.filter(|issuer| &*issuer.rules.issuer == name);
        let (token, issuer, _) = self.verify(text, find, deadline).await?;
        let now = self.inner.clock.now();
        issuer.check_still_good(&token, NOT_BEYOND, now).map_err(AuthFault::InvalidToken)?;
        let settings = self.inner.config.operators.as_ref();
        let azp = settings.map_or(&[][..], |settings| &settings.azp);
        if !azp.is_empty() && !azp.iter().any(|azp| **azp == *token.azp) {
            return Err(AuthFault::NoAccess("azp_is_not_an_operators_client"));
        }
        let Some(rank) = token.rank.filter(|rank| *rank >= least) else {
            return Err(AuthFault::InsufficientScope {
                reason: "role_missing",
                scope: settings
                    .map_or_else(String::new, |s| s.roles.named(least).to_owned())
                    .into(),
            });
        };
        let wanted = settings.map_or(&[][..], |settings| &settings.acr_values);
        step_up(wanted, token.acr.as_deref())?;
        Ok((OperatorPermit::from_token(&token, rank), token.expires_at))
    }

    /// A back-channel logout request's body, `application/x-www-form-urlencoded`. When it returns
    /// `Ok`, the session or subject is refused on this gateway.
    pub async fn back_channel_logout(
        &self,
        form_body: &[u8],
        deadline: Deadline,
    ) -> Result<(), LogoutFault> {
        let text = logout::token_of(form_body)?;
        let now = self.inner.clock.now();
        let jws = Jws::split(text).map_err(LogoutFault::Refused)?;
        let header = jws.header().map_err(LogoutFault::Refused)?;
        if header.typ != Typ::LogoutToken {
            return Err(LogoutFault::Refused("header_typ_is_not_logout"));
        }
        let claims = jws.claims().map_err(LogoutFault::Refused)?;
        let operators = self.inner.operators.as_ref().map(|kept| kept.issuer.clone());
        let issuer = issuer_of(&claims, |name| {
            let issuers = self.inner.issuers.load();
            let ours = issuers.get(name).map(|kept| kept.issuer.clone());
            ours.or_else(|| operators.filter(|issuer| &*issuer.rules.issuer == name))
        })?;
        let asked = logout::judge(&claims, &issuer, now).map_err(LogoutFault::Refused)?;
        check_signature(&jws, &header, &issuer, deadline).await?;
        let who = match (asked.sid, asked.subject) {
            (Some(sid), _) => Who::Session(sid),
            (None, Some(subject)) => Who::Subject(subject),
            (None, None) => return Err(LogoutFault::Refused("sid_and_sub_missing")),
        };
        let jti_until = asked.expires_at.plus(self.inner.config.leeway);
        if !issuer.denied.end(&who, asked.jti, asked.issued_at, jti_until, now) {
            return Err(LogoutFault::Refused("replayed"));
        }
        Ok(())
    }

    /// Forgets the tenant's verified tokens. They are judged anew from their bytes.
    pub fn flush_tenant(&self, tenant: TenantId) {
        // Only refused for a cache built without closures; entries are checked against the binding's
        // generation on every use besides.
        let _ = self
            .inner
            .verified
            .invalidate_entries_if(move |_, v| v.bound.is_some_and(|(bound, _)| bound == tenant));
    }

    /// The state of every issuer, the operators' last.
    pub fn readiness(&self) -> Vec<IssuerReadiness> {
        let issuers = self.inner.issuers.load();
        let mut all: Vec<_> = issuers.values().map(|kept| kept.issuer.readiness()).collect();
        all.sort_by(|a, b| a.issuer.cmp(&b.issuer));
        all.extend(self.inner.operators.as_ref().map(|kept| kept.issuer.readiness()));
        all
    }

    /// Everything about a token that its own bytes and its issuer's keys decide.
    async fn verify(
        &self,
        text: &str,
        find: impl FnOnce(&str) -> Option<Arc<Issuer>>,
        deadline: Deadline,
    ) -> Result<(Token, Arc<Issuer>, u64), AuthFault> {
        let invalid = AuthFault::InvalidToken;
        let jws = Jws::split(text).map_err(invalid)?;
        let header = jws.header().map_err(invalid)?;
        let claims = jws.claims().map_err(invalid)?;
        let issuer = issuer_of(&claims, find)?;
        // Claims first: a token that cannot be good makes nobody fetch keys.
        let token = issuer.rules.judge(&claims, header.typ, self.inner.clock.now());
        let verified = match token.map_err(invalid) {
            Ok(token) => {
                check_signature(&jws, &header, &issuer, deadline).await.map(|epoch| (token, epoch))
            }
            Err(fault) => Err(fault),
        };
        let (token, epoch) = verified.inspect_err(|fault| {
            let kid = digest(&SHA256, header.kid.as_bytes());
            tracing::debug!(
                reason = fault.reason(),
                issuer = %issuer.config.url,
                kid_sha256 = %hex(&kid.as_ref()[..8]),
                "a token does not verify"
            );
        })?;
        Ok((token, issuer, epoch))
    }
}

impl Kept {
    fn keep(issuer: Issuer) -> Self {
        let issuer = Arc::new(issuer);
        let cancelled = CancellationToken::new();
        tokio::spawn(issuer.clone().keep(cancelled.clone()));
        Self { issuer, _keeper: Arc::new(cancelled.drop_guard()) }
    }
}

fn principal(token: &Arc<Token>, binding: &Binding) -> Principal {
    Principal { token: token.clone(), tenant: binding.tenant, generation: binding.generation }
}

fn configuration(issuer: &IssuerConfig, what: &'static str) -> AuthFault {
    AuthFault::Configuration { issuer: issuer.url.clone(), what }
}
