//! Places that tenants share, given out by weight: to whoever holds least for its weight, and among equals in
//! turns as long as their weights. No tenant's queue is in front of another's.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::base::TenantId;

/// The turns of weight 1 are so far apart.
const STRIDE: u64 = 1 << 20;

/// So many places for all tenants together. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Fair(Arc<Mutex<State>>);

struct State {
    free: u32,
    shares: HashMap<TenantId, Share>,
    /// How many wait.
    waiting: usize,
    /// Numbers those who wait.
    next: u64,
    /// How far the turns are; whoever comes now does not catch up on turns she did not want.
    clock: u64,
}

struct Share {
    weight: u32,
    held: u32,
    /// When this tenant's next turn is.
    turn: u64,
    queue: VecDeque<(u64, oneshot::Sender<()>)>,
}

impl Share {
    /// Whether this one holds less for its weight than the other.
    fn below(&self, other: &Self) -> std::cmp::Ordering {
        let held = |share: &Self, by: &Self| u64::from(share.held) * u64::from(by.weight);
        held(self, other).cmp(&held(other, self))
    }
}

/// A place; dropping it gives it to the next in turn.
pub(crate) struct Place {
    fair: Fair,
    tenant: TenantId,
}

/// Somebody who waits for a place. Going away gives up the wait, or the place that was just given.
pub(crate) struct Waiter {
    fair: Fair,
    tenant: TenantId,
    number: u64,
    given: oneshot::Receiver<()>,
    over: bool,
}

impl Fair {
    pub(crate) fn new(places: u32) -> Self {
        let shares = HashMap::new();
        Self(Arc::new(Mutex::new(State { free: places, shares, waiting: 0, next: 0, clock: 0 })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place that nobody holds.
    pub(crate) fn try_take(&self, tenant: TenantId, weight: u32) -> Option<Place> {
        let mut state = self.state();
        if state.free == 0 {
            return None;
        }
        state.share(tenant, weight);
        state.give(tenant);
        Some(Place { fair: self.clone(), tenant })
    }

    /// Waits in the tenant's own queue.
    pub(crate) fn queue(&self, tenant: TenantId, weight: u32) -> Waiter {
        let (sender, given) = oneshot::channel();
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.waiting += 1;
        state.share(tenant, weight).queue.push_back((number, sender));
        // One may have become free since it was asked for.
        state.serve();
        drop(state);
        Waiter { fair: self.clone(), tenant, number, given, over: false }
    }

    /// How many wait.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.state().waiting
    }

    /// Whether `from` should part with a place for somebody who waits: for whoever has none at all, and
    /// otherwise where the two would then stand nearer to their weights than now.
    pub(crate) fn should_yield(&self, from: TenantId) -> bool {
        let state = self.state();
        if state.waiting == 0 {
            return false;
        }
        let Some(holder) = state.shares.get(&from) else { return false };
        let mut others = state.shares.iter().filter(|(id, s)| **id != from && !s.queue.is_empty());
        others.any(|(_, other)| better_with(holder, other))
    }

    /// The same for one who waits, or is about to.
    pub(crate) fn may_take(&self, from: TenantId, to: TenantId) -> bool {
        let state = self.state();
        let (holder, other) = (state.shares.get(&from), state.shares.get(&to));
        match (holder, other) {
            (Some(holder), Some(other)) => from == to || better_with(holder, other),
            _ => true,
        }
    }
}

fn better_with(holder: &Share, other: &Share) -> bool {
    if holder.held == 0 {
        return false;
    }
    let after_holder = u64::from(holder.held - 1) * u64::from(other.weight);
    let after_other = u64::from(other.held + 1) * u64::from(holder.weight);
    other.held == 0 || after_holder >= after_other
}

impl State {
    fn share(&mut self, tenant: TenantId, weight: u32) -> &mut Share {
        let clock = self.clock;
        let fresh = || Share { weight: 1, held: 0, turn: clock, queue: VecDeque::new() };
        let share = self.shares.entry(tenant).or_insert_with(fresh);
        share.weight = weight.max(1);
        if share.queue.is_empty() {
            share.turn = share.turn.max(clock);
        }
        share
    }

    /// Counts a free place as the tenant's.
    fn give(&mut self, tenant: TenantId) {
        let Some(share) = self.shares.get_mut(&tenant) else { return };
        self.free -= 1;
        share.held += 1;
        self.clock = self.clock.max(share.turn);
        share.turn += STRIDE / u64::from(share.weight);
    }

    /// Gives free places to those who wait.
    fn serve(&mut self) {
        while self.free > 0 {
            let waiting = self.shares.iter().filter(|(_, share)| !share.queue.is_empty());
            let first = |share: &Share| share.queue.front().map_or(0, |(number, _)| *number);
            let next = waiting.min_by(|(_, a), (_, b)| {
                a.below(b).then(a.turn.cmp(&b.turn)).then(first(a).cmp(&first(b)))
            });
            let Some(tenant) = next.map(|(tenant, _)| *tenant) else { return };
            self.give(tenant);
            self.waiting -= 1;
            let front = self.shares.get_mut(&tenant).and_then(|share| share.queue.pop_front());
            // Whoever has gone away meanwhile gives the place back herself.
            let _gone = front.is_none_or(|(_, sender)| sender.send(()).is_err());
        }
    }

    fn take_back(&mut self, tenant: TenantId) {
        self.free += 1;
        if let Some(share) = self.shares.get_mut(&tenant) {
            share.held = share.held.saturating_sub(1);
        }
        self.serve();
        self.forget(tenant);
    }

    fn forget(&mut self, tenant: TenantId) {
        let idle = |share: &Share| share.held == 0 && share.queue.is_empty();
        // While somebody waits, it counts who has had her turns.
        let ahead = |share: &Share| self.waiting > 0 && share.turn > self.clock;
        if self.shares.get(&tenant).is_some_and(|share| idle(share) && !ahead(share)) {
            self.shares.remove(&tenant);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.fair.state().take_back(self.tenant);
    }
}

impl Waiter {
    /// Waits for the turn. Safe to be dropped and asked again.
    pub(crate) async fn place(&mut self) -> Place {
        let _sent_or_given_up = (&mut self.given).await.is_ok();
        self.over = true;
        Place { fair: self.fair.clone(), tenant: self.tenant }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let mut state = self.fair.state();
        let Some(share) = state.shares.get_mut(&self.tenant) else { return };
        let before = share.queue.len();
        share.queue.retain(|(number, _)| *number != self.number);
        if share.queue.len() == before {
            state.take_back(self.tenant);
        } else {
            state.waiting -= 1;
            state.forget(self.tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// The order in which callers of several tenants are served, each giving her place back at once.
    fn served(places: u32, callers: &[(TenantId, u32, usize)]) -> Vec<TenantId> {
        let fair = Fair::new(places);
        let blocker = TenantId::random();
        let held: Vec<_> = (0..places).map(|_| fair.try_take(blocker, 1).unwrap()).collect();
        let mut waiting: Vec<Waiter> = Vec::new();
        for (tenant, weight, count) in callers {
            waiting.extend((0..*count).map(|_| fair.queue(*tenant, *weight)));
        }
        drop(held);
        let mut order = Vec::new();
        while !waiting.is_empty() {
            let at = waiting
                .iter_mut()
                .position(|waiter| waiter.place().now_or_never().map(drop).is_some());
            order.push(waiting.remove(at.expect("somebody's turn")).tenant);
        }
        order
    }

    #[test]
    fn a_tenant_with_twenty_times_the_callers_has_no_more_turns() {
        let (loud, quiet, other) = (TenantId::random(), TenantId::random(), TenantId::random());
        let order = served(1, &[(loud, 1, 60), (quiet, 1, 3), (other, 1, 3)]);
        // All that the others wanted is served within the first nine turns, three of them the loud one's.
        let first = &order[..9];
        for tenant in [loud, quiet, other] {
            assert_eq!(first.iter().filter(|t| **t == tenant).count(), 3);
        }
        for turns in first.chunks(3) {
            assert!(turns.contains(&quiet) && turns.contains(&other), "in every round");
        }
        assert!(order[9..].iter().all(|tenant| *tenant == loud));
    }

    #[test]
    fn turns_are_as_the_weights() {
        let (three, one) = (TenantId::random(), TenantId::random());
        let order = served(1, &[(one, 1, 40), (three, 3, 40)]);
        for turns in order[..40].chunks(4) {
            assert_eq!(turns.iter().filter(|tenant| **tenant == three).count(), 3, "{turns:?}");
        }
    }

    #[test]
    fn who_holds_least_for_its_weight_is_next() {
        let fair = Fair::new(5);
        let (a, b, c) = (TenantId::random(), TenantId::random(), TenantId::random());
        let mut held: Vec<_> = (0..4).map(|_| fair.try_take(a, 1).unwrap()).collect();
        held.push(fair.try_take(b, 1).unwrap());
        assert!(fair.try_take(c, 1).is_none());
        let (mut more_a, mut more_b) = (fair.queue(a, 1), fair.queue(b, 1));
        let mut first_c = fair.queue(c, 1);
        held.remove(0);
        let of_c = first_c.place().now_or_never().expect("it has none");
        held.remove(0);
        let of_b = more_b.place().now_or_never().expect("it has one, and a two");
        assert!(more_a.place().now_or_never().is_none());
        drop(of_b);
        let of_a = more_a.place().now_or_never().expect("nobody else waits");
        drop((of_a, of_c, held));
        assert_eq!(fair.state().free, 5);
    }

    #[test]
    fn a_place_is_parted_with_for_whoever_has_none_and_where_it_evens_out() {
        let fair = Fair::new(6);
        let (rich, poor, none) = (TenantId::random(), TenantId::random(), TenantId::random());
        let _rich: Vec<_> = (0..4).map(|_| fair.try_take(rich, 1).unwrap()).collect();
        let _poor: Vec<_> = (0..2).map(|_| fair.try_take(poor, 1).unwrap()).collect();
        assert!(!fair.should_yield(rich), "nobody waits");
        let waiter = fair.queue(poor, 1);
        assert!(fair.should_yield(rich) && !fair.should_yield(poor));
        drop(waiter);
        let waiter = fair.queue(rich, 1);
        assert!(!fair.should_yield(poor), "it would only change sides");
        drop(waiter);
        let _waiter = fair.queue(none, 1);
        assert!(fair.should_yield(rich) && fair.should_yield(poor));
        let heavy = fair.queue(poor, 9);
        assert!(fair.should_yield(rich), "it weighs more");
        drop(heavy);
    }

    #[test]
    fn nothing_is_lost_by_those_who_go_away() {
        let fair = Fair::new(1);
        let (a, b) = (TenantId::random(), TenantId::random());
        let held = fair.try_take(a, 1).unwrap();
        let (gone, given, mut last) = (fair.queue(a, 1), fair.queue(b, 1), fair.queue(b, 1));
        drop(gone);
        drop(held);
        // Given to the first of b, who never looked.
        drop(given);
        drop(last.place().now_or_never().expect("the next in turn"));
        assert_eq!(fair.state().free, 1);
        drop(last);
        assert_eq!(fair.state().free, 1);
        assert!(fair.state().shares.values().all(|share| share.held == 0));
    }
}
