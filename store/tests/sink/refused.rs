//! A store that takes everything but one block: its network halts, others go on, and it goes on when the store takes the block.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use store::sink::State;

use crate::{
    chain::{Chain, Dice},
    chaos::compare,
    door::{Door, Let, writes},
    harness::Running,
    setup::{RunningSink, TestLog, execute, store_in, until, until_processed},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_the_store_refuses_halts_its_network_and_no_other() {
    let engine = Running::start().await;
    let store = store_in(&engine, "refused");
    store.migrate().await.expect("tables");
    // An error that no list of codes has (469, VIOLATED_CONSTRAINT).
    let sql =
        "ALTER TABLE block_rows ADD CONSTRAINT not_this CHECK NOT (network = 'a' AND height = 12 AND is_deleted = 0)";
    execute(&engine, &store, sql).await;
    let (log, mut dice) = (TestLog::open().await, Dice(31));
    let mut chains = [Chain::new("a", 10), Chain::new("b", 10), Chain::new("e", 10)];
    for _ in 0..6 {
        let events: Vec<_> = chains.iter_mut().map(|c| c.apply(&mut dice)).collect();
        log.publish(&events).await;
    }
    let sink = RunningSink::start(&store, &log);
    for chain in &chains[1..] {
        until_processed(&store, &chain.network, chain.sequence).await;
    }
    until("a to be halted", || async {
        store.network(&chains[0].network).await.expect("an answer").is_some_and(|n| n.state == "refused")
    })
    .await;
    // Later batches of the others are not held up, and nothing more of a is written.
    for _ in 0..3 {
        let events: Vec<_> = chains.iter_mut().flat_map(|c| c.step(&mut dice)).collect();
        log.publish(&events).await;
        for chain in &chains[1..] {
            until_processed(&store, &chain.network, chain.sequence).await;
        }
    }
    let told = store.network(&chains[0].network).await.expect("an answer").expect("a network");
    assert!(told.message.contains("block 12 (sequence 3)") && told.message.contains("Code: 469"), "{told:?}");
    assert_eq!(told.processed_sequence, 2, "nothing is jumped over");
    assert_eq!(sink.config.status.networks()[&chains[0].network].state, State::Refused);
    assert_eq!(sink.config.status.networks()[&chains[0].network].sequence, 2);

    // The store takes it again: after a rest it is tried again by itself, and what was passed over is found in the log.
    execute(&engine, &store, "ALTER TABLE block_rows DROP CONSTRAINT not_this").await;
    let give_up = Instant::now() + Duration::from_secs(120);
    while store.processed_sequence("a").await.expect("an answer") < 3 {
        assert!(Instant::now() < give_up, "a was not tried again");
        let events: Vec<_> = chains.iter_mut().map(|c| c.apply(&mut dice)).collect();
        log.publish(&events).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    for chain in &chains {
        until_processed(&store, &chain.network, chain.sequence).await;
    }
    until("a to go on", || async {
        store.network(&chains[0].network).await.expect("an answer").is_some_and(|n| n.state == "running")
    })
    .await;
    sink.stop().await.expect("a clean end");
    compare(&engine, &store, &chains, "after a block was refused").await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_refuses_everything_halts_nobody() {
    let engine = Running::start().await;
    let store = store_in(&engine, "refuses_all");
    let (log, mut dice) = (TestLog::open().await, Dice(32));
    let mut chains = [Chain::new("a", 10), Chain::new("b", 10)];
    let mut publish = async |chains: &mut [Chain; 2]| {
        let events: Vec<_> = chains.iter_mut().map(|c| c.apply(&mut dice)).collect();
        log.publish(&events).await;
    };
    publish(&mut chains).await;
    let door = Door::before(&engine.url).await;
    let sink = RunningSink::start(&door.store(&store), &log);
    until_processed(&store, &chains[1].network, 1).await;
    let refused = Arc::new(AtomicU64::new(0));
    let counted = refused.clone();
    door.rule(move |statement| {
        if !writes(statement) {
            return Let::Through;
        }
        counted.fetch_add(1, Ordering::SeqCst);
        Let::Refuse
    });
    publish(&mut chains).await;
    // Long enough for the batch to be taken apart, twice.
    until("the store to have refused often", || async {
        let states = sink.config.status.networks();
        assert!(states.values().all(|s| s.state == State::Running), "{states:?}");
        refused.load(Ordering::SeqCst) >= 20
    })
    .await;
    door.rule(|_| Let::Through);
    for chain in &chains {
        until_processed(&store, &chain.network, 2).await;
    }
    publish(&mut chains).await;
    for chain in &chains {
        until_processed(&store, &chain.network, 3).await;
        let told = store.network(&chain.network).await.expect("an answer").expect("a network");
        assert_eq!(told.state, "running");
    }
    sink.stop().await.expect("a clean end");
    compare(&engine, &store, &chains, "after the store refused everything").await;
    engine.stop().await;
}
