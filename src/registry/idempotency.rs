use std::time::Duration;

use super::value::binds;
use super::{Registry, RegistryFault};

/// A client's promise that a request is the same one again.
#[derive(Debug, Clone, Copy)]
pub struct IdempotencyKey<'a> {
    /// Who sent it; keys of different actors never meet.
    pub actor: &'a str,
    /// The `Idempotency-Key` header; 1 to 128 characters.
    pub key: &'a str,
    /// Method and route.
    pub route: &'a str,
    /// A digest of the request's body.
    pub request_hash: &'a [u8],
}

/// What a key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reservation {
    /// New: carry the request out, then [`Registry::complete_request`] or
    /// [`Registry::abandon_request`].
    New,
    /// Carried out before: answer this again.
    Done(String),
    /// The same request is under way.
    UnderWay,
    /// The key was used for another request.
    Mismatch,
}

impl Registry {
    /// Claims a key for `keep`. Exactly one of several concurrent callers is told `New`.
    pub async fn reserve_request(
        &self,
        key: &IdempotencyKey<'_>,
        keep: Duration,
    ) -> Result<Reservation, RegistryFault> {
        if !(1..=128).contains(&key.key.chars().count()) {
            return Err(RegistryFault::Invalid("an idempotency key has 1 to 128 characters"));
        }
        let now = self.inner.clock.now();
        let mut tx = self.write().await?;
        let expired = "DELETE FROM idempotency_keys WHERE expires_at <= $1";
        tx.execute(expired, binds![now]).await?;
        let inserted = tx
            .execute(
                "INSERT INTO idempotency_keys (actor, key, route, request_hash, expires_at) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT (actor, key) DO NOTHING",
                binds![key.actor, key.key, key.route, key.request_hash, now.plus(keep)],
            )
            .await?;
        let reservation = if inserted == 1 {
            Reservation::New
        } else {
            let sql = "SELECT route, request_hash, response FROM idempotency_keys \
                       WHERE actor = $1 AND key = $2";
            match tx.fetch_one(sql, binds![key.actor, key.key]).await? {
                // Given up by the other caller in this moment: the client tries again.
                None => Reservation::UnderWay,
                Some(row) if row.text(0)? != key.route || row.bytes(1)? != key.request_hash => {
                    Reservation::Mismatch
                }
                Some(row) => row.opt_text(2)?.map_or(Reservation::UnderWay, Reservation::Done),
            }
        };
        tx.commit().await?;
        Ok(reservation)
    }

    /// Keeps the answer of a request that was carried out, for `keep` from now.
    pub async fn complete_request(
        &self,
        key: &IdempotencyKey<'_>,
        response: &str,
        keep: Duration,
    ) -> Result<(), RegistryFault> {
        let until = self.inner.clock.now().plus(keep);
        let mut tx = self.write().await?;
        let sql = "UPDATE idempotency_keys SET response = $3, expires_at = $4 \
                   WHERE actor = $1 AND key = $2";
        tx.execute(sql, binds![key.actor, key.key, response, until]).await?;
        tx.commit().await
    }

    /// Frees the key of a request that changed nothing, so that it can be sent again.
    pub async fn abandon_request(&self, key: &IdempotencyKey<'_>) -> Result<(), RegistryFault> {
        let mut tx = self.write().await?;
        let sql = "DELETE FROM idempotency_keys WHERE actor = $1 AND key = $2 AND response IS NULL";
        tx.execute(sql, binds![key.actor, key.key]).await?;
        tx.commit().await
    }
}
