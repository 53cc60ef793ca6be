//! What somebody typed when she had to show once more who she is: kept on this side while she is away at the
//! issuer, and given back to her alone. Whoever keeps something sees to it that no secret is among it.

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::{SignIns, UNDER_WAY, hash, provider};
use crate::auth::OperatorPermit;

/// The fields of a form.
pub type Typed = Vec<(String, String)>;

/// The most that is kept of one form, in bytes.
const FORM: usize = 3 * 1024 * 1024;
/// The most that is kept of all, in bytes; the least recent go first.
const ALL: u64 = 32 * 1024 * 1024;

/// Forms by the hash of the name they were kept under, each with the subject who typed it.
pub(super) type Kept = Cache<[u8; 32], (String, Typed)>;

pub(super) fn nothing_yet() -> Kept {
    Cache::builder()
        .weigher(|_, (subject, typed): &(String, Typed)| {
            u32::try_from(subject.len() + bytes(typed)).unwrap_or(u32::MAX)
        })
        .max_capacity(ALL)
        .time_to_live(UNDER_WAY)
        .eviction_policy(EvictionPolicy::lru())
        .build()
}

fn bytes(typed: &Typed) -> usize {
    typed.iter().map(|(name, text)| name.len() + text.len() + 64).sum()
}

impl SignIns {
    /// Keeps what was typed for ten minutes; gives the name to ask for it by. `None` when there is too much
    /// of it.
    pub fn keep(&self, permit: &OperatorPermit, typed: Typed) -> Option<String> {
        if bytes(&typed) > FORM {
            return None;
        }
        let name = provider::random().expose().to_owned();
        self.0.kept.insert(hash(&name), (permit.subject().to_owned(), typed));
        Some(name)
    }

    /// What was kept under that name, for the person who typed it.
    pub fn kept(&self, permit: &OperatorPermit, name: &str) -> Option<Typed> {
        let (subject, typed) = self.0.kept.get(&hash(name))?;
        (subject == permit.subject()).then_some(typed)
    }
}
