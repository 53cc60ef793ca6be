//! How a tenant is, in one sentence that an operator can act on.

use std::fmt::Write as _;

use super::migrate::UNSOUND;
use super::{BreakerView, LaneView, cause};
use crate::base::Timestamp;
use crate::registry::{TenantState, TenantSummary};
use crate::telemetry::traffic::Recent;

/// How a tenant is. The order is the order of attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// It is not served although it should be.
    Ill,
    /// It is served, and something is not as it should be.
    Watch,
    /// All is as it should be.
    Well,
    /// It is not served because somebody wants it so.
    Off,
}

impl Level {
    /// All, in their order.
    pub const ALL: [Self; 4] = [Self::Ill, Self::Watch, Self::Well, Self::Off];

    /// One lower-case word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ill => "down",
            Self::Watch => "watch",
            Self::Well => "well",
            Self::Off => "off",
        }
    }
}

/// How a tenant is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// In one word.
    pub level: Level,
    /// In one sentence.
    pub sentence: String,
    /// Since when (RFC 3339), where that is known.
    pub since: Option<String>,
    /// What to do next, where something is to be done.
    pub next: Option<&'static str>,
}

impl Health {
    fn new(level: Level, sentence: impl Into<String>) -> Self {
        Self { level, sentence: sentence.into(), since: None, next: None }
    }

    fn since(mut self, since: Option<String>) -> Self {
        self.since = since;
        self
    }

    const fn next(mut self, next: &'static str) -> Self {
        self.next = Some(next);
        self
    }
}

pub(super) fn of(
    summary: &TenantSummary,
    lane: &LaneView,
    breaker: &BreakerView,
    recent: &Recent,
    now: Timestamp,
) -> Health {
    let tenant = &summary.tenant;
    if tenant.state != TenantState::Active {
        return unserved(summary).since(Some(tenant.updated_at.to_string()));
    }
    if summary.engine.is_none() {
        return Health::new(Level::Ill, "It is active and has no connection.")
            .next("Give it a connection.");
    }
    let cause = cause::of(breaker.last_reason.as_deref().unwrap_or("unknown"));
    if breaker.state == "open" {
        let next = breaker.retry_after_secs.unwrap_or(0);
        let sentence = format!(
            "The breaker is open: {}. Requests get 503 at once; the next try is in {next} s.",
            cause.what
        );
        return Health::new(Level::Ill, sentence).since(breaker.since.clone()).next(cause.next);
    }
    if breaker.state == "half_open" {
        let sentence = format!("The database is being tried again after this: {}.", cause.what);
        return Health::new(Level::Watch, sentence).since(breaker.since.clone()).next(cause.next);
    }
    if summary.active_mapping.is_none() {
        return Health::new(Level::Watch, "No mapping is in force, so there is nothing to read.")
            .next("Have a draft made under Mapping, check and store it, then publish it.");
    }
    strained(lane, recent, now).unwrap_or_else(|| {
        let sentence = if recent.total() == 0 {
            "Ready; nobody asked in the last 15 minutes."
        } else {
            "Serving; nothing is wrong."
        };
        Health::new(Level::Well, sentence)
    })
}

/// Not served because somebody wants it so, or has not gone on.
fn unserved(summary: &TenantSummary) -> Health {
    let tenant = &summary.tenant;
    match (tenant.state, tenant.state_reason.as_deref()) {
        (TenantState::Suspended, Some(UNSOUND)) => Health::new(
            Level::Ill,
            "Suspended by the gateway: a migration failed, and its mapping does not fit the schema any more.",
        )
        .next("Look at the migration under Operations, mend its cause and retry it: when it succeeds the hospital is served again."),
        (TenantState::Suspended, reason) => {
            let sentence = match reason {
                Some(reason) => format!("Suspended by an operator: {}.", reason.trim_end_matches('.')),
                None => "Suspended by an operator.".to_owned(),
            };
            Health::new(Level::Off, sentence).next("Resume it when that is over.")
        }
        (TenantState::Draft, _) if summary.engine.is_none() => {
            Health::new(Level::Off, "A draft: it has no connection yet.")
                .next("Give it a connection; that is tried, and then it can be activated.")
        }
        (TenantState::Draft, _) => Health::new(
            Level::Off,
            "A draft: its connection was never checked and it is not served.",
        )
        .next("Check the connection, and activate it when every step goes well."),
        (state, _) => Health::new(Level::Off, format!("It is {} and not served.", state.as_str())),
    }
}

/// A tenant whose stored configuration does not read: refused, whatever else it is.
pub(super) fn damaged(what: &'static str) -> Health {
    let sentence = format!("Its stored {what} is damaged, so it is not served.");
    Health::new(Level::Ill, sentence)
        .next("Somebody wrote to the registry by other means. Find out who, then give that part again here.")
}

/// Served, and not well.
fn strained(lane: &LaneView, recent: &Recent, now: Timestamp) -> Option<Health> {
    let (asked, failed) = (recent.total(), recent.failed());
    if failed * 20 >= asked && failed > 0 {
        let level = if failed * 2 >= asked { Level::Ill } else { Level::Watch };
        let mut sentence = format!("{failed} of {asked} requests failed in the last 15 minutes.");
        let Some(code) = lane.last_error.as_deref() else {
            let next = "The database was reached: compare the mapping with the schema as it is, and look at the log.";
            return Some(Health::new(level, sentence).next(next));
        };
        let cause = cause::of(code);
        let _infallible = write!(sentence, " Last failure: {}.", cause.what);
        return Some(
            Health::new(level, sentence).since(lane.last_error_at.clone()).next(cause.next),
        );
    }
    if lane.waiting > 0 && lane.idle == 0 {
        let sentence = format!(
            "All {} connections are in use and {} requests wait for one.",
            lane.max, lane.waiting
        );
        let next = "Look at the slow queries below; raise its limit of connections if its server can bear it.";
        return Some(Health::new(Level::Watch, sentence).next(next));
    }
    let at = lane.last_error_at.as_deref()?.parse::<jiff::Timestamp>().ok()?;
    let age = now.since(Timestamp::from_millis(at.as_millisecond()));
    let code = lane.last_error.as_deref().filter(|_| age.as_secs() < 300)?;
    let sentence = format!("Serving again; the last failure was: {}.", cause::of(code).what);
    Some(Health::new(Level::Watch, sentence).since(lane.last_error_at.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{ConnectionRevision, Engine, Generation, TenantId};
    use crate::registry::{Ownership, Placement, Tenant};

    fn summary(state: TenantState) -> TenantSummary {
        let at = Timestamp::from_secs(0);
        TenantSummary {
            tenant: Tenant {
                id: TenantId::random(),
                name: "north".parse().unwrap(),
                display_name: "North".to_owned(),
                state,
                state_reason: Some("unpaid".to_owned()),
                ownership: Ownership::Attached,
                placement: Placement::Database,
                not_before: None,
                generation: Generation(1),
                connection_revision: ConnectionRevision(1),
                created_at: at,
                updated_at: at,
            },
            engine: Some(Engine::Sqlite),
            active_mapping: Some(1),
        }
    }

    fn recent(requests: u32, errors: u32) -> Recent {
        Recent { requests: vec![requests], errors: vec![errors], ..Recent::default() }
    }

    fn judged(
        summary: &TenantSummary,
        lane: &LaneView,
        breaker: &BreakerView,
        r: &Recent,
    ) -> Health {
        of(summary, lane, breaker, r, Timestamp::from_secs(100))
    }

    #[test]
    fn the_worst_is_said_first() {
        let (closed, lane) = (super::super::lanes::breaker_view(None), LaneView::default());
        let active = summary(TenantState::Active);
        let calm = recent(10, 0);
        assert_eq!(judged(&active, &lane, &closed, &calm).level, Level::Well);
        assert_eq!(judged(&active, &lane, &closed, &recent(100, 4)).level, Level::Well);
        assert_eq!(judged(&active, &lane, &closed, &recent(100, 5)).level, Level::Watch);
        assert_eq!(judged(&active, &lane, &closed, &recent(10, 5)).level, Level::Ill);
        let suspended = judged(&summary(TenantState::Suspended), &lane, &closed, &recent(10, 9));
        assert_eq!(suspended.level, Level::Off);
        assert!(suspended.sentence.contains("unpaid"));
        let unmapped = TenantSummary { active_mapping: None, ..active.clone() };
        assert_eq!(judged(&unmapped, &lane, &closed, &calm).level, Level::Watch);
        let open = BreakerView {
            state: "open".to_owned(),
            last_reason: Some("refused".to_owned()),
            since: Some("then".to_owned()),
            ..super::super::lanes::breaker_view(None)
        };
        let ill = judged(&unmapped, &lane, &open, &calm);
        assert_eq!((ill.level, ill.since.as_deref()), (Level::Ill, Some("then")));
        assert!(ill.sentence.contains("refuses connections"), "{}", ill.sentence);
        assert!(ill.next.is_some());
        let coded = BreakerView { last_reason: Some("28P01".to_owned()), ..open };
        let ill = judged(&active, &lane, &coded, &calm);
        assert!(ill.sentence.contains("password is refused"), "{}", ill.sentence);
        let busy = LaneView { max: 5, waiting: 2, ..LaneView::default() };
        assert_eq!(judged(&active, &busy, &closed, &calm).level, Level::Watch);
    }

    #[test]
    fn a_failure_counts_for_five_minutes() {
        let closed = super::super::lanes::breaker_view(None);
        let failed = |at: i64| LaneView {
            last_error: Some("full".to_owned()),
            last_error_at: Some(Timestamp::from_secs(at).to_string()),
            ..LaneView::default()
        };
        let level = |at| {
            let now = Timestamp::from_secs(1000);
            let active = summary(TenantState::Active);
            of(&active, &failed(at), &closed, &recent(1, 0), now).level
        };
        assert_eq!(level(900), Level::Watch);
        assert_eq!(level(600), Level::Well);
    }
}
