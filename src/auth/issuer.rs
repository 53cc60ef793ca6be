use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use moka::sync::Cache;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::fault::AuthFault;
use super::fetch;
use super::jwks::{Key, Keys};
use crate::base::Deadline;

/// Between two fetches of one issuer's keys, whatever is asked for.
const BETWEEN: Duration = Duration::from_secs(10);
/// How long keys are trusted while their issuer cannot be reached.
const STALE: Duration = Duration::from_hours(1);
/// Callers that may wait for a fetch at once; a flood of made-up key ids must not pile up.
const WAITING: usize = 256;
/// Key ids known to be unknown.
const UNKNOWN: u64 = 1000;

/// One issuer and its keys.
pub(super) struct Issuer {
    pub(super) url: String,
    internal: Option<String>,
    client: reqwest::Client,
    keys: ArcSwapOption<KeySet>,
    /// Held by whoever fetches.
    fetching: tokio::sync::Mutex<Attempts>,
    waiting: Semaphore,
    unknown: Cache<String, ()>,
    trouble: Mutex<Option<&'static str>>,
}

#[derive(Default)]
struct Attempts {
    jwks: Option<String>,
    last: Option<Instant>,
}

/// Keys of one fetch.
pub(super) struct KeySet {
    pub(super) keys: Keys,
    fetched: Instant,
}

impl Issuer {
    pub(super) fn new(url: String, internal: Option<String>, client: reqwest::Client) -> Self {
        Self {
            url,
            internal,
            client,
            keys: ArcSwapOption::empty(),
            fetching: tokio::sync::Mutex::default(),
            waiting: Semaphore::new(WAITING),
            unknown: Cache::builder().max_capacity(UNKNOWN).time_to_live(BETWEEN).build(),
            trouble: Mutex::new(Some("not_fetched_yet")),
        }
    }

    /// The keys held, if they are young enough to be trusted.
    pub(super) fn held(&self) -> Option<Arc<KeySet>> {
        self.keys.load_full().filter(|set| set.fetched.elapsed() < STALE)
    }

    /// What is wrong, for readiness.
    pub(super) fn trouble(&self) -> Option<&'static str> {
        if self.held().is_some() {
            return None;
        }
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key with that id. An unknown id waits for the next fetch that is allowed, within `deadline`:
    /// a key that really is new must not be answered with 401.
    pub(super) async fn key(&self, kid: &str, deadline: Deadline) -> Result<Arc<Key>, AuthFault> {
        if let Some(set) = self.held()
            && let Some(key) = set.keys.get(kid)
        {
            return Ok(Arc::clone(key));
        }
        if self.held().is_some() && self.unknown.contains_key(kid) {
            return Err(AuthFault::InvalidToken("kid"));
        }
        let asked = Instant::now();
        let crowded = AuthFault::Unavailable("keys_crowded");
        let _waiting = self.waiting.try_acquire().map_err(|_| crowded)?;
        let fetched = tokio::time::timeout_at(deadline.at(), self.refresh(asked)).await;
        fetched.map_err(|_| AuthFault::Unavailable("keys_deadline"))?;
        match self.held() {
            None => Err(AuthFault::Unavailable("keys_away")),
            Some(set) => match set.keys.get(kid) {
                Some(key) => Ok(Arc::clone(key)),
                None if set.fetched >= asked => {
                    self.unknown.insert(kid.to_owned(), ());
                    Err(AuthFault::InvalidToken("kid"))
                }
                None => Err(AuthFault::Unavailable("keys_away")),
            },
        }
    }

    /// Fetches the keys unless somebody did since `asked`. One fetch at a time, and none sooner than
    /// [`BETWEEN`] after the one before.
    pub(super) async fn refresh(&self, asked: Instant) {
        let mut attempts = self.fetching.lock().await;
        if self.keys.load().as_ref().is_some_and(|set| set.fetched >= asked) {
            return;
        }
        if let Some(last) = attempts.last {
            if last >= asked {
                return;
            }
            tokio::time::sleep_until(last + BETWEEN).await;
        }
        let begun = Instant::now();
        attempts.last = Some(begun);
        let outcome = self.fetch(&mut attempts.jwks).await;
        let trouble = match outcome {
            Ok(keys) => {
                self.keys.store(Some(Arc::new(KeySet { keys, fetched: begun })));
                None
            }
            Err(fault) => {
                tracing::warn!(target: "wardgate::auth", issuer = %self.url, reason = fault.reason(), "keys not fetched");
                Some(fault.reason())
            }
        };
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    async fn fetch(&self, jwks: &mut Option<String>) -> Result<Keys, AuthFault> {
        let address = match jwks {
            Some(address) => address.clone(),
            None => fetch::discover(&self.client, &self.url, self.internal.as_deref()).await?,
        };
        let keys = fetch::keys(&self.client, &address).await?;
        *jwks = Some(address);
        Ok(keys)
    }

    /// Discovery at start: a contradiction is an error, an issuer that is away is not.
    pub(super) async fn begin(&self) -> Result<(), AuthFault> {
        let mut attempts = self.fetching.lock().await;
        let begun = Instant::now();
        attempts.last = Some(begun);
        match self.fetch(&mut attempts.jwks).await {
            Ok(keys) => {
                self.keys.store(Some(Arc::new(KeySet { keys, fetched: begun })));
                *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
                Ok(())
            }
            Err(fault @ AuthFault::Issuer(_)) => Err(fault),
            Err(fault) => {
                tracing::warn!(target: "wardgate::auth", issuer = %self.url, reason = fault.reason(), "issuer not reached yet");
                Ok(())
            }
        }
    }
}
