//! One issuer at run time: its keys, kept fresh by one task, and what is refused beyond its claims.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use openidconnect::JsonWebKeySetUrl;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::claims::{Rules, check_window};
use super::config::check_issuer;
use super::denied::DenyList;
use super::fetch::{FetchFault, Fetcher};
use super::jws::Bad;
use super::keys::{KeySet, VerifyKey};
use super::principal::Token;
use super::waiting::Waiting;
use super::{AuthConfig, AuthFault, IssuerConfig, IssuerReadiness, OperatorRoles};
use crate::base::{Deadline, Timestamp};

/// How many key ids found absent are remembered per issuer.
const ABSENT_CAPACITY: u64 = 1000;

/// An issuer, its keys and its keeper's state.
pub(super) struct Issuer {
    pub rules: Rules,
    pub config: IssuerConfig,
    pub denied: Arc<DenyList>,
    fetcher: Fetcher,
    state: ArcSwap<State>,
    /// Fetches begun, and the newest one that ended; equal when none is under way.
    started: AtomicU64,
    finished: watch::Sender<u64>,
    /// The fetch that somebody waits for; the keeper begins it when it is above `started`.
    demanded: AtomicU64,
    wake: Notify,
    last_start: Mutex<Option<Instant>>,
    waiting: Waiting,
    retired: AtomicBool,
    /// Key ids, and the fetch that proved them absent.
    absent: Cache<Box<str>, u64>,
    refresh: Duration,
    min_refetch: Duration,
    max_stale: Duration,
    leeway: Duration,
}

/// What the newest fetches brought. Replaced as a whole.
#[derive(Default)]
struct State {
    keys: Option<Arc<KeySet>>,
    uri: Option<JsonWebKeySetUrl>,
    /// Counts changes of the key set; a verified token counts only under the epoch it was verified in.
    epoch: u64,
    fetched: Option<Instant>,
    realm_not_before: Option<Timestamp>,
    failing: Option<&'static str>,
}

/// A key and the epoch it was found in.
pub(super) struct Found {
    pub key: Arc<VerifyKey>,
    pub epoch: u64,
}

impl Issuer {
    pub(super) fn new(
        config: IssuerConfig,
        operator_roles: Option<OperatorRoles>,
        all: &AuthConfig,
    ) -> Result<Self, AuthFault> {
        check_issuer(&config)?;
        Ok(Self {
            rules: Rules {
                issuer: Arc::from(config.url.as_str()),
                audience: config.audience.clone(),
                tenant_claim: config.tenant_claim.clone(),
                roles_claim: config.roles_claim.clone(),
                profile: config.profile,
                operator_roles,
                leeway: all.leeway,
                max_lifetime: all.max_lifetime,
            },
            denied: Arc::new(DenyList::new(all.deny_for.max(all.max_lifetime), all.deny_capacity)),
            fetcher: Fetcher::new(&config)?,
            config,
            state: ArcSwap::default(),
            started: AtomicU64::new(0),
            finished: watch::Sender::new(0),
            demanded: AtomicU64::new(0),
            wake: Notify::new(),
            last_start: Mutex::new(None),
            waiting: Waiting::new(all.max_waiting),
            retired: AtomicBool::new(false),
            absent: Cache::builder()
                .max_capacity(ABSENT_CAPACITY)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            refresh: all.refresh,
            min_refetch: all.min_refetch,
            max_stale: all.max_stale,
            leeway: all.leeway,
        })
    }

    /// The key set's epoch, when tokens can be judged at all.
    pub(super) fn epoch(&self) -> Result<u64, AuthFault> {
        let state = self.state.load();
        self.usable(&state).map(|_| state.epoch)
    }

    /// What can change during a token's life: its times, the not-befores and the logout list.
    pub(super) fn check_still_good(
        &self,
        token: &Token,
        beyond: Duration,
        now: Timestamp,
    ) -> Result<(), Bad> {
        check_window(token.expires_at.plus(beyond), token.not_before, now, self.leeway)?;
        let before = |limit: Option<Timestamp>| limit.is_some_and(|limit| token.issued_at < limit);
        if before(self.config.not_before) || before(self.state.load().realm_not_before) {
            return Err("issued_before_not_before");
        }
        if self.denied.denies(token) {
            return Err("logged_out");
        }
        Ok(())
    }

    /// The key of that id. A key the set does not hold is looked for once at the issuer, which the
    /// caller waits for; only a fetch begun after the question can prove that there is none.
    pub(super) async fn key(&self, kid: &str, deadline: Deadline) -> Result<Found, AuthFault> {
        if let Some(found) = self.held(kid)? {
            return Ok(found);
        }
        if self.absent.get(kid).is_some_and(|proof| self.is_newest(proof)) {
            return Err(AuthFault::InvalidToken("kid_unknown"));
        }
        let away = self.until_next_fetch();
        let later =
            |reason| AuthFault::Unavailable { reason, retry_after_secs: away.as_secs().max(1) };
        if away >= deadline.remaining() {
            return Err(later("key_fetch_after_deadline"));
        }
        let share = self.waiting.enter(kid);
        let mut finished = self.finished.subscribe();
        let needed = self.started.load(Ordering::SeqCst) + 1;
        self.demanded.fetch_max(needed, Ordering::SeqCst);
        self.wake.notify_one();
        loop {
            tokio::select! {
                ended = timeout_at(deadline.at(), finished.changed()) => {
                    ended.map_err(|_| later("key_fetch_after_deadline"))?.ok();
                }
                () = share.pushed_out.cancelled() => return Err(later("too_many_wait_for_keys")),
            }
            let done = *finished.borrow_and_update();
            if let Some(found) = self.held(kid)? {
                return Ok(found);
            }
            if done >= needed {
                if self.state.load().failing.is_some() {
                    return Err(later("key_fetch_failed"));
                }
                self.absent.insert(Box::from(kid), done);
                return Err(AuthFault::InvalidToken("kid_unknown"));
            }
        }
    }

    /// The first fetch. An issuer that is away is no error here: its keeper goes on trying.
    pub(super) async fn discover(&self) -> Result<(), AuthFault> {
        match self.fetch().await {
            Err(FetchFault::Contradiction(what)) => {
                Err(AuthFault::Contradiction { issuer: self.config.url.clone(), what })
            }
            Ok(()) | Err(FetchFault::Away(_)) => Ok(()),
        }
    }

    /// Fetches on time, on demand and again after failures, one fetch at a time, until cancelled.
    pub(super) async fn keep(self: Arc<Self>, cancelled: CancellationToken) {
        let work = async {
            let mut due = Instant::now() + self.pause();
            loop {
                tokio::select! {
                    () = sleep_until(due) => {}
                    () = self.demand() => {}
                }
                sleep_until(Instant::now() + self.until_next_fetch()).await;
                // The outcome is in the state.
                let _ = self.fetch().await;
                due = Instant::now() + self.pause();
            }
        };
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = work => {}
        }
    }

    /// Ends the use of the keys for ever, whatever a fetch under way still brings; for an issuer that
    /// is taken away or replaced.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::SeqCst);
    }

    pub(super) fn readiness(&self) -> IssuerReadiness {
        let state = self.state.load();
        IssuerReadiness {
            issuer: self.config.url.clone(),
            operators: self.rules.operator_roles.is_some(),
            ready: self.usable(&state).is_ok(),
            keys: state.keys.as_ref().map_or(0, |keys| keys.len()),
            age: state.fetched.map(|at| at.elapsed()),
            failing: state.failing,
            fetches: self.started.load(Ordering::SeqCst),
        }
    }

    fn held(&self, kid: &str) -> Result<Option<Found>, AuthFault> {
        let state = self.state.load();
        let keys = self.usable(&state)?;
        Ok(keys.get(kid).map(|key| Found { key: key.clone(), epoch: state.epoch }))
    }

    fn usable<'s>(&self, state: &'s State) -> Result<&'s KeySet, AuthFault> {
        let fresh = state.fetched.is_some_and(|at| at.elapsed() < self.max_stale)
            && !self.retired.load(Ordering::SeqCst);
        state.keys.as_deref().filter(|_| fresh).ok_or_else(|| AuthFault::Unavailable {
            reason: if state.keys.is_some() { "keys_too_old" } else { "issuer_not_discovered" },
            retry_after_secs: self.until_next_fetch().as_secs().max(1),
        })
    }

    /// A proof of absence counts until another fetch may be made or has been.
    fn is_newest(&self, proof: u64) -> bool {
        proof == *self.finished.borrow() && !self.until_next_fetch().is_zero()
    }

    fn until_next_fetch(&self) -> Duration {
        let last = *self.last_start.lock().unwrap_or_else(PoisonError::into_inner);
        last.map_or(Duration::ZERO, |at| {
            (at + self.min_refetch).saturating_duration_since(Instant::now())
        })
    }

    async fn demand(&self) {
        while self.demanded.load(Ordering::SeqCst) <= self.started.load(Ordering::SeqCst) {
            self.wake.notified().await;
        }
    }

    /// How long until the next fetch that nobody demands: the refresh time after a success, the
    /// refetch time after a failure, both give or take a tenth so that many gateways spread out.
    fn pause(&self) -> Duration {
        let pause = match self.state.load().failing {
            None => self.refresh,
            Some(_) => self.min_refetch.min(self.refresh),
        };
        let random = RandomState::new().hash_one(self.started.load(Ordering::SeqCst));
        let percent = 90 + u32::try_from(random % 21).unwrap_or(10);
        pause * percent / 100
    }

    async fn fetch(&self) -> Result<(), FetchFault> {
        *self.last_start.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let number = self.started.fetch_add(1, Ordering::SeqCst) + 1;
        let before = self.state.load_full();
        // A failure may mean that the issuer has moved its keys, so discovery is asked again.
        let known = before.uri.clone().filter(|_| before.failing.is_none());
        let fetched = match known {
            Some(uri) => self.fetcher.keys(&uri).await.map(|keys| (uri, keys)),
            None => self.fetcher.discover().await,
        };
        let outcome = match fetched {
            Ok((uri, keys)) => {
                let realm = self.fetcher.realm_not_before().await;
                let same = before.keys.as_ref().is_some_and(|old| old.same_as(&keys));
                self.state.store(Arc::new(State {
                    keys: Some(Arc::new(keys)),
                    uri: Some(uri),
                    epoch: before.epoch + u64::from(!same),
                    fetched: Some(Instant::now()),
                    realm_not_before: realm.or(before.realm_not_before),
                    failing: None,
                }));
                Ok(())
            }
            Err(fault) => {
                let (FetchFault::Away(why) | FetchFault::Contradiction(why)) = fault;
                tracing::warn!(issuer = %self.config.url, why, "fetching an issuer's keys failed");
                self.state.store(Arc::new(State {
                    keys: before.keys.clone(),
                    uri: before.uri.clone(),
                    epoch: before.epoch,
                    fetched: before.fetched,
                    realm_not_before: before.realm_not_before,
                    failing: Some(why),
                }));
                Err(fault)
            }
        };
        self.finished.send_replace(number);
        outcome
    }
}
