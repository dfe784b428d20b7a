//! What catching up costs: calls and bodies a block, with batches and without, and that the head is as it was.

mod common;

use std::time::Duration;

use common::{Stage, config, open, read_chain, trace, wait_for_tip};
use ingest::Start;
use loadtest::node::evm::{Clock, Config as Sim, Counts, Dataset, Simulator, spawn};

const HISTORY: u64 = 200;

/// What was asked about blocks: calls, and bodies in which they came.
fn asked(before: &Counts, after: &Counts) -> (u64, u64) {
    let of = |counts: &Counts, method: &str| counts.methods.get(method).copied().unwrap_or_default();
    let since = |method: &str| of(after, method) - of(before, method);
    let blocks = ["eth_getBlockByNumber", "eth_getBlockByHash", "eth_getBlockReceipts"].into_iter().map(since).sum();
    (blocks, after.requests - before.requests)
}

async fn same_chain(log: &runtime::log::embedded::EmbeddedLog, sim: &Simulator) {
    let head = sim.canonical(sim.head()..=sim.head()).pop().unwrap();
    wait_for_tip(log, head.height, &head.hash.to_string()).await;
    let expected: Vec<_> = sim.canonical(1..=sim.head()).iter().map(|c| (c.height, c.hash.to_string())).collect();
    assert_eq!(read_chain(log).await.hashes(), expected);
}

/// Follows a chain from its beginning: what was asked while catching up, a block.
async fn catches_up(fault: Option<&str>, live: u64) -> (f64, f64) {
    let data = Dataset::embedded("optimism").unwrap();
    let sim = Sim { clock: Clock::Manual, history: HISTORY, finality_depth: 50, safe_depth: 20, ..Sim::new(data) };
    let sim = spawn(sim).await.unwrap();
    fault.into_iter().for_each(|fault| sim.fault(fault.parse().unwrap()));
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).await;
    let mut config = config(&sim.url(), Some(&sim.ws_url()), sim.chain_id(), Start::Height(1));
    // What is asked is about blocks, and nothing else.
    config.finality_every = Duration::from_secs(3_600);
    config.networks[0].fleet.probe_every = Duration::from_secs(3_600);
    let stage = Stage::start(config, log.clone());
    same_chain(&log, &sim).await;
    let (calls, bodies) = asked(&Counts::default(), &sim.counts());
    // At the head each block costs two calls, each in a body of its own, after all that was learned.
    for _ in 0..live {
        let before = sim.counts();
        sim.advance(1).unwrap();
        let head = sim.canonical(sim.head()..=sim.head()).pop().unwrap();
        wait_for_tip(&*log, head.height, &head.hash.to_string()).await;
        assert_eq!(asked(&before, &sim.counts()), (2, 2), "at the head");
    }
    stage.stop().await;
    sim.shutdown().await;
    (calls as f64 / HISTORY as f64, bodies as f64 / HISTORY as f64)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn catching_up_takes_few_bodies_and_the_head_costs_two_calls_a_block() {
    trace();
    eprintln!("{:<28} {:>14} {:>14}", "catching up", "calls a block", "bodies a block");
    let ways = [("no batches", Some("no-batch")), ("batches of at most 10", Some("batch:10")), ("batches", None)];
    let mut bodies = Vec::new();
    for (what, fault) in ways {
        let (calls, of_block) = catches_up(fault, if fault.is_none() { 3 } else { 0 }).await;
        eprintln!("{what:<28} {calls:>14.2} {of_block:>14.2}");
        assert!(calls < 2.3, "{what}: two calls a block: {calls}");
        bodies.push(of_block);
    }
    assert!(bodies[0] > 1.9 && bodies[1] < 0.8 && bodies[2] < 0.5, "{bodies:?}");
}
