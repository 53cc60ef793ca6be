//! Full and broken disks: refused, nothing lost, on again when the disk is.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::support::{Bench, event, sick, until};
use crate::audit::disk::Disk;
use crate::audit::replay::Book;
use crate::audit::{AuditFault, AuditLog};
use crate::base::{Fault as _, FaultKind};

const PLENTY: u64 = u64::MAX / 2;

async fn again(log: &AuditLog, owner: u8, request: u128) {
    let accepted = async {
        while log.append(event(owner, request)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), accepted).await.unwrap();
}

#[tokio::test]
async fn a_disk_full_at_any_byte_refuses_and_resumes() {
    for left in (0..1300).step_by(29) {
        let bench = Bench::new().await;
        let (disk, sick) = sick();
        let log = bench.try_open(disk).await.unwrap();
        log.append(event(1, 0)).await.unwrap();
        sick.spool_left.store(left, Ordering::SeqCst);
        let mut kept = vec![0];
        for request in 1..6 {
            match log.append(event(1, request)).await {
                Ok(_) => kept.push(request),
                Err(fault) => {
                    assert_eq!(fault.kind(), FaultKind::Unavailable);
                    assert_eq!(fault.retry_after_secs(), Some(5));
                }
            }
        }
        assert!(kept.len() < 6, "{left} bytes hold less than five events");
        sick.spool_left.store(PLENTY, Ordering::SeqCst);
        log.append(event(1, 10)).await.unwrap();
        kept.push(10);
        let crashed = bench.crashed();
        log.close().await;
        for bench in [bench, crashed] {
            bench.open().await.close().await;
            assert_eq!(bench.requests(1).0, kept, "{left}: the promised ones and no others");
            bench.whole(1);
        }
    }
}

#[tokio::test]
async fn a_log_that_takes_no_event_is_not_ready_and_says_so_without_one() {
    let bench = Bench::new().await;
    let (disk, sick) = sick();
    let log = bench.try_open(disk).await.unwrap();
    log.append(event(1, 0)).await.unwrap();
    log.ready().await.unwrap();
    tokio::time::pause();
    let in_a_second = async || {
        tokio::time::advance(Duration::from_secs(1)).await;
        tokio::time::resume();
        let ready = log.ready().await;
        tokio::time::pause();
        ready
    };
    sick.no_flush.store(true, Ordering::SeqCst);
    assert!(log.ready().await.is_ok(), "the disk is tried once a second");
    assert!(matches!(in_a_second().await, Err(AuditFault::Io { .. })));
    sick.no_flush.store(false, Ordering::SeqCst);
    sick.spool_left.store(100, Ordering::SeqCst);
    assert!(matches!(in_a_second().await, Err(AuditFault::Io { .. })));
    sick.spool_left.store(PLENTY, Ordering::SeqCst);
    in_a_second().await.unwrap();
    tokio::time::resume();
    log.append(event(1, 1)).await.unwrap();
    let crashed = bench.crashed();
    log.close().await;
    for bench in [bench, crashed] {
        bench.open().await.close().await;
        assert_eq!(bench.requests(1).0, [0, 1], "a probe leaves nothing behind");
        bench.whole(1);
    }
}

#[tokio::test]
async fn a_failed_flush_promises_nothing_and_brings_nothing_back() {
    let bench = Bench::new().await;
    let (disk, sick) = sick();
    let log = bench.try_open(disk).await.unwrap();
    log.append(event(1, 0)).await.unwrap();
    sick.no_flush.store(true, Ordering::SeqCst);
    for request in 1..4 {
        let mut longer = event(1, request);
        longer.purpose = Some("x".repeat(200));
        assert!(matches!(log.append(longer).await, Err(AuditFault::Io { .. })));
    }
    sick.no_flush.store(false, Ordering::SeqCst);
    again(&log, 1, 10).await;
    let crashed = bench.crashed();
    log.close().await;
    for bench in [bench, crashed] {
        bench.open().await.close().await;
        assert_eq!(bench.requests(1).0, [0, 10]);
        assert_eq!(bench.whole(1).events, 2);
    }
}

#[tokio::test]
async fn chains_that_cannot_be_written_stop_the_log_and_catch_up_later() {
    for left in [0, 300, 1500] {
        let bench = Bench::new().await;
        let (disk, sick) = sick();
        let log = bench.try_open(disk).await.unwrap();
        sick.chains_left.store(left, Ordering::SeqCst);
        let mut kept = Vec::new();
        let mut request = 0;
        // Promised events are in the spool already; then the log stops.
        loop {
            match log.append(event(1, request)).await {
                Ok(_) => kept.push(request),
                Err(fault) => {
                    assert!(matches!(fault, AuditFault::Behind), "{fault}");
                    break;
                }
            }
            request += 1;
            assert!(request < 100_000);
        }
        assert!(!kept.is_empty());
        // Two more attempts fail, and it stays stopped.
        let refused = || sick.chains_refused.load(Ordering::SeqCst);
        until(|| refused() >= 3).await;
        assert!(matches!(log.append(event(1, 0)).await, Err(AuditFault::Behind)));
        sick.chains_left.store(PLENTY, Ordering::SeqCst);
        again(&log, 1, 999_999).await;
        kept.push(999_999);
        log.close().await;
        assert_eq!(bench.requests(1).0, kept, "{left}");
        bench.whole(1);
    }
}

#[tokio::test]
async fn a_log_closed_while_its_chains_cannot_be_written_keeps_its_spool() {
    let bench = Bench::new().await;
    let (disk, sick) = sick();
    let log = bench.try_open(disk).await.unwrap();
    sick.chains_left.store(200, Ordering::SeqCst);
    let mut promised = 0;
    while log.append(event(1, promised)).await.is_ok() {
        promised += 1;
    }
    log.close().await;
    assert_eq!(bench.open().await.close().await, ());
    assert_eq!(bench.requests(1).0, (0..promised).collect::<Vec<_>>());
    bench.whole(1);
}

#[tokio::test]
async fn the_spool_is_bounded() {
    let mut bench = Bench::new().await;
    bench.config.spool_bytes_max = 3000;
    let log = bench.open().await;
    let mut request = 0;
    let fault = loop {
        match log.append(event(1, request)).await {
            Ok(_) => request += 1,
            Err(fault) => break fault,
        }
    };
    assert!(matches!(fault, AuditFault::SpoolFull) && fault.kind() == FaultKind::Unavailable);
    assert!((3..10).contains(&request), "{request}");
    log.close().await;
    assert_eq!(bench.whole(1).events, u64::try_from(request).unwrap());
}

#[tokio::test]
async fn spool_files_settle_while_events_go_on() {
    let mut bench = Bench::new().await;
    bench.config.spool_bytes = 2000;
    bench.config.spool_bytes_max = 20_000;
    let log = bench.open().await;
    for request in 0..200 {
        again(&log, 1, request).await;
    }
    let spool = bench.spool();
    until(|| std::fs::read_dir(&spool).unwrap().count() <= 3).await;
    log.close().await;
    assert_eq!(bench.requests(1).0, (0..200).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_event_nobody_waits_for_any_more_is_dropped_or_kept_whole() {
    let mut bench = Bench::new().await;
    bench.config.append_timeout = Duration::ZERO;
    let log = bench.open().await;
    for request in 0..50 {
        drop(log.append(event(1, request)).await);
    }
    log.close().await;
    for report in bench.reports(1) {
        assert_eq!(report.tamper, None);
    }
}

#[test]
fn a_bounded_number_of_files_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let mut book = Book::new(Disk::default(), dir.path(), "gw-1", 8);
    for n in 0..100 {
        book.write(super::support::tenant(n), 1, 0, b"a").unwrap();
        assert!(book.open_files() <= 8);
    }
    for n in 0..100 {
        book.write(super::support::tenant(n), 1, 1, b"b").unwrap();
    }
    book.flush().unwrap();
    assert!(book.open_files() <= 8);
    for n in 0..100 {
        let folder = dir.path().join(super::support::tenant(n).to_string()).join("gw-1");
        assert_eq!(std::fs::read(folder.join("000001.log")).unwrap(), b"ab");
    }
}
