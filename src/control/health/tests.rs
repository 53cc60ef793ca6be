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
    let failing_for = (errors > 0).then_some(Duration::from_mins(1));
    let failed_ago = (errors > 0).then_some(Duration::from_secs(1));
    let (requests, errors) = (vec![requests], vec![errors]);
    Recent { requests, errors, failing_for, failed_ago, ..Recent::default() }
}

fn judged(summary: &TenantSummary, lane: &LaneView, breaker: &BreakerView, r: &Recent) -> Health {
    let signs = Signs { lane, breaker, recent: r, broken: None };
    of(summary, &signs, Timestamp::from_secs(1000))
}

#[test]
fn the_worst_is_said_first() {
    let (closed, lane) = (crate::control::lanes::breaker_view(None), LaneView::default());
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
        since: Some("now".to_owned()),
        unwell_since: Some("then".to_owned()),
        ..crate::control::lanes::breaker_view(None)
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
    let closed = crate::control::lanes::breaker_view(None);
    let failed = |at: i64| LaneView {
        last_error: Some("full".to_owned()),
        last_error_at: Some(Timestamp::from_secs(at).to_string()),
        ..LaneView::default()
    };
    let level = |at| {
        let now = Timestamp::from_secs(1000);
        let active = summary(TenantState::Active);
        let (lane, recent) = (failed(at), recent(1, 0));
        let signs = Signs { lane: &lane, breaker: &closed, recent: &recent, broken: None };
        of(&active, &signs, now).level
    };
    assert_eq!(level(900), Level::Watch);
    assert_eq!(level(600), Level::Well);
}

fn erring(code: &str, at: i64) -> LaneView {
    LaneView {
        last_error: Some(code.to_owned()),
        last_error_at: Some(Timestamp::from_secs(at).to_string()),
        ..LaneView::default()
    }
}

#[test]
fn what_fails_is_told_from_what_failed_before() {
    let closed = crate::control::lanes::breaker_view(None);
    let active = summary(TenantState::Active);
    let failing = recent(10, 5);
    let since = Some(Timestamp::from_secs(940).to_string());
    // It is 1000, and requests fail since 940.
    let now = judged(&active, &erring("55P03", 990), &closed, &failing);
    assert!(now.sentence.contains("locked"), "{}", now.sentence);
    assert_eq!(now.since, since, "not since the last of them");
    let old = judged(&active, &erring("28P01", 700), &closed, &failing);
    assert!(!old.sentence.contains("password"), "{}", old.sentence);
    assert_eq!((old.level, old.since), (Level::Ill, since));
    assert_eq!(old.next, Some(UNKNOWN));
    // The breaker closed after it: nothing of it is to be done any more, but what failed since then.
    let closed_at = |secs| BreakerView {
        since: Some(Timestamp::from_secs(secs).to_string()),
        opened_total: 1,
        ..closed.clone()
    };
    let mended = judged(&active, &erring("28P01", 990), &closed_at(999), &failing);
    assert_eq!((mended.level, mended.next), (Level::Watch, None), "{}", mended.sentence);
    let other = judged(&active, &erring("28P01", 990), &closed_at(995), &failing);
    assert_eq!((other.level, other.next), (Level::Ill, Some(UNKNOWN)), "{}", other.sentence);
    // It is over.
    let over = Recent { failing_for: None, ..recent(10, 5) };
    let over = judged(&active, &erring("28P01", 700), &closed, &over);
    assert_eq!((over.level, over.next, over.since), (Level::Watch, None, None));
}

#[test]
fn the_last_minutes_count_more_than_a_calm_quarter_of_an_hour() {
    let closed = crate::control::lanes::breaker_view(None);
    let active = summary(TenantState::Active);
    let sudden = Recent {
        requests: [vec![1000; 14], vec![20]].concat(),
        errors: [vec![0; 14], vec![20]].concat(),
        failing_for: Some(Duration::from_secs(10)),
        failed_ago: Some(Duration::from_secs(1)),
        ..Recent::default()
    };
    assert_eq!(sudden.last(1), (20, 20));
    let calm_before = judged(&active, &LaneView::default(), &closed, &sudden);
    assert_eq!(calm_before.level, Level::Well, "20 of 2020");
    let lasting = Recent {
        requests: [vec![1000; 12], vec![300; 3]].concat(),
        errors: [vec![0; 12], vec![300; 3]].concat(),
        ..sudden
    };
    let failing = judged(&active, &LaneView::default(), &closed, &lasting);
    assert_eq!(failing.level, Level::Ill, "all of the last minutes");
}

#[test]
fn a_schema_that_does_not_fit_is_what_is_wrong() {
    let closed = crate::control::lanes::breaker_view(None);
    let active = summary(TenantState::Active);
    let broken = Broken {
        first: "The table 'patients' is gone, or may not be read any more.".to_owned(),
        more: 2,
        since: Some("then".to_owned()),
    };
    let lane = erring("28P01", 990);
    let level = |errors| {
        let recent = recent(10, errors);
        let signs = Signs { lane: &lane, breaker: &closed, recent: &recent, broken: Some(&broken) };
        let health = of(&active, &signs, Timestamp::from_secs(1000));
        assert!(health.sentence.contains("'patients' is gone"), "{}", health.sentence);
        assert!(health.sentence.contains("2 more"), "{}", health.sentence);
        assert!(!health.sentence.contains("password"), "{}", health.sentence);
        assert_eq!(health.since.as_deref(), Some("then"));
        assert!(health.next.unwrap().contains("publish a mapping"));
        health.level
    };
    assert_eq!((level(0), level(10)), (Level::Watch, Level::Ill));
}

#[test]
fn serving_on_while_nobody_may_log_in_is_no_serving_again() {
    let active = summary(TenantState::Active);
    let held = BreakerView {
        holds_logins: true,
        last_reason: Some("28P01".to_owned()),
        ..crate::control::lanes::breaker_view(None)
    };
    let health = judged(&active, &erring("28P01", 990), &held, &recent(10, 0));
    assert_eq!(health.level, Level::Watch);
    assert!(health.sentence.contains("no more can be opened: the role or its password"));
    assert!(health.next.is_some());
}
