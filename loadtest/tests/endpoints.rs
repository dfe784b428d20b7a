//! Several endpoints of one chain in one process: each has its own latency, limit, faults, WebSocket, path and counts, and all of it
//! changes while it runs.

mod common;

use common::{answer, beside, call, client, manual};
use futures::StreamExt;
use loadtest::node::evm::{Clock, Config, Endpoint, MAIN, spawn};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio_tungstenite::connect_async;

fn request(n: usize) -> Value {
    let call = |id: usize| json!({"jsonrpc": "2.0", "id": id, "method": "eth_blockNumber", "params": []});
    if n == 1 { call(0) } else { (0..n).map(call).collect() }
}

async fn send(endpoint: &Endpoint, calls: usize) -> reqwest::Response {
    client().post(endpoint.url()).json(&request(calls)).send().await.expect("an answer")
}

#[tokio::test]
async fn one_chain_many_endpoints_each_with_its_own_faults() {
    let names = ["honest", "slow,latency=fixed:150ms", "broken,fault=http403", "behind,fault=stale-head"];
    let endpoints = names.map(|text| text.parse().expect(text)).to_vec();
    let config = Config { clock: Clock::Manual, history: 9, endpoints, ..Config::new(common::data("optimism")) };
    let node = spawn(config).await.expect("a node");
    node.advance(5).expect("advanced");
    assert_eq!(
        node.endpoints().iter().map(|e| e.name()).collect::<Vec<_>>(),
        [MAIN, "honest", "slow", "broken", "behind"]
    );
    let of = |name: &str| node.endpoint(name).expect(name);
    for (name, head) in [(MAIN, "0xf"), ("honest", "0xf"), ("slow", "0xf"), ("behind", "0xa")] {
        assert_eq!(call(&of(name).url(), "eth_blockNumber", json!([])).await, head, "{name}");
    }
    assert_eq!(send(&of("broken"), 1).await.status(), 403);
    assert_eq!([MAIN, "honest", "slow", "broken"].map(|name| of(name).counts().requests), [1, 1, 1, 1]);
    let twice =
        Config { endpoints: ["a", "a"].map(|n| n.parse().expect(n)).to_vec(), ..Config::new(common::data("optimism")) };
    assert!(spawn(twice).await.err().expect("refused").to_string().contains("\"a\""));
}

#[tokio::test]
async fn latency_is_drawn_and_changes_while_it_runs() {
    let (_node, slow) = beside("optimism", 5, "slow,latency=uniform:100ms..200ms").await;
    let took = |endpoint: std::sync::Arc<Endpoint>| async move {
        let begun = Instant::now();
        assert_eq!(send(&endpoint, 1).await.status(), 200);
        begun.elapsed()
    };
    for _ in 0..5 {
        assert!(took(slow.clone()).await >= Duration::from_millis(100));
    }
    slow.set_latency(None);
    assert!(took(slow.clone()).await < Duration::from_millis(100));
}

#[tokio::test]
async fn a_limit_refuses_as_it_was_told_to_and_counts_the_calls_of_a_batch() {
    let (_node, door) = beside("optimism", 5, "limited,limit=0.5/s+4").await;
    assert_eq!(send(&door, 3).await.status(), 200);
    let refused = send(&door, 2).await;
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().expect("text")), (429, "2"));
    assert_eq!(send(&door, 1).await.status(), 200);
    door.set_limit(Some("0.5/s+1:bare".parse().expect("valid")));
    assert_eq!(send(&door, 1).await.status(), 200);
    let refused = send(&door, 1).await;
    assert_eq!((refused.status().as_u16(), refused.headers().get("retry-after")), (429, None));
    door.set_limit(Some("0.5/s+2:body=-32029".parse().expect("valid")));
    assert_eq!(send(&door, 2).await.status(), 200);
    let refused = send(&door, 2).await;
    assert_eq!(refused.status(), 200);
    let refused: Value = refused.json().await.expect("JSON");
    assert_eq!([&refused[0]["error"]["code"], &refused[1]["error"]["code"]], [-32029, -32029]);
    assert_eq!([&refused[0]["id"], &refused[1]["id"]], [0, 1]);
    assert_eq!(answer(&door.url(), "eth_blockNumber", json!([])).await["error"]["code"], -32029);
    assert_eq!(door.counts().throttled, 4);
    assert_eq!(call(&door.url(), "sim_advance", json!([1])).await, 7, "orders are not limited");
    door.set_limit(None);
    assert_eq!(send(&door, 50).await.status(), 200);
}

#[tokio::test]
async fn credentials_and_key_are_wanted_by_http_and_websocket() {
    let (node, door) = beside("optimism", 5, "keyed,path=/v3/key,credentials=user:word").await;
    assert_eq!(door.url(), format!("http://user:word@{}/v3/key", door.addr()));
    assert_eq!(call(&door.url(), "eth_blockNumber", json!([])).await, "0x6");
    for (url, status) in [
        (format!("http://{}/v3/key", door.addr()), 401),
        (format!("http://user:other@{}/v3/key", door.addr()), 401),
        (format!("http://user:word@{}/", door.addr()), 404),
    ] {
        let answer = client().post(&url).json(&request(1)).send().await.expect("an answer");
        assert_eq!(answer.status(), status, "{url}");
    }
    let bare = connect_async(format!("ws://{}/v3/key", door.addr())).await.expect_err("refused").to_string();
    assert!(bare.contains("401"), "{bare}");
    assert!(connect_async(node.ws_url()).await.is_ok());
}

#[tokio::test]
async fn a_websocket_is_taken_away_and_given_back() {
    let (_node, door) = beside("optimism", 5, "quiet").await;
    let (mut socket, _) = connect_async(door.ws_url()).await.expect("a socket");
    door.set_websocket(false);
    let end = tokio::time::timeout(Duration::from_secs(20), socket.next()).await.expect("in time");
    assert!(end.is_none_or(|frame| frame.is_err()), "it ends");
    let refused = connect_async(door.ws_url()).await.expect_err("refused").to_string();
    assert!(refused.contains("405"), "{refused}");
    door.set_websocket(true);
    assert!(connect_async(door.ws_url()).await.is_ok());
}

#[tokio::test]
async fn a_refused_port_is_closed_to_the_system_and_opens_again() {
    let (node, door) = beside("optimism", 5, "gone").await;
    let (mut socket, _) = connect_async(door.ws_url()).await.expect("a socket");
    let client = client();
    let ask = || client.post(door.url()).json(&request(1)).send();
    assert_eq!(ask().await.expect("an answer").status(), 200);
    // A connection that a client keeps for later.
    let mut spare = tokio::net::TcpStream::connect(door.addr()).await.expect("connected");
    assert_eq!(send(&door, 1).await.status(), 200, "whoever came before is let in by now");
    door.fault("refused".parse().expect("valid"));
    let mut byte = [0; 1];
    let read = tokio::io::AsyncReadExt::read(&mut spare, &mut byte);
    let read = tokio::time::timeout(Duration::from_secs(20), read).await.expect("cut off in time");
    assert!(!matches!(read, Ok(1..)), "{read:?}");
    let end = tokio::time::timeout(Duration::from_secs(20), socket.next()).await.expect("in time");
    assert!(end.is_none_or(|frame| frame.is_err()), "its WebSocket ends");
    let begun = Instant::now();
    while tokio::net::TcpStream::connect(door.addr()).await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it still listens");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(ask().await.expect_err("nobody there").is_connect());
    // Its own port is gone: another endpoint's takes the order.
    let told = call(&node.url(), "sim_endpoint", json!(["gone", {"faults": ["refused@300ms"]}])).await;
    assert_eq!(told["faults"][0][0], "refused@300ms");
    while ask().await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not come back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn endpoints_are_told_and_changed_by_control_calls() {
    let (node, _) = beside("optimism", 5, "other,limit=5/s").await;
    let url = node.url();
    let all = call(&url, "sim_endpoints", json!([])).await;
    assert_eq!([&all[0]["name"], &all[1]["name"], &all[1]["limit"]], ["main", "other", "5/s+5:after"]);
    let changes = json!({"latency": "10ms", "limit": null, "faults": ["html@x1", "old-fork#%9"], "ws": false});
    let told = call(&url, "sim_endpoint", json!(["other", changes])).await;
    assert_eq!([&told["latency"], &told["limit"], &told["ws"]], [&json!("10ms"), &Value::Null, &Value::Null]);
    assert_eq!(told["faults"], json!([["html@x1", 0], ["old-fork#%9", 0]]));
    for wrong in
        [json!(["nobody"]), json!(["other", {"faults": ["html", "gone"]}]), json!(["other", {"speed": 1}]), json!([])]
    {
        assert_eq!(answer(&url, "sim_endpoint", wrong.clone()).await["error"]["code"], -32602, "{wrong}");
    }
    assert_eq!(call(&url, "sim_endpoint", json!(["other"])).await, told, "what cannot be done changes nothing");
    // A node without more endpoints has one.
    assert_eq!(
        call(&manual("optimism", 1).await.url(), "sim_endpoints", json!([])).await.as_array().map(Vec::len),
        Some(1)
    );
}
