//! Counts of completeness that are kept (rule 18): made once, again where something changed, and never in a batch's way.

use clickhouse::Row;
use schemas::{
    Network,
    limits::{AUDIT_BUCKET_HEIGHTS, AUDIT_OPEN_BLOCKS},
    records::Payload,
};
use serde::Deserialize;
use store::Store;

use crate::{
    chain::{Chain, Dice},
    door::{Door, Let},
    harness::Running,
    setup::{RunningSink, TestLog, execute, rows, store_in, until, until_processed},
};

/// Of each run: from, to, blocks, transactions expected and stored, the same of logs, complete.
type Run = (u64, u64, u64, u64, u64, u64, u64, u8);

#[derive(Row, Deserialize)]
struct Count {
    from_height: u64,
    stale: u8,
    runs: Vec<Run>,
}

async fn counts(engine: &Running, store: &Store, network: &str) -> Vec<Count> {
    let sql = format!(
        "SELECT from_height, stale, runs FROM audit_rows FINAL WHERE network = '{network}' ORDER BY from_height"
    );
    rows(engine, store, &sql).await
}

/// Blocks, expected and stored transactions and logs over all runs of a bucket.
fn sums(runs: &[Run]) -> (u64, u64, u64, u64, u64) {
    runs.iter().fold((0, 0, 0, 0, 0), |s, r| (s.0 + r.2, s.1 + r.3, s.2 + r.4, s.3 + r.5, s.4 + r.6))
}

/// What the model says of a range of heights.
fn expected(chain: &Chain, from: u64) -> (u64, u64, u64) {
    let of = |l: &&crate::chain::Live| {
        let height = l.event.block.envelope.height;
        (from..from + AUDIT_BUCKET_HEIGHTS).contains(&height)
    };
    chain.live.iter().filter(of).fold((0, 0, 0), |s, l| {
        let e = &l.event.block.envelope;
        (s.0 + 1, s.1 + u64::from(e.tx_count), s.2 + u64::from(e.log_count))
    })
}

async fn publish(log: &TestLog, chain: &mut Chain, dice: &mut Dice, blocks: usize) {
    let mut left = blocks;
    while left > 0 {
        let some = left.min(200);
        let events: Vec<_> = (0..some).map(|_| chain.apply(dice)).collect();
        log.publish(&events).await;
        left -= some;
    }
}

async fn until_counted(engine: &Running, store: &Store, network: &Network, buckets: &[u64]) {
    until(&format!("{buckets:?} to be counted"), || async {
        let counted = counts(engine, store, network.as_str()).await;
        counted.iter().filter(|c| c.stale == 0).map(|c| c.from_height).collect::<Vec<_>>() == buckets
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settled_heights_are_counted_once_and_again_where_they_change() {
    let engine = Running::start().await;
    let store = store_in(&engine, "audit");
    let (log, mut dice) = (TestLog::open().await, Dice(41));
    let mut chain = Chain::new("a", 1_000);
    // The second bucket, up to 2,047, is one block short of being counted.
    publish(&log, &mut chain, &mut dice, 1_048 + AUDIT_OPEN_BLOCKS as usize).await;
    let sink = RunningSink::start(&store, &log);
    until_processed(&store, &chain.network, chain.sequence).await;
    until_counted(&engine, &store, &chain.network, &[0]).await;
    publish(&log, &mut chain, &mut dice, 1).await;
    until_counted(&engine, &store, &chain.network, &[0, 1_024]).await;
    for Count { from_height, runs, .. } in counts(&engine, &store, "a").await.into_iter().filter(|c| c.stale == 0) {
        let sums = sums(&runs);
        assert_eq!(
            ((sums.0, sums.1, sums.3), sums.1 == sums.2 && sums.3 == sums.4),
            (expected(&chain, from_height), true)
        );
        assert_eq!(runs.len(), 1, "all complete: {runs:?}");
    }
    sink.stop().await.expect("a clean end");

    // The clock of the store goes back, and a settled height changes: a block is applied again, with a transaction that cannot be read.
    let later = "INSERT INTO audit_rows SELECT * REPLACE (version + toUInt64(1e15) AS version) FROM audit_rows FINAL";
    execute(&engine, &store, later).await;
    chain.live.truncate(500);
    let mut again = loop {
        let event = chain.apply(&mut dice);
        chain.live.pop();
        if event.block.envelope.tx_count > 1 {
            break event;
        }
        // Its sequence must not be missing: the block is written as it is, and then again.
        log.publish(&[event]).await;
    };
    assert_eq!(again.block.envelope.height, 1_500);
    again.transactions[0].payload = Payload::Unreadable { index: 0, error: "cut off".into() };
    again.block.envelope.log_count = again
        .transactions
        .iter()
        .map(|t| if let Payload::Evm(t) = &t.payload { t.0.logs.len() as u32 } else { 0 })
        .sum();
    log.publish(std::slice::from_ref(&again)).await;
    let sink = RunningSink::start(&store, &log);
    until_processed(&store, &chain.network, chain.sequence).await;
    until("the bucket to be counted again", || async {
        let counted = counts(&engine, &store, "a").await;
        counted.iter().any(|c| (c.from_height, c.stale, c.runs.len()) == (1_024, 0, 3))
    })
    .await;
    let runs = counts(&engine, &store, "a").await.remove(1).runs;
    let seen: Vec<_> = runs.iter().map(|r| (r.0, r.1, r.7)).collect();
    assert_eq!(seen, [(1_024, 1_499, 1), (1_500, 1_500, 0), (1_501, 2_047, 1)]);
    assert_eq!(runs[1].3, runs[1].4 + 1, "one transaction is missing");
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_count_that_never_ends_holds_no_batch() {
    let engine = Running::start().await;
    let store = store_in(&engine, "audit_hangs");
    let (log, mut dice) = (TestLog::open().await, Dice(42));
    let mut chain = Chain::new("a", 10);
    let door = Door::before(&engine.url).await;
    let (asked, mut told) = tokio::sync::watch::channel(false);
    door.rule(move |statement| {
        let counts = statement.contains("evm_log_rows FINAL") && !statement.contains("VIEW");
        if counts {
            asked.send_replace(true);
            return Let::Hang;
        }
        Let::Through
    });
    log.publish(&[chain.apply(&mut dice)]).await;
    let sink = RunningSink::start(&door.store(&store), &log);
    told.wait_for(|asked| *asked).await.expect("a question");
    for _ in 0..10 {
        log.publish(&[chain.apply(&mut dice)]).await;
        until_processed(&store, &chain.network, chain.sequence).await;
    }
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}
