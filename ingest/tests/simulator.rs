//! The stage against the simulated node: following, forks of every depth, faults, restarts, states.

mod common;

use std::{sync::Arc, time::Duration};

use common::{Chain, Stage, config, open, read_chain, trace, wait_for_state, wait_for_tip};
use ingest::Start;
use loadtest::node::evm::{Clock, Config as Sim, Dataset, Fault, FaultKind, Simulator, spawn};
use runtime::log::{
    Log,
    embedded::{EmbeddedConfig, EmbeddedLog, Sync},
};
use schemas::records::NetworkState;

async fn node(history: u64) -> Simulator {
    trace();
    // Small blocks of many kinds: what counts here is the chain, not its weight.
    let data = Dataset::embedded("optimism").unwrap();
    // Nothing that is forked away here was called final.
    spawn(Sim { clock: Clock::Manual, history, finality_depth: 300, safe_depth: 150, ..Sim::new(data) }).await.unwrap()
}

/// Waits for the node's head, then compares every block from `first` on with the node's own chain.
async fn same_chain(log: &EmbeddedLog, sim: &Simulator, first: u64) -> Chain {
    let head = sim.canonical(sim.head()..=sim.head()).pop().unwrap();
    let chain = wait_for_tip(log, head.height, &head.hash.to_string()).await;
    let canonical = sim.canonical(first..=sim.head());
    let expected: Vec<_> = canonical.iter().map(|c| (c.height, c.hash.to_string())).collect();
    assert_eq!(chain.hashes(), expected);
    for (block, truth) in chain.blocks.iter().zip(&canonical) {
        assert_eq!(block.envelope.tx_count as u64, truth.facts.tx_count, "at {}", truth.height);
        assert_eq!(block.envelope.log_count as u64, truth.facts.logs, "at {}", truth.height);
    }
    assert_eq!(chain.remaining, 0);
    chain
}

struct Set {
    sim: Simulator,
    dir: tempfile::TempDir,
    log: Arc<EmbeddedLog>,
    stage: Stage,
}

async fn set(history: u64, ws: bool) -> Set {
    let sim = node(history).await;
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).await;
    let ws_url = sim.ws_url();
    let stage =
        Stage::start(config(&sim.url(), ws.then_some(ws_url.as_str()), sim.chain_id(), Start::Height(1)), log.clone());
    Set { sim, dir, log, stage }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follows_and_survives_forks_of_every_depth() {
    let Set { sim, log, stage, dir: _dir } = set(300, true).await;
    same_chain(&log, &sim, 1).await;
    let mut reverts = 0;
    for depth in [1u64, 2, 3, 5, 8, 13, 21, 34, 63, 64] {
        sim.advance(2).unwrap();
        same_chain(&log, &sim, 1).await;
        // At the same height, and longer.
        if depth % 2 == 0 {
            sim.fork(depth).unwrap()
        } else {
            sim.fork_and_advance(depth, 3).unwrap()
        };
        let chain = same_chain(&log, &sim, 1).await;
        reverts += depth as usize;
        assert_eq!(chain.reverts, reverts, "depth {depth}");
    }
    sim.fork(256).unwrap();
    let chain = same_chain(&log, &sim, 1).await;
    assert_eq!(chain.reverts, reverts + 256);
    assert_eq!(common::wait_for_state(&*log, NetworkState::Live).await.tip_height, Some(sim.head()));
    // One more is too deep: the network stops, nothing is written, and a restart does not forget.
    let before = chain.sequence;
    sim.fork_and_advance(257, 2).unwrap();
    let said = wait_for_state(&*log, NetworkState::ReorgTooDeep).await;
    let words = said.detail.unwrap();
    assert!(words.contains("by more than 256 blocks") && words.contains("goes on by itself"), "{words}");
    sim.advance(3).unwrap();
    stage.stop().await;
    let again = Stage::start(config(&sim.url(), None, sim.chain_id(), Start::Height(1)), log.clone());
    tokio::time::sleep(Duration::from_millis(1500)).await;
    wait_for_state(&*log, NetworkState::ReorgTooDeep).await;
    assert_eq!(read_chain(&*log).await.sequence, before);
    again.stop().await;
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_is_outlived() {
    let Set { sim, log, stage, dir: _dir } = set(20, true).await;
    same_chain(&log, &sim, 1).await;
    let faults = [
        "slow:200@0.3",
        "http403@0.2",
        "http429:0@0.2",
        "http5xx@0.2",
        "http500@x3",
        "truncated@0.2",
        "null-receipts@0.3",
        "empty@0.2",
        "lying@0.3",
        "other-block@0.3",
        "stale-head:3@0.5",
        "rpc-error@0.2",
        "ws-drop@0.5",
        "no-method/eth_getBlockReceipts",
    ];
    for (i, fault) in faults.iter().enumerate() {
        sim.fault(fault.parse().unwrap());
        for _ in 0..3 {
            sim.advance(3).unwrap();
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        sim.fork_and_advance(1 + i as u64 % 4, 2).unwrap();
        tokio::time::sleep(Duration::from_millis(400)).await;
        let hits = sim.faults();
        assert!(hits.iter().any(|(_, n)| *n > 0), "{fault} never happened: {hits:?}");
        sim.clear_faults();
        sim.advance(1).unwrap();
        same_chain(&log, &sim, 1).await;
    }
    stage.stop().await;
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_nothing_is_lost_or_doubled() {
    let sim = node(40).await;
    let dir = tempfile::tempdir().unwrap();
    for round in 0..12u64 {
        let log = open(dir.path()).await;
        let stage = Stage::start(config(&sim.url(), None, sim.chain_id(), Start::Height(1)), log.clone());
        tokio::time::sleep(Duration::from_millis(50 + 37 * (round % 5))).await;
        if round % 2 == 0 {
            sim.advance(25).unwrap()
        } else {
            sim.fork_and_advance(1 + round * 2, 3).unwrap()
        };
        tokio::time::sleep(Duration::from_millis(20 * (round % 7))).await;
        stage.kill().await;
        drop(log);
    }
    let log = open(dir.path()).await;
    let stage = Stage::start(config(&sim.url(), None, sim.chain_id(), Start::Height(1)), log.clone());
    same_chain(&log, &sim, 1).await;
    stage.stop().await;
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wrong_chain_is_never_followed() {
    let sim = node(5).await;
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).await;
    let stage = Stage::start(config(&sim.url(), None, 4242, Start::Height(1)), log.clone());
    let said = wait_for_state(&*log, NetworkState::WrongChain).await;
    assert!(said.detail.unwrap().contains("the configuration says 4242"));
    stage.stop().await;
    assert_eq!(read_chain(&*log).await.sequence, 0);
    // Held with the right id; then the configuration names another.
    let right = Stage::start(config(&sim.url(), None, sim.chain_id(), Start::Height(1)), log.clone());
    same_chain(&log, &sim, 1).await;
    right.stop().await;
    let stage = Stage::start(config(&sim.url(), None, 4242, Start::Height(1)), log.clone());
    let said = wait_for_state(&*log, NetworkState::WrongChain).await;
    assert!(said.detail.unwrap().contains("is held with chain id"));
    stage.stop().await;
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_receipts_is_a_state_and_ends_when_it_has_them() {
    let sim = node(0).await;
    sim.fault(Fault::always(FaultKind::NoMethod).on("eth_getBlockReceipts"));
    sim.fault(Fault::always(FaultKind::NoMethod).on("eth_getTransactionReceipt"));
    sim.advance(5).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).await;
    let stage = Stage::start(config(&sim.url(), None, sim.chain_id(), Start::Height(1)), log.clone());
    let said = wait_for_state(&*log, NetworkState::NoReceipts).await;
    assert!(said.detail.unwrap().contains("eth_getBlockReceipts or eth_getTransactionReceipt"));
    assert_eq!(read_chain(&*log).await.sequence, 0, "nothing is inferred");
    sim.clear_faults();
    same_chain(&log, &sim, 1).await;
    stage.stop().await;
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starts_at_the_head_and_below_it_only_once() {
    let sim = node(50).await;
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).await;
    let start = sim.head();
    let stage = Stage::start(config(&sim.url(), None, sim.chain_id(), Start::Latest), log.clone());
    same_chain(&log, &sim, start).await;
    sim.advance(10).unwrap();
    let chain = same_chain(&log, &sim, start).await;
    assert!(chain.last_finalized.is_some());
    stage.stop().await;
    // A lower start changes nothing by itself; a fork below the first block starts again there.
    let stage = Stage::start(config(&sim.url(), None, sim.chain_id(), Start::Height(1)), log.clone());
    sim.fork_and_advance(20, 4).unwrap();
    let chain = same_chain(&log, &sim, start).await;
    assert_eq!(chain.reverts, 11);
    // Finality moves on without blocks.
    wait_for_state(&*log, NetworkState::Live).await;
    stage.stop().await;
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fenced_partition_that_is_still_held_begins_anew() {
    let Set { sim, log, stage, dir: _dir } = set(10, true).await;
    same_chain(&log, &sim, 1).await;
    for partition in 0..2 {
        drop(log.producer(&format!("ingest.{partition}")).await.unwrap());
    }
    sim.advance(5).unwrap();
    same_chain(&log, &sim, 1).await;
    stage.stop().await;
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebalances_cost_no_block_and_double_none() {
    let Set { sim, log, stage, dir: _dir } = set(10, true).await;
    same_chain(&log, &sim, 1).await;
    for round in 0..8u64 {
        // Which of both gets the network's partition is the group's choice, and another one each time.
        let instance = ["another", "zz"][round as usize % 2].to_owned();
        let config = ingest::Config { instance, ..config(&sim.url(), None, sim.chain_id(), Start::Height(1)) };
        let second = Stage::start(config, log.clone());
        sim.advance(3).unwrap();
        sim.fork_and_advance(2, 4).unwrap();
        same_chain(&log, &sim, 1).await;
        match round % 3 {
            0 => second.kill().await,
            _ => second.stop().await,
        }
        sim.advance(3).unwrap();
        same_chain(&log, &sim, 1).await;
    }
    stage.stop().await;
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_log_is_a_state_and_nothing_is_lost() {
    let sim = node(60).await;
    let dir = tempfile::tempdir().unwrap();
    let mut tight = EmbeddedConfig::new(dir.path());
    (tight.sync, tight.min_free_bytes, tight.max_bytes) = (Sync::Os, 0, Some(1));
    // Topics and the network's partition must exist; then there is no room for a single block.
    let log = open(dir.path()).await;
    let mut early = config(&sim.url(), None, sim.chain_id(), Start::Height(1));
    early.networks[0].start = Start::Height(1_000_000);
    let stage = Stage::start(early, log.clone());
    wait_for_state(&*log, NetworkState::Live).await;
    stage.stop().await;
    log.close().await.unwrap();
    drop(log);
    let log = EmbeddedLog::open(tight).await.unwrap();
    let stage = Stage::start(config(&sim.url(), None, sim.chain_id(), Start::Height(1)), log.clone());
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(read_chain(&*log).await.sequence, 0, "nothing fits");
    stage.stop_whatever_it_says().await;
    log.close().await.unwrap();
    drop(log);
    let log = open(dir.path()).await;
    let stage = Stage::start(config(&sim.url(), None, sim.chain_id(), Start::Height(1)), log.clone());
    same_chain(&log, &sim, 1).await;
    stage.stop().await;
    sim.shutdown().await;
}
