//! Whoever changes a chain is found out, at the event it was changed at.

use std::fs;
use std::time::Duration;

use super::support::{Bench, event, newlines};
use crate::audit::{ChainReport, Tamper, TamperKind};

const EVENTS: u64 = 12;

async fn written() -> Bench {
    let bench = Bench::new().await;
    bench.write(1, 0..EVENTS.into()).await;
    bench
}

fn found(bench: &Bench) -> ChainReport {
    let mut reports = bench.reports(1);
    assert_eq!(reports.len(), 1);
    reports.remove(0)
}

fn expect(bench: &Bench, n: u64, kind: TamperKind) {
    let report = found(bench);
    assert_eq!(report.tamper, Some(Tamper { segment: 1, n, kind }), "{report:?}");
    assert_eq!(report.events, n - 1, "what comes before still counts");
}

#[tokio::test]
async fn every_flipped_byte_is_found_at_its_event() {
    let bench = written().await;
    let path = bench.segment(1, 1);
    let whole = fs::read(&path).unwrap();
    let (mut line, mut kinds) = (0_u64, std::collections::HashSet::new());
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(&path, &changed).unwrap();
        let report = found(&bench);
        let tamper = report.tamper.unwrap_or_else(|| panic!("byte {at} flipped unseen"));
        // A changed header, line 0, is found before event 1; the last newline is the last event's.
        assert_eq!(tamper.n, line.max(1), "byte {at}: {tamper}");
        kinds.insert(std::mem::discriminant(&tamper.kind));
        line += u64::from(whole[at] == b'\n');
    }
    assert_eq!(line, EVENTS + 1);
    assert!(kinds.len() >= 4, "several kinds of finding");
    fs::write(&path, &whole).unwrap();
    assert_eq!(bench.whole(1).events, EVENTS);
}

#[tokio::test]
async fn every_deleted_event_is_found() {
    let bench = written().await;
    let lines = bench.lines(1, 1);
    for n in 1..=EVENTS {
        let mut fewer = lines.clone();
        fewer.remove(usize::try_from(n).unwrap());
        bench.put_lines(1, 1, &fewer);
        let last = n == EVENTS;
        let kind = if last { TamperKind::Truncated } else { TamperKind::Missing { found: n + 1 } };
        expect(&bench, n, kind);
    }
}

#[tokio::test]
async fn every_swap_and_duplicate_and_insertion_is_found() {
    let bench = written().await;
    let lines = bench.lines(1, 1);
    for n in 1..=EVENTS {
        let at = usize::try_from(n).unwrap();
        if n < EVENTS {
            let mut swapped = lines.clone();
            swapped.swap(at, at + 1);
            bench.put_lines(1, 1, &swapped);
            expect(&bench, n, TamperKind::Missing { found: n + 1 });
        }
        let mut twice = lines.clone();
        twice.insert(at, lines[at].clone());
        bench.put_lines(1, 1, &twice);
        expect(&bench, n + 1, TamperKind::Repeated { found: n });

        // Put in with the number that belongs there, and with no hash that could fit.
        let mut forged = lines.clone();
        forged.insert(at, lines[at].replace("\"status\":200", "\"status\":500"));
        bench.put_lines(1, 1, &forged);
        expect(&bench, n, TamperKind::Changed);

        let mut empty = lines.clone();
        empty.insert(at, String::new());
        bench.put_lines(1, 1, &empty);
        expect(&bench, n, TamperKind::Unreadable);
    }
}

#[tokio::test]
async fn every_truncation_is_found_by_the_checkpoint() {
    let bench = written().await;
    let path = bench.segment(1, 1);
    let whole = fs::read(&path).unwrap();
    for len in 0..whole.len() {
        fs::write(&path, &whole[..len]).unwrap();
        let lines = newlines(&whole[..len]);
        expect(&bench, lines.max(1), TamperKind::Truncated);
    }
    fs::remove_file(&path).unwrap();
    expect(&bench, 1, TamperKind::Truncated);
    fs::remove_dir_all(path.parent().unwrap().parent().unwrap()).unwrap();
    expect(&bench, 1, TamperKind::Truncated);
}

#[tokio::test]
async fn an_event_of_another_tenant_is_found() {
    let bench = written().await;
    bench.write(2, 0..u128::from(EVENTS)).await;
    let (mine, hers) = (bench.lines(1, 1), bench.lines(2, 1));
    for n in 1..=EVENTS {
        let at = usize::try_from(n).unwrap();
        let mut moved = mine.clone();
        moved[at].clone_from(&hers[at]);
        bench.put_lines(1, 1, &moved);
        expect(&bench, n, TamperKind::Foreign);
    }
    // The whole chain, with her name in it.
    bench.put_lines(1, 1, &hers);
    expect(&bench, 1, TamperKind::Header);
    // And the whole chain with checkpoints and all.
    fs::copy(bench.checkpoints(2), bench.checkpoints(1)).unwrap();
    expect(&bench, 1, TamperKind::Header);
    bench.put_lines(1, 1, &mine);
    let report = found(&bench);
    let kind = report.tamper.map(|tamper| tamper.kind);
    assert_eq!(kind, Some(TamperKind::Checkpoint), "her checkpoints vouch for nothing here");
}

#[tokio::test]
async fn a_chain_computed_anew_contradicts_its_checkpoint() {
    // Two logs of the same tenant and instance, alike up to event 5; the second is what an attacker
    // makes of the first, every hash right.
    let bench = Bench::new().await;
    bench.write(1, 0..5).await;
    let before = fs::read(bench.segment(1, 1)).unwrap();
    bench.write(1, 5..9).await;
    let checkpoints = fs::read(bench.checkpoints(1)).unwrap();
    fs::write(bench.segment(1, 1), before).unwrap();
    bench.write(1, 100..104).await;
    assert_eq!(bench.lines(1, 1).len(), 10);
    fs::write(bench.checkpoints(1), checkpoints).unwrap();
    let report = found(&bench);
    let expected = Tamper { segment: 1, n: 9, kind: TamperKind::Rewritten { after: 5 } };
    assert_eq!(report.tamper, Some(expected));
    assert!(expected.to_string().contains("events 6 to 9"), "{expected}");
}

#[tokio::test]
async fn tampering_across_segments_is_found() {
    let mut bench = Bench::new().await;
    bench.config.segment_age = Duration::from_secs(40);
    let log = bench.open().await;
    for request in 0..EVENTS {
        log.append(event(1, request.into())).await.unwrap();
        bench.clock.advance(Duration::from_secs(10));
    }
    log.close().await;
    // Events 1 to 4, 5 to 8, 9 to 12.
    assert_eq!(bench.whole(1).events, EVENTS);
    let (first, second) = (bench.lines(1, 1), bench.lines(1, 2));
    let tampered = |segment, n, kind| {
        assert_eq!(found(&bench).tamper, Some(Tamper { segment, n, kind }));
    };
    bench.put_lines(1, 1, &first[..4]);
    tampered(2, 4, TamperKind::Missing { found: 5 });
    bench.put_lines(1, 1, &first);

    let mut torn = first.join("\n").into_bytes();
    torn.truncate(torn.len() - 5);
    fs::write(bench.segment(1, 1), torn).unwrap();
    tampered(1, 4, TamperKind::Unreadable);
    bench.put_lines(1, 1, &first);

    let hidden = bench.dir.path().join("hidden");
    fs::rename(bench.segment(1, 2), &hidden).unwrap();
    tampered(2, 5, TamperKind::SegmentGone);
    fs::rename(&hidden, bench.segment(1, 2)).unwrap();
    fs::rename(bench.segment(1, 1), &hidden).unwrap();
    tampered(1, 1, TamperKind::SegmentGone);
    fs::rename(&hidden, bench.segment(1, 1)).unwrap();
    fs::rename(bench.segment(1, 3), &hidden).unwrap();
    tampered(2, 9, TamperKind::Truncated);
    fs::rename(&hidden, bench.segment(1, 3)).unwrap();

    let mut changed = second;
    changed[2] = changed[2].replace("clinician", "physician");
    bench.put_lines(1, 2, &changed);
    tampered(2, 6, TamperKind::Changed);
}

#[tokio::test]
async fn a_changed_checkpoint_is_found() {
    let bench = written().await;
    let path = bench.checkpoints(1);
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() - 1 {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(&path, &changed).unwrap();
        let tamper = found(&bench).tamper;
        assert_eq!(tamper.map(|tamper| tamper.kind), Some(TamperKind::Checkpoint), "byte {at}");
    }
    // Signed by another installation.
    let other = written().await;
    fs::copy(other.checkpoints(1), &path).unwrap();
    assert_eq!(found(&bench).tamper.map(|tamper| tamper.kind), Some(TamperKind::Checkpoint));
}

#[tokio::test]
async fn without_its_checkpoints_a_cut_tail_does_not_show() {
    // What the documentation admits: the reason why checkpoints belong to another place.
    let bench = written().await;
    bench.put_lines(1, 1, &bench.lines(1, 1)[..8]);
    fs::remove_file(bench.checkpoints(1)).unwrap();
    let report = bench.whole(1);
    assert_eq!((report.events, report.vouched), (7, None), "and it says that nobody vouches");
}
