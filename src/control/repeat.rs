use std::time::Duration;

use uuid::Uuid;

use super::fault::ControlFault;
use super::{Caller, Control};
use crate::base::TenantId;
use crate::keyring::Purpose;
use crate::registry::IdempotencyKey;

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
        let platform = TenantId::from_uuid(Uuid::nil());
        let digest = self.0.keyring.derive(Purpose::RequestDigest, platform).sign(body);
        Repeatable { actor: caller.permit.subject().to_owned(), key, route, digest }
    }

    /// Claims the key. Exactly one of several callers at once is told [`Repeat::New`], and must carry
    /// the order out and then keep its answer or give the key up.
    pub async fn begin_once(&self, order: &Repeatable) -> Result<Repeat, ControlFault> {
        Ok(self.0.registry.reserve_request(&order.key(), HOLD).await?)
    }

    /// Keeps the answer for a day.
    pub async fn keep_answer(&self, order: &Repeatable, answer: &str) -> Result<(), ControlFault> {
        Ok(self.0.registry.complete_request(&order.key(), answer, KEEP).await?)
    }

    /// Gives up the key of an order that was refused or failed, so that it may be sent again.
    pub async fn give_up(&self, order: &Repeatable) -> Result<(), ControlFault> {
        Ok(self.0.registry.abandon_request(&order.key()).await?)
    }
}
