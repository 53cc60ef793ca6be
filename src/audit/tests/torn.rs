//! What a crash leaves behind, at every byte of it.

use std::fs;

use super::support::{Bench, event, newlines};
use crate::audit::{AuditFault, TamperKind};
use crate::base::{Fault as _, FaultKind};

#[tokio::test]
async fn a_chain_torn_at_any_byte_is_cut_at_its_last_whole_event() {
    let bench = Bench::new().await;
    bench.write(1, 0..2).await;
    let (path, two) = (bench.segment(1, 1), fs::read(bench.segment(1, 1)).unwrap());
    let checkpoints = fs::read(bench.checkpoints(1)).unwrap();
    bench.write(1, 2..3).await;
    let three = fs::read(&path).unwrap();
    for len in two.len()..three.len() {
        fs::write(&path, &three[..len]).unwrap();
        fs::write(bench.checkpoints(1), &checkpoints).unwrap();
        let torn = len > two.len();
        assert_eq!(bench.reports(1)[0].unfinished, torn, "shown before it is repaired");
        bench.write(1, 10..11).await;
        let (requests, notes) = bench.requests(1);
        assert_eq!(requests, [0, 1, 10], "{len}");
        assert_eq!(notes, vec!["audit.tail-cut".to_owned(); usize::from(torn)], "{len}");
        assert_eq!(bench.whole(1).events, 3 + u64::from(torn));
    }
}

#[tokio::test]
async fn a_torn_end_longer_than_what_follows_leaves_nothing_behind() {
    let bench = Bench::new().await;
    bench.write(1, 0..2).await;
    let mut torn = fs::read(bench.segment(1, 1)).unwrap();
    torn.extend([b'x'; 5000]);
    fs::write(bench.segment(1, 1), &torn).unwrap();
    bench.write(1, 2..3).await;
    assert_eq!(bench.requests(1).0, [0, 1, 2]);
    bench.whole(1);
    // More than a line is not what a crash breaks off.
    torn.extend(vec![b'x'; 70_000]);
    fs::write(bench.segment(1, 1), &torn).unwrap();
    let log = bench.open().await;
    assert!(matches!(log.append(event(1, 3)).await, Err(AuditFault::ChainDamaged(_))));
    log.close().await;
    assert_eq!(fs::read(bench.segment(1, 1)).unwrap(), torn);
}

#[tokio::test]
async fn a_first_segment_torn_at_any_byte_begins_anew() {
    let bench = Bench::new().await;
    bench.write(1, 0..1).await;
    let whole = fs::read(bench.segment(1, 1)).unwrap();
    for len in 0..whole.len() {
        fs::write(bench.segment(1, 1), &whole[..len]).unwrap();
        fs::remove_file(bench.checkpoints(1)).unwrap();
        bench.write(1, 5..6).await;
        assert_eq!(bench.requests(1).0, [5], "{len}");
        bench.whole(1);
    }
}

#[tokio::test]
async fn a_new_segment_torn_at_any_byte_goes_on_from_the_one_before() {
    let mut bench = Bench::new().await;
    bench.config.segment_bytes = 1500;
    bench.write(1, 0..3).await;
    assert!(bench.segment(1, 2).exists());
    let checkpoints = fs::read_to_string(bench.checkpoints(1)).unwrap();
    let sealed = checkpoints.lines().next().unwrap().to_owned() + "\n";
    let before = bench.lines(1, 1).len() - 1;
    let whole = fs::read(bench.segment(1, 2)).unwrap();
    for len in 0..whole.len() {
        if newlines(&whole[..len]) > 1 {
            break;
        }
        fs::write(bench.segment(1, 2), &whole[..len]).unwrap();
        fs::write(bench.checkpoints(1), &sealed).unwrap();
        bench.write(1, 10..11).await;
        let expected: Vec<u128> = (0..before as u128).chain([10]).collect();
        assert_eq!(bench.requests(1).0, expected, "{len}");
        bench.whole(1);
        for more in 3..9 {
            drop(fs::remove_file(bench.segment(1, more)));
        }
    }
}

#[tokio::test]
async fn a_chain_that_ends_in_no_event_is_left_alone() {
    let bench = Bench::new().await;
    bench.write(1, 0..3).await;
    let mut lines = bench.lines(1, 1);
    lines.push("{\"n\":4}".to_owned());
    bench.put_lines(1, 1, &lines);
    let log = bench.open().await;
    let fault = log.append(event(1, 9)).await.unwrap_err();
    assert!(matches!(fault, AuditFault::ChainDamaged(_)));
    assert_eq!(fault.kind(), FaultKind::Integrity);
    log.append(event(2, 9)).await.unwrap();
    log.close().await;
    assert_eq!(bench.lines(1, 1), lines);
    assert_eq!(bench.reports(1)[0].tamper.map(|tamper| tamper.n), Some(4));
}

/// After a crash the chains may hold none, some or all of what the spool holds; the spool may end in
/// half a batch that was promised to nobody.
#[tokio::test]
async fn what_was_promised_survives_a_crash_at_any_byte_of_what_was_not() {
    let bench = Bench::new().await;
    bench.write(1, 0..2).await;
    let settled = fs::read(bench.segment(1, 1)).unwrap();
    let log = bench.open().await;
    for request in 2..5 {
        log.append(event(1, request)).await.unwrap();
    }
    let spool = bench.spool().join("000000000001.spool");
    // The file is longer than what was written into it.
    let written = |file: &[u8]| file.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let promised = written(&fs::read(&spool).unwrap());
    log.append(event(1, 5)).await.unwrap();
    let with_last = fs::read(&spool).unwrap();
    let copy = bench.crash();
    log.close().await;

    let mut after = Bench::new().await;
    after.keyring = bench.keyring.clone();
    // Of the chain's end, which was not flushed: nothing was written, or a part of a line.
    let parts = [&b""[..], b"{", &settled[..settled.len() - 9]];
    let end = written(&with_last);
    assert!(end - promised > 300, "an event lies in between");
    for len in promised..=end {
        let part = parts[len % parts.len()];
        let dir = tempfile::tempdir().unwrap();
        super::support::copy_folder(&copy.path().join("audit"), dir.path());
        after.config.dir = dir.path().to_owned();
        // The room made ahead is there or not; after a full disk so is a next file without events.
        let mut torn_file = with_last[..len].to_vec();
        torn_file.resize(if len % 2 == 0 { with_last.len() } else { len }, 0);
        fs::write(after.spool().join("000000000001.spool"), torn_file).unwrap();
        if len % 3 == 0 {
            let head = &b"wardgate-spool v1\n"[..len % 19];
            fs::write(after.spool().join("000000000002.spool"), head).unwrap();
        }
        fs::write(after.segment(1, 1), [&settled, part].concat()).unwrap();
        after.write(1, 100..101).await;
        let (requests, notes) = after.requests(1);
        let last_too = len == end;
        let expected: Vec<u128> = (0..5 + u128::from(last_too)).chain([100]).collect();
        assert_eq!(requests, expected, "{len}");
        assert!(notes.is_empty(), "nothing was cut from the chain");
        assert_eq!(after.whole(1).events, expected.len() as u64);
        let torn = with_last[promised..len].iter().any(|byte| *byte != 0) && !last_too;
        let noted = after.requests(0).1;
        let expected = ["audit.recovered", "audit.spool-cut"];
        assert_eq!(noted, expected[..=usize::from(torn)], "{len}");
    }
}

#[tokio::test]
async fn a_crashed_instance_that_never_returns_is_settled_by_another() {
    let bench = Bench::new().await;
    let log = bench.open().await;
    for request in 0..3 {
        log.append(event(1, request)).await.unwrap();
    }
    let copy = bench.crash();
    log.close().await;
    let mut after = Bench::new().await;
    after.keyring = bench.keyring.clone();
    after.config.dir = copy.path().join("audit");
    fs::remove_dir_all(after.config.dir.join(super::support::tenant(1).to_string())).ok();
    after.config.instance = "gw-2".to_owned();
    after.open().await.close().await;
    let report = after.whole(1);
    assert_eq!((report.instance.as_str(), report.events), ("gw-1", 3));
}

#[tokio::test]
async fn a_spool_changed_where_no_crash_could_is_left_alone() {
    let mut bench = Bench::new().await;
    bench.config.spool_bytes = 1000;
    // Chains that cannot be written keep the spool files.
    let (disk, sick) = super::support::sick();
    sick.chains_left.store(0, std::sync::atomic::Ordering::SeqCst);
    let log = bench.try_open(disk).await.unwrap();
    let mut promised = 0;
    while promised < 50 && log.append(event(1, promised)).await.is_ok() {
        promised += 1;
    }
    assert!(promised > 0);
    let copy = bench.crash();
    drop(log);
    let mut after = Bench::new().await;
    after.config.dir = copy.path().join("audit");
    // A second file, so that the first was whole for certain.
    let first = after.spool().join("000000000001.spool");
    fs::copy(&first, after.spool().join("000000000002.spool")).unwrap();
    let mut bytes = fs::read(&first).unwrap();
    bytes[60] ^= 1;
    fs::write(&first, bytes).unwrap();
    let opened = after.try_open(crate::audit::disk::Disk::default()).await;
    assert!(matches!(opened.err(), Some(AuditFault::SpoolDamaged(_))));
    assert!(first.exists());
}

#[tokio::test]
async fn a_promised_event_lost_with_its_spool_shows() {
    // The checkpoint was written, then spool and end of chain were lost together: not repairable, and
    // not hidden by what is written later.
    let bench = Bench::new().await;
    bench.write(1, 0..3).await;
    bench.put_lines(1, 1, &bench.lines(1, 1)[..3]);
    bench.write(1, 10..15).await;
    let tamper = bench.reports(1)[0].tamper.unwrap();
    assert_eq!((tamper.n, tamper.kind), (3, TamperKind::Rewritten { after: 0 }));
}
