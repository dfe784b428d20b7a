//! Each fault does what it says, seen through a real HTTP client, and is counted.

mod common;

use common::{answer, call, client, data, manual};
use futures::{SinkExt, StreamExt};
use loadtest::node::evm::{Clock, Config, Fault, FaultKind, Simulator, spawn};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

fn fault(node: &Simulator, text: &str) {
    node.clear_faults();
    node.fault(text.parse().expect(text));
}

fn request(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

async fn raw(node: &Simulator, method: &str, params: Value) -> reqwest::Result<reqwest::Response> {
    client().post(node.url()).json(&request(method, params)).send().await
}

#[tokio::test]
async fn http_errors_and_retry_after() {
    let node = manual("optimism", 5).await;
    for (text, status, retry) in [
        ("http403@x2", 403, None),
        ("http429:7@x2", 429, Some("7")),
        ("http5xx@x2", 503, None),
        ("http502@x2", 502, None),
    ] {
        fault(&node, text);
        for _ in 0..2 {
            let answer = raw(&node, "eth_blockNumber", json!([])).await.expect("an answer");
            assert_eq!(answer.status(), status);
            assert_eq!(answer.headers().get("retry-after").map(|v| v.to_str().expect("text")), retry);
        }
        assert_eq!(call(&node.url(), "eth_blockNumber", json!([])).await, "0x6", "{text} has run out");
        assert_eq!(node.faults(), [(text.parse::<Fault>().expect(text).to_string(), 2)]);
    }
}

#[tokio::test]
async fn slow_answers_come_late() {
    let node = manual("optimism", 5).await;
    fault(&node, "slow:300/eth_chainId");
    let begun = Instant::now();
    call(&node.url(), "eth_chainId", json!([])).await;
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_truncated_body_is_an_error_to_the_client() {
    let node = manual("polygon", 5).await;
    let whole = raw(&node, "eth_getBlockReceipts", json!(["latest"])).await.expect("an answer");
    let length = whole.bytes().await.expect("whole").len() as u64;
    fault(&node, "truncated@x1/eth_getBlockReceipts");
    let cut = raw(&node, "eth_getBlockReceipts", json!(["latest"])).await.expect("a head");
    assert_eq!(cut.status(), 200);
    assert_eq!(cut.content_length(), Some(length));
    assert!(cut.bytes().await.is_err(), "the body ends early");
    assert!(call(&node.url(), "eth_getBlockReceipts", json!(["latest"])).await.is_array());
}

#[tokio::test]
async fn missing_empty_and_false_receipts_differ() {
    let node = manual("ethereum", 40).await;
    let url = node.url();
    let block = call(&url, "eth_getBlockByNumber", json!(["0x11", false])).await;
    let receipts = || call(&url, "eth_getBlockReceipts", json!(["0x11"]));
    let honest = receipts().await;
    let hash = block["transactions"][0].clone();

    fault(&node, "null-receipts");
    assert_eq!(receipts().await, Value::Null);
    assert_eq!(call(&url, "eth_getTransactionReceipt", json!([hash])).await, Value::Null);
    assert_eq!(call(&url, "eth_getBlockByNumber", json!(["0x11", false])).await, block);

    fault(&node, "empty");
    assert_eq!(receipts().await, json!([]));
    assert_eq!(call(&url, "eth_getBlockByNumber", json!(["0x11", false])).await, Value::Null);

    fault(&node, "lying");
    let lie = receipts().await;
    assert_eq!(lie[0]["blockHash"], block["hash"]);
    assert_eq!(lie[0]["blockNumber"], "0x11");
    assert_ne!(lie[0]["transactionHash"], honest[0]["transactionHash"]);
    assert_eq!(call(&url, "eth_getBlockByNumber", json!(["0x11", false])).await, block, "only receipts lie");

    fault(&node, "other-block");
    let other = receipts().await;
    assert_eq!(other[0]["blockHash"], block["parentHash"]);

    fault(&node, "no-method/eth_getBlockReceipts");
    assert_eq!(answer(&url, "eth_getBlockReceipts", json!(["0x11"])).await["error"]["code"], -32601);
    assert_eq!(call(&url, "eth_getTransactionReceipt", json!([hash])).await["transactionHash"], hash);

    fault(&node, "rpc-error:-32005");
    assert_eq!(answer(&url, "eth_blockNumber", json!([])).await["error"]["code"], -32005);

    node.clear_faults();
    assert_eq!(receipts().await, honest);
}

#[tokio::test]
async fn a_stale_head_stays_while_the_chain_goes_on() {
    let node = manual("optimism", 99).await;
    let url = node.url();
    fault(&node, "stale-head:5");
    node.advance(10).expect("advanced");
    assert_eq!(call(&url, "eth_blockNumber", json!([])).await, "0x5f");
    assert_eq!(call(&url, "eth_getBlockByNumber", json!(["latest", false])).await["number"], "0x5f");
    assert_eq!(call(&url, "eth_getBlockByNumber", json!(["0x60", false])).await, Value::Null);
    assert_eq!(call(&url, "eth_getBlockReceipts", json!(["0x60"])).await, Value::Null);
    let above = node.canonical(100..=100)[0].hash;
    assert_eq!(call(&url, "eth_getBlockByHash", json!([above, false])).await, Value::Null);
    node.clear_faults();
    assert_eq!(call(&url, "eth_blockNumber", json!([])).await, "0x6e");
}

#[tokio::test]
async fn a_wrong_chain_says_so_everywhere() {
    let fault = Fault::always(FaultKind::WrongChain(5));
    let config = Config { clock: Clock::Manual, faults: vec![fault], ..Config::new(data("optimism")) };
    let node = spawn(config).await.expect("a node");
    assert_eq!(call(&node.url(), "eth_chainId", json!([])).await, "0x5");
    assert_eq!(call(&node.url(), "net_version", json!([])).await, "5");
    assert_eq!(node.chain_id(), 10);
}

#[tokio::test]
async fn a_websocket_is_dropped_in_place_of_a_head_and_refused() {
    let node = manual("optimism", 5).await;
    let (mut socket, _) = connect_async(node.ws_url()).await.expect("a socket");
    socket.send(Message::text(request("eth_subscribe", json!(["newHeads"])).to_string())).await.expect("sent");
    assert!(matches!(socket.next().await, Some(Ok(Message::Text(_)))));
    fault(&node, "ws-drop@x1");
    node.advance(1).expect("advanced");
    let end = tokio::time::timeout(Duration::from_secs(20), socket.next()).await.expect("in time");
    assert!(!matches!(end, Some(Ok(Message::Text(_)))), "{end:?}");
    fault(&node, "http403");
    let refused = connect_async(node.ws_url()).await.expect_err("refused").to_string();
    assert!(refused.contains("403"), "{refused}");
    node.clear_faults();
    assert!(connect_async(node.ws_url()).await.is_ok());
}

#[tokio::test]
async fn answers_that_are_no_json() {
    let node = manual("optimism", 5).await;
    fault(&node, "html@x1");
    let page = raw(&node, "eth_blockNumber", json!([])).await.expect("an answer");
    assert_eq!(page.status(), 200);
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    assert!(page.text().await.expect("text").starts_with("<!DOCTYPE html>"));
    for text in ["truncated-json@x1", "interleaved@x1"] {
        let whole =
            raw(&node, "eth_getBlockReceipts", json!(["latest"])).await.expect("an answer").text().await.expect("text");
        fault(&node, text);
        let odd = raw(&node, "eth_getBlockReceipts", json!(["latest"]))
            .await
            .expect("an answer")
            .text()
            .await
            .expect("whole");
        assert_eq!(odd.len(), if text.starts_with('t') { whole.len() / 2 } else { 2 * whole.len() }, "{text}");
        assert!(serde_json::from_str::<Value>(&odd).is_err(), "{text}");
    }
}

#[tokio::test]
async fn connections_that_drip_end_or_stay_silent() {
    let node = manual("optimism", 5).await;
    fault(&node, "drip:100@x1");
    let begun = Instant::now();
    let answer = raw(&node, "eth_blockNumber", json!([])).await.expect("a head").text().await.expect("whole");
    assert!(answer.contains("0x6") && begun.elapsed() >= Duration::from_millis(300), "{answer} {:?}", begun.elapsed());
    for text in ["closed@x1", "half-closed@x1"] {
        fault(&node, text);
        let ended = raw(&node, "eth_blockNumber", json!([])).await.expect_err(text);
        assert!(ended.is_request() && !ended.is_timeout(), "{ended:?}");
        assert_eq!(node.faults()[0].1, 1);
    }
    fault(&node, "silent@x1");
    let waited = tokio::time::timeout(Duration::from_millis(300), raw(&node, "eth_blockNumber", json!([]))).await;
    assert!(waited.is_err(), "nothing comes");
    assert_eq!(call(&node.url(), "eth_blockNumber", json!([])).await, "0x6");
}

#[tokio::test]
async fn batches_that_are_not_taken_or_come_back_cut() {
    let node = manual("optimism", 5).await;
    let batch =
        |n: u64| (0..n).map(|id| json!({"jsonrpc": "2.0", "id": id, "method": "eth_chainId"})).collect::<Value>();
    fault(&node, "no-batch");
    assert_eq!(common::post(&node.url(), &batch(1)).await["error"]["code"], -32600);
    assert_eq!(call(&node.url(), "eth_blockNumber", json!([])).await, "0x6");
    fault(&node, "batch:3");
    assert_eq!(common::post(&node.url(), &batch(3)).await.as_array().map(Vec::len), Some(3));
    let refused = common::post(&node.url(), &batch(4)).await;
    assert!(refused["error"]["message"].as_str().expect("text").contains("at most 3"), "{refused}");
    fault(&node, "cut-batch");
    assert_eq!(common::post(&node.url(), &batch(5)).await.as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn receipts_of_one_block_are_doubled_empty_missing_or_fail() {
    let node = manual("ethereum", 40).await;
    let url = node.url();
    let of = |at: &'static str| answer(&url, "eth_getBlockReceipts", json!([at]));
    let (truth, beside) = (of("0x11").await, of("0x12").await);
    let count = truth["result"].as_array().expect("a list").len();
    fault(&node, "doubled-receipts#17");
    let doubled = of("0x11").await;
    assert_eq!(doubled["result"].as_array().map(Vec::len), Some(2 * count));
    assert_eq!((&doubled["result"][0], &doubled["result"][0]), (&truth["result"][0], &doubled["result"][1]));
    assert_eq!(of("0x12").await, beside);
    fault(&node, "empty-receipts#17");
    assert_eq!((&of("0x11").await["result"], of("0x12").await), (&json!([]), beside.clone()));
    fault(&node, "null-receipts#17");
    assert_eq!((&of("0x11").await["result"], of("0x12").await), (&Value::Null, beside.clone()));
    fault(&node, "rpc-error/eth_getBlockReceipts#17");
    assert_eq!((&of("0x11").await["error"]["code"], of("0x12").await), (&json!(-32000), beside.clone()));
    let hash = truth["result"][0]["blockHash"].clone();
    assert!(answer(&url, "eth_getBlockReceipts", json!([hash])).await.get("error").is_some(), "by its hash too");
    assert_eq!(
        call(&url, "eth_getTransactionReceipt", json!([truth["result"][0]["transactionHash"]])).await,
        truth["result"][0]
    );
    fault(&node, "http5xx#17");
    assert_eq!(raw(&node, "eth_getBlockByNumber", json!(["0x11", true])).await.expect("an answer").status(), 503);
    assert_eq!(of("0x12").await, beside);
}

#[tokio::test]
async fn heads_that_go_backwards_or_are_seen_twice_tags_and_chain_ids() {
    let node = manual("optimism", 99).await;
    let url = node.url();
    fault(&node, "backwards");
    node.advance(4).expect("advanced");
    assert_eq!(call(&url, "eth_blockNumber", json!([])).await, "0x60");
    node.advance(1).expect("advanced");
    assert_eq!(call(&url, "eth_blockNumber", json!([])).await, "0x5f");
    assert_eq!(call(&url, "eth_getBlockByNumber", json!(["0x60", false])).await, Value::Null);
    fault(&node, "two-views:5");
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(call(&url, "eth_blockNumber", json!([])).await);
    }
    assert_eq!(seen, ["0x69", "0x64", "0x69", "0x64"]);
    fault(&node, "no-finalized");
    assert_eq!(answer(&url, "eth_getBlockByNumber", json!(["finalized", false])).await["error"]["code"], -32602);
    assert!(call(&url, "eth_getBlockByNumber", json!(["latest", false])).await.is_object());
    fault(&node, "null");
    assert_eq!(call(&url, "eth_getBlockByNumber", json!(["latest", false])).await, Value::Null);
    fault(&node, "wrong-chain:0@400ms");
    assert_eq!(call(&url, "eth_chainId", json!([])).await, "0x0");
    let begun = Instant::now();
    while call(&url, "eth_chainId", json!([])).await != "0xa" {
        assert!(begun.elapsed() < Duration::from_secs(20), "it is over after a while");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_node_that_stays_behind_announces_nothing() {
    let node = manual("optimism", 5).await;
    let (mut socket, _) = connect_async(node.ws_url()).await.expect("a socket");
    socket.send(Message::text(request("eth_subscribe", json!(["newHeads"])).to_string())).await.expect("sent");
    assert!(matches!(socket.next().await, Some(Ok(Message::Text(_)))));
    fault(&node, "stale-head");
    node.advance(2).expect("advanced");
    let nothing = tokio::time::timeout(Duration::from_millis(300), socket.next()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    node.clear_faults();
    node.advance(1).expect("advanced");
    let head = tokio::time::timeout(Duration::from_secs(20), socket.next()).await.expect("in time");
    let head: Value =
        serde_json::from_str(head.expect("open").expect("a frame").to_text().expect("text")).expect("JSON");
    assert_eq!(head["params"]["result"]["number"], "0x9");
}
