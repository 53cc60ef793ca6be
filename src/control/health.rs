//! How a tenant is, in one sentence that an operator can act on.

use std::fmt::Write as _;
use std::time::Duration;

use super::mappings::DriftView;
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

/// What of its database is not as its mapping needs it, so that requests fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    /// The first of it, as a sentence.
    pub first: String,
    /// How many things there are beside.
    pub more: usize,
    /// When it was first seen (RFC 3339).
    pub since: Option<String>,
}

impl Broken {
    /// What a look at its schema found, if it was for the mapping in force.
    pub(super) fn of(drift: &DriftView, summary: &TenantSummary) -> Option<Self> {
        if summary.active_mapping != Some(drift.version.into()) {
            return None;
        }
        let mut broken = drift.changes.iter().filter(|change| change.breaks);
        let first = broken.next()?;
        let since = drift.changes.iter().filter(|change| change.breaks);
        let since = since.filter_map(|change| change.since.clone()).min();
        Some(Self { first: first.message.clone(), more: broken.count(), since })
    }
}

/// What a tenant's health is told by.
pub(super) struct Signs<'a> {
    pub lane: &'a LaneView,
    pub breaker: &'a BreakerView,
    pub recent: &'a Recent,
    pub broken: Option<&'a Broken>,
}

pub(super) fn of(summary: &TenantSummary, signs: &Signs<'_>, now: Timestamp) -> Health {
    let (tenant, breaker) = (&summary.tenant, signs.breaker);
    if tenant.state != TenantState::Active {
        return unserved(summary).since(Some(tenant.updated_at.to_string()));
    }
    if summary.engine.is_none() {
        return Health::new(Level::Ill, "It is active and has no connection.")
            .next("Give it a connection.");
    }
    let cause = cause::of(breaker.last_reason.as_deref().unwrap_or("unknown"));
    if breaker.state == "open" {
        let next = match breaker.retry_after_secs {
            None | Some(0) => "the next request tries it again".to_owned(),
            Some(secs) => format!("the next try is in {secs} s"),
        };
        let sentence =
            format!("The breaker is open: {}. Requests get 503 at once; {next}.", cause.what);
        let since = breaker.unwell_since.clone();
        return Health::new(Level::Ill, sentence).since(since).next(cause.next);
    }
    if breaker.state == "half_open" {
        let sentence = format!("The database is being tried again after this: {}.", cause.what);
        let since = breaker.unwell_since.clone();
        // One request tries it; all others are still turned away.
        return Health::new(Level::Ill, sentence).since(since).next(cause.next);
    }
    if summary.active_mapping.is_none() {
        return Health::new(Level::Watch, "No mapping is in force, so there is nothing to read.")
            .next("Have a draft made under Mapping, check and store it, then publish it.");
    }
    if let Some(broken) = signs.broken {
        return unfit(broken, signs, now);
    }
    strained(signs, now).unwrap_or_else(|| {
        let sentence = if signs.recent.total() == 0 {
            "Ready; nobody asked in the last 15 minutes."
        } else {
            "Serving; nothing is wrong."
        };
        Health::new(Level::Well, sentence)
    })
}

/// Its database is not what its mapping was made for.
fn unfit(broken: &Broken, signs: &Signs<'_>, now: Timestamp) -> Health {
    let mut sentence = format!("Its database has changed: {}", broken.first);
    if broken.more > 0 {
        let _infallible = write!(sentence, " And {} more.", broken.more);
    }
    let (asked, failed) = lately(signs.recent);
    let fails = failed > 0 && failed * 2 >= asked && failing_for(signs, now).is_some();
    let level = if fails { Level::Ill } else { Level::Watch };
    let next = "Ask the hospital what it changed and have it undone, or publish a mapping for the schema as it is. \
                A check of the connection looks again.";
    Health::new(level, sentence).since(broken.since.clone()).next(next)
}

/// Requests of the last minutes and how many of them failed; of all that is known where nobody asked in those.
fn lately(recent: &Recent) -> (u64, u64) {
    match recent.last(3) {
        (0, _) => (recent.total(), recent.failed()),
        last => last,
    }
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
fn strained(signs: &Signs<'_>, now: Timestamp) -> Option<Health> {
    let Signs { lane, breaker, recent, .. } = *signs;
    let error = lane.last_error.as_deref().zip(lane.last_error_at.as_deref().and_then(moment));
    // What the breaker saw through is over.
    let closed = breaker.since.as_deref().and_then(moment);
    let error = error.filter(|(_, at)| closed.is_none_or(|closed| *at >= closed));
    if breaker.holds_logins {
        let cause = cause::of(breaker.last_reason.as_deref().unwrap_or("unknown"));
        let sentence = format!(
            "Serving on the connections that are open; no more can be opened: {}.",
            cause.what
        );
        return Some(Health::new(Level::Watch, sentence).next(cause.next));
    }
    let ((asked, failed), (all, all_failed)) = (lately(recent), (recent.total(), recent.failed()));
    let counts = |failed: u64, asked: u64| failed > 0 && failed * 20 >= asked;
    if counts(failed, asked) || counts(all_failed, all) {
        let sentence = format!("{all_failed} of {all} requests failed in the last 15 minutes");
        let Some(age) = failing_for(signs, now) else {
            return Some(Health::new(Level::Watch, format!("{sentence}, and none of the latest.")));
        };
        let level = if failed * 2 >= asked { Level::Ill } else { Level::Watch };
        let began = before(now, age);
        // An older failure is not why these failed. The database's comes a request's time before the answer.
        let (sentence, next) = match error.filter(|(_, at)| at.plus(REQUEST) >= began) {
            Some((code, _)) => {
                let cause = cause::of(code);
                (format!("{sentence}. Last failure: {}.", cause.what), cause.next)
            }
            None => (format!("{sentence}."), UNKNOWN),
        };
        return Some(Health::new(level, sentence).since(Some(began.to_string())).next(next));
    }
    if lane.waiting > 0 && lane.idle == 0 {
        let sentence = format!(
            "All {} connections are in use and {} requests wait for one.",
            lane.max, lane.waiting
        );
        let next = "Look at the slow queries below; raise its limit of connections if its server can bear it.";
        return Some(Health::new(Level::Watch, sentence).next(next));
    }
    let (code, at) = error.filter(|(_, at)| now.since(*at) < 5 * MINUTE)?;
    let sentence = format!("Serving again; the last failure was: {}.", cause::of(code).what);
    Some(Health::new(Level::Watch, sentence).since(Some(at.to_string())))
}

/// For how long requests have been failing; nothing when the breaker has closed since the last of them did.
fn failing_for(signs: &Signs<'_>, now: Timestamp) -> Option<Duration> {
    let last = before(now, signs.recent.failed_ago?);
    let closed = signs.breaker.since.as_deref().and_then(moment);
    let through = signs.breaker.opened_total > 0 && closed.is_some_and(|closed| closed >= last);
    signs.recent.failing_for.filter(|_| !through)
}

fn before(now: Timestamp, age: Duration) -> Timestamp {
    let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_sub(age))
}

const REQUEST: Duration = Duration::from_secs(15);
const MINUTE: Duration = Duration::from_mins(1);
/// What to do where neither the database nor its schema says why.
const UNKNOWN: &str =
    "Check the connection; when that is well, look at the gateway's log for these minutes.";

fn moment(rfc3339: &str) -> Option<Timestamp> {
    let at = rfc3339.parse::<jiff::Timestamp>().ok()?;
    Some(Timestamp::from_millis(at.as_millisecond()))
}

#[cfg(test)]
mod tests;
