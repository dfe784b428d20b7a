//! What a sink asks its store while networks get on, and when nothing happens.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use schemas::Network;
use store::{Store, query::StoredPosition, sink::SinkStatus};

use crate::{
    chain::{Chain, Dice},
    door::{Door, Let, writes},
    harness::Running,
    setup::{RunningSink, TestLog, store_in, until},
};

async fn until_counted(status: &SinkStatus, network: &Network, blocks: u64) {
    until(&format!("{blocks} blocks to be counted"), || async {
        let counted = status.networks().get(network).and_then(|s| s.completeness);
        counted.is_some_and(|c| (c.blocks, c.incomplete_blocks) == (blocks, 0))
    })
    .await;
}

/// The value of a parameter of a statement that came as a form.
fn parameter(statement: &str, name: &str) -> Option<u64> {
    let (_, value) = statement.split_once(&format!("\"param_{name}\"\r\n\r\n"))?;
    value.split("\r\n").next()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_sink_knows_it_does_not_ask() {
    let engine = Running::start().await;
    let store = store_in(&engine, "asks");
    let (log, mut dice) = (TestLog::open().await, Dice(43));
    let mut chain = Chain::new("a", 1_000);
    let door = Door::before(&engine.url).await;
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    door.rule({
        let asked = Arc::clone(&asked);
        move |statement| {
            asked.lock().expect("a list").push(statement.to_owned());
            Let::Through
        }
    });
    let taken = || std::mem::take(&mut *asked.lock().expect("a list"));
    let through: Store = door.store(&store);
    let sink = RunningSink::start(&through, &log);
    let status = sink.config.status.clone();
    let first: Vec<_> = (0..20).map(|_| chain.apply(&mut dice)).collect();
    log.publish(&first).await;
    until_counted(&status, &chain.network, 20).await;
    let position = async |network| store.position(network).await.expect("an answer");
    assert_eq!(position("a").await, StoredPosition { sequence: 20, halted: false });
    assert_eq!(position("nobody").await, StoredPosition::default(), "the sink has never told of it");
    // What is asked of settled heights, once, follows.
    tokio::time::sleep(Duration::from_secs(2)).await;
    taken();

    let began = Instant::now();
    for blocks in 21..25 {
        let event = chain.apply(&mut dice);
        let height = event.block.envelope.height;
        log.publish(&[event]).await;
        until_counted(&status, &chain.network, blocks).await;
        let took = began.elapsed();
        let (written, read): (Vec<String>, Vec<String>) = taken().into_iter().partition(|s| writes(s));
        assert!((2..=4).contains(&written.len()), "inserts of one block: {written:#?}");
        let (counts, others): (Vec<String>, Vec<String>) =
            read.into_iter().partition(|s| s.contains("evm_log_rows FINAL"));
        assert_eq!(counts.iter().map(|s| parameter(s, "from")).collect::<Vec<_>>(), [Some(height)], "{counts:#?}");
        let others: Vec<&String> =
            others.iter().filter(|s| took < Duration::from_secs(3) || s.as_str() != "SELECT 1").collect();
        assert!(others.is_empty(), "{others:#?}");
    }

    // A reorg: what is gone and what came are counted, from the lowest of them on.
    let reverts: Vec<_> = (0..2).map(|_| chain.revert().expect("a block")).collect();
    let lowest = reverts.iter().map(|event| event.block.envelope.height).min();
    log.publish(&reverts).await;
    until_counted(&status, &chain.network, 22).await;
    let counts: Vec<_> =
        taken().iter().filter(|s| s.contains("evm_log_rows FINAL")).filter_map(|s| parameter(s, "from")).collect();
    assert_eq!(counts.iter().min().copied(), lowest, "{counts:?}");

    tokio::time::sleep(Duration::from_secs(1)).await;
    taken();
    tokio::time::sleep(Duration::from_secs(7)).await;
    let idle = taken();
    assert!((1..=3).contains(&idle.len()) && idle.iter().all(|s| s == "SELECT 1"), "{idle:#?}");
    sink.stop().await.expect("a clean end");
    engine.stop().await;
}
