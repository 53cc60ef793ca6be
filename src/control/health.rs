//! How a tenant is, in one sentence that an operator can act on.

use super::{BreakerView, LaneView};
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
}

pub(super) fn of(
    summary: &TenantSummary,
    lane: &LaneView,
    breaker: &BreakerView,
    recent: &Recent,
    now: Timestamp,
) -> Health {
    let health = |level, sentence: String, since: Option<String>| Health { level, sentence, since };
    let tenant = &summary.tenant;
    if tenant.state != TenantState::Active {
        let sentence = match (tenant.state, tenant.state_reason.as_deref()) {
            (TenantState::Suspended, Some(reason)) => {
                format!("Suspended by an operator: {reason}.")
            }
            (TenantState::Suspended, None) => "Suspended by an operator.".to_owned(),
            (TenantState::Draft, _) if summary.engine.is_none() => {
                "A draft: it has no connection yet.".to_owned()
            }
            (TenantState::Draft, _) => {
                "A draft: its connection was never checked and it is not served.".to_owned()
            }
            (state, _) => format!("It is {} and not served.", state.as_str()),
        };
        return health(Level::Off, sentence, Some(tenant.updated_at.to_string()));
    }
    if summary.engine.is_none() {
        return health(Level::Ill, "It is active and has no connection.".to_owned(), None);
    }
    let cause = breaker.last_reason.as_deref().map_or("an unknown failure", words);
    if breaker.state == "open" {
        let next = breaker.retry_after_secs.unwrap_or(0);
        let sentence = format!(
            "The breaker is open: {cause}. Requests get 503 at once; the next try is in {next} s."
        );
        return health(Level::Ill, sentence, breaker.since.clone());
    }
    if breaker.state == "half_open" {
        let sentence = format!("The database is being tried again after {cause}.");
        return health(Level::Watch, sentence, breaker.since.clone());
    }
    if summary.active_mapping.is_none() {
        let sentence = "No mapping is in force, so there is nothing to read.".to_owned();
        return health(Level::Watch, sentence, None);
    }
    strained(lane, recent, now).unwrap_or_else(|| {
        let sentence = if recent.total() == 0 {
            "Ready; nobody asked in the last 15 minutes.".to_owned()
        } else {
            "Serving; nothing is wrong.".to_owned()
        };
        health(Level::Well, sentence, None)
    })
}

/// A tenant whose stored configuration does not read: refused, whatever else it is.
pub(super) fn damaged(what: &'static str) -> Health {
    let sentence = format!("Its stored {what} is damaged, so it is not served.");
    Health { level: Level::Ill, sentence, since: None }
}

/// Served, and not well.
fn strained(lane: &LaneView, recent: &Recent, now: Timestamp) -> Option<Health> {
    let (asked, failed) = (recent.total(), recent.failed());
    if failed * 20 >= asked && failed > 0 {
        let level = if failed * 2 >= asked { Level::Ill } else { Level::Watch };
        let cause = lane.last_error.as_deref().map(words);
        let cause = cause.map(|cause| format!(" Last failure: {cause}.")).unwrap_or_default();
        let sentence =
            format!("{failed} of {asked} requests failed in the last 15 minutes.{cause}");
        return Some(Health { level, sentence, since: lane.last_error_at.clone() });
    }
    if lane.waiting > 0 && lane.idle == 0 {
        let sentence = format!(
            "All {} connections are in use and {} requests wait for one.",
            lane.max, lane.waiting
        );
        return Some(Health { level: Level::Watch, sentence, since: None });
    }
    let at = lane.last_error_at.as_deref()?.parse::<jiff::Timestamp>().ok()?;
    let age = now.since(Timestamp::from_millis(at.as_millisecond()));
    let code = lane.last_error.as_deref().filter(|_| age.as_secs() < 300)?;
    let sentence = format!("Serving again; the last failure was: {}.", words(code));
    Some(Health { level: Level::Watch, sentence, since: lane.last_error_at.clone() })
}

/// What a failure's code means, for people. Unknown codes stand for themselves.
fn words(code: &str) -> &str {
    match code {
        "resolve" => "the host name does not resolve",
        "egress" => "the address is not on the egress list",
        "refused" => "the database refuses connections",
        "timeout" | "connect_timeout" => "the database does not answer in time",
        "tls" => "the certificate is not acceptable",
        "auth" => "the role or its password is refused",
        "no_such_database" => "the database is not there",
        "full" => "the server has no connection left for this role",
        "file" => "the database file cannot be opened",
        "wrong_server" => "another server answers than the one registered",
        other => other,
    }
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
