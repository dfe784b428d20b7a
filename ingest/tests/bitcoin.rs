//! The stage on Bitcoin: against a real node and a real Electrum server on a chain of their own (`scripts/fetch-bitcoin` provides them;
//! without them, and outside CI, those tests say so and pass over), and against simulated ones that are of different minds.

mod common;

use common::{Chain, Stage, bitcoin_config, open, read_chain, trace, wait_for_state, wait_for_tip};
use ingest::{Config, Start};
use loadtest::node::{
    bitcoin::{Clock, Config as Sim, Dataset, EndpointConfig, spawn},
    bitcoind::{Bitcoind, ElectrumX},
};
use nodes::{bitcoin::Endpoint, fleet::Confirm};
use runtime::log::embedded::EmbeddedLog;
use schemas::{
    bitcoin::BitcoinChain,
    records::{Coverage, NetworkState, Payload},
};
use serde_json::{Value, json};

const REGTEST: Option<BitcoinChain> = Some(BitcoinChain::Regtest);

fn core(node: &Bitcoind) -> Endpoint {
    let url = node.url_without_password().parse().unwrap();
    let zmq = Some(node.zmq_url().parse().unwrap());
    Endpoint { cookie: Some(node.cookie()), zmq, ..Endpoint::new("core", url) }
}

fn server(server: &ElectrumX) -> Endpoint {
    Endpoint::new("electrum", server.url().parse().unwrap())
}

/// The node's chain from a height on, once all of it is held.
async fn same_chain(log: &EmbeddedLog, node: &Bitcoind, first: u64) -> Chain {
    let (height, hash) = node.head().await;
    let chain = wait_for_tip(log, height, &hash).await;
    let mut expected = Vec::new();
    for height in first..=height {
        expected.push((height, node.hash(height).await));
    }
    assert_eq!(chain.hashes(), expected);
    chain
}

/// What is held of the newest block is what the node says of it: header, transactions, and what they spend.
async fn same_block(chain: &Chain, node: &Bitcoind) {
    let block = chain.blocks.last().expect("a block");
    let said = node.call("getblock", json!([block.envelope.block_hash.as_str(), 3])).await;
    let header = block.bitcoin.as_ref().expect("a Bitcoin header");
    assert_eq!((header.chain, header.coverage), (BitcoinChain::Regtest, Coverage::Full));
    assert_eq!(said["merkleroot"], header.merkle_root.to_string());
    assert_eq!(said["mediantime"].as_i64().unwrap() * 1_000, header.median_time.expect("eleven headers").0);
    assert_eq!(said["chainwork"], format!("{:064x}", header.chain_work.expect("the node says it")));
    let size = |name: &str| said[name].as_u64().map(|n| u32::try_from(n).unwrap());
    assert_eq!(
        (size("size"), size("strippedsize"), size("weight")),
        (header.size, header.stripped_size, header.weight)
    );
    let held = &chain.transactions[&block.envelope.sequence];
    let told = said["tx"].as_array().unwrap();
    assert_eq!(held.len(), told.len());
    for (held, told) in held.iter().zip(told) {
        let Payload::Bitcoin(held) = &held.payload else { panic!("no Bitcoin transaction") };
        assert_eq!(told["txid"], held.txid.to_string());
        let raw: String = held.raw.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(told["hex"], raw);
        let spent = told["vin"].as_array().unwrap().iter().filter_map(|input| input.get("prevout"));
        let satoshi = |spent: &Value| (spent["value"].as_f64().unwrap() * 1e8).round() as u64;
        let values: Vec<u64> = spent.map(satoshi).collect();
        assert_eq!(held.prevouts.iter().map(|p| p.value).collect::<Vec<_>>(), values);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follows_a_real_node_through_spends_forks_and_kills() {
    trace();
    let Some(node) = Bitcoind::start(runtime::cache::folder().as_deref()).await else { return };
    let address = node.wallet().await;
    let electrum = ElectrumX::start(&node).await;
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).await;
    let config = || bitcoin_config(REGTEST, vec![core(&node), server(&electrum)], Start::Height(0));
    let stage = Stage::start(config(), log.clone());
    wait_for_state(&*log, NetworkState::Live).await;
    same_chain(&log, &node, 0).await;

    // Two that pay, of which the second spends what the first made.
    for _ in 0..2 {
        let to = node.text("getnewaddress", json!([])).await;
        node.text("sendtoaddress", json!([to, 1.5])).await;
    }
    node.mine_to(1, &address).await;
    let chain = same_chain(&log, &node, 0).await;
    same_block(&chain, &node).await;
    let newest = chain.blocks.last().expect("a block").envelope.clone();
    assert_eq!((newest.tx_count, newest.log_count), (3, 0));
    assert!(newest.safe_height.is_some_and(|safe| newest.height - safe >= 6), "as deep as it was when it was asked");

    for depth in [1, 3] {
        node.reorg(depth).await;
        same_chain(&log, &node, 0).await;
    }
    // What was taken back is in the memory pool again, and in one of the next blocks.
    stage.kill().await;
    drop(log);
    node.reorg(2).await;
    node.mine_to(3, &address).await;
    let log = open(dir.path()).await;
    let stage = Stage::start(config(), log.clone());
    let chain = same_chain(&log, &node, 0).await;
    same_block(&chain, &node).await;
    assert!(chain.reverts >= 1 + 3 + 2, "{} reverts", chain.reverts);
    stage.stop().await;
    assert_eq!(read_chain(&*log).await.remaining, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_electrum_server_alone_gives_headers() {
    trace();
    let Some(node) = Bitcoind::start(runtime::cache::folder().as_deref()).await else { return };
    node.mine(20).await;
    let electrum = ElectrumX::start(&node).await;
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).await;
    // Which chain it is, is left open.
    let stage = Stage::start(bitcoin_config(None, vec![server(&electrum)], Start::Height(0)), log.clone());
    same_chain(&log, &node, 0).await;
    node.mine(2).await;
    node.reorg(1).await;
    let chain = same_chain(&log, &node, 0).await;
    assert!(chain.transactions.values().all(Vec::is_empty));
    for block in &chain.blocks {
        let header = block.bitcoin.as_ref().expect("a Bitcoin header");
        assert_eq!((block.envelope.tx_count, header.coverage), (0, Coverage::Header));
        let said = node.call("getblockheader", json!([block.envelope.block_hash.as_str()])).await;
        assert_eq!(Some(said["mediantime"].as_i64().unwrap() * 1_000), header.median_time.map(|time| time.0));
    }
    stage.stop().await;
    // Found out once, it is that chain for good.
    let other = bitcoin_config(Some(BitcoinChain::Main), vec![server(&electrum)], Start::Height(0));
    let stage = Stage::start(other, log.clone());
    let said = wait_for_state(&*log, NetworkState::WrongChain).await;
    assert!(said.detail.unwrap().contains("held with chain regtest"));
    stage.stop().await;
}

fn simulated(sim: &loadtest::node::bitcoin::Simulator) -> Config {
    let endpoint =
        |e: &std::sync::Arc<loadtest::node::bitcoin::Endpoint>| Endpoint::new(e.name(), e.url().parse().unwrap());
    bitcoin_config(REGTEST, sim.endpoints().iter().map(endpoint).collect(), Start::Height(1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core_and_electrum_on_different_branches_are_a_state() {
    trace();
    let endpoints = vec![EndpointConfig::core("core"), EndpointConfig::electrum("one")];
    let data = Dataset::embedded("small").unwrap();
    let sim = spawn(Sim { clock: Clock::Manual, history: 40, ..Sim::new(data, endpoints) }).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).await;
    let mut config = simulated(&sim);
    config.networks[0].confirm = Confirm::Never;
    let stage = Stage::start(config, log.clone());
    wait_for_state(&*log, NetworkState::Live).await;
    let one = sim.endpoint("one").unwrap();
    one.fault("other-branch:3".parse().unwrap());
    let said = wait_for_state(&*log, NetworkState::Diverged).await;
    assert!(said.detail.unwrap().contains("on different branches since block"));
    // With Core's word alone the stream goes on.
    sim.advance(2).unwrap();
    let head = sim.canonical(sim.head()..=sim.head()).pop().unwrap();
    wait_for_tip(&*log, head.height, &head.hash).await;
    one.clear_faults();
    sim.advance(1).unwrap();
    wait_for_state(&*log, NetworkState::Live).await;
    stage.stop().await;
}

/// Without what transactions spend nothing is written, and the state says what to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_what_is_spent_a_block_waits() {
    trace();
    let data = Dataset::embedded("small").unwrap();
    let endpoints = vec![EndpointConfig::core("core").fault("no-prevouts").unwrap()];
    let sim = spawn(Sim { clock: Clock::Manual, history: 30, ..Sim::new(data, endpoints) }).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).await;
    let stage = Stage::start(simulated(&sim), log.clone());
    let said = wait_for_state(&*log, NetworkState::NoReceipts).await;
    let detail = said.detail.unwrap();
    assert!(detail.contains("fees are read and never guessed"), "{detail}");
    sim.endpoint("core").unwrap().clear_faults();
    let head = sim.canonical(sim.head()..=sim.head()).pop().unwrap();
    let chain = wait_for_tip(&*log, head.height, &head.hash).await;
    assert_eq!(chain.blocks.len() as u64, head.height);
    stage.stop().await;
}
