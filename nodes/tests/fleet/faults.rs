//! Whatever one endpoint does, the block comes from the next within a block's time; and a network with one endpoint is told what it
//! was told before there were fleets.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use nodes::{ChainSource, Class, NodeErrorKind, SourceBlock};
use serde_json::{Value, json};

use super::{
    fleet_of,
    node::{FIRST, Node, Reply},
};

fn http(status: &str, headers: &str, body: &str) -> Reply {
    Reply::Raw(format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    ))
}

/// A fault, and how long until the block is there all the same.
type Fault = (&'static str, fn(&str, Value) -> Reply);

const FAULTS: [Fault; 16] = [
    ("slow", |_, answer| Reply::Late(Duration::from_secs(9), answer)),
    ("silent", |_, _| Reply::Hang),
    ("dripping", |_, answer| {
        let body = json!({"jsonrpc": "2.0", "id": 1, "result": answer}).to_string();
        Reply::Drip(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
    }),
    ("half-closed", |_, _| Reply::Raw("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{\"jsonrpc\":\"2.0\",".into())),
    ("closed", |_, _| Reply::Close),
    ("403", |_, _| http("403 Forbidden", "", "no")),
    ("429", |_, _| http("429 Too Many Requests", "", "")),
    ("429 for a minute", |_, _| http("429 Too Many Requests", "retry-after: 60\r\n", "")),
    ("500", |_, _| http("500 Internal Server Error", "", "boom")),
    ("502 page", |_, _| http("502 Bad Gateway", "", "<html>502</html>")),
    ("a page", |_, _| http("200 OK", "", "<!doctype html><title>Welcome</title>")),
    ("truncated", |_, _| http("200 OK", "", r#"{"jsonrpc":"2.0","id":1,"result":{"number":"0x13"#)),
    ("interleaved", |_, _| http("200 OK", "", r#"{"jsonrpc":"2.0",{"jsonrpc":"2.0","id":1,"result":null}"id":1}"#)),
    ("nulls", |_, _| Reply::Result(Value::Null)),
    ("throttled in 200", |_, _| Reply::Error(json!({"code": -32005, "message": "rate limit, retry in 30s"}))),
    ("error", |_, _| Reply::Error(json!({"code": -32603, "message": "internal error"}))),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_comes_from_the_next_endpoint_within_a_blocks_time() {
    for (name, fault) in FAULTS {
        let (bad, good) = (Node::start(3).await, Node::start(3).await);
        let fleet = fleet_of(&[&bad, &good], &[]);
        let block = fleet.fetch(FIRST, None).await.unwrap();
        assert_eq!(block.head().height, FIRST, "{name}: before");
        assert_eq!(fleet.endpoint(), "a");
        bad.twist(
            move |method, _, answer| {
                if method == "eth_chainId" { Reply::Result(answer) } else { fault(method, answer) }
            },
        );
        for height in FIRST + 1..=FIRST + 2 {
            let began = Instant::now();
            let head = fleet.head().await.unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(head.height, FIRST + 3, "{name}");
            let block = fleet.fetch(height, None).await.unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(block.head().height, height, "{name}");
            assert!(began.elapsed() < Duration::from_secs(2), "{name}: {:?}", began.elapsed());
        }
        assert!(!super::state_of(&fleet, "a").state.as_str().contains("quarantined"), "{name}: a fault is no lie");
    }
}

#[tokio::test]
async fn a_refused_socket_is_no_matter() {
    let good = Node::start(3).await;
    // Nothing listens on the port of a socket that is gone.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut endpoints = Vec::new();
    for (name, url) in [("a", format!("http://{gone}")), ("b", good.http.clone())] {
        let endpoint =
            nodes::evm::Endpoint { name: name.into(), url: url.parse().unwrap(), ws: None, headers: Vec::new() };
        endpoints.push((nodes::fleet::MemberConfig::new(name, &url), endpoint));
    }
    let fleet = nodes::evm::fleet::EvmFleet::new(super::config(), endpoints, nodes::fleet::Clock::system()).unwrap();
    assert_eq!(fleet.fetch(FIRST, None).await.unwrap().head().height, FIRST);
}

#[tokio::test]
async fn what_an_endpoint_cannot_do_is_done_the_next_way() {
    type Cannot = fn(&str, &Value, Value) -> Reply;
    let cases: [(&str, Cannot); 3] = [
        ("no eth_getBlockReceipts", |method, _, answer| match method {
            "eth_getBlockReceipts" => Reply::Error(json!({"code": -32601, "message": "method not found"})),
            _ => Reply::Result(answer),
        }),
        ("no eth_getBlockByHash", |method, _, answer| match method {
            "eth_getBlockByHash" => Reply::Error(json!({"code": -32601, "message": "method not found"})),
            _ => Reply::Result(answer),
        }),
        ("receipts by number only", |method, params, answer| match method {
            "eth_getBlockReceipts" if params[0].as_str().unwrap().len() == 66 => {
                Reply::Error(json!({"code": -32602, "message": "invalid argument 0: hex string has length 64"}))
            }
            _ => Reply::Result(answer),
        }),
    ];
    for (name, cannot) in cases {
        let (node, other) = (Node::start(4).await, Node::start(4).await);
        node.twist(cannot);
        let fleet = fleet_of(&[&node, &other], &[]);
        for height in FIRST..=FIRST + 4 {
            let hash = fleet.header(height).await.unwrap().hash;
            let block = fleet.fetch(height, Some(&hash)).await.unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(block.head().hash, hash, "{name}");
        }
        assert_eq!(fleet.endpoint(), "a", "{name}");
        assert_eq!(other.calls("eth_getBlockReceipts"), 0, "{name}: it is no reason to ask another");
        // Tried once for all blocks.
        let refused = match name {
            "no eth_getBlockReceipts" => node.calls("eth_getBlockReceipts"),
            "no eth_getBlockByHash" => node.calls("eth_getBlockByHash"),
            _ => node.calls("eth_getBlockReceipts") - 5,
        };
        assert_eq!(refused, 1, "{name}");
    }
}

#[tokio::test]
async fn finality_is_told_by_whoever_knows_the_tags() {
    let (node, other) = (Node::start(4).await, Node::start(4).await);
    let ignorant = |_: &str, params: &Value, answer: Value| match params[0].as_str() {
        Some("safe" | "finalized") => Reply::Error(json!({"code": -32602, "message": "invalid block tag"})),
        _ => Reply::Result(answer),
    };
    node.twist(ignorant);
    let fleet = fleet_of(&[&node, &other], &[]);
    for _ in 0..3 {
        assert_eq!(fleet.finality().await.unwrap().finalized, Some(FIRST));
    }
    assert_eq!(node.calls("eth_getBlockByNumber"), 2, "it is not asked again and again");
    other.twist(ignorant);
    assert_eq!(fleet.finality().await.unwrap().finalized, None, "nobody knows them");
}

#[tokio::test]
async fn one_that_closes_the_connection_on_batches_answers_single_calls() {
    for alone in [true, false] {
        let (node, other) = (Node::start(4).await, Node::start(4).await);
        for node in [&node, &other] {
            node.closes.store(true, Ordering::Relaxed);
            node.twist(|method, _, answer| match method {
                "eth_getBlockReceipts" => Reply::Error(json!({"code": -32601, "message": "method not found"})),
                _ => Reply::Result(answer),
            });
        }
        let fleet = if alone { fleet_of(&[&node], &[]) } else { fleet_of(&[&node, &other], &[]) };
        for height in [FIRST, FIRST + 3] {
            assert_eq!(fleet.fetch(height, None).await.unwrap().head().height, height);
        }
    }
}

#[tokio::test]
async fn one_endpoint_alone_is_asked_again_and_its_errors_are_told() {
    let node = Node::start(3).await;
    let fleet = fleet_of(&[&node], &[]);
    assert_eq!(fleet.chain_id().await.unwrap(), "999");
    assert_eq!(fleet.fetch(FIRST + 1, None).await.unwrap().head().height, FIRST + 1);
    let e = fleet.fetch(FIRST + 9, None).await.unwrap_err();
    assert_eq!((e.class(), &*e.endpoint), (Class::Empty, "a"));
    // Once is no trouble: it is asked again.
    let failed = std::sync::atomic::AtomicBool::new(false);
    node.twist(move |_, _, answer| match failed.swap(true, Ordering::Relaxed) {
        false => http("503 Service Unavailable", "", "busy"),
        true => Reply::Result(answer),
    });
    assert_eq!(fleet.fetch(FIRST + 2, None).await.unwrap().head().height, FIRST + 2);
    node.twist(|_, _, _| http("403 Forbidden", "", "key?"));
    let e = fleet.header(FIRST).await.unwrap_err();
    assert!(matches!(e.kind, NodeErrorKind::Refused(403, _)), "{e}");
    assert_eq!(
        e.to_string(),
        format!("a: eth_getBlockByNumber of block {FIRST}: refused with HTTP 403 (key?); check URL, key and plan")
    );
}

#[tokio::test]
async fn no_credential_is_in_an_error_or_in_debug() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let node = Node::start(1).await;
    node.twist(|_, _, _| {
        http("401 Unauthorized", "", "bad user us@er with hunter%2F22, hunter/22, s3cr3t or dXNAZXI6aHVudGVyLzIy")
    });
    for at in [gone.to_string(), node.http.trim_start_matches("http://").to_owned()] {
        let secret = format!("us%40er:hunter%2F22@{at}/v3/0123456789abcdef0123?key=s3cr3t");
        let url: url::Url = format!("http://{secret}").parse().unwrap();
        let ws = format!("ws://{secret}").parse().unwrap();
        let endpoint = nodes::evm::Endpoint { name: "a".into(), url: url.clone(), ws: Some(ws), headers: Vec::new() };
        let member = nodes::fleet::MemberConfig::new("a", &nodes::mask::masked_url(&url));
        let tuning = nodes::evm::Tuning { tries: 1, ..Default::default() };
        let config = nodes::evm::fleet::EvmFleetConfig { tuning, ..super::config() };
        let fleet =
            nodes::evm::fleet::EvmFleet::new(config, vec![(member, endpoint)], nodes::fleet::Clock::system()).unwrap();
        let error = fleet.header(FIRST).await.unwrap_err();
        let client = format!("{:?}", fleet.fleet().members()[0].client);
        let told = format!("{error} {error:?} {fleet:?} {client} {:?}", fleet.fleet().snapshot());
        for secret in ["us@er", "us%40er", "hunter", "s3cr3t", "0123456789abcdef0123", "dXNAZXI6aHVudGVyLzIy"] {
            assert!(!told.contains(secret), "{told}");
        }
    }
    // And they go where they belong.
    let sent = node.authorization.lock().unwrap().1.clone();
    assert_eq!(sent.as_deref(), Some("Basic dXNAZXI6aHVudGVyLzIy"));
}
