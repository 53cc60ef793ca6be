use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex as Lock, MutexGuard, PoisonError};

use openidconnect::core::CoreIdToken;
use tokio::sync::Mutex;
use tokio::time::timeout_at;

use super::looks::Looking;
use super::provider::{Provider, Said, random};
use super::{AT_MOST, FRESH, IDLE, SessionName, Visit};
use crate::auth::{AuthFault, Authority, OperatorPermit, OperatorRank};
use crate::base::{Deadline, SecretText, Timestamp};

/// Seconds before its end at which an access token is refreshed.
const EARLY: i64 = 20;

/// One operator's session.
pub(super) struct Session {
    csrf: SecretText,
    subject: String,
    name: String,
    id_token: CoreIdToken,
    signed_in: Timestamp,
    begun: Timestamp,
    seen: AtomicI64,
    /// Held while they are refreshed: a refresh token counts once.
    tokens: Mutex<Tokens>,
    /// Who is signed in at a hospital's issuer as well.
    looking: Lock<Looking>,
}

struct Tokens {
    access: SecretText,
    until: Timestamp,
    refresh: Option<SecretText>,
}

impl Session {
    pub(super) fn new(said: Said, until: Timestamp, now: Timestamp) -> Self {
        Self {
            csrf: random(),
            subject: said.subject,
            name: said.name,
            id_token: said.id_token,
            signed_in: said.signed_in,
            begun: now,
            seen: AtomicI64::new(now.as_millis()),
            tokens: Mutex::new(Tokens { access: said.access, until, refresh: said.refresh }),
            looking: Lock::default(),
        }
    }

    pub(super) const fn id_token(&self) -> &CoreIdToken {
        &self.id_token
    }

    pub(super) fn looking(&self) -> MutexGuard<'_, Looking> {
        self.looking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_ended(&self, now: Timestamp) -> bool {
        let seen = Timestamp::from_millis(self.seen.load(Ordering::Relaxed));
        now.since(seen) >= IDLE || now.since(self.begun) >= AT_MOST
    }

    pub(super) fn seen(&self, now: Timestamp) {
        self.seen.fetch_max(now.as_millis(), Ordering::Relaxed);
    }

    /// Verifies the access token, refreshed where it is about to end.
    pub(super) async fn permit(
        &self,
        authority: &Authority,
        provider: &Provider,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<OperatorPermit, AuthFault> {
        let slow = |_| AuthFault::Unavailable { reason: "refresh_slow", retry_after_secs: 1 };
        let mut tokens = timeout_at(deadline.at(), self.tokens.lock()).await.map_err(slow)?;
        let viewer = OperatorRank::Viewer;
        let ending = tokens.until.as_secs() - EARLY <= now.as_secs();
        if let Some(refresh) = tokens.refresh.clone().filter(|_| ending) {
            let (access, next) = provider.refresh(&refresh, deadline).await?;
            // Kept before it is judged: the old refresh token has been used up.
            tokens.refresh = next.or(Some(refresh));
            tokens.access = access;
            let token = tokens.access.expose();
            let (permit, until) = authority.operator_token(token, viewer, deadline).await?;
            if permit.subject() != self.subject {
                return Err(AuthFault::InvalidToken("tokens_of_two_subjects"));
            }
            tokens.until = until;
            return Ok(permit);
        }
        let token = tokens.access.expose();
        authority.operator_token(token, viewer, deadline).await.map(|(permit, _)| permit)
    }

    pub(super) fn visit(
        &self,
        permit: OperatorPermit,
        session: SessionName,
        now: Timestamp,
    ) -> Visit {
        Visit {
            session,
            permit,
            csrf: self.csrf.clone(),
            name: self.name.clone(),
            fresh: now.since(self.signed_in) < FRESH,
        }
    }
}
