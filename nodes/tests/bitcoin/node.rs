//! A real node: blocks by each way that it offers, forks, cookies, pruning, wake-ups.

use std::{sync::Arc, time::Duration};

use loadtest::node::bitcoind::{Bitcoind, cache};
use nodes::{
    Class, Missing, NodeErrorKind, SourceBlock as _,
    bitcoin::{BitcoinBlock, Endpoint},
};
use schemas::BitcoinChain;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{client, client_of};

/// How soon a wake-up must come.
const SOON: Duration = Duration::from_secs(10);

async fn started(options: &[&str]) -> Option<Bitcoind> {
    Bitcoind::start_with(cache().as_deref(), options).await
}

/// Pays somebody, twice in one block, the second from the first's change.
async fn pay(node: &Bitcoind) {
    let address = node.text("getnewaddress", json!(["", "bech32"])).await;
    for amount in [1.5, 0.25] {
        node.text("sendtoaddress", json!([address, amount])).await;
    }
    node.mine(1).await;
}

/// Holds a block against what the node tells of it in words.
async fn compare(node: &Bitcoind, block: &BitcoinBlock) {
    let told = node.call("getblock", json!([block.head.hash.as_str(), 3])).await;
    let header = &block.header;
    assert_eq!(told["height"], block.head.height);
    assert_eq!((&told["size"], &told["weight"]), (&json!(header.size), &json!(header.weight)));
    assert_eq!(told["strippedsize"], json!(header.stripped_size));
    assert_eq!(told["mediantime"].as_i64().map(|s| s * 1_000), header.median_time.map(|time| time.0));
    let work = header.chain_work.map(|work| format!("{work:064x}"));
    assert_eq!(told["chainwork"].as_str(), work.as_deref());
    let transactions = told["tx"].as_array().expect("transactions");
    assert_eq!(transactions.len(), block.transactions.len());
    for (told, transaction) in transactions.iter().zip(&block.transactions) {
        assert_eq!(told["txid"].as_str(), Some(&*transaction.txid.to_string()));
        assert_eq!(told["hex"].as_str(), Some(&*const_hex::encode(&transaction.raw)));
        let inputs = told["vin"].as_array().expect("inputs").iter().filter(|input| input["prevout"].is_object());
        let told: Vec<(u64, String)> = inputs.map(|input| told_prevout(&input["prevout"])).collect();
        let ours: Vec<(u64, String)> =
            transaction.prevouts.iter().map(|output| (output.value, const_hex::encode(&output.script))).collect();
        assert_eq!(told, ours);
    }
}

fn told_prevout(prevout: &Value) -> (u64, String) {
    let satoshi = (prevout["value"].as_f64().expect("an amount") * 1e8).round() as u64;
    (satoshi, prevout["scriptPubKey"]["hex"].as_str().expect("a script").to_owned())
}

/// The block without what only one of the ways tells.
fn common(mut block: BitcoinBlock) -> BitcoinBlock {
    for prevout in block.transactions.iter_mut().flat_map(|transaction| &mut transaction.prevouts) {
        (prevout.height, prevout.coinbase) = (None, None);
    }
    block
}

#[tokio::test]
async fn blocks_are_the_same_by_rest_and_by_rpc_and_what_the_node_says_they_are() {
    let Some(mut node) = started(&[]).await else { return };
    node.wallet().await;
    pay(&node).await;
    let (height, hash) = node.head().await;
    let by_rest = client(&node.url());
    assert_eq!(by_rest.tip().await.expect("a tip").header.hash.to_string(), hash);
    assert_eq!(by_rest.link().protocol, "core rest");
    assert!(by_rest.link().software.is_some_and(|name| name.contains("Satoshi")));
    let mut blocks = Vec::new();
    while blocks.len() as u64 <= height {
        let count = blocks.len();
        let more = by_rest.blocks(count as u64, 40).await.expect("blocks");
        assert!(!more.is_empty() && more.len() <= 40);
        blocks.extend(more);
    }
    assert_eq!(blocks.len() as u64, height + 1, "none above the tip");
    for pair in blocks.windows(2) {
        assert_eq!(pair[1].head.parent, pair[0].head.hash);
    }
    let last = blocks.last().expect("the tip");
    assert_eq!((last.tx_count(), last.transactions[1].prevouts.len()), (3, 1));
    compare(&node, last).await;
    compare(&node, &blocks[0]).await;
    node.stop().await;
    drop(node);

    // The same chain cannot be had without REST from the same node, so another one says the same of its own.
    let Some(node) = started(&["-rest=0"]).await else { return };
    node.wallet().await;
    pay(&node).await;
    let by_rpc = client(&node.url());
    let (height, _) = node.head().await;
    let block = by_rpc.block(height, None).await.expect("a block");
    compare(&node, &block).await;
    assert_eq!(by_rpc.link().protocol, "core rpc", "it has shown that it does not offer REST");
    assert!(block.transactions[1].prevouts[0].height.is_some_and(|made| made > 0 && made < 200));
    assert_eq!(block.transactions[1].prevouts[0].coinbase, Some(true));
    assert_eq!(common(block.clone()).transactions[1].prevouts[0].coinbase, None);
    let genesis = by_rpc.block(0, None).await.expect("the first block");
    assert_eq!((genesis.head.hash.as_str(), genesis.tx_count()), (&*BitcoinChain::Regtest.genesis().to_string(), 1));
}

#[tokio::test]
async fn rest_may_come_and_go_on_one_chain() {
    let Some(node) = started(&[]).await else { return };
    node.wallet().await;
    pay(&node).await;
    let (height, _) = node.head().await;
    // A path below which there is no REST, while RPC is offered everywhere.
    let (by_rest, by_rpc) = (client(&node.url()), client(&format!("{}wallet/tests", node.url())));
    let (a, b) =
        (by_rest.block(height, None).await.expect("a block"), by_rpc.block(height, None).await.expect("a block"));
    assert_eq!((by_rest.link().protocol.as_str(), by_rpc.link().protocol.as_str()), ("core rest", "core rpc"));
    assert_eq!(common(a), common(b));
}

#[tokio::test]
async fn a_fork_is_seen_and_wakes() {
    let Some(node) = started(&[]).await else { return };
    node.mine(5).await;
    let endpoint = Endpoint {
        zmq: Some(node.zmq_url().parse().expect("a URL")),
        ..Endpoint::new("a", node.url().parse().expect("a URL"))
    };
    let client = client_of(endpoint);
    let woke = Arc::new(Notify::new());
    let listening = tokio::spawn({
        let (client, woke) = (client.clone(), woke.clone());
        async move { client.woken(&woke).await }
    });
    tokio::time::timeout(SOON, woke.notified()).await.expect("when it is connected");
    let former = client.tip().await.expect("a tip");
    let mut by_a_block = false;
    for _ in 0..10 {
        // The node may have heard of the first block before it heard that we want to know.
        node.mine(1).await;
        by_a_block |= tokio::time::timeout(SOON / 10, woke.notified()).await.is_ok();
        if by_a_block {
            break;
        }
    }
    assert!(by_a_block);
    assert_ne!(client.best().await.expect("a hash"), former.header.hash);

    let (height, _) = node.head().await;
    let replaced = client.header_at(height - 1).await.expect("a header");
    assert_eq!(node.reorg(3).await.len(), 4);
    tokio::time::timeout(SOON, woke.notified()).await.expect("by a fork");
    let left = client.header(&replaced.header.hash).await.expect("it still has it");
    assert!(replaced.canonical() && !left.canonical());
    let block = client.block(height - 1, Some(&replaced.header.hash)).await.expect("the block in its place");
    assert_ne!(block.head.hash, replaced.head().hash);
    let headers = client.headers(0, 100).await.expect("headers");
    assert_eq!(headers.len() as u64, height + 2);
    assert!(headers.windows(2).all(|pair| pair[1].header.follows(&pair[0].header)));
    let above = client.block(height + 2, None).await.expect_err("above the tip");
    assert_eq!(above.class(), Class::Empty, "{above}");
    assert_eq!(client.blocks(height + 2, 3).await.expect_err("above the tip").class(), Class::Empty);
    listening.abort();
}

#[tokio::test]
async fn a_cookie_is_read_again_when_the_node_was_started_again() {
    let Some(mut node) = started(&[]).await else { return };
    let url = node.url_without_password();
    let endpoint = Endpoint { cookie: Some(node.cookie()), ..Endpoint::new("a", url.parse().expect("a URL")) };
    let client = client_of(endpoint);
    client.check().await.expect("it lets us in");
    let held = std::fs::read_to_string(node.cookie()).expect("a cookie");
    node.stop().await;
    let away = client.check().await.expect_err("nobody is there");
    assert!(matches!(away.kind, NodeErrorKind::Unreachable(_)), "{away}");
    node.start_again().await;
    assert_ne!(std::fs::read_to_string(node.cookie()).expect("a cookie"), held);
    client.check().await.expect("it lets us in again");

    let wrong = url.replace("http://", "http://headwater:wr0ngpassword@");
    let refused = crate::client(&wrong).check().await.expect_err("not let in");
    assert!(matches!(refused.kind, NodeErrorKind::Refused(401, _)), "{refused}");
    assert!(!refused.to_string().contains("wr0ng"), "{refused}");
    let other = crate::client(&node.url()).on(BitcoinChain::Main).check().await.expect_err("another chain");
    assert!(matches!(&other.kind, NodeErrorKind::OtherChain(said) if said.contains("regtest")), "{other}");
}

#[tokio::test]
async fn what_was_pruned_is_missing_and_not_empty() {
    for rest in ["-rest=1", "-rest=0"] {
        let Some(node) = started(&["-txindex=0", "-prune=1", "-fastprune", rest]).await else { return };
        node.mine(700).await;
        let pruned = node.call("pruneblockchain", json!([300])).await.as_u64().expect("a height");
        assert!(pruned > 5);
        let client = client(&node.url());
        let gone = client.block(5, None).await.expect_err("it is gone");
        assert!(matches!(gone.kind, NodeErrorKind::Missing(Missing::Pruned, _)), "{gone}");
        assert!(client.info().await.expect("it says").pruned_below.is_some_and(|height| height > 5));
        assert_eq!(client.header_at(5).await.expect("headers stay").height, 5);
        assert_eq!(client.block(699, None).await.expect("it is there").head.height, 699);
    }
}
