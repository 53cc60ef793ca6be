//! The operators' log: page by page, and as it grows.

use std::collections::BTreeSet;

use serde::Serialize;
use utoipa::ToSchema;

use super::fault::ControlFault;
use super::view::EventView;
use super::{Caller, Control};
use crate::registry::{EventFilter, OperatorEvent};

/// A page of the operators' log, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventPage {
    /// The events.
    pub events: Vec<EventView>,
    /// What to send as `before` for the next page; nothing on the last one.
    pub next: Option<i64>,
}

/// How far back a reader of the growing log looks for events of writers who were slower than the last one seen.
const BACK: u64 = 64;
/// Most events of one look.
const AT_ONCE: u32 = 200;

/// Where a reader of the growing log stands.
#[derive(Debug)]
pub struct Following {
    /// Nothing up to here is of interest.
    from: u64,
    last: u64,
    /// What was told of the last few.
    told: BTreeSet<u64>,
}

impl Following {
    /// Just behind an event.
    pub const fn behind(id: u64) -> Self {
        Self { from: id, last: id, told: BTreeSet::new() }
    }

    /// Where to look from.
    fn since(&self) -> u64 {
        self.from.max(self.last.saturating_sub(BACK))
    }

    /// Whether an event is new; it is not any more.
    fn is_new(&mut self, id: u64) -> bool {
        self.last = self.last.max(id);
        self.told.insert(id)
    }

    fn forget(&mut self) {
        let since = self.since();
        self.told.retain(|id| *id > since);
    }
}

impl Control {
    /// The operators' log.
    pub async fn events(
        &self,
        _caller: &Caller,
        before: Option<i64>,
        limit: u32,
    ) -> Result<EventPage, ControlFault> {
        let limit = limit.clamp(1, 200);
        let before = before.and_then(|n| u64::try_from(n).ok());
        let filter = EventFilter { tenant: None, before };
        let found = self.0.registry.list_events(&filter, limit).await?;
        let full = found.len() == limit as usize;
        let events: Vec<EventView> = found.into_iter().map(event_view).collect();
        let next = if full { events.last().map(|e| e.id) } else { None };
        Ok(EventPage { events, next })
    }

    /// The end of the operators' log.
    pub async fn end_of_events(&self, _caller: &Caller) -> Result<Following, ControlFault> {
        let known = self.0.registry.list_events(&EventFilter::default(), AT_ONCE).await?;
        let last = known.first().map_or(0, |event| event.id);
        let mut at =
            Following { from: 0, last, told: known.iter().map(|event| event.id).collect() };
        at.forget();
        Ok(at)
    }

    /// What the operators' log has got since, oldest first; each event once.
    pub async fn events_since(
        &self,
        _caller: &Caller,
        at: &mut Following,
    ) -> Result<Vec<EventView>, ControlFault> {
        let found = self.0.registry.events_since(at.since(), AT_ONCE).await?;
        let new: Vec<_> = found.into_iter().filter(|event| at.is_new(event.id)).collect();
        at.forget();
        Ok(new.into_iter().map(event_view).collect())
    }
}

pub(super) fn event_view(e: OperatorEvent) -> EventView {
    EventView {
        id: i64::try_from(e.id).unwrap_or(i64::MAX),
        at: e.at.to_string(),
        actor: format!("{}:{}", e.actor.kind, e.actor.subject),
        action: e.action,
        tenant: e.tenant.map(|t| *t.as_uuid()),
        generation: e.generation.map(|g| g.0),
        detail: e.detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_of(at: &mut Following, ids: &[u64]) -> Vec<u64> {
        let found = ids.iter().copied().filter(|id| *id > at.since()).collect::<Vec<_>>();
        let new = found.into_iter().filter(|id| at.is_new(*id)).collect();
        at.forget();
        new
    }

    #[test]
    fn each_event_is_told_once_also_one_whose_writer_was_slow() {
        let mut at = Following::behind(10);
        assert_eq!(new_of(&mut at, &[9, 10, 11, 13]), [11, 13]);
        assert_eq!(new_of(&mut at, &[11, 12, 13, 14]), [12, 14]);
        assert_eq!(new_of(&mut at, &[11, 12, 13, 14]), [0; 0]);
        let many: Vec<u64> = (11..500).collect();
        assert_eq!(new_of(&mut at, &many), (15..500).collect::<Vec<_>>());
        assert_eq!(new_of(&mut at, &many), [0; 0]);
        assert!(at.told.len() <= 64, "{}", at.told.len());
    }
}
