//! Logs that do not fit the store, and stores that go away (rules 11, 12 and 13).

use std::time::Duration;

use schemas::records::Payload;
use store::sink::State;

use crate::{
    chain::{Chain, Dice},
    chaos::compare,
    harness::Running,
    setup::{RunningSink, TestLog, rows, store_in, until, until_processed},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replaced_log_halts_its_network_and_no_other() {
    let engine = Running::start().await;
    let store = store_in(&engine, "replaced");
    let mut dice = Dice(1);
    let (mut a, mut b) = (Chain::new("a", 10), Chain::new("b", 10));
    let old = TestLog::open().await;
    for _ in 0..5 {
        old.publish(&[a.apply(&mut dice), b.apply(&mut dice)]).await;
    }
    let sink = RunningSink::start(&store, &old);
    until_processed(&store, &a.network, 5).await;
    until_processed(&store, &b.network, 5).await;
    sink.stop().await.expect("a clean end");

    // In the new log, b is the same and goes on; a is another chain under the same sequences.
    let new = TestLog::open().await;
    let mut other = Chain::new("a", 10);
    for live in &b.live {
        new.publish(&[other.apply(&mut dice), live.event.clone()]).await;
    }
    new.publish(&[b.apply(&mut dice), other.apply(&mut dice)]).await;
    let sink = RunningSink::start(&store, &new);
    until_processed(&store, &b.network, 6).await;
    until("a to be halted", || async {
        sink.config.status.networks().get(&a.network).is_some_and(|s| s.state == State::LogReplaced)
    })
    .await;
    until("the state to be in the store", || async {
        let network = store.network(&a.network).await.expect("a question").expect("a");
        network.state == "log_replaced" && network.message.contains("under sequence 1 ")
    })
    .await;
    compare(&engine, &store, &[a, b], "with a replaced log").await;
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_retention_removed_halts_as_overtaken() {
    let engine = Running::start().await;
    let store = store_in(&engine, "overtaken");
    let mut dice = Dice(2);
    let (mut a, mut b) = (Chain::new("a", 10), Chain::new("b", 10));
    let log = TestLog::open().await;
    let _gone = a.apply(&mut dice);
    log.publish(&[a.apply(&mut dice), b.apply(&mut dice)]).await;
    let sink = RunningSink::start(&store, &log);
    until_processed(&store, &b.network, 1).await;
    until("a to be halted", || async {
        store.network(&a.network).await.expect("a question").is_some_and(|n| n.state == "overtaken")
    })
    .await;
    assert_eq!(store.processed_sequence("a").await.expect("a question"), 0, "nothing is jumped over");
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_killed_while_rows_arrive_loses_nothing() {
    let engine = Running::start().await;
    let log = TestLog::open().await;
    let mut dice = Dice(3);
    let mut chains: Vec<Chain> = (0..8).map(|i| Chain::new(&format!("net-{i}"), 999_990)).collect();
    let mut store = store_in(&engine, "killed");
    for _ in 0..3 {
        let sink = RunningSink::start(&store, &log);
        for _ in 0..10 {
            let events: Vec<_> = chains.iter_mut().flat_map(|c| c.step(&mut dice)).collect();
            log.publish(&events).await;
        }
        let first = &chains[0];
        until_processed(&store, &first.network, first.sequence / 2).await;
        let pid = rustix::process::Pid::from_raw(engine.pid()).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
        // The sink keeps trying while nothing is there.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut state = engine.supervisor.state();
        let old = pid.as_raw_nonzero().get();
        until("the store to be back", || async { engine.holder().is_some_and(|p| p != old) }).await;
        state.mark_changed();
        let url = engine.supervisor.ready().await.expect("ready");
        // A new address is a new configuration, so a new sink.
        sink.kill().await;
        let mut config = store.config().clone();
        config.url = url;
        store = store::Store::connect(config).expect("a store");
        store.wait_ready(Duration::from_secs(60)).await.expect("an answer");
    }
    let sink = RunningSink::start(&store, &log);
    for chain in &chains {
        until_processed(&store, &chain.network, chain.sequence).await;
    }
    sink.stop().await.expect("a clean end");
    let sql = "SELECT toString(network), number, hash, sequence, transaction_count, failed_count FROM blocks ORDER BY network, number";
    let url = store.config().url.clone();
    let client = engine.client().with_url(url.as_str().trim_end_matches('/')).with_database("killed");
    let seen = client.query(sql).fetch_all::<(String, u64, String, u64, u32, u32)>().await.expect("blocks");
    let wanted: Vec<_> = chains
        .iter()
        .flat_map(|c| {
            c.live.iter().map(|l| {
                let (e, s) = (&l.event.block.envelope, l.event.block.summary.as_ref().expect("a summary"));
                (
                    c.network.as_str().to_owned(),
                    e.height,
                    e.block_hash.as_str().to_owned(),
                    e.sequence,
                    e.tx_count,
                    s.failed,
                )
            })
        })
        .collect();
    assert_eq!(seen, wanted);
    let holes = client
        .query(
            "SELECT network FROM block_events GROUP BY network HAVING max(sequence) != count() OR min(sequence) != 1",
        )
        .fetch_all::<String>()
        .await
        .expect("gaplessness");
    assert!(holes.is_empty(), "{holes:?}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_transaction_leaves_its_block_incomplete() {
    let engine = Running::start().await;
    let store = store_in(&engine, "unreadable");
    let log = TestLog::open().await;
    let mut dice = Dice(4);
    let mut a = Chain::new("a", 10);
    let mut events = Vec::new();
    while events.len() < 3 {
        let mut event = a.apply(&mut dice);
        if events.len() == 1 {
            let Some(first) = event.transactions.first_mut() else {
                let revert = a.revert().expect("a block");
                log.publish(&[event, revert]).await;
                continue;
            };
            first.payload = Payload::Unreadable { index: 0, error: "cut off".into() };
            event.block.summary.as_mut().expect("a summary").unreadable = 1;
        }
        log.publish(std::slice::from_ref(&event)).await;
        events.push(event);
    }
    let sink = RunningSink::start(&store, &log);
    until_processed(&store, &a.network, a.sequence).await;
    let status = sink.config.status.clone();
    until("the sink to ask by itself", || async { status.networks()[&a.network].completeness.is_some() }).await;
    sink.stop().await.expect("a clean end");
    let recent = store.recent_completeness(&a.network, 1_024).await.expect("an answer");
    assert_eq!((recent.blocks, recent.incomplete_blocks), (3, 1));
    assert_eq!(recent.transactions_expected, recent.transactions_stored + 1);
    assert_eq!(status.networks()[&a.network].completeness, Some(recent));
    let ranges = store.completeness(&a.network).await.expect("ranges").ranges;
    let told: Vec<_> = ranges.iter().map(|r| (r.from_number, r.to_number, r.complete)).collect();
    assert_eq!(told, [(10, 10, true), (11, 11, false), (12, 12, true)]);
    let block = store.block_by_height(&a.network, 11).await.expect("a question").expect("a block");
    assert_eq!(block.unreadable_count, 1);
    let stored = rows::<u64>(&engine, &store, "SELECT count() FROM transactions WHERE block_number = 11").await;
    assert_eq!(stored, [u64::from(block.transaction_count) - 1]);
    engine.stop().await;
}
