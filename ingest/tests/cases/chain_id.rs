//! A chain id of zero while a node, or the proxy before it, starts: no chain, and no reason to stop.

use loadtest::node::fixed::{FixedNode, Reply, recorded, stacked};
use schemas::records::NetworkState;
use serde_json::json;

use crate::run::{Run, Totals};

const ASKED: &str = "eth_chainId";

fn says(node: &FixedNode, id: &'static str) {
    node.quirk(move |asked, _| asked.is(ASKED).then(|| Reply::Result(json!(id))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_start_it_is_waited_for() {
    let mut run = Run::case("sei-block-receipts-error", 1329, |node| says(node, "0x0")).await;
    let said = run.state(NetworkState::Stalled).await.detail.expect("words");
    assert!(said.contains("chain id 0") && said.contains("asked again"), "{said}");
    run.asked(ASKED, 4).await;
    run.node.behave();
    assert_eq!(Totals::of(&run.whole().await).transactions, 15);
    run.state(NetworkState::Live).await;
    run.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_a_reconnect_it_is_waited_for() {
    let mut run = Run::case("sei-block-receipts-error", 1329, |_| {}).await;
    run.whole().await;
    run.state(NetworkState::Live).await;
    // The node goes away and comes back as one that is starting.
    run.node.quirk(|_, _| Some(Reply::Http(502, "bad gateway".into())));
    run.state(NetworkState::Stalled).await;
    let before = run.node.count(ASKED);
    run.node.behave();
    says(&run.node, "0x0");
    run.asked(ASKED, before + 3).await;
    let blocks = run.node.blocks();
    run.node.replace(stacked(&blocks, &[20_000_005, 20_000_006], Some(&blocks[4].hash()), 1));
    run.node.behave();
    assert_eq!(run.whole().await.blocks.len(), 7);
    run.state(NetworkState::Live).await;
    run.stop().await;
}

/// Another chain's id is a state of its own, and asked again seldom: the name may lead to another node tomorrow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_chain_is_never_followed_and_asked_again() {
    let mut run = Run::case("sei-block-receipts-error", 1329, |node| says(node, "0x1")).await;
    let said = run.state(NetworkState::WrongChain).await.detail.expect("words");
    assert!(said.contains("chain 1,") && said.contains("says 1329"), "{said}");
    run.asked(ASKED, 2).await;
    assert!(crate::common::read_chain(&*run.log).await.blocks.is_empty());
    run.node.behave();
    assert_eq!(Totals::of(&run.whole().await).transactions, 15);
    run.stop().await;
}

/// The id of zero is no more than a node's word at any time: blocks that are held stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_it_is_waited_for() {
    let mut run = Run::over(recorded("sei-block-receipts-error").expect("blocks"), 1329, |_| {}).await;
    run.whole().await;
    says(&run.node, "0x0");
    run.restart().await;
    run.state(NetworkState::Stalled).await;
    run.node.behave();
    let chain = run.whole().await;
    assert_eq!((chain.blocks.len(), chain.reverts), (5, 0));
    run.state(NetworkState::Live).await;
    run.stop().await;
}
