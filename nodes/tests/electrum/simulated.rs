//! Simulated servers over one chain: each fault under its name, forks, silence and floods.

use std::time::Duration;

use loadtest::node::bitcoin::{Clock, Config, Dataset, EndpointConfig, Simulator, spawn};
use nodes::{
    Missing, NodeErrorKind,
    bitcoin::{
        Endpoint,
        electrum::{ElectrumClient, ElectrumTuning, Push, Subscription},
    },
};

use super::tuning;

async fn started() -> Simulator {
    let endpoints = vec![EndpointConfig::electrum("electrum")];
    let data = Dataset::embedded("small").expect("it is built in");
    spawn(Config { clock: Clock::Manual, history: 30, ..Config::new(data, endpoints) }).await.expect("it starts")
}

fn asking(node: &Simulator, ask_again: Duration) -> ElectrumClient {
    let url = node.endpoint("electrum").expect("an endpoint").url();
    let short = Duration::from_secs(1);
    let tuning = ElectrumTuning { connect_timeout: short, call_timeout: short, ask_again, ..tuning() };
    ElectrumClient::new(Endpoint::new("electrum", url.parse().expect("a URL")), node.chain(), tuning).expect("a client")
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_is_told_by_its_kind_and_is_over_with_its_cause() {
    type Is = fn(&NodeErrorKind) -> bool;
    let node = started().await;
    let endpoint = node.endpoint("electrum").expect("an endpoint");
    let faults: [(&str, Is); 12] = [
        ("silent", |kind| matches!(kind, NodeErrorKind::Timeout(_))),
        ("drip:5", |kind| matches!(kind, NodeErrorKind::Timeout(_))),
        ("closed", |kind| matches!(kind, NodeErrorKind::Unreachable(_))),
        ("half-closed", |kind| matches!(kind, NodeErrorKind::Unreachable(_))),
        ("truncated", |kind| matches!(kind, NodeErrorKind::Unreachable(_))),
        ("garbage", |kind| matches!(kind, NodeErrorKind::Malformed(_))),
        ("long-line", |kind| matches!(kind, NodeErrorKind::TooLarge(_))),
        ("busy", |kind| matches!(kind, NodeErrorKind::Throttled(None, _))),
        ("excessive", |kind| matches!(kind, NodeErrorKind::Throttled(Some(_), _))),
        ("no-method", |kind| matches!(kind, NodeErrorKind::Missing(Missing::Method, _))),
        ("rpc-error:-1", |kind| matches!(kind, NodeErrorKind::Rpc(-1, _))),
        ("warm-up", |kind| matches!(kind, NodeErrorKind::Stale(_))),
    ];
    for (text, is) in faults {
        let client = asking(&node, LONG);
        client.header_at(5).await.unwrap_or_else(|e| panic!("before {text}: {e}"));
        endpoint.fault(text.parse().expect("a fault"));
        let error = client.header_at(5).await.expect_err(text);
        assert!(is(&error.kind), "{text}: {error}");
        endpoint.clear_faults();
        client.header_at(5).await.unwrap_or_else(|e| panic!("after {text}: {e}"));
    }
    endpoint.fault("wrong-genesis".parse().expect("a fault"));
    let error = asking(&node, LONG).check().await.expect_err("another chain");
    assert!(matches!(error.kind, NodeErrorKind::OtherChain(_)), "{error}");
    endpoint.clear_faults();
    endpoint.fault("no-work".parse().expect("a fault"));
    // Its own blocks are those that come from now on.
    node.advance(1).expect("a block");
    let error = asking(&node, LONG).tip().await.expect_err("no work");
    assert!(matches!(error.kind, NodeErrorKind::Lying(_)), "{error}");
    node.shutdown().await;
}

async fn next(heads: &mut Subscription) -> Push {
    tokio::time::timeout(Duration::from_secs(20), heads.next()).await.expect("a word")
}

/// Listens until the tip is the chain's.
async fn until_at_head(heads: &mut Subscription, node: &Simulator) {
    let height = node.head();
    let wanted = node.canonical(height..=height)[0].hash.clone();
    loop {
        match next(heads).await {
            Push::Tip(tip, _) if tip.header.hash.to_string() == *wanted => return assert_eq!(tip.height, height),
            Push::Tip(..) => {}
            other => panic!("no tip but {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_are_told_through_forks_silence_and_floods() {
    let node = started().await;
    let endpoint = node.endpoint("electrum").expect("an endpoint");
    let mut heads = asking(&node, LONG).subscribe().await.expect("a subscription");
    until_at_head(&mut heads, &node).await;
    for depth in [1, 3] {
        node.advance(2).expect("blocks");
        until_at_head(&mut heads, &node).await;
        node.fork_and_advance(depth, 1).expect("a fork");
        until_at_head(&mut heads, &node).await;
    }
    // Twenty words on one head are one head.
    endpoint.fault("flood:20".parse().expect("a fault"));
    node.advance(1).expect("a block");
    until_at_head(&mut heads, &node).await;
    endpoint.clear_faults();
    node.advance(1).expect("a block");
    until_at_head(&mut heads, &node).await;
    // More than can be meant end the connection.
    endpoint.fault("flood:30000".parse().expect("a fault"));
    node.advance(1).expect("a block");
    let why = loop {
        match next(&mut heads).await {
            Push::Tip(..) => {}
            Push::Ended(why) => break why,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(why, NodeErrorKind::Malformed(_)), "{why}");
    endpoint.clear_faults();
    // Who says nothing is asked.
    let mut heads = asking(&node, Duration::from_millis(300)).subscribe().await.expect("a subscription");
    until_at_head(&mut heads, &node).await;
    endpoint.fault("mute".parse().expect("a fault"));
    node.advance(1).expect("a block");
    until_at_head(&mut heads, &node).await;
    node.shutdown().await;
}
