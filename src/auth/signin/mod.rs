//! Signing operators in for the panel: OpenID Connect authorization code flow with PKCE at the operators'
//! issuer, and the sessions that come of it.
//!
//! A session holds the issuer's tokens on this side only; the browser holds 256 random bits. Every visit
//! verifies the access token as if it had come with the request, and refreshes it when it ends, so that a
//! withdrawn role, a logout at the issuer or a blocked account ends the session within a token's life.

mod kept;
mod looks;
mod provider;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

pub use self::kept::Typed;
use self::looks::Looks;
pub use self::looks::{LookAt, Looker, Returned};
use self::provider::{Known, Provider};
use self::sessions::Session;
use super::{AuthFault, Authority, IssuerConfig, OperatorPermit, OperatorRank, OperatorsConfig};
use crate::base::{Clock, Deadline, SecretText, Timestamp};

/// A session ends when nothing was asked for so long.
const IDLE: Duration = Duration::from_mins(15);
/// A session ends then, whatever happens in it.
const AT_MOST: Duration = Duration::from_hours(8);
/// For so long a sign-in counts as just made.
const FRESH: Duration = Duration::from_mins(5);
/// How long somebody may take at the issuer.
const UNDER_WAY: Duration = Duration::from_mins(10);
/// Sessions and sign-ins under way kept at most, of each.
const CAPACITY: u64 = 10_000;

/// The panel's place at an issuer.
#[derive(Debug, Clone)]
pub struct SignInSettings {
    /// Its OAuth client.
    pub client_id: String,
    /// That client's secret.
    pub client_secret: SecretText,
    /// Where the issuer sends people after signing in.
    pub redirect_url: String,
    /// Where the issuer sends people after signing out, if they sign out there.
    pub signed_out_url: Option<String>,
}

/// All sign-ins and sessions of this gateway. A cheap handle.
#[derive(Clone)]
pub struct SignIns(Arc<Inner>);

struct Inner {
    authority: Authority,
    provider: Provider,
    clock: Arc<dyn Clock>,
    under_way: Cache<[u8; 32], Arc<UnderWay>>,
    sessions: Cache<[u8; 32], Arc<Session>>,
    /// Sign-ins at hospitals' own issuers.
    looks: Looks,
    /// Forms that wait for their authors to come back.
    kept: kept::Kept,
    /// Who is behind a subject, as far as somebody signed in here.
    names: Cache<String, String>,
}

/// What is remembered between leaving for the issuer and coming back.
struct UnderWay {
    known: Known,
    since: Timestamp,
    target: String,
}

/// A sign-in that was begun.
#[derive(Debug)]
pub struct Begun {
    /// Where to send the browser.
    pub url: String,
    /// What the browser must bring back besides what the issuer gives it: the value of a cookie.
    pub cookie: SecretText,
}

/// A session that was opened.
#[derive(Debug)]
pub struct Opened {
    /// The value of its cookie.
    pub cookie: SecretText,
    /// Where its owner wanted to go.
    pub target: String,
}

/// One request of a session that is good.
pub struct Visit {
    /// Proof of who asks and how far she may go.
    pub permit: OperatorPermit,
    /// What her forms must carry.
    pub csrf: SecretText,
    /// What she is called.
    pub name: String,
    /// Whether she showed who she is a moment ago.
    pub fresh: bool,
    /// Which session it is.
    pub session: SessionName,
}

/// Names a session, and opens nothing: the hash of its cookie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionName([u8; 32]);

impl SignIns {
    /// A session ends when nothing was asked for so long.
    pub const IDLE: Duration = IDLE;

    /// Sign-ins at the operators' issuer of `authority`, and at those hospitals' issuers where resources may
    /// be looked at. Nothing is asked of any issuer yet.
    pub fn new(
        authority: Authority,
        operators: &OperatorsConfig,
        settings: SignInSettings,
        hospitals: Vec<(IssuerConfig, SignInSettings)>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AuthFault> {
        let provider = Provider::new(&operators.as_issuer(), settings)?;
        let looks = Looks::new(hospitals)?;
        let sessions = bounded(AT_MOST);
        let under_way = bounded(UNDER_WAY);
        let names = Cache::builder().max_capacity(CAPACITY).build();
        Ok(Self(Arc::new(Inner {
            authority,
            provider,
            clock,
            under_way,
            sessions,
            looks,
            kept: kept::nothing_yet(),
            names,
        })))
    }

    /// Begins a sign-in that is to end at `target`. With `again`, the issuer asks who she is although it
    /// knows.
    pub async fn begin(
        &self,
        target: &str,
        again: bool,
        deadline: Deadline,
    ) -> Result<Begun, AuthFault> {
        let inner = &self.0;
        let (url, known) = inner.provider.ask(again, deadline).await?;
        let cookie = provider::random();
        let under_way = UnderWay { known, since: inner.clock.now(), target: target.to_owned() };
        inner.under_way.insert(hash(cookie.expose()), Arc::new(under_way));
        Ok(Begun { url, cookie })
    }

    /// Ends a sign-in: `cookie` as it was given by [`begin`](Self::begin), `state` and `code` as the issuer
    /// gave them. A session under `old` ends. Counts once.
    pub async fn finish(
        &self,
        cookie: &str,
        state: &str,
        code: &str,
        old: Option<&str>,
        deadline: Deadline,
    ) -> Result<Opened, AuthFault> {
        let inner = &self.0;
        let unknown = || AuthFault::InvalidRequest("sign_in_unknown");
        let under_way = inner.under_way.remove(&hash(cookie)).ok_or_else(unknown)?;
        let now = inner.clock.now();
        if now.since(under_way.since) > UNDER_WAY || !under_way.known.is_state(state) {
            return Err(unknown());
        }
        let said = inner.provider.redeem(code, &under_way.known, deadline).await?;
        let viewer = OperatorRank::Viewer;
        let token = said.access.expose();
        let (permit, until) = inner.authority.operator_token(token, viewer, deadline).await?;
        if permit.subject() != said.subject {
            return Err(AuthFault::InvalidToken("tokens_of_two_subjects"));
        }
        if let Some(old) = old {
            inner.sessions.invalidate(&hash(old));
        }
        inner.names.insert(said.subject.clone(), said.name.clone());
        tracing::info!(target: "wardgate::auth", subject = permit.subject(), "an operator signed in");
        let cookie = provider::random();
        let session = Session::new(said, until, now);
        inner.sessions.insert(hash(cookie.expose()), Arc::new(session));
        Ok(Opened { cookie, target: under_way.target.clone() })
    }

    /// Who asks with that cookie; `None` when the session has ended or never was. What a page asks by
    /// itself is not `active` and does not keep a session alive.
    pub async fn visit(
        &self,
        cookie: &str,
        active: bool,
        deadline: Deadline,
    ) -> Result<Option<Visit>, AuthFault> {
        let inner = &self.0;
        let key = hash(cookie);
        let Some(session) = inner.sessions.get(&key) else { return Ok(None) };
        let now = inner.clock.now();
        if session.has_ended(now) {
            inner.sessions.invalidate(&key);
            return Ok(None);
        }
        // In a task of its own: a refresh token counts once, and what is given for it must not be lost with a
        // visitor who leaves meanwhile.
        let (parts, kept) = (Arc::clone(inner), Arc::clone(&session));
        let judging = tokio::spawn(async move {
            kept.permit(&parts.authority, &parts.provider, now, deadline).await
        });
        let broke_off =
            |_| Err(AuthFault::Unavailable { reason: "refresh_broke_off", retry_after_secs: 1 });
        match judging.await.unwrap_or_else(broke_off) {
            Ok(permit) => {
                if active {
                    session.seen(now);
                }
                Ok(Some(session.visit(permit, SessionName(key), now)))
            }
            Err(fault @ AuthFault::Unavailable { .. }) => Err(fault),
            Err(fault) => {
                tracing::info!(target: "wardgate::auth", reason = fault.reason(), "a session ended");
                inner.sessions.invalidate(&key);
                Ok(None)
            }
        }
    }

    /// Ends the session with that cookie. Gives back where the browser signs out at the issuer, too.
    pub async fn end(&self, cookie: &str, deadline: Deadline) -> Option<String> {
        let session = self.0.sessions.remove(&hash(cookie))?;
        self.0.provider.sign_out_url(session.id_token(), deadline).await
    }

    /// What the person behind a subject is called, when she signed in here since the gateway's start.
    pub fn name_of(&self, subject: &str) -> Option<String> {
        self.0.names.get(subject)
    }

    /// Scheme, host and port of the issuer as browsers reach it.
    pub fn issuer_origin(&self) -> String {
        self.0.provider.origin()
    }
}

fn bounded<V: Clone + Send + Sync + 'static>(most: Duration) -> Cache<[u8; 32], V> {
    Cache::builder()
        .max_capacity(CAPACITY)
        .time_to_live(most)
        .eviction_policy(EvictionPolicy::lru())
        .build()
}

/// Cookies are kept as hashes: looking one up tells nothing by its time, and what is in memory opens
/// nothing.
fn hash(cookie: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, cookie.as_bytes()).as_ref());
    hash
}
