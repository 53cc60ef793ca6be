//! Who waits for the next fetch of an issuer's keys, by the key id they wait for.
//!
//! Anybody can invent key ids, so what is remembered of them is bounded; and whoever holds a token under a
//! key that is new and real must not find the places taken. So callers with the same id share one place,
//! and when all places are taken a new id takes the one with the fewest callers, the oldest of those first:
//! invented ids push each other out, and a real new key, which many ask for, stays.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// The places of one issuer.
pub(super) struct Waiting {
    places: Mutex<Places>,
    most: usize,
}

#[derive(Default)]
struct Places {
    by_kid: HashMap<Box<str>, Place>,
    /// Counts places given, so that each has a number of its own.
    given: u64,
}

struct Place {
    number: u64,
    callers: usize,
    pushed_out: CancellationToken,
}

/// A caller's share in a place; given back when dropped.
pub(super) struct Share<'w> {
    waiting: &'w Waiting,
    kid: &'w str,
    number: u64,
    /// Ends the wait when the place is taken by another key id.
    pub pushed_out: CancellationToken,
}

impl Waiting {
    /// At most `most` key ids, at least one.
    pub(super) fn new(most: usize) -> Self {
        Self { places: Mutex::default(), most: most.max(1) }
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A share in the place of that key id.
    pub(super) fn enter<'w>(&'w self, kid: &'w str) -> Share<'w> {
        let mut places = self.lock();
        if let Some(place) = places.by_kid.get_mut(kid) {
            place.callers += 1;
            let (number, pushed_out) = (place.number, place.pushed_out.clone());
            return Share { waiting: self, kid, number, pushed_out };
        }
        if places.by_kid.len() >= self.most {
            let least = places.by_kid.iter().min_by_key(|(_, place)| (place.callers, place.number));
            if let Some(kid) = least.map(|(kid, _)| kid.clone())
                && let Some(place) = places.by_kid.remove(&kid)
            {
                place.pushed_out.cancel();
            }
        }
        places.given += 1;
        let (number, pushed_out) = (places.given, CancellationToken::new());
        let place = Place { number, callers: 1, pushed_out: pushed_out.clone() };
        places.by_kid.insert(Box::from(kid), place);
        Share { waiting: self, kid, number, pushed_out }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut places = self.waiting.lock();
        // A place of the same id that was given after this one was pushed out is somebody else's.
        if let Some(place) = places.by_kid.get_mut(self.kid).filter(|p| p.number == self.number) {
            place.callers -= 1;
            if place.callers == 0 {
                places.by_kid.remove(self.kid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_fewest_wait_for_gives_way_and_shares_are_given_back() {
        let waiting = Waiting::new(2);
        let real = [waiting.enter("real"), waiting.enter("real")];
        let first = waiting.enter("first");
        let second = waiting.enter("second");
        assert!(first.pushed_out.is_cancelled());
        assert!(!second.pushed_out.is_cancelled());
        let again = waiting.enter("first");
        assert!(second.pushed_out.is_cancelled());
        // Its place is gone; giving back the old share leaves the new one alone.
        drop(first);
        assert!(!again.pushed_out.is_cancelled());
        assert!(real.iter().all(|share| !share.pushed_out.is_cancelled()));
        drop((real, second, again));
        assert!(waiting.lock().by_kid.is_empty());
    }
}
