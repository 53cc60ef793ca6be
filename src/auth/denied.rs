//! Sessions and subjects an issuer has logged out, and the logout tokens already seen.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use super::principal::Token;
use crate::base::Timestamp;

/// One issuer's logged-out sessions. Bounded: when full, the entry that would end first makes room.
pub(super) struct DenyList {
    /// Spares every request the lock while nobody has logged out.
    any: AtomicBool,
    entries: RwLock<Entries>,
    keep: Duration,
    capacity: usize,
}

#[derive(Default)]
struct Entries {
    sessions: HashMap<Box<str>, Timestamp>,
    subjects: HashMap<Box<str>, Ended>,
    seen: HashMap<Box<str>, Timestamp>,
}

#[derive(Clone, Copy)]
struct Ended {
    at: Timestamp,
    until: Timestamp,
}

/// Whom a logout token ends.
pub(super) enum Who<'a> {
    /// That session; every token that carries it is refused.
    Session(&'a str),
    /// All of the subject's sessions up to the logout; tokens issued later count.
    Subject(&'a str),
}

impl DenyList {
    pub(super) fn new(keep: Duration, capacity: usize) -> Self {
        Self {
            any: AtomicBool::new(false),
            entries: RwLock::new(Entries::default()),
            keep,
            capacity: capacity.max(1),
        }
    }

    /// Whether the token's session or subject has been logged out.
    pub(super) fn denies(&self, token: &Token) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return false;
        }
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        token.sid.as_ref().is_some_and(|sid| entries.sessions.contains_key(sid))
            || entries.subjects.get(&token.subject).is_some_and(|end| token.issued_at <= end.at)
    }

    /// Ends a session or subject, once per logout token. `false` when the token was seen before.
    pub(super) fn end(
        &self,
        who: &Who<'_>,
        jti: &str,
        issued_at: Timestamp,
        jti_until: Timestamp,
        now: Timestamp,
    ) -> bool {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.sessions.retain(|_, until| *until > now);
        entries.subjects.retain(|_, ended| ended.until > now);
        entries.seen.retain(|_, until| *until > now);
        if entries.seen.contains_key(jti) {
            return false;
        }
        make_room(&mut entries.seen, self.capacity, |until| *until);
        entries.seen.insert(Box::from(jti), jti_until);
        let until = now.plus(self.keep);
        match who {
            Who::Session(sid) => {
                make_room(&mut entries.sessions, self.capacity, |until| *until);
                entries.sessions.insert(Box::from(*sid), until);
            }
            Who::Subject(sub) => {
                make_room(&mut entries.subjects, self.capacity, |ended| ended.until);
                entries.subjects.insert(Box::from(*sub), Ended { at: issued_at, until });
            }
        }
        self.any.store(true, Ordering::Release);
        true
    }
}

fn make_room<V>(map: &mut HashMap<Box<str>, V>, capacity: usize, ends: impl Fn(&V) -> Timestamp) {
    if map.len() >= capacity
        && let Some(first) = map.iter().min_by_key(|(_, value)| ends(value)).map(|(k, _)| k.clone())
    {
        map.remove(&first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Principal;
    use crate::base::TenantId;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn list(capacity: usize) -> DenyList {
        DenyList::new(Duration::from_secs(100), capacity)
    }

    fn end(list: &DenyList, who: &Who<'_>, jti: &str, now: i64) -> bool {
        list.end(who, jti, at(now), at(now + 120), at(now))
    }

    #[test]
    fn a_subject_is_denied_for_what_was_issued_before() {
        // The token for tests was issued at 0 to subject-1, without a session.
        let token = Principal::for_tests(TenantId::random(), &[], "").token;
        let list = list(10);
        assert!(!list.denies(&token));
        assert!(end(&list, &Who::Subject("subject-2"), "a", 0));
        assert!(end(&list, &Who::Session("subject-1"), "b", 0));
        assert!(!list.denies(&token));
        assert!(end(&list, &Who::Subject("subject-1"), "c", 0));
        assert!(list.denies(&token));
    }

    #[test]
    fn a_logout_token_counts_once() {
        let list = list(10);
        assert!(end(&list, &Who::Session("s"), "a", 0));
        assert!(!end(&list, &Who::Session("t"), "a", 5));
        assert_eq!(list.entries.read().unwrap().sessions.len(), 1);
    }

    #[test]
    fn entries_end_and_are_bounded() {
        let list = list(3);
        for n in 0..10 {
            assert!(end(&list, &Who::Session(&format!("s{n}")), &format!("j{n}"), n));
        }
        let held = |list: &DenyList| {
            let entries = list.entries.read().unwrap();
            let mut held: Vec<_> = entries.sessions.keys().map(ToString::to_string).collect();
            held.sort();
            held
        };
        assert_eq!(held(&list), ["s7", "s8", "s9"]);
        assert!(end(&list, &Who::Session("late"), "late", 200));
        assert_eq!(held(&list), ["late"]);
    }
}
