use std::time::Duration;

use super::support::{Bench, START, event, tenant, until};
use crate::audit::{
    AccessEvent, Action, AuditConfig, AuditFault, AuditLog, Export, Outcome, Target, verify,
};
use crate::base::{Deadline, Fault as _, FaultKind};

#[tokio::test]
async fn an_event_says_who_what_and_where_and_no_more() {
    let bench = Bench::new().await;
    let log = bench.open().await;
    let receipt = log.append(event(1, 7)).await.unwrap();
    assert_eq!(receipt.n, 1);
    let search = AccessEvent {
        action: Action::Search,
        target: Target::Count(12),
        outcome: Outcome::Denied,
        status: 403,
        ..event(1, 8)
    };
    log.append(search).await.unwrap();
    log.append(event(2, 9)).await.unwrap();
    log.append(event(1, 10)).await.unwrap();
    log.close().await;

    let lines = bench.lines(1, 1);
    assert_eq!(lines.len(), 4);
    assert!(lines[0].starts_with(r#"{"wardgate-audit":1,"tenant":"01010101-"#), "{}", lines[0]);
    let first: serde_json::Value = serde_json::from_str(&lines[1]).unwrap();
    let id = first["id"].as_str().unwrap().to_owned();
    assert_eq!(id.len(), 32);
    let expected = serde_json::json!({
        "n": 1, "at": "2023-11-14T22:13:20.000Z", "tenant": tenant(1),
        "request": "00000000-0000-0000-0000-000000000007",
        "who": {
            "kind": "user", "issuer": "https://sso.example/realms/hospitals", "subject": "8d7c",
            "azp": "ehr", "sid": "s-1", "token": "5f3a", "roles": ["clinician"],
        },
        "action": "read", "type": "Patient", "id": id, "outcome": "success", "status": 200,
        "generation": 3, "purpose": "TREAT", "h": receipt.hash.to_string(),
    });
    assert_eq!(first, expected);
    let second: serde_json::Value = serde_json::from_str(&lines[2]).unwrap();
    assert_eq!((&second["count"], &second["outcome"]), (&12.into(), &"denied".into()));
    assert!(second.get("id").is_none());
    let third: serde_json::Value = serde_json::from_str(&lines[3]).unwrap();
    assert_eq!(third["id"], id, "the same resource can be followed");
    let other: serde_json::Value = serde_json::from_str(&bench.lines(2, 1)[1]).unwrap();
    assert_ne!(other["id"], id, "and not across tenants");
    assert_eq!(other["n"], 1);
    for line in lines {
        assert!(!line.contains("MRN") && !line.contains("12345"), "{line}");
    }
}

#[tokio::test]
async fn whoever_ends_the_log_can_wait_for_what_is_under_way() {
    let bench = Bench::new().await;
    let log = bench.open().await;
    let (one, two) = (log.expect(), log.expect());
    drop(one);
    let mut quiet = Box::pin(log.quiet(Deadline::after(Duration::from_mins(1))));
    assert!(futures_util::poll!(&mut quiet).is_pending(), "an event is still to come");
    drop(two);
    quiet.await;
    // Nobody waits for ever.
    let _under_way = log.expect();
    log.quiet(Deadline::after(Duration::from_millis(50))).await;
    log.close().await;
}

#[tokio::test]
async fn the_chain_goes_on_where_it_ended() {
    let bench = Bench::new().await;
    bench.write(1, 0..3).await;
    bench.write(1, 3..5).await;
    let report = bench.whole(1);
    assert_eq!((report.events, report.numbers), (5, Some((1, 5))));
    assert_eq!(report.vouched, Some((5, START)));
    assert_eq!(bench.requests(1), ((0..5).collect(), vec![]));
    assert!(std::fs::read_dir(bench.spool()).unwrap().count() == 1, "only the lock is left");
    assert!(bench.reports(9).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everything_appended_at_once_is_there_once_and_in_order() {
    let mut bench = Bench::new().await;
    // Small files, so that segments and spool files turn over many times, and few handles.
    bench.config.segment_bytes = 40_000;
    bench.config.spool_bytes = 30_000;
    bench.config.checkpoint_events = 50;
    bench.config.open_files = 2;
    let log = bench.open().await;
    let writers = (0..64_u128).map(|writer| {
        let log = log.clone();
        tokio::spawn(async move {
            let mut receipts = Vec::new();
            for at in 0..50 {
                let owner = u8::try_from((writer + at) % 5).unwrap();
                let receipt = log.append(event(owner, writer * 1000 + at)).await.unwrap();
                receipts.push((owner, receipt.n));
            }
            receipts
        })
    });
    let mut receipts = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        receipts.extend(writer.await.unwrap());
    }
    // A reader in the middle of it all sees nothing amiss.
    for owner in 0..5 {
        assert!(bench.reports(owner).iter().all(|report| report.tamper.is_none()));
    }
    log.close().await;
    receipts.sort_unstable();
    let (mut all, mut expected) = (Vec::new(), Vec::new());
    for owner in 0..5 {
        let report = bench.whole(owner);
        assert_eq!(report.vouched.map(|(n, _)| n), Some(report.events));
        expected.extend((1..=report.events).map(|n| (owner, n)));
        let (requests, notes) = bench.requests(owner);
        assert!(notes.is_empty());
        for writer in 0..64 {
            let hers: Vec<u128> =
                requests.iter().copied().filter(|request| request / 1000 == writer).collect();
            assert!(hers.is_sorted(), "one writer's events are in her order");
        }
        all.extend(requests);
        assert!(bench.segment(owner, 3).exists(), "segments turned over");
    }
    assert_eq!(receipts, expected, "every number was given once");
    all.sort_unstable();
    let appended = (0..64).flat_map(|writer| (0..50).map(move |at| writer * 1000 + at));
    assert_eq!(all, appended.collect::<Vec<u128>>());
}

#[tokio::test]
async fn one_process_at_a_time_writes_an_instance() {
    let bench = Bench::new().await;
    let log = bench.open().await;
    let second = bench.try_open(crate::audit::disk::Disk::default()).await.err().unwrap();
    assert!(matches!(second, AuditFault::InUse(_)) && second.kind() == FaultKind::Conflict);
    log.close().await;
    assert!(matches!(log.append(event(1, 1)).await, Err(AuditFault::Closed)));
    bench.open().await.close().await;
    let config = AuditConfig::new(bench.dir.path().to_owned(), "../x".to_owned());
    let opened = AuditLog::open(config, bench.keyring.clone(), bench.clock.clone()).await;
    assert!(matches!(opened.err(), Some(AuditFault::InvalidInstance)));
}

#[tokio::test]
async fn instances_have_chains_of_their_own_and_export_merges_them() {
    let bench = Bench::new().await;
    let mut second = AuditConfig { instance: "gw-2".to_owned(), ..bench.config.clone() };
    second.checkpoint_dir = Some(bench.place().checkpoint_dir);
    let mine = bench.open().await;
    let hers = AuditLog::open(second, bench.keyring.clone(), bench.clock.clone()).await.unwrap();
    for request in 0..10 {
        let log = if request % 3 == 0 { &hers } else { &mine };
        log.append(event(1, request)).await.unwrap();
        bench.clock.advance(Duration::from_mins(1));
    }
    mine.close().await;
    hers.close().await;
    let reports = bench.reports(1);
    assert_eq!(reports.iter().map(|report| report.events).collect::<Vec<_>>(), [6, 4]);
    assert!(reports.iter().all(|report| report.tamper.is_none()));
    assert_eq!(bench.requests(1).0, (0..10).collect::<Vec<_>>());

    let minute = |at: u64| START.plus(Duration::from_secs(60 * at));
    let between = Export::open(&bench.place(), tenant(1), minute(3), minute(7)).unwrap();
    let times: Vec<String> = between
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            line["at"].as_str().unwrap().to_owned()
        })
        .collect();
    let expected: Vec<String> = (3..7).map(|at| minute(at).to_string()).collect();
    assert_eq!(times, expected, "from inclusive, to exclusive");
}

#[tokio::test]
async fn export_finds_an_interval_across_segments() {
    let mut bench = Bench::new().await;
    bench.config.segment_age = Duration::from_secs(100);
    let log = bench.open().await;
    for request in 0..40 {
        log.append(event(1, request)).await.unwrap();
        bench.clock.advance(Duration::from_secs(10));
    }
    log.close().await;
    assert!(bench.segment(1, 4).exists() && !bench.segment(1, 5).exists());
    let at = |second: u64| START.plus(Duration::from_secs(second));
    for (from, to, count) in
        [(0, 400, 40), (95, 105, 1), (99, 100, 0), (100, 101, 1), (390, 1000, 1), (50, 250, 20)]
    {
        let lines = Export::open(&bench.place(), tenant(1), at(from), at(to)).unwrap();
        assert_eq!(lines.map(Result::unwrap).count(), count, "{from}..{to}");
    }
}

/// A clock that was ahead and was set right leaves later times in earlier segments.
#[tokio::test]
async fn export_finds_what_was_written_before_the_clock_was_set_back() {
    let mut bench = Bench::new().await;
    bench.config.segment_bytes = 2048;
    let log = bench.open().await;
    let hour = |hours: u64| START.plus(Duration::from_hours(hours));
    for (at, count) in [(hour(0), 1), (hour(2), 1), (hour(1), 18), (hour(60), 8)] {
        bench.clock.set(at);
        for request in 0..count {
            log.append(event(1, request)).await.unwrap();
        }
    }
    log.close().await;
    assert!(bench.segment(1, 5).exists());
    let count = |from, to| {
        let lines = Export::open(&bench.place(), tenant(1), from, to).unwrap();
        lines.map(Result::unwrap).count()
    };
    assert_eq!(count(hour(2), hour(3)), 1);
    assert_eq!((count(hour(0), hour(2)), count(hour(50), hour(61))), (19, 8));
    bench.whole(1);
}

#[tokio::test]
async fn checkpoints_come_by_time_too() {
    let mut bench = Bench::new().await;
    bench.config.checkpoint_every = Duration::from_millis(1);
    let log = bench.open().await;
    log.append(event(1, 1)).await.unwrap();
    let vouched = || {
        let reports = verify(&bench.place(), tenant(1), &bench.key()).unwrap();
        reports.first().is_some_and(|report| report.vouched.is_some())
    };
    until(vouched).await;
    // Not written again while the chain does not grow.
    let lines = || std::fs::read_to_string(bench.checkpoints(1)).unwrap().lines().count();
    assert_eq!(lines(), 1);
    log.close().await;
    assert_eq!(lines(), 1);
}

#[tokio::test]
async fn dropping_every_handle_closes_the_log_too() {
    let bench = Bench::new().await;
    let log = bench.open().await;
    log.append(event(1, 1)).await.unwrap();
    drop(log);
    let spool = bench.spool();
    let left = move || std::fs::read_dir(&spool).unwrap().count();
    until(move || left() == 1).await;
    until(|| bench.reports(1).first().is_some_and(|report| report.vouched.is_some())).await;
    assert_eq!(bench.whole(1).events, 1);
}

#[tokio::test]
async fn oversized_texts_do_not_break_a_line() {
    let bench = Bench::new().await;
    let log = bench.open().await;
    let mut huge = event(1, 1);
    huge.actor.subject = "é\n\"".repeat(100_000);
    huge.actor.roles = vec!["r".repeat(10_000); 1000];
    huge.purpose = Some("\u{1}".repeat(100_000));
    log.append(huge).await.unwrap();
    log.append(event(1, 2)).await.unwrap();
    log.close().await;
    assert_eq!(bench.whole(1).events, 2);
    assert_eq!(bench.lines(1, 1).len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_for_many_tenants_lose_nothing() {
    for tenants in [1_u128, 50, 1000] {
        let bench = Bench::new().await;
        let log = bench.open().await;
        let writers = (0..64_u128).map(|writer| {
            let log = log.clone();
            tokio::spawn(async move {
                for at in 0..100_u128 {
                    let mut one = event(0, at);
                    let owner = (writer * 100 + at * 7) % tenants;
                    one.tenant = crate::base::TenantId::from_uuid(uuid::Uuid::from_u128(owner + 1));
                    log.append(one).await.unwrap();
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        log.close().await;
        let mut events = 0;
        for owner in 0..tenants {
            let id = crate::base::TenantId::from_uuid(uuid::Uuid::from_u128(owner + 1));
            let chains = verify(&bench.place(), id, &bench.key()).unwrap();
            events += chains.first().map_or(0, |chain| chain.events);
        }
        assert_eq!(events, 6_400);
    }
}
