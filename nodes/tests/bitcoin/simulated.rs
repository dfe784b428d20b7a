//! A simulated node: blocks of every size by each way that a version offers, the main chain's first blocks, and each fault under its name.

use std::time::{Duration, Instant};

use loadtest::node::bitcoin::{Clock, Config, Dataset, EndpointConfig, Simulator, spawn};
use nodes::{
    Missing, NodeErrorKind,
    bitcoin::{
        BitcoinBlock, Endpoint,
        core::{CoreClient, CoreTuning},
    },
};
use schemas::BitcoinChain;

async fn started(data: &str, history: u64, endpoints: &[&str]) -> Simulator {
    let endpoints = endpoints.iter().map(|text| text.parse::<EndpointConfig>().expect("an endpoint")).collect();
    let data = Dataset::embedded(data).expect("it is built in");
    spawn(Config { clock: Clock::Manual, history, ..Config::new(data, endpoints) }).await.expect("it starts")
}

fn asking(node: &Simulator, name: &str) -> CoreClient {
    let url = node.endpoint(name).expect("an endpoint").url();
    let tuning = CoreTuning {
        call_timeout: Duration::from_millis(1_500),
        body_timeout: Duration::from_secs(20),
        tries: 1,
        ..CoreTuning::default()
    };
    CoreClient::new(Endpoint::new(name, url.parse().expect("a URL")), node.chain(), tuning).expect("a client")
}

async fn all(client: &CoreClient, blocks: usize) -> Vec<BitcoinBlock> {
    let mut all = Vec::new();
    while all.len() < blocks {
        let more = client.blocks(all.len() as u64, blocks - all.len()).await.expect("blocks");
        assert!(!more.is_empty());
        all.extend(more);
    }
    all
}

/// Without what only one of the ways tells.
fn common(mut block: BitcoinBlock) -> BitcoinBlock {
    for prevout in block.transactions.iter_mut().flat_map(|transaction| &mut transaction.prevouts) {
        (prevout.height, prevout.coinbase) = (None, None);
    }
    block
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_blocks_are_the_same_by_each_way() {
    let node = started("large", 7, &["newest", "older,version=290000", "closed,rest=off"]).await;
    let mut ways = Vec::new();
    for name in ["newest", "older", "closed"] {
        let (client, began) = (asking(&node, name), Instant::now());
        let blocks = all(&client, 9).await;
        let bytes: u64 = blocks.iter().filter_map(|block| block.header.size).map(u64::from).sum();
        eprintln!(
            "{name}: {} blocks, {:.1} MB/s, server included",
            blocks.len(),
            bytes as f64 / 1e6 / began.elapsed().as_secs_f64()
        );
        ways.push(blocks.into_iter().map(common).collect::<Vec<_>>());
    }
    // Not `assert_eq`: what it would print is long.
    assert!(ways[0] == ways[1] && ways[0] == ways[2], "the ways tell different things");
    for (block, told) in ways[0].iter().zip(node.canonical(0..=8)) {
        assert_eq!((block.head.height, block.head.hash.as_str()), (told.height, &*told.hash));
        let spent = block.transactions.iter().map(|transaction| transaction.prevouts.len() as u64).sum::<u64>();
        assert_eq!((block.transactions.len() as u64, spent), (told.tx_count, told.inputs));
    }
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_main_chains_first_blocks_are_believed_with_what_they_spend() {
    let node = started("first", 438, &["core"]).await;
    let client = asking(&node, "core");
    assert_eq!(node.chain(), BitcoinChain::Main);
    client.check().await.expect("the main chain");
    let blocks = all(&client, 439).await;
    assert!(blocks.windows(2).all(|pair| pair[1].head.parent == pair[0].head.hash));
    let spent: Vec<u64> = blocks
        .iter()
        .flat_map(|block| &block.transactions)
        .flat_map(|t| &t.prevouts)
        .map(|output| output.value)
        .collect();
    assert!(!spent.is_empty() && spent.contains(&5_000_000_000));
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_is_told_by_its_kind() {
    type Is = fn(&NodeErrorKind) -> bool;
    let node = started("small", 30, &["core"]).await;
    let endpoint = node.endpoint("core").expect("an endpoint");
    let faults: [(&str, Is); 14] = [
        ("warm-up", |kind| matches!(kind, NodeErrorKind::Server(503, Some(_), _))),
        ("pruned", |kind| matches!(kind, NodeErrorKind::Missing(Missing::Pruned, _))),
        ("no-prevouts", |kind| matches!(kind, NodeErrorKind::Missing(Missing::Pruned, _))),
        ("no-method", |kind| matches!(kind, NodeErrorKind::Missing(Missing::Method, _))),
        ("changed-transaction", |kind| matches!(kind, NodeErrorKind::Lying(_))),
        ("doubled-transactions", |kind| matches!(kind, NodeErrorKind::Lying(_))),
        ("rpc-error:-1", |kind| matches!(kind, NodeErrorKind::Rpc(-1, _))),
        ("http401", |kind| matches!(kind, NodeErrorKind::Refused(401, _))),
        ("http500", |kind| matches!(kind, NodeErrorKind::Server(500, None, _))),
        ("garbage", |kind| matches!(kind, NodeErrorKind::Malformed(_))),
        ("truncated", |kind| matches!(kind, NodeErrorKind::Malformed(_) | NodeErrorKind::Unreachable(_))),
        ("closed", |kind| matches!(kind, NodeErrorKind::Unreachable(_))),
        ("silent", |kind| matches!(kind, NodeErrorKind::Timeout(_))),
        ("drip:5", |kind| matches!(kind, NodeErrorKind::Timeout(_))),
    ];
    for (text, is) in faults {
        // What one has shown not to offer is no other's.
        let client = asking(&node, "core");
        endpoint.fault(text.parse().expect("a fault"));
        let error = client.block(5, None).await.expect_err(text);
        assert!(is(&error.kind), "{text}: {error}");
        endpoint.clear_faults();
        client.block(5, None).await.unwrap_or_else(|e| panic!("after {text}: {e}"));
    }
    let client = asking(&node, "core");
    endpoint.fault("syncing".parse().expect("a fault"));
    assert!(matches!(client.tip().await.expect_err("behind").kind, NodeErrorKind::Stale(_)));
    endpoint.clear_faults();
    endpoint.fault("wrong-genesis".parse().expect("a fault"));
    assert!(matches!(client.check().await.expect_err("another").kind, NodeErrorKind::OtherChain(_)));
    endpoint.clear_faults();
    client.check().await.expect("the chain");
    endpoint.fault("no-work".parse().expect("a fault"));
    // Its own blocks are those that come from now on.
    node.advance(1).expect("a block");
    let forged = client.tip().await.expect_err("no work");
    assert!(matches!(forged.kind, NodeErrorKind::Lying(_)), "{forged}");
    node.shutdown().await;
}
