//! `kill -9` at random moments while a Bitcoin chain grows and forks: at the end every block, transaction, input and output is there once,
//! sequences are gapless, and windows are what transactions give.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use loadtest::node::bitcoin::{EndpointConfig, Simulator};
use tokio::task::JoinHandle;

use super::{assert_rows, assert_windows, chain, headwater, network, tip};
use crate::common::{life, number, of_many, seeded};

/// Four blocks a second; every tenth time or so the last 1–8 blocks are replaced by a branch with more work.
fn live(node: Arc<Simulator>, seed: u64) -> JoinHandle<()> {
    let mut random = fastrand::Rng::with_seed(seed);
    tokio::spawn(async move {
        loop {
            let depth = 1 + random.u64(..8);
            if random.u64(..10) == 0 && node.head() > depth + 1 {
                node.fork_and_advance(depth, 1 + random.u64(..2)).expect("fork");
            } else {
                node.advance(1).expect("advance");
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_and_forks_lose_nothing_of_a_bitcoin_chain_and_double_nothing() {
    let mut random = seeded("kill test");

    // One with prevouts over REST, one of a version that tells them by `getblock` 3 alone.
    let both = vec![EndpointConfig { zmq: true, ..EndpointConfig::core("core") }, EndpointConfig::electrum("electrum")];
    let old = vec![EndpointConfig { version: 250_000, ..EndpointConfig::core("old") }];
    let (new, old) = (chain(both, 40).await, chain(old, 40).await);
    let growing = [live(new.clone(), random.u64(..)), live(old.clone(), random.u64(..))];
    let mut headwater = headwater(&[network("new", &new, ""), network("old", &old, "")]);

    for kill in 0..of_many(8, 20) {
        headwater.start();
        tokio::time::sleep(life(&mut random)).await;
        assert!(headwater.ended().is_none(), "ended by itself in life {kill}:\n{}", headwater.said());
        headwater.kill();
    }

    growing.iter().for_each(JoinHandle::abort);
    let begun = Instant::now();
    headwater.start();
    for (slug, node) in [("new", &new), ("old", &old)] {
        headwater.until_visible(slug, &tip(node)).await;
        let compared = assert_rows(&headwater, slug, node).await;
        let windows = assert_windows(&headwater, slug).await;
        let reverts = headwater
            .query(&format!("SELECT countIf(op = 'revert') AS n FROM block_events WHERE network = '{slug}'"))
            .await;
        assert!(number(&reverts.expect("events")[0], "n") > 0, "no fork happened to {slug}: the test shows too little");
        eprintln!("{slug}: {compared:?}, {windows} windows, {:?} after the last kill", begun.elapsed());
    }
    assert_eq!(headwater.stop(), Some(0), "{}", headwater.said());
}
