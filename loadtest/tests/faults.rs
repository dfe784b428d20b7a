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
