use std::fs;
use std::time::Duration;

use super::support::{Bench, START, event, tenant};
use crate::audit::{Retained, Tamper, TamperKind};
use crate::base::{Clock as _, Timestamp};

/// Five segments of four events each, 10 s apart: sealed after 40, 80, 120 and 160 s.
async fn five() -> Bench {
    let mut bench = Bench::new().await;
    bench.config.segment_age = Duration::from_secs(40);
    let log = bench.open().await;
    for request in 0..20 {
        log.append(event(1, request)).await.unwrap();
        bench.clock.advance(Duration::from_secs(10));
    }
    log.close().await;
    assert!(bench.segment(1, 5).exists() && !bench.segment(1, 6).exists());
    bench
}

fn at(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}

fn retain(bench: &Bench, before: Timestamp) -> Option<(Vec<u32>, u64)> {
    let place = bench.place();
    let mut all = place.retain(tenant(1), before, &bench.keyring, bench.clock.now()).unwrap();
    assert!(all.len() <= 1);
    all.pop().map(|Retained { deleted, up_to, .. }| (deleted, up_to))
}

#[tokio::test]
async fn whole_sealed_segments_go_and_the_chain_still_verifies() {
    let bench = five().await;
    assert_eq!(retain(&bench, at(30)), None, "the first segment's last event is not older");
    assert_eq!(retain(&bench, at(31)), Some((vec![1], 4)));
    assert_eq!(retain(&bench, at(31)), Some((vec![], 4)), "repeating it does nothing");
    let report = bench.whole(1);
    assert_eq!((report.events, report.numbers), (16, Some((5, 20))));
    assert_eq!(report.retained_after, Some(4));

    assert_eq!(retain(&bench, at(1_000_000)), Some((vec![2, 3, 4], 16)), "never the last one");
    assert_eq!(bench.whole(1).numbers, Some((17, 20)));
    bench.write(1, 20..22).await;
    assert_eq!(bench.whole(1).numbers.map(|(_, last)| last), Some(22), "and it goes on");
    assert_eq!(bench.requests(1).0, (16..22).collect::<Vec<_>>());
}

#[tokio::test]
async fn deletion_without_the_signed_word_is_tampering() {
    let bench = five().await;
    fs::remove_file(bench.segment(1, 1)).unwrap();
    let gone = |segment, n| Some(Tamper { segment, n, kind: TamperKind::SegmentGone });
    assert_eq!(bench.reports(1)[0].tamper, gone(1, 1));
    assert_eq!(retain(&bench, at(100)), None, "retention covers nothing up");

    let bench = five().await;
    retain(&bench, at(31)).unwrap();
    fs::remove_file(bench.segment(1, 2)).unwrap();
    assert_eq!(bench.reports(1)[0].tamper, gone(2, 5));
    assert_eq!(retain(&bench, at(1_000_000)), Some((vec![], 4)));
    assert_eq!(bench.reports(1)[0].tamper, gone(2, 5));
}

#[tokio::test]
async fn a_crash_between_the_word_and_the_deletion_is_finished_later() {
    let bench = five().await;
    let kept: Vec<Vec<u8>> =
        (1..=3).map(|number| fs::read(bench.segment(1, number)).unwrap()).collect();
    retain(&bench, at(111)).unwrap();
    // Any subset of what should be gone may still be there.
    for left in 0..8_usize {
        for number in 1..=3_u32 {
            let at = usize::try_from(number - 1).unwrap();
            let path = bench.segment(1, number);
            if left & (1 << at) != 0 {
                fs::write(path, &kept[at]).unwrap();
            }
        }
        assert_eq!(bench.whole(1).numbers, Some((13, 20)));
        let (deleted, up_to) = retain(&bench, at(0)).unwrap();
        assert_eq!((deleted.len(), up_to), (left.count_ones() as usize, 12));
    }
}

#[tokio::test]
async fn upkeep_keeps_every_tenants_log_as_long_as_set_and_says_what_went() {
    let bench = five().await;
    let log = bench.open().await;
    log.append(event(2, 1)).await.unwrap();
    // 200 s have passed; the first two segments end 169 s and 129 s ago.
    log.retain_all(Duration::from_hours(1), &bench.keyring, bench.clock.now()).await;
    assert!(bench.segment(1, 1).exists(), "nothing is that old");
    log.retain_all(Duration::from_secs(125), &bench.keyring, bench.clock.now()).await;
    assert!(!bench.segment(1, 1).exists() && !bench.segment(1, 2).exists());
    assert!(bench.segment(1, 3).exists(), "not old enough");
    log.close().await;
    assert_eq!(bench.place().tenants().unwrap(), [tenant(1), tenant(2)]);
    let report = bench.whole(1);
    assert_eq!((report.retained_after, report.events), (Some(8), 13));
    let last = bench.place().newest(tenant(1), None, 1).unwrap().unwrap().events.remove(0);
    assert_eq!((&last["action"], &last["count"]), (&"audit.retain".into(), &2.into()));
    assert_eq!(bench.whole(2).events, 1, "another's log is as it was");
}
