//! The simulated node through real clients: methods, tags, batches, limits, WebSocket, control calls, restarts.

mod common;

use common::{answer, call, client, data, manual, post};
use futures::{SinkExt, StreamExt};
use loadtest::node::evm::{Canonical, Clock, Config, Origin, Schedule, spawn};
use serde_json::{Value, json};
use std::time::Duration;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn frame(socket: &mut Socket) -> Value {
    let message = tokio::time::timeout(Duration::from_secs(20), socket.next()).await;
    let message = message.expect("a frame in time").expect("an open socket").expect("a frame");
    serde_json::from_str(message.to_text().expect("text")).expect("JSON")
}

async fn ask(socket: &mut Socket, method: &str, params: Value) -> Value {
    let request = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
    socket.send(Message::text(request.to_string())).await.expect("sent");
    frame(socket).await
}

#[tokio::test]
async fn methods_answer_as_a_node_does() {
    let node = manual("optimism", 99).await;
    let url = node.url();
    assert_eq!(call(&url, "eth_chainId", json!([])).await, "0xa");
    assert_eq!(call(&url, "net_version", json!([])).await, "10");
    assert_eq!(call(&url, "eth_syncing", json!([])).await, false);
    assert_eq!(call(&url, "eth_blockNumber", json!([])).await, "0x64");
    for (tag, height) in
        [("latest", "0x64"), ("pending", "0x64"), ("safe", "0x44"), ("finalized", "0x24"), ("earliest", "0x1")]
    {
        let block = call(&url, "eth_getBlockByNumber", json!([tag, false])).await;
        assert_eq!(block["number"], height, "{tag}");
        assert!(block["transactions"].as_array().expect("a list").iter().all(Value::is_string));
    }
    let whole = call(&url, "eth_getBlockByNumber", json!(["0x63", true])).await;
    assert_eq!(call(&url, "eth_getBlockByHash", json!([whole["hash"], true])).await, whole);
    let receipts = call(&url, "eth_getBlockReceipts", json!(["0x63"])).await;
    for which in [whole["hash"].clone(), json!({"blockHash": whole["hash"]}), json!({"blockNumber": "0x63"})] {
        assert_eq!(call(&url, "eth_getBlockReceipts", json!([which])).await, receipts);
    }
    let receipt = call(&url, "eth_getTransactionReceipt", json!([whole["transactions"][0]["hash"]])).await;
    assert_eq!(receipt, receipts[0]);
    // A recorded transaction is known where it first appears, whether its block was served or not.
    let set = data("optimism");
    let (place, hash) =
        set.blocks().iter().enumerate().find_map(|(n, b)| Some((n, b.tx_hashes().first()?))).expect("one");
    let receipt = call(&url, "eth_getTransactionReceipt", json!([hash])).await;
    assert_eq!(receipt["blockNumber"], format!("{:#x}", place + 1));
    let newest = call(&url, "eth_getBlockByNumber", json!(["latest", true])).await;
    let transaction = &newest["transactions"][0];
    assert_eq!(&call(&url, "eth_getTransactionByHash", json!([transaction["hash"]])).await, transaction);
    let receipt = call(&url, "eth_getTransactionReceipt", json!([transaction["hash"]])).await;
    assert_eq!(receipt["blockHash"], newest["hash"]);
    assert_eq!(receipt, call(&url, "eth_getBlockReceipts", json!(["latest"])).await[0]);
    for (method, params) in [
        ("eth_getBlockByNumber", json!(["0x65", true])),
        ("eth_getBlockByNumber", json!(["0x0", true])),
        ("eth_getBlockByHash", json!([format!("0x{}", "ab".repeat(32)), true])),
        ("eth_getBlockReceipts", json!(["0x65"])),
        ("eth_getTransactionReceipt", json!([format!("0x{}", "ab".repeat(32))])),
    ] {
        assert_eq!(call(&url, method, params).await, Value::Null, "{method}");
    }
    for (method, params, code) in [
        ("eth_getLogs", json!([{}]), -32601),
        ("eth_getBlockByNumber", json!(["soon", true]), -32602),
        ("eth_getBlockByNumber", json!([]), -32602),
        ("eth_getBlockByHash", json!(["0x12", true]), -32602),
    ] {
        assert_eq!(answer(&url, method, params).await["error"]["code"], code, "{method}");
    }
    node.shutdown().await;
}

#[tokio::test]
async fn batches_are_answered_in_order_and_limited() {
    let node = manual("polygon", 3).await;
    let call = |id: u64| json!({"jsonrpc": "2.0", "id": id, "method": "eth_blockNumber"});
    let batch = json!([call(5), {"jsonrpc": "2.0", "id": "x", "method": "nothing"}, 17, call(6)]);
    let answers = post(&node.url(), &batch).await;
    assert_eq!(answers[0], json!({"jsonrpc": "2.0", "id": 5, "result": "0x4"}));
    assert_eq!((&answers[1]["id"], &answers[1]["error"]["code"]), (&json!("x"), &json!(-32601)));
    assert_eq!(answers[2]["error"]["code"], -32600);
    assert_eq!(answers[3]["id"], 6);
    let many: Vec<Value> = (0..201).map(call).collect();
    assert_eq!(post(&node.url(), &json!(many)).await["error"]["code"], -32600);
    assert_eq!(post(&node.url(), &json!([])).await["error"]["code"], -32600);
    let huge = client().post(node.url()).body(vec![b' '; (1 << 20) + 1]).send().await.expect("an answer");
    assert_eq!(huge.status(), 413);
    let broken = client().post(node.url()).body("{").send().await.expect("an answer");
    assert_eq!(broken.json::<Value>().await.expect("JSON")["error"]["code"], -32700);
}

#[tokio::test]
async fn compresses_only_when_configured_and_asked() {
    for (gzip, ask, packed) in [(true, true, true), (true, false, false), (false, true, false)] {
        let node = spawn(Config { clock: Clock::Manual, gzip, ..Config::new(data("optimism")) }).await.expect("a node");
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": ["latest", true]});
        let mut post = client().post(node.url()).json(&request);
        if ask {
            post = post.header("accept-encoding", "gzip");
        }
        let answer = post.send().await.expect("an answer");
        let bytes = answer.bytes().await.expect("a body");
        assert_eq!(bytes.starts_with(&[0x1f, 0x8b]), packed, "configured {gzip}, asked {ask}");
    }
}

#[tokio::test]
async fn a_websocket_hears_every_head_of_a_fork() {
    let node = manual("ethereum", 50).await;
    let (mut socket, _) = connect_async(node.ws_url()).await.expect("a socket");
    assert_eq!(ask(&mut socket, "eth_blockNumber", json!([])).await["result"], "0x33");
    assert_eq!(ask(&mut socket, "eth_subscribe", json!(["logs"])).await["error"]["code"], -32602);
    let id = ask(&mut socket, "eth_subscribe", json!(["newHeads"])).await["result"].clone();
    node.advance(2).expect("advanced");
    node.fork_and_advance(3, 1).expect("forked");
    let canonical = node.canonical(51..=54);
    for want in [52, 53, 51, 52, 53, 54] {
        let head = frame(&mut socket).await;
        assert_eq!(head["params"]["subscription"], id);
        assert_eq!(head["params"]["result"]["number"], format!("{want:#x}"));
        assert!(head["params"]["result"].get("transactions").is_none());
        if want == 54 {
            assert_eq!(head["params"]["result"]["hash"], json!(canonical[3].hash));
            assert_eq!(head["params"]["result"]["parentHash"], json!(canonical[2].hash));
        }
    }
    assert_eq!(ask(&mut socket, "eth_unsubscribe", json!([id])).await["result"], true);
    assert_eq!(ask(&mut socket, "eth_unsubscribe", json!([id])).await["result"], false);
    node.advance(1).expect("advanced");
    assert_eq!(ask(&mut socket, "eth_blockNumber", json!([])).await["result"], "0x37", "no head came in between");
    node.drop_websockets();
    let end = tokio::time::timeout(Duration::from_secs(20), socket.next()).await.expect("in time");
    assert!(!matches!(end, Some(Ok(Message::Text(_)))), "{end:?}");
}

#[tokio::test]
async fn is_driven_by_control_calls() {
    let node = manual("optimism", 9).await;
    let url = node.url();
    assert_eq!(call(&url, "sim_advance", json!([5])).await, 15);
    assert_eq!(call(&url, "sim_fork", json!([4, 2])).await, 17);
    assert!(
        answer(&url, "sim_fork", json!([1_000])).await["error"]["message"].as_str().expect("text").contains("1 to 16")
    );
    let listed: Vec<Canonical> =
        serde_json::from_value(call(&url, "sim_canonical", json!([3, 17])).await).expect("a list");
    assert_eq!(listed, node.canonical(3..=17));
    assert_eq!(
        listed.iter().map(|block| block.version).collect::<Vec<_>>(),
        [vec![0; 9], vec![1; 4], vec![0; 2]].concat()
    );
    assert_eq!(call(&url, "sim_fault", json!(["null-receipts@x1"])).await, json!([["null-receipts@x1", 0]]));
    assert_eq!(call(&url, "eth_getBlockReceipts", json!(["latest"])).await, Value::Null);
    assert_eq!(call(&url, "sim_faults", json!([])).await, json!([["null-receipts@x1", 1]]));
    assert_eq!(call(&url, "sim_fault", json!([])).await, json!([]));
    let counts = call(&url, "sim_stats", json!([])).await;
    assert_eq!(counts["methods"]["sim_fork"], 2);
}

/// Rule 25 through a restart: a clock, scheduled and ordered forks, one file.
#[tokio::test]
async fn a_restart_with_the_same_origin_is_the_same_chain() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = |seed| Config {
        clock: Clock::Rate(200.0),
        history: 300,
        seed,
        forks: Some(Schedule { depth: 7, every: 20 }),
        origin: Origin::File { path: folder.path().join("origin.json"), pause: false },
        ..Config::new(data("optimism"))
    };
    let first = spawn(config(9)).await.expect("a node");
    let mut heads = first.subscribe();
    while heads.recv().await.expect("a head").block.height < 350 {}
    first.fork_and_advance(64, 3).expect("forked");
    first.advance(5).expect("advanced");
    let target = first.head() + 30;
    while heads.recv().await.expect("a head").block.height < target {}
    let now = first.head();
    let before = first.canonical(1..=now);
    first.shutdown().await;
    let second = spawn(config(9)).await.expect("a node");
    // A scheduled fork may replace seven blocks below a newer head; what is deeper stays.
    let settled = before.len() - 7;
    assert_eq!(second.canonical(1..=settled as u64), before[..settled]);
    assert!(second.head() >= now, "the head did not go back: {} after {now}", second.head());
    second.shutdown().await;
    let other = spawn(config(10)).await.err().expect("another chain is refused").to_string();
    assert!(other.contains("seed 9"), "{other}");
}

#[tokio::test]
async fn the_clock_makes_blocks_and_ends() {
    let node = spawn(Config { clock: Clock::Rate(100.0), blocks: Some(30), ..Config::new(data("polygon")) })
        .await
        .expect("a node");
    let mut heads = node.subscribe();
    while node.head() < 30 {
        let head = tokio::time::timeout(Duration::from_secs(20), heads.recv()).await.expect("in time").expect("a head");
        assert_eq!(head.tx_count, 65);
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(node.head(), 30);
    assert_eq!(node.canonical(0..=10).len(), 0, "nothing below the first height");
    assert_eq!(node.canonical(1..=100).len(), 30);
}

#[tokio::test]
async fn two_nodes_cannot_share_a_port() {
    let node = manual("optimism", 0).await;
    let taken = spawn(Config { listen: node.addr(), ..Config::new(data("optimism")) }).await.err().expect("refused");
    assert!(taken.to_string().contains("cannot listen on"), "{taken}");
}
