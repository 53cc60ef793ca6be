use super::*;

/// A record whose data key was destroyed.
struct Gone;

impl RecordSource for Gone {
    fn record(&self) -> BoxFuture<'_, Result<ConnectionRecord, RecordFault>> {
        async { Err(RecordFault::new(FaultKind::Integrity, "its key is gone")) }.boxed()
    }
}

fn mark(seal: u8) -> RecordMark {
    RecordMark { id: uuid::Uuid::nil(), seal: [seal; 32] }
}

#[tokio::test]
async fn a_lane_opens_connections_with_the_record_its_caller_holds_now() {
    let bench = Bench::new(quick());
    let first = LaneSpec { source: Arc::new(Gone), record: mark(1), ..bench.spec.clone() };
    assert!(matches!(bench.pools.lease(&first, soon()).await, Err(PoolFault::Record(_))));
    let resealed = LaneSpec { record: mark(2), ..bench.spec.clone() };
    let held = bench.pools.lease(&resealed, soon()).await.expect("the lane asks the new record");
    // Still the same lane, and it holds on to no text: who comes with the old one is not served by it.
    assert_eq!(bench.pools.status(first.tenant).unwrap().created_total, 1);
    assert!(matches!(bench.pools.lease(&first, soon()).await, Err(PoolFault::Record(_))));
    drop(held);
}

#[tokio::test]
async fn a_lane_knows_which_sealed_text_it_stands_for() {
    let bench = Bench::new(quick());
    let first = LaneSpec { record: mark(1), ..bench.spec.clone() };
    drop(bench.pools.lease(&first, soon()).await.unwrap());
    let resealed = LaneSpec { record: mark(2), ..first.clone() };
    drop(bench.pools.lease(&resealed, soon()).await.unwrap());
    assert_eq!(bench.opens(), 1, "a reseal keeps the lane");
    assert_eq!(bench.status().unwrap().record, mark(1), "whether it is a reseal is not known yet");
    bench.pools.resealed(&resealed);
    assert_eq!(bench.status().unwrap().record, mark(2));
    let other = RecordMark { id: uuid::Uuid::from_u128(7), ..mark(2) };
    drop(bench.pools.lease(&LaneSpec { record: other, ..first }, soon()).await.unwrap());
    assert_eq!(bench.opens(), 2, "another record of the same number is another lane");
}
