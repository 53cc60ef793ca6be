//! Answers that were given and not taken yet. A request's admission ends with its handler, and what it answered
//! lies in the gateway's memory until the client has taken it: for as long as that client likes, on as many
//! connections. So the bytes themselves say whose they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;

use super::Pools;
use crate::base::TenantId;

/// Bytes of one tenant's answers that may lie here at once; with more of them no further request is let in.
pub(super) const MOST: u64 = 256 * 1024 * 1024;
/// Answers that are shorter are not counted: all connections there may be hold no more of them than this.
const SMALL: usize = 64 * 1024;

/// An answer, counted for as long as it lies here.
struct Untaken {
    body: Vec<u8>,
    all: Arc<AtomicU64>,
}

fn size(body: &[u8]) -> u64 {
    u64::try_from(body.len()).unwrap_or(u64::MAX)
}

impl AsRef<[u8]> for Untaken {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Drop for Untaken {
    fn drop(&mut self) {
        self.all.fetch_sub(size(&self.body), Relaxed);
    }
}

impl Pools {
    fn untaken(&self, tenant: TenantId) -> Arc<AtomicU64> {
        Arc::clone(&self.inner.tenant(tenant).gate.untaken)
    }

    /// An answer of a tenant's, to be given out: counted among those not taken yet until its last copy is
    /// dropped.
    pub fn counted(&self, tenant: TenantId, body: Vec<u8>) -> Bytes {
        if body.len() < SMALL {
            return Bytes::from(body);
        }
        let all = self.untaken(tenant);
        all.fetch_add(size(&body), Relaxed);
        Bytes::from_owner(Untaken { body, all })
    }
}

#[cfg(test)]
mod tests {
    use super::super::TenantLimits;
    use super::super::fakes::{Bench, quick};
    use super::*;

    #[tokio::test]
    async fn whoever_takes_no_answers_is_given_no_more() {
        let (bench, limits) = (Bench::new(quick()), TenantLimits::default());
        let (greedy, other) = (TenantId::random(), TenantId::random());
        let answer = || bench.pools.counted(greedy, vec![0; 65 * 1024 * 1024]);
        let mut answers: Vec<Bytes> = (0..3).map(|_| answer()).collect();
        assert!(bench.pools.admit(greedy, &limits).is_ok());
        answers.push(answer());
        assert!(bench.pools.admit(greedy, &limits).is_err());
        assert!(bench.pools.admit(other, &limits).is_ok());
        // A part of it is as long as all of it.
        let part = answers.pop().unwrap().slice(..1);
        assert!(bench.pools.admit(greedy, &limits).is_err());
        drop(part);
        assert!(bench.pools.admit(greedy, &limits).is_ok());
    }

    #[tokio::test]
    async fn short_answers_are_not_counted() {
        let bench = Bench::new(quick());
        let (tenant, all) =
            (TenantId::random(), |tenant| bench.pools.untaken(tenant).load(Relaxed));
        let short = bench.pools.counted(tenant, vec![0; SMALL - 1]);
        assert_eq!((short.len(), all(tenant)), (SMALL - 1, 0));
        let long = bench.pools.counted(tenant, vec![0; SMALL]);
        assert_eq!(all(tenant), 64 * 1024);
        drop(long);
        assert_eq!(all(tenant), 0);
    }
}
