//! `kill -9` of the real binary at random moments while blocks arrive and forks happen: at the end every block is there once,
//! sequences are gapless and totals equal recomputation from the raw receipts,
//! and windows recomputation from transactions.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::common::{Headwater, Net, expected, life, of_many, seeded};
use loadtest::node::evm::{Clock, Config, Dataset, Simulator, spawn};
use tokio::task::JoinHandle;

async fn node(data: &str) -> Arc<Simulator> {
    let data = Dataset::embedded(data).expect("embedded data");
    Arc::new(spawn(Config { clock: Clock::Manual, ..Config::new(data) }).await.expect("simulator"))
}

/// Four blocks a second; every tenth time or so the last 1–8 blocks are replaced.
fn live(node: Arc<Simulator>, seed: u64) -> JoinHandle<()> {
    let mut random = fastrand::Rng::with_seed(seed);
    tokio::spawn(async move {
        loop {
            let depth = 1 + random.u64(..8);
            if random.u64(..10) == 0 && node.head() > depth {
                node.fork_and_advance(depth, random.u64(..2)).expect("fork");
            } else {
                node.advance(1).expect("advance");
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_nothing_and_double_nothing() {
    let kills = of_many(15, 50);
    let mut random = seeded("kill test");

    let ethereum = node("ethereum").await;
    let optimism = node("optimism").await;
    let chains = [live(ethereum.clone(), random.u64(..)), live(optimism.clone(), random.u64(..))];
    let mut headwater = Headwater::new(&[Net::of("eth", &ethereum), Net::of("op", &optimism)]);

    let mut lived = Duration::ZERO;
    for kill in 0..kills {
        headwater.start();
        let life = life(&mut random);
        let started = Instant::now();
        tokio::time::sleep(life).await;
        assert!(headwater.ended().is_none(), "ended by itself in life {kill}:\n{}", headwater.said());
        headwater.kill();
        lived += started.elapsed();
    }

    // The chains stand still; what is there must become whole.
    chains.iter().for_each(JoinHandle::abort);
    headwater.start();
    for (slug, node) in [("eth", &*ethereum), ("op", &*optimism)] {
        let head = node.canonical(node.head()..=node.head()).remove(0);
        headwater.until_visible(slug, &head.hash.to_string()).await;
        expected::assert_canonical(&headwater, slug, node).await;
        crate::windows::assert_same(&headwater, slug, "").await;
        let reverts = headwater
            .query(&format!("SELECT countIf(op = 'revert') AS n FROM block_events WHERE network = '{slug}'"))
            .await;
        assert!(
            crate::common::number(&reverts.expect("events")[0], "n") > 0,
            "no fork happened to {slug}: the test shows too little"
        );
    }
    eprintln!("{kills} kills in {lived:?} of life; heads {} and {}", ethereum.head(), optimism.head());
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}
