//! Signing in at a hospital's own issuer from within an operator's session, for who may read that hospital's
//! patients besides: the operators' token opens none. What comes of it is judged like any clinician's token,
//! counts for that one hospital, and is held for minutes, in the session that asked for it and nowhere else.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use tokio_util::sync::CancellationToken;

use super::provider::{Known, Provider};
use super::{SessionName, SignInSettings, SignIns, UNDER_WAY, bounded, hash};
use crate::auth::{AuthFault, IssuerConfig, Principal};
use crate::base::{Deadline, SecretText, TenantId, Timestamp};

/// A token is held for so long at most, however long it lives.
const LOOKING: Duration = Duration::from_mins(5);
/// How often what has ended is looked for.
const SWEEP: Duration = Duration::from_secs(30);
/// How far the issuer's clock may be behind ours.
const LEEWAY: Duration = Duration::from_mins(1);

/// The hospitals' issuers at which the panel has a client, and the sign-ins under way there by their state.
pub(super) struct Looks {
    places: HashMap<String, Provider>,
    under_way: Cache<[u8; 32], Arc<Left>>,
}

impl Looks {
    pub(super) fn new(hospitals: Vec<(IssuerConfig, SignInSettings)>) -> Result<Self, AuthFault> {
        let mut places = HashMap::new();
        for (issuer, settings) in hospitals {
            places.insert(issuer.url.clone(), Provider::new(&issuer, settings)?);
        }
        Ok(Self { places, under_way: bounded(UNDER_WAY) })
    }
}

/// What is remembered of somebody who left for a hospital's issuer.
struct Left {
    session: SessionName,
    known: Known,
    since: Timestamp,
    issuer: String,
    at: LookAt,
}

/// What somebody wants to look at.
#[derive(Debug, Clone)]
pub struct LookAt {
    /// The hospital.
    pub tenant: TenantId,
    /// Its slug.
    pub name: String,
    /// The name under which what she typed is kept.
    pub kept: String,
}

/// Somebody who came back from a hospital's issuer, to the session that she left from. Counts once.
pub struct Returned(Arc<Left>);

impl Returned {
    /// What she wants to look at.
    pub fn at(&self) -> &LookAt {
        &self.0.at
    }

    /// Whether the answer is of the issuer that was asked, where it says of which it is (RFC 9207): the code of
    /// another must not be taken to this one.
    pub fn is_of(&self, issuer: Option<&str>) -> bool {
        issuer.is_none_or(|issuer| issuer == self.0.issuer)
    }
}

/// What a session holds of a sign-in at a hospital's issuer.
#[derive(Default)]
pub(super) struct Looking {
    held: Option<Held>,
}

impl Looking {
    /// What is held and has not ended; what has is forgotten.
    fn still(&mut self, now: Timestamp) -> Option<&Held> {
        if self.held.as_ref().is_some_and(|held| held.until <= now) {
            self.held = None;
        }
        self.held.as_ref()
    }
}

#[derive(Clone)]
struct Held {
    tenant: TenantId,
    access: SecretText,
    name: String,
    until: Timestamp,
}

/// Somebody who is signed in at a hospital's own issuer.
pub struct Looker {
    /// Who she is there, judged this moment. What she may is asked of the authority.
    pub principal: Principal,
    /// What she is called there.
    pub name: String,
    /// When her token is forgotten.
    pub until: Timestamp,
}

impl SignIns {
    /// The panel's client at that issuer, where it has one.
    pub fn looks_through(&self, issuer: &str) -> Option<&str> {
        self.0.looks.places.get(issuer).map(Provider::client_id)
    }

    /// Begins a sign-in at a hospital's issuer; gives where to send the browser.
    pub async fn begin_look(
        &self,
        session: SessionName,
        issuer: &str,
        at: LookAt,
        deadline: Deadline,
    ) -> Result<String, AuthFault> {
        let (inner, unknown) = (&self.0, AuthFault::InvalidRequest("no_client_at_that_issuer"));
        let place = inner.looks.places.get(issuer).ok_or(unknown)?;
        // The issuer asks who it is although it may know: it would give whoever sat at this browser before.
        let (url, known) = place.ask(true, deadline).await?;
        let (state, since) = (hash(known.state()), inner.clock.now());
        let left = Left { session, known, since, issuer: issuer.to_owned(), at };
        inner.looks.under_way.insert(state, Arc::new(left));
        Ok(url)
    }

    /// Who comes back with that state. Nobody when it is not known, was used, is too old, or was given to
    /// another session; in each case it counts no more.
    pub fn returned(&self, session: SessionName, state: &str) -> Option<Returned> {
        let left = self.0.looks.under_way.remove(&hash(state))?;
        let in_time = self.0.clock.now().since(left.since) <= UNDER_WAY;
        (in_time && left.session == session).then_some(Returned(left))
    }

    /// Ends a sign-in at a hospital's issuer with the `code` that it gave. The token is held when it is a
    /// clinician's, of that issuer and that very hospital.
    pub async fn finish_look(
        &self,
        returned: &Returned,
        code: &str,
        deadline: Deadline,
    ) -> Result<(), AuthFault> {
        let (inner, left) = (&self.0, &returned.0);
        let unknown = AuthFault::InvalidRequest("sign_in_unknown");
        let open = inner.sessions.get(&left.session.0).ok_or(unknown.clone())?;
        *open.looking() = Looking::default();
        let place = inner.looks.places.get(&left.issuer).ok_or(unknown)?;
        let said = place.redeem(code, &left.known, deadline).await?;
        // Whoever follows the link may have taken the question out of it.
        if said.signed_in.plus(LEEWAY) < left.since {
            return Err(AuthFault::InvalidToken("not_signed_in_anew"));
        }
        let principal = inner.authority.clinician_token(said.access.expose(), deadline).await?;
        if principal.issuer() != left.issuer || principal.subject() != said.subject {
            return Err(AuthFault::InvalidToken("tokens_of_two_subjects"));
        }
        if principal.tenant() != left.at.tenant {
            return Err(AuthFault::NoAccess("token_of_another_tenant"));
        }
        let until = principal.expires_at().min(inner.clock.now().plus(LOOKING));
        let held = Held { tenant: left.at.tenant, access: said.access, name: said.name, until };
        *open.looking() = Looking { held: Some(held) };
        Ok(())
    }

    /// Who is signed in at that hospital's issuer in this session: her token judged anew. Nobody when there
    /// is none, it is too old, or it is no longer good.
    pub async fn looker(
        &self,
        session: SessionName,
        tenant: TenantId,
        deadline: Deadline,
    ) -> Result<Option<Looker>, AuthFault> {
        let Some(held) = self.held(session, tenant) else { return Ok(None) };
        match self.0.authority.clinician_token(held.access.expose(), deadline).await {
            Ok(principal) if principal.tenant() == tenant => {
                Ok(Some(Looker { principal, name: held.name, until: held.until }))
            }
            Err(fault @ AuthFault::Unavailable { .. }) => Err(fault),
            Ok(_) | Err(_) => {
                self.forget_look(session);
                Ok(None)
            }
        }
    }

    /// Who is held as signed in at that hospital's issuer, and until when, without judging it: for the page
    /// that says so.
    pub fn looking(&self, session: SessionName, tenant: TenantId) -> Option<(String, Timestamp)> {
        self.held(session, tenant).map(|held| (held.name, held.until))
    }

    /// Forgets who was signed in.
    pub fn forget_look(&self, session: SessionName) {
        if let Some(open) = self.0.sessions.get(&session.0) {
            *open.looking() = Looking::default();
        }
    }

    /// Forgets sessions that have ended, and sign-ins at hospitals' issuers that have, though nobody asked
    /// for them again. Gives how many of each are still held.
    pub fn forget_ended(&self) -> (usize, usize) {
        let (inner, now) = (&self.0, self.0.clock.now());
        let (mut sessions, mut looks) = (0, 0);
        for (key, session) in &inner.sessions {
            if session.has_ended(now) {
                inner.sessions.invalidate(&*key);
                *session.looking() = Looking::default();
                continue;
            }
            sessions += 1;
            looks += usize::from(session.looking().still(now).is_some());
        }
        inner.sessions.run_pending_tasks();
        inner.looks.under_way.run_pending_tasks();
        inner.under_way.run_pending_tasks();
        inner.kept.run_pending_tasks();
        (sessions, looks)
    }

    /// Forgets twice a minute what has ended.
    pub async fn run_maintenance(self, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(SWEEP);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            self.forget_ended();
        }
    }

    fn held(&self, session: SessionName, tenant: TenantId) -> Option<Held> {
        let open = self.0.sessions.get(&session.0)?;
        let mut looking = open.looking();
        looking.still(self.0.clock.now()).filter(|held| held.tenant == tenant).cloned()
    }
}
