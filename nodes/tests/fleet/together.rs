//! Far below the head: several heights in one body, as the endpoint likes, and whatever it does to batches.

use std::sync::{Arc, atomic::Ordering};

use loadtest::node::evm::{Canonical, Clock, Config, Dataset, EndpointConfig, Simulator, spawn};
use nodes::{
    ChainSource,
    evm::{Checks, Endpoint, EvmBlock, fleet::EvmFleet},
    fleet::{FleetConfig, MemberConfig},
};
use schemas::{limits, profiles::Profile};
use serde_json::{Value, json};

use super::{
    config, fleet_of,
    node::{FIRST, Node, Spoil, blocks},
    state_of,
};

async fn simulated(data: &str, history: u64, endpoints: &[&str]) -> Simulator {
    let data = Dataset::embedded(data).unwrap();
    let endpoints = endpoints.iter().map(|text| text.parse::<EndpointConfig>().unwrap()).collect();
    spawn(Config { clock: Clock::Manual, history, endpoints, ..Config::new(data) }).await.unwrap()
}

/// A network over these endpoints, the first the best.
fn fleet_at(sim: &Simulator, names: &[&str], limit: Option<f64>) -> EvmFleet {
    let of = |(i, name): (usize, &&str)| {
        let endpoint = sim.endpoint(name).unwrap();
        let member = MemberConfig { priority: 1 + i as u16, limit, ..MemberConfig::new(name, &endpoint.url()) };
        let url = endpoint.url().parse().unwrap();
        (member, Endpoint { name: (*name).into(), url, ws: None, headers: Vec::new() })
    };
    let checks = Checks::of(&Profile::of(sim.chain_id()));
    let fleet = FleetConfig { patience: std::time::Duration::from_secs(5), ..config().fleet };
    let config = super::EvmFleetConfig { chain_id: sim.chain_id(), checks, fleet, ..config() };
    EvmFleet::new(config, names.iter().enumerate().map(of).collect(), nodes::fleet::Clock::system()).unwrap()
}

/// Fetches these heights as who catches up does, one question after the other.
async fn catch_up(fleet: &EvmFleet, from: u64, to: u64, history: bool) -> Vec<EvmBlock> {
    let mut blocks: Vec<EvmBlock> = Vec::new();
    while blocks.len() as u64 <= to - from {
        let next = from + blocks.len() as u64;
        match fleet.at_once().min((to - next + 1) as usize) {
            1 if history => blocks.push(fleet.fetch_history(next).await.unwrap()),
            1 => blocks.push(fleet.fetch(next, None).await.unwrap()),
            count => blocks.extend(fleet.fetch_together(next, count, history).await.unwrap()),
        }
    }
    blocks
}

fn assert_same(what: &str, blocks: &[EvmBlock], truth: &[Canonical]) {
    let got: Vec<_> = blocks.iter().map(|b| (b.head.number, b.head.hash, b.transactions.len() as u64)).collect();
    let expected: Vec<_> = truth.iter().map(|c| (c.height, c.hash, c.facts.tx_count)).collect();
    assert_eq!(got, expected, "{what}");
}

/// Calls of blocks and receipts, and bodies in which they came.
fn asked(sim: &Simulator, name: &str) -> (u64, u64) {
    let counts = sim.endpoint(name).unwrap().counts();
    let of = |method: &str| counts.methods.get(method).copied().unwrap_or_default();
    (of("eth_getBlockByNumber") + of("eth_getBlockReceipts"), counts.requests - of("eth_chainId"))
}

/// What an endpoint does to batches, and how many bodies 96 blocks may take at most.
const WAYS: [(&str, &str, u64); 6] = [
    ("takes all", "a", 16),
    ("at most ten calls", "a,fault=batch:10", 34),
    ("at most three calls", "a,fault=batch:3", 196),
    ("no batches", "a,fault=no-batch", 196),
    ("cut in the middle", "a,fault=cut-batch", 198),
    ("single calls only for receipts of blocks", "a,fault=no-method/eth_getBlockReceipts", 600),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_are_as_large_as_the_endpoint_likes() {
    eprintln!("{:<44} {:>16} {:>16}", "endpoint", "calls a block", "bodies a block");
    for (what, endpoint, most) in WAYS {
        for history in [false, true] {
            let sim = simulated("optimism", 200, &[endpoint]).await;
            let fleet = fleet_at(&sim, &["a"], None);
            let blocks = catch_up(&fleet, 1, 96, history).await;
            assert_same(what, &blocks, &sim.canonical(1..=96));
            let (calls, bodies) = asked(&sim, "a");
            eprintln!("{what:<44} {:>16.2} {:>16.2}", calls as f64 / 96.0, bodies as f64 / 96.0);
            assert!(bodies <= most, "{what}: {bodies} bodies");
            // What was learned is used from the first on.
            let (before, refused) = (asked(&sim, "a"), state_of(&fleet, "a").last_error);
            let blocks = catch_up(&fleet, 97, 128, history).await;
            assert_same(what, &blocks, &sim.canonical(97..=128));
            let after = asked(&sim, "a");
            assert_eq!(state_of(&fleet, "a").last_error, refused, "{what}: nothing is refused again");
            if !what.starts_with("single") {
                assert_eq!(after.0 - before.0, 64, "{what}: two calls a block");
            }
            assert_ne!(state_of(&fleet, "a").state.as_str(), "open", "{what}");
            sim.shutdown().await;
        }
    }
}

/// Calls count, not bodies: in what the fleet counts, and in what an endpoint lets through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_counts_each_of_its_calls() {
    let sim = simulated("optimism", 200, &["a,limit=40/s"]).await;
    let fleet = fleet_at(&sim, &["a"], Some(40.0));
    let blocks = catch_up(&fleet, 1, 60, true).await;
    assert_same("limited", &blocks, &sim.canonical(1..=60));
    let (calls, bodies) = asked(&sim, "a");
    assert!(calls == 120 && bodies < 40, "{calls} calls in {bodies} bodies");
    let counts = sim.endpoint("a").unwrap().counts();
    assert_eq!((counts.throttled, state_of(&fleet, "a").usage.day_calls), (0, 120));
    // A batch goes at once: never more than go in half a second.
    assert!((2..=9).contains(&fleet.at_once()), "{}", fleet.at_once());
    sim.shutdown().await;
}

/// Large blocks come by themselves; what is held of a batch is what was aimed at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_blocks_are_not_batched() {
    let sim = simulated("ethereum", 40, &["a"]).await;
    let fleet = fleet_at(&sim, &["a"], None);
    let mut largest = 0;
    for height in 1..=12 {
        let before = sim.endpoint("a").unwrap().counts().bytes;
        fleet.fetch(height, None).await.unwrap();
        largest = largest.max(sim.endpoint("a").unwrap().counts().bytes - before);
        let most = (limits::NODE_BATCH_BYTES as u64 / largest).max(1);
        assert!(fleet.at_once() as u64 <= most.max(2), "{largest} bytes: {} at once", fleet.at_once());
    }
    assert!(largest > limits::NODE_BATCH_BYTES as u64 / 2, "the blocks are large: {largest}");
    assert_eq!(fleet.at_once(), 1);
    sim.shutdown().await;
}

/// A lie in a batch is found as one that comes by itself: the blocks come from the next, and the liar is named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lie_in_a_batch_is_found_and_the_liar_is_named() {
    for lie in ["dropped-receipt", "changed-log", "lying", "forged-header", "other-block"] {
        let sim = simulated("optimism", 200, &["a", "b"]).await;
        let fleet = fleet_at(&sim, &["a", "b"], None);
        let blocks = catch_up(&fleet, 1, 20, false).await;
        assert_same(lie, &blocks, &sim.canonical(1..=20));
        assert!(fleet.at_once() > 4, "{lie}");
        let truth = sim.canonical(21..=60);
        let about = truth.iter().filter(|c| c.height > 24).find(|c| c.facts.tx_count > 1 && c.facts.logs > 0);
        let height = about.expect("a block with logs").height;
        sim.endpoint("a").unwrap().fault(format!("{lie}#{height}").parse().unwrap());
        let blocks = catch_up(&fleet, 21, 60, false).await;
        if lie == "forged-header" {
            // Its roots are right: only the next block's parent, or another operator, shows it.
            assert!(blocks.windows(2).any(|two| two[1].head.parent_hash != two[0].head.hash));
        } else {
            assert_same(lie, &blocks, &truth);
            let state = state_of(&fleet, "a");
            let said = state.lie.unwrap_or_else(|| panic!("{lie}: {:?}", state.reason)).said;
            assert!(said.contains(&height.to_string()), "{lie}: {said}");
        }
        assert_eq!(state_of(&fleet, "b").lie, None, "{lie}");
        sim.shutdown().await;
    }
}

/// What becomes of the answers of a batch, and whether that is as good as in their order.
const SPOILT: [(&str, Spoil, bool); 8] = [
    ("another order", |answers| json!(answers.into_iter().rev().collect::<Vec<_>>()), true),
    (
        "one missing",
        |mut answers| {
            answers.remove(1);
            json!(answers)
        },
        false,
    ),
    ("none there", |_| json!([]), false),
    ("no ids", |answers| renamed(answers, |_, _| Value::Null), false),
    ("ids of others", |answers| renamed(answers, |i, _| json!(i + 2)), false),
    ("answers under each other's ids", |answers| renamed(answers, |i, n| json!((i + 2) % n)), false),
    ("the first answer alone", |mut answers| answers.remove(0), false),
    (
        "one refusal",
        |_| json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "batches are not allowed"}}),
        false,
    ),
];

/// Answers with other ids, made of their place and how many there are.
fn renamed(mut answers: Vec<Value>, id: fn(usize, usize) -> Value) -> Value {
    let n = answers.len();
    answers.iter_mut().enumerate().for_each(|(i, answer)| answer["id"] = id(i, n));
    json!(answers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_answers_batches_wrongly_is_asked_singly_at_once_and_is_no_liar() {
    let hashes: Vec<String> = blocks().iter().map(|b| b["block"]["hash"].as_str().unwrap().to_owned()).collect();
    for alone in [true, false] {
        for (what, spoil, good) in SPOILT {
            let (node, other) = (Node::start(4).await, Node::start(4).await);
            *node.spoils.lock().unwrap() = Some(spoil);
            let nodes: Vec<&Arc<Node>> = if alone { vec![&node] } else { vec![&node, &other] };
            let fleet = fleet_of(&nodes, &[]);
            let first = fleet.fetch(FIRST, None).await.unwrap();
            assert_eq!((first.head.hash.to_string(), fleet.at_once()), (hashes[0].clone(), 2), "{what}");
            let two = fleet.fetch_together(FIRST + 1, 2, false).await.unwrap();
            let got: Vec<String> = two.iter().map(|b| b.head.hash.to_string()).collect();
            assert_eq!(got, hashes[1..3], "{what}");
            assert_eq!(node.batches.load(Ordering::Relaxed), 1, "{what}");
            assert_eq!(other.calls("eth_getBlockReceipts"), 0, "{what}: nobody else is asked");
            // What another endpoint takes is another matter.
            assert_eq!(fleet.at_once() > 1, good || !alone, "{what}: what was learned");
            fleet.fetch_together(FIRST + 3, 2, false).await.unwrap();
            assert_eq!(node.batches.load(Ordering::Relaxed), 1 + usize::from(good), "{what}: is remembered");
            assert_eq!(state_of(&fleet, "a").lie, None, "{what}");
        }
    }
}

/// One that closes the connection on a batch, or gives none in time, is asked singly as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_closed_on_a_batch_is_no_endpoint_that_is_down() {
    let node = Node::start(4).await;
    node.closes.store(true, Ordering::Relaxed);
    let fleet = fleet_of(&[&node], &[]);
    fleet.fetch(FIRST, None).await.unwrap();
    assert_eq!(fleet.fetch_together(FIRST + 1, 2, true).await.unwrap().len(), 2);
    assert_eq!(fleet.at_once(), 1);
    assert_ne!(state_of(&fleet, "a").state.as_str(), "open");
}

/// Where the chain ends, what there is comes, and at the first height that it is not there yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_reaches_above_the_head_brings_what_there_is() {
    let node = Node::start(2).await;
    let fleet = fleet_of(&[&node], &[]);
    fleet.fetch(FIRST, None).await.unwrap();
    assert_eq!(fleet.fetch_together(FIRST + 1, 4, false).await.unwrap().len(), 2);
    let error = fleet.fetch_together(FIRST + 3, 2, false).await.unwrap_err();
    assert_eq!(error.class(), nodes::Class::Empty, "{error}");
    assert_eq!(fleet.at_once(), 4, "that is no failure of batches");
}
