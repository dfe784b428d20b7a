//! Each lie is what it says, judged with the product's own checks: what a root covers is found out by one answer alone; what is
//! whole in itself passes every check, so that only another endpoint's word finds it out.

mod common;

use common::{beside, call, client};
use futures::{SinkExt, StreamExt};
use loadtest::node::evm::{Endpoint, Simulator};
use nodes::evm::Checks;
use nodes::evm::verify::{Weight, verify};
use nodes::evm::wire::{Answer, Block, Receipt, Wire, parse_answer};
use serde_json::{Value, json};
use std::time::Duration;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

async fn ask<T: Wire>(url: &str, method: &str, params: Value) -> T {
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let answer = client().post(url).json(&call).send().await.expect("an answer").text().await.expect("text");
    match parse_answer(&answer).expect("readable") {
        Answer::Result(value) => value,
        _ => panic!("no result: {method}"),
    }
}

/// Whether the block and receipts that an endpoint shows at a height pass every check.
async fn holds(endpoint: &Endpoint, height: u64) -> bool {
    let (url, at) = (endpoint.url(), format!("{height:#x}"));
    let block: Block = ask(&url, "eth_getBlockByNumber", json!([at, true])).await;
    let receipts: Vec<Receipt> = ask(&url, "eth_getBlockReceipts", json!([at])).await;
    verify(&block, &receipts, height, &Checks::all(Weight::Decide)).is_ok()
}

async fn hash(url: &str, at: &str) -> (Value, Value) {
    let block = call(url, "eth_getBlockByNumber", json!([at, false])).await;
    (block["hash"].clone(), block["parentHash"].clone())
}

fn true_hash(node: &Simulator, height: u64) -> Value {
    json!(node.canonical(height..=height)[0].hash)
}

#[tokio::test]
async fn a_forged_block_is_whole_in_itself_and_the_same_whichever_way_it_is_asked_for() {
    for lie in ["forged-header", "old-fork", "other-chain"] {
        let (node, liar) = beside("ethereum", 300, &format!("liar,fault={lie}#%100")).await;
        let url = liar.url();
        for height in [99, 100, 101, 200] {
            let (told, parent) = hash(&url, &format!("{height:#x}")).await;
            let lies = height % 100 == 0;
            assert_eq!(told != true_hash(&node, height), lies, "{lie} {height}");
            let links = parent == true_hash(&node, height - 1);
            assert_eq!(links, !lies || lie != "other-chain", "{lie} {height}");
            assert!(holds(&liar, height).await, "{lie} {height} passes every check");
            if !lies {
                continue;
            }
            let whole = call(&url, "eth_getBlockByHash", json!([told, true])).await;
            assert_eq!(whole, call(&url, "eth_getBlockByNumber", json!([format!("{height:#x}"), true])).await);
            let truth = true_hash(&node, height);
            assert_eq!(call(&url, "eth_getBlockByHash", json!([truth, false])).await, Value::Null, "{lie}: not known");
            assert_eq!(
                call(&node.url(), "eth_getBlockByHash", json!([told, false])).await,
                Value::Null,
                "{lie}: its own"
            );
            let receipts = call(&url, "eth_getBlockReceipts", json!([told])).await;
            assert_eq!(receipts[0]["blockHash"], told);
            let one = call(&url, "eth_getTransactionReceipt", json!([whole["transactions"][0]["hash"]])).await;
            assert_eq!(one, receipts[0], "{lie}");
            let honest = call(&node.url(), "eth_getBlockByNumber", json!([format!("{height:#x}"), true])).await;
            let same = honest["transactions"][0]["hash"] == whole["transactions"][0]["hash"];
            assert_eq!(same, lie == "forged-header", "{lie}");
            let theirs =
                call(&node.url(), "eth_getTransactionReceipt", json!([honest["transactions"][0]["hash"]])).await;
            assert_eq!(theirs["blockHash"], truth, "the honest endpoint is not touched");
        }
        liar.clear_faults();
        assert_eq!(hash(&url, "0x64").await.0, true_hash(&node, 100), "{lie}: it came back");
    }
}

#[tokio::test]
async fn lies_in_a_row_link_to_each_other_through_heads_and_forks() {
    let (node, liar) = beside("optimism", 50, "liar,fault=old-fork").await;
    let (mut socket, _) = connect_async(liar.ws_url()).await.expect("a socket");
    let subscribe = json!({"jsonrpc": "2.0", "id": 7, "method": "eth_subscribe", "params": ["newHeads"]});
    socket.send(Message::text(subscribe.to_string())).await.expect("sent");
    socket.next().await.expect("open").expect("subscribed");
    node.advance(3).expect("advanced");
    node.fork_and_advance(2, 1).expect("forked");
    let mut heads = Vec::new();
    while heads.len() < 6 {
        let frame = tokio::time::timeout(Duration::from_secs(20), socket.next()).await.expect("in time");
        let text = frame.expect("open").expect("a frame");
        let head: Value = serde_json::from_str(text.to_text().expect("text")).expect("JSON");
        heads.push(head["params"]["result"].clone());
    }
    assert_eq!(heads[0]["parentHash"], true_hash(&node, 51), "the branch leaves where the lie begins");
    for link in [(0, 1), (1, 2), (3, 4), (4, 5)] {
        assert_eq!(heads[link.1]["parentHash"], heads[link.0]["hash"], "{link:?}");
    }
    for height in 52..=55 {
        let (told, _) = hash(&liar.url(), &format!("{height:#x}")).await;
        assert_ne!(told, true_hash(&node, height));
        assert!(height < 53 || heads[3..].iter().any(|head| head["hash"] == told), "{height}");
    }
    assert_eq!(hash(&liar.url(), "0x33").await.0, true_hash(&node, 51));
    assert!(liar.faults()[0].1 >= 6, "{:?}", liar.faults());
}

#[tokio::test]
async fn a_dropped_receipt_and_a_changed_log_are_told_alike_and_found_by_a_root() {
    for lie in ["dropped-receipt", "changed-log"] {
        let (node, liar) = beside("ethereum", 100, &format!("liar,fault={lie}#50")).await;
        assert!(!holds(&liar, 50).await && holds(&liar, 51).await, "{lie}");
        let list = call(&liar.url(), "eth_getBlockReceipts", json!(["0x32"])).await;
        let truth = call(&node.url(), "eth_getBlockReceipts", json!(["0x32"])).await;
        let (list, truth) = (list.as_array().expect("a list"), truth.as_array().expect("a list"));
        assert_eq!(list.len(), truth.len() - usize::from(lie == "dropped-receipt"));
        let odd = truth.iter().enumerate().find(|(n, receipt)| list.get(*n) != Some(receipt)).expect("a lie").0;
        let one = call(&liar.url(), "eth_getTransactionReceipt", json!([truth[odd]["transactionHash"]])).await;
        assert_eq!(list.get(odd).unwrap_or(&Value::Null), &one, "{lie}: one by one the same is told");
        if lie == "changed-log" {
            assert_eq!(truth[odd]["logsBloom"], one["logsBloom"]);
            assert_eq!(truth[odd]["logs"].as_array().map(Vec::len), one["logs"].as_array().map(Vec::len));
        }
        assert!(liar.faults()[0].1 >= 2);
    }
}

#[tokio::test]
async fn chance_tells_lies_of_the_same_blocks_after_a_restart() {
    let told = |seed: u64| async move {
        let settings = "liar,fault=forged-header@0.1".parse().expect("valid");
        let config = loadtest::node::evm::Config {
            clock: loadtest::node::evm::Clock::Manual,
            history: 199,
            seed,
            endpoints: vec![settings],
            ..loadtest::node::evm::Config::new(common::data("optimism"))
        };
        let node = loadtest::node::evm::spawn(config).await.expect("a node");
        let liar = node.endpoint("liar").expect("there");
        let mut told = Vec::new();
        for height in 1..=200u64 {
            if hash(&liar.url(), &format!("{height:#x}")).await.0 != true_hash(&node, height) {
                told.push(height);
            }
        }
        told
    };
    let first = told(3).await;
    assert!((8..40).contains(&first.len()), "{first:?}");
    assert_eq!(first, told(3).await);
    assert_ne!(first, told(4).await);
}
