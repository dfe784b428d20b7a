//! The stage against the simulated node: following, forks of every depth, faults, restarts, states.

mod common;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use common::{Chain, SLUG, Stage, config, endpoints, open, read_chain, trace, wait_for_state, wait_for_tip};
use ingest::Start;
use loadtest::node::evm::{Clock, Config as Sim, Dataset, Fault, FaultKind, Simulator, spawn};
use runtime::log::{
    Log, NewRecord, TopicPartition, Transaction,
    embedded::{EmbeddedConfig, EmbeddedLog, Sync},
};
use schemas::{
    Op, TimeMs,
    codec::Codec,
    records::{NetworkState, RawBlock, StageStatus},
    topics,
};

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
        // By chance, or while the endpoint rests after the fault before, hardly anything is asked: blocks come until it was met.
        let since = Instant::now();
        while sim.faults().iter().all(|(_, n)| *n == 0) {
            assert!(since.elapsed() < Duration::from_secs(60), "{fault} never happened");
            sim.advance(1).unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
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
    // So it is when all of several endpoints say so, none of which is a liar for that.
    let mut several = config(&sim.url(), None, 4242, Start::Height(1));
    let other = ingest::Endpoint { name: "other".into(), ..endpoints(&mut several)[0].clone() };
    endpoints(&mut several).push(other);
    let stage = Stage::start(several, log.clone());
    // What the stage before said is in the log until this one has spoken.
    let since = Instant::now();
    loop {
        let said = wait_for_state(&*log, NetworkState::WrongChain).await.detail.unwrap();
        if said.contains("all endpoints (`node`, `other`) are on chain") && said.contains("says 4242") {
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "{said}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
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

/// What the statuses say of each network.
async fn told(log: &dyn Log) -> HashMap<String, StageStatus> {
    let codec = Codec::builtin();
    let mut told: HashMap<String, StageStatus> = HashMap::new();
    let records = common::read_topic(log, topics::STAGE_STATUS).await;
    for status in records.iter().filter_map(|r| r.value.as_ref()).map(|v| codec.decode::<StageStatus>(v).unwrap()) {
        let Some(network) = status.network.as_ref().map(ToString::to_string) else { continue };
        if told.get(&network).is_none_or(|known| known.at <= status.at) {
            told.insert(network, status);
        }
    }
    told
}

/// Waits until a network's newest status is in a state and was written after `since`.
async fn until_told(log: &dyn Log, network: &str, state: NetworkState, since: TimeMs) -> StageStatus {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let now = told(log).await;
        match now.get(network) {
            Some(s) if s.state == state.as_str() && s.at > since => return s.clone(),
            other => assert!(Instant::now() < until, "{network} {state:?} was expected, last: {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Sequences and highest height of a network's headers, checked to be gapless.
async fn written(log: &dyn Log, network: &str) -> (u64, u64) {
    let codec = Codec::builtin();
    let (mut sequence, mut height) = (0, 0);
    for record in common::read_topic(log, topics::RAW_BLOCKS).await {
        let block: RawBlock = codec.decode(record.value.as_ref().unwrap()).unwrap();
        let e = &block.envelope;
        if e.network.as_str() == network && e.op != Op::Finality {
            assert_eq!(e.sequence, sequence + 1, "no gap, no repeat");
            (sequence, height) = (e.sequence, e.height);
        }
    }
    (sequence, height)
}

async fn until_height(log: &dyn Log, network: &str, height: u64) {
    let until = Instant::now() + Duration::from_secs(60);
    while written(log, network).await.1 < height {
        assert!(Instant::now() < until, "{network} did not reach {height}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn write(log: &dyn Log, records: &[(topics::TopicSpec, u32, &str, Option<Bytes>)]) {
    let record = |(topic, partition, key, value): &(topics::TopicSpec, u32, &str, Option<Bytes>)| NewRecord {
        to: TopicPartition { topic: topic.name, partition: *partition },
        key: Some((*key).to_owned().into()),
        value: value.clone(),
        headers: Vec::new(),
    };
    let records = records.iter().map(record).collect();
    let mut producer = log.producer("another.program").await.unwrap();
    producer.commit(Transaction { records, offsets: None }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_and_unreadable_records_of_the_state_stay_with_their_network() {
    let sim = node(10).await;
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).await;
    let mut config = config(&sim.url(), None, sim.chain_id(), Start::Height(1));
    let mut other = config.networks[0].clone();
    other.slug = "other-net".parse().unwrap();
    config.networks.push(other);
    let stage = Stage::start(config.clone(), log.clone());
    for network in [SLUG, "other-net"] {
        until_told(&*log, network, NetworkState::Live, TimeMs(0)).await;
    }
    stage.stop().await;
    let stopped_at = written(&*log, "other-net").await;

    // Bytes of another program in every topic of the state, and a checkpoint that a newer version wrote.
    let (checkpoints, control) = (topics::INGEST_CHECKPOINTS, topics::CONTROL_CONFIG);
    let last = common::read_topic(&*log, checkpoints).await;
    let last = last.iter().rfind(|r| r.key.as_deref() == Some(b"other-net")).unwrap().clone();
    let x = || Some(Bytes::from_static(b"x"));
    let future = || Some(Bytes::from_static(&[0, 0x7f, 0xff, 0xff, 0xff, 1, 2]));
    let foreign = [
        (checkpoints, 0, "who knows", x()),
        (checkpoints, 1, "other-net#3", x()),
        (control, 0, "who knows", x()),
        (control, 0, "budget/test-net", future()),
    ];
    write(&*log, &foreign).await;
    write(&*log, &[(checkpoints, last.from.partition, "other-net", future())]).await;
    let stage = Stage::start(config.clone(), log.clone());
    let began = TimeMs::now();
    let head = sim.advance(3).map(|_| sim.head()).unwrap();
    until_height(&*log, SLUG, head).await;
    let said = until_told(&*log, "other-net", NetworkState::Stalled, began).await.detail.unwrap();
    assert!(said.contains("ingest.checkpoints") && said.contains("run that version"), "{said}");
    stage.stop().await;
    assert_eq!(written(&*log, "other-net").await, stopped_at, "nothing is written without its checkpoint");

    // What the newer version wrote is replaced by one that can be read: the network goes on.
    write(&*log, &[(checkpoints, last.from.partition, "other-net", last.value.clone())]).await;
    let stage = Stage::start(config.clone(), log.clone());
    until_height(&*log, "other-net", head).await;
    stage.stop().await;

    // The same with the record that says which partition a network has.
    write(&*log, &[(control, 0, "network/other-net", future())]).await;
    let (began, stopped_at) = (TimeMs::now(), written(&*log, "other-net").await);
    let stage = Stage::start(config.clone(), log.clone());
    let head = sim.advance(3).map(|_| sim.head()).unwrap();
    until_height(&*log, SLUG, head).await;
    let said = until_told(&*log, "other-net", NetworkState::Stalled, began).await.detail.unwrap();
    assert!(said.contains("control.config") && said.contains("run that version"), "{said}");
    stage.stop().await;
    assert_eq!(written(&*log, "other-net").await, stopped_at);

    // Another program's value under the very key of a checkpoint, which compaction has removed at once: nothing is written twice.
    write(&*log, &[(checkpoints, 0, SLUG, x())]).await;
    let (began, stopped_at) = (TimeMs::now(), written(&*log, SLUG).await);
    let stage = Stage::start(config, log.clone());
    let said = until_told(&*log, SLUG, NetworkState::Stalled, began).await.detail.unwrap();
    assert!(said.contains("another program wrote under its key"), "{said}");
    stage.stop().await;
    assert_eq!(written(&*log, SLUG).await, stopped_at);
    sim.shutdown().await;
}
