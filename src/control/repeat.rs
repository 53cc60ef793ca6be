use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::fault::ControlFault;
use super::{Caller, Control};
use crate::base::TenantId;
use crate::keyring::{MacKey, Purpose};
use crate::registry::IdempotencyKey;
use crate::telemetry::names;

/// How long an answer is kept.
const KEEP: Duration = Duration::from_hours(24);
/// How long a key is held by an order that may have been killed; longer than any order takes.
const HOLD: Duration = Duration::from_mins(5);

/// A client's promise that a request is the same one again, if it carries this key.
pub struct Repeatable {
    actor: String,
    key: String,
    route: String,
    digest: [u8; 32],
}

/// What the promise means now.
pub use crate::registry::Reservation as Repeat;

impl Repeatable {
    fn key(&self) -> IdempotencyKey<'_> {
        IdempotencyKey {
            actor: &self.actor,
            key: &self.key,
            route: &self.route,
            request_hash: &self.digest,
        }
    }

    /// An answer in its place: each part with its length before it.
    fn message(&self, answer: &str) -> Vec<u8> {
        let mut message = Vec::with_capacity(answer.len() + 256);
        let parts: [&[u8]; 5] = [
            self.actor.as_bytes(),
            self.key.as_bytes(),
            self.route.as_bytes(),
            &self.digest,
            answer.as_bytes(),
        ];
        for part in parts {
            message.extend_from_slice(&(part.len() as u64).to_be_bytes());
            message.extend_from_slice(part);
        }
        message
    }
}

impl Control {
    /// What `key` stands for when this operator sends it with this body to this route.
    pub fn repeatable(
        &self,
        caller: &Caller,
        key: String,
        route: String,
        body: &[u8],
    ) -> Repeatable {
        // A plain digest in the registry would let its reader guess at a password in the body.
        let digest = self.platform_key(Purpose::RequestDigest).sign(body);
        Repeatable { actor: caller.permit.subject().to_owned(), key, route, digest }
    }

    fn platform_key(&self, purpose: Purpose) -> MacKey {
        self.0.keyring.derive(purpose, TenantId::from_uuid(Uuid::nil()))
    }

    /// Claims the key. Exactly one of several callers at once is told [`Repeat::New`], and must carry
    /// the order out and then keep its answer or give the key up.
    pub async fn begin_once(&self, order: &Repeatable) -> Result<Repeat, ControlFault> {
        match self.0.registry.reserve_request(&order.key(), HOLD).await? {
            Repeat::Done(kept) => self.unmarked(order, &kept).map(Repeat::Done),
            other => Ok(other),
        }
    }

    /// A kept answer without its mark. Whoever writes to the registry has no keys and cannot put words of
    /// her own into the gateway's mouth.
    fn unmarked(&self, order: &Repeatable, kept: &str) -> Result<String, ControlFault> {
        let good = kept.split_once('.').filter(|(mark, answer)| {
            let tag = URL_SAFE_NO_PAD.decode(mark).unwrap_or_default();
            self.platform_key(Purpose::KeptAnswer).verify(&order.message(answer), &tag)
        });
        good.map(|(_, answer)| answer.to_owned()).ok_or_else(|| {
            metrics::counter!(names::INTEGRITY).increment(1);
            tracing::error!(target: "wardgate::integrity",
                "an answer kept for an Idempotency-Key was written without the keys and is not given");
            ControlFault::Conflict(
                "the answer kept for this Idempotency-Key was changed by another hand; look before \
                 ordering again",
            )
        })
    }

    /// Keeps the answer for a day, with a mark.
    pub async fn keep_answer(&self, order: &Repeatable, answer: &str) -> Result<(), ControlFault> {
        let mark = self.platform_key(Purpose::KeptAnswer).sign(&order.message(answer));
        let kept = format!("{}.{answer}", URL_SAFE_NO_PAD.encode(mark));
        Ok(self.0.registry.complete_request(&order.key(), &kept, KEEP).await?)
    }

    /// Gives up the key of an order that was refused or failed, so that it may be sent again.
    pub async fn give_up(&self, order: &Repeatable) -> Result<(), ControlFault> {
        Ok(self.0.registry.abandon_request(&order.key()).await?)
    }
}
